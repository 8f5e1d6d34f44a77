use super::*;

/// The second at which the machine booted, by a clock that is right.
const BOOTED: i64 = 1_795_478_400;

fn secs(seconds: f64) -> Boot {
    Duration::from_secs_f64(seconds)
}

/// What a clock shows that is so many seconds ahead, cut to the second.
fn date(at: f64, ahead: f64) -> Timestamp {
    Timestamp::from_second(BOOTED + (at + ahead).floor() as i64).expect("an instant")
}

/// How far the clock is told to be ahead of one that is right, in seconds.
fn ahead(clock: &CloudClock, now: f64) -> Option<(f64, f64)> {
    let right = Timestamp::from_second(BOOTED).expect("an instant") + secs(now);
    let ahead = clock.at(secs(now))?.ahead_of(right);
    Some((ahead.least.as_secs_f64(), ahead.most.as_secs_f64()))
}

fn heard(readings: &[(f64, f64, f64)]) -> CloudClock {
    let mut clock = CloudClock::default();
    for (sent, took, ahead) in readings {
        clock.hear(date(sent + took / 2.0, *ahead), secs(*sent), secs(sent + took));
    }
    clock
}

#[test]
fn a_reading_is_as_wide_as_the_round_trip_and_a_second() {
    let clock = heard(&[(100.0, 0.5, 90.0)]);
    let (least, most) = ahead(&clock, 100.5).expect("known");
    assert!((most - least - 1.5).abs() < 1e-6, "{least} {most}");
    assert!(least <= 90.0 && 90.0 <= most, "{least} {most}");
}

#[test]
fn answers_that_agree_narrow_it() {
    let clock =
        heard(&[(100.0, 0.4, 0.0), (101.3, 0.4, 0.0), (102.6, 0.4, 0.0), (103.9, 0.2, 0.0)]);
    let (least, most) = ahead(&clock, 105.0).expect("known");
    assert!(most - least < 1.0, "{least} {most}");
    assert!(least <= 0.0 && 0.0 <= most, "{least} {most}");
}

#[test]
fn a_step_is_in_the_interval_until_the_old_clock_is_void() {
    let clock = heard(&[(100.0, 0.2, 0.0), (130.0, 0.2, -10_800.0)]);
    let (least, most) = ahead(&clock, 131.0).expect("known");
    assert!(least < -10_799.0 && most >= 0.0, "{least} {most}");
    assert!(ahead(&clock, 701.0).expect("known").1 < -10_798.0, "the first clock is void");
    assert_eq!(ahead(&clock, 731.0), None, "both are");
}

#[test]
fn machines_of_the_cloud_that_differ_are_both_in_it() {
    let readings: Vec<_> = (0..500)
        .map(|n| (100.0 + f64::from(n), 0.1, if n % 2 == 0 { 0.0 } else { 400.0 }))
        .collect();
    let clock = heard(&readings);
    assert!(clock.readings.len() <= READINGS_MAX);
    let (least, most) = ahead(&clock, 600.0).expect("known");
    assert!(least <= 0.0 && most >= 400.0, "{least} {most}");
}

#[test]
fn what_is_kept_is_bounded_whatever_is_heard() {
    let readings: Vec<_> =
        (0..500).map(|n| (100.0 + f64::from(n), 0.1, f64::from(n * 7))).collect();
    let clock = heard(&readings);
    assert!(clock.readings.len() <= READINGS_MAX);
    let (least, most) = ahead(&clock, 600.0).expect("known");
    assert!(least <= 7.0 && most >= 499.0 * 7.0, "nothing is left out: {least} {most}");
}

#[test]
fn good_clocks_that_drift_never_disagree_by_much() {
    // 100 ppm apart for an hour, an answer a second.
    let readings: Vec<_> = (0..3600).map(|n| (f64::from(n), 0.05, f64::from(n) * 1e-4)).collect();
    let (least, most) = ahead(&heard(&readings), 3600.0).expect("known");
    assert!(most - least < 1.2 && least <= 0.36 && 0.36 <= most + 0.06, "{least} {most}");
}

#[test]
fn a_step_of_our_wall_clock_does_not_move_it() {
    let clock = heard(&[(100.0, 0.2, 0.0)]);
    // Ours is a day ahead since: the cloud is a day behind, without another answer.
    let wall = Timestamp::from_second(BOOTED + 86_400 + 110).expect("an instant");
    let ahead = clock.at(secs(110.0)).expect("known").ahead_of(wall);
    assert!(ahead.may_exceed(Duration::from_secs(86_000)));
    assert!(ahead.furthest().is_negative());
}

#[test]
fn whole_seconds_hold_the_span() {
    let span = TimeSpan {
        from: "2026-11-30T01:02:03.9Z".parse().expect("an instant"),
        to: "2026-11-30T01:02:04.1Z".parse().expect("an instant"),
    };
    let whole = span.whole_seconds();
    assert_eq!(
        (whole.from.to_string(), whole.to.to_string()),
        ("2026-11-30T01:02:03Z".into(), "2026-11-30T01:02:05Z".into())
    );
    assert_eq!(whole.whole_seconds(), whole);
}
