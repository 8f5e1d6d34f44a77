//! Outlooks against worked examples: both nights, freezes that cut and freezes that swallow.

use std::time::Duration;

use super::*;
use crate::domain::window::Window;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn window(cron: &str, minutes: u64, cutoff: u64, zone: &str) -> Window {
    let length = |minutes: u64| Duration::from_secs(minutes * 60);
    Window::new(
        cron.parse().expect(cron),
        length(minutes),
        zone.parse().expect("a zone"),
        length(cutoff),
    )
    .expect("a window")
}

fn freeze(from: &str, to: &str) -> Freeze {
    let zone = "Europe/Berlin".parse().expect("a zone");
    Freeze::new(from.parse().expect("civil"), to.parse().expect("civil"), zone, "drill".into())
        .expect("a freeze")
}

/// One line a sight: what a reader would ask of it.
fn describe(calendar: &Calendar, from: &str, until: Option<&str>, limit: usize) -> Vec<String> {
    let outlook = calendar.outlook(at(from), until.map(at), limit);
    let mut lines: Vec<String> = outlook
        .sights
        .iter()
        .map(|sight| {
            let instant = |at: Option<Timestamp>| {
                at.map_or("-".into(), |at| at.strftime("%m-%dT%H:%M").to_string())
            };
            let Stretch { open, cutoff, close } = sight.stretch;
            let mut line =
                format!("{} {} {}", instant(Some(open)), instant(cutoff), instant(close));
            for (word, on) in [
                ("frozen", sight.frozen),
                ("already", sight.open_already),
                ("late", sight.begins_late),
            ] {
                line.push_str(if on { " " } else { "" });
                line.push_str(if on { word } else { "" });
            }
            line.push_str(&" cut".repeat(sight.freezes.len()));
            for clock in &sight.clocks {
                line.push_str(&format!(" {:?} {}->{}", clock.how, clock.before, clock.after));
            }
            line
        })
        .collect();
    if outlook.more {
        lines.push("more".into());
    }
    lines
}

#[test]
fn the_night_on_which_clocks_go_forward() {
    let moved =
        Calendar::new(vec![window("30 2 * * *", 60, 10, "Europe/Berlin")], Vec::new(), None);
    assert_eq!(
        describe(&moved, "2026-03-28T12:00:00Z", None, 2),
        [
            "03-29T01:00 03-29T01:50 03-29T02:00 StartSkipped +01->+02",
            "03-30T00:30 03-30T01:20 03-30T01:30",
            "more"
        ]
    );
    // 03:00 is shown that night, so nothing is moved.
    let shown = Calendar::new(vec![window("0 3 * * *", 60, 0, "Europe/Berlin")], Vec::new(), None);
    assert_eq!(
        describe(&shown, "2026-03-28T12:00:00Z", Some("2026-03-29T12:00:00Z"), 9),
        ["03-29T01:00 03-29T02:00 03-29T02:00"]
    );
    let across =
        Calendar::new(vec![window("0 23 * * SAT", 360, 0, "Europe/Berlin")], Vec::new(), None);
    assert_eq!(
        describe(&across, "2026-03-28T12:00:00Z", Some("2026-03-30T12:00:00Z"), 9),
        ["03-28T22:00 03-29T04:00 03-29T04:00 Inside +01->+02"]
    );
}

#[test]
fn the_night_on_which_clocks_go_back() {
    let twice = Calendar::new(vec![window("30 2 * * *", 60, 0, "Europe/Berlin")], Vec::new(), None);
    assert_eq!(
        describe(&twice, "2026-10-24T12:00:00Z", Some("2026-10-25T12:00:00Z"), 9),
        ["10-25T00:30 10-25T01:30 10-25T01:30 StartTwice +02->+01 Inside +02->+01"]
    );
    let short = Calendar::new(vec![window("30 2 * * *", 20, 0, "Europe/Berlin")], Vec::new(), None);
    assert_eq!(
        describe(&short, "2026-10-24T12:00:00Z", Some("2026-10-25T12:00:00Z"), 9),
        ["10-25T00:30 10-25T00:50 10-25T00:50 StartTwice +02->+01"]
    );
    let interval =
        Calendar::new(vec![window("*/30 2 * * *", 10, 0, "Europe/Berlin")], Vec::new(), None);
    assert_eq!(
        describe(&interval, "2026-10-25T00:45:00Z", Some("2026-10-25T12:00:00Z"), 9),
        ["10-25T01:00 10-25T01:10 10-25T01:10", "10-25T01:30 10-25T01:40 10-25T01:40"],
        "the second pass is no start that comes first"
    );
}

#[test]
fn freezes_cut_split_and_swallow() {
    let calendar = Calendar::new(
        vec![window("0 1 * * *", 240, 30, "Europe/Berlin")],
        vec![
            freeze("2026-06-02T03:00", "2026-06-02T12:00"),
            freeze("2026-06-03T00:00", "2026-06-04T02:00"),
            freeze("2026-06-05T02:00", "2026-06-05T03:00"),
        ],
        None,
    );
    assert_eq!(
        describe(&calendar, "2026-05-31T12:00:00Z", Some("2026-06-05T20:00:00Z"), 99),
        [
            "05-31T23:00 06-01T02:30 06-01T03:00",
            "06-01T23:00 06-02T01:00 06-02T01:00 cut",
            "06-02T23:00 06-03T02:30 06-03T03:00 frozen cut",
            "06-04T00:00 06-04T02:30 06-04T03:00 cut",
            "06-04T23:00 06-05T00:00 06-05T00:00 cut",
            "06-05T01:00 06-05T02:30 06-05T03:00 cut",
        ]
    );
}

#[test]
fn beginnings_that_are_no_starts() {
    let calendar = Calendar::new(
        vec![window("0 1 * * *", 240, 0, "UTC")],
        Vec::new(),
        Some(at("2026-06-02T03:00:00Z")),
    );
    assert_eq!(
        describe(&calendar, "2026-06-01T02:00:00Z", None, 1),
        ["06-02T03:00 06-02T05:00 06-02T05:00 late", "more"]
    );
    assert_eq!(
        describe(&calendar, "2026-06-04T02:00:00Z", None, 1),
        ["06-04T02:00 06-04T05:00 06-04T05:00 already", "more"]
    );
}

#[test]
fn without_windows_only_freezes_shut() {
    assert_eq!(
        describe(&Calendar::always(), "2026-06-01T00:00:00Z", None, 9),
        ["06-01T00:00 - - already"]
    );
    let frozen =
        Calendar::new(Vec::new(), vec![freeze("2026-06-02T00:00", "2026-06-03T00:00")], None);
    assert_eq!(
        describe(&frozen, "2026-06-01T00:00:00Z", None, 9),
        ["06-01T00:00 06-01T22:00 06-01T22:00 already cut", "06-02T22:00 - - cut"]
    );
}

#[test]
fn as_many_as_asked_for_and_no_more() {
    let calendar = Calendar::new(vec![window("0 * * * *", 10, 0, "UTC")], Vec::new(), None);
    for limit in [0, 1, 5] {
        let outlook = calendar.outlook(at("2026-06-01T00:30:00Z"), None, limit);
        assert_eq!((outlook.sights.len(), outlook.more), (limit, true));
    }
    assert_eq!(
        calendar.outlook(at("2026-06-01T00:30:00Z"), None, usize::MAX).sights.len(),
        SIGHTS_MAX
    );
    let none = calendar.outlook(at("2026-06-01T00:30:00Z"), Some(at("2026-06-01T01:00:00Z")), 5);
    assert_eq!((none.sights.len(), none.more), (0, false));
}
