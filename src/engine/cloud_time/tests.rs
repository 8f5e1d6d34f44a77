use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::engine::staged;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_796_000_000 + second).expect("a year of ours")
}

fn secs(seconds: u64) -> Boot {
    Duration::from_secs(seconds)
}

/// Both clocks of this machine, whose wall clock is so far ahead of the right time.
fn now(second: u64, ahead: i64) -> Times {
    Times { wall: at(second.cast_signed() + ahead), boot: secs(second) }
}

/// Two lanes of one endpoint, and one of another, which bears an hour.
fn clocks() -> Clocks {
    let (one, two, mut other) = (staged::lane("one"), staged::lane("two"), staged::lane("other"));
    other.access.endpoint = "https://elsewhere.invalid".into();
    other.clock_tolerance = secs(3_600);
    Clocks::of(&[one, two, other])
}

fn name(text: &str) -> Name {
    Name::parse(text, "lane").expect("a name")
}

/// Whether the lane is held.
fn held(clocks: &Clocks, lane: &str, now: Times) -> bool {
    clocks.standing(&name(lane), now).is_some_and(|standing| standing.holds())
}

#[test]
fn lanes_of_one_endpoint_share_its_clock() {
    let mut clocks = clocks();
    clocks.hear(&name("one"), at(100), secs(100), now(100, 0));
    assert!(held(&clocks, "two", now(101, 400)) && !held(&clocks, "two", now(101, 200)));
    assert_eq!(clocks.standing(&name("other"), now(101, 400)), None);
}

#[test]
fn a_lane_is_held_beyond_what_it_tolerates() {
    let mut clocks = clocks();
    for lane in ["one", "other"] {
        clocks.hear(&name(lane), at(100), secs(100), now(100, 0));
    }
    for (ahead, one, other) in [
        (0, false, false),
        (-290, false, false),
        (-310, true, false),
        (310, true, false),
        (4_000, true, true),
    ] {
        assert_eq!(
            (held(&clocks, "one", now(110, ahead)), held(&clocks, "other", now(110, ahead))),
            (one, other),
            "{ahead}"
        );
    }
}

#[test]
fn a_step_of_the_cloud_and_answers_that_disagree_hold_as_an_offset_does() {
    let mut stepped = clocks();
    stepped.hear(&name("one"), at(100), secs(100), now(100, 0));
    stepped.hear(&name("one"), at(120 - 3_600), secs(120), now(120, 0));
    assert!(
        held(&stepped, "one", now(121, 0)) && held(&stepped, "one", now(121, -3_600)),
        "whichever clock ours agrees with"
    );
    assert!(!held(&stepped, "one", now(711, -3_600)), "the clock before the step is void");
}

#[test]
fn nothing_is_held_without_a_reading_of_late() {
    let mut clocks = clocks();
    assert!(!held(&clocks, "one", now(100, 86_400)));
    clocks.hear(&name("one"), at(100), secs(100), now(100, 0));
    assert!(held(&clocks, "one", now(700, 86_400)) && !held(&clocks, "one", now(701, 86_400)));
}

#[test]
fn jobs_that_are_dated_apart_are_told_and_widen_what_is_sought() {
    let mut clocks = clocks();
    let lane = name("one");
    clocks.hear(&lane, at(100), secs(100), now(100, 0));
    clocks.hear_job(&lane, at(101), (secs(100), secs(101)));
    let standing = clocks.standing(&lane, now(102, 0)).expect("known");
    assert_eq!(standing.jobs_apart, None, "a job is made before its answer comes");
    let alone = clocks.cloud(&lane, secs(102)).expect("known");
    assert!(alone.to - alone.from <= SignedDuration::from_secs(1), "{alone:?}");

    clocks.hear_job(&lane, at(120 + 60), (secs(120), secs(121)));
    let standing = clocks.standing(&lane, now(122, 0)).expect("known");
    let apart = standing.jobs_apart.expect("a minute is more than they explain");
    assert!((57..=60).contains(&apart.as_secs()), "{apart:?}");
    assert!(!standing.holds(), "what holds a lane are its answers");
    let both = clocks.cloud(&lane, secs(122)).expect("known");
    assert!(both.from <= at(122) && at(180) <= both.to, "{both:?}");
}

#[test]
fn a_held_lane_says_since_which_answer() {
    let mut clocks = clocks();
    let mut since = |second: u64, ahead: i64| {
        clocks.hear(&name("one"), at(second.cast_signed()), secs(second), now(second, ahead));
        clocks.standing(&name("one"), now(second, ahead)).expect("an answer").since
    };
    assert_eq!(since(100, 0), None);
    assert_eq!(since(110, 400), Some(at(510)), "our clock has stepped");
    assert_eq!(since(120, 400), Some(at(510)), "and stays where it is");
    assert_eq!(since(130, 0), None);
}
