use std::sync::Arc;

use super::*;
use crate::domain::rollout::{Cause, Halt, Phase, Record, Revert, RevertStage};
use crate::domain::window::{Calendar, Window};
use crate::engine::staged;
use crate::store::fixtures;

/// The wire instant of most cases: a second after the decision.
const WIRE: i64 = 101;

fn rollout() -> RolloutId {
    fixtures::submission("alpha", &[2, 2], 0).id()
}

fn lane() -> Name {
    Name::parse("main", "lane").expect("a name")
}

fn times(wall: i64, boot: u64) -> Times {
    Times { wall: fixtures::at(wall), boot: Duration::from_secs(boot) }
}

/// A PUT of the second wave, decided at second 100 of either clock, to leave before second 105, in
/// a plan that is open for an hour from second 0 on, less ten minutes at its end, every day.
fn put() -> CheckSpec {
    let mut plan = fixtures::plan("alpha", &[2, 2]);
    let cron = "0 8 * * *".parse().expect("an expression");
    let hour = Window::new(
        cron,
        Duration::from_secs(3_600),
        "UTC".parse().expect("a zone"),
        Duration::from_secs(600),
    );
    plan.calendar = Calendar::new(vec![hour.expect("a window")], Vec::new(), None);
    CheckSpec {
        write: true,
        deadline: Duration::from_secs(105),
        rollout: rollout(),
        lane: lane(),
        wave: 1,
        undo: false,
        decided: times(100, 100),
        open: OpenWithin { from: fixtures::at(100), until: Some(fixtures::at(3_000)), ends: None },
        plan: Arc::new(plan),
    }
}

fn look() -> CheckSpec {
    CheckSpec { write: false, ..put() }
}

fn record(phase: Phase) -> Record {
    Record { phase, ..Record::submitted() }
}

/// A fence that knows the second wave at work.
fn open() -> Fence {
    let fence = Fence::new(&[staged::lane(lane().as_str())]);
    fence.set_rollout(rollout(), &record(Phase::Advancing { wave: 1 }));
    fence
}

fn reason(fence: &Fence, spec: &CheckSpec, times: Times) -> Option<String> {
    fence.check(spec, times).err().map(|withheld| withheld.0)
}

#[test]
fn what_stands_as_it_was_decided_may_leave() {
    assert_eq!(reason(&open(), &put(), times(WIRE, 101)), None);
    assert_eq!(reason(&open(), &look(), times(WIRE, 101)), None);
}

#[test]
fn nothing_leaves_from_its_deadline_on() {
    for spec in [put(), look()] {
        assert_eq!(reason(&open(), &spec, times(104, 104)), None);
        for late in [105, 106, 9_000] {
            let withheld = reason(
                &open(),
                &spec,
                times(100 + (late - 100), u64::try_from(late).expect("after the start")),
            );
            assert_eq!(withheld.as_deref(), Some("the call's deadline has passed"), "at {late}");
        }
    }
}

fn reverting(stage: RevertStage, wave: u16) -> Phase {
    let cause = Cause::Asked { mark: fixtures::mark(1) };
    Phase::Reverting(Revert { wave, stage, more: false, failed: 0, in_doubt: 0, cause }.into())
}

#[test]
fn what_is_put_back_leaves_only_while_its_wave_is_put_back() {
    let cases = [
        (Phase::Advancing { wave: 1 }, false),
        (reverting(RevertStage::Releasing, 1), true),
        (reverting(RevertStage::Releasing, 0), true),
        (Phase::Reverted, false),
    ];
    for (phase, leaves) in cases {
        let fence = Fence::default();
        fence.set_rollout(rollout(), &record(phase.clone()));
        let put_back = CheckSpec { undo: true, ..put() };
        let expected = (!leaves).then_some("the rollout was held meanwhile");
        assert_eq!(reason(&fence, &put_back, times(WIRE, 101)).as_deref(), expected, "{phase:?}");
    }
}

