//! Why not now, and until when: the holds of a rollout and of one change.
//!
//! Invariant: a rollout that is not final and begins nothing new has at least one hold; a waiting change has exactly
//! one. Everything here is read from state that others decided on; nothing here decides.

use jiff::Timestamp;

use super::wire::Hold;
use crate::domain::change::State;
use crate::domain::plan::Plan;
use crate::domain::rollout::{Halt, Phase, Stage};
use crate::domain::window::{Opening, ShutBy};
use crate::engine::Snapshot;
use crate::store::{Active, Rollout};

/// What the calendar of this plan says at this instant.
pub fn opening(plan: &Plan, now: Timestamp) -> Opening {
    plan.calendar.at(now)
}

/// Why this rollout begins nothing new now, the widest reason first. Empty for a final one and for one that works.
pub fn of_rollout(rollout: &Rollout, snapshot: &Snapshot, refusing: Option<&str>, now: Timestamp) -> Vec<Hold> {
    if rollout.record.phase.is_final() {
        return Vec::new();
    }
    let mut holds = of_daemon(snapshot, refusing);
    if let Some(mark) = &rollout.record.paused {
        let why = if mark.reason.is_empty() { String::new() } else { format!(": {}", mark.reason) };
        holds.push(hold("paused", format!("paused by {}{why}", mark.by), rollout.record.paused_until));
    }
    holds.extend(of_phase(rollout, now));
    if matches!(rollout.record.phase, Phase::Advancing { .. } | Phase::Reverting(_)) {
        holds.extend(of_lanes(snapshot));
    }
    holds
}

fn of_daemon(snapshot: &Snapshot, refusing: Option<&str>) -> Vec<Hold> {
    let mut holds = Vec::new();
    if let Some(text) = &snapshot.stop {
        let text = if text.is_empty() { "the file STOP stands in the state directory".to_owned() } else { format!("STOP: {text}") };
        holds.push(hold("stop", text, None));
    }
    if snapshot.draining {
        holds.push(hold("draining", "the daemon is ending; work goes on after its restart".into(), None));
    }
    if let Some(why) = refusing {
        holds.push(hold("store", format!("the store accepts nothing new: {why}"), None));
    }
    holds
}

fn of_phase(rollout: &Rollout, now: Timestamp) -> Option<Hold> {
    let name = &rollout.plan.name;
    let wave_name = |wave: u16| rollout.plan.strategy.waves.get(usize::from(wave)).map_or("?", |wave| wave.name.as_str());
    let approval = &rollout.plan.approval;
    let given = rollout.record.approvals.len();
    match &rollout.record.phase {
        Phase::Scheduled if given < usize::from(approval.required) => {
            let text = format!(
                "{given} of {} approvals are given; somebody else than {} approves it with `sealift approve {name} --digest {}`",
                approval.required, rollout.by, approval.digest
            );
            Some(hold("approval", text, None))
        }
        Phase::Scheduled | Phase::Advancing { .. } => match opening(&rollout.plan, now) {
            Opening::Open { .. } => None,
            Opening::Shut { next, by } => Some(of_shut(next, &by)),
        },
        Phase::Soaking { wave, until } => Some(hold("soak", format!("wave {} is done and soaks", wave_name(*wave)), Some(*until))),
        Phase::Awaiting { wave } => {
            Some(hold("promotion", format!("wave {} is done; the next begins with `sealift promote {name}`", wave_name(*wave)), None))
        }
        Phase::Halted { reason, .. } => {
            let text = format!("{}; go on with `sealift retry {name}` or end with `sealift abort {name}`", halt_text(reason));
            Some(hold("halt", text, None))
        }
        Phase::Reverting(revert) => match revert.stage {
            Stage::Settling => {
                Some(hold("settling", "what is on its way forward is followed to its end before anything is put back".into(), None))
            }
            Stage::Gathering => Some(hold("settling", format!("what wave {} changed is gathered", wave_name(revert.wave)), None)),
            Stage::Releasing => match rollout.plan.opening(now, true) {
                Opening::Open { .. } => None,
                Opening::Shut { next, by } => Some(of_shut(next, &by)),
            },
        },
        Phase::Completed | Phase::Aborted { .. } | Phase::Reverted => None,
    }
}

fn of_shut(next: Option<Timestamp>, by: &ShutBy) -> Hold {
    match by {
        ShutBy::NotBefore => hold("not_before", "`not_before` lies ahead".into(), next),
        ShutBy::Window if next.is_none() => hold("window", "no window opens any more".into(), None),
        ShutBy::Window => hold("window", "no window is open".into(), next),
        ShutBy::Cutoff => hold("cutoff", "the window is open, its cutoff has passed".into(), next),
        ShutBy::Freeze(reason) if reason.is_empty() => hold("freeze", "a freeze is on".into(), next),
        ShutBy::Freeze(reason) => hold("freeze", format!("freeze: {reason}"), next),
    }
}

fn of_lanes(snapshot: &Snapshot) -> impl Iterator<Item = Hold> + '_ {
    snapshot.lanes.iter().filter_map(|lane| {
        let (until, why) = lane.paused.as_ref()?;
        Some(hold("lane", format!("lane {} is paused: {why}", lane.lane), Some(*until)))
    })
}

/// A guard's reason for people.
pub fn halt_text(reason: &Halt) -> String {
    match reason {
        Halt::Failures { failures, budget } => format!("halted: {failures} failures reach the budget of {budget}"),
        Halt::Stalled { seconds } => format!("halted: no change ended for {seconds} s of open window"),
        Halt::Revert { failures } => format!("halted: {failures} changes could not be put back"),
    }
}

/// Why this change waits. `holds` are its rollout's.
pub fn of_change(active: &Active, rollout: &Rollout, holds: &[Hold], now: Timestamp) -> Option<Hold> {
    match &active.change.record.state {
        State::Queued if rollout.record.phase.is_final() => None,
        State::Queued => {
            if let Some(wide) = holds.iter().find(|hold| hold.word != "lane") {
                return Some(wide.clone());
            }
            let current = rollout.record.phase.wave().unwrap_or(0);
            if active.change.wave > current && rollout.record.revert().is_none() {
                let before = rollout.plan.strategy.waves.get(usize::from(current)).map_or("?", |wave| wave.name.as_str());
                return Some(hold("wave", format!("wave {before} comes first"), None));
            }
            let most = rollout.plan.strategy.max_in_flight;
            Some(hold("places", format!("waits for one of {most} places in flight, or for its instance"), None))
        }
        State::Ready => match active.due {
            Some(due) if due > now => Some(hold("retry", "waits before its next try".into(), Some(due))),
            Some(_) | None => {
                let lane = active.change.target.lane.as_str();
                let paused = holds.iter().find(|hold| hold.word == "lane" && hold.text.starts_with(&format!("lane {lane} ")));
                Some(paused.cloned().unwrap_or_else(|| hold("lane", format!("waits for a call permit of lane {lane}"), None)))
            }
        },
        State::Inspecting
        | State::Submitting { .. }
        | State::Recovering { .. }
        | State::Following { .. }
        | State::Verifying { .. }
        | State::Succeeded { .. }
        | State::Failed { .. }
        | State::InDoubt { .. }
        | State::Cancelled
        | State::Reverted { .. }
        | State::Skipped { .. } => None,
    }
}

fn hold(word: &str, text: String, until: Option<Timestamp>) -> Hold {
    Hold { word: word.into(), text, until }
}
