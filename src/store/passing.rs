//! Passes over the journal for who wants to know which changes moved, or what else happened.
//!
//! Job: read of each line no more than its beginning, and whole entries only of the changes that
//! are asked for: a tenth of the cost of reading every entry.
//!
//! Invariants: only what is synced is passed; a line whose beginning does not look as it is written
//! today is read whole, so the answer does not depend on how lines look.
//!
//! Deliberately not here: the chain of digests. Whoever needs evidence reads the journal
//! (`Store::journal`).

use std::sync::Arc;

use crate::domain::change::StateKind;
use crate::domain::id::{ChangeId, RolloutId};
use crate::domain::journal::{Entry, JournalEvent};

use super::reader::Reader;
use super::record::JournalRecord;
use super::{Milestones, Unavailable};

/// Lines that are passed over in one go for what is seldom: some ten megabytes.
const LINES_AT_ONCE: u64 = 10_000;

/// Says of which changes the whole entries are wanted.
pub type TakesWhole = Arc<dyn Fn(ChangeId) -> bool + Send + Sync>;

/// A change that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedMove {
    pub seq: u64,
    pub id: ChangeId,
    pub from: StateKind,
    pub to: StateKind,
    /// The whole entry, if it was asked for.
    pub entry: Option<Entry>,
}

/// What was passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedMoves {
    pub moves: Vec<PassedMove>,
    /// The last entry that was passed, of whatever kind.
    pub up_to: u64,
    /// There was no further one.
    pub is_last: bool,
}

impl PassedMoves {
    /// Of entries that were read whole, after `after`, at most so many.
    pub(super) fn of(passed: Vec<Entry>, after: u64, limit: usize, whole: &TakesWhole) -> Self {
        let (up_to, count) = (passed.last().map_or(after, |entry| entry.seq), passed.len());
        let moves = passed.into_iter().filter_map(|entry| of_entry(entry, whole)).collect();
        Self { moves, up_to, is_last: count < limit }
    }

    /// The same from the disk.
    pub(super) fn read(
        reader: &Reader,
        after: u64,
        limit: usize,
        whole: &TakesWhole,
    ) -> Result<Self, Unavailable> {
        let mut passed = Self { up_to: after, is_last: true, ..Self::default() };
        let mut count = 0;
        reader.pass(after, &mut |seq, line| {
            passed.is_last = count < limit;
            if !passed.is_last {
                return Ok(false);
            }
            count += 1;
            passed.up_to = seq;
            let (id, from, to) = match head(line) {
                Some(LineHead::Change(id, from, to)) => (id, from, to),
                Some(LineHead::Other) => return Ok(true),
                None => {
                    passed.moves.extend(of_entry(entry(seq, line)?, whole));
                    return Ok(true);
                }
            };
            let entry = if whole(id) { Some(entry(seq, line)?) } else { None };
            passed.moves.push(PassedMove { seq, id, from, to, entry });
            Ok(true)
        })?;
        Ok(passed)
    }
}

impl Milestones {
    /// Those after `after`, at most so many, out of a bounded number of lines.
    pub(super) fn read(reader: &Reader, after: u64, limit: usize) -> Result<Self, Unavailable> {
        let mut found = Self { entries: Vec::new(), upto: after };
        reader.pass(after, &mut |seq, line| {
            if seq > after + LINES_AT_ONCE || found.entries.len() == limit {
                return Ok(false);
            }
            let is_step = match head(line) {
                Some(LineHead::Change(.., to)) => to != StateKind::InDoubt,
                Some(LineHead::Other) | None => false,
            };
            if !is_step {
                found.entries.extend(Some(entry(seq, line)?).filter(Entry::is_milestone));
            }
            found.upto = seq;
            Ok(true)
        })?;
        Ok(found)
    }
}

fn entry(seq: u64, line: &[u8]) -> Result<Entry, Unavailable> {
    let read = JournalRecord::read(line);
    let (record, _) =
        read.map_err(|error| Unavailable(format!("cannot read entry {seq}: {error}")))?;
    Ok(record.entry)
}

