//! Reads the durable part of the journal while the writer goes on.
//!
//! Invariant: nothing beyond the sequence that was synced when the reader was made is ever shown. A
//! line is found by binary search in the file, since lines begin with their sequence; no index is
//! kept.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::id::{Digest, RolloutId};
use crate::domain::journal::{Entry, JournalEvent};

use super::record::JournalRecord;
use super::segment;
use super::{Milestones, Unavailable};

/// A reader of what was durable when it was made.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    dir: Arc<Path>,
    firsts: Arc<[u64]>,
    seq: u64,
}

/// Bytes read at a time, and where halving gives way to walking.
const BLOCK: usize = 64 * 1024;

impl Reader {
    /// Reads segments that begin with these sequences, up to the line `seq`.
    pub fn new(dir: &Path, firsts: &[u64], seq: u64) -> Self {
        Self { dir: dir.into(), firsts: firsts.into(), seq }
    }

    /// First sequences of the segments that it reads.
    pub fn firsts(&self) -> &[u64] {
        &self.firsts
    }

    /// Entries after `after` and up to `last`, of one rollout or of all; at most `limit`. Every
    /// line on the way, and the one after the last, must carry the digest of the line before it:
    /// what was changed is reported, never shown.
    pub fn entries(
        &self,
        rollout: Option<RolloutId>,
        after: u64,
        last: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable> {
        let last = last.min(self.seq);
        let mut entries = Vec::new();
        // A line names its rollout literally near its begin; only lines that name ours are worth
        // reading.
        let name = rollout.map(|id| format!("\"rollout\":\"{id}\"").into_bytes());
        let start = self
            .firsts
            .partition_point(|first| *first <= after.saturating_add(1))
            .saturating_sub(1);
        let mut chain: Option<(u64, Digest)> = None;
        let mut more = true;
        for first in self.firsts.iter().skip(start) {
            if !more {
                break;
            }
            let segment = Segment::open(segment::path(&self.dir, *first))?;
            let offset = if *first > after { 0 } else { segment.find(after + 1)? };
            segment.walk(offset, &mut |seq, bytes| {
                if let Some((before, digest)) = chain
                    && (seq != before + 1 || prev_of(bytes) != Some(digest))
                {
                    return Err(segment.broken(seq, before));
                }
                more = seq <= last && entries.len() < limit;
                if !more {
                    return Ok(false);
                }
                chain = Some((seq, Digest::of(bytes)));
                let ours = name.as_ref().is_none_or(|name| {
                    bytes.windows(name.len()).take(HEAD).any(|part| part == name)
                });
                if ours && seq > after {
                    let (line, _) = JournalRecord::read(bytes)
                        .map_err(|error| segment.unreadable(&format!("entry {seq}: {error}")))?;
                    if rollout.is_none_or(|id| line.entry.rollout == id) {
                        entries.push(line.entry);
                    }
                }
                Ok(true)
            })?;
        }
        Ok(entries)
    }

    /// Entries after `after` that tell more than a step of a change, at most `limit`, out of a
    /// bounded number of lines. Steps are passed over by their first bytes, and neither parsed nor
    /// hashed: whoever shows the journal reads [`Self::entries`].
    pub fn milestones(&self, after: u64, limit: usize) -> Result<Milestones, Unavailable> {
        let mut found = Milestones { entries: Vec::new(), upto: after };
        let start = self.firsts.partition_point(|first| *first <= after.saturating_add(1));
        let mut more = true;
        for first in self.firsts.iter().skip(start.saturating_sub(1)) {
            if !more {
                break;
            }
            let segment = Segment::open(segment::path(&self.dir, *first))?;
            let offset = if *first > after { 0 } else { segment.find(after + 1)? };
            segment.walk(offset, &mut |seq, bytes| {
                let read = found.upto - after < LINES_AT_ONCE && found.entries.len() < limit;
                more = seq <= self.seq && read;
                if !more || seq <= after {
                    return Ok(more);
                }
                if !is_step(bytes) {
                    let (line, _) = JournalRecord::read(bytes)
                        .map_err(|error| segment.unreadable(&format!("entry {seq}: {error}")))?;
                    found.entries.extend(Some(line.entry).filter(Entry::is_milestone));
                }
                found.upto = seq;
                Ok(true)
            })?;
        }
        Ok(found)
    }

    /// Entries of one rollout after `after`, of which the last is `last`; at most `limit`. The
    /// ticks of an enforcement lie far apart: from the last of them back each names the one before
    /// it, and what lies between is not walked.
    pub fn entries_of(
        &self,
        rollout: RolloutId,
        after: u64,
        last: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable> {
        let (mut ticks, mut dense) = (Vec::new(), last.min(self.seq));
        while dense > after && ticks.len() < TICKS_MAX {
            let mut found = self.entries(Some(rollout), dense - 1, dense, 1)?;
            let Some(entry) = found.pop() else { break };
            let JournalEvent::Enforcement { previous: Some(previous), .. } = &entry.what else {
                break;
            };
            dense = (*previous).min(dense - 1);
            ticks.push(entry);
        }
        let mut entries = if dense > after {
            self.entries(Some(rollout), after, dense, limit)?
        } else {
            Vec::new()
        };
        let room = limit.saturating_sub(entries.len());
        entries.extend(ticks.into_iter().rev().take(room));
        Ok(entries)
    }

    /// Bytes of a segment that is closed.
    pub fn bytes_of(&self, first: u64) -> Result<u64, Unavailable> {
        let path = segment::path(&self.dir, first);
        let meta = path
            .metadata()
            .map_err(|error| Unavailable(format!("cannot look at {}: {error}", path.display())))?;
        Ok(meta.len())
    }

    /// When the segment that begins with this sequence was begun; `None` when nothing synced is in
    /// it.
    pub fn began(&self, first: u64) -> Result<Option<Timestamp>, Unavailable> {
        let segment = Segment::open(segment::path(&self.dir, first))?;
        let mut began = None;
        segment.walk(0, &mut |seq, bytes| {
            if seq <= self.seq {
                let (line, _) = JournalRecord::read(bytes)
                    .map_err(|error| segment.unreadable(&format!("entry {seq}: {error}")))?;
                began = Some(line.entry.at);
            }
            Ok(false)
        })?;
        Ok(began)
    }

    /// The digest of the line with this sequence; `None` when there is none.
    pub fn digest_at(&self, wanted: u64) -> Result<Option<Digest>, Unavailable> {
        let Some(first) = self.firsts.iter().rev().find(|first| **first <= wanted) else {
            return Ok(None);
        };
        let segment = Segment::open(segment::path(&self.dir, *first))?;
        let mut digest = None;
        segment.walk(segment.find(wanted)?, &mut |seq, bytes| {
            if seq == wanted {
                digest = Some(Digest::of(bytes));
            }
            Ok(seq < wanted)
        })?;
        Ok(digest)
    }
}

/// Ticks that are followed back; those before them are walked to.
const TICKS_MAX: usize = 2_000;

/// Bytes of a line within which its rollout stands: sequence and instant come before it.
const HEAD: usize = 120;

/// Lines that are passed over in one go: some ten megabytes.
const LINES_AT_ONCE: u64 = 10_000;

/// Bytes of a line within which a change's new state stands: names and ids come before it, and what
/// a person or the cloud said after it.
const STEP_HEAD: usize = 400;

/// Whether a line is a step of a change and surely no more than that.
fn is_step(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(STEP_HEAD)];
    let finds = |part: &[u8]| head.windows(part.len()).position(|found| found == part);
    let Some(kind) = finds(b"\"kind\":\"") else { return false };
    let is_change = head[kind..].starts_with(b"\"kind\":\"change\"");
    let to = finds(b"\"to\":\"").filter(|_| is_change);
    to.is_some_and(|to| !head[to..].starts_with(b"\"to\":\"in_doubt\""))
}

/// Is given a line with its sequence; says whether to go on.
type Each<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<bool, Unavailable>;

struct Segment {
    path: PathBuf,
    file: File,
}

impl Segment {
    fn open(path: PathBuf) -> Result<Self, Unavailable> {
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(Unavailable(format!("cannot open {}: {error}", path.display()))),
        }
    }

