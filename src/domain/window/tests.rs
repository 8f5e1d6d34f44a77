//! Calendars against worked examples and against a minute-by-minute count.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn zone(name: &str) -> Zone {
    name.parse().expect("a zone")
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

fn window(cron: &str, duration: u64, zone_name: &str, cutoff: u64) -> Window {
    Window::new(cron.parse().expect(cron), minutes(duration), zone(zone_name), minutes(cutoff))
        .expect("a window")
}

fn freeze(from: &str, to: &str, zone_name: &str, reason: &str) -> Freeze {
    Freeze::new(
        from.parse().expect("civil"),
        to.parse().expect("civil"),
        zone(zone_name),
        reason.into(),
    )
    .expect("a freeze")
}

fn open(until: &str) -> Opening {
    Opening::Open { until: Some(at(until)) }
}

fn shut(next: &str, by: ShutBy) -> Opening {
    Opening::Shut { next: Some(at(next)), by }
}

#[test]
fn without_windows_any_time_is_open() {
    let calendar = Calendar::always();
    assert!(calendar.is_always_open());
    assert_eq!(calendar.at(at("2026-01-01T00:00:00Z")), Opening::Open { until: None });
    let stretch = Stretch { open: at("2026-01-01T00:00:00Z"), cutoff: None, close: None };
    assert_eq!(calendar.openings(at("2026-01-01T00:00:00Z"), 5), [stretch]);
}

#[test]
fn a_window_is_half_open_and_its_cutoff_ends_new_work() {
    // Saturday 01:00 in Singapore is Friday 17:00 UTC.
    let calendar =
        Calendar::new(vec![window("0 1 * * SAT", 240, "Asia/Singapore", 20)], vec![], None);
    assert!(!calendar.is_always_open());
    assert_eq!(
        calendar.at(at("2026-12-04T16:59:59.999999999Z")),
        shut("2026-12-04T17:00:00Z", ShutBy::Window)
    );
    assert_eq!(calendar.at(at("2026-12-04T17:00:00Z")), open("2026-12-04T20:40:00Z"));
    assert_eq!(calendar.at(at("2026-12-04T20:39:59.999Z")), open("2026-12-04T20:40:00Z"));
    assert_eq!(
        calendar.at(at("2026-12-04T20:40:00Z")),
        shut("2026-12-11T17:00:00Z", ShutBy::Cutoff)
    );
    assert_eq!(
        calendar.at(at("2026-12-04T20:59:59Z")),
        shut("2026-12-11T17:00:00Z", ShutBy::Cutoff)
    );
    assert_eq!(
        calendar.at(at("2026-12-04T21:00:00Z")),
        shut("2026-12-11T17:00:00Z", ShutBy::Window)
    );
}

#[test]
fn a_window_stays_open_past_midnight_and_lasts_elapsed_time() {
    let calendar = Calendar::new(vec![window("0 23 * * *", 360, "Europe/Berlin", 0)], vec![], None);
    // Six hours from 23:00: on the night of the gap until 06:00 by the wall, on that of the fold
    // until 04:00.
    assert_eq!(calendar.at(at("2026-03-29T00:30:00Z")), open("2026-03-29T04:00:00Z"));
    assert_eq!(calendar.at(at("2026-10-25T00:30:00Z")), open("2026-10-25T03:00:00Z"));
}

#[test]
fn a_start_that_the_clock_skips_opens_after_the_gap_and_one_that_repeats_opens_once() {
    let calendar = Calendar::new(vec![window("30 2 * * *", 30, "Europe/Berlin", 0)], vec![], None);
    assert_eq!(
        calendar.at(at("2026-03-29T00:59:59Z")),
        shut("2026-03-29T01:00:00Z", ShutBy::Window)
    );
    assert_eq!(calendar.at(at("2026-03-29T01:00:00Z")), open("2026-03-29T01:30:00Z"));
    assert_eq!(calendar.at(at("2026-10-25T00:30:00Z")), open("2026-10-25T01:00:00Z"));
    assert_eq!(
        calendar.at(at("2026-10-25T01:30:00Z")),
        shut("2026-10-26T01:30:00Z", ShutBy::Window)
    );
}