#[test]
fn a_write_leaves_only_while_its_wave_may_begin_work() {
    let until = fixtures::at(500);
    let halted =
        Phase::Halted { wave: 1, reason: Halt::Failures { failures: 1, budget: 1 }, revert: None };
    let cases = [
        (Phase::Scheduled, false),
        (Phase::Advancing { wave: 0 }, false),
        (Phase::Advancing { wave: 1 }, true),
        (Phase::Advancing { wave: 2 }, true),
        (Phase::Soaking { wave: 1, until }, false),
        (Phase::Awaiting { wave: 1 }, false),
        (halted, false),
        (Phase::Completed, false),
        (Phase::Aborted { mark: fixtures::mark(1) }, false),
        (reverting(RevertStage::Releasing, 1), false),
        (Phase::Reverted, false),
    ];
    for (phase, leaves) in cases {
        let fence = Fence::default();
        fence.set_rollout(rollout(), &record(phase.clone()));
        let expected = (!leaves).then_some("the rollout was held meanwhile");
        assert_eq!(reason(&fence, &put(), times(WIRE, 101)).as_deref(), expected, "{phase:?}");
        assert_eq!(reason(&fence, &look(), times(WIRE, 101)), None, "a look is free in {phase:?}");

        let paused = Record { paused: Some(fixtures::mark(1)), ..record(phase.clone()) };
        fence.set_rollout(rollout(), &paused);
        assert_eq!(
            reason(&fence, &put(), times(WIRE, 101)).as_deref(),
            Some("the rollout was held meanwhile"),
            "paused in {phase:?}"
        );
        assert_eq!(
            reason(&fence, &look(), times(WIRE, 101)),
            None,
            "a look is free, paused in {phase:?}"
        );
    }
}

#[test]
fn a_write_leaves_again_when_the_pause_is_over() {
    let fence = open();
    fence.set_rollout(
        rollout(),
        &Record { paused: Some(fixtures::mark(1)), ..record(Phase::Advancing { wave: 1 }) },
    );
    assert!(reason(&fence, &put(), times(WIRE, 101)).is_some());
    fence.set_rollout(rollout(), &record(Phase::Advancing { wave: 1 }));
    assert_eq!(reason(&fence, &put(), times(WIRE, 101)), None);
}

#[test]
fn of_a_rollout_that_is_not_known_nothing_is_written() {
    let other = CheckSpec { rollout: fixtures::submission("beta", &[2, 2], 100).id(), ..put() };
    let held = Some("the rollout was held meanwhile");
    assert_eq!(reason(&open(), &other, times(WIRE, 101)).as_deref(), held);
    let fence = open();
    fence.forget_rollout(rollout());
    assert_eq!(reason(&fence, &put(), times(WIRE, 101)).as_deref(), held);
    assert_eq!(reason(&fence, &look(), times(WIRE, 101)), None);
}

#[test]
fn under_the_kill_switch_nothing_is_written() {
    let fence = open();
    fence.set_stop(Stop { file: Some(StopFile::new("/state/STOP", "drill")), ..Stop::default() });
    assert_eq!(
        reason(&fence, &put(), times(WIRE, 101)).as_deref(),
        Some("everything is stopped by the file /state/STOP: drill")
    );
    assert_eq!(reason(&fence, &look(), times(WIRE, 101)), None);
    fence.set_stop(Stop { by: Some(fixtures::mark(1)), ..Stop::default() });
    let by = format!("everything is stopped by {}", fixtures::mark(1));
    assert_eq!(reason(&fence, &put(), times(WIRE, 101)), Some(by));
    assert_eq!(reason(&fence, &look(), times(WIRE, 101)), None);
    fence.set_stop(Stop::default());
    assert_eq!(reason(&fence, &put(), times(WIRE, 101)), None);
}

