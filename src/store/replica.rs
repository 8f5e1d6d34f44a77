//! One daemon's copy of a journal that several daemons append to.
//!
//! Job: fold the lines that others appended; check a batch of commits against the state and turn it
//! into lines; say whether a shared journal still holds what this copy has seen of it.
//!
//! Invariants: every line is checked against its digest and against the line before it, and the
//! state is a fold of lines that passed; a batch is checked only after everything before it has
//! been folded, so each of its commits sees what all daemons committed. A commit whose answer was
//! lost is resolved by [`Mark::presence`]: the line at its sequence has its digest, or it never
//! happened.
//!
//! Deliberately not here: any I/O. [`super::postgres`] is the transport, and holds the lock that
//! orders batches.

use super::bins::FreshBins;
use super::check::SettledRows;
use super::pending::{FrozenRollout, NewRollout, PendingRecord};
use super::record::{JournalRecord, Mark};
use super::state::StoreState;
use super::targets::{Fingerprints, FrozenTargets};
use super::{
    Commit, CommitError, EnforcementCommit, Submission, SubmitError, Submitted, Unavailable,
};
use crate::domain::id::{ChangeId, Digest, RolloutId};
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::target::TargetList;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A line of the shared journal, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedLine {
    pub seq: u64,
    pub bytes: Vec<u8>,
    /// What whoever appended it says that its digest is.
    pub digest: Digest,
}

/// A line that is not what its place in the chain says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("journal entry {seq} is damaged: {what}")]
pub(crate) struct BrokenLine {
    pub seq: u64,
    pub what: String,
}

/// Whether the shared journal holds an entry that this daemon has seen there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is there, digest and all.
    There,
    /// The journal ends before it.
    Forgotten { ends: u64 },
    /// Another entry has its place.
    Replaced,
}

impl Mark {
    /// Before the first entry.
    pub const BEGIN: Self = Self { seq: 0, head: Digest::ZERO };

    /// Whether a journal holds this entry, by the first line that it has from there on, or by its
    /// last one where it has none.
    pub fn presence(&self, found: Option<&SharedLine>) -> Presence {
        let found = found.map_or(Self::BEGIN, SharedLine::mark);
        if self.seq == 0 || found == *self {
            Presence::There
        } else if found.seq < self.seq {
            Presence::Forgotten { ends: found.seq }
        } else {
            Presence::Replaced
        }
    }
}

impl SharedLine {
    /// Its place and digest.
    pub fn mark(&self) -> Mark {
        Mark { seq: self.seq, head: self.digest }
    }

    /// Reads the line that follows `before`.
    pub fn read(&self, before: Mark) -> Result<JournalRecord, BrokenLine> {
        let broken = |what: String| BrokenLine { seq: self.seq, what };
        let (record, prev) = self.read_alone()?;
        if self.seq != before.seq + 1 {
            return Err(broken(format!("it follows entry {}", before.seq)));
        }
        if prev != before.head {
            return Err(broken("it does not carry the digest of the entry before it".into()));
        }
        Ok(record)
    }

    /// Reads the line by itself; the second part is the digest of the one before it.
    pub fn read_alone(&self) -> Result<(JournalRecord, Digest), BrokenLine> {
        let broken = |what: String| BrokenLine { seq: self.seq, what };
        if Digest::of(&self.bytes) != self.digest {
            return Err(broken("its digest is another one".into()));
        }
        let (record, prev) =
            JournalRecord::read(&self.bytes).map_err(|error| broken(error.to_string()))?;
        if record.entry.seq != self.seq {
            return Err(broken(format!("it says that it is entry {}", record.entry.seq)));
        }
        Ok((record, prev))
    }
}

/// What a batch is made of.
#[derive(Debug, Clone)]
pub(crate) enum SharedWork {
    Commit(Commit),
    Enforce(EnforcementCommit),
    Submit(Box<StoredUpload>),
}

/// A submission whose bytes every daemon can read already.
#[derive(Debug, Clone)]
pub(crate) struct StoredUpload {
    pub submission: Submission,
    /// Names the stored bytes.
    pub digest: Digest,
    /// This machine's copy of them.
    pub targets: Arc<dyn FrozenTargets>,
    pub prints: Fingerprints,
}

/// Why a piece of work became no line.
#[derive(Debug)]
pub(crate) enum RefusedWork {
    Commit(CommitError),
    Submit(SubmitError),
    /// It was allowed and could not be folded whole: this copy is of no more use.
    Broken(Unavailable),
}

/// What became of a piece of work that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AcceptedWork {
    /// Its last line, once the batch is committed; where it moved nothing, the one before it.
    Lines(Mark),
    /// The submission was there already.
    Known(Submitted),
}

/// Lines that are about to be appended, and what an index needs of them.
#[derive(Debug, Default)]
pub(crate) struct LineBatch {
    pub lines: Vec<SharedLine>,
    pub records: Vec<PendingRecord>,
    pub bins: FreshBins,
}

/// The state, and how far it has folded the shared journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replica {
    pub state: StoreState,
    head: Option<Mark>,
}

impl Replica {
    /// A state that was built up to this entry.
    pub fn at(mut state: StoreState, head: Mark) -> Self {
        state.start_after(head.seq);
        Self { state, head: Some(head) }
    }

    /// The last entry that was folded.
    pub fn head(&self) -> Mark {
        self.head.unwrap_or(Mark::BEGIN)
    }

