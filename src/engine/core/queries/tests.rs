use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::clock::Times;
use crate::cloud::answer::{lost, not_sent};
use crate::domain::call::{Answer, Disposition};
use crate::domain::id::Name;
use crate::domain::lane::Lane;
use crate::domain::quota::Quota;
use crate::engine::staged::{SECOND, lane};
use crate::engine::{Input, Options};

fn core(quota: Option<Quota>) -> Core {
    Core::new(
        Options {
            lanes: vec![Lane { quota, ..lane("main") }],
            quota_spent: false,
            levels: Vec::new(),
        },
        times(0),
    )
}

fn times(seconds: u64) -> Times {
    Times { wall: Timestamp::UNIX_EPOCH, boot: Duration::from_secs(seconds) }
}

fn look(name: &str) -> Call {
    let instance_id = "096c0fc43e804757b59946b80dc27f8bin07".parse().expect("an id");
    Call::Proxies { lane: Name::parse(name, "lane").expect("a name"), instance_id }
}

/// Who is told what.
type TestAnswers = Vec<(u64, Result<Reply, AskError>)>;

/// One step; the tickets of the calls that leave, and who is told what.
fn step(core: &mut Core, seconds: u64, inputs: Vec<Input>) -> (Vec<u64>, TestAnswers) {
    let mut effects = Vec::new();
    core.step_all(times(seconds), inputs, &mut effects);
    let (mut calls, mut told) = (Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Ask { ticket, deadline, .. } => {
                assert_eq!(deadline, Duration::from_secs(seconds) + SEND_WITHIN);
                calls.push(ticket);
            }
            Effect::Told { id, result } => told.push((id, result)),
            _ => {}
        }
    }
    (calls, told)
}

fn asked(ids: std::ops::Range<u64>) -> Vec<Input> {
    ids.map(|id| Input::Asked { id, call: look("main") }).collect()
}

#[test]
fn questions_keep_to_the_quota_and_are_answered_once() {
    let mut core = core(Some(Quota { requests: 1, per: SECOND }));
    let (out, told) = step(&mut core, 10, asked(1..4));
    assert_eq!((out.len(), told.len()), (1, 0), "one permit a second");
    let answer = Reply {
        outcome: Ok(Answer::Proxies(Vec::new())),
        request_id: None,
        cloud_time: None,
        sent: true,
        beside: Vec::new(),
    };
    let (next, told) =
        step(&mut core, 10, vec![Input::Answered { ticket: out[0], reply: answer.clone() }]);
    assert_eq!(
        (next.len(), told),
        (0, vec![(1, Ok(answer.clone()))]),
        "not before a second after the answer"
    );
    // Twice the same answer is nobody's.
    let (next, told) = step(&mut core, 12, vec![Input::Answered { ticket: out[0], reply: answer }]);
    assert_eq!((next.len(), told), (1, vec![]));
    let withheld = not_sent(Disposition::Withheld, "late");
    let (last, told) =
        step(&mut core, 13, vec![Input::Answered { ticket: next[0], reply: withheld }]);
    assert_eq!(
        (last.len(), told),
        (1, vec![]),
        "what never left has used nothing up, and is put again"
    );
}

/// A failure that may pass, as the cloud answers it.
fn failed(disposition: Disposition, status: Option<u16>) -> Reply {
    let mut reply = lost("no luck");
    reply.outcome.as_mut().expect_err("it is lost").disposition = disposition;
    reply.outcome.as_mut().expect_err("it is lost").status = status;
    reply
}

/// Puts a question of which every try fails so; the seconds at which its calls left, and what was
/// told.
fn tried(core: &mut Core, from: u64, reply: &Reply) -> (Vec<u64>, TestAnswers) {
    let (mut out, mut at) = (step(core, from, asked(7..8)).0, vec![from]);
    for seconds in from..from + 200 {
        let inputs =
            out.drain(..).map(|ticket| Input::Answered { ticket, reply: reply.clone() }).collect();
        let (next, told) = step(core, seconds, inputs);
        if !told.is_empty() {
            return (at, told);
        }
        at.extend(next.iter().map(|_| seconds));
        out = next;
    }
    panic!("never told");
}

