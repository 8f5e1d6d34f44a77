//! Expressions against a table of known answers, and against a minute-by-minute walk of the clock.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a zone")
}

fn starts(text: &str, after: &str, zone_name: &str, count: usize) -> Vec<String> {
    let expression: Expression = text.parse().expect(text);
    let zone = zone(zone_name);
    let mut starts = Vec::new();
    let mut after = at(after);
    while let Some(next) = expression.next(after, &zone).filter(|_| starts.len() < count) {
        assert!(next > after);
        assert_eq!(expression.previous_or_at(next, &zone), Some(next), "{text}");
        starts.push(next.to_string());
        after = next;
    }
    starts
}

/// The first starts after the first of January 2026, a Thursday, in UTC.
#[test]
fn expressions_mean_what_every_cron_daemon_means() {
    let table: [(&str, &[&str]); 22] = [
        ("*/5 * * * *", &["01-01T00:05", "01-01T00:10"]),
        (
            "5-59/15 * * * *",
            &["01-01T00:05", "01-01T00:20", "01-01T00:35", "01-01T00:50", "01-01T01:05"],
        ),
        ("0 2 * * 0", &["01-04T02:00", "01-11T02:00"]),
        ("0 2 * * 1", &["01-05T02:00", "01-12T02:00"]),
        ("0 2 * * 7", &["01-04T02:00", "01-11T02:00"]),
        ("0 2 * * 1-5", &["01-01T02:00", "01-02T02:00", "01-05T02:00", "01-06T02:00"]),
        ("0 2 * * 5-7", &["01-02T02:00", "01-03T02:00", "01-04T02:00", "01-09T02:00"]),
        ("0 2 * * MON-FRI", &["01-01T02:00", "01-02T02:00", "01-05T02:00"]),
        ("0 2 * * mon,Wed", &["01-05T02:00", "01-07T02:00", "01-12T02:00"]),
        ("0 2 * * */2", &["01-01T02:00", "01-03T02:00", "01-04T02:00", "01-06T02:00"]),
        ("0 2 * * 1-7/3", &["01-01T02:00", "01-04T02:00", "01-05T02:00"]),
        ("0 2 1,15 * 1", &["01-01T02:00", "01-05T02:00", "01-12T02:00", "01-15T02:00"]),
        ("0 2 1-7 * MON", &["01-01T02:00", "01-02T02:00", "01-03T02:00"]),
        ("0 2 1 * 0-6", &["01-01T02:00", "01-02T02:00", "01-03T02:00", "01-04T02:00"]),
        ("0 2 1 * */1", &["01-01T02:00", "02-01T02:00"]),
        ("0 2 30 2 1", &["02-02T02:00", "02-09T02:00"]),
        ("15 10 * JAN,mar SAT", &["01-03T10:15", "01-10T10:15"]),
        ("  0\t2   1 2 *  ", &["02-01T02:00"]),
        ("@hourly", &["01-01T01:00", "01-01T02:00"]),
        ("@weekly", &["01-04T00:00", "01-11T00:00"]),
        ("@midnight", &["01-02T00:00", "01-03T00:00"]),
        ("@monthly", &["02-01T00:00", "03-01T00:00"]),
    ];
    for (text, expected) in table {
        let expected: Vec<String> = expected.iter().map(|t| format!("2026-{t}:00Z")).collect();
        assert_eq!(starts(text, "2026-01-01T00:00:00Z", "UTC", expected.len()), expected, "{text}");
    }
    assert_eq!(
        starts("0 2 29 2 *", "2026-01-01T00:00:00Z", "UTC", 2),
        ["2028-02-29T02:00:00Z", "2032-02-29T02:00:00Z"]
    );
    assert_eq!(starts("@yearly", "2026-01-01T00:00:00Z", "UTC", 1), ["2027-01-01T00:00:00Z"]);
    assert_eq!(starts("@annually", "2026-01-01T00:00:00Z", "UTC", 1), ["2027-01-01T00:00:00Z"]);
    assert_eq!(starts("@daily", "2026-01-01T00:00:00Z", "UTC", 1), ["2026-01-02T00:00:00Z"]);
}

