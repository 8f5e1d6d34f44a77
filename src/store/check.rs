//! Whether a commit is allowed, and the journal lines that it becomes.
//!
//! Invariants: a commit that passes can be folded without a further question; what its decision
//! read has not moved; afterwards every ordinal before the cursor has a row and none after it; at
//! most one change an instance is active.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::change::{self, State};
use crate::domain::id::{ChangeId, InstanceId, RolloutId};
use crate::domain::journal::{Entry, JournalEvent, Word};
use crate::domain::person::Person;
use crate::domain::rollout;
use crate::domain::tally::Standing;
use crate::domain::target::Target;

use super::pending::PendingRecord;
use super::record::JournalRecord;
use super::row::{StoredChange, is_settled};
use super::state::{RolloutState, StoreState};
use super::{ChangeMove, Commit, CommitError, RolloutMove, Unavailable};

/// Most bytes of one record as JSON. The queue on disk keeps values below 4 KiB (see its decision
/// page); the rest of a row and its checksum need the difference.
const RECORD_MAX: usize = 3_800;

/// A commit that passed: its lines, and the targets of those that move a change.
#[derive(Debug)]
pub(crate) struct Prepared(Vec<(JournalRecord, Option<Target>)>);

/// Settled changes that the state no longer holds, as the backing store has them.
pub(crate) type SettledRows = BTreeMap<ChangeId, StoredChange>;

fn misuse(what: impl std::fmt::Display) -> CommitError {
    CommitError::Unavailable(Unavailable(format!(
        "refused a commit that makes no sense: {what}; this is a defect, please report it"
    )))
}

impl StoreState {
    /// The settled changes that [`Self::check`] of this commit needs and the state no longer holds.
    /// Whoever checks reads them first, however far the backing store is.
    pub fn wants(&self, commit: &Commit) -> BTreeSet<ChangeId> {
        let Some(rollout) = self.rollout(commit.rollout) else { return BTreeSet::new() };
        let cursor = rollout.progress.record.cursor;
        let moved = commit.changes.iter().filter(|moves| moves.ordinal < cursor);
        let moved = moved.map(|moves| ChangeId { rollout: commit.rollout, ordinal: moves.ordinal });
        moved.filter(|id| self.row(*id).is_none()).collect()
    }

    /// Checks a commit against the state and makes it ready; `settled` holds what the state
    /// [`wants`](Self::wants) for it.
    pub fn check(&self, commit: Commit, settled: &SettledRows) -> Result<Prepared, CommitError> {
        let rollout = self.rollout(commit.rollout).ok_or(CommitError::Conflict)?;
        let record = &rollout.progress.record;
        if record.version != commit.version
            || commit.releases.is_some_and(|releases| releases != record.releases)
        {
            return Err(CommitError::Conflict);
        }
        let moved = commit.moves.map(|moves| kept_cursor(moves, record, commit.releases.is_some()));
        let cursor = moved.as_ref().map_or(record.cursor, |moves| moves.record.cursor);
        if cursor < record.cursor || cursor > rollout.frozen.targets.count() {
            return Err(misuse(format_args!(
                "cursor {cursor} after {} of {}",
                record.cursor,
                rollout.frozen.targets.count()
            )));
        }
        let mut draft = CommitCheck {
            state: self,
            rollout,
            id: commit.rollout,
            cursor,
            taken: BTreeMap::new(),
            freed: BTreeSet::new(),
            first: 0,
            seen: BTreeSet::new(),
        };
        let mut records = Vec::new();
        let count = commit.changes.len() + usize::from(moved.is_some());
        records.reserve(count);
        let entry = |place: usize, what| {
            let seq = self.seq() + 1 + place as u64;
            let more =
                u32::try_from(count - 1 - place).expect("a commit moves fewer than 2^32 changes");
            JournalRecord {
                entry: Entry { seq, at: commit.at, rollout: commit.rollout, what },
                due: None,
                more,
            }
        };
        if let Some(RolloutMove { record: next, why, by }) = moved {
            fits(&next, marks_len(&next))?;
            let (by, via) = Person::told(by);
            let (from, to) = (record.phase.as_str().into(), next.phase.as_str().into());
            records.push((
                entry(0, JournalEvent::Rollout { from, to, why, by, via, record: next }),
                None,
            ));
        }
        let single = commit.changes.len() == 1;
        for moves in commit.changes {
            let due = moves.due;
            let (what, target, active) = draft.change(moves, single, settled)?;
            let mut record = entry(records.len(), what);
            record.due = due.filter(|_| active);
            records.push((record, Some(target)));
        }
        if draft.first != cursor - record.cursor {
            return Err(misuse(format_args!(
                "the cursor moves by {} and {} changes before it get a row",
                cursor - record.cursor,
                draft.first
            )));
        }
        Ok(Prepared(records))
    }

