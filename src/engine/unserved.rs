//! Changes whose lane does not serve them: the configuration has it no more, or it reaches the project of a lane before it.
//!
//! Invariants: what is counted here is in hand, so it is bounded by what is in flight; a lane that shares its project sends
//! no PUT, and makes no look that would lead to one, while all that is out is followed: an upgrade takes nothing down.
//!
//! Deliberately not here: which lanes share a project (`domain::lane`), and how people are told (`domain::hold`).

use std::time::Duration;

use super::core::Core;
use super::handle::Unserved;
use super::work::Work;
use crate::domain::change::{self, Context, Decision, Event, Gate, Stale, State, Wake};
use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::domain::window::Opening;

/// How often a change that is held looks again; only a restart with another configuration lifts the hold.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl Core {
    /// A change was taken into hand.
    pub(super) fn count_unserved(&mut self, id: ChangeId, lane: &Name) {
        if self.lanes.get(lane).is_none_or(|lane| lane.shares.is_some()) {
            *self.unserved.entry((id.rollout, lane.clone())).or_default() += 1;
        }
    }

    /// It is in hand no more.
    pub(super) fn uncount_unserved(&mut self, id: ChangeId, lane: &Name) {
        let key: (RolloutId, Name) = (id.rollout, lane.clone());
        if let Some(count) = self.unserved.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.unserved.remove(&key);
            }
        }
    }

    /// The lanes that do not serve changes in hand, for people.
    pub(super) fn unserved(&self) -> Vec<Unserved> {
        let of = |(rollout, lane): &(RolloutId, Name)| Unserved {
            rollout: *rollout,
            lane: lane.clone(),
            shares: self.lanes.get(lane).and_then(|lane| lane.shares.clone()),
        };
        self.unserved.keys().map(of).collect()
    }
}

/// Decides a change of a lane that shares its project: as ever, but for PUTs and what leads to one.
pub(super) fn decide_without_put(work: &Work, ctx: &Context<'_>) -> Result<Decision, Stale> {
    let record = &work.change.record;
    let begins = record.state == State::Ready && work.event == Event::Woken && record.adopted.is_none() && !ctx.survey;
    if begins && ctx.gate == Gate::Open && matches!(ctx.window, Opening::Open { .. }) {
        let why = String::new();
        return Ok(Decision { record: record.clone(), call: None, probe: None, wake: Wake::In(LOOK_AGAIN), why });
    }
    let decision = change::decide(&work.change, &work.event, ctx)?;
    if decision.call.as_ref().is_some_and(crate::domain::call::Call::is_write) {
        // A look from before the restart has answered: as if the gate had shut meanwhile.
        return change::decide(&work.change, &work.event, &Context { gate: Gate::Held, ..ctx.clone() });
    }
    Ok(decision)
}