#[test]
fn what_crons_do_not_read_alike_is_refused_with_a_proposal() {
    let table = [
        ("5/15 * * * *", "5-59/15 * * * *"),
        ("0 2 * * FRI-MON", "0 2 * * 5-6,0-1"),
        ("0 2 * * FRI-SUN", "0 2 * * 5-7"),
        ("0 2 * * 7-2", "0 2 * * 0-2"),
        ("0 2 * * Monday", "0 2 * * MON"),
        ("0 2 * * Friday-Monday", "0 2 * * 5-6,0-1"),
        ("0 2 * september *", "0 2 * SEP *"),
        ("0 22-2 * * *", "0 22-23,0-2 * * *"),
        ("0 22-0 * * *", "0 22-23,0 * * *"),
        ("0 2 */2 * 1", "0 2 1-31/2 * 1"),
        ("0 2 1 * */2", "0 2 1 * 0-6/2"),
        ("0 2 ? * MON", "0 2 * * MON"),
        ("0 2,* * * *", "0 * * * *"),
        ("0 0 12 * * MON", "0 12 * * MON"),
        ("0 0 12 * * MON 2026", "0 12 * * MON"),
        ("CRON_TZ=Asia/Tokyo 0 2 * * *", "0 2 * * *"),
        ("5/15 22-2 * * Friday-Monday", "5-59/15 22-23,0-2 * * 5-6,0-1"),
    ];
    for (text, proposal) in table {
        let error = text.parse::<Expression>().expect_err(text);
        assert_eq!(error.proposal(), Some(proposal), "{text}: {error}");
        assert!(error.to_string().contains(&format!("write `{proposal}`")), "{error}");
        proposal.parse::<Expression>().expect("a proposal is valid");
    }
}

#[test]
fn refusals_name_the_field_and_the_trouble() {
    let table = [
        ("60 * * * *", "minute `60`: `60` is not between 0 and 59"),
        ("* 24 * * *", "hour `24`: `24` is not between 0 and 23"),
        ("* * 0 * *", "day of month `0`: `0` is not between 1 and 31"),
        ("* * * 13 *", "month `13`: `13` is not between 1 and 12"),
        ("* * * * 8", "day of week `8`: `8` is not between 0 and 7"),
        (
            "*/90 * * * *",
            "minute `*/90`: `90` in `*/90` is not a step; a step is a number from 1 to 59",
        ),
        (
            "*/0 * * * *",
            "minute `*/0`: `0` in `*/0` is not a step; a step is a number from 1 to 59",
        ),
        ("1,,2 * * * *", "minute `1,,2`: an item of the list is empty"),
        ("-5 * * * *", "minute `-5`: a number is missing"),
        ("+5 * * * *", "minute `+5`: `+5` is not a number from 0 to 59"),
        ("0 2 L * *", "day of month `L`: `L` (the last one) is not part of standard cron"),
        (
            "0 2 15W * *",
            "day of month `15W`: `W` (the nearest working day) is not part of standard cron",
        ),
        (
            "0 2 LW * *",
            "day of month `LW`: `LW` (the last working day) is not part of standard cron",
        ),
        (
            "0 2 * * 1#2",
            "day of week `1#2`: `#` (the n-th weekday of a month) is not part of standard cron",
        ),
        ("0 2 * * 5L", "day of week `5L`: `L` (the last one) is not part of standard cron"),
        ("H 2 * * *", "minute `H`: `H` (a hashed value) is not part of standard cron"),
        (
            "0 2 * FOO *",
            "month `FOO`: `FOO` is neither a number from 1 to 12 nor a three-letter name",
        ),
        (
            "0 2 30 2 *",
            "it never starts: no month of `2` has a day of `30`; correct the day of month or the month",
        ),
        (
            "0 2 31 4,6,9,11 *",
            "it never starts: no month of `4,6,9,11` has a day of `31`; correct the day of month or the month",
        ),
        (
            "@reboot",
            "`@reboot` is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually",
        ),
        (
            "@every 5m",
            "`@every 5m` is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually",
        ),
        (
            "",
            "a cron expression has five fields (minute, hour, day of month, month, day of week), this one has 0",
        ),
        (
            "****0",
            "a cron expression has five fields (minute, hour, day of month, month, day of week), this one has 1",
        ),
    ];
    for (text, message) in table {
        assert_eq!(text.parse::<Expression>().expect_err(text).to_string(), message);
    }
    let long = "1,".repeat(TEXT_MAX);
    assert_eq!(long.parse::<Expression>(), Err(Error::TooLong { found: 2 * TEXT_MAX }));
}

