//! The form of an export: a tar archive of known members in a fixed order.
//!
//! `store` (the identity), `journal/*` in their order, `submissions/*`, `manifest.json`; or, if the
//! writer had to stop, `broken` with the reason. Any tool for tar can read it.
//!
//! Invariants: writer and reader take one pass in bounded memory; no name of an archive ever
//! becomes a path: an unknown name is refused. Deliberately not here: what the members mean.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::domain::id::Digest;
use crate::store::home::IDENTITY;

/// Longest identity, manifest or reason, in bytes.
const SMALL_MAX: u64 = 64 * 1024;

/// Name of the last member.
const MANIFEST: &str = "manifest.json";

/// Name of the last member where the writer had to break off.
const BROKEN: &str = "broken";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberName {
    Identity,
    /// The segment that begins with this sequence.
    Segment(u64),
    /// The submission with this digest.
    Submission(Digest),
    Manifest,
    Broken,
}

impl MemberName {
    /// As it stands in the archive.
    pub fn text(self) -> String {
        match self {
            Self::Identity => IDENTITY.into(),
            Self::Segment(first) => format!("journal/{first:012}.jsonl"),
            Self::Submission(digest) => format!("submissions/{digest}.jsonl"),
            Self::Manifest => MANIFEST.into(),
            Self::Broken => BROKEN.into(),
        }
    }

    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let stem = |folder: &str| text.strip_prefix(folder)?.strip_suffix(".jsonl");
        let name = match text {
            IDENTITY => Self::Identity,
            MANIFEST => Self::Manifest,
            BROKEN => Self::Broken,
            _ => match (stem("journal/"), stem("submissions/")) {
                (Some(first), _) => Self::Segment(first.parse().ok()?),
                (None, Some(digest)) => Self::Submission(digest.parse().ok()?),
                (None, None) => return None,
            },
        };
        // One name, one way to write it.
        (name.text() == text).then_some(name)
    }
}

pub(super) struct ArchiveWriter<W: Write> {
    tar: tar::Builder<W>,
    hash: Sha256,
    at: u64,
    /// Bytes of all members so far.
    pub bytes: u64,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive; `at` becomes the time of its members.
    pub fn new(out: W, at: Timestamp) -> Self {
        Self {
            tar: tar::Builder::new(out),
            hash: Sha256::new(),
            at: u64::try_from(at.as_second()).unwrap_or(0),
            bytes: 0,
        }
    }

    /// Adds a member of exactly this length.
    pub fn add(&mut self, name: MemberName, length: u64, content: impl Read) -> io::Result<()> {
        let text = name.text();
        begin(&mut self.hash, &text, length);
        let mut content =
            HashingReader { inner: content.take(length), hash: &mut self.hash, read: 0 };
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_mtime(self.at);
        header.set_entry_type(tar::EntryType::Regular);
        self.tar.append_data(&mut header, &text, &mut content)?;
        if content.read != length {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{text} has {} bytes of {length}", content.read),
            ));
        }
        self.bytes += length;
        Ok(())
    }

    /// The digest over everything so far.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(self.hash.clone().finalize().into())
    }

    pub fn finish(self) -> io::Result<()> {
        self.tar.into_inner()?.flush()
    }
}

fn begin(hash: &mut Sha256, name: &str, length: u64) {
    hash.update(name.as_bytes());
    hash.update([0]);
    hash.update(length.to_be_bytes());
}

struct HashingReader<'h, R> {
    inner: R,
    hash: &'h mut Sha256,
    read: u64,
}

impl<R: Read> Read for HashingReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.read += read as u64;
        Ok(read)
    }
}

/// What a reader is given, member by member.
pub(super) trait MemberSink {
    /// Why it takes no more.
    type Error: From<ArchiveDamage>;

    /// One member: its content must be read to its end.
    fn member(
        &mut self,
        name: MemberName,
        length: u64,
        content: &mut dyn Read,
    ) -> Result<(), Self::Error>;
}

/// What is wrong with the archive itself.
#[derive(Debug)]
pub(super) struct ArchiveDamage {
    pub place: String,
    pub what: String,
}

/// What stood at the end.
pub(super) struct ArchiveEnd {
    pub manifest: Vec<u8>,
    /// The digest over everything before it.
    pub digest: Digest,
    /// Bytes of everything before it.
    pub bytes: u64,
}

