use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::clock::Times;
use crate::cloud::wire_format::JOBS_PAGE;
use crate::domain::call::{Call, JobSeen, JobsPage};
use crate::domain::change::{Change, Record};
use crate::domain::id::{ChangeId, RolloutId};
use crate::engine::staged::lane;
use crate::engine::{Input, Options};
use crate::store::fixtures::target;

fn times(seconds: u64) -> Times {
    Times { wall: Timestamp::UNIX_EPOCH, boot: Duration::from_secs(seconds) }
}

fn name() -> Name {
    Name::parse("main", "lane").expect("a name")
}

/// Two changes wait for their busy instances.
fn core() -> Core {
    let options = Options { lanes: vec![lane("main")], quota_spent: false, levels: Vec::new() };
    let mut core = Core::new(options, times(0));
    for ordinal in 0..2 {
        let record = Record { state: State::Ready, waits: 1, ..Record::queued() };
        let id = ChangeId { rollout: RolloutId::from_bytes([7; 16]), ordinal };
        let change =
            Change { id, target: target(ordinal, ordinal), wave: 0, desired: true, record };
        core.begin(change, Duration::ZERO);
    }
    core
}

/// One step; the pages that are asked for, with their tickets.
fn step(core: &mut Core, seconds: u64, inputs: Vec<Input>) -> Vec<(u64, u32)> {
    let mut effects = Vec::new();
    core.step_all(times(seconds), inputs, &mut effects);
    let asked = |effect| match effect {
        Effect::Ask { ticket, call: Call::Running { offset, .. }, .. } => Some((ticket, offset)),
        _ => None,
    };
    effects.into_iter().filter_map(asked).collect()
}

fn seen(instance: u32, name: &str) -> JobSeen {
    let job = format!("e0fbbfc8-1ac4-4721-b9e9-7dd685c5bd{instance:02}").parse().expect("an id");
    JobSeen {
        job,
        instance_id: target(instance, instance).instance_id,
        name: name.into(),
        created: None,
    }
}

/// A page with these jobs of interest; the list has so many in all.
fn told(ticket: u64, jobs: Vec<JobSeen>, total: u32) -> Vec<Input> {
    let ids = (0..total.min(JOBS_PAGE))
        .map(|n| format!("job-{ticket}-{n}").parse().expect("an id"))
        .collect();
    let page = JobsPage { ids, total: Some(total) };
    let reply = Reply {
        outcome: Ok(Answer::Jobs { jobs, page }),
        request_id: None,
        cloud_time: None,
        sent: true,
        beside: Vec::new(),
    };
    vec![Input::Answered { ticket, reply }]
}

#[test]
fn what_runs_where_a_change_waits_is_known_by_name_and_forgotten() {
    let mut core = core();
    core.ask_what_runs(&name());
    core.ask_what_runs(&name());
    let asked = step(&mut core, 1, vec![Input::Tick]);
    assert_eq!(asked.len(), 1, "one list is out at a time");
    let asked =
        step(&mut core, 1, told(asked[0].0, vec![seen(0, "Enlarge"), seen(9, "Restore")], 51));
    let [(ticket, 2)] = asked[..] else { panic!("the second page is next: {asked:?}") };
    step(&mut core, 1, told(ticket, vec![seen(1, "")], 51));

    let known = core.lanes[&name()].occupied.known(times(2).boot);
    let words: Vec<String> = known.values().map(ToString::to_string).collect();
    assert_eq!(words.len(), 2, "only where somebody waits: {words:?}");
    assert!(
        words.iter().any(|word| word == "Enlarge (job e0fbbfc8-1ac4-4721-b9e9-7dd685c5bd00)"),
        "{words:?}"
    );
    assert!(
        words.iter().any(|word| word.starts_with("an operation without a name (job ")),
        "{words:?}"
    );
}

#[test]
fn lists_keep_their_distance_and_a_failed_one_says_nothing() {
    let mut core = core();
    core.ask_what_runs(&name());
    let first = step(&mut core, 1, vec![Input::Tick]);
    step(&mut core, 1, told(first[0].0, vec![seen(0, "Enlarge")], 1));
    core.ask_what_runs(&name());
    assert_eq!(
        step(&mut core, 1, vec![Input::Tick]),
        [],
        "not before the lane's longest wait is over"
    );
    step(&mut core, 2, vec![Input::Tick]);
    core.ask_what_runs(&name());
    let second = step(&mut core, 2, vec![Input::Tick]);
    let refused = crate::cloud::answer::lost("reset");
    step(&mut core, 2, vec![Input::Answered { ticket: second[0].0, reply: refused }]);
    assert!(core.lanes[&name()].occupied.known(times(2).boot).is_empty());
}
