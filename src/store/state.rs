//! The state of one store in memory: a fold of the journal. Pure and synchronous.
//!
//! Job: hold the rollouts with their progress, the rows of active and of explicitly queued changes,
//! the instance locks and the due index; fold records into them; answer the engine's questions.
//!
//! Invariants: the state is a fold of the journal's records and of nothing else; every ordinal
//! before the cursor has a row, here or in the index, and none after it has one; memory is bounded
//! by rollouts, active and explicitly queued changes, never by settled ones.
//!
//! Deliberately not here: whether a commit is allowed (`check`), and anything durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use jiff::Timestamp;

use crate::domain::change;
use crate::domain::group::FullGroup;
use crate::domain::id::{ChangeId, InstanceId, JobId, Name, RolloutId};
use crate::domain::journal::JournalEvent;
use crate::domain::plan::Plan;
use crate::domain::tally::{Standing, Tally};
use crate::domain::target::Target;

use super::edit::{Edit, edit};
use super::groups::Groups;
use super::instances::Locks;
use super::pending::{FrozenRollout, InstanceOfLane, NewRollout};
use super::progress::Progress;
use super::record::JournalRecord;
use super::row::{StoredChange, change as whole_change, is_settled};
use super::targets::{Fingerprints, FrozenTargets, Overlap, overlap};
use super::{Active, DuePlace, Enforcement, Rollout, SubmitError, Submitted, Unavailable};

/// The state of one store.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreState {
    rollouts: BTreeMap<RolloutId, RolloutState>,
    /// Rollouts by the sequence of their submission.
    order: BTreeMap<u64, RolloutId>,
    /// Those of them that may still move.
    open: BTreeSet<u64>,
    names: BTreeMap<(Name, u32), RolloutId>,
    /// By the plan's name.
    pub(super) enforcements: BTreeMap<Name, Enforcement>,
    /// Active and explicitly queued changes. One map for all rollouts, so that one that is over
    /// leaves nothing of it behind: a map of its own would keep its root node, 3 KiB with room for
    /// eleven rows.
    rows: BTreeMap<ChangeId, StoredChange>,
    locks: Locks,
    due: BTreeSet<(Timestamp, ChangeId)>,
    unapplied: Unapplied,
    seq: u64,
}

/// One rollout in memory.
#[derive(Debug, Clone)]
pub(crate) struct RolloutState {
    pub frozen: FrozenRollout,
    pub progress: Progress,
    /// What the plan's group limits are held against.
    pub groups: Groups,
    /// When it last moved.
    pub moved_at: Timestamp,
    /// Sequence of its submission.
    pub first_seq: u64,
    /// Sequence of its latest entry, its changes' included.
    pub last_seq: u64,
    /// Only while it may still move.
    prints: Option<Fingerprints>,
}

/// What settled, or was learnt, since the backing store last caught up.
#[derive(Debug, Clone, Default)]
struct Unapplied {
    rows: BTreeMap<ChangeId, (u64, StoredChange)>,
    jobs: BTreeMap<InstanceId, Vec<(u64, JobId)>>,
    order: VecDeque<(u64, ChangeId)>,
}

impl RolloutState {
    fn id_at(id: RolloutId, ordinal: u32) -> ChangeId {
        ChangeId { rollout: id, ordinal }
    }

    /// The rollout as readers get it.
    pub fn snapshot(&self, id: RolloutId) -> Rollout {
        self.frozen.snapshot(id, &self.progress, self.moved_at)
    }

    /// The target at this place. Memory is not held for what is over.
    pub fn target(&self, ordinal: u32) -> Result<Target, Unavailable> {
        let target = self.frozen.targets.get(ordinal);
        if !self.progress.is_open() {
            self.frozen.targets.rest();
        }
        target
    }

    /// The record of a change without a row.
    pub fn untouched(&self) -> change::Record {
        untouched(&self.progress)
    }