    /// Folds a commit that passed, and gives back its lines for the journal.
    pub fn apply(&mut self, prepared: Prepared) -> Result<Vec<PendingRecord>, Unavailable> {
        let mut pending = Vec::with_capacity(prepared.0.len());
        for (record, target) in prepared.0 {
            let learnt = self.fold(&record, target)?;
            pending.push(PendingRecord { record, learnt, new_rollout: None });
        }
        Ok(pending)
    }
}

/// A move that was decided without regard to releases keeps the cursor that later releases have
/// moved.
fn kept_cursor(
    mut moves: RolloutMove,
    current: &rollout::Record,
    read_releases: bool,
) -> RolloutMove {
    if !read_releases {
        moves.record.cursor = current.cursor;
        moves.record.releases = current.releases;
    }
    moves
}

/// Bytes of text in a rollout's record that people wrote.
fn marks_len(record: &rollout::Record) -> usize {
    let aborted =
        if let rollout::Phase::Aborted { mark } = &record.phase { Some(mark) } else { None };
    let reverted = match record.revert().map(|revert| &revert.cause) {
        Some(rollout::Cause::Asked { mark }) => Some(mark),
        Some(rollout::Cause::Failures { .. }) | None => None,
    };
    let marks: usize = record
        .paused
        .iter()
        .chain(aborted)
        .chain(reverted)
        .map(|mark| mark.by.len() + mark.reason.len())
        .sum();
    // An approval takes about eighty bytes beside its name.
    marks + record.approvals.iter().map(|approved| approved.by.len() + 40).sum::<usize>()
}

/// Bytes of text in a change's record that the cloud wrote.
fn texts_len(record: &change::Record) -> usize {
    let message = match &record.state {
        State::Failed { reason } | State::InDoubt { reason } | State::Skipped { reason } => {
            reason.message.len()
        }
        State::Queued
        | State::Ready
        | State::Inspecting
        | State::Submitting { .. }
        | State::Recovering { .. }
        | State::Following { .. }
        | State::Verifying { .. }
        | State::Succeeded { .. }
        | State::Cancelled
        | State::Reverted { .. } => 0,
    };
    let presumed = record.presumed.iter().flat_map(|presumed| &presumed.jobs);
    message + record.jobs.iter().chain(presumed).map(|job| job.as_str().len()).sum::<usize>()
}

/// Refuses a record that the queue could not keep. Only one with long texts is measured.
fn fits<T: serde::Serialize>(record: &T, texts: usize) -> Result<(), CommitError> {
    // JSON escapes make six bytes of one at worst, and everything that is not text fits into the
    // rest.
    if texts * 6 + 600 <= RECORD_MAX {
        return Ok(());
    }
    let bytes = serde_json::to_vec(record).map_err(misuse)?.len();
    if bytes > RECORD_MAX {
        return Err(misuse(format_args!("a record of {bytes} bytes, the most is {RECORD_MAX}")));
    }
    Ok(())
}

/// A commit being checked.
struct CommitCheck<'a> {
    state: &'a StoreState,
    rollout: &'a RolloutState,
    id: RolloutId,
    /// The cursor after the commit.
    cursor: u32,
    /// What the commit's earlier changes have taken.
    taken: BTreeMap<InstanceId, ChangeId>,
    /// Those of them that have left their instance.
    freed: BTreeSet<ChangeId>,
    /// Changes that get their first row.
    first: u32,
    /// Changes that moved so far, when there is more than one.
    seen: BTreeSet<u32>,
}

/// A change as the commit finds it.
struct FoundChange {
    target: Target,
    state: State,
    version: u64,
    /// Its latest entry in the journal.
    entry: Option<u64>,
}

