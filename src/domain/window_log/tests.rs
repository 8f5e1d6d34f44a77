//! Stories of looks, one after the other, and what each of them writes down.

use std::time::Duration;

use super::*;
use crate::domain::window::Window;

fn at(text: &str) -> Timestamp {
    format!("2026-06-{text}:00Z").parse().expect("an instant")
}

/// 01:00 to 04:00 UTC every night, the last half hour for no new work.
fn nights() -> Calendar {
    nightly("0 1 * * *", 180, 30)
}

fn nightly(cron: &str, minutes: u64, cutoff: u64) -> Calendar {
    let length = |minutes: u64| Duration::from_secs(minutes * 60);
    let window = Window::new(
        cron.parse().expect("cron"),
        length(minutes),
        "UTC".parse().expect("a zone"),
        length(cutoff),
    );
    Calendar::new(vec![window.expect("a window")], Vec::new(), None)
}

/// Who holds it: since when, and in words.
type HeldSince = Option<(Option<Timestamp>, &'static str)>;

/// A rollout that is looked at; submitted on 1 June at noon.
struct LookedAtRollout {
    calendar: Calendar,
    windows: WindowLog,
    may_begin: bool,
    wants: bool,
    held: HeldSince,
}

impl LookedAtRollout {
    fn of(calendar: Calendar) -> Self {
        Self { calendar, windows: WindowLog::default(), may_begin: true, wants: true, held: None }
    }

    /// Looks until nothing is left to write down, as the engine does; the first look alone knows of
    /// a gap.
    fn look(&mut self, now: &str, gap: Gap) -> Vec<String> {
        let (now, mut gap, mut whys) = (at(now), gap, Vec::new());
        loop {
            let facts = NoteInput {
                calendar: &self.calendar,
                opening: &self.calendar.at(now),
                now,
                since: at("01T12:00"),
                may_begin: self.may_begin && self.held.is_none(),
                wants: self.wants,
                held: self.held,
                gap,
            };
            let Some(note) = self.windows.note(&facts) else { return whys };
            let (was, is) = (self.windows.upto, note.windows.upto);
            assert!(
                was.is_none_or(|was| is.is_some_and(|is| is >= was)),
                "what is accounted for stays so"
            );
            self.windows = note.windows;
            whys.push(note.why);
            assert!(whys.len() < 5, "{whys:?}");
            gap = Gap::None;
        }
    }
}

#[test]
fn a_window_that_is_used_opens_once() {
    let mut rollout = LookedAtRollout::of(nights());
    assert!(rollout.look("01T12:00", Gap::Down).is_empty());
    assert_eq!(
        rollout.look("02T01:00", Gap::None),
        ["a window opened, until 2026-06-02 03:30 +00"]
    );
    for later in ["02T01:00", "02T02:00", "02T03:29", "02T03:31", "02T20:00"] {
        assert!(rollout.look(later, Gap::None).is_empty(), "{later}");
    }
    assert_eq!(
        rollout.look("03T02:15", Gap::Down),
        ["a window opened, until 2026-06-03 03:30 +00"],
        "late, and not missed"
    );
    assert_eq!(
        rollout.windows,
        WindowLog {
            upto: Some(at("03T03:30")),
            opened: Some(at("03T03:30")),
            missed: 0,
            last_missed: None
        }
    );
}

#[test]
fn a_window_that_passes_is_missed_once_with_its_reason() {
    let table: [(HeldSince, Gap, &str); 7] = [
        (None, Gap::Down, "no daemon ran"),
        (None, Gap::Stopped, "everything was stopped"),
        (None, Gap::Still(SignedDuration::from_secs(7_200)), "the daemon stood still for 2h"),
        (None, Gap::None, "it was over before anything could begin"),
        (Some((Some(at("02T00:00")), "paused by ada")), Gap::None, "paused by ada"),
        // Paused only after it had passed: that is not why.
        (Some((Some(at("02T06:00")), "paused by ada")), Gap::Down, "no daemon ran"),
        (Some((None, "halted")), Gap::Down, "halted"),
    ];
    for (held, gap, why) in table {
        let mut rollout = LookedAtRollout::of(nights());
        rollout.held = held;
        let missed =
            format!("missed the window of 2026-06-02 01:00 +00 until 2026-06-02 03:30 +00: {why}");
        assert_eq!(rollout.look("02T08:00", gap), [missed]);
        assert!(rollout.look("02T09:00", Gap::None).is_empty());
        assert_eq!((rollout.windows.missed, rollout.windows.opened), (1, None));
        assert_eq!(
            rollout.windows.last_missed,
            Some(MissedWindows { open: at("02T01:00"), until: at("02T03:30") })
        );
    }
}

#[test]
fn a_month_without_a_daemon_is_one_entry() {
    let mut rollout = LookedAtRollout::of(nights());
    let notes = [
        "missed 28 windows from 2026-06-02 01:00 +00 to 2026-06-29 03:30 +00: no daemon ran",
        "a window opened, until 2026-06-30 03:30 +00",
    ];
    assert_eq!(rollout.look("30T02:00", Gap::Down), notes);
    assert_eq!(rollout.windows.missed, 28);

    let mut often = LookedAtRollout::of(nightly("*/5 * * * *", 2, 0));
    let notes = [
        "missed more than 1000 windows from 2026-06-01 12:00 +00 to 2026-06-30 02:03 +00: no daemon ran",
    ];
    assert_eq!(often.look("30T02:03", Gap::Down), notes);
    assert_eq!((often.windows.missed, often.windows.upto), (COUNTED_MAX, Some(at("30T02:03"))));
    assert_eq!(often.look("30T02:05", Gap::None), ["a window opened, until 2026-06-30 02:07 +00"]);
}

#[test]
fn a_clock_stepped_forward_over_a_window_and_back_again() {
    let mut rollout = LookedAtRollout::of(nights());
    rollout.look("01T23:00", Gap::Down);
    let day = SignedDuration::from_hours(10);
    assert_eq!(
        rollout.look("02T09:00", Gap::Stepped(day)),
        ["the wall clock was stepped forward by 10h, to 2026-06-02 09:00 +00; \
          missed the window of 2026-06-02 01:00 +00 until 2026-06-02 03:30 +00: the clock went past it"]
    );
    // Set right again: the night comes after all, and nothing is counted twice.
    assert_eq!(
        rollout.look("01T23:01", Gap::Stepped(-day)),
        [
            "the wall clock was stepped back by 10h, to 2026-06-01 23:01 +00; the next window opens 2026-06-02 01:00 +00"
        ]
    );
    assert_eq!(
        rollout.look("02T01:00", Gap::None),
        [
            "a window counted as missed is open after all, until 2026-06-02 03:30 +00: the clock stood ahead"
        ]
    );
    assert_eq!((rollout.windows.missed, rollout.windows.last_missed), (0, None));
    for later in ["02T02:00", "02T05:00", "02T09:01"] {
        assert!(rollout.look(later, Gap::None).is_empty(), "{later}");
    }
    assert_eq!(
        rollout.look("03T01:00", Gap::None),
        ["a window opened, until 2026-06-03 03:30 +00"]
    );
}

#[test]
fn a_clock_stepped_back_opens_no_window_twice() {
    let mut rollout = LookedAtRollout::of(nights());
    rollout.look("02T01:00", Gap::Down);
    for (now, stands) in [
        ("02T01:30", "the window is open until 2026-06-02 03:30 +00"),
        ("01T23:00", "the next window opens 2026-06-02 01:00 +00"),
    ] {
        let notes = rollout.look(now, Gap::Stepped(SignedDuration::from_mins(-150)));
        assert_eq!(
            notes,
            [format!(
                "the wall clock was stepped back by 2h 30m, to 2026-06-{} +00; {stands}",
                now.replace('T', " ")
            )]
        );
        assert!(rollout.look("02T01:00", Gap::None).is_empty(), "it was opened already");
    }
    assert_eq!(rollout.windows.opened, Some(at("02T03:30")));
}

#[test]
fn a_clock_a_month_ahead_leaves_each_night_its_own_entry() {
    let mut rollout = LookedAtRollout::of(nights());
    rollout.look("01T12:00", Gap::Down);
    rollout.look("29T12:00", Gap::Stepped(SignedDuration::from_hours(28 * 24)));
    assert_eq!(rollout.windows.missed, 28);
    rollout.look("01T12:01", Gap::Stepped(SignedDuration::from_hours(-28 * 24)));
    for night in 2..30 {
        let notes = rollout.look(&format!("{night:02}T01:00"), Gap::None);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].starts_with("a window counted as missed is open after all"), "{notes:?}");
    }
    assert_eq!(rollout.windows.missed, 0);
    assert_eq!(
        rollout.look("30T01:00", Gap::None),
        ["a window opened, until 2026-06-30 03:30 +00"]
    );
}

