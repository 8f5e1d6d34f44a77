use super::*;
use crate::domain::change::Timing;
use crate::domain::id::{ChangeId, RolloutId};
use crate::engine::fair_queue::{Rank, Waiter};
use crate::engine::staged::{self, SECOND};
use crate::store::fixtures;

const SETTLE: Duration = Duration::from_secs(6);

fn ms(millis: u64) -> Boot {
    Duration::from_millis(millis)
}

fn settings(quota: Option<Quota>) -> Lane {
    let usual = staged::lane("main");
    Lane { quota, timing: Timing { settle: SETTLE, ..usual.timing.clone() }, ..usual }
}

fn free() -> LaneState {
    LaneState::new(settings(None), false, Duration::ZERO)
}

fn limited(requests: u32) -> LaneState {
    LaneState::new(settings(Some(Quota { requests, per: SECOND })), false, Duration::ZERO)
}

fn change(ordinal: u32) -> Waiter {
    Waiter::Change(ChangeId { rollout: rollout(), ordinal })
}

fn rollout() -> RolloutId {
    fixtures::submission("alpha", &[8], 0).id()
}

fn error(disposition: Disposition, status: Option<u16>, retry_after: Option<u32>) -> CallError {
    CallError {
        disposition,
        retry_after,
        status,
        code: None,
        request_id: None,
        message: "no".into(),
    }
}

fn throttled() -> CallError {
    error(Disposition::Throttled, Some(429), None)
}

/// When the next permit is given, asked for at the instants that the lane names.
fn next_permit(lane: &mut LaneState, mut now: Boot) -> Boot {
    loop {
        match lane.take(now) {
            Ok(()) => return now,
            Err(NotYet::Until(at)) => {
                assert!(at > now, "an instant that has come is no reason to wait");
                now = at;
            }
            Err(NotYet::Answer) => panic!("no answer will come"),
        }
    }
}

#[test]
fn the_rank_goes_first_and_then_who_came_first() {
    let mut lane = free();
    let line = [
        (Rank::Start, 1),
        (Rank::InFlight, 2),
        (Rank::Switch, 5),
        (Rank::InFlight, 3),
        (Rank::Start, 4),
        (Rank::Switch, 6),
    ];
    lane.line.enqueue(Rank::Ask, 0, Waiter::Ask(1));
    for (rank, place) in line {
        lane.line.enqueue(rank, place, change(0));
    }
    assert_eq!(lane.line.waiting(), 6, "a question is no change");
    let mut order = Vec::new();
    while let Some((rank, place, id)) = lane.line.first(true) {
        lane.line.remove(rank, place, id);
        order.push((rank, place));
    }
    use Rank::{Ask, InFlight, Start, Switch};
    assert_eq!(
        order,
        [(Switch, 5), (Switch, 6), (InFlight, 2), (InFlight, 3), (Start, 1), (Start, 4), (Ask, 0)]
    );
    assert_eq!(lane.line.waiting(), 0);
}

#[test]
fn without_a_place_in_flight_only_new_work_waits() {
    let mut lane = free();
    lane.line.enqueue(Rank::Start, 1, change(1));
    assert_eq!(lane.line.first(false), None);
    lane.line.enqueue(Rank::Ask, 9, Waiter::Ask(1));
    assert_eq!(
        lane.line.first(false),
        Some((Rank::Ask, 9, Waiter::Ask(1))),
        "a question takes no place in flight"
    );
    assert_eq!(lane.line.first(true), Some((Rank::Start, 1, change(1))));
    for (rank, place) in [(Rank::InFlight, 2), (Rank::Switch, 3)] {
        lane.line.enqueue(rank, place, change(2));
        assert_eq!(
            lane.line.first(false),
            Some((rank, place, change(2))),
            "what has begun goes on"
        );
    }
}

#[test]
fn who_leaves_the_line_leaves_the_others_in_it() {
    let mut lane = free();
    lane.line.enqueue(Rank::InFlight, 1, change(1));
    lane.line.enqueue(Rank::InFlight, 2, change(2));
    lane.line.remove(Rank::InFlight, 1, change(1));
    lane.line.remove(Rank::InFlight, 7, change(2));
    assert_eq!(
        (lane.line.waiting(), lane.line.first(false)),
        (1, Some((Rank::InFlight, 2, change(2))))
    );
}

#[test]
fn permits_are_spread_evenly_over_the_interval() {
    let mut lane = limited(4);
    let mut now = Duration::ZERO;
    for turn in 0..20 {
        now = next_permit(&mut lane, now);
        assert_eq!(now, ms(250 * turn));
        lane.over(true, now);
    }
}

