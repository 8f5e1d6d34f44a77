//! Lanes that come and go, where daemons share a store: what becomes of their changes.
//!
//! Job: bring every active change of a lane into hand when the lane becomes ours, stop what is new
//! when it is to be given up, and let its changes go when it is another daemon's.
//!
//! Invariants: over a lane that is not ours nothing is sent, decided or taken into hand; what was
//! out comes back, and what it tells is offered to the store. A change with a call of the keeper
//! before us acts from its `due` on, and no later than that call's longest life. All that is active
//! is in hand before something new begins.
//!
//! Deliberately not here: who keeps which lane (`domain::keeper`), and the last check of a call
//! whose lane went meanwhile (`engine::fence`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::changes::GRACE;
use super::work::{SEND_WITHIN, WorkStage};
use super::{Core, Options};
use crate::clock::Times;
use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::domain::keeper::{Fellows, KeptLane};
use crate::engine::effect::Effect;
use crate::engine::keeping::Keeping;
use crate::store::Active;

impl Core {
    /// A core that shares its store with other daemons. No lane is its own before
    /// [`super::Input::Kept`] says so.
    pub fn beside_others(options: Options, now: Times) -> Self {
        let mut core = Self::new(options, now);
        for lane in core.lanes.values_mut() {
            lane.keeping = Keeping::Elsewhere;
        }
        core.fence.set_leases(&BTreeMap::new());
        core.shares_store = true;
        core
    }

    /// These lanes are ours from now on, and no other one is.
    pub(super) fn keep_lanes(
        &mut self,
        kept: &BTreeMap<Name, KeptLane>,
        fellows: Fellows,
        out: &mut Vec<Effect>,
    ) {
        self.fence.set_leases(kept);
        let names: Vec<Name> = self.lanes.keys().cloned().collect();
        for name in names {
            let Some(lane) = self.lanes.get_mut(&name) else { continue };
            match (lane.keeping.is_ours(), kept.get(&name)) {
                (true, Some(kept)) => {
                    lane.keeping.renew(kept);
                    self.stirred.insert(name);
                }
                (false, Some(kept)) => {
                    lane.keeping = Keeping::new(kept);
                    lane.inherit(kept.inherited, self.now.boot);
                    self.count("lane_taken");
                    self.scan_in(Duration::ZERO);
                }
                (true, None) => {
                    lane.keeping = Keeping::Elsewhere;
                    self.count("lane_gone");
                    self.leave_to_others(&name, out);
                }
                (false, None) => {}
            }
        }
        if self.fellows.replace(fellows.clone()) != Some(fellows) {
            // Rollouts may have become ours to look after.
            let ids: Vec<RolloutId> = self.rollouts.keys().copied().collect();
            for id in ids {
                self.look(id, out);
            }
        }
    }

    /// Whether changes of this lane are ours to work on.
    pub(super) fn is_ours(&self, lane: &Name) -> bool {
        match self.lanes.get(lane) {
            Some(lane) => lane.keeping.is_ours(),
            // Of a lane that the configuration does not have, its people are told by whoever is
            // alone.
            None => !self.shares_store,
        }
    }

    /// Whether the rollout is ours to look after.
    pub(super) fn looks_after(&self, id: RolloutId) -> bool {
        match &self.fellows {
            Some(fellows) => fellows.looks_after(&id),
            None => !self.shares_store,
        }
    }

    /// Lanes that are to be given up and of which nothing is out any more: no call, no commit, no
    /// read.
    pub fn lanes_back(&self) -> BTreeSet<Name> {
        let busy: BTreeSet<&Name> = self
            .work
            .values()
            .filter(|work| {
                matches!(
                    work.stage(),
                    WorkStage::Committing(..)
                        | WorkStage::Out(_)
                        | WorkStage::Probing
                        | WorkStage::Reading
                )
            })
            .map(|work| work.lane())
            .collect();
        let given = self.lanes.iter().filter(|(name, lane)| {
            lane.keeping.is_given_up() && lane.out() == 0 && !busy.contains(name)
        });
        given.map(|(name, _)| name.clone()).collect()
    }

    /// The lane is another daemon's: what waits is let go, what is out comes back first.
    fn leave_to_others(&mut self, name: &Name, out: &mut Vec<Effect>) {
        let resting = self.work.iter().filter(|(_, work)| {
            let rests = match work.stage() {
                WorkStage::Asleep
                | WorkStage::Waiting { .. }
                | WorkStage::Listed
                | WorkStage::Lined { .. } => true,
                WorkStage::Committing(..)
                | WorkStage::Out(_)
                | WorkStage::Probing
                | WorkStage::Reading => false,
            };
            rests && work.lane() == name
        });
        let resting: Vec<ChangeId> = resting.map(|(id, _)| *id).collect();
        for id in resting {
            self.let_go(id);
        }
        self.dismiss_asks_of(name, out);
    }

    /// How long a change that was found active rests before it acts: nothing, unless a daemon that
    /// did not give its lane up may have a call of it out.
    pub(super) fn rests_first(&self, active: &Active) -> Duration {
        let Some(lane) = self.lanes.get(&active.change.target.lane) else { return Duration::ZERO };
        if !lane.keeping.is_inherited() {
            return Duration::ZERO;
        }
        let due = active.due.map_or(Duration::ZERO, |due| {
            Duration::try_from(due.duration_since(self.now.wall)).unwrap_or(Duration::ZERO)
        });
        due.min(SEND_WITHIN + lane.lane.call_timeout + GRACE)
    }
}

#[cfg(test)]
mod tests;
