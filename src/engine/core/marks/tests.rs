use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::clock::Times;
use crate::domain::call::{Answer, Call, Reply};
use crate::domain::id::Name;
use crate::domain::lane::Lane;
use crate::domain::quota::Quota;
use crate::engine::staged::{SECOND, lane};
use crate::engine::{Effect, Input, Options, Ticket};

fn times(millis: u64) -> Times {
    Times { wall: Timestamp::UNIX_EPOCH, boot: 100 * SECOND + Duration::from_millis(millis) }
}

/// Twenty in a fifth of a second, so that nearly all of them go out at once; what may land does so
/// for a second more.
fn core(quota_spent: bool, levels: Vec<Level>) -> Core {
    let quota = Some(Quota { requests: 20, per: SECOND / 5 });
    let lanes = vec![Lane { quota, ..lane("main") }, Lane { quota: None, ..lane("free") }];
    Core::new(Options { lanes, quota_spent, levels }, times(0))
}

/// Asks so many questions of the lane, one every 10 ms; the tickets of those that go out. Before
/// any goes out its mark is kept.
fn ask(
    core: &mut Core,
    kept: &mut Vec<Vec<Level>>,
    lane: &str,
    count: u64,
    from: u64,
) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    for turn in 0..count {
        let (mut out, lane) = (Vec::new(), Name::parse(lane, "lane").expect("a name"));
        core.step(
            times(from + 10 * turn),
            Input::Asked { id: from + turn, call: Call::Instances { lane, offset: 0 } },
            &mut out,
        );
        kept.extend(core.levels_to_keep());
        tickets.extend(out.into_iter().filter_map(|effect| match effect {
            Effect::Ask { ticket, .. } => Some(ticket),
            _ => None,
        }));
    }
    tickets
}

fn marks(kept: &[Vec<Level>]) -> Vec<String> {
    let short = |level: &Level| {
        serde_json::to_value(level).expect("a level").get("out").expect("a mark").to_string()
    };
    kept.iter().map(|levels| levels.iter().map(short).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_mark_is_raised_before_there_are_more_calls_than_it_says() {
    let (mut core, mut kept) = (core(false, Vec::new()), Vec::new());
    let tickets = ask(&mut core, &mut kept, "main", 14, 0);
    assert_eq!(tickets.len(), 14);
    assert_eq!(
        marks(&kept),
        ["5", "10", "15"],
        "the first with the first step; a lane without a quota has none"
    );
    for ticket in tickets {
        let outcome = Ok(Answer::Instances { instances: Vec::new(), total: 0 });
        let reply =
            Reply { outcome, request_id: None, cloud_time: None, sent: true, beside: Vec::new() };
        core.step(times(200), Input::Answered { ticket, reply }, &mut Vec::new());
    }
    assert_eq!(ask(&mut core, &mut kept, "main", 6, 1_000).len(), 6);
    assert_eq!(marks(&kept).len(), 3, "what is fewer than before needs no other");
    assert_eq!(ask(&mut core, &mut kept, "free", 30, 2_000).len(), 30);
    assert_eq!(marks(&kept).len(), 3);
}

#[test]
fn after_a_kill_so_many_come_back_late_and_a_crash_loop_forgets_none() {
    let (mut first, mut kept) = (core(false, Vec::new()), Vec::new());
    ask(&mut first, &mut kept, "main", 8, 0);
    let mut left = kept.pop().expect("marks");
    for life in 0..4 {
        let mut killed = core(true, left);
        killed.step(times(10), Input::Tick, &mut Vec::new());
        left = killed.levels_to_keep().expect("the marks of a new life");
        assert_eq!(
            marks(&[left.clone()]),
            ["10"],
            "life {life}: none of its own, and those of before may still land"
        );
    }
    let mut core = core(true, left);
    assert_eq!(ask(&mut core, &mut Vec::new(), "main", 19, 0).len(), 0, "an interval of nothing");
    let mut out = Vec::new();
    for turn in 0..19 {
        core.step(times(200 + 10 * turn), Input::Tick, &mut out);
    }
    let asked =
        |out: &[Effect]| out.iter().filter(|effect| matches!(effect, Effect::Ask { .. })).count();
    assert_eq!(asked(&out), 10, "ten were over at the kill");
    core.step(times(1_199), Input::Tick, &mut out);
    assert_eq!(asked(&out), 10);
    for turn in 0..19 {
        core.step(times(1_200 + 10 * turn), Input::Tick, &mut out);
    }
    assert_eq!(asked(&out), 19, "the rest an interval after they can no longer land");
}

#[test]
fn people_are_told_until_when_a_lane_waits() {
    let mut core = core(true, Vec::new());
    ask(&mut core, &mut Vec::new(), "main", 1, 0);
    let until = |seconds| Some(Timestamp::from_second(seconds).expect("an instant") + SECOND / 5);
    let told = |core: &Core| {
        core.snapshot(1)
            .lanes
            .into_iter()
            .map(|lane| (lane.free_at, lane.assumed_until))
            .next_back()
    };
    // All of it may be on its way: settle is a second, the interval a fifth of one.
    assert_eq!(told(&core), Some((until(1), until(1))));
    core.step(times(1_200), Input::Tick, &mut Vec::new());
    assert_eq!(told(&core), Some((None, None)));
}
