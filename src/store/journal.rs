//! The journal on disk: the source of truth. The queue is only its index.
//!
//! Job: append whole commits, sync, begin new segments; find and check what is there at start; read
//! it back.
//!
//! Invariants: sequences are dense from the first segment's name on; each line carries the digest
//! of the line before it; a segment is closed for good when the next one begins; what was synced is
//! never rewritten.
//!
//! Deliberately not here: what an entry means, and who waits until it is durable.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::domain::id::Digest;

use super::error::OpenError;
use super::failpoint::{Failpoint, Point};
use super::files::{create_file, sync_dir};
use super::held::HeldFile;
use super::reader::Reader;
use super::record::JournalRecord;
use super::record::Mark;
use super::segment::{self, Glance, Lines};

/// The journal, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    segment_bytes: u64,
    failpoint: Failpoint,
    /// First sequences of all segments.
    firsts: Vec<u64>,
    /// The last segment; `None` until the first line is written.
    file: Option<HeldFile>,
    /// Bytes of the last segment.
    bytes: u64,
    /// Bytes of all closed ones.
    closed_bytes: u64,
    seq: u64,
    head: Digest,
    /// The file is new: its name must be made durable with the next sync.
    unnamed: bool,
    buffer: Vec<u8>,
}

impl Journal {
    /// Finds what is there. The second part says what was cut off, if anything was.
    pub fn open(
        dir: &Path,
        segment_bytes: u64,
        failpoint: Failpoint,
    ) -> Result<(Self, Option<String>), OpenError> {
        let fail = |path: &Path, what: &'static str| {
            let path = path.to_owned();
            move |source| OpenError::Directory { what, path, source }
        };
        let mut firsts = segment::list(dir).map_err(fail(dir, "list"))?;
        let (mut seq, mut head) =
            (firsts.first().map_or(0, |first| first.saturating_sub(1)), Digest::ZERO);
        let mut closed_bytes = 0;
        for pair in firsts.windows(2) {
            let path = segment::path(dir, pair[0]);
            let (last, digest) = segment::last_line(&path)?;
            if last.more == 0 && last.seq >= pair[0] && last.seq + 1 < pair[1] {
                let what = format!(
                    "is missing, or {} was cut: that one ends with sequence {}, and the next segment begins with {}",
                    path.display(),
                    last.seq,
                    pair[1]
                );
                return Err(OpenError::Damaged {
                    path: segment::path(dir, last.seq + 1),
                    line: 0,
                    what,
                });
            }
            if last.seq + 1 != pair[1] || last.more != 0 {
                let what = format!(
                    "ends with sequence {}, and the next segment begins with {}",
                    last.seq, pair[1]
                );
                return Err(OpenError::Damaged { path, line: 0, what });
            }
            if first_prev(&segment::path(dir, pair[1]))?.is_some_and(|prev| prev != digest) {
                let what = format!(
                    "does not carry the digest of the last line of {}: one of the two was changed",
                    path.display()
                );
                return Err(OpenError::Damaged {
                    path: segment::path(dir, pair[1]),
                    line: 1,
                    what,
                });
            }
            (seq, head) = (last.seq, digest);
            closed_bytes += path.metadata().map_err(fail(&path, "look at"))?.len();
        }
        let mut torn = None;
        let mut bytes = 0;
        let mut file = None;
        if let Some(first) = firsts.last().copied() {
            let path = segment::path(dir, first);
            if firsts.len() == 1 && first > 1 {
                head = first_prev(&path)?.unwrap_or(Digest::ZERO);
            }
            let good = segment::verify(&path, seq, head)?;
            let open = OpenOptions::new().append(true).open(&path).map_err(fail(&path, "open"))?;
            let there = open.metadata().map_err(fail(&path, "look at"))?.len();
            if there > good.bytes {
                open.set_len(good.bytes)
                    .and_then(|()| open.sync_all())
                    .map_err(fail(&path, "cut"))?;
                let cut = there - good.bytes;
                torn = Some(format!(
                    "{}: {} unfinished lines ({cut} bytes) after entry {} were cut off",
                    path.display(),
                    good.torn,
                    good.seq
                ));
            }
            (seq, head, bytes) = (good.seq, good.head, good.bytes);
            file = Some(HeldFile::new(open, path.clone()).map_err(fail(&path, "look at"))?);
        }
        firsts.shrink_to_fit();
        let journal = Self {
            dir: dir.to_owned(),
            segment_bytes,
            failpoint,
            firsts,
            file,
            bytes,
            closed_bytes,
            seq,
            head,
            unnamed: false,
            buffer: Vec::new(),
        };
        Ok((journal, torn))
    }

    pub fn mark(&self) -> Mark {
        Mark { seq: self.seq, head: self.head }
    }

    /// The sequence that the oldest segment begins with; 1 unless older ones were taken away.
    pub fn first(&self) -> u64 {
        self.firsts.first().copied().unwrap_or(1)
    }

    pub fn total_bytes(&self) -> u64 {
        self.closed_bytes + self.bytes
    }

    /// Whether the next append begins a new segment.
    pub fn is_full(&self) -> bool {
        self.file.is_none() || self.bytes >= self.segment_bytes
    }

    /// Appends lines in one write; durable only after [`Self::sync`].
    pub fn append<'a>(&mut self, lines: impl Iterator<Item = &'a JournalRecord>) -> io::Result<()> {
        if self.is_full() {
            self.begin_segment()?;
        }
        self.buffer.clear();
        let (mut seq, mut head) = (self.seq, self.head);
        for line in lines {
            debug_assert_eq!(line.entry.seq, seq + 1, "the journal is dense");
            head = line.write(head, &mut self.buffer);
            seq = line.entry.seq;
        }
        let mut file = self.file.as_ref().expect("a segment was begun above").file();
        file.write_all(&self.buffer)?;
        self.bytes += self.buffer.len() as u64;
        (self.seq, self.head) = (seq, head);
        self.failpoint.at(Point::JournalWritten)
    }

    /// Makes everything appended durable, where the next start finds it.
    pub fn sync(&mut self) -> io::Result<()> {
        if let Some(held) = &self.file {
            held.file().sync_data()?;
            held.confirm()?;
        }
        if self.unnamed {
            sync_dir(&self.dir)?;
            self.unnamed = false;
        }
        self.failpoint.at(Point::JournalSynced)
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        self.failpoint.at(Point::SegmentBegins)?;
        let first = self.seq + 1;
        let path = segment::path(&self.dir, first);
        drop(create_file(&path)?);
        self.file = Some(HeldFile::new(OpenOptions::new().append(true).open(&path)?, path)?);
        self.firsts.push(first);
        self.closed_bytes += self.bytes;
        self.bytes = 0;
        self.unnamed = true;
        Ok(())
    }

    /// Reads lines after `after` in their order, checking the chain on the way.
    pub fn replay<E: From<OpenError>>(
        &self,
        after: u64,
        each: &mut dyn FnMut(JournalRecord, Digest) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.firsts.partition_point(|first| *first <= after + 1).saturating_sub(1);
        let mut chain: Option<(u64, Digest)> = None;
        for first in &self.firsts[start..] {
            let path = segment::path(&self.dir, *first);
            let mut lines = Lines::open(&path)?;
            while let Some(found) = lines.next()? {
                let number = found.number;
                let damaged =
                    |what: String| OpenError::Damaged { path: path.clone(), line: number, what };
                let (line, prev) = JournalRecord::read(found.bytes)
                    .map_err(|source| damaged(source.to_string()))?;
                let glance = Glance { seq: line.entry.seq, more: line.more, prev };
                if let Some((before, head)) = chain {
                    segment::follows(&path, number, &glance, before, head)?;
                }
                let digest = Digest::of(found.bytes);
                chain = Some((glance.seq, digest));
                if line.entry.seq > after {
                    each(line, digest)?;
                }
            }
        }
        Ok(())
    }

    /// A reader of what is durable now.
    pub fn reader(&self) -> Reader {
        Reader::new(&self.dir, &self.firsts, self.seq)
    }
}

/// The digest that a segment's first line gives for the line before it; `None` when it has no
/// readable line.
fn first_prev(path: &Path) -> Result<Option<Digest>, OpenError> {
    let mut lines = Lines::open(path)?;
    Ok(lines.next()?.and_then(|found| Glance::of(found.bytes)).map(|glance| glance.prev))
}