    /// The lines of a tail that are new here; the tail may begin earlier.
    pub fn news<'a>(&self, tail: &'a [SharedLine]) -> &'a [SharedLine] {
        let known = tail.partition_point(|line| line.seq <= self.head().seq);
        &tail[known..]
    }

    /// Folds lines that follow the head; `submitted` gives what a submission brings. Ends in front
    /// of a commit whose last line is not among them.
    pub fn fold(
        &mut self,
        lines: &[SharedLine],
        submitted: &dyn Fn(Digest) -> Option<NewRollout>,
    ) -> Result<(), Unavailable> {
        let damaged = |error: BrokenLine| Unavailable(error.to_string());
        let mut before = self.head();
        let mut records = Vec::with_capacity(lines.len());
        for line in lines {
            records.push(line.read(before).map_err(damaged)?);
            before = line.mark();
        }
        let whole = records.iter().rposition(|record| record.more == 0).map_or(0, |at| at + 1);
        for (record, line) in records[..whole].iter().zip(lines) {
            match &record.entry.what {
                JournalEvent::Submitted { submission, .. } => {
                    let new = submitted(*submission).ok_or_else(|| {
                        Unavailable(format!("the submission {submission} was not fetched"))
                    })?;
                    self.state.submitted(record.entry.rollout, line.seq, new);
                }
                JournalEvent::Change { .. }
                | JournalEvent::Rollout { .. }
                | JournalEvent::Enforcement { .. } => {
                    self.state.fold(record, None)?;
                }
            }
            self.head = Some(line.mark());
        }
        // Whoever appended the lines wrote their rows with them.
        self.state.applied(self.head().seq);
        Ok(())
    }

    /// Settled changes that must be read before this work is taken.
    pub fn wants<'a>(&self, work: impl Iterator<Item = &'a SharedWork>) -> BTreeSet<ChangeId> {
        let commits = work.filter_map(|work| match work {
            SharedWork::Commit(commit) => Some(commit),
            SharedWork::Enforce(_) | SharedWork::Submit(_) => None,
        });
        commits.flat_map(|commit| self.state.wants(commit)).collect()
    }

    /// Checks one piece of work after everything before it, and adds its lines to the batch.
    pub fn take(
        &mut self,
        work: SharedWork,
        settled: &SettledRows,
        batch: &mut LineBatch,
    ) -> Result<AcceptedWork, RefusedWork> {
        match work {
            SharedWork::Commit(commit) => {
                let id = commit.rollout;
                let prepared = self.state.check(commit, settled).map_err(RefusedWork::Commit)?;
                let before = self.state.rollout(id);
                let paused = before.and_then(|rollout| rollout.progress.record.paused.clone());
                let records = self.state.apply(prepared).map_err(RefusedWork::Broken)?;
                if let Some(rollout) = self.state.rollout(id) {
                    for pending in &records {
                        let (entry, plan) = (&pending.record.entry, &rollout.frozen.plan);
                        batch.bins.count(entry, plan, paused.as_ref());
                    }
                }
                for pending in records {
                    self.append(pending, batch);
                }
            }
            SharedWork::Enforce(commit) => {
                let pending = self.state.enforce(commit).map_err(RefusedWork::Commit)?;
                self.append(pending, batch);
            }
            SharedWork::Submit(upload) => {
                let id = upload.submission.id();
                let StoredUpload { submission, prints, .. } = upload.as_ref();
                let admitted = self.state.admit(id, &submission.plan, &submission.targets, prints);
                if let Some(known) = admitted.map_err(RefusedWork::Submit)? {
                    return Ok(AcceptedWork::Known(known));
                }
                let pending = self.submit(id, *upload);
                self.append(pending, batch);
            }
        }
        Ok(AcceptedWork::Lines(self.head()))
    }

    fn submit(&mut self, id: RolloutId, upload: StoredUpload) -> PendingRecord {
        let StoredUpload { submission, digest, targets, prints } = upload;
        let Submission { plan, targets: given, by, at, note } = submission;
        let seq = self.state.seq() + 1;
        let what = JournalEvent::Submitted {
            name: plan.name.clone(),
            revision: plan.revision,
            ssl_option: plan.ssl_option,
            targets: TargetList::count(&given),
            submission: digest,
            change_ref: plan.change_ref.clone(),
            by: by.name.clone(),
            via: by.via.as_deref().map(str::to_owned),
            note,
        };
        let frozen = FrozenRollout { plan: Arc::new(plan), targets, by, submitted_at: at };
        let new_rollout = NewRollout { frozen, prints: Some(prints) };
        self.state.submitted(id, seq, new_rollout.clone());
        let entry = Entry { seq, at, rollout: id, what };
        PendingRecord {
            record: JournalRecord { entry, due: None, more: 0 },
            learnt: None,
            new_rollout: Some(Box::new(new_rollout)),
        }
    }

    fn append(&mut self, pending: PendingRecord, batch: &mut LineBatch) {
        let mut bytes = Vec::with_capacity(768);
        let digest = pending.record.write(self.head().head, &mut bytes);
        // The line feed is the file's, not the line's.
        bytes.pop();
        let line = SharedLine { seq: pending.record.entry.seq, bytes, digest };
        self.head = Some(line.mark());
        batch.lines.push(line);
        batch.records.push(pending);
    }
}

#[cfg(test)]
mod tests;
