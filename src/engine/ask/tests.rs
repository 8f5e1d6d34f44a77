use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::clock::Times;
use crate::cloud::answer::not_sent;
use crate::domain::call::{Answer, Disposition};
use crate::domain::id::Name;
use crate::domain::lane::Lane;
use crate::domain::quota::Quota;
use crate::engine::staged::{SECOND, lane};
use crate::engine::{Input, Options};

fn core(quota: Option<Quota>) -> Core {
    Core::new(Options { lanes: vec![Lane { quota, ..lane("main") }], exclusive: true, quota_spent: false, levels: Vec::new() }, times(0))
}

fn times(seconds: u64) -> Times {
    Times { wall: Timestamp::UNIX_EPOCH, boot: Duration::from_secs(seconds) }
}

fn look(name: &str) -> Call {
    let instance_id = "096c0fc43e804757b59946b80dc27f8bin07".parse().expect("an id");
    Call::Proxies { lane: Name::parse(name, "lane").expect("a name"), instance_id }
}

/// Who is told what.
type Told = Vec<(u64, Result<Reply, AskError>)>;

/// One step; the tickets of the calls that leave, and who is told what.
fn step(core: &mut Core, seconds: u64, inputs: Vec<Input>) -> (Vec<u64>, Told) {
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
    let answer = Reply { outcome: Ok(Answer::Proxies(Vec::new())), request_id: None, cloud_time: None, sent: true, beside: Vec::new() };
    let (next, told) = step(&mut core, 10, vec![Input::Answered { ticket: out[0], reply: answer.clone() }]);
    assert_eq!((next.len(), told), (0, vec![(1, Ok(answer.clone()))]), "not before a second after the answer");
    // Twice the same answer is nobody's.
    let (next, told) = step(&mut core, 12, vec![Input::Answered { ticket: out[0], reply: answer }]);
    assert_eq!((next.len(), told), (1, vec![]));
    let withheld = not_sent(Disposition::Withheld, "late");
    let (last, told) = step(&mut core, 13, vec![Input::Answered { ticket: next[0], reply: withheld.clone() }]);
    assert_eq!((last.len(), told), (1, vec![(2, Ok(withheld))]), "what never left has used nothing up");
}

#[test]
fn no_more_wait_than_the_bound_and_none_after_the_end() {
    let mut core = core(Some(Quota { requests: 1, per: 600 * SECOND }));
    let waiting = ASKS_MAX as u64;
    let (out, told) = step(&mut core, 1, asked(0..waiting));
    assert_eq!((out.len(), told.len()), (1, 0));
    assert_eq!(step(&mut core, 1, asked(waiting..waiting + 1)).1, [(waiting, Err(AskError::TooMany))]);
    let nowhere = vec![Input::Asked { id: 9_999, call: look("other") }];
    let (_, told) = step(&mut core, 1, vec![Input::Drain]);
    assert_eq!(told.len() as u64, waiting - 1, "the one that is out comes back by itself");
    assert!(told.iter().all(|(_, result)| *result == Err(AskError::Stopping)));
    assert!(!core.is_quiet());
    let (_, told) = step(&mut core, 2, vec![Input::Answered { ticket: out[0], reply: not_sent(Disposition::NotDone, "refused") }]);
    assert_eq!(told.len(), 1);
    assert_eq!(step(&mut core, 2, nowhere).1, [(9_999, Err(AskError::Stopping))]);
}

#[test]
fn a_lane_that_is_not_there_is_said() {
    let mut core = core(None);
    let (_, told) = step(&mut core, 1, vec![Input::Asked { id: 1, call: look("other") }]);
    assert_eq!(told, [(1, Err(AskError::NoLane(Name::parse("other", "lane").expect("a name"))))]);
}
