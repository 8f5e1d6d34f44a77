//! Why not now, and until when: gathers what `domain::hold` needs from the store and the engine.
//!
//! Invariant: everything here is read from state that others decided on; nothing here decides.

use jiff::Timestamp;

use super::wire::HoldView;
use crate::domain::change::State;
use crate::domain::hold::{self, LaneStanding, Situation, Unserved, Waiting};
use crate::domain::window::Opening;
use crate::engine::{ClockStanding, LaneSnapshot, Snapshot};
use crate::store::{Active, Rollout, Store, Unavailable};
use crate::words::hold::{Remedy, remedy};

/// What the calendar says to this rollout now.
pub fn opening(rollout: &Rollout, now: Timestamp) -> Opening {
    rollout.plan.opening(now, rollout.record.revert().is_some())
}

/// Why this rollout begins nothing new now, what to read first before the rest.
/// `groups_full`: see [`groups_full`].
pub fn of_rollout(
    rollout: &Rollout,
    snapshot: &Snapshot,
    groups_full: bool,
    now: Timestamp,
) -> Vec<HoldView> {
    let window = opening(rollout, now);
    // A lane that a person paused holds those alone that have work for it.
    let needs = |lane: &LaneSnapshot| {
        lane.held.as_ref().is_some_and(|(_, needing)| needing.contains(&rollout.id))
    };
    let for_this =
        |lane| LaneStanding { held: standing(lane).held.filter(|_| needs(lane)), ..standing(lane) };
    let lanes: Vec<LaneStanding<'_>> = snapshot.lanes.iter().map(for_this).collect();
    let mine = snapshot.unserved.iter().filter(|one| one.rollout == rollout.id);
    let unserved: Vec<Unserved<'_>> =
        mine.map(|one| Unserved { lane: &one.lane, shares: one.shares.as_ref() }).collect();
    let situation = Situation {
        groups_full,
        unserved: &unserved,
        ..situation(rollout, snapshot, &window, now)
    };
    hold::of_rollout(&situation, &lanes).into_iter().map(|hold| view(hold, rollout, now)).collect()
}

/// Whether the plan's group limits leave no place to any queued change.
pub async fn groups_full(rollout: &Rollout, store: &dyn Store) -> Result<bool, Unavailable> {
    let Some(wave) =
        rollout.record.phase.wave().filter(|_| !rollout.plan.strategy.max_in_flight_per.is_empty())
    else {
        return Ok(false);
    };
    let found = store.candidates(rollout.id, wave, 1).await?;
    Ok(found.free.is_empty() && !found.more)
}

/// Why these changes wait, one by one.
pub async fn of_changes(
    changes: &[Active],
    rollout: &Rollout,
    snapshot: &Snapshot,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Vec<Option<HoldView>>, Unavailable> {
    let window = opening(rollout, now);
    let situation = situation(rollout, snapshot, &window, now);
    let mut holds = Vec::with_capacity(changes.len());
    for active in changes {
        let change = &active.change;
        let queued = change.record.state == State::Queued;
        let instance_taken =
            if queued { store.holder(&change.target.instance_id).await? } else { None };
        let group_full =
            if queued { store.full_group(rollout.id, &change.target).await? } else { None };
        let lane = snapshot.lanes.iter().find(|lane| lane.lane == change.target.lane);
        let occupied = lane.and_then(|lane| lane.occupied.get(&change.target.instance_id));
        let (group_full, lane) = (group_full.as_ref(), lane.map(standing));
        let waiting =
            Waiting { change, now, wake: active.due, instance_taken, occupied, group_full, lane };
        holds.push(hold::of_change(&situation, &waiting).map(|hold| view(hold, rollout, now)));
    }
    Ok(holds)
}

fn situation<'a>(
    rollout: &'a Rollout,
    snapshot: &'a Snapshot,
    window: &'a Opening,
    now: Timestamp,
) -> Situation<'a> {
    Situation {
        plan: &rollout.plan,
        by: &rollout.by,
        submitted_at: rollout.submitted_at,
        started: snapshot.started,
        moved_at: rollout.moved_at,
        now,
        record: &rollout.record,
        tallies: &rollout.tallies,
        window,
        stop: &snapshot.stop,
        draining: snapshot.draining,
        overdue: snapshot.overdue.get(&rollout.id).map(String::as_str),
        groups_full: false,
        unserved: &[],
    }
}

fn standing(lane: &LaneSnapshot) -> LaneStanding<'_> {
    LaneStanding {
        name: &lane.lane,
        shares: lane.shares.as_ref(),
        held: lane.held.as_ref().map(|(mark, _)| mark),
        paused: lane.paused.as_ref(),
        waits_for_quota: lane.waiting > 0,
        clock: lane
            .clock
            .filter(ClockStanding::holds)
            .map(|standing| (standing.ahead, standing.since)),
        free_at: lane.free_at,
        assumed_until: lane.assumed_until.filter(|_| lane.waiting > 0),
    }
}

/// The hold as the API tells it: an end that has passed is none, for what it ends has only not been
/// looked at again yet.
fn view(hold: hold::Hold, rollout: &Rollout, now: Timestamp) -> HoldView {
    let hold::Hold { word, text, mark, lift, since, until } = hold;
    let until = ahead(until, now);
    let (by, why) = mark.map(|mark| (mark.by, mark.reason)).unzip();
    let remedy = lift.map(|lift| remedy(&lift, &rollout.plan, &rollout.by));
    let (verb, command, help) = match remedy {
        Some(Remedy { verb, command, help }) => (Some(verb.to_owned()), Some(command), Some(help)),
        None => (None, None, None),
    };
    HoldView {
        word: word.into(),
        text,
        by,
        why: why.unwrap_or_default(),
        verb,
        command,
        help,
        since,
        until,
    }
}

fn ahead(until: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    until.filter(|until| *until > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_has_passed_is_not_told() {
        let at = |second| Timestamp::from_second(second).expect("an instant");
        let until = |end| ahead(Some(at(end)), at(100));
        assert_eq!((until(99), until(100), until(101)), (None, None, Some(at(101))));
    }
}