#[test]
fn the_lateness_of_a_busy_host_does_not_add_up() {
    let mut lane = limited(4);
    let mut due = Duration::ZERO;
    for turn in 0..40 {
        let late = due + ms(20);
        assert_eq!(next_permit(&mut lane, late), late, "turn {turn}");
        // The call is long over; the count is not what holds the lane here.
        lane.over(true, due.saturating_sub(SECOND));
        due = match lane.take(late) {
            Err(NotYet::Until(at)) => at,
            other => panic!("the next one is spaced from this one, not {other:?}"),
        };
    }
    assert!(due <= ms(40 * 250 + 25), "{due:?}");
}

#[test]
fn no_interval_sees_more_permits_than_the_quota() {
    let mut random = fastrand::Rng::with_seed(7);
    for requests in 1..=6 {
        let mut lane = limited(requests);
        let (mut now, mut given, mut out) = (Duration::ZERO, Vec::new(), Vec::new());
        while given.len() < 200 {
            now += ms(random.u64(0..120));
            out.retain(|over: &Boot| {
                if *over <= now {
                    lane.over(true, *over);
                }
                *over > now
            });
            if lane.take(now).is_ok() {
                given.push(now);
                out.push(now + ms(random.u64(0..2_500)));
            }
        }
        for (place, at) in given.iter().enumerate() {
            let within = given[place..].iter().take_while(|other| **other < *at + SECOND).count();
            assert!(
                within <= requests as usize,
                "{within} permits within a second of {at:?}, allowed are {requests}"
            );
        }
    }
}

#[test]
fn with_the_whole_quota_out_an_answer_comes_first() {
    let mut lane = limited(2);
    let first = next_permit(&mut lane, Duration::ZERO);
    let second = next_permit(&mut lane, first);
    assert_eq!((first, second, lane.out()), (ms(0), ms(500), 2));
    assert_eq!(lane.take(ms(9_000)), Err(NotYet::Answer));
    lane.over(true, ms(9_000));
    assert_eq!(lane.take(ms(9_000)), Err(NotYet::Until(ms(10_000))));
    assert_eq!((lane.take(ms(10_000)), lane.out()), (Ok(()), 2));
}

#[test]
fn a_call_given_up_may_still_arrive() {
    let mut lane = limited(1);
    next_permit(&mut lane, Duration::ZERO);
    lane.over(false, ms(2_000));
    assert_eq!(lane.take(ms(2_000)), Err(NotYet::Until(ms(2_000) + SETTLE + SECOND)));
}

#[test]
fn a_call_that_never_left_leaves_its_permit() {
    let mut lane = limited(1);
    for turn in 0..5 {
        // Spaced all the same, but no interval has to pass after an answer.
        assert_eq!(next_permit(&mut lane, SECOND * turn), SECOND * turn);
        lane.unused();
        assert_eq!(lane.out(), 0);
    }
}

#[test]
fn after_an_unknown_past_the_first_permit_waits_until_nothing_can_land() {
    let quota = Some(Quota { requests: 4, per: SECOND });
    let mut lane = LaneState::new(settings(quota), true, ms(3_000));
    assert_eq!(next_permit(&mut lane, ms(3_000)), ms(3_000) + SETTLE + SECOND);
}

#[test]
fn a_lane_without_a_quota_counts_what_is_out_and_no_more() {
    let mut lane = free();
    for out in 1..=1_000 {
        assert_eq!((lane.take(Duration::ZERO), lane.out()), (Ok(()), out));
    }
    lane.over(false, SECOND);
    lane.unused();
    assert_eq!(lane.out(), 998);
}

#[test]
#[should_panic(expected = "a permit is returned once")]
fn a_permit_handed_back_twice_is_a_defect() {
    let mut lane = free();
    lane.take(Duration::ZERO).expect("free");
    lane.unused();
    lane.over(true, Duration::ZERO);
}