    /// Whether its rows and its tallies agree on what is not settled.
    fn adds_up<'b>(&self, rows: impl Iterator<Item = (u32, &'b StoredChange)>) -> bool {
        let total: Tally = self.progress.tallies.iter().copied().sum();
        let (mut active, mut queued, mut last) = (0, 0, None);
        for (ordinal, row) in rows {
            let counted =
                if row.standing() == Standing::Active { &mut active } else { &mut queued };
            *counted += 1;
            last = Some(ordinal);
        }
        let cursor = self.progress.record.cursor;
        let untouched = if self.progress.is_withdrawn() {
            Some(0)
        } else {
            self.frozen.targets.count().checked_sub(cursor)
        };
        let sizes = self.frozen.plan.strategy.waves.iter().map(|wave| wave.size);
        sizes.eq(self.progress.tallies.iter().map(Tally::total))
            && last.is_none_or(|last| last < cursor)
            && total.active == active
            && untouched.is_some_and(|untouched| total.queued == queued + untouched)
    }
}

/// The record of a change without a row.
pub(crate) fn untouched(progress: &Progress) -> change::Record {
    let state =
        if progress.is_withdrawn() { change::State::Cancelled } else { change::State::Queued };
    change::Record { state, ..change::Record::queued() }
}

/// Where a change is read.
pub enum ChangePlace<'a> {
    /// There is no such change.
    Nowhere,
    /// It is in memory, or nobody has touched it.
    Here(Box<Active>),
    /// In the row that its rollout keeps of it, unless a retry moves it meanwhile.
    Settled(&'a RolloutState),
}

impl StoreState {
    /// Sequence of the last entry folded in.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Sets the last sequence of a state that is not built from the first entry on.
    pub fn start_after(&mut self, seq: u64) {
        self.seq = seq;
    }

    pub fn rollout(&self, id: RolloutId) -> Option<&RolloutState> {
        self.rollouts.get(&id)
    }

    /// One rollout, to count in it.
    pub(super) fn rollout_mut(&mut self, id: RolloutId) -> Option<&mut RolloutState> {
        self.rollouts.get_mut(&id)
    }

    /// The change that holds an instance.
    pub fn holder(&self, instance: &InstanceId) -> Option<ChangeId> {
        self.locks.holder(instance)
    }

    /// The changes that hold an instance: several only where the store is older than the rule that
    /// one may.
    pub fn holders(&self, instance: &InstanceId) -> impl Iterator<Item = ChangeId> {
        self.locks.holders(instance)
    }

    /// A change that is active, explicitly queued, or settled so recently that the backing store
    /// may not have it.
    pub fn row(&self, id: ChangeId) -> Option<&StoredChange> {
        self.rows.get(&id).or_else(|| self.unapplied.rows.get(&id).map(|(_, row)| row))
    }

    /// Active and explicitly queued changes of a rollout from place `first` on, in their order.
    pub fn rows_from(
        &self,
        id: RolloutId,
        first: u32,
    ) -> impl Iterator<Item = (u32, &StoredChange)> {
        let (first, last) = (RolloutState::id_at(id, first), RolloutState::id_at(id, u32::MAX));
        self.rows.range(first..=last).map(|(id, row)| (id.ordinal, row))
    }

    /// Whether a rollout may be taken over; `Some` when it is there already.
    pub fn admit(
        &self,
        id: RolloutId,
        plan: &Plan,
        targets: &dyn FrozenTargets,
        prints: &Fingerprints,
    ) -> Result<Option<Submitted>, SubmitError> {
        if let Some((known, rollout)) = self.named(&plan.name, plan.revision) {
            // An id is derived from the wanted value and the targets too; of another value, that
            // alone is told.
            let same_targets = known == id || rollout.frozen.plan.ssl_option != plan.ssl_option;
            let comments = match edit(&rollout.frozen.plan, plan, same_targets) {
                Edit::None => false,
                Edit::Comments => true,
                Edit::Content(keys) => {
                    let over = rollout.progress.record.phase.is_final();
                    let (name, revision, next) =
                        (plan.name.clone(), plan.revision, self.next_revision(&plan.name));
                    return Err(SubmitError::Changed {
                        name,
                        revision,
                        rollout: known,
                        over,
                        keys,
                        next,
                    });
                }
            };
            return Ok(Some(Submitted { id: known, new: false, comments }));
        }
        for seq in &self.open {
            let (other, rollout) = self.at(*seq);
            let Some(theirs) = &rollout.prints else {
                let what = format!(
                    "the proxies of the open rollout {other} were not read; this is a defect, please report it"
                );
                return Err(Unavailable(what).into());
            };
            if let Some(Overlap { proxy, count }) =
                overlap(targets, prints, rollout.frozen.targets.as_ref(), theirs)?
            {
                let more = if count > 1 {
                    format!(" and {} more of its proxies", count - 1)
                } else {
                    String::new()
                };
                return Err(SubmitError::Overlap {
                    proxy,
                    name: rollout.frozen.plan.name.clone(),
                    rollout: other,
                    more,
                });
            }
        }
        Ok(None)
    }