#[test]
fn overlapping_and_adjacent_windows_are_one() {
    let utc = |cron, duration, cutoff| window(cron, duration, "UTC", cutoff);
    let overlap =
        Calendar::new(vec![utc("0 1 * * *", 120, 30), utc("0 2 * * *", 120, 30)], vec![], None);
    assert_eq!(overlap.at(at("2026-05-01T01:00:00Z")), open("2026-05-01T03:30:00Z"));
    let adjacent =
        Calendar::new(vec![utc("0 1 * * *", 60, 0), utc("0 2 * * *", 60, 0)], vec![], None);
    assert_eq!(adjacent.at(at("2026-05-01T01:00:00Z")), open("2026-05-01T03:00:00Z"));
    // The cutoff of the first leaves a hole before the second.
    let hole = Calendar::new(vec![utc("0 1 * * *", 60, 10), utc("0 2 * * *", 60, 0)], vec![], None);
    assert_eq!(hole.at(at("2026-05-01T01:00:00Z")), open("2026-05-01T01:50:00Z"));
    assert_eq!(hole.at(at("2026-05-01T01:55:00Z")), shut("2026-05-01T02:00:00Z", ShutBy::Cutoff));
    // Longer than its interval: it overlaps itself, and only the last cutoff counts.
    let long = Calendar::new(vec![utc("0 1-4 * * *", 90, 45)], vec![], None);
    assert_eq!(long.at(at("2026-05-01T01:00:00Z")), open("2026-05-01T01:45:00Z"));
    let longer = Calendar::new(vec![utc("0 1-4 * * *", 150, 45)], vec![], None);
    assert_eq!(longer.at(at("2026-05-01T01:00:00Z")), open("2026-05-01T05:45:00Z"));
}

#[test]
fn windows_that_never_shut_are_reported_as_far_as_they_were_joined() {
    let calendar = Calendar::new(vec![window("0 0 * * *", 1440, "UTC", 0)], vec![], None);
    let start = at("2026-01-01T00:00:00Z");
    let Opening::Open { until: Some(until) } = calendar.at(start) else { panic!("it is open") };
    assert_eq!(
        until,
        start + SignedDuration::from_hours(24 * i64::try_from(MERGES_MAX).expect("small"))
    );
    assert!(matches!(calendar.at(until), Opening::Open { .. }), "asking again goes on");
}

#[test]
fn a_freeze_wins_and_swallows_openings() {
    let calendar = Calendar::new(
        vec![window("0 1 * * *", 240, "UTC", 0)],
        vec![
            freeze("2026-12-24T02:00", "2026-12-30T00:00", "UTC", "year end"),
            freeze("2026-12-29T00:00", "2027-01-02T03:00", "UTC", "audit"),
        ],
        None,
    );
    assert_eq!(calendar.at(at("2026-12-24T01:30:00Z")), open("2026-12-24T02:00:00Z"));
    assert_eq!(
        calendar.at(at("2026-12-24T02:00:00Z")),
        shut("2027-01-02T03:00:00Z", ShutBy::Freeze("year end".into()))
    );
    assert_eq!(
        calendar.at(at("2026-12-29T12:00:00Z")),
        shut("2027-01-02T03:00:00Z", ShutBy::Freeze("audit".into()))
    );
    assert_eq!(calendar.at(at("2027-01-02T03:00:00Z")), open("2027-01-02T05:00:00Z"));
    let stretches: Vec<(String, String)> = calendar
        .openings(at("2026-12-23T12:00:00Z"), 3)
        .iter()
        .map(|s| (s.open.to_string(), s.close.expect("it shuts").to_string()))
        .collect();
    let expected = [
        ("2026-12-24T01:00:00Z", "2026-12-24T02:00:00Z"),
        ("2027-01-02T03:00:00Z", "2027-01-02T05:00:00Z"),
        ("2027-01-03T01:00:00Z", "2027-01-03T05:00:00Z"),
    ];
    assert_eq!(stretches, expected.map(|(open, close)| (open.to_owned(), close.to_owned())));
}

#[test]
fn a_freeze_shuts_a_calendar_without_windows() {
    let calendar = Calendar::new(
        vec![],
        vec![freeze("2026-12-24T00:00", "2027-01-02T00:00", "Asia/Singapore", "year end")],
        None,
    );
    assert_eq!(calendar.at(at("2026-12-01T00:00:00Z")), open("2026-12-23T16:00:00Z"));
    assert_eq!(
        calendar.at(at("2026-12-23T16:00:00Z")),
        shut("2027-01-01T16:00:00Z", ShutBy::Freeze("year end".into()))
    );
    assert_eq!(calendar.at(at("2027-01-01T16:00:00Z")), Opening::Open { until: None });
}

