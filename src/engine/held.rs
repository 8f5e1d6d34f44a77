//! Lanes that send no new work now: paused by a person, refused, out of reach, or held by its clock. And the rollouts that can only wait for
//! such lanes.
//!
//! Invariants: a person's pause of a lane is known to the fence before it is acknowledged, so no write leaves over it
//! afterwards; reads and jobs are followed all the same. Time in which every lane that a rollout's changes need is held
//! is nobody's stall.
//!
//! Deliberately not here: keeping a pause over a restart (`api::lane`), and permits (`engine::permit`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::changes::Work;
use super::cloud_time::ClockStanding;
use super::core::Core;
use crate::domain::hold::clock_text;
use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::domain::quota::Boot;
use crate::domain::rollout::Attribution;

/// Lanes named in one reason, so that it stays a sentence.
const LANES_NAMED: usize = 3;

/// Longest part of a reason that the cloud's words may take, in characters.
const WHY_MAX: usize = 120;

/// How long a rollout has gone on without a change ending.
#[derive(Debug, Default)]
pub(super) struct Stall {
    /// Without the time in which all that was in hand waited for its lanes.
    pub(super) counted: Duration,
    held: Duration,
    /// Why all that is in hand waits for its lanes, as of the last look.
    held_by: Option<String>,
    /// The last look, if time counts since.
    since: Option<Boot>,
}

impl Stall {
    /// Time has passed up to this look; `counts`: so does what passes until the next one.
    pub(super) fn passes(&mut self, now: Boot, counts: bool, held_by: Option<String>) {
        if let Some(since) = self.since {
            let count = if self.held_by.is_some() { &mut self.held } else { &mut self.counted };
            *count += now.saturating_sub(since);
        }
        self.held_by = held_by;
        self.since = counts.then_some(now);
    }

    /// What passes until the next look counts nowhere.
    pub(super) fn stops(&mut self) {
        self.since = None;
    }

    /// Why it waits for its lanes, once both times together are as long as the deadline.
    pub(super) fn overdue(&self, deadline: Duration) -> Option<String> {
        let late = self.since.is_some() && self.counted + self.held >= deadline;
        self.held_by.clone().filter(|_| late)
    }
}

impl Core {
    /// People paused these lanes, or resumed them.
    pub(super) fn switch_lanes(&mut self, lanes: Vec<(Name, Option<Attribution>)>) {
        for (name, mark) in lanes {
            self.fence.set_lane(&name, mark.clone());
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.paused_by = mark;
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
        let held: BTreeMap<&Name, String> = self.lanes.keys().filter_map(|name| Some((name, self.lane_held(name)?))).collect();
        if held.is_empty() {
            return None;
        }
        let mut needed = BTreeSet::new();
        for work in self.in_hand(id) {
            let lane = &work.change.target.lane;
            if self.lanes.contains_key(lane) && !held.contains_key(lane) {
                return None;
            }
            needed.insert(lane);
        }
        (!needed.is_empty()).then(|| self.named(needed))
    }

    /// What the changes in hand of this rollout are at, and which of their lanes are held: why nothing ended.
    pub(super) fn at_work(&self, id: RolloutId) -> String {
        let mut states: BTreeMap<&'static str, u32> = BTreeMap::new();
        let mut lanes = BTreeSet::new();
        for work in self.in_hand(id) {
            *states.entry(work.change.record.state.as_str()).or_default() += 1;
            lanes.insert(&work.change.target.lane);
        }
        if states.is_empty() {
            return "all that is queued waits for its instance or its group".to_owned();
        }
        let mut parts: Vec<String> = states.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let held = self.named(lanes);
        parts.extend(Some(held).filter(|held| !held.is_empty()));
        parts.join(", ")
    }

    /// Rollouts with a change in hand that needs this lane.
    pub(super) fn needing(&self, name: &Name) -> BTreeSet<RolloutId> {
        self.work.iter().filter(|(_, work)| work.change.target.lane == *name).map(|(id, _)| id.rollout).collect()
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
        let (first, last) = (ChangeId { rollout, ordinal: 0 }, ChangeId { rollout, ordinal: u32::MAX });
        self.work.range(first..=last).map(|(_, work)| work)
    }
}