impl CommitCheck<'_> {
    fn change(
        &mut self,
        moves: ChangeMove,
        single: bool,
        settled: &SettledRows,
    ) -> Result<(JournalEvent, Target, bool), CommitError> {
        let ChangeMove { ordinal, version, record, due: _, why, call, answer, by } = moves;
        let id = ChangeId { rollout: self.id, ordinal };
        let found = self.find(id, settled)?;
        if found.version != version {
            return Err(CommitError::Conflict);
        }
        let (from, to) = (Standing::of(&found.state), Standing::of(&record.state));
        match from {
            Standing::Queued | Standing::Active => {}
            // Settled changes move only on a person's word, or when their rollout is put back.
            Standing::Failed | Standing::InDoubt if to == Standing::Queued => {}
            Standing::InDoubt if to == Standing::Failed && by.is_some() => {}
            Standing::Succeeded if self.undone(&record, to) => {}
            Standing::Failed
            | Standing::InDoubt
            | Standing::Succeeded
            | Standing::Cancelled
            | Standing::Reverted
            | Standing::Skipped => {
                return Err(CommitError::Conflict);
            }
        }
        if !single && !self.seen.insert(ordinal) {
            return Err(misuse(format_args!("target {ordinal} moves twice")));
        }
        self.lock(id, &found.target, from, to, single)?;
        fits(&record, texts_len(&record))?;
        let FoundChange { target, state, entry, .. } = found;
        let (by, via) = Person::told(by);
        let what = JournalEvent::Change {
            ordinal,
            instance_id: target.instance_id,
            proxy_id: target.proxy_id,
            from: state.as_str().into(),
            to: record.state.as_str().into(),
            why,
            call: call.map(Word::from),
            answer,
            by,
            via,
            earlier: entry,
            record,
        };
        Ok((what, target, to == Standing::Active))
    }

    /// Whether a change that succeeded may move there: its rollout is put back, and so is it, or it
    /// is named.
    fn undone(&self, record: &change::Record, to: Standing) -> bool {
        let marked = to == Standing::Queued && record.undo.is_some();
        self.rollout.progress.record.revert().is_some() && (marked || to == Standing::Skipped)
    }

    fn find(&mut self, id: ChangeId, settled: &SettledRows) -> Result<FoundChange, CommitError> {
        let of_row = |row: &StoredChange| FoundChange {
            target: row.target.clone(),
            state: row.record.state.clone(),
            version: row.record.version,
            entry: row.entry,
        };
        if let Some(row) = self.state.row(id) {
            return Ok(of_row(row));
        }
        if id.ordinal >= self.rollout.frozen.targets.count() {
            return Err(misuse(format_args!(
                "target {} of {}",
                id.ordinal,
                self.rollout.frozen.targets.count()
            )));
        }
        if id.ordinal >= self.rollout.progress.record.cursor {
            if id.ordinal >= self.cursor {
                return Err(misuse(format_args!(
                    "target {} moves and the cursor stays before it",
                    id.ordinal
                )));
            }
            self.first += 1;
            let change::Record { state, version, .. } = self.rollout.untouched();
            return Ok(FoundChange {
                target: self.rollout.frozen.targets.get(id.ordinal)?,
                state,
                version,
                entry: None,
            });
        }
        match settled.get(&id) {
            Some(row) if is_settled(row.standing()) => Ok(of_row(row)),
            Some(_) | None => Err(CommitError::Unavailable(Unavailable(format!(
                "the row of change {id} is missing"
            )))),
        }
    }

    fn lock(
        &mut self,
        id: ChangeId,
        target: &Target,
        from: Standing,
        to: Standing,
        single: bool,
    ) -> Result<(), CommitError> {
        let instance = target.instance_id;
        match (from == Standing::Active, to == Standing::Active) {
            // Who is in stays in, also where an older store let in several.
            (true, true) | (false, false) => {}
            (true, false) if single => {}
            (true, false) => {
                self.freed.insert(id);
                self.taken.retain(|_, holder| *holder != id);
            }
            (false, true) => {
                let stays = |holder: ChangeId| holder != id && !self.freed.contains(&holder);
                if self.taken.contains_key(&instance) || self.state.holders(&instance).any(stays) {
                    return Err(CommitError::InstanceTaken { ordinal: id.ordinal });
                }
                self.taken.insert(instance, id);
            }
        }
        Ok(())
    }
}