/// Reads an archive to its end. `Ok(Err(why))`: whoever wrote it broke off, and said why.
pub(super) fn read<S: MemberSink>(
    from: impl Read,
    sink: &mut S,
) -> Result<Result<ArchiveEnd, String>, S::Error> {
    let mut archive = tar::Archive::new(from);
    let mut hash = Sha256::new();
    let (mut bytes, mut before) = (0, "its beginning".to_owned());
    let wrong =
        |place: &str, what: String| S::Error::from(ArchiveDamage { place: place.to_owned(), what });
    // Raw: an extension header, which may be of any size, comes as a member and is refused by its
    // name or kind.
    let members = archive.entries().map_err(|error| wrong(&before, error.to_string()))?.raw(true);
    let mut end = None;
    for member in members {
        let mut member = member.map_err(|error| {
            wrong(&format!("after {before},"), format!("no member can be read: {error}"))
        })?;
        let path = member.path_bytes().into_owned();
        let Some(name) = MemberName::read(&path)
            .filter(|_| member.header().entry_type() == tar::EntryType::Regular)
        else {
            let shown_name = String::from_utf8_lossy(&path).escape_debug().to_string();
            return Err(wrong(&shown_name, "is no member of an export".into()));
        };
        let (text, length) = (name.text(), member.size());
        if end.is_some() {
            return Err(wrong(&text, "stands behind the manifest".into()));
        }
        if matches!(name, MemberName::Manifest | MemberName::Broken | MemberName::Identity)
            && length > SMALL_MAX
        {
            return Err(wrong(&text, format!("has {length} bytes, the most is {SMALL_MAX}")));
        }
        if matches!(name, MemberName::Manifest | MemberName::Broken) {
            let mut small = Vec::new();
            let read =
                member.read_to_end(&mut small).map_err(|error| wrong(&text, error.to_string()))?;
            if read as u64 != length {
                return Err(wrong(&text, "ends early".into()));
            }
            if name == MemberName::Broken {
                return Ok(Err(String::from_utf8_lossy(&small).into_owned()));
            }
            end = Some(ArchiveEnd {
                manifest: small,
                digest: Digest::from_bytes(hash.clone().finalize().into()),
                bytes,
            });
            continue;
        }
        begin(&mut hash, &text, length);
        let mut content = HashingReader { inner: &mut member, hash: &mut hash, read: 0 };
        sink.member(name, length, &mut content)?;
        if content.read != length {
            return Err(wrong(&text, format!("ends after {} of {length} bytes", content.read)));
        }
        bytes += length;
        before = text;
    }
    end.map(Ok)
        .ok_or_else(|| wrong(&format!("after {before},"), "it ends without its manifest".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct KeptMember(Vec<(String, Vec<u8>)>);

    impl From<ArchiveDamage> for String {
        fn from(broken: ArchiveDamage) -> Self {
            format!("{} {}", broken.place, broken.what)
        }
    }

    impl MemberSink for KeptMember {
        type Error = String;

        fn member(
            &mut self,
            name: MemberName,
            _: u64,
            content: &mut dyn Read,
        ) -> Result<(), String> {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            self.0.push((name.text(), bytes));
            Ok(())
        }
    }

    fn written(names: &[MemberName]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = ArchiveWriter::new(&mut bytes, Timestamp::UNIX_EPOCH);
        for name in names {
            writer.add(*name, 5, &b"hello and more"[..]).expect("into memory");
        }
        writer.finish().expect("into memory");
        bytes
    }

    fn read_back(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
        let mut kept = KeptMember(Vec::new());
        read(bytes, &mut kept)??;
        Ok(kept.0)
    }

    #[test]
    fn what_was_written_comes_back() {
        let names = [
            MemberName::Identity,
            MemberName::Segment(1),
            MemberName::Submission(Digest::of(b"x")),
            MemberName::Manifest,
        ];
        let found = read_back(&written(&names)).expect("whole");
        assert_eq!(
            found.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
            names[..3].iter().map(|name| name.text()).collect::<Vec<_>>()
        );
        assert!(found.iter().all(|(_, content)| content == b"hello"));
    }

    #[test]
    fn an_archive_that_ends_early_is_refused_wherever_it_ends() {
        let whole = written(&[MemberName::Identity, MemberName::Segment(1), MemberName::Manifest]);
        // Behind the manifest only the two empty blocks follow.
        for end in (0..whole.len() - 1024 - 512).step_by(100) {
            assert!(read_back(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(
            read_back(&written(&[MemberName::Identity]))
                .is_err_and(|what| what.contains("without its manifest"))
        );
        assert!(
            read_back(&written(&[MemberName::Manifest, MemberName::Identity]))
                .is_err_and(|what| what.contains("behind the manifest"))
        );
        assert_eq!(
            read_back(&written(&[MemberName::Identity, MemberName::Broken])),
            Err("hello".into())
        );
    }

    #[test]
    fn no_other_name_is_taken() {
        for name in [
            "../store",
            "/etc/passwd",
            "journal/1.jsonl",
            "journal/../x.jsonl",
            "submissions/x.jsonl",
            "queue/db",
            "",
        ] {
            assert_eq!(MemberName::read(name.as_bytes()), None, "{name}");
        }
        let mut bytes = Vec::new();
        let mut tar = tar::Builder::new(&mut bytes);
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        tar.append_data(&mut header, "evil", &b"x"[..]).expect("into memory");
        tar.finish().expect("into memory");
        drop(tar);
        assert!(read_back(&bytes).is_err_and(|what| what.contains("evil is no member")));
    }

    #[test]
    fn a_member_that_is_shorter_than_it_was_is_not_written() {
        let mut writer = ArchiveWriter::new(io::sink(), Timestamp::UNIX_EPOCH);
        assert!(writer.add(MemberName::Segment(1), 6, &b"short"[..]).is_err());
    }
}
