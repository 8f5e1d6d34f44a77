//! The rollouts as the queue on disk has them: what lists and pages show.
//!
//! Invariant: it is at exactly the sequence that the queue has reached, so a page's rows and its
//! rollout fit together, and never ahead of what the journal has synced.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;

use crate::domain::change::{Change, StateKind};
use crate::domain::id::{ChangeId, Digest, RolloutId};
use crate::domain::journal::JournalEvent;
use crate::domain::tally::Tally;

use super::bins::{self, Activity, ActivityQuery, FreshBins};
use super::error::QueueError;
use super::page::{PageQuery, ShownRollout, page};
use super::pending::{FrozenRollout, NewRollout, PendingRecord};
use super::progress::Progress;
use super::queue::{Queue, StoredRollout};
use super::record::Mark;
use super::row::StoredRow;
use super::row::{StoredChange, change, is_failure};
use super::state::untouched;
use super::{Page, Rollout, Unavailable};

/// Rollouts in the queue.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    rollouts: BTreeMap<RolloutId, AppliedRollout>,
    order: BTreeMap<u64, RolloutId>,
    /// What is over since it was last asked.
    closed: Vec<Closed>,
}

/// A rollout that is over: nothing of it moves any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    pub id: RolloutId,
    /// How many rows it has, from place 0 on without a gap.
    pub rows: u32,
}

/// Files that a stretch of time brought.
#[derive(Debug, Default)]
pub(crate) struct Filed {
    /// Of what was submitted.
    pub submissions: Vec<Digest>,
    pub over: Vec<RolloutId>,
}

/// Rollouts whose files are looked for, at most: the newest.
const FILED_MAX: usize = 10_000;

#[derive(Debug)]
struct AppliedRollout {
    frozen: FrozenRollout,
    submission: Digest,
    moved_at: Timestamp,
    first: u64,
    last: u64,
    progress: Progress,
}

/// A read that failed in the queue or in a submission.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Other(#[from] Unavailable),
}

impl Applied {
    /// Puts a rollout back as the queue has it.
    pub fn restore(
        &mut self,
        id: RolloutId,
        new_rollout: &NewRollout,
        stored: StoredRollout,
        progress: Progress,
    ) {
        let StoredRollout { submission, moved_at, first, last, .. } = stored;
        self.order.insert(first, id);
        let frozen = new_rollout.frozen.clone();
        self.rollouts
            .insert(id, AppliedRollout { frozen, submission, moved_at, first, last, progress });
    }

    /// Takes in a batch of lines and brings the queue there too; durable only after the queue's
    /// sync.
    pub fn absorb(
        &mut self,
        records: &[PendingRecord],
        queue: &Queue,
        reached: Mark,
    ) -> Result<(), QueueError> {
        let mut fresh = FreshBins::default();
        for pending in records {
            self.fold(pending, &mut fresh);
        }
        let draft = queue.draft(
            records,
            &|id| self.rollouts.get(&id).map(|rollout| (rollout.stored(), &rollout.progress)),
            fresh,
            reached,
        )?;
        queue.apply(&draft)
    }

    fn fold(&mut self, pending: &PendingRecord, fresh: &mut FreshBins) {
        let entry = &pending.record.entry;
        if let (JournalEvent::Submitted { submission, .. }, Some(new_rollout)) =
            (&entry.what, &pending.new_rollout)
        {
            let progress = Progress::submitted(&new_rollout.frozen.plan);
            let stored = StoredRollout {
                submission: *submission,
                record: progress.record.clone(),
                moved_at: entry.at,
                first: entry.seq,
                last: entry.seq,
            };
            return self.restore(entry.rollout, new_rollout, stored, progress);
        }
        let Some(rollout) = self.rollouts.get_mut(&entry.rollout) else { return };
        let was_open = rollout.progress.is_open();
        fresh.count(entry, &rollout.frozen.plan, rollout.progress.record.paused.as_ref());
        rollout.progress.fold(entry, &rollout.frozen.plan);
        rollout.last = entry.seq;
        if was_open && !rollout.progress.is_open() {
            self.closed.push(rollout.closed(entry.rollout));
        }
        if let JournalEvent::Rollout { .. } = &entry.what {
            rollout.moved_at = entry.at;
        }
    }

    /// What is over since this was last asked.
    pub fn take_closed(&mut self) -> Vec<Closed> {
        std::mem::take(&mut self.closed)
    }

    /// Those of these rollouts that are over.
    pub fn over(&self, ids: &[RolloutId]) -> Vec<Closed> {
        let rollouts = ids.iter().filter_map(|id| Some((*id, self.rollouts.get(id)?)));
        rollouts
            .filter(|(_, rollout)| !rollout.progress.is_open())
            .map(|(id, rollout)| rollout.closed(id))
            .collect()
    }

    /// Files that came since then.
    pub fn filed_since(&self, since: Timestamp) -> Filed {
        let mut filed = Filed::default();
        for id in self.order.values().rev().take(FILED_MAX) {
            let Some(rollout) = self.rollouts.get(id) else { continue };
            if rollout.frozen.submitted_at >= since {
                filed.submissions.push(rollout.submission);
            }
            if !rollout.progress.is_open() && rollout.moved_at >= since {
                filed.over.push(*id);
            }
        }
        filed
    }

