//! Windows that open, and windows that were missed, as a rollout's decisions write them down.

use jiff::SignedDuration;

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::domain::change::Wake;
use crate::domain::id::{Digest, Name};
use crate::domain::person::Attribution;
use crate::domain::plan::{Approval, RevertPolicy, Strategy, Wave};
use crate::domain::plan::{Plan, Promote};
use crate::domain::retry;
use crate::domain::tally::Tally;
use crate::domain::window::{Calendar, Window};
use crate::domain::window_log::Gap;

fn at(text: &str) -> Timestamp {
    format!("2026-06-{text}:00Z").parse().expect("an instant")
}

/// Two waves of four; windows from 01:00 to 04:00 UTC.
fn plan() -> Plan {
    let window = Window::new(
        "0 1 * * *".parse().expect("cron"),
        Duration::from_secs(10_800),
        "UTC".parse().expect("a zone"),
        Duration::ZERO,
    );
    let wave = |name: &str, first| Wave {
        name: Name::parse(name, "wave").expect("a name"),
        first,
        size: 4,
        soak_ms: 0,
        promote: Promote::Manual,
        max_failures: 2,
    };
    Plan {
        name: Name::parse("nights", "name").expect("a name"),
        revision: 1,
        description: String::new(),
        change_ref: String::new(),
        owner: String::new(),
        ssl_option: true,
        source: Digest::of(b"nights"),
        calendar: Calendar::new(vec![window.expect("a window")], Vec::new(), Some(at("02T00:00"))),
        strategy: Strategy {
            max_in_flight: 2,
            max_in_flight_per: Default::default(),
            waves: vec![wave("canary", 0), wave("rest", 4)],
            max_failures: 4,
            progress_deadline_ms: 1_200_000,
            revert: RevertPolicy::default(),
        },
        retry: retry::Policy { max_attempts: 3, initial_ms: 1_000, max_ms: 60_000 },
        verify_timeout_ms: 60_000,
        approval: Approval::default(),
        enforce: None,
        survey: false,
        notify: Vec::new(),
        written: Default::default(),
        wire: None,
    }
}

fn mark(when: &str) -> Attribution {
    Attribution { by: "ada".into(), reason: "errors".into(), at: at(when) }
}

fn advancing() -> Record {
    Record { phase: Phase::Advancing { wave: 0 }, ..Record::submitted() }
}

fn decided(record: &Record, event: &Event, now: &str, gap: Gap) -> Decision {
    decided_by(record, event, now, gap, Slowest::all(at(now)))
}

fn decided_by(record: &Record, event: &Event, now: &str, gap: Gap, slowest: Slowest) -> Decision {
    let plan = plan();
    let done = usize::from(matches!(record.phase, Phase::Soaking { .. } | Phase::Awaiting { .. }));
    let tally = |wave: usize| {
        if wave < done { Tally { succeeded: 4, ..Tally::default() } } else { Tally::queued(4) }
    };
    let tallies = [tally(0), tally(1)];
    let now = at(now);
    let window = plan.calendar.at(now);
    let (by, stalled, at_work, since) =
        ("ada".into(), Duration::ZERO, String::new(), at("01T12:00"));
    let ctx = Context {
        now,
        plan: &plan,
        by: &by,
        tallies: &tallies,
        window,
        stalled,
        at_work,
        since,
        gap,
        slowest,
    };
    decide(record, event, &ctx).expect("not refused")
}

#[test]
fn an_opening_is_written_down_before_anything_is_released() {
    let noted = decided(&advancing(), &Event::Woken, "02T01:00", Gap::None);
    assert_eq!(
        (&noted.effect, noted.wake),
        (&Effect::None, RolloutWake::Change(Wake::In(Duration::ZERO)))
    );
    assert_eq!(noted.why, "a window opened, until 2026-06-02 04:00 +00");
    assert_eq!(
        (noted.record.releases, noted.record.version),
        (1, 0),
        "two daemons cannot both write it; no change is disturbed"
    );
    let next = decided(&noted.record, &Event::Woken, "02T01:00", Gap::None);
    assert_eq!(next.effect, Effect::Release { wave: 0, count: 2 });
}

#[test]
fn what_was_missed_is_written_down_with_who_held_it() {
    let table = [
        (
            Record { paused: Some(mark("02T00:30")), ..advancing() },
            Gap::None,
            "paused by ada: errors",
        ),
        (
            Record { phase: Phase::Awaiting { wave: 0 }, ..advancing() },
            Gap::None,
            "a promotion was missing",
        ),
        (
            Record {
                phase: Phase::Halted {
                    wave: 0,
                    reason: Halt::Stalled { seconds: 1, why: String::new() },
                    revert: None,
                },
                ..advancing()
            },
            Gap::None,
            "halted",
        ),
        (advancing(), Gap::Down, "no daemon ran"),
    ];
    for (record, gap, why) in table {
        let noted = decided(&record, &Event::Woken, "02T05:00", gap);
        assert_eq!(
            noted.why,
            format!("missed the window of 2026-06-02 01:00 +00 until 2026-06-02 04:00 +00: {why}")
        );
        assert_eq!((noted.record.windows.missed, &noted.record.phase), (1, &record.phase));
        assert_eq!(
            decided(&noted.record, &Event::Woken, "02T05:00", Gap::None).record,
            noted.record,
            "once"
        );
    }
}

