//! What a scenario lets happen by the clock: crashes, freezes, verbs, the kill switch, steps of the
//! wall clock.

use fastrand::Rng;
use sealift::domain::rollout::{ByHand, Requeue, Verb};

use super::{Nanos, S, SimEvent, SimWorld};

/// Steps of the wall clock are aimed at the time at which most runs are at work.
const JUMPS_WITHIN: Nanos = 90 * S;
/// So is the kill-switch file: what leaves before a daemon is told of it is what the last check is
/// for.
const STOP_WITHIN: Nanos = 30 * S;
/// Longest standstill of a host.
const FREEZE_MAX: Nanos = 60 * S;

/// Places that a person's word on one change is about.
const BY_HAND_UP_TO: u32 = 8;

impl SimWorld {
    pub(super) fn draw_events(&mut self) {
        let calm_at = self.scenario.calm_at * S;
        self.draw_crashes(calm_at);
        for _ in 0..self.scenario.verbs {
            let at = self.rng.u64(0..calm_at);
            let verb = draw_verb(&mut self.rng);
            self.push(at, SimEvent::Operator { verb });
        }
        if self.scenario.stop_file {
            let at = self.rng.u64(0..calm_at.min(STOP_WITHIN));
            self.push(at, SimEvent::StopFile { text: Some("drill".into()) });
            let back = self.rng.u64(at..=calm_at);
            self.push(back, SimEvent::StopFile { text: None });
        }
        if let Some((from, until)) = self.scenario.lane_paused {
            self.push(from * S, SimEvent::LaneSwitch { order: 1, paused: true });
            self.push(until * S, SimEvent::LaneSwitch { order: 2, paused: false });
        }
        if let Some((from, until)) = self.scenario.stop_all {
            self.push(from * S, SimEvent::StopAll { order: 1, stopped: true });
            self.push(until * S, SimEvent::StopAll { order: 2, stopped: false });
        }
        for _ in 0..self.scenario.wall_jumps {
            let at = self.rng.u64(0..calm_at.min(JUMPS_WITHIN));
            // Small steps forward are those of a badly disciplined clock; the large ones are an
            // operator's.
            let seconds =
                if self.rng.bool() { self.rng.i64(1..60) } else { self.rng.i64(-4000..4000) };
            self.push(at, SimEvent::Jump { seconds });
        }
        for (at, ahead) in self.scenario.clock_steps.clone() {
            self.push(at * S, SimEvent::CloudClock { ahead });
        }
        for _ in 0..self.scenario.freezes {
            self.draw_daemon();
            let at = self.rng.u64(0..calm_at.min(JUMPS_WITHIN));
            let until = self.now + at + self.rng.u64(S..FREEZE_MAX);
            self.push(at, SimEvent::Freeze { until });
        }
        self.push(calm_at, SimEvent::Calm);
    }

    /// Once said which of several daemons; drawn on, so that the rest of a seed stays as it is.
    pub(super) fn draw_daemon(&mut self) {
        self.rng.usize(0..1);
    }

    fn draw_crashes(&mut self, calm_at: Nanos) {
        let mut at = 0;
        while self.scenario.crash_every > 0 {
            at += self.rng.u64(1..=u64::from(self.scenario.crash_every) * 2 * S);
            if at > calm_at {
                return;
            }
            self.push(at, SimEvent::Crash);
        }
    }
}

/// A verb as operators use them.
pub fn draw_verb(rng: &mut Rng) -> Verb {
    match rng.u8(0..12) {
        0..4 => Verb::Pause { until: None },
        4..8 => Verb::Resume,
        8 => Verb::Abort,
        9 => Verb::Promote,
        10 => Verb::Retry(Requeue::Failed),
        _ if rng.bool() => Verb::Retry(Requeue::FailedAndInDoubt),
        // Mostly refused: few changes failed or are in doubt.
        _ => Verb::ByHand {
            ordinal: rng.u32(0..BY_HAND_UP_TO),
            what: if rng.bool() { ByHand::Again } else { ByHand::GiveUp },
        },
    }
}