    pub fn rollouts(&self, after: Option<RolloutId>, limit: usize) -> Vec<Rollout> {
        let before =
            after.map_or(u64::MAX, |id| self.rollouts.get(&id).map_or(0, |rollout| rollout.first));
        let newest = self.order.range(..before).rev().take(limit);
        newest.filter_map(|(_, id)| Some(self.rollouts.get(id)?.snapshot(*id))).collect()
    }

    /// One page of a rollout's changes.
    pub fn page(&self, query: &PageQuery, queue: &Queue) -> Result<Page, ReadError> {
        let Some(rollout) = self.rollouts.get(&query.id) else { return Ok(Page::default()) };
        let untouched = untouched(&rollout.progress);
        let shown = ShownRollout {
            plan: &rollout.frozen.plan,
            targets: rollout.frozen.targets.as_ref(),
            cursor: rollout.progress.record.cursor,
            untouched,
        };
        let words: Vec<&str> = query.filter.words.iter().map(String::as_str).collect();
        let first = query.places(shown.plan).start;
        let rows = queue.rows(query.id, first, &words);
        let page = page(query, &shown, rows.map(|row| rollout.row(row?)))?;
        rollout.rest();
        if query.filter.takes_all()
            && let Some((_, expected)) = page
                .changes
                .iter()
                .zip(first..)
                .find(|(shown, expected)| shown.change.id.ordinal != *expected)
        {
            return Err(missing(query.id, expected).into());
        }
        Ok(page)
    }

    /// What happened to a rollout in a stretch of time.
    pub fn activity(&self, query: ActivityQuery, queue: &Queue) -> Result<Activity, QueueError> {
        match self.rollouts.get(&query.id) {
            Some(rollout) => bins::read(&queue.bins, query, rollout.first),
            None => Ok(Activity::default()),
        }
    }

    /// Stored changes in these states.
    pub fn stored(
        &self,
        id: RolloutId,
        words: &[&str],
        places: Range<u32>,
        limit: usize,
        queue: &Queue,
    ) -> Result<Vec<Change>, ReadError> {
        let Some(rollout) = self.rollouts.get(&id) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for row in queue.rows(id, places.start, words) {
            let row = row?;
            if row.0 >= places.end {
                break;
            }
            let (ordinal, row) = rollout.row(row)?;
            if !words.contains(&row.record.state.as_str()) {
                continue;
            }
            if found.len() >= limit {
                break;
            }
            found.push(change(
                ChangeId { rollout: id, ordinal },
                row.target,
                row.record,
                &rollout.frozen.plan,
            ));
        }
        rollout.rest();
        // A retry must not pass over a failed change whose row was lost.
        let failures = words.iter().all(|word| StateKind::parse(word).is_some_and(is_failure))
            && places.start == 0
            && places.end >= rollout.frozen.targets.count();
        let counted =
            rollout.progress.tallies.iter().map(|tally| failures_of(tally, words)).sum::<usize>();
        if failures && found.len() < limit && found.len() != counted {
            return Err(QueueError::Damaged(format!(
                "{} of {counted} failed changes of the rollout {id} are there",
                found.len()
            ))
            .into());
        }
        Ok(found)
    }

    /// A settled change's row with its target.
    pub fn settled(&self, id: ChangeId, queue: &Queue) -> Result<Option<StoredChange>, ReadError> {
        let Some(rollout) = self.rollouts.get(&id.rollout) else { return Ok(None) };
        let Some(stored) = queue.settled(id)? else { return Ok(None) };
        let row = rollout.row((id.ordinal, stored))?.1;
        rollout.rest();
        Ok(Some(row))
    }
}

fn missing(rollout: RolloutId, ordinal: u32) -> QueueError {
    QueueError::Damaged(format!("the row of change {} is missing", ChangeId { rollout, ordinal }))
}

/// Changes of one wave that failed in one of these ways.
fn failures_of(tally: &Tally, words: &[&str]) -> usize {
    let counts = [("failed", tally.failed), ("in_doubt", tally.in_doubt)];
    counts.iter().filter(|(word, _)| words.contains(word)).map(|(_, count)| *count as usize).sum()
}

impl AppliedRollout {
    /// As the queue keeps it.
    fn stored(&self) -> StoredRollout {
        let Self { submission, moved_at, first, last, progress, .. } = self;
        StoredRollout {
            submission: *submission,
            record: progress.record.clone(),
            moved_at: *moved_at,
            first: *first,
            last: *last,
        }
    }

    fn closed(&self, id: RolloutId) -> Closed {
        Closed { id, rows: self.progress.record.cursor }
    }

    /// Memory is not held for what is over.
    fn rest(&self) {
        if !self.progress.is_open() {
            self.frozen.targets.rest();
        }
    }

    fn row(&self, (ordinal, stored): (u32, StoredRow)) -> Result<(u32, StoredChange), ReadError> {
        let StoredRow { record, due, moved_at, entry } = stored;
        Ok((
            ordinal,
            StoredChange {
                target: self.frozen.targets.get(ordinal)?,
                record,
                due,
                moved_at,
                entry,
            },
        ))
    }

    fn snapshot(&self, id: RolloutId) -> Rollout {
        self.frozen.snapshot(id, &self.progress, self.moved_at)
    }
}