#[test]
fn a_long_list_of_slips_is_refused_in_no_time() {
    let text = format!("{}5/2 * * * *", "5/2,".repeat(100));
    assert!(
        text.parse::<Expression>()
            .expect_err("steps without ranges")
            .to_string()
            .contains("step without a range")
    );
}

#[test]
fn traps_are_warned_of() {
    let warnings = |text: &str| text.parse::<Expression>().expect(text).warnings().join("\n");
    assert!(
        warnings("0 2 1-7 * MON").contains("cron cannot say \"the first Monday\""),
        "{}",
        warnings("0 2 1-7 * MON")
    );
    assert!(warnings("0 2 25-31 * 7").contains("cron cannot say \"the last Sunday\""));
    assert!(warnings("0 2 1,15 * 1").contains("on day 1,15 of the month and also on every Monday"));
    assert!(warnings("0 2 30 2 1").contains("never comes in these months"));
    assert!(warnings("* 2 * * *").contains("every minute of hour 2"));
    assert!(warnings("0 2 31 * *").contains("no day 31"));
    for quiet in ["0 1 * * SAT", "*/30 * * * *", "* * * * *", "0 2 1-7 * *", "@monthly"] {
        assert_eq!(warnings(quiet), "", "{quiet}");
    }
}

#[test]
fn the_text_comes_back() {
    for text in ["0 1 * * SAT", "@weekly"] {
        assert_eq!(text.parse::<Expression>().expect(text).to_string(), text);
    }
    assert_eq!("@weekly".parse::<Expression>(), "@weekly".parse::<Expression>());
    assert_ne!("@weekly".parse::<Expression>(), "0 0 * * 0".parse::<Expression>());
}