    fn named(&self, name: &Name, revision: u32) -> Option<(RolloutId, &RolloutState)> {
        let id = self.names.get(&(name.clone(), revision))?;
        Some((*id, self.rollouts.get(id)?))
    }

    fn next_revision(&self, name: &Name) -> u32 {
        let known = self.names.range((name.clone(), 0)..=(name.clone(), u32::MAX));
        known.last().map_or(1, |((_, revision), _)| revision.saturating_add(1))
    }

    /// Adds a rollout: the fold of [`JournalEvent::Submitted`].
    pub fn submitted(&mut self, id: RolloutId, seq: u64, new_rollout: NewRollout) {
        let progress = Progress::submitted(&new_rollout.frozen.plan);
        let at = new_rollout.frozen.submitted_at;
        self.restore(id, new_rollout, progress, at, seq, seq);
        self.seq = seq;
    }

    /// Puts a rollout back as the backing store had it.
    pub fn restore(
        &mut self,
        id: RolloutId,
        new_rollout: NewRollout,
        progress: Progress,
        moved_at: Timestamp,
        first_seq: u64,
        last_seq: u64,
    ) {
        let NewRollout { frozen, prints } = new_rollout;
        self.names.insert((frozen.plan.name.clone(), frozen.plan.revision), id);
        self.order.insert(first_seq, id);
        if progress.is_open() {
            self.open.insert(first_seq);
        }
        let groups = Groups::new(&frozen.plan.strategy.max_in_flight_per);
        self.rollouts.insert(
            id,
            RolloutState { frozen, progress, groups, moved_at, first_seq, last_seq, prints },
        );
    }

    /// Puts an active or explicitly queued change back as the backing store had it. `false` when it
    /// cannot be: its rollout is unknown, it is neither active nor queued, or its instance is taken
    /// by the same lane. (By another one it may be: instances were locked for each lane once.)
    pub fn restore_row(&mut self, id: ChangeId, row: StoredChange) -> bool {
        let instance = row.target.instance_id;
        let taken =
            |other| self.row(other).is_some_and(|other| other.target.lane == row.target.lane);
        let active = row.standing() == Standing::Active;
        if is_settled(row.standing()) || (active && self.locks.holders(&instance).any(taken)) {
            return false;
        }
        let Some(rollout) = self.rollouts.get_mut(&id.rollout) else { return false };
        if active {
            self.locks.take(instance, id);
            self.due.extend(row.due.map(|due| (due, id)));
        }
        rollout.groups.enter(id.ordinal, &row);
        self.rows.insert(id, row).is_none()
    }

    /// Whether what was put back fits together.
    pub fn adds_up(&self) -> Result<(), String> {
        match self.rollouts.iter().find(|(id, rollout)| !rollout.adds_up(self.rows_from(**id, 0))) {
            Some((id, _)) => Err(format!("tallies and changes of the rollout {id} do not add up")),
            None => Ok(()),
        }
    }

    /// Open rollouts that were found at the start, whose proxies are not known yet.
    pub fn unprinted(&self) -> Vec<RolloutId> {
        self.open
            .iter()
            .map(|seq| self.at(*seq))
            .filter(|(_, rollout)| rollout.prints.is_none())
            .map(|(id, _)| id)
            .collect()
    }

    /// Makes an open rollout's proxies known.
    pub fn print(&mut self, id: RolloutId, prints: Fingerprints) {
        if let Some(rollout) = self.rollouts.get_mut(&id)
            && rollout.progress.is_open()
        {
            rollout.prints = Some(prints);
        }
    }

