//! Lanes that send no new work now, and the rollouts that can only wait for such lanes.
//!
//! Job: say why a lane is held (paused by a person, refused, out of reach, or held by its clock)
//! and whether all lanes that a rollout's changes in hand need are held.
//!
//! Invariant: a person's pause of a lane is known to the fence before it is acknowledged, so no
//! write leaves over it afterwards; reads and jobs are followed all the same.
//!
//! Deliberately not here: keeping a pause over a restart (`api::lane`), counting the time that a
//! hold takes (`engine::stall`), and permits (`engine::core::permit`).

use std::collections::{BTreeMap, BTreeSet};

use super::Core;
use super::work::Work;
use crate::domain::hold::clock_text;
use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::domain::person::Attribution;
use crate::engine::cloud_time::ClockStanding;

/// Lanes named in one reason, so that it stays a sentence.
const LANES_NAMED: usize = 3;

/// Longest part of a reason that the cloud's words may take, in characters.
const WHY_MAX: usize = 120;

impl Core {
    /// People paused these lanes, or resumed them.
    pub(super) fn switch_lanes(&mut self, lanes: Vec<(Name, Option<Attribution>)>) {
        for (name, mark) in lanes {
            self.fence.set_lane(&name, mark.clone());
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.pause_by(mark);
            }
        }
        let ids: Vec<RolloutId> = self.rollouts.keys().copied().collect();
        for id in ids {
            self.wake_ready(id);
        }
    }

    /// Why this lane sends no new work now, whatever its quota; `None`: it may.
    pub(super) fn lane_held(&self, name: &Name) -> Option<String> {
        match self.lanes.get(name) {
            Some(lane) => lane.held(self.now.boot).or_else(|| {
                let standing = self.fence.clock(name, self.now).filter(ClockStanding::holds)?;
                Some(format!("is held by its clock: {}", clock_text(standing.ahead)))
            }),
            None => Some("is not in the configuration".to_owned()),
        }
    }

    /// Why nothing of this rollout can end now: all lanes that its changes in hand need are held.
    pub(super) fn waits_for_lanes(&self, id: RolloutId) -> Option<String> {
        let held: BTreeMap<&Name, String> =
            self.lanes.keys().filter_map(|name| Some((name, self.lane_held(name)?))).collect();
        if held.is_empty() {
            return None;
        }
        let mut needed = BTreeSet::new();
        for work in self.in_hand(id) {
            let lane = work.lane();
            if self.lanes.contains_key(lane) && !held.contains_key(lane) {
                return None;
            }
            needed.insert(lane);
        }
        (!needed.is_empty()).then(|| self.named(needed))
    }

    /// What the changes in hand of this rollout are at, and which of their lanes are held: why
    /// nothing ended.
    pub(super) fn at_work(&self, id: RolloutId) -> String {
        let mut states: BTreeMap<&'static str, u32> = BTreeMap::new();
        let mut lanes = BTreeSet::new();
        for work in self.in_hand(id) {
            *states.entry(work.state().as_str()).or_default() += 1;
            lanes.insert(work.lane());
        }
        if states.is_empty() {
            return "all that is queued waits for its instance or its group".to_owned();
        }
        let mut parts: Vec<String> =
            states.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let held = self.named(lanes);
        parts.extend(Some(held).filter(|held| !held.is_empty()));
        parts.join(", ")
    }

    /// Rollouts with a change in hand that needs this lane.
    pub(super) fn needing(&self, name: &Name) -> BTreeSet<RolloutId> {
        self.work.iter().filter(|(_, work)| work.lane() == name).map(|(id, _)| id.rollout).collect()
    }

    /// Of these lanes, those that are held, each with the reason.
    fn named(&self, lanes: BTreeSet<&Name>) -> String {
        let held = lanes.into_iter().filter_map(|name| {
            let why: String = self.lane_held(name)?.chars().take(WHY_MAX).collect();
            Some(format!("lane {name} {why}"))
        });
        held.take(LANES_NAMED).collect::<Vec<_>>().join(", ")
    }

    fn in_hand(&self, rollout: RolloutId) -> impl Iterator<Item = &Work> {
        let (first, last) =
            (ChangeId { rollout, ordinal: 0 }, ChangeId { rollout, ordinal: u32::MAX });
        self.work.range(first..=last).map(|(_, work)| work)
    }
}