/// The published rule, at the two nights of Berlin in 2026 and at a midnight that Cairo skips.
#[test]
fn nights_when_clocks_change() {
    let table: [(&str, &str, &str, &[&str]); 9] = [
        (
            "30 2 * * *",
            "2026-03-28T12:00:00Z",
            "Europe/Berlin",
            &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "0,30 2 * * *",
            "2026-03-28T12:00:00Z",
            "Europe/Berlin",
            &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"],
        ),
        (
            "30 2 * * *",
            "2026-10-24T12:00:00Z",
            "Europe/Berlin",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        (
            "*/30 2 * * *",
            "2026-03-28T12:00:00Z",
            "Europe/Berlin",
            &["2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "*/30 * * * *",
            "2026-10-25T00:00:00Z",
            "Europe/Berlin",
            &[
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z",
            ],
        ),
        ("*/30 * * * *", "2026-10-25T01:05:00Z", "Europe/Berlin", &["2026-10-25T01:30:00Z"]),
        ("0-59 2 * * *", "2026-10-25T01:05:00Z", "Europe/Berlin", &["2026-10-26T01:00:00Z"]),
        (
            "0 0 * * *",
            "2026-04-23T12:00:00Z",
            "Africa/Cairo",
            &["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
        ),
        // Samoa had no 30 December 2011: what was to start on it starts with the 31st.
        (
            "0 2 * * *",
            "2011-12-29T12:00:00Z",
            "Pacific/Apia",
            &["2011-12-30T10:00:00Z", "2011-12-30T12:00:00Z"],
        ),
    ];
    for (text, after, zone, expected) in table {
        assert_eq!(starts(text, after, zone, expected.len()), expected, "{text} in {zone}");
    }
}

#[test]
fn in_the_second_pass_of_a_fold_the_last_start_is_in_the_first() {
    let berlin = zone("Europe/Berlin");
    let expression: Expression = "45 2 * * *".parse().expect("valid");
    // 02:10 by the clock, for the second time: 02:45 was 25 minutes ago.
    assert_eq!(
        expression.previous_or_at(at("2026-10-25T01:10:00Z"), &berlin),
        Some(at("2026-10-25T00:45:00Z"))
    );
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    for text in ["* * * * *", "0 2 * * *", "0 0 29 2 *", "59 23 31 12 *"] {
        let expression: Expression = text.parse().expect(text);
        for name in ["UTC", "Pacific/Apia", "Pacific/Kiritimati", "America/New_York"] {
            let zone = zone(name);
            for far in [Timestamp::MAX, at("2102-01-01T00:00:00Z")] {
                assert_eq!(expression.next(far, &zone), None);
                assert!(
                    expression.previous_or_at(far, &zone).expect("the last one")
                        > at("2096-02-01T00:00:00Z")
                );
            }
            for early in [Timestamp::MIN, at("-000100-01-01T00:00:00Z"), at("1969-12-30T00:00:00Z")]
            {
                assert_eq!(expression.previous_or_at(early, &zone), None);
                assert!(
                    expression.next(early, &zone).expect("the first one")
                        < at("1973-01-01T00:00:00Z")
                );
            }
        }
    }
}

/// A field as a test writes it: its text and the numbers that the text means.
type FieldCase = (String, Vec<u8>);

fn field(least: u8, greatest: u8) -> impl Strategy<Value = FieldCase> {
    let all = move |step: u8| (least..=greatest).step_by(usize::from(step)).collect::<Vec<u8>>();
    prop_oneof![
        3 => Just(("*".to_owned(), all(1))),
        2 => (2..=(greatest - least).min(20)).prop_map(move |n| (format!("*/{n}"), all(n))),
        4 => prop::collection::btree_set(least..=greatest, 1..4).prop_map(|set| {
            let numbers: Vec<u8> = set.into_iter().collect();
            (numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(","), numbers)
        }),
        2 => (least..=greatest, least..=greatest, 1u8..4).prop_map(move |(a, b, n)| {
            let (from, to) = (a.min(b), a.max(b));
            (format!("{from}-{to}/{n}"), (from..=to).step_by(usize::from(n)).collect())
        }),
    ]
}

/// Zones with a change of clocks in or near the given instant; both directions, half-hour shifts,
/// at midnight, none.
const NIGHTS: [(&str, &str); 16] = [
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
    ("Africa/Cairo", "2026-04-23T22:00:00Z"),
    ("Africa/Cairo", "2026-10-29T21:00:00Z"),
    ("Asia/Singapore", "1981-12-31T16:00:00Z"),
    ("Asia/Singapore", "2026-06-01T00:00:00Z"),
    ("America/St_Johns", "2026-11-01T04:30:00Z"),
    ("Asia/Kathmandu", "1985-12-31T18:30:00Z"),
    ("Africa/Casablanca", "2026-02-15T02:00:00Z"),
    ("Europe/Dublin", "2026-10-25T01:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("America/Santiago", "2026-04-05T03:00:00Z"),
];

/// Every start between two instants, by walking the clock minute by minute, knowing nothing but
/// what it shows.
fn walk(fields: &[FieldCase; 5], zone: &TimeZone, from: Timestamp, minutes: i64) -> Vec<Timestamp> {
    let interval = fields[0].0.starts_with('*') || fields[1].0.starts_with('*');
    let matches = |civil: DateTime| {
        let among = |place: usize, n: i8| {
            fields[place].1.contains(&u8::try_from(n).expect("a part of a time"))
        };
        let weekday = civil.weekday().to_sunday_zero_offset();
        let (day, weekday) =
            (among(2, civil.day()), among(4, weekday) || (weekday == 0 && among(4, 7)));
        let both = fields[2].0 != "*" && fields[4].0 != "*";
        let date = if both { day || weekday } else { day && weekday };
        among(0, civil.minute()) && among(1, civil.hour()) && among(3, civil.month()) && date
    };
    let mut starts = Vec::new();
    let mut shown = zone.to_datetime(from - SignedDuration::from_mins(1));
    for minute in 0..minutes {
        let now = from + SignedDuration::from_mins(minute);
        let civil = zone.to_datetime(now);
        if interval {
            if matches(civil) {
                starts.push(now);
            }
        } else {
            // Every minute that the clock shows or jumps over for the first time.
            let mut starts_now = false;
            while shown < civil {
                shown += SignedDuration::from_mins(1);
                starts_now |= matches(shown);
            }
            if starts_now {
                starts.push(now);
            }
        }
    }
    starts
}

fn agrees(
    fields: &[FieldCase; 5],
    night: (&str, &str),
    shift: i64,
    asked: &[(u32, u32)],
) -> Result<(), TestCaseError> {
    const MINUTES: i64 = 5 * 24 * 60;
    let text = fields.iter().map(|f| f.0.as_str()).collect::<Vec<_>>().join(" ");
    let Ok(expression) = text.parse::<Expression>() else {
        return Err(TestCaseError::reject(
            "a step beside another restricted day field, or a date that never comes",
        ));
    };
    let zone = zone(night.0);
    let from = at(night.1) + SignedDuration::from_mins(shift - MINUTES / 2);
    let end = from + SignedDuration::from_mins(MINUTES);
    let expected = walk(fields, &zone, from, MINUTES);

    let mut found = Vec::new();
    let mut after = from - SignedDuration::from_nanos(1);
    while let Some(next) = expression.next(after, &zone).filter(|next| *next < end) {
        prop_assert!(next > after, "{} ran backwards", text);
        prop_assert_eq!(expression.previous_or_at(next, &zone), Some(next));
        found.push(next);
        after = next;
    }
    prop_assert_eq!(&found, &expected, "{} in {}", text, night.0);

    for (minute, nanosecond) in asked {
        let moment = from
            + SignedDuration::from_mins(i64::from(*minute) % MINUTES)
            + SignedDuration::from_nanos((*nanosecond).into());
        let next = expected.iter().find(|start| **start > moment).copied();
        if next.is_some() {
            prop_assert_eq!(
                expression.next(moment, &zone),
                next,
                "{} in {} after {}",
                text,
                night.0,
                moment
            );
        }
        let last = expected.iter().rev().find(|start| **start <= moment).copied();
        if last.is_some() {
            prop_assert_eq!(
                expression.previous_or_at(moment, &zone),
                last,
                "{} in {} at {}",
                text,
                night.0,
                moment
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    /// Both directions agree with the clock itself, near the changes of clocks of many zones.
    #[test]
    fn starts_are_what_the_clock_shows(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12),
        // `*` covers Sunday once; what a step from 0 to 7 means is for the table above to say.
        weekday in field(0, 7).prop_filter("no step over all", |weekday| !weekday.0.starts_with("*/")),
        night in prop::sample::select(&NIGHTS[..]), shift in -2000i64..2000,
        asked in prop::collection::vec((any::<u32>(), 0u32..2_000_000_000), 12),
    ) {
        agrees(&[minute, hour, day, month, weekday], night, shift, &asked)?;
    }

    /// The same with days left free, so that every case has starts in the night itself.
    #[test]
    fn daily_starts_are_what_the_clock_shows(
        minute in field(0, 59),
        // `*` would be every hour, not these four.
        hour in field(0, 3).prop_filter("names hours", |hour| !hour.0.starts_with('*')),
        night in prop::sample::select(&NIGHTS[..]), shift in -60i64..60,
        asked in prop::collection::vec((any::<u32>(), 0u32..2_000_000_000), 12),
    ) {
        let all = |least, greatest| ("*".to_owned(), (least..=greatest).collect::<Vec<u8>>());
        agrees(&[minute, hour, all(1, 31), all(1, 12), all(0, 6)], night, shift, &asked)?;
    }

    /// Whatever is typed is an expression or an error, and a proposal is always an expression.
    #[test]
    fn no_text_is_trouble(text in "[-0-9*/,?LW#@A-Za-z ]{0,40}") {
        if let Err(error) = text.parse::<Expression>() && let Some(proposal) = error.proposal() {
            prop_assert!(proposal.parse::<Expression>().is_ok(), "{} leads to {}", text, proposal);
        }
    }

    /// Five plausible fields, whole or with slips.
    #[test]
    fn no_five_fields_are_trouble(fields in prop::collection::vec("([0-9]{1,2}|\\*|MON|friday|[0-9]-[0-9]{1,2})(/[0-9]{1,2})?(,[0-9]{1,2})?", 5..7)) {
        let text = fields.join(" ");
        match text.parse::<Expression>() {
            Ok(expression) => prop_assert!(expression.next(at("2026-01-01T00:00:00Z"), &TimeZone::UTC).is_some(), "{} never starts", text),
            Err(error) => if let Some(proposal) = error.proposal() {
                prop_assert!(proposal.parse::<Expression>().is_ok(), "{} leads to {}", text, proposal);
            }
        }
    }
}