#[test]
fn while_the_daemon_stops_nothing_is_written() {
    let fence = open();
    fence.set_draining();
    assert_eq!(reason(&fence, &put(), times(WIRE, 101)).as_deref(), Some("the daemon is stopping"));
    assert_eq!(reason(&fence, &look(), times(WIRE, 101)), None);
}

#[test]
fn a_write_stays_when_the_clocks_drifted_apart() {
    // Wall and boot at the wire; decided at 100 of both.
    let cases = [
        (106, 101, true),
        (107, 101, false),
        (96, 101, true),
        (95, 101, false),
        (-4_000, 101, false),
        (90_000, 104, false),
    ];
    for (wall, boot, leaves) in cases {
        // Open all the time, so that only the step can withhold.
        let spec = CheckSpec {
            open: OpenWithin { until: None, ..put().open },
            plan: Arc::new(fixtures::plan("alpha", &[2, 2])),
            ..put()
        };
        let expected = (!leaves).then_some("the wall clock was stepped meanwhile");
        assert_eq!(
            reason(&open(), &spec, times(wall, boot)).as_deref(),
            expected,
            "wall {wall}, boot {boot}"
        );
        let look = CheckSpec { write: false, ..spec };
        assert_eq!(
            reason(&open(), &look, times(wall, boot)),
            None,
            "a look at wall {wall}, boot {boot}"
        );
    }
}

#[test]
fn a_write_stays_when_its_window_has_shut() {
    // Decided three seconds before the cutoff.
    let spec = CheckSpec { decided: times(2_997, 100), ..put() };
    let shut = Some("the window is shut by now");
    for (wall, boot, expected) in
        [(2_998, 101, None), (2_999, 102, None), (3_000, 103, shut), (3_001, 104, shut)]
    {
        assert_eq!(reason(&open(), &spec, times(wall, boot)).as_deref(), expected, "at {wall}");
    }
    let look = CheckSpec { write: false, ..spec };
    assert_eq!(reason(&open(), &look, times(3_001, 104)), None);
}

#[test]
fn a_write_stays_when_the_clock_went_back_before_its_window() {
    let spec = CheckSpec { decided: times(1, 100), ..put() };
    assert_eq!(
        reason(&open(), &spec, times(-1, 101)).as_deref(),
        Some("the window is shut by now")
    );
    assert_eq!(reason(&open(), &spec, times(0, 101)), None, "back, but not before it opened");
}

#[test]
fn where_the_decision_saw_less_than_the_calendar_says_the_calendar_is_right() {
    let spec =
        CheckSpec { open: OpenWithin { until: Some(fixtures::at(100)), ..put().open }, ..put() };
    assert_eq!(reason(&open(), &spec, times(WIRE, 101)), None);
}

#[test]
fn a_deadline_comes_before_every_other_reason_and_the_kill_switch_before_the_rest() {
    let fence = Fence::default();
    fence.set_stop(Stop { file: Some(StopFile::new("/state/STOP", "drill")), ..Stop::default() });
    fence.set_draining();
    assert_eq!(
        reason(&fence, &put(), times(9_000, 105)).as_deref(),
        Some("the call's deadline has passed")
    );
    assert_eq!(
        reason(&fence, &put(), times(9_000, 104)).as_deref(),
        Some("everything is stopped by the file /state/STOP: drill")
    );
    fence.set_stop(Stop::default());
    assert_eq!(
        reason(&fence, &put(), times(9_000, 104)).as_deref(),
        Some("the daemon is stopping")
    );
}

/// A lane whose cloud told this time at second 100.
fn told(fence: &Fence, second: i64) {
    fence.hear(&put().lane, fixtures::at(second), Duration::from_secs(100), times(100, 100));
}

#[test]
fn clocks_that_are_too_far_apart_withhold_a_put_and_no_look() {
    for (second, allowed) in [(100, true), (390, true), (5, true), (410, false), (-210, false)] {
        let fence = open();
        told(&fence, second);
        assert_eq!(fence.check(&put(), times(101, 101)).is_ok(), allowed, "{second}");
        assert!(fence.check(&look(), times(101, 101)).is_ok());
    }
}