#[test]
fn what_pauses_a_lane_and_for_how_long() {
    use Disposition::{Busy, Fatal, NotDone, NotFound, Throttled, Unauthorised, Unknown, Withheld};
    let cases = [
        ("429", error(Throttled, Some(429), None), Some(PAUSE_FIRST)),
        (
            "429 with Retry-After",
            error(Throttled, Some(429), Some(7)),
            Some(Duration::from_secs(7)),
        ),
        (
            "429 with a Retry-After beyond our own longest",
            error(Throttled, Some(429), Some(600)),
            Some(Duration::from_secs(600)),
        ),
        ("401", error(Unauthorised, Some(401), None), Some(PAUSE_CREDENTIALS)),
        (
            "401 after which something has changed",
            error(Unauthorised, Some(401), Some(1)),
            Some(SECOND),
        ),
        ("refused connection", error(NotDone, None, None), Some(PAUSE_FIRST)),
        ("refused by the gateway", error(NotDone, Some(404), None), None),
        ("withheld", error(Withheld, None, None), None),
        ("busy", error(Busy, Some(409), None), None),
        ("no answer", error(Unknown, None, None), None),
        ("500", error(Unknown, Some(500), None), None),
        ("not found", error(NotFound, Some(404), None), None),
        ("fatal", error(Fatal, Some(400), None), None),
    ];
    for (name, error, wait) in cases {
        let mut lane = free();
        let now = ms(5_000);
        assert_eq!(lane.pause_for(&error, now), wait.is_some(), "{name}");
        let expected = wait.map_or(Ok(()), |wait| Err(NotYet::Until(now + wait)));
        assert_eq!(lane.take(now), expected, "{name}");
        if let Some(wait) = wait {
            let paused = lane.paused(now).expect("paused");
            assert_eq!((paused.until, paused.why.as_str()), (now + wait, "no"), "{name}");
            assert!(lane.paused(now + wait).is_none(), "{name}");
            assert_eq!(lane.take(now + wait), Ok(()), "{name}");
        }
    }
}

#[test]
fn pauses_in_a_row_double_up_to_the_longest_and_a_success_begins_anew() {
    let mut lane = free();
    let mut now = Duration::ZERO;
    let mut waits = Vec::new();
    for _ in 0..9 {
        lane.pause_for(&throttled(), now);
        let until = lane.paused(now).expect("paused").until;
        waits.push((until - now).as_secs());
        now = until;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    lane.well(now);
    assert_eq!(lane.good_at(), Some(now));
    lane.pause_for(&throttled(), now);
    assert_eq!(lane.paused(now).expect("paused").until, now + PAUSE_FIRST);
}

#[test]
fn calls_that_are_refused_together_are_one_pause() {
    let mut lane = free();
    for late in 0..5 {
        lane.pause_for(&throttled(), ms(100 * late));
    }
    // The last of them asks for a second from then on; nothing has doubled.
    assert_eq!(lane.paused(ms(500)).expect("paused").until, ms(400) + PAUSE_FIRST);
}

#[test]
fn a_shorter_pause_does_not_end_a_longer_one() {
    let mut lane = free();
    lane.pause_for(&error(Disposition::Throttled, Some(429), Some(30)), Duration::ZERO);
    lane.pause_for(&throttled(), SECOND);
    assert_eq!(lane.take(SECOND), Err(NotYet::Until(30 * SECOND)));
}

#[test]
fn a_pause_takes_no_permit_and_keeps_the_line() {
    let mut lane = limited(1);
    lane.line.enqueue(Rank::Switch, 1, change(1));
    lane.pause_for(&throttled(), Duration::ZERO);
    for _ in 0..3 {
        assert_eq!(lane.take(ms(10)), Err(NotYet::Until(PAUSE_FIRST)));
    }
    assert_eq!((lane.out(), lane.line.first(false)), (0, Some((Rank::Switch, 1, change(1)))));
    assert_eq!(lane.take(PAUSE_FIRST), Ok(()));
}

fn refused(lane: &mut LaneState, now: Boot) {
    lane.over(true, now);
    lane.learn(&throttled(), now);
}

fn ceiling(lane: &LaneState, now: Boot) -> u32 {
    lane.standing(now).expect("it has a quota").ceiling
}

#[test]
fn a_refusal_lowers_the_ceiling_and_spaces_the_calls_wider() {
    let mut lane = limited(10);
    next_permit(&mut lane, Duration::ZERO);
    refused(&mut lane, Duration::ZERO);
    assert_eq!(ceiling(&lane, Duration::ZERO), 8);
    let mut now = Duration::ZERO;
    for turn in 1..6 {
        now = next_permit(&mut lane, now);
        assert_eq!(now, ms(125 * turn));
        lane.over(true, now);
    }
}

#[test]
fn what_says_nothing_of_the_quota_teaches_nothing() {
    use Disposition::{Busy, Fatal, NotDone, Throttled, Unauthorised, Unknown};
    for (disposition, status) in [
        (Busy, Some(409)),
        (Fatal, Some(400)),
        (NotDone, None),
        (Throttled, None),
        (Unauthorised, Some(401)),
        (Unknown, None),
    ] {
        let mut lane = limited(10);
        next_permit(&mut lane, Duration::ZERO);
        lane.over(true, Duration::ZERO);
        assert!(!lane.learn(&error(disposition, status, None), Duration::ZERO), "{disposition:?}");
        assert_eq!(ceiling(&lane, Duration::ZERO), 10, "{disposition:?}");
    }
}

#[test]
fn no_interval_sees_more_permits_than_the_learnt_ceiling() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut lane = limited(20);
    let (mut now, mut given, mut lowered) = (Duration::ZERO, Vec::new(), Vec::new());
    while given.len() < 2_000 {
        now = next_permit(&mut lane, now);
        given.push((now, ceiling(&lane, now)));
        if random.u32(0..100) == 0 {
            refused(&mut lane, now);
            lowered.push(now);
        } else {
            lane.over(true, now);
            lane.well(now);
        }
        now += ms(random.u64(0..30));
    }
    assert!(lowered.len() > 5);
    for (place, (at, _)) in given.iter().enumerate() {
        let within: Vec<_> =
            given[place..].iter().take_while(|(other, _)| *other < *at + SECOND).collect();
        // Every one of them was given under a ceiling that all before it in the interval keep.
        for (before, (_, ceiling)) in within.iter().enumerate() {
            assert!(
                before < *ceiling as usize,
                "{} permits within a second of {at:?}, learnt were {ceiling}",
                before + 1
            );
        }
    }
}

