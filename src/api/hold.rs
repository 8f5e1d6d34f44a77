//! Why not now, and until when: gathers what `domain::hold` needs from the store and the engine.
//!
//! Invariant: everything here is read from state that others decided on; nothing here decides.

use jiff::Timestamp;

use super::wire::Hold;
use crate::domain::change::State;
use crate::domain::hold::{self, LaneStanding, Situation, Waiting};
use crate::domain::plan::Plan;
use crate::domain::window::Opening;
use crate::engine::{LaneSnapshot, Snapshot};
use crate::store::{Active, Rollout, Store, Unavailable};

/// What the calendar of this plan says at this instant.
pub fn opening(plan: &Plan, now: Timestamp) -> Opening {
    plan.calendar.at(now)
}

/// Why this rollout begins nothing new now, what to read first before the rest.
pub fn of_rollout(rollout: &Rollout, snapshot: &Snapshot, now: Timestamp) -> Vec<Hold> {
    let window = opening(&rollout.plan, now);
    let lanes: Vec<LaneStanding<'_>> = snapshot.lanes.iter().map(standing).collect();
    hold::of_rollout(&situation(rollout, snapshot, &window), &lanes).into_iter().map(Hold::from).collect()
}

/// Why these changes wait, one by one.
pub async fn of_changes(
    changes: &[Active],
    rollout: &Rollout,
    snapshot: &Snapshot,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Vec<Option<Hold>>, Unavailable> {
    let window = opening(&rollout.plan, now);
    let situation = situation(rollout, snapshot, &window);
    let mut holds = Vec::with_capacity(changes.len());
    for active in changes {
        let change = &active.change;
        let queued = change.record.state == State::Queued;
        let instance_taken = if queued { store.holder(&change.target.instance()).await? } else { None };
        let lane = snapshot.lanes.iter().find(|lane| lane.lane == change.target.lane).map(standing);
        let waiting = Waiting { change, now, wake: active.due, instance_taken, lane };
        holds.push(hold::of_change(&situation, &waiting).map(Hold::from));
    }
    Ok(holds)
}

fn situation<'a>(rollout: &'a Rollout, snapshot: &'a Snapshot, window: &'a Opening) -> Situation<'a> {
    Situation {
        plan: &rollout.plan,
        record: &rollout.record,
        tallies: &rollout.tallies,
        window,
        stop: snapshot.stop.as_deref(),
        draining: snapshot.draining,
    }
}

fn standing(lane: &LaneSnapshot) -> LaneStanding<'_> {
    LaneStanding {
        name: &lane.lane,
        paused: lane.paused.as_ref().map(|(until, why)| (*until, why.as_str())),
        waits_for_quota: lane.waiting > 0,
    }
}

impl From<hold::Hold> for Hold {
    fn from(hold: hold::Hold) -> Self {
        let hold::Hold { word, text, until } = hold;
        Self { word: word.into(), text, until }
    }
}