#[test]
fn a_window_is_shut_as_soon_as_one_clock_says_so() {
    // Ten seconds before its end by our clock.
    let late =
        CheckSpec { decided: times(2_990, 2_990), deadline: Duration::from_secs(2_995), ..put() };
    let now = times(2_991, 2_991);
    let fence = open();
    assert!(fence.check(&late, now).is_ok());
    fence.hear(&put().lane, fixtures::at(2_985), Duration::from_secs(2_990), times(2_990, 2_990));
    assert!(fence.check(&late, now).is_ok(), "by the cloud's clock too");
    let fence = open();
    fence.hear(&put().lane, fixtures::at(3_050), Duration::from_secs(2_990), times(2_990, 2_990));
    assert!(fence.check(&late, now).expect_err("withheld").0.contains("by the cloud's clock"));
    let by_boot = CheckSpec {
        open: OpenWithin { ends: Some(Duration::from_secs(2_991)), ..put().open },
        ..late
    };
    assert!(open().check(&by_boot, now).is_err());
}

#[test]
fn the_stop_file_itself_is_looked_at_before_anybody_tells_of_it() {
    let stands = Arc::new(std::sync::Mutex::new(None));
    let fence = open();
    let file = Arc::clone(&stands);
    fence.look_for_stop(Box::new(move || file.lock().expect("a test's lock").clone()));
    assert_eq!(reason(&fence, &put(), times(WIRE, 101)), None);
    *stands.lock().expect("a test's lock") = Some(StopFile::new("/state/STOP", "fire drill"));
    assert_eq!(
        reason(&fence, &put(), times(WIRE, 101)).as_deref(),
        Some("everything is stopped by the file /state/STOP: fire drill")
    );
    assert_eq!(reason(&fence, &look(), times(WIRE, 101)), None, "a read goes on");
    *stands.lock().expect("a test's lock") = None;
    assert_eq!(reason(&fence, &put(), times(WIRE, 101)), None);
}

#[test]
fn nothing_is_written_over_a_paused_lane() {
    let fence = open();
    fence.set_lane(&Name::parse("other", "lane").expect("a name"), Some(fixtures::mark(1)));
    assert_eq!(reason(&fence, &put(), times(WIRE, 101)), None, "another lane");
    fence.set_lane(&lane(), Some(fixtures::mark(1)));
    let withheld = reason(&fence, &put(), times(WIRE, 101));
    assert_eq!(withheld, Some(format!("lane main is paused by {}", fixtures::mark(1).by)));
    assert_eq!(reason(&fence, &look(), times(WIRE, 101)), None, "a read goes on");
    fence.set_lane(&lane(), None);
    assert_eq!(reason(&fence, &put(), times(WIRE, 101)), None);
}

#[test]
fn without_a_lease_that_lasts_no_call_leaves() {
    let (fence, now) = (open(), times(WIRE, 101));
    let kept = |until| {
        let until = Duration::from_secs(until);
        BTreeMap::from([(lane(), KeptLane { until, giving: false, inherited: false })])
    };
    let other = "lane main is another daemon's by now".to_owned();
    for spec in [put(), look()] {
        fence.set_leases(&BTreeMap::new());
        assert_eq!(reason(&fence, &spec, now), Some(other.clone()));
        fence.set_leases(&kept(101));
        assert_eq!(reason(&fence, &spec, now), Some(other.clone()), "it is over in this instant");
        fence.set_leases(&kept(102));
        assert_eq!(reason(&fence, &spec, now), None);
    }
    let read = fence.check_read(&lane(), Duration::from_secs(105), times(102, 102));
    assert_eq!(read.err().map(|withheld| withheld.0), Some(other));
}
