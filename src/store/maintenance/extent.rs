//! How much of a journal there is, and a strict walk over it, line by line.
//!
//! Invariant: a walk checks every line's place in the chain, from the first entry on, and refuses
//! at the first one that is wrong; what it has yielded is the beginning of exactly one history.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::domain::id::Digest;
use crate::domain::journal::JournalEvent;
use crate::store::error::OpenError;
use crate::store::record::JournalRecord;
use crate::store::record::Mark;
use crate::store::segment::{self, Glance, Lines};
use crate::store::shared::SyncedUpTo;

/// How much of a journal there is.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    dir: PathBuf,
    /// First sequences of its segments.
    pub firsts: Vec<u64>,
    /// Bytes of the last one that count.
    pub last_bytes: u64,
    /// The last entry that counts.
    pub mark: Mark,
    /// What stands behind it and does not count: lines of a commit that a crash left unfinished.
    pub torn: u64,
}

/// A line with its place.
pub(crate) struct Walked<'a> {
    pub line: JournalRecord,
    /// Its bytes without the line feed.
    pub bytes: &'a [u8],
    pub digest: Digest,
}

impl Extent {
    /// All of the journal in a directory that nobody writes to; refused when it is damaged.
    pub fn of_journal(dir: &Path) -> Result<Self, OpenError> {
        let list = segment::list(dir);
        let firsts = list.map_err(|source| OpenError::Directory {
            what: "list",
            path: dir.to_owned(),
            source,
        })?;
        let mut extent = Self {
            dir: dir.to_owned(),
            firsts,
            last_bytes: 0,
            mark: Mark { seq: 0, head: Digest::ZERO },
            torn: 0,
        };
        let Some((last, closed)) = extent.firsts.split_last() else { return Ok(extent) };
        begins(&extent.dir, closed.first().unwrap_or(last))?;
        let mut mark = extent.mark;
        for first in closed {
            let (glance, digest) = segment::last_line(&segment::path(dir, *first))?;
            mark = Mark { seq: glance.seq, head: digest };
        }
        let good = segment::verify(&segment::path(dir, *last), mark.seq, mark.head)?;
        (extent.last_bytes, extent.torn) = (good.bytes, good.torn);
        extent.mark = Mark { seq: good.seq, head: good.head };
        Ok(extent)
    }

    /// What is synced of a journal that a daemon goes on writing.
    pub fn of_synced(dir: PathBuf, synced: &SyncedUpTo) -> Result<Self, OpenError> {
        let firsts = synced.reader.firsts().to_vec();
        let mut closed = 0;
        for first in firsts.iter().rev().skip(1) {
            closed += length(&segment::path(&dir, *first))?;
        }
        Ok(Self {
            dir,
            firsts,
            last_bytes: synced.journal_bytes - closed,
            mark: synced.mark,
            torn: 0,
        })
    }

    /// Bytes of one segment that count.
    pub fn bytes_of(&self, first: u64) -> Result<u64, OpenError> {
        if self.firsts.last() == Some(&first) {
            Ok(self.last_bytes)
        } else {
            length(&segment::path(&self.dir, first))
        }
    }

    /// Path of one segment.
    pub fn path_of(&self, first: u64) -> PathBuf {
        segment::path(&self.dir, first)
    }

    /// The submissions that it names, from a walk over all of it.
    pub fn submissions(&self) -> Result<BTreeSet<Digest>, OpenError> {
        let mut submissions = BTreeSet::new();
        self.walk::<OpenError>(u64::MAX, &mut |walked| {
            if let JournalEvent::Submitted { submission, .. } = walked.line.entry.what {
                submissions.insert(submission);
            }
            Ok(())
        })?;
        Ok(submissions)
    }

    /// Tells every line up to the entry `until`, in order; says where it ended.
    pub fn walk<E: From<OpenError>>(
        &self,
        until: u64,
        each: &mut dyn FnMut(Walked<'_>) -> Result<(), E>,
    ) -> Result<Mark, E> {
        let mut chain = ExtentWalk::begin();
        for first in &self.firsts {
            let mut segment = OpenSegment::open(self, *first, chain)?;
            while chain.mark.seq < until
                && let Some(walked) = segment.next()?
            {
                chain.mark = Mark { seq: walked.line.entry.seq, head: walked.digest };
                each(walked)?;
            }
            if chain.mark.seq >= until {
                return Ok(chain.mark);
            }
        }
        if chain.mark != self.mark {
            let what = format!(
                "the journal ends with entry {} where {} belongs",
                chain.mark.seq, self.mark.seq
            );
            return Err(OpenError::Damaged { path: self.dir.clone(), line: 0, what }.into());
        }
        Ok(chain.mark)
    }
}

/// How far a walk is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExtentWalk {
    /// The last line yielded.
    pub mark: Mark,
}

impl ExtentWalk {
    /// Before the first entry.
    pub fn begin() -> Self {
        Self { mark: Mark { seq: 0, head: Digest::ZERO } }
    }
}

/// One segment, read line by line up to where it counts.
pub(crate) struct OpenSegment {
    path: PathBuf,
    lines: Lines,
    left: u64,
    chain: ExtentWalk,
    /// Lines of the commit that is being read which are still to come.
    more: u32,
}

impl OpenSegment {
    /// Opens a segment that goes on after `chain`.
    pub fn open(extent: &Extent, first: u64, chain: ExtentWalk) -> Result<Self, OpenError> {
        let path = extent.path_of(first);
        if first != chain.mark.seq + 1 {
            let what = format!(
                "begins with entry {first}, and the one before it ends with {}",
                chain.mark.seq
            );
            return Err(OpenError::Damaged { path, line: 0, what });
        }
        Ok(Self { lines: Lines::open(&path)?, left: extent.bytes_of(first)?, path, chain, more: 0 })
    }

    /// The next line; `None` where the segment ends.
    pub fn next(&mut self) -> Result<Option<Walked<'_>>, OpenError> {
        let damaged =
            |line: u64, what: String| OpenError::Damaged { path: self.path.clone(), line, what };
        if self.left == 0 {
            return if self.more == 0 {
                Ok(None)
            } else {
                Err(damaged(0, "ends in the middle of a commit".into()))
            };
        }
        let Some(found) = self.lines.next()? else {
            return Err(damaged(0, "is shorter than it was".into()));
        };
        let length = found.bytes.len() as u64 + 1;
        if !found.ended || length > self.left {
            return Err(damaged(found.number, "does not end".into()));
        }
        let (line, prev) = JournalRecord::read(found.bytes)
            .map_err(|error| damaged(found.number, format!("cannot be read: {error}")))?;
        let glance = Glance { seq: line.entry.seq, more: line.more, prev };
        segment::follows(
            &self.path,
            found.number,
            &glance,
            self.chain.mark.seq,
            self.chain.mark.head,
        )?;
        let digest = Digest::of(found.bytes);
        self.left -= length;
        self.more = line.more;
        self.chain.mark = Mark { seq: glance.seq, head: digest };
        Ok(Some(Walked { line, bytes: found.bytes, digest }))
    }
}

/// A journal is only good for a copy when it begins with its first entry.
fn begins(dir: &Path, first: &u64) -> Result<(), OpenError> {
    if *first == 1 {
        return Ok(());
    }
    let what = format!("the journal begins with entry {first}: its older segments are missing");
    Err(OpenError::Damaged { path: dir.to_owned(), line: 0, what })
}

fn length(path: &Path) -> Result<u64, OpenError> {
    path.metadata().map(|meta| meta.len()).map_err(|source| OpenError::Directory {
        what: "look at",
        path: path.to_owned(),
        source,
    })
}
