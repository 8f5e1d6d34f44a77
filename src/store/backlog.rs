//! Records that are in the journal and not yet in the queue: the buffer between the two writers.
//!
//! Job: gather records for a while, so that a change which moves several times in that while costs
//! the queue one write.
//!
//! Invariants: the records are in the journal's order, whole commits, at most [`LINES_MAX`] and one
//! batch; a reader that needs them in the queue asks for it and waits no longer than the writes
//! take. Losing them loses nothing: the next start replays them from the journal.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::pending::PendingRecord;
use super::record::Mark;

/// Lines with which gathering ends early: more would make a transaction that takes long, and a
/// start that does.
const LINES_ENOUGH: usize = 2_048;

/// Lines with which the journal waits for the queue: about 3 MiB.
pub(super) const LINES_MAX: usize = 4_096;

#[derive(Debug)]
pub(crate) struct Backlog {
    inner: Mutex<BacklogState>,
    changed: Condvar,
}

#[derive(Debug)]
struct BacklogState {
    records: Vec<PendingRecord>,
    /// Where the journal stood when the last of them was put in.
    reached: Mark,
    /// The sequence that the queue writer has taken, and the one that it has written.
    taken: u64,
    done: u64,
    /// Somebody waits for the queue to show this sequence.
    wanted: u64,
    ended: bool,
}

impl Backlog {
    /// An empty line, with journal and queue at the same place.
    pub fn new(reached: Mark) -> Self {
        let (taken, done) = (reached.seq, reached.seq);
        Self {
            inner: Mutex::new(BacklogState {
                records: Vec::new(),
                reached,
                taken,
                done,
                wanted: 0,
                ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BacklogState> {
        // Every critical section is a few moves of whole values.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        inner: MutexGuard<'a, BacklogState>,
        until: impl Fn(&BacklogState) -> bool,
    ) -> MutexGuard<'a, BacklogState> {
        self.changed
            .wait_while(inner, |inner| !until(inner))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a batch in that the journal has; waits for room.
    pub fn push(&self, records: Vec<PendingRecord>, reached: Mark) {
        let mut inner =
            self.wait(self.lock(), |inner| inner.records.len() < LINES_MAX || inner.ended);
        if inner.ended {
            return;
        }
        if inner.records.is_empty() {
            inner.records = records;
        } else {
            inner.records.extend(records);
        }
        inner.reached = reached;
        drop(inner);
        self.changed.notify_all();
    }

    /// Waits until everything put in is in the queue, or nothing comes any more.
    pub fn wait_done(&self) {
        drop(self.wait(self.lock(), |inner| inner.done >= inner.reached.seq || inner.ended));
    }

    /// Somebody waits for the queue to show this sequence.
    pub fn want(&self, seq: u64) {
        let mut inner = self.lock();
        inner.wanted = inner.wanted.max(seq);
        drop(inner);
        self.changed.notify_all();
    }

    /// All that is in line, after gathering for at most `gather`; `None` when nothing comes any
    /// more.
    pub fn take(&self, gather: Duration) -> Option<(Vec<PendingRecord>, Mark)> {
        let mut inner = self.wait(self.lock(), |inner| !inner.records.is_empty() || inner.ended);
        if !gather.is_zero() {
            let on = |inner: &mut BacklogState| {
                inner.wanted <= inner.taken && inner.records.len() < LINES_ENOUGH && !inner.ended
            };
            inner = self
                .changed
                .wait_timeout_while(inner, gather, on)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if inner.records.is_empty() {
            return None;
        }
        inner.taken = inner.reached.seq;
        let taken = (std::mem::take(&mut inner.records), inner.reached);
        drop(inner);
        self.changed.notify_all();
        Some(taken)
    }

    /// What was taken is in the queue.
    pub fn done(&self) {
        let mut inner = self.lock();
        inner.done = inner.taken;
        drop(inner);
        self.changed.notify_all();
    }

    /// Nothing comes any more; what is in line is still to be written.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Nothing comes any more, and what is in line is left to the next start.
    pub fn abandon(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        inner.records.clear();
        drop(inner);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::id::{Digest, RolloutId};
    use crate::domain::journal::{Entry, JournalEvent};
    use crate::store::fixtures::at;
    use crate::store::record::JournalRecord;

    const LONG: Duration = Duration::from_secs(3_600);

    fn mark(seq: u64) -> Mark {
        Mark { seq, head: Digest::ZERO }
    }

    fn records(seqs: std::ops::RangeInclusive<u64>) -> Vec<PendingRecord> {
        let record = crate::domain::rollout::Record::submitted();
        let what = JournalEvent::Rollout {
            from: "a".into(),
            to: "b".into(),
            why: String::new(),
            by: None,
            via: None,
            record,
        };
        let entry = |seq| Entry {
            seq,
            at: at(0),
            rollout: RolloutId::from_bytes([1; 16]),
            what: what.clone(),
        };
        seqs.map(|seq| PendingRecord {
            record: JournalRecord { entry: entry(seq), due: None, more: 0 },
            learnt: None,
            new_rollout: None,
        })
        .collect()
    }

    #[test]
    fn batches_are_gathered_in_their_order() {
        let backlog = Backlog::new(mark(0));
        backlog.push(records(1..=2), mark(2));
        backlog.push(records(3..=3), mark(3));
        backlog.want(3);
        let (taken, reached) = backlog.take(LONG).expect("there");
        assert_eq!(
            taken.iter().map(|pending| pending.record.entry.seq).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert_eq!(reached, mark(3));
        backlog.done();
        backlog.wait_done();
    }

    #[test]
    fn whoever_waits_is_not_left_to_the_gathering() {
        let backlog = Arc::new(Backlog::new(mark(0)));
        // Wanted before it is even in line.
        backlog.want(5);
        backlog.push(records(1..=2), mark(2));
        assert_eq!(backlog.take(LONG).expect("wanted").1, mark(2));
        backlog.push(records(3..=5), mark(5));
        assert_eq!(backlog.take(LONG).expect("wanted").1, mark(5));
        // What was wanted is taken: gathering begins again, and a full line ends it.
        backlog.push(records(6..=5 + LINES_ENOUGH as u64), mark(5 + LINES_ENOUGH as u64));
        assert_eq!(backlog.take(LONG).expect("enough").0.len(), LINES_ENOUGH);
    }

    #[test]
    fn a_full_line_makes_the_journal_wait() {
        let backlog = Arc::new(Backlog::new(mark(0)));
        let last = LINES_MAX as u64;
        backlog.push(records(1..=last), mark(last));
        let pusher = std::thread::spawn({
            let backlog = Arc::clone(&backlog);
            move || backlog.push(records(last + 1..=last + 1), mark(last + 1))
        });
        assert_eq!(backlog.take(LONG).expect("enough").0.len(), LINES_MAX);
        pusher.join().expect("there is room now");
        backlog.end();
        assert_eq!(backlog.take(LONG).expect("what is in line is still written").1, mark(last + 1));
        assert!(backlog.take(LONG).is_none());
    }

    #[test]
    fn a_failure_leaves_the_rest_to_the_next_start() {
        let backlog = Backlog::new(mark(0));
        backlog.push(records(1..=1), mark(1));
        backlog.abandon();
        assert!(backlog.take(LONG).is_none());
        backlog.push(records(2..=2), mark(2));
        backlog.wait_done();
        assert!(backlog.take(LONG).is_none());
    }
}
