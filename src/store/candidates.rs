//! Which queued changes a release may pick, and which it passes over.
//!
//! Invariants: in the list's order, what was queued again or passed over before what was never
//! released; each instance once and only when it is free; never more of a group than its limit
//! leaves. What is passed over without a row gets one only where a change behind it can be released
//! for it, so a full group does not write down the whole list.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::ops::{ControlFlow, Range};

use crate::domain::change;
use crate::domain::id::{ChangeId, InstanceId, RolloutId};
use crate::domain::tally::Standing;

use super::groups::{Class, GroupRoom};
use super::row::{StoredChange, change};
use super::state::{RolloutState, StoreState};
use super::{Candidates, Obstacle, Passed, Unavailable};

/// Targets counted ahead of the cursor in one question. With all groups full of what lies nearer, a
/// plan's list is looked through in such stretches, so that no query locks the state for long.
const SURVEY_MAX: u32 = 4_096;

/// Targets that are counted ahead of the cursor at any time, so that a stretch of picks ends where
/// nothing is left to find.
const SURVEYED_MIN: u32 = 1_024;

impl StoreState {
    /// See [`super::Store::candidates`].
    pub fn candidates(
        &mut self,
        id: RolloutId,
        wave: u16,
        limit: usize,
    ) -> Result<Candidates, Unavailable> {
        let Some(rollout) = self.rollout(id) else { return Ok(Candidates::default()) };
        let cursor = rollout.progress.record.cursor;
        if rollout.progress.record.phase.is_final() {
            return Ok(Candidates { cursor, ..Candidates::default() });
        }
        let reverting = rollout.progress.is_withdrawn();
        let waves = &rollout.frozen.plan.strategy.waves;
        let end =
            waves.get(usize::from(wave)).map_or(rollout.frozen.targets.count(), |wave| wave.end());
        let first =
            if reverting { waves.get(usize::from(wave)).map_or(end, |wave| wave.first) } else { 0 };
        if !reverting && rollout.groups.limited() && cursor < end {
            self.survey(id, cursor, end)?;
        }
        let Some(rollout) = self.rollout(id) else { return Ok(Candidates::default()) };
        let found = Candidates { cursor, ..Candidates::default() };
        let mut pick = Pick {
            state: self,
            rollout,
            id,
            limit,
            room: rollout.groups.room(),
            chosen: BTreeSet::new(),
            found,
        };
        pick.waiting(first.min(end)..end, reverting);
        if !reverting {
            pick.ahead(end)?;
        }
        Ok(pick.found)
    }

    /// Counts a stretch more of what lies ahead, unless enough is counted and a place can be filled
    /// from it.
    fn survey(&mut self, id: RolloutId, cursor: u32, end: u32) -> Result<(), Unavailable> {
        let Some(rollout) = self.rollout_mut(id) else { return Ok(()) };
        let known = rollout.groups.known(cursor, end);
        if known >= end
            || (known - cursor >= SURVEYED_MIN && rollout.groups.room().ahead(&HashMap::new()))
        {
            return Ok(());
        }
        let until = end.min(known.saturating_add(SURVEY_MAX));
        let groups = &mut rollout.groups;
        rollout.frozen.targets.scan(known, &mut |ordinal, target| {
            if ordinal >= until {
                return ControlFlow::Break(());
            }
            groups.survey(target);
            ControlFlow::Continue(())
        })
    }
}

struct Pick<'b> {
    state: &'b StoreState,
    rollout: &'b RolloutState,
    id: RolloutId,
    limit: usize,
    room: GroupRoom<'b>,
    chosen: BTreeSet<InstanceId>,
    found: Candidates,
}

impl Pick<'_> {
    fn is_full(&self) -> bool {
        self.found.free.len() >= self.limit
    }

    fn id_at(&self, ordinal: u32) -> ChangeId {
        ChangeId { rollout: self.id, ordinal }
    }

    fn is_free(&self, instance: &InstanceId) -> bool {
        self.state.holder(instance).is_none() && !self.chosen.contains(instance)
    }

    /// Those that have a row: class by class, the nearest of all classes first, a class only while
    /// it has room.
    fn waiting(&mut self, places: Range<u32>, reverting: bool) {
        let wanted = |row: &StoredChange| {
            row.standing() == Standing::Queued && row.record.undo.is_some() == reverting
        };
        let (state, rollout) = (self.state, self.rollout);
        let classes: Vec<&Class> = rollout.groups.waiting().map(|(class, _)| class).collect();
        let mut lines: Vec<_> =
            rollout.groups.waiting().map(|(_, waiting)| waiting.range(places.clone())).collect();
        let mut next: BinaryHeap<Reverse<(u32, usize)>> = lines
            .iter_mut()
            .enumerate()
            .filter_map(|(place, line)| Some(Reverse((*line.next()?, place))))
            .collect();
        while !self.is_full()
            && let Some(Reverse((ordinal, place))) = next.pop()
        {
            let class = classes[place];
            if !self.room.has(class) {
                continue;
            }
            let id = self.id_at(ordinal);
            if let Some(row) = state.row(id).filter(|row| wanted(row)) {
                let instance = row.target.instance_id;
                if self.is_free(&instance) {
                    self.chosen.insert(instance);
                    self.room.take(class);
                    self.found.free.push(change(
                        id,
                        row.target.clone(),
                        row.record.clone(),
                        &rollout.frozen.plan,
                    ));
                }
            }
            next.extend(lines[place].next().map(|ordinal| Reverse((*ordinal, place))));
        }
    }

    /// Those that were never released, from the cursor on.
    fn ahead(&mut self, end: u32) -> Result<(), Unavailable> {
        let rollout = self.rollout;
        let limited = rollout.groups.limited();
        // Under limits nothing is passed over blindly: it goes as far as it is known what lies
        // there.
        let known = if limited { rollout.groups.surveyed().min(end) } else { end };
        let mut met: HashMap<Class, u32> = HashMap::new();
        if self.is_full() || self.found.cursor >= end {
            return Ok(());
        }
        let mut ended = limited && !self.room.ahead(&met);
        rollout.frozen.targets.scan(self.found.cursor, &mut |ordinal, target| {
            if ended || ordinal >= known {
                return ControlFlow::Break(());
            }
            let class = rollout.groups.class(target);
            let instance = target.instance_id;
            let obstacle = if !self.is_free(&instance) {
                Some(Obstacle::Instance)
            } else if !self.room.has(&class) {
                Some(Obstacle::Group)
            } else {
                None
            };
            let enough = if obstacle.is_none() {
                self.is_full()
            } else {
                self.found.passed.len() >= self.limit
            };
            if enough {
                return ControlFlow::Break(());
            }
            let never_released = change(
                self.id_at(ordinal),
                target.clone(),
                change::Record::queued(),
                &rollout.frozen.plan,
            );
            self.found.cursor = ordinal + 1;
            if limited {
                *met.entry(class.clone()).or_default() += 1;
            }
            match obstacle {
                Some(obstacle) => {
                    self.found.passed.push(Passed { change: never_released, obstacle })
                }
                None => {
                    self.chosen.insert(instance);
                    self.room.take(&class);
                    self.found.free.push(never_released);
                    // Nothing is passed over for places that are not there.
                    ended = limited && !self.room.ahead(&met);
                }
            }
            if ended || self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        self.found.more = known < end && !self.is_full() && self.found.passed.len() < self.limit;
        Ok(())
    }
}
