//! Copies an export's stream as it arrives, and verifies at its end that it was whole.
//!
//! Deliberately not here: the chain, which the export checked on the way out.

use std::io::{self, Read, Write};

use super::archive::{self, ArchiveDamage, MemberName, MemberSink};
use super::manifest::Manifest;
use super::refusal::CopyError;

/// Writes to `out` what `from` gives, to its end; refused when it was not whole.
pub fn pass_on(from: impl Read, name: &str, out: &mut dyn Write) -> Result<Manifest, CopyError> {
    let mut through = Tee { from, out, failed: None };
    let read = archive::read(&mut through, &mut StreamEnd);
    // What the reader has no use for belongs to the file all the same.
    let rest = io::copy(&mut through, &mut io::sink());
    if let Some(source) = through.failed {
        return Err(CopyError::Unwritten { source });
    }
    let damaged = |place: &str, what: String| CopyError::Damaged {
        source_name: name.into(),
        place: place.into(),
        what,
    };
    let end = match read {
        Ok(Ok(end)) => end,
        Ok(Err(why)) => return Err(CopyError::Unfinished { source_name: name.into(), why }),
        Err(ArchiveDamage { place, what }) => return Err(damaged(&place, what)),
    };
    rest.map_err(|error| damaged("its end", error.to_string()))?;
    let manifest = Manifest::open(&end.manifest).map_err(|what| damaged("its manifest", what))?;
    if manifest.digest != end.digest {
        return Err(damaged("its content", "is not what its manifest says".into()));
    }
    Ok(manifest)
}

struct StreamEnd;

impl MemberSink for StreamEnd {
    type Error = ArchiveDamage;

    fn member(
        &mut self,
        name: MemberName,
        _: u64,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveDamage> {
        let drained = io::copy(content, &mut io::sink());
        drained
            .map(drop)
            .map_err(|error| ArchiveDamage { place: name.text(), what: error.to_string() })
    }
}

struct Tee<'o, R> {
    from: R,
    out: &'o mut dyn Write,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::Error::other("it cannot be written on"));
        }
        let read = self.from.read(buffer)?;
        if let Err(error) = self.out.write_all(&buffer[..read]) {
            self.failed = Some(error);
            return Err(io::Error::other("it cannot be written on"));
        }
        Ok(read)
    }
}