    /// Folds one record of a known rollout; returns the instance whose job id it brings, if it
    /// brings a new one. Submissions come by [`Self::submitted`].
    pub fn fold(
        &mut self,
        record: &JournalRecord,
        target: Option<Target>,
    ) -> Result<Option<InstanceOfLane>, Unavailable> {
        let JournalRecord { entry, due, .. } = record;
        let unknown = || {
            Unavailable(format!(
                "journal entry {} is about the unknown rollout {}",
                entry.seq, entry.rollout
            ))
        };
        if let JournalEvent::Enforcement { name, record, .. } = &entry.what {
            self.enforced(name.clone(), record.as_ref().clone(), entry.at);
        }
        let rollout = self.rollouts.get_mut(&entry.rollout).ok_or_else(unknown)?;
        rollout.progress.fold(entry, &rollout.frozen.plan);
        rollout.last_seq = entry.seq;
        let mut learnt = None;
        match &entry.what {
            JournalEvent::Submitted { .. } | JournalEvent::Enforcement { .. } => {}
            JournalEvent::Rollout { .. } => rollout.moved_at = entry.at,
            JournalEvent::Change { ordinal, record, .. } => {
                let id = RolloutState::id_at(entry.rollout, *ordinal);
                let old = self.rows.remove(&id);
                let target = match (&old, target) {
                    (Some(old), _) => old.target.clone(),
                    (None, Some(target)) => target,
                    (None, None) => rollout.frozen.targets.get(*ordinal)?,
                };
                let row = StoredChange {
                    target,
                    record: record.clone(),
                    due: None,
                    moved_at: entry.at,
                    entry: Some(entry.seq),
                };
                match &old {
                    Some(old) => rollout.groups.leave(*ordinal, old),
                    // Its first move: the cursor passes it.
                    None if record.version == 1 => rollout.groups.passed(*ordinal, &row.target),
                    None => {}
                }
                rollout.groups.enter(*ordinal, &row);
                learnt = self.replace(id, entry.seq, old, row, *due);
            }
        }
        self.seq = entry.seq;
        self.close_if_over(entry.rollout);
        Ok(learnt)
    }

    fn replace(
        &mut self,
        id: ChangeId,
        seq: u64,
        old: Option<StoredChange>,
        mut row: StoredChange,
        due: Option<Timestamp>,
    ) -> Option<InstanceOfLane> {
        let was_active = old.as_ref().is_some_and(|old| old.standing() == Standing::Active);
        let is_active = row.standing() == Standing::Active;
        if let Some(due) = old.as_ref().filter(|_| was_active).and_then(|old| old.due) {
            self.due.remove(&(due, id));
        }
        // Most moves are those of an active change that stays active: it has the lock, and keeps
        // it.
        match (was_active, is_active) {
            (true, false) => self.locks.free(&row.target.instance_id, id),
            (false, true) => self.locks.take(row.target.instance_id, id),
            (true, true) | (false, false) => {}
        }
        let mut learnt = None;
        if let Some(job) = row.record.jobs.last()
            && old.and_then(|old| old.record.jobs.last().cloned()).as_ref() != Some(job)
        {
            self.unapplied.jobs.entry(row.target.instance_id).or_default().push((seq, job.clone()));
            learnt = Some(InstanceOfLane {
                lane: row.target.lane.clone(),
                instance_id: row.target.instance_id,
            });
        }
        if is_settled(row.standing()) {
            self.unapplied.rows.insert(id, (seq, row));
            self.unapplied.order.push_back((seq, id));
            return learnt;
        }
        self.unapplied.rows.remove(&id);
        if is_active {
            row.due = due;
            self.due.extend(due.map(|due| (due, id)));
        }
        self.rows.insert(id, row);
        learnt
    }

    fn close_if_over(&mut self, id: RolloutId) {
        if let Some(rollout) = self.rollouts.get_mut(&id)
            && !rollout.progress.is_open()
        {
            rollout.prints = None;
            rollout.groups = Groups::default();
            rollout.frozen.targets.rest();
            self.open.remove(&rollout.first_seq);
        }
    }