#[test]
fn another_quota_takes_the_spacing_with_it() {
    let mut lane = limited(4);
    let first = next_permit(&mut lane, Duration::ZERO);
    lane.over(true, first);
    lane.change_quota(Some(Quota { requests: 10, per: SECOND }), ms(10));
    assert_eq!(next_permit(&mut lane, ms(10)), ms(100), "counted from the call before");
    lane.over(true, ms(100));
    lane.change_quota(None, ms(110));
    lane.take(ms(110)).expect("nothing spaces the calls any more");
    assert_eq!(lane.take(ms(110)), Ok(()), "but the old quota holds on for an interval");
    assert_eq!(lane.standing(ms(110)), None);
}

#[test]
fn a_level_is_gone_on_with_exactly_and_another_account_has_none_of_it() {
    let mut lane = limited(4);
    let mut now = Duration::ZERO;
    for _ in 0..4 {
        now = next_permit(&mut lane, now);
        lane.over(true, now);
    }
    lane.learn(&throttled(), now);
    let (level, learnt) = (lane.level(), lane.standing(now));
    let mut next = LaneState::new(settings(Some(Quota { requests: 4, per: SECOND })), true, now);
    next.resume(level.clone(), now);
    assert_eq!(next.standing(now), learnt);
    assert_eq!(next_permit(&mut next, now), next_permit(&mut lane, now));
    let mut elsewhere = settings(Some(Quota { requests: 4, per: SECOND }));
    elsewhere.access.endpoint = "https://other.invalid".into();
    let mut elsewhere = LaneState::new(elsewhere, true, now);
    elsewhere.resume(level, now);
    assert_eq!(next_permit(&mut elsewhere, now), now + SETTLE + SECOND, "its past is unknown");
}

#[test]
fn a_lane_has_room_for_as_many_as_it_may_have_in_flight() {
    let mut lane = free();
    for _ in 0..lane.lane.max_in_flight {
        assert!(lane.has_room());
        lane.add_in_flight();
    }
    assert!(!lane.has_room());
    lane.remove_in_flight();
    assert!(lane.has_room());
}

#[test]
fn a_lane_that_refused_a_permit_says_when_it_has_the_next() {
    let mut lane = limited(10);
    assert_eq!((lane.take(ms(0)), lane.free_at(ms(0))), (Ok(()), None));
    assert_eq!(lane.take(ms(0)), Err(NotYet::Until(ms(100))));
    assert_eq!((lane.free_at(ms(99)), lane.free_at(ms(100))), (Some(ms(100)), None));
    assert_eq!((lane.take(ms(100)), lane.free_at(ms(100))), (Ok(()), None));
}

#[test]
fn a_mark_is_raised_above_the_calls_that_may_still_arrive() {
    let mut lane = limited(10);
    assert!(!lane.exceeds_mark(ms(0)));
    for call in 0..1 + MARK_STEP_MIN {
        next_permit(&mut lane, ms(0));
        assert_eq!(
            lane.exceeds_mark(ms(0)),
            call == 0,
            "raised once, it holds for some calls more: {call}"
        );
        lane.raise_mark(ms(0));
    }
    next_permit(&mut lane, ms(0));
    assert!(lane.exceeds_mark(ms(0)));
    let mut unlimited = free();
    unlimited.take(ms(0)).expect("without a quota nothing is refused");
    assert!(!unlimited.exceeds_mark(ms(0)), "what is not counted needs no mark");
}

#[test]
fn a_lane_that_is_out_of_reach_again_and_again_is_down_until_a_call_goes_through() {
    let mut lane = free();
    for (second, down) in [(0, false), (2, false), (5, true)] {
        assert!(lane.pause_for(&error(Disposition::NotDone, None, None), SECOND * second));
        assert_eq!(lane.is_down(), down, "{second}");
    }
    lane.well(SECOND);
    assert!(!lane.is_down());
}
