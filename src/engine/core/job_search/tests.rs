use std::time::Duration;

use futures_util::FutureExt as _;

use super::*;
use crate::clock::Times;
use crate::cloud::answer::lost;
use crate::cloud::wire_format::JOBS_PAGE;
use crate::domain::call::{Answer, Reply};
use crate::domain::change::{Record, State};
use crate::domain::id::{InstanceId, Name};
use crate::engine::effect::StoreAnswer;
use crate::engine::staged::lane;
use crate::engine::{Input, Options, Ticket};
use crate::store::memory::MemoryStore;
use crate::store::{Active, Store as _, fixtures};

/// What `offset` counts.
#[derive(Debug, Clone, Copy)]
enum OffsetReading {
    Pages,
    Records,
    /// It is ignored: each page is the first one.
    Nothing,
}

/// A job list of so many jobs, of which the oldest alone is of the change's instance.
struct StagedList {
    jobs: u32,
    instance: InstanceId,
    offset: OffsetReading,
    /// One page in so many is lost; 0: none.
    lost: u32,
    asked: u32,
}

impl StagedList {
    fn new(jobs: u32, offset: OffsetReading, lost: u32) -> Self {
        Self { jobs, instance: fixtures::target(0, 0).instance_id, offset, lost, asked: 0 }
    }

    fn page(&mut self, offset: u32) -> Reply {
        self.asked += 1;
        if self.lost > 0 && self.asked.is_multiple_of(self.lost) {
            return lost("reset");
        }
        let skip = match self.offset {
            OffsetReading::Pages => offset.saturating_sub(1) * JOBS_PAGE,
            OffsetReading::Records => offset.saturating_sub(1),
            OffsetReading::Nothing => 0,
        };
        let rows = skip..self.jobs.min(skip + JOBS_PAGE).max(skip);
        let ids: Vec<JobId> = rows.map(|n| format!("job-{n}").parse().expect("a job id")).collect();
        let ours = ids.iter().filter(|id| id.as_str() == format!("job-{}", self.jobs - 1)).cloned();
        let seen = |job| JobSeen {
            job,
            instance_id: self.instance,
            name: "SomethingNew".into(),
            created: None,
        };
        let outcome = Ok(Answer::Jobs {
            jobs: ours.map(seen).collect(),
            page: JobsPage { ids, total: Some(self.jobs) },
        });
        Reply { outcome, request_id: None, cloud_time: None, sent: true, beside: Vec::new() }
    }
}

fn times(second: u32) -> Times {
    Times { wall: fixtures::at(i64::from(second)), boot: Duration::from_secs(u64::from(second)) }
}

/// A rollout of one change, whose PUT is in doubt.
fn in_doubt() -> Input {
    let store = MemoryStore::new();
    let submission = fixtures::submission("alpha", &[1], 0);
    let id = submission.id();
    store.submit(submission).now_or_never().expect("ready").expect("taken");
    let open = store.open_rollouts().now_or_never().expect("ready").expect("memory");
    let page = store.page(id, Vec::new(), None, 1).now_or_never().expect("ready").expect("memory");
    let doubted = |active: Active| {
        let state = State::Recovering {
            sent: fixtures::at(0),
            cloud: None,
            candidates: None,
            covered: false,
        };
        let mut change = active.change;
        change.target.lane = Name::parse("main", "lane").expect("a name");
        change.record = Record { state, attempts: 1, version: 5, ..Record::queued() };
        Active { change, due: Some(fixtures::at(0)), ..active }
    };
    Input::Scanned { open, due: page.changes.into_iter().map(doubted).collect() }
}

/// Runs the question for so many seconds; the state to which it leads, if it does.
fn answered(list: &mut StagedList, seconds: u32) -> Option<State> {
    let options = Options { lanes: vec![lane("main")], quota_spent: false, levels: Vec::new() };
    let mut core = Core::new(options, times(0));
    let mut inputs = vec![Input::Tick, in_doubt()];
    for second in 0..seconds {
        loop {
            let mut effects = Vec::new();
            core.step_all(times(second), std::mem::take(&mut inputs), &mut effects);
            for effect in effects {
                let answer = |ticket: Ticket, reply| Input::Answered { ticket, reply };
                match effect {
                    Effect::Call { ticket, call: Call::FindJobs { offset, .. }, .. } => {
                        inputs.push(answer(ticket, list.page(offset)))
                    }
                    Effect::Read { ticket, query: StoreQuery::KnownJobs(_) } => {
                        inputs.push(Input::Read {
                            ticket,
                            found: Box::new(StoreAnswer::KnownJobs(Vec::new())),
                        });
                    }
                    Effect::Commit { commit, .. } if !commit.changes.is_empty() => {
                        return Some(commit.changes[0].record.state.clone());
                    }
                    _ => {}
                }
            }
            if inputs.is_empty() {
                break;
            }
        }
        inputs.push(Input::Tick);
    }
    None
}

#[test]
fn three_hundred_jobs_in_the_span_resolve() {
    use OffsetReading::{Pages, Records};
    for (offset, lost, pages) in
        [(Pages, 0, 6), (Records, 0, 7), (Pages, 2, 11), (Records, 2, 13), (Pages, 3, 8)]
    {
        let mut list = StagedList::new(300, offset, lost);
        let found = answered(&mut list, 30);
        let ours = "job-299".parse().expect("a job id");
        assert_eq!(
            found,
            Some(State::Following { job: ours }),
            "{offset:?}, one page in {lost} lost"
        );
        assert_eq!(
            list.asked, pages,
            "a page that is lost is asked for again, and no other: {offset:?}, {lost}"
        );
    }
}

#[test]
fn a_list_that_is_not_read_whole_rules_nothing_out() {
    let mut list = StagedList::new(60, OffsetReading::Nothing, 0);
    let told = answered(&mut list, 100);
    // Neither the proxy's look nor another PUT: a person is asked when the limit is over.
    let Some(State::InDoubt { reason }) = told else { panic!("{told:?}") };
    assert!(
        reason.message.ends_with("50 of 60 jobs of the list were read in 12 pages"),
        "{}",
        reason.message
    );
}