#[test]
fn what_nobody_waits_for_is_not_missed() {
    let mut idle = LookedAtRollout::of(nights());
    idle.wants = false;
    idle.may_begin = false;
    assert!(idle.look("05T12:00", Gap::Down).is_empty());
    let mut always = LookedAtRollout::of(Calendar::always());
    assert!(
        always.look("05T12:00", Gap::Stepped(SignedDuration::from_hours(9))).is_empty(),
        "without windows none is missed"
    );
    let mut passed = LookedAtRollout::of(nights());
    passed.windows.passed(&nights(), at("04T12:00"));
    assert!(passed.look("04T13:00", Gap::Down).is_empty());
    assert_eq!(passed.look("05T13:00", Gap::Down).len(), 1);
}

#[test]
fn a_look_inside_a_window_that_cannot_be_used_leaves_it_open() {
    let mut rollout = LookedAtRollout::of(nights());
    rollout.held = Some((Some(at("01T20:00")), "paused by ada"));
    assert!(rollout.look("02T01:30", Gap::None).is_empty());
    rollout.held = None;
    assert_eq!(
        rollout.look("02T03:00", Gap::None),
        ["a window opened, until 2026-06-02 03:30 +00"],
        "resumed in time"
    );
}

#[test]
fn it_is_stored_without_what_is_not_known() {
    assert_eq!(serde_json::to_string(&WindowLog::default()).expect("JSON"), "{}");
    let mut rollout = LookedAtRollout::of(nights());
    rollout.look("02T08:00", Gap::Down);
    let text = serde_json::to_string(&rollout.windows).expect("JSON");
    assert_eq!(serde_json::from_str::<WindowLog>(&text).expect("read back"), rollout.windows);
}