    fn unreadable(&self, what: &dyn std::fmt::Display) -> Unavailable {
        Unavailable(format!("cannot read {}: {what}", self.path.display()))
    }

    /// Two lines that do not fit together; the first may stand at the end of the segment before.
    fn broken(&self, seq: u64, before: u64) -> Unavailable {
        let what = format!(
            "entry {seq} does not carry the digest of entry {before}, or stands in another's place: one of the two was changed"
        );
        let earlier = segment::list(self.path.parent().unwrap_or(Path::new(""))).ok();
        let earlier = earlier.and_then(|firsts| firsts.into_iter().rfind(|first| *first <= before));
        let earlier = earlier
            .map(|first| self.path.with_file_name(segment::path(Path::new(""), first)))
            .filter(|path| *path != self.path);
        match earlier {
            Some(path) => {
                self.unreadable(&format!("{what}; entry {before} stands in {}", path.display()))
            }
            None => self.unreadable(&what),
        }
    }

    /// An offset at or before the line with this sequence, where a line begins.
    fn find(&self, seq: u64) -> Result<u64, Unavailable> {
        let mut low = 0;
        let mut high = self.file.metadata().map_err(|error| self.unreadable(&error))?.len();
        while high - low > BLOCK as u64 {
            let middle = low + (high - low) / 2;
            match self.line_after(middle)? {
                Some((offset, found)) if found <= seq && offset < high => low = offset,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// The first line that begins after `offset`: where, and its sequence.
    fn line_after(&self, offset: u64) -> Result<Option<(u64, u64)>, Unavailable> {
        let mut span = 8 * 1024;
        loop {
            let bytes = self.read(offset, span)?;
            let start = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            match start.and_then(|start| Some((offset + start as u64, seq_of(&bytes[start..])?))) {
                Some(found) => return Ok(Some(found)),
                None if bytes.len() < span => return Ok(None),
                None => span *= 2,
            }
        }
    }

    fn read(&self, offset: u64, span: usize) -> Result<Vec<u8>, Unavailable> {
        let mut bytes = vec![0; span];
        let mut filled = 0;
        while filled < span {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Calls `each` with every whole line from `offset` on, until it says `false`.
    fn walk(&self, mut offset: u64, each: Each<'_>) -> Result<(), Unavailable> {
        let mut pending: Vec<u8> = Vec::new();
        loop {
            let block = self.read(offset, BLOCK)?;
            if block.is_empty() {
                return Ok(());
            }
            offset += block.len() as u64;
            pending.extend_from_slice(&block);
            let mut start = 0;
            while let Some(at) = pending[start..].iter().position(|byte| *byte == b'\n') {
                let line = &pending[start..start + at];
                let seq = seq_of(line)
                    .ok_or_else(|| self.unreadable(&"a line does not begin with its sequence"))?;
                if !each(seq, line)? {
                    return Ok(());
                }
                start += at + 1;
            }
            pending.drain(..start);
        }
    }
}

/// The sequence that a line begins with.
fn seq_of(bytes: &[u8]) -> Option<u64> {
    let rest = bytes.strip_prefix(b"{\"seq\":")?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// The digest that a line carries for the one before it; it stands at the line's end.
fn prev_of(bytes: &[u8]) -> Option<Digest> {
    let rest = bytes.strip_suffix(b"\"}")?;
    let (head, digest) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    head.ends_with(b"\"prev\":\"").then_some(())?;
    std::str::from_utf8(digest).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::journal::JournalEvent;
    use crate::domain::rollout::Record;
    use crate::store::failpoint::Failpoint;
    use crate::store::fixtures::at;
    use crate::store::journal::Journal;

    const LINES: u64 = 6_000;

    /// Lines of two rollouts in turn, of lengths that differ, over several segments.
    fn journal(dir: &Path) -> Journal {
        let (mut journal, torn) =
            Journal::open(dir, 700 * 1024, Failpoint::default()).expect("a new journal");
        assert_eq!(torn, None);
        for seq in 1..=LINES {
            let why = "x".repeat((seq % 97) as usize);
            let what = JournalEvent::Rollout {
                from: "advancing".into(),
                to: "advancing".into(),
                why,
                by: None,
                record: Record::submitted(),
            };
            let entry = Entry {
                seq,
                at: at(0),
                rollout: RolloutId::from_bytes([(seq % 2) as u8; 16]),
                what,
            };
            journal
                .append(std::iter::once(&JournalRecord { entry, due: None, more: 0 }))
                .expect("room on disk");
        }
        journal.sync().expect("room on disk");
        journal
    }

    #[test]
    fn every_line_is_found_by_halving() {
        let dir = tempfile::tempdir().expect("a directory");
        let reader = journal(dir.path()).reader();
        assert!(reader.firsts.len() > 2, "several segments");
        for after in (0..LINES).step_by(61).chain([LINES - 1]) {
            let found = reader.entries(None, after, u64::MAX, 3).expect("readable");
            let expected: Vec<u64> = (after + 1..=LINES).take(3).collect();
            assert_eq!(found.iter().map(|entry| entry.seq).collect::<Vec<_>>(), expected);
            assert!(reader.digest_at(after + 1).expect("readable").is_some());
        }
        assert_eq!(reader.digest_at(LINES + 1).expect("readable"), None);
        let odd = reader
            .entries(Some(RolloutId::from_bytes([1; 16])), 2_000, 2_010, 99)
            .expect("readable");
        assert_eq!(
            odd.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
            [2_001, 2_003, 2_005, 2_007, 2_009]
        );
    }

    #[test]
    fn what_was_changed_is_reported_and_never_shown() {
        let dir = tempfile::tempdir().expect("a directory");
        let reader = journal(dir.path()).reader();
        let path = segment::path(dir.path(), reader.firsts[0]);
        let whole = std::fs::read(&path).expect("there");
        let line = |seq: u64| {
            let begins = format!("{{\"seq\":{seq},");
            whole
                .windows(begins.len())
                .position(|part| part == begins.as_bytes())
                .expect("in the first segment")
        };
        // In the words of an entry, in its instant, in its sequence, in the digest that it carries,
        // in its rollout.
        let of = |seq, part: &str| {
            line(seq)
                + whole[line(seq)..]
                    .windows(part.len())
                    .position(|found| found == part.as_bytes())
                    .expect("there")
        };
        let last = reader.firsts[1] - 1;
        for at in [
            of(90, "xxx"),
            of(90, "\"at\"") + 7,
            line(90) + 8,
            of(90, "\"prev\"") + 12,
            of(90, "\"rollout\"") + 12,
            of(last, "xxx"),
        ] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).expect("room on disk");
            for (rollout, after) in
                [(None, 0), (None, 85), (Some(RolloutId::from_bytes([0; 16])), 0)]
            {
                let message = reader
                    .entries(rollout, after, u64::MAX, usize::MAX)
                    .expect_err("changed")
                    .to_string();
                assert!(message.contains(&path.display().to_string()), "{message}");
            }
        }
        std::fs::write(&path, whole).expect("room on disk");
        assert_eq!(
            reader.entries(None, 0, u64::MAX, usize::MAX).expect("whole again").len() as u64,
            LINES
        );
    }

    /// A line in the middle of the others' work is damaged: a walk over it would report it.
    #[test]
    fn what_lies_between_two_ticks_is_not_walked() {
        let dir = tempfile::tempdir().expect("a directory");
        let (ours, others) = (RolloutId::from_bytes([1; 16]), RolloutId::from_bytes([2; 16]));
        let (mut journal, _) =
            Journal::open(dir.path(), 700 * 1024, Failpoint::default()).expect("a new journal");
        let (mut last, mut expected) = (0, Vec::new());
        for seq in 1..=LINES {
            let tick = seq > 100 && (seq % 1_500 == 0 || seq % 1_500 == 1);
            let what = if tick {
                let record = Box::new(crate::store::fixtures::enforced(ours, 0));
                let name = crate::domain::id::Name::parse("alpha", "plan").expect("letters");
                JournalEvent::Enforcement {
                    name,
                    from: "idle".into(),
                    to: "idle".into(),
                    why: "a tick".into(),
                    by: None,
                    record,
                    previous: Some(last),
                }
            } else {
                let why = "x".repeat(80);
                JournalEvent::Rollout {
                    from: "advancing".into(),
                    to: "advancing".into(),
                    why,
                    by: None,
                    record: Record::submitted(),
                }
            };
            let rollout = if seq <= 100 || tick { ours } else { others };
            if rollout == ours {
                last = seq;
                expected.push(seq);
            }
            let entry = Entry { seq, at: at(0), rollout, what };
            journal
                .append(std::iter::once(&JournalRecord { entry, due: None, more: 0 }))
                .expect("room on disk");
        }
        journal.sync().expect("room on disk");
        let reader = journal.reader();
        let path = segment::path(dir.path(), reader.firsts[0]);
        let mut bytes = std::fs::read(&path).expect("there");
        let begins = "{\"seq\":800,";
        let at = bytes
            .windows(begins.len())
            .position(|part| part == begins.as_bytes())
            .expect("in the first segment")
            + 200;
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("room on disk");
        assert!(
            reader.entries(Some(ours), 0, last, usize::MAX).is_err(),
            "the damage is met by a walk"
        );
        for (after, limit) in [
            (0, usize::MAX),
            (0, 7),
            (0, 101),
            (99, 5),
            (100, 3),
            (1_500, 2),
            (1_501, 99),
            (last, 9),
        ] {
            let found =
                reader.entries_of(ours, after, last, limit).expect("nothing of it is damaged");
            let wanted: Vec<u64> =
                expected.iter().copied().filter(|seq| *seq > after).take(limit).collect();
            assert_eq!(
                found.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
                wanted,
                "after {after}, at most {limit}"
            );
        }
    }

    #[test]
    fn what_is_not_synced_is_not_shown() {
        let dir = tempfile::tempdir().expect("a directory");
        let journal = journal(dir.path());
        let early = Reader::new(dir.path(), &segment::list(dir.path()).expect("there"), 5);
        assert_eq!(early.entries(None, 3, u64::MAX, 99).expect("readable").len(), 2);
        assert_eq!(
            early.digest_at(5).expect("readable"),
            journal.reader().digest_at(5).expect("readable")
        );
    }

    #[test]
    fn a_reopened_journal_goes_on_with_the_chain() {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = journal(dir.path()).mark();
        let (journal, torn) =
            Journal::open(dir.path(), 700 * 1024, Failpoint::default()).expect("sound");
        assert_eq!((journal.mark(), torn), (mark, None));
        let mut seen = 0;
        journal
            .replay(10, &mut |line, _| {
                seen += 1;
                assert_eq!(line.entry.seq, 10 + seen);
                Ok::<(), crate::store::error::OpenError>(())
            })
            .expect("an unbroken chain");
        assert_eq!(seen, LINES - 10);
    }
}
