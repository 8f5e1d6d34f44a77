use std::time::Duration;

use super::*;

const QUOTA: Quota = Quota { requests: 100, per: Duration::from_secs(60) };

fn at(seconds: u64) -> Boot {
    Duration::from_secs(seconds)
}

/// So many calls go through, one after the other.
fn through(ceiling: &mut Ceiling, calls: u32) -> u32 {
    (0..calls).map(|_| u32::from(ceiling.on_success())).sum()
}

#[test]
fn a_refusal_takes_a_fifth_and_never_more_than_the_floor_leaves() {
    let mut ceiling = Ceiling::new(QUOTA);
    let mut seen = vec![ceiling.allowed()];
    for turn in 0..20 {
        assert!(ceiling.on_refused(at(turn * 61), 1, 0));
        seen.push(ceiling.allowed());
    }
    assert_eq!(seen[..6], [100, 80, 64, 51, 40, 32]);
    assert_eq!(seen[20], 5, "the floor: a twentieth");
}

#[test]
fn a_stray_refusal_of_a_busy_lane_costs_next_to_nothing() {
    let mut ceiling = Ceiling::new(QUOTA);
    // Ninety-seven went through within the interval, the ninety-eighth is refused.
    assert!(ceiling.on_refused(at(59), 98, 2));
    assert_eq!(ceiling.allowed(), 97);
    // And is made up for after some whole ceilings.
    through(&mut ceiling, 2 * 97);
    assert_eq!(ceiling.allowed(), 100);
}

#[test]
fn a_stray_refusal_of_an_idle_lane_is_made_up_for_in_a_bounded_number_of_calls() {
    let mut ceiling = Ceiling::new(QUOTA);
    ceiling.on_refused(at(59), 1, 0);
    assert_eq!(ceiling.allowed(), 80);
    let mut calls = 0;
    while ceiling.allowed() < QUOTA.requests {
        ceiling.on_success();
        calls += 1;
    }
    assert_eq!(calls, 2 * 80 + 2 * 85 + 90 + 95, "six intervals of work");
}

#[test]
fn what_the_account_gave_in_one_interval_is_the_ceiling() {
    let mut ceiling = Ceiling::new(QUOTA);
    ceiling.on_refused(at(50), 91, 0);
    assert_eq!(ceiling.allowed(), 90);
    // Refused calls are among those that are back, and were not given: 88 of 90.
    ceiling.on_refused(at(60), 90, 0);
    assert_eq!(ceiling.allowed(), 88);
    // More than the ceiling came through, from before it fell: it falls all the same.
    ceiling.on_refused(at(61), 120, 0);
    assert_eq!(ceiling.allowed(), 87);
}

#[test]
fn calls_that_were_out_together_are_refused_once() {
    let mut ceiling = Ceiling::new(QUOTA);
    assert!(ceiling.on_refused(at(1), 1, 3));
    assert!(!ceiling.on_refused(at(1), 2, 2));
    through(&mut ceiling, 1);
    ceiling.on_other();
    assert_eq!(ceiling.allowed(), 80);
    assert!(ceiling.on_refused(at(2), 5, 0), "it left after the fall");
    assert_eq!(
        (ceiling.allowed(), ceiling.refused_of_late(at(2)), ceiling.refused_of_late(at(61))),
        (64, 3, 1)
    );
}

#[test]
fn an_account_that_gives_no_more_is_asked_less_and_less_often() {
    let mut ceiling = Ceiling::new(QUOTA);
    let mut waits = Vec::new();
    let mut now = 0;
    for _ in 0..8 {
        now += 61;
        // It gives 60 in any interval.
        ceiling.on_refused(at(now), 61, 0);
        while ceiling.allowed() > 60 {
            now += 61;
            ceiling.on_refused(at(now), 61, 0);
        }
        let mut calls = 0;
        while !ceiling.on_success() {
            calls += 1;
        }
        waits.push((calls + 1) / 60);
    }
    assert!(waits.is_sorted(), "{waits:?}");
    assert_eq!(waits.last(), Some(&PATIENCE_MAX), "{waits:?}");
}

#[test]
fn at_the_quota_it_stays_and_a_quota_of_one_is_never_lost() {
    let mut ceiling = Ceiling::new(QUOTA);
    assert_eq!(through(&mut ceiling, 1_000), 0);
    assert_eq!(ceiling.allowed(), 100);
    let mut one = Ceiling::new(Quota { requests: 1, ..QUOTA });
    one.on_refused(at(1), 1, 0);
    assert_eq!(one.allowed(), 1);
}

#[test]
fn another_quota_keeps_what_was_learnt() {
    let mut ceiling = Ceiling::new(QUOTA);
    ceiling.change(Quota { requests: 300, ..QUOTA });
    assert_eq!(ceiling.allowed(), 300, "nothing was learnt");
    ceiling.on_refused(at(1), 121, 0);
    assert_eq!(ceiling.allowed(), 240);
    ceiling.change(Quota { requests: 400, per: at(120) });
    assert_eq!(ceiling.allowed(), 400, "240 a minute are more than the new quota");
    ceiling.on_refused(at(1), 301, 0);
    assert_eq!(ceiling.allowed(), 320);
    ceiling.change(Quota { requests: 1_000, per: at(60) });
    assert_eq!(ceiling.allowed(), 160);
}