#[test]
fn a_freeze_on_the_nights_when_clocks_change_is_the_longer_one() {
    let fold = freeze("2026-10-25T02:15", "2026-10-25T02:45", "Europe/Berlin", "");
    assert_eq!(
        (fold.begin(), fold.end()),
        (at("2026-10-25T00:15:00Z"), at("2026-10-25T01:45:00Z"))
    );
    let gap = Freeze::new(
        "2026-03-29T02:15".parse().expect("civil"),
        "2026-03-29T02:45".parse().expect("civil"),
        zone("Europe/Berlin"),
        "".into(),
    );
    assert!(matches!(gap, Err(Error::Backwards { .. })), "it lies in an hour that does not exist");
}

#[test]
fn not_before_comes_first() {
    let start = Some(at("2026-12-01T02:00:00Z"));
    let calendar = Calendar::new(vec![window("0 1 * * *", 240, "UTC", 0)], vec![], start);
    assert_eq!(
        calendar.at(at("2026-11-01T01:30:00Z")),
        shut("2026-12-01T02:00:00Z", ShutBy::NotBefore)
    );
    assert_eq!(calendar.at(at("2026-12-01T02:00:00Z")), open("2026-12-01T05:00:00Z"));
    assert_eq!(
        calendar.openings(at("2026-11-01T00:00:00Z"), 1)[0].open,
        at("2026-12-01T02:00:00Z")
    );
    let outside = Calendar::new(vec![window("0 1 * * *", 60, "UTC", 0)], vec![], start);
    assert_eq!(
        outside.at(at("2026-11-01T01:30:00Z")),
        shut("2026-12-02T01:00:00Z", ShutBy::NotBefore)
    );
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let calendars = [
        Calendar::always(),
        Calendar::new(
            vec![window("* * * * *", 366 * 1440, "Pacific/Apia", 0)],
            vec![],
            Some(Timestamp::MIN),
        ),
        Calendar::new(
            vec![window("0 2 * * *", 60, "UTC", 5)],
            vec![freeze("-009999-01-03T00:00", "9998-01-01T00:00", "UTC", "")],
            None,
        ),
        Calendar::new(vec![], vec![], Some(Timestamp::MAX)),
    ];
    for calendar in &calendars {
        for now in [
            Timestamp::MIN,
            Timestamp::UNIX_EPOCH,
            at("2100-12-31T23:59:59Z"),
            at("2101-06-01T00:00:00Z"),
            Timestamp::MAX,
        ] {
            calendar.at(now);
            assert!(calendar.openings(now, 3).len() <= 3);
        }
    }
    // Beyond the years that cron knows nothing opens; that is told, not guessed.
    assert_eq!(
        calendars[2].at(at("9998-06-01T00:00:00Z")),
        Opening::Shut { next: None, by: ShutBy::Window }
    );
}

#[test]
fn what_is_no_window_or_freeze_is_refused() {
    let cron = || "0 1 * * *".parse().expect("valid");
    let build = |duration, cutoff| {
        Window::new(cron(), duration, Zone::utc(), cutoff).expect_err("refused").to_string()
    };
    assert!(
        build(Duration::ZERO, Duration::ZERO)
            .starts_with("a window lasts from 1 ms to 366 days, this one lasts 0ns")
    );
    assert!(
        build(DURATION_MAX + minutes(1), Duration::ZERO)
            .starts_with("a window lasts from 1 ms to 366 days")
    );
    assert!(
        build(minutes(20), minutes(20))
            .starts_with("the cutoff of 1200s leaves nothing of a window of 1200s")
    );
    let day = |text: &str| text.parse::<DateTime>().expect("civil");
    let backwards =
        Freeze::new(day("2026-01-02T00:00"), day("2026-01-01T00:00"), Zone::utc(), String::new());
    assert!(
        backwards.expect_err("refused").to_string().contains("is not after 2026-01-02T00:00:00")
    );
    let beyond = Freeze::new(
        day("2026-01-02T00:00"),
        DateTime::MAX,
        zone("America/New_York"),
        String::new(),
    );
    assert!(matches!(beyond, Err(Error::Beyond { .. })));
}