#[test]
fn windows_before_the_start_and_during_a_soak_are_not_missed() {
    assert_eq!(
        decided(&Record::submitted(), &Event::Woken, "01T23:00", Gap::Down).record,
        Record::submitted()
    );
    let soaking =
        Record { phase: Phase::Soaking { wave: 0, until: at("04T12:00") }, ..advancing() };
    assert_eq!(decided(&soaking, &Event::Woken, "03T12:00", Gap::None).record, soaking);
    // Its end was slept through: the windows since then are missed, those before are not.
    let soaked = decided(&soaking, &Event::Woken, "06T12:00", Gap::Down);
    assert_eq!((soaked.record.phase.as_str(), soaked.record.windows.missed), ("awaiting", 0));
    let noted = decided(&soaked.record, &Event::Woken, "06T12:00", Gap::Down);
    assert_eq!(noted.record.windows.missed, 2, "{}", noted.why);
    // A person who cuts the soak short takes the windows until then for passed.
    let promoted = decided(
        &soaking,
        &Event::Command { verb: Verb::Promote, mark: mark("03T12:00"), uid: None },
        "03T12:00",
        Gap::None,
    );
    assert_eq!(promoted.record.windows.upto, Some(at("03T12:00")));
}

#[test]
fn a_verb_in_an_open_window_does_not_make_it_a_missed_one() {
    let paused = decided(
        &advancing(),
        &Event::Command { verb: Verb::Pause { until: None }, mark: mark("02T02:00"), uid: None },
        "02T02:00",
        Gap::None,
    );
    assert_eq!(paused.record.windows.opened, Some(at("02T04:00")));
    assert_eq!(
        decided(&paused.record, &Event::Woken, "02T05:00", Gap::None).record.windows.missed,
        0
    );
    // What passed before it is counted all the same, in the verb's own entry.
    let late = decided(
        &advancing(),
        &Event::Command { verb: Verb::Pause { until: None }, mark: mark("03T02:00"), uid: None },
        "03T02:00",
        Gap::Down,
    );
    assert_eq!((late.record.windows.missed, late.record.windows.opened), (1, Some(at("03T04:00"))));
    assert_eq!(
        late.why,
        "paused by ada: errors; missed the window of 2026-06-02 01:00 +00 until 2026-06-02 04:00 +00: no daemon ran"
    );
}

/// The wall clock was stepped by two days in the middle of a soak, and of a pause with an end.
#[test]
fn a_stepped_wall_clock_ends_neither_a_soak_nor_a_pause() {
    let soaking =
        Record { phase: Phase::Soaking { wave: 0, until: at("04T12:00") }, ..advancing() };
    let paused = Record {
        paused: Some(mark("03T11:00")),
        paused_until: Some(at("04T12:00")),
        ..advancing()
    };
    let stepped = Gap::Stepped(SignedDuration::from_hours(48));
    for (record, goes_on) in [(&soaking, "the soak goes on"), (&paused, "the pause goes on")] {
        let slowest = Slowest::all(at("03T12:00"));
        let noticed = decided_by(record, &Event::Woken, "05T12:00", stepped, slowest);
        assert!(
            noticed.why.contains("172800 s ahead") || noticed.why.contains("missed"),
            "{}",
            noticed.why
        );
        let next = decided_by(&noticed.record, &Event::Woken, "05T12:00", Gap::None, slowest);
        assert_eq!(
            (&next.record.phase, next.record.paused_until),
            (&record.phase, record.paused_until),
            "{goes_on}"
        );
        assert_eq!(
            next.wake,
            RolloutWake::At(at("06T12:00")),
            "a day is left, whatever the wall clock shows"
        );
        // And the other way round: the wall clock went back, the others are at the end.
        let back =
            decided_by(record, &Event::Woken, "03T12:00", Gap::None, Slowest::all(at("03T12:00")));
        assert_eq!(back.record.phase, record.phase);
    }
    let over =
        decided_by(&soaking, &Event::Woken, "06T12:00", Gap::None, Slowest::all(at("04T12:00")));
    assert_eq!(over.record.phase.as_str(), "awaiting");
    let noticed =
        decided_by(&soaking, &Event::Woken, "05T12:00", stepped, Slowest::all(at("03T12:00")));
    assert_eq!(
        noticed.why,
        "the wall clock was stepped 172800 s ahead; the soak goes on by the other clocks"
    );
    assert_eq!(
        (noticed.record.version, noticed.record.releases),
        (soaking.version, soaking.releases + 1),
        "a note"
    );
}