#[test]
fn what_may_pass_is_asked_again_with_growing_waits_before_it_is_told() {
    let mut core = core(None);
    let (at, told) = tried(&mut core, 10, &failed(Disposition::Unknown, Some(500)));
    assert_eq!(
        at,
        [10, 11, 13, 16, 21],
        "0.5 s, 1 s, 2 s and 4 s after an answer, which takes a second"
    );
    let [(7, Ok(reply))] = &told[..] else { panic!("{told:?}") };
    assert_eq!(reply.outcome.as_ref().expect_err("it failed").message, "no luck (asked 5 times)");
    // Four failures are none, if the fifth answer is one.
    let (mut out, mut asked_at) = (step(&mut core, 200, asked(8..9)).0, 200);
    let answer = Reply {
        outcome: Ok(Answer::Proxies(Vec::new())),
        ..failed(Disposition::Unknown, Some(500))
    };
    for wait in [1, 1, 2, 4] {
        let input =
            Input::Answered { ticket: out[0], reply: failed(Disposition::NotDone, Some(502)) };
        assert_eq!(step(&mut core, asked_at, vec![input]), (vec![], vec![]));
        asked_at += wait;
        out = step(&mut core, asked_at, Vec::new()).0;
        assert_eq!(out.len(), 1, "put again after {wait} s");
    }
    let (_, told) =
        step(&mut core, asked_at, vec![Input::Answered { ticket: out[0], reply: answer.clone() }]);
    assert_eq!(told, [(8, Ok(answer))]);
    assert!(core.asks.is_empty());
}

#[test]
fn what_does_not_pass_is_told_at_once() {
    for (disposition, status, calls) in [
        (Disposition::Fatal, Some(403), 1),
        (Disposition::NotFound, Some(404), 1),
        (Disposition::Unauthorised, Some(401), 1),
        // Out of reach: the lane's own pauses are the waits, and after three of them it is down.
        (Disposition::NotDone, None, 3),
        (Disposition::Throttled, Some(429), 5),
        (Disposition::Unknown, None, 5),
    ] {
        let mut core = core(None);
        let (at, _) = tried(&mut core, 10, &failed(disposition, status));
        assert_eq!(at.len(), calls, "{disposition:?} {status:?}: {at:?}");
        if disposition == Disposition::NotDone {
            let (at, _) = tried(&mut core, 150, &failed(disposition, status));
            assert_eq!(
                at.len(),
                1,
                "a lane that is down is not tried again and again for each question"
            );
        }
    }
    // Credentials that were replaced meanwhile are worth another try.
    let mut renewed = failed(Disposition::Unauthorised, Some(401));
    renewed.outcome.as_mut().expect_err("it is refused").retry_after = Some(RENEWED_WITHIN);
    assert_eq!(tried(&mut core(None), 10, &renewed).0.len(), 5);
}

#[test]
fn every_try_keeps_to_the_quota() {
    let mut core = core(Some(Quota { requests: 1, per: 30 * SECOND }));
    let (at, _) = tried(&mut core, 10, &failed(Disposition::Unknown, Some(500)));
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 30), "{at:?}");
}

#[test]
fn a_question_that_waits_for_its_next_try_is_told_of_the_end() {
    let mut core = core(None);
    let (out, _) = step(&mut core, 10, asked(1..2));
    step(
        &mut core,
        10,
        vec![Input::Answered { ticket: out[0], reply: failed(Disposition::Unknown, Some(500)) }],
    );
    assert!(core.next_wake().is_some_and(|at| at <= Duration::from_millis(10_500)));
    assert_eq!(
        step(&mut core, 10, vec![Input::Drain]),
        (vec![], vec![(1, Err(AskError::Stopping))])
    );
    assert_eq!(step(&mut core, 20, Vec::new()), (vec![], vec![]), "and only once");
}

#[test]
fn no_more_wait_than_the_bound_and_none_after_the_end() {
    let mut core = core(Some(Quota { requests: 1, per: 600 * SECOND }));
    let waiting = ASKS_MAX as u64;
    let (out, told) = step(&mut core, 1, asked(0..waiting));
    assert_eq!((out.len(), told.len()), (1, 0));
    assert_eq!(
        step(&mut core, 1, asked(waiting..waiting + 1)).1,
        [(waiting, Err(AskError::TooMany))]
    );
    let nowhere = vec![Input::Asked { id: 9_999, call: look("other") }];
    let (_, told) = step(&mut core, 1, vec![Input::Drain]);
    assert_eq!(told.len() as u64, waiting - 1, "the one that is out comes back by itself");
    assert!(told.iter().all(|(_, result)| *result == Err(AskError::Stopping)));
    assert!(!core.is_quiet());
    let (_, told) = step(
        &mut core,
        2,
        vec![Input::Answered { ticket: out[0], reply: not_sent(Disposition::NotDone, "refused") }],
    );
    assert_eq!(told.len(), 1);
    assert_eq!(step(&mut core, 2, nowhere).1, [(9_999, Err(AskError::Stopping))]);
}

#[test]
fn a_lane_that_is_not_there_is_said() {
    let mut core = core(None);
    let (_, told) = step(&mut core, 1, vec![Input::Asked { id: 1, call: look("other") }]);
    assert_eq!(told, [(1, Err(AskError::NoLane(Name::parse("other", "lane").expect("a name"))))]);
}