fn of_entry(entry: Entry, whole: &TakesWhole) -> Option<PassedMove> {
    let JournalEvent::Change { ordinal, from, to, .. } = &entry.what else { return None };
    let id = ChangeId { rollout: entry.rollout, ordinal: *ordinal };
    let (from, to) = (StateKind::parse(from)?, StateKind::parse(to)?);
    Some(PassedMove { seq: entry.seq, id, from, to, entry: whole(id).then_some(entry) })
}

/// What the beginning of a line says.
enum LineHead {
    Change(ChangeId, StateKind, StateKind),
    Other,
}

/// Reads the beginning of a line as `record` writes it; `None`: it looks otherwise.
fn head(line: &[u8]) -> Option<LineHead> {
    let rest = line.strip_prefix(b"{\"seq\":")?;
    let (_, rest) = until(rest, b',')?;
    let (_, rest) = until(rest.strip_prefix(b"\"at\":\"")?, b'"')?;
    let (rollout, rest) = until(rest.strip_prefix(b",\"rollout\":\"")?, b'"')?;
    let (kind, rest) = until(rest.strip_prefix(b",\"kind\":\"")?, b'"')?;
    if kind != b"change" {
        return Some(LineHead::Other);
    }
    let (ordinal, rest) = until(rest.strip_prefix(b",\"ordinal\":")?, b',')?;
    let (_, rest) = until(rest.strip_prefix(b"\"instance_id\":\"")?, b'"')?;
    let (_, rest) = until(rest.strip_prefix(b",\"proxy_id\":\"")?, b'"')?;
    let (from, rest) = until(rest.strip_prefix(b",\"from\":\"")?, b'"')?;
    let (to, _) = until(rest.strip_prefix(b",\"to\":\"")?, b'"')?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let rollout: RolloutId = text(rollout)?.parse().ok()?;
    let id = ChangeId { rollout, ordinal: text(ordinal)?.parse().ok()? };
    Some(LineHead::Change(id, StateKind::parse(text(from)?)?, StateKind::parse(text(to)?)?))
}

fn until(bytes: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == end)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::fixtures::Driver;
    use crate::store::sled::{SledOptions, SledStore};

    #[tokio::test]
    async fn beginnings_of_lines_say_what_whole_entries_say() {
        let dir = tempfile::tempdir().expect("a directory");
        let options = SledOptions { floor_bytes: 0, ..SledOptions::default() };
        let store = SledStore::open(dir.path(), options).expect("a new store");
        let mut driver = Driver::new(7);
        driver.begin(&store).await;
        for _ in 0..60 {
            driver.step(&store).await;
        }
        store.durable().await.expect("in order");
        let whole: TakesWhole = Arc::new(|id| id.ordinal % 2 == 0);
        let (mut after, mut moves) = (0, Vec::new());
        loop {
            let passed = store.passed_moves(after, 7, whole.clone()).await.expect("in order");
            let entries = store.journal(None, after, 7).await.expect("in order");
            assert_eq!(passed, PassedMoves::of(entries, after, 7, &whole));
            after = passed.up_to;
            moves.extend(passed.moves);
            if passed.is_last {
                break;
            }
        }
        assert_eq!(after, store.health().seq);
        assert!(moves.len() > 20 && moves.iter().any(|one| one.entry.is_none()), "{moves:?}");
        let (_, synced) = store.synced_journal();
        let all = &mut |_: u64, line: &[u8]| {
            assert!(head(line).is_some(), "{}", String::from_utf8_lossy(line));
            Ok(true)
        };
        synced.reader.pass(0, all).expect("every line begins as it is expected to");
    }

    #[test]
    fn a_line_that_looks_otherwise_is_read_whole() {
        assert!(head(b"{\"seq\":1,\"rollout\":\"x\"}").is_none());
        assert!(head(b"{\"seq\":1").is_none());
    }
}