#[test]
fn a_calendar_is_stored_as_it_was_written() {
    let calendar = Calendar::new(
        vec![window("0 1 * * SAT", 240, "Asia/Singapore", 20), window("@daily", 60, "UTC", 0)],
        vec![freeze("2026-12-24T00:00", "2027-01-02T00:00", "Asia/Singapore", "year end")],
        Some(at("2026-11-30T16:00:00Z")),
    );
    let text = serde_json::to_string(&calendar).expect("a text");
    insta::assert_snapshot!(text, @r#"{"windows":[{"cron":"0 1 * * SAT","duration_ms":14400000,"time_zone":"Asia/Singapore","cutoff_ms":1200000},{"cron":"@daily","duration_ms":3600000,"time_zone":"UTC"}],"freezes":[{"from":"2026-12-24T00:00:00","to":"2027-01-02T00:00:00","time_zone":"Asia/Singapore","reason":"year end"}],"not_before":"2026-11-30T16:00:00Z"}"#);
    assert_eq!(serde_json::from_str::<Calendar>(&text).expect("the same"), calendar);
    assert_eq!(serde_json::to_string(&Calendar::always()).expect("a text"), "{}");
    assert!(serde_json::from_str::<Calendar>("{}").expect("always").is_always_open());
    for (bad, told) in [
        (text.replace("Asia/Singapore", "Asia/Singapur"), "no time zone \"Asia/Singapur\""),
        (text.replace("SAT", "Saturday"), "is not a three-letter name"),
        (text.replace("14400000", "1200000"), "leaves nothing of a window"),
        (text.replace("cutoff_ms", "cut_off_ms"), "unknown field"),
    ] {
        let error = serde_json::from_str::<Calendar>(&bad).expect_err(told).to_string();
        assert!(error.contains(told), "{error}");
    }
}

/// One minute of the count.
#[derive(Debug, Clone, Default)]
struct Minute {
    new_work: bool,
    whole: bool,
    frozen: bool,
}

const DAYS: i64 = 6;

/// What each minute should be, by laying every window and freeze over an array.
fn count(calendar: &Calendar, from: Timestamp) -> Vec<Minute> {
    let length = usize::try_from(DAYS * 1440).expect("small");
    let mut minutes = vec![Minute::default(); length];
    let place = |at: Timestamp| at.duration_since(from).as_mins().clamp(0, DAYS * 1440) as usize;
    for window in calendar.windows() {
        let mut start = from
            - SignedDuration::try_from(window.duration()).expect("short")
            - SignedDuration::from_secs(1);
        while let Some(next) =
            window.cron().next(start, window.zone().rules()).filter(|next| place(*next) < length)
        {
            start = next;
            let end = |length: Duration| next + SignedDuration::try_from(length).expect("short");
            let (cutoff, close) =
                (end(window.duration() - window.cutoff()), end(window.duration()));
            minutes[place(next)..place(cutoff)].iter_mut().for_each(|m| m.new_work = true);
            minutes[place(next)..place(close)].iter_mut().for_each(|m| m.whole = true);
        }
    }
    if calendar.windows().is_empty() {
        minutes.iter_mut().for_each(|m| (m.new_work, m.whole) = (true, true));
    }
    for freeze in calendar.freezes() {
        minutes[place(freeze.begin())..place(freeze.end())]
            .iter_mut()
            .for_each(|m| m.frozen = true);
    }
    minutes
}

const NIGHTS: [(&str, &str); 6] = [
    ("Europe/Berlin", "2026-03-26T00:00:00Z"),
    ("Europe/Berlin", "2026-10-22T00:00:00Z"),
    ("America/New_York", "2026-10-29T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-02T00:00:00Z"),
    ("Africa/Cairo", "2026-04-21T00:00:00Z"),
    ("Asia/Singapore", "2026-06-01T00:00:00Z"),
];

fn windows() -> impl Strategy<Value = Vec<(String, u64, u64)>> {
    let cron = prop_oneof![
        (0u8..60, 0u8..24).prop_map(|(m, h)| format!("{m} {h} * * *")),
        (0u8..60, 1u8..4).prop_map(|(m, h)| format!("{m} {h} * * *")),
        (1u8..12).prop_map(|h| format!("0 */{h} * * *")),
        (5u8..50).prop_map(|m| format!("*/{m} 1-4 * * *")),
        (0u8..24, 0u8..7).prop_map(|(h, d)| format!("0 {h} * * {d}")),
    ];
    let lengths = prop_oneof![3 => 1u64..400, 1 => 1u64..4000].prop_flat_map(|d| (Just(d), 0..d));
    prop::collection::vec(
        (cron, lengths).prop_map(|(cron, (duration, cutoff))| (cron, duration, cutoff)),
        0..4,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Minute by minute, a calendar is what its windows and freezes make of it when they are laid
    /// over each other.
    #[test]
    fn a_calendar_is_the_union_of_windows_minus_freezes(
        written in windows(), night in prop::sample::select(&NIGHTS[..]),
        frozen in prop::collection::vec((0i64..DAYS * 1440, 1i64..2000), 0..4),
        not_before in prop::option::of(0i64..DAYS * 1440),
        asked in prop::collection::vec((0i64..(DAYS - 1) * 1440, 0u64..60_000), 40),
    ) {
        let from = at(night.1);
        let minute = |n: i64| from + SignedDuration::from_mins(n);
        let freezes = frozen.iter().enumerate().map(|(i, (begin, length))| {
            let civil = |n: i64| jiff::tz::TimeZone::UTC.to_datetime(minute(n));
            Freeze::new(civil(*begin), civil(begin + length), Zone::utc(), format!("freeze {i}")).expect("a freeze")
        }).collect();
        let windows = written.iter().map(|(cron, duration, cutoff)| window(cron, *duration, night.0, *cutoff)).collect();
        let calendar = Calendar::new(windows, freezes, not_before.map(minute));
        let count = count(&calendar, from);
        let may_begin = |n: i64| {
            let m = &count[n as usize];
            m.new_work && !m.frozen && not_before.is_none_or(|start| n >= start)
        };
        let end = DAYS * 1440;
        for (n, ms) in asked {
            // The edges lie on whole minutes, so a fraction of a minute changes nothing.
            let now = minute(n) + SignedDuration::from_millis(ms as i64);
            let edge = (n..end).find(|m| may_begin(*m) != may_begin(n));
            match calendar.at(now) {
                Opening::Open { mut until } => {
                    prop_assert!(may_begin(n), "open in minute {}", n);
                    // Where more windows join than are joined at once, asking again goes on.
                    while let Some(reached) = until.filter(|reached| *reached < minute(end))
                        && let Opening::Open { until: further } = calendar.at(reached)
                    {
                        prop_assert!(further.is_none_or(|further| further > reached));
                        until = further;
                    }
                    match edge {
                        Some(edge) => prop_assert_eq!(until, Some(minute(edge))),
                        None => prop_assert!(until.is_none_or(|until| until >= minute(end))),
                    }
                }
                Opening::Shut { next, by } => {
                    prop_assert!(!may_begin(n), "shut in minute {}", n);
                    match edge {
                        Some(edge) => prop_assert_eq!(next, Some(minute(edge))),
                        None => prop_assert!(next.is_none_or(|next| next >= minute(end))),
                    }
                    let m = &count[n as usize];
                    let early = not_before.is_some_and(|start| n < start);
                    prop_assert_eq!(early, by == ShutBy::NotBefore);
                    prop_assert_eq!(!early && m.frozen, matches!(by, ShutBy::Freeze(_)));
                    prop_assert_eq!(!early && !m.frozen && m.whole, by == ShutBy::Cutoff);
                }
            }
        }
        // The list of openings says the same, once each and in order.
        let mut listed = from;
        while listed < minute(end) {
            let lump = calendar.openings(listed, 10);
            for stretch in &lump {
                prop_assert!(stretch.open >= listed);
                prop_assert_eq!(calendar.at(stretch.open), Opening::Open { until: stretch.cutoff });
                let cutoff = stretch.cutoff.unwrap_or(minute(end)).min(minute(end));
                prop_assert!(stretch.close.is_none_or(|close| close >= cutoff));
                for n in listed.duration_since(from).as_mins()..cutoff.duration_since(from).as_mins() {
                    prop_assert_eq!(may_begin(n), minute(n) >= stretch.open, "minute {}", n);
                }
                listed = cutoff;
                if listed >= minute(end) {
                    break;
                }
            }
            if lump.is_empty() {
                break;
            }
        }
    }
}
