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

use crate::domain::id::{ChangeId, Digest, RolloutId};
use crate::domain::journal::{Entry, JournalEvent};

use super::record::JournalRecord;
use super::segment;
use super::{ChangeStory, Unavailable};

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
        let mut entries = Vec::new();
        if limit == 0 {
            return Ok(entries);
        }
        // Only lines that name ours are worth reading.
        let name = rollout.map(name_of);
        self.walk(after, last, &mut |segment, seq, bytes| {
            if name.as_ref().is_none_or(|name| begins_with(bytes, name, HEAD)) {
                let entry = entry_of(segment, seq, bytes)?;
                if rollout.is_none_or(|id| entry.rollout == id) {
                    entries.push(entry);
                }
            }
            Ok(entries.len() < limit)
        })?;
        Ok(entries)
    }

    /// Gives lines after `after` and up to `last` to `each`, until it wants no more. Every line on
    /// the way, and the one after the last, must carry the digest of the line before it.
    fn walk(&self, after: u64, last: u64, each: EachLine<'_>) -> Result<(), Unavailable> {
        let last = last.min(self.seq);
        let start = self
            .firsts
            .partition_point(|first| *first <= after.saturating_add(1))
            .saturating_sub(1);
        let mut chain: Option<(u64, Digest)> = None;
        let (mut more, mut ended) = (true, false);
        for first in self.firsts.iter().skip(start) {
            if ended {
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
                if !more || seq > last {
                    ended = true;
                    return Ok(false);
                }
                chain = Some((seq, Digest::of(bytes)));
                if seq > after {
                    more = each(&segment, seq, bytes)?;
                }
                Ok(true)
            })?;
        }
        Ok(())
    }

    /// Entries of one change from the entry `from` back, newest first, at most `limit`; its rollout
    /// was submitted with the entry `submitted`. Nothing at all, if `from` is none of them.
    pub fn story(
        &self,
        id: ChangeId,
        from: u64,
        submitted: u64,
        limit: usize,
    ) -> Result<ChangeStory, Unavailable> {
        let mut story = ChangeStory { earlier: Some(from), ..ChangeStory::default() };
        while let Some(seq) = story.earlier
            && story.entries.len() < limit
        {
            let oldest = self.firsts.first().copied().unwrap_or(1);
            if seq < oldest {
                // Older segments were taken away.
                return Ok(ChangeStory { earlier: None, looked_to: Some(oldest), ..story });
            }
            let found = self.entries(Some(id.rollout), seq - 1, seq, 1)?.pop();
            let Some((entry, earlier, version)) = found.and_then(|entry| link(entry, id)) else {
                let Some(after) = story.entries.last() else { return Ok(ChangeStory::default()) };
                let (after, what) = (after.seq, "which is none of it");
                let what =
                    format!("entry {after} of change {id} names entry {seq} before it, {what}");
                return Err(Unavailable(what));
            };
            story.entries.push(entry);
            story.earlier = earlier;
            if earlier.is_none() && version > 1 {
                return self.walk_back(id, seq - 1, submitted, limit, story);
            }
        }
        Ok(story)
    }

    /// The same of a change whose latest entry is not known: an earlier version wrote it, no later
    /// than `last`.
    pub fn story_by_walk(
        &self,
        id: ChangeId,
        last: u64,
        submitted: u64,
        limit: usize,
    ) -> Result<ChangeStory, Unavailable> {
        self.walk_back(id, last, submitted, limit, ChangeStory::default())
    }

    /// Goes on with a story up to the entry `last`, before which no entry names another one.
    fn walk_back(
        &self,
        id: ChangeId,
        last: u64,
        submitted: u64,
        limit: usize,
        mut story: ChangeStory,
    ) -> Result<ChangeStory, Unavailable> {
        let from = last.saturating_sub(WALK_MAX).max(submitted);
        let name = name_of(id.rollout);
        let place = format!("\"ordinal\":{},", id.ordinal).into_bytes();
        let mut found = Vec::new();
        self.walk(from, last, &mut |segment, seq, bytes| {
            if begins_with(bytes, &name, HEAD) && begins_with(bytes, &place, 2 * HEAD) {
                found.extend(link(entry_of(segment, seq, bytes)?, id));
            }
            Ok(true)
        })?;
        let whole = from == submitted || found.first().is_some_and(|(.., version)| *version == 1);
        story.looked_to = (!whole).then_some(from + 1);
        story.earlier = None;
        for (entry, ..) in found.into_iter().rev() {
            if story.entries.len() == limit {
                story.earlier = Some(entry.seq);
                story.looked_to = None;
                break;
            }
            story.entries.push(entry);
        }
        Ok(story)
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

    /// Calls `each` with every synced line after `after`, until it says `false`. The chain is not
    /// checked.
    pub fn pass(&self, after: u64, each: Each<'_>) -> Result<(), Unavailable> {
        let start = self.firsts.partition_point(|first| *first <= after.saturating_add(1));
        let mut more = true;
        for first in self.firsts.iter().skip(start.saturating_sub(1)) {
            if !more {
                break;
            }
            let segment = Segment::open(segment::path(&self.dir, *first))?;
            let offset = if *first > after { 0 } else { segment.find(after + 1)? };
            segment.walk(offset, &mut |seq, bytes| {
                more = seq <= self.seq && (seq <= after || each(seq, bytes)?);
                Ok(more)
            })?;
        }
        Ok(())
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

/// Lines that are walked over for the entries of one change that an earlier version wrote.
const WALK_MAX: u64 = 200_000;

/// Is given a line with its segment and sequence; says whether to go on.
type EachLine<'a> = &'a mut dyn FnMut(&Segment, u64, &[u8]) -> Result<bool, Unavailable>;

/// How a line names its rollout.
fn name_of(rollout: RolloutId) -> Vec<u8> {
    format!("\"rollout\":\"{rollout}\"").into_bytes()
}

/// Whether this part of a line begins within its first bytes.
fn begins_with(bytes: &[u8], part: &[u8], within: usize) -> bool {
    bytes.windows(part.len()).take(within).any(|found| found == part)
}

fn entry_of(segment: &Segment, seq: u64, bytes: &[u8]) -> Result<Entry, Unavailable> {
    let read = JournalRecord::read(bytes);
    let (line, _) = read.map_err(|error| segment.unreadable(&format!("entry {seq}: {error}")))?;
    Ok(line.entry)
}

/// An entry of this change with the one that it names, and the version that it led to.
fn link(entry: Entry, id: ChangeId) -> Option<(Entry, Option<u64>, u64)> {
    let JournalEvent::Change { ordinal, earlier, record, .. } = &entry.what else { return None };
    let (earlier, version) = (*earlier, record.version);
    (entry.rollout == id.rollout && *ordinal == id.ordinal).then_some((entry, earlier, version))
}

/// Is given a line with its sequence; says whether to go on.
pub(crate) type Each<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<bool, Unavailable>;

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
        #[cfg(test)]
        tests::READS.with(|reads| reads.set(reads.get() + 1));
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
    use crate::domain::change;
    use crate::domain::journal::JournalEvent;
    use crate::domain::rollout::Record;
    use crate::store::failpoint::Failpoint;
    use crate::store::fixtures::{at, target};
    use crate::store::journal::Journal;

    thread_local! {
        /// Reads of a segment by this thread.
        pub(super) static READS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

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
                via: None,
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
                    via: None,
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
                    via: None,
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

    /// A journal of so many lines in which one change moves at `places` alone. Lines with `linked`
    /// false are as an earlier version wrote them.
    fn moving(dir: &Path, lines: u64, places: &[u64], linked: impl Fn(u64) -> bool) -> Reader {
        let (mut journal, _) =
            Journal::open(dir, 700 * 1024, Failpoint::default()).expect("a new journal");
        let (mut earlier, mut version) = (None, 0);
        for seq in 1..=lines {
            let ours = places.contains(&seq);
            let record = change::Record {
                version: if ours { version + 1 } else { 1 },
                ..change::Record::queued()
            };
            let what = JournalEvent::Change {
                ordinal: if ours { 7 } else { 77 },
                instance_id: target(0, 0).instance_id,
                proxy_id: target(0, 0).proxy_id,
                from: "queued".into(),
                to: "queued".into(),
                why: "x".repeat((seq % 97) as usize),
                call: None,
                answer: None,
                by: None,
                via: None,
                earlier: earlier.filter(|_| ours && linked(seq)),
                record,
            };
            if ours {
                (earlier, version) = (Some(seq), version + 1);
            }
            let entry = Entry { seq, at: at(0), rollout: RolloutId::from_bytes([1; 16]), what };
            let line = JournalRecord { entry, due: None, more: 0 };
            journal.append(std::iter::once(&line)).expect("room on disk");
        }
        journal.sync().expect("room on disk");
        journal.reader()
    }

    fn seqs(story: &ChangeStory) -> Vec<u64> {
        story.entries.iter().map(|entry| entry.seq).collect()
    }

    fn moving_change() -> ChangeId {
        ChangeId { rollout: RolloutId::from_bytes([1; 16]), ordinal: 7 }
    }

    #[test]
    fn a_story_costs_reads_by_its_own_entries_however_long_the_journal_is() {
        let reads = |lines: u64, entries: u64| {
            let dir = tempfile::tempdir().expect("a directory");
            let places: Vec<u64> = (0..entries).map(|n| n * (lines / entries) + 1).collect();
            let reader = moving(dir.path(), lines, &places, |_| true);
            READS.set(0);
            let story =
                reader.story(moving_change(), places[places.len() - 1], 0, 99).expect("readable");
            let newest_first: Vec<u64> = places.into_iter().rev().collect();
            assert_eq!((seqs(&story), story.earlier, story.looked_to), (newest_first, None, None));
            READS.get()
        };
        // Halving a segment of 700 KiB takes four reads, and two blocks hold the line and the next.
        let each = 8;
        for (lines, entries) in [(3_000, 4), (3_000, 12), (12_000, 4), (12_000, 12)] {
            let reads = reads(lines, entries);
            assert!(reads <= entries * each, "{reads} reads for {entries} of {lines} entries");
        }
    }

    #[test]
    fn what_an_earlier_version_wrote_is_walked_to() {
        let dir = tempfile::tempdir().expect("a directory");
        let places = [40, 900, 1_700, 2_400, 2_900];
        let reader = moving(dir.path(), 3_000, &places, |seq| seq > 2_000);
        let whole = reader.story(moving_change(), 2_900, 3, 99).expect("readable");
        assert_eq!(seqs(&whole), [2_900, 2_400, 1_700, 900, 40]);
        assert_eq!((whole.earlier, whole.looked_to), (None, None), "its first is there");
        // Page by page it is the same.
        let (mut paged, mut from) = (Vec::new(), Some(2_900));
        while let Some(seq) = from {
            let page = reader.story(moving_change(), seq, 3, 2).expect("readable");
            paged.extend(seqs(&page));
            from = page.earlier;
        }
        assert_eq!(paged, seqs(&whole));
        let unknown = reader.story_by_walk(moving_change(), 2_950, 3, 3).expect("readable");
        assert_eq!((seqs(&unknown), unknown.earlier), (vec![2_900, 2_400, 1_700], Some(900)));
        let other = reader.story(moving_change(), 2_899, 3, 99).expect("readable");
        assert_eq!(other, ChangeStory::default(), "that entry is another change's");
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
