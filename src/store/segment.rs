//! One file of the journal: its name, its lines, and what is wrong with it.
//!
//! Invariant: a segment is named by its first sequence. Only the last one may end torn, and only in
//! its last lines: a line that cannot be read before a readable one, or one that breaks the chain,
//! is damage and never cut off.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::id::Digest;

use super::error::OpenError;

/// Bytes read at a time.
const READ: usize = 256 * 1024;

/// Path of the segment that begins with this sequence.
pub(crate) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:012}.jsonl"))
}

/// First sequences of all segments in a directory, in order.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for file in std::fs::read_dir(dir)? {
        let name = file?.file_name();
        let first: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_suffix(".jsonl"))
            .and_then(|stem| stem.parse().ok());
        firsts.extend(first);
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// The part of a line that its place in the chain depends on.
#[derive(Debug, Deserialize)]
pub(crate) struct Glance {
    pub seq: u64,
    #[serde(default)]
    pub more: u32,
    pub prev: Digest,
}

impl Glance {
    /// `None` for what is not a line of ours.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// How far a segment is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Good {
    /// Sequence of the last line of the last whole commit.
    pub seq: u64,
    pub head: Digest,
    /// Bytes up to its end.
    pub bytes: u64,
    /// Lines that were cut off after it, whole or torn.
    pub torn: u64,
}

/// Reads a segment that may end torn: every line's sequence and place in the chain.
pub(crate) fn verify(path: &Path, before: u64, prev: Digest) -> Result<Good, OpenError> {
    let mut lines = Lines::open(path)?;
    let mut good = Good { seq: before, head: prev, bytes: 0, torn: 0 };
    let (mut seq, mut head) = (before, prev);
    while let Some(found) = lines.next()? {
        let glance = if found.ended { Glance::of(found.bytes) } else { None };
        let (line, bytes) = (found.number, found.end);
        let Some(glance) = glance else {
            good.torn += 1;
            while let Some(later) = lines.next()? {
                good.torn += 1;
                if Glance::of(later.bytes).is_some() {
                    return Err(OpenError::Damaged {
                        path: path.to_owned(),
                        line,
                        what: "cannot be read, and readable lines follow it".into(),
                    });
                }
            }
            return Ok(good);
        };
        let digest = Digest::of(found.bytes);
        follows(path, line, &glance, seq, head)?;
        (seq, head) = (glance.seq, digest);
        good.torn += 1;
        if glance.more == 0 {
            good = Good { seq, head, bytes, torn: 0 };
        }
    }
    Ok(good)
}

/// Whether a line follows the one before it.
pub(crate) fn follows(
    path: &Path,
    line: u64,
    glance: &Glance,
    before: u64,
    head: Digest,
) -> Result<(), OpenError> {
    let what = if glance.seq != before + 1 {
        format!("has sequence {} where {} belongs", glance.seq, before + 1)
    } else if glance.prev != head {
        "does not carry the digest of the line before it: one of the two was changed".into()
    } else {
        return Ok(());
    };
    Err(OpenError::Damaged { path: path.to_owned(), line, what })
}

/// The last line of a closed segment, which must be whole.
pub(crate) fn last_line(path: &Path) -> Result<(Glance, Digest), OpenError> {
    let fail = |source| OpenError::Directory { what: "read", path: path.to_owned(), source };
    let damaged =
        |what: &str| OpenError::Damaged { path: path.to_owned(), line: 0, what: what.into() };
    let file = File::open(path).map_err(fail)?;
    let len = file.metadata().map_err(fail)?.len();
    let mut span = (8 * 1024).min(len);
    loop {
        let mut bytes = vec![0; usize::try_from(span).expect("a segment fits into memory")];
        file.read_exact_at(&mut bytes, len - span).map_err(fail)?;
        let Some(body) = bytes.strip_suffix(b"\n") else {
            return Err(damaged("its last line does not end"));
        };
        let start = body.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        if start.is_none() && span < len {
            span = (span * 2).min(len);
            continue;
        }
        let line = &body[start.unwrap_or(0)..];
        let glance = Glance::of(line).ok_or_else(|| damaged("its last line cannot be read"))?;
        return Ok((glance, Digest::of(line)));
    }
}

/// One line as found.
pub(crate) struct SegmentLine<'a> {
    /// Its bytes without the line feed.
    pub bytes: &'a [u8],
    /// Whether there was a line feed.
    pub ended: bool,
    pub number: u64,
    pub end: u64,
}

/// The lines of a file, one after the other.
pub(crate) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
    number: u64,
    end: u64,
}

impl Lines {
    /// Opens a file at its begin.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|source| OpenError::Directory {
            what: "open",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(READ, file),
            line: Vec::new(),
            number: 0,
            end: 0,
        })
    }

    /// The next line, or `None` at the end.
    pub fn next(&mut self) -> Result<Option<SegmentLine<'_>>, OpenError> {
        self.line.clear();
        let read = self.reader.read_until(b'\n', &mut self.line);
        let read = read.map_err(|source| OpenError::Directory {
            what: "read",
            path: self.path.clone(),
            source,
        })?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.end += read as u64;
        let ended = self.line.ends_with(b"\n");
        let bytes = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        Ok(Some(SegmentLine { bytes, ended, number: self.number, end: self.end }))
    }
}
