//! People: operators with verbs, and the kill-switch file.

use fastrand::Rng;
use sealift::domain::person::Attribution;
use sealift::domain::rollout::{Requeue, Verb};
use sealift::engine::{Command, Input};
use sealift::store::Rollout;

use super::{MS, Nanos, S, SimEvent, SimWorld};
use crate::oracle::SeenFact;
use crate::planted::Planted;
use crate::setting;

/// Who watches the kill-switch file tells of it within this time, on a busy host.
const STOP_TOLD_WITHIN: Nanos = 2 * S;

impl SimWorld {
    /// Whether the run is at its end; sends a person when nobody else can move it any more.
    pub(super) fn is_over(&mut self) -> bool {
        let rollout = self.read_rollout();
        let idle = rollout.total().active == 0;
        if rollout.record.phase.is_final() {
            return idle && rollout.total().queued == 0;
        }
        if idle && self.verbs_out.is_empty() && self.now >= self.person_at {
            self.person_at = self.now + 5 * S;
            let Some(verb) = verb_of_a_person(&rollout, &mut self.rng) else { return false };
            self.push(MS, SimEvent::Operator { verb });
        }
        false
    }

    pub(super) fn operator(&mut self, verb: Verb) {
        if self.daemon.core.is_none() {
            return;
        }
        self.draw_daemon();
        let id = self.next_reply;
        self.next_reply += 1;
        self.fire("verb");
        self.verbs_out.insert(id, verb.clone());
        self.oracle.see(SeenFact::VerbAsked { id, now: self.now.max(self.daemon.frozen_until) });
        let (by, passed_on) = (self.author(&verb).to_owned(), self.passed_on(&verb));
        let command = Command {
            rollout: self.rollout,
            verb: passed_on,
            by: by.into(),
            reason: "drill".into(),
            only_if: None,
        };
        if self.planted == Planted::VerbAcknowledgedBeforeSaved {
            self.oracle.see(SeenFact::Acknowledged { verb });
        }
        let wait = self.daemon.frozen_until.saturating_sub(self.now);
        self.push_input(wait, Input::Command { id, command });
    }

    /// The file comes or goes: from this instant on for every last check, a moment later for who
    /// watches it.
    pub(super) fn stop_file(&mut self, text: Option<String>) {
        *self.stop.lock().expect("one thread") = text;
        self.see_stop();
        let after =
            self.rng.u64(0..STOP_TOLD_WITHIN) + self.daemon.frozen_until.saturating_sub(self.now);
        self.push(after, SimEvent::TellStop { life: self.daemon.life });
        self.oracle.see(SeenFact::Disturbed { now: self.now + after });
    }

    /// Tells the daemon whether the kill-switch file stands.
    pub(super) fn tell_stop(&mut self, life: u32) {
        if self.daemon.life != life || self.is_blind_to_stop() {
            return;
        }
        let stands = self.stop.lock().expect("one thread").clone();
        self.feed(Input::StopFile(setting::stop_file(stands)));
    }

    /// A person stops everything, or starts it again: acknowledged when the daemon obeys.
    pub(super) fn stop_all(&mut self, order: u32, stopped: bool) {
        if self.daemon.frozen_until > self.now {
            return self
                .push(self.daemon.frozen_until - self.now, SimEvent::StopAll { order, stopped });
        }
        if order < self.stop_order {
            return;
        }
        (self.stop_order, self.stopped) = (order, stopped);
        self.fire(if stopped { "stopped" } else { "started" });
        self.tell_stopped();
        self.see_stop();
        self.oracle.see(SeenFact::Disturbed { now: self.now });
    }

    /// Tells the daemon whether a person stopped everything.
    pub(super) fn tell_stopped(&mut self) {
        let at = self.times().wall;
        let mark =
            self.stopped.then(|| Attribution { by: "ada".into(), reason: "incident".into(), at });
        self.feed(Input::Stopped(mark));
    }

    fn see_stop(&mut self) {
        let stands = self.stopped || self.stop.lock().expect("one thread").is_some();
        self.oracle.see(SeenFact::Stopped { stands });
    }

    /// A person pauses the lane, or resumes it: acknowledged when the daemon obeys.
    pub(super) fn lane_switch(&mut self, order: u32, paused: bool) {
        if self.daemon.frozen_until > self.now {
            return self
                .push(self.daemon.frozen_until - self.now, SimEvent::LaneSwitch { order, paused });
        }
        if order < self.lane_order {
            return;
        }
        self.lane_order = order;
        self.lane_paused = paused;
        self.fire(if paused { "lane_paused" } else { "lane_resumed" });
        self.tell_lane();
        self.oracle.see(SeenFact::LaneSwitched { paused });
        self.oracle.see(SeenFact::Disturbed { now: self.now });
    }

    /// Tells the daemon whether the lane is paused.
    pub(super) fn tell_lane(&mut self) {
        let at = self.times().wall;
        let mark = self.lane_paused.then(|| Attribution {
            by: "ada".into(),
            reason: "incident".into(),
            at,
        });
        self.feed(Input::Lanes(vec![(setting::name("sim"), mark)]));
    }

    /// A daemon that looks for the file in another folder neither hears of it nor finds it.
    pub(super) fn is_blind_to_stop(&self) -> bool {
        self.planted == Planted::StopFileNotTold
    }
}

/// What a person does about a rollout that goes no further by itself; nothing where it does.
pub fn verb_of_a_person(rollout: &Rollout, rng: &mut Rng) -> Option<Verb> {
    match (&rollout.record.paused, rollout.record.phase.as_str()) {
        (Some(_), _) => Some(Verb::Resume),
        (None, "scheduled")
            if rollout.record.approvals.len() < usize::from(rollout.plan.approval.required) =>
        {
            Some(Verb::Approve { digest: rollout.plan.approval.digest })
        }
        (None, "awaiting") => Some(Verb::Promote),
        (None, "halted") if rollout.record.is_left_by_promotion(&rollout.tallies) && rng.bool() => {
            Some(Verb::Promote)
        }
        (None, "halted") if rng.bool() => Some(Verb::Retry(Requeue::FailedAndInDoubt)),
        (None, "halted") => Some(Verb::Abort),
        (None, _) => None,
    }
}