    /// The backing store has everything up to `seq`: forgets what was kept only until then, and
    /// gives it out.
    pub fn applied(&mut self, seq: u64) -> Vec<(ChangeId, StoredChange)> {
        let mut applied = Vec::new();
        while let Some((at, id)) = self.unapplied.order.front().copied()
            && at <= seq
        {
            self.unapplied.order.pop_front();
            if self.unapplied.rows.get(&id).is_some_and(|(kept, _)| *kept == at)
                && let Some((_, row)) = self.unapplied.rows.remove(&id)
            {
                applied.push((id, row));
            }
        }
        if !self.unapplied.jobs.is_empty() {
            self.unapplied.jobs.retain(|_, jobs| {
                jobs.retain(|(at, _)| *at > seq);
                !jobs.is_empty()
            });
        }
        applied
    }

    /// Job ids of this instance that the backing store may not have yet, oldest first.
    pub fn unapplied_jobs(&self, instance: &InstanceId) -> impl Iterator<Item = &JobId> {
        self.unapplied.jobs.get(instance).into_iter().flatten().map(|(_, job)| job)
    }

    fn at(&self, seq: u64) -> (RolloutId, &RolloutState) {
        let id = self.order[&seq];
        (id, &self.rollouts[&id])
    }

    /// Active changes due by `now`, soonest first, behind this place.
    pub fn due(&self, now: Timestamp, after: Option<DuePlace>, limit: usize) -> Vec<Active> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.due.range((from, Bound::Unbounded));
        let come = behind.take_while(|(due, _)| *due <= now).take(limit);
        come.filter_map(|(_, id)| self.active(*id)).collect()
    }

    /// A change with a row in memory, as readers get it.
    pub fn active(&self, id: ChangeId) -> Option<Active> {
        let rollout = self.rollouts.get(&id.rollout)?;
        Some(self.row(id)?.clone().active(id, &rollout.frozen.plan))
    }

    /// Where a change is read.
    pub fn place_of(&self, id: ChangeId) -> Result<ChangePlace<'_>, Unavailable> {
        let Some(rollout) = self.rollout(id.rollout) else { return Ok(ChangePlace::Nowhere) };
        if let Some(active) = self.active(id) {
            return Ok(ChangePlace::Here(Box::new(active)));
        }
        if id.ordinal >= rollout.frozen.targets.count() {
            return Ok(ChangePlace::Nowhere);
        }
        if id.ordinal >= rollout.progress.record.cursor {
            let plan = &rollout.frozen.plan;
            let change = whole_change(id, rollout.target(id.ordinal)?, rollout.untouched(), plan);
            let untouched = Active { change, due: None, moved_at: None, entry: None };
            return Ok(ChangePlace::Here(Box::new(untouched)));
        }
        Ok(ChangePlace::Settled(rollout))
    }

    /// Rollouts that may still move, oldest first.
    pub fn open_rollouts(&self) -> Vec<Rollout> {
        self.open
            .iter()
            .map(|seq| self.at(*seq))
            .map(|(id, rollout)| rollout.snapshot(id))
            .collect()
    }

    /// Ids of all rollouts, newest first, from `after` on (exclusive).
    pub fn newest(&self, after: Option<RolloutId>) -> impl Iterator<Item = RolloutId> {
        let before = after
            .map_or(u64::MAX, |id| self.rollouts.get(&id).map_or(0, |rollout| rollout.first_seq));
        self.order.range(..before).rev().map(|(_, id)| *id)
    }

    /// What keeps another change to this target from being released: a group all of whose places
    /// are taken.
    pub fn full_group(&self, id: RolloutId, target: &Target) -> Option<FullGroup> {
        self.rollouts.get(&id)?.groups.full(target)
    }
}

#[cfg(test)]
impl StoreState {
    /// How many of each thing it keeps beside one entry a rollout.
    pub fn kept(&self) -> Vec<(&'static str, usize)> {
        let rollouts = |kept: fn(&RolloutState) -> bool| {
            self.rollouts.values().filter(|rollout| kept(rollout)).count()
        };
        let Unapplied { rows, jobs, order } = &self.unapplied;
        vec![
            ("open", self.open.len()),
            ("rows", self.rows.len()),
            ("locks", self.locks.count()),
            ("due", self.due.len()),
            ("settled of late", rows.len() + order.len()),
            ("jobs of late", jobs.len()),
            ("lists of proxies", rollouts(|rollout| rollout.prints.is_some())),
            ("group limits", rollouts(|rollout| rollout.groups.limited())),
            ("targets", self.rollouts.values().map(|rollout| rollout.frozen.targets.kept()).sum()),
        ]
    }
}
