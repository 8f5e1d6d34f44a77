use std::collections::VecDeque;

use futures_util::FutureExt as _;

use super::*;
use crate::cloud::answer::{lost, not_sent};
use crate::domain::call::{Answer, Call, Disposition, ProxyStatus, ProxyView, Reply};
use crate::domain::change::State;
use crate::domain::keeper::{DaemonRow, DaemonRun, Heartbeat, Keeper, KeeperTables};
use crate::engine::core::TAKE_OVER_MAX;
use crate::engine::effect::{Input, StoreAnswer, StoreQuery, Ticket};
use crate::engine::handle::AskError;
use crate::engine::staged::lane;
use crate::store::memory::MemoryStore;
use crate::store::{Store as _, fixtures};

/// One of two daemons over one store; what passes its fence is noted and not answered.
struct PairedDaemon<'a> {
    core: Core,
    store: &'a MemoryStore,
    now: i64,
    called: VecDeque<(Ticket, Call)>,
    withheld: Vec<String>,
    refused: Vec<AskError>,
    /// Seconds that pass during the next commit.
    slow: i64,
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory is ready at once")
}

fn times(second: i64) -> Times {
    let boot = Duration::from_secs(u64::try_from(second).expect("after the start"));
    Times { wall: fixtures::at(second), boot }
}

fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("a name")
}

/// What a daemon that lives alone sees of its fellows.
fn alone(me: &str) -> Fellows {
    let mut keeper = Keeper::new(DaemonRun { name: name(me), run: 1 }, BTreeSet::new());
    let row = keeper.next_beat(Duration::ZERO, &BTreeSet::new()).row;
    let mut tables = KeeperTables::default();
    tables.daemons.insert(name(me), row);
    keeper.answered(Duration::ZERO, Duration::ZERO, tables);
    keeper.fellows(Duration::ZERO)
}

impl<'a> PairedDaemon<'a> {
    fn new(store: &'a MemoryStore, now: i64) -> Self {
        let options = Options { lanes: vec![lane("main")], quota_spent: false, levels: Vec::new() };
        let mut daemon = Self {
            core: Core::beside_others(options, times(now)),
            store,
            now,
            called: VecDeque::new(),
            withheld: Vec::new(),
            refused: Vec::new(),
            slow: 0,
        };
        daemon.step(Input::Tick);
        daemon
    }

    fn keep(&mut self, until: Option<u64>, giving: bool, inherited: bool) {
        let kept = until.map(|until| {
            let until = Duration::from_secs(until);
            (name("main"), KeptLane { until, giving, inherited })
        });
        self.step(Input::Kept { lanes: kept.into_iter().collect(), fellows: alone("x") });
    }

    fn wait(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += 1;
            self.step(Input::Tick);
        }
    }

    fn answer(&mut self, reply: Reply) {
        let (ticket, _) = self.called.pop_front().expect("a call is out");
        self.step(Input::Answered { ticket, reply });
    }

    fn calls(&self) -> Vec<&'static str> {
        self.called.iter().map(|(_, call)| call.as_str()).collect()
    }

    fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.core.step(times(self.now), input, &mut effects);
            for effect in effects {
                inputs.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Input> {
        let store = self.store;
        match effect {
            Effect::Scan { until, after } => {
                let open = ready(store.open_rollouts()).expect("memory");
                let due = ready(store.due(until, after, TAKE_OVER_MAX)).expect("memory");
                Some(Input::Scanned { open, due })
            }
            Effect::Read { ticket, query } => {
                let found = match query {
                    StoreQuery::Rollout(id) => StoreAnswer::Rollout(
                        ready(store.rollout(id)).expect("memory").map(Box::new),
                    ),
                    StoreQuery::Candidates { rollout, wave, limit } => StoreAnswer::Candidates(
                        ready(store.candidates(rollout, wave, limit)).expect("memory"),
                    ),
                    StoreQuery::Change(id) => {
                        let change = ready(store.change(id)).expect("memory");
                        let rollout = ready(store.rollout(id.rollout)).expect("memory");
                        StoreAnswer::Change(change.zip(rollout).map(Box::new))
                    }
                    other => panic!("nothing here asks for {other:?}"),
                };
                Some(Input::Read { ticket, found: Box::new(found) })
            }
            Effect::Commit { ticket, commit } => {
                self.now += std::mem::take(&mut self.slow);
                Some(Input::Committed { ticket, result: ready(store.commit(*commit)) })
            }
            Effect::Call { ticket, call, check } => {
                if let Err(withheld) = self.core.fence().check(&check, times(self.now)) {
                    self.withheld.push(withheld.0);
                    let reply = not_sent(Disposition::Withheld, "withheld");
                    return Some(Input::Answered { ticket, reply });
                }
                self.called.push_back((ticket, call));
                None
            }
            Effect::Ask { ticket, call, .. } => {
                self.called.push_back((ticket, call));
                None
            }
            Effect::Told { result: Err(error), .. } => {
                self.refused.push(error);
                None
            }
            other => panic!("nothing here leads to {other:?}"),
        }
    }
}

/// A rollout of one at work in a store that several share.
fn one() -> (MemoryStore, ChangeId) {
    let store = MemoryStore::new();
    let id = ready(fixtures::started(&store, fixtures::submission("alpha", &[1], 0)));
    (store, ChangeId { rollout: id, ordinal: 0 })
}

fn state(store: &MemoryStore, id: ChangeId) -> State {
    ready(store.change(id)).expect("memory").expect("there").change.record.state
}

fn other_value() -> Reply {
    let view = ProxyView {
        ssl_option: Some(false),
        status: ProxyStatus::Idle,
        endpoint: None,
        word: "ACTIVE".into(),
    };
    reply(Answer::Proxy(Some(view)))
}

fn reply(answer: Answer) -> Reply {
    Reply {
        outcome: Ok(answer),
        request_id: None,
        cloud_time: None,
        sent: true,
        beside: Vec::new(),
    }
}

fn accepted() -> Reply {
    reply(Answer::Accepted(Some("job-1".parse().expect("a job id"))))
}

#[test]
fn over_a_lane_that_is_not_ours_nothing_is_taken_into_hand_or_sent() {
    let (store, id) = one();
    let mut daemon = PairedDaemon::new(&store, 5);
    daemon.wait(5);
    assert_eq!((daemon.calls(), state(&store, id)), (vec![], State::Queued), "nor released");
    ready(fixtures::release(&store, id.rollout, 0, 1));
    daemon.wait(5);
    assert_eq!(daemon.calls(), Vec::<&str>::new());
    daemon.keep(Some(15), false, false);
    assert_eq!(daemon.calls(), Vec::<&str>::new(), "its lease is over in this instant");
    daemon.keep(Some(20), false, false);
    assert_eq!(daemon.calls(), ["inspect"]);
}

#[test]
fn a_question_goes_to_whoever_keeps_its_lane() {
    let (store, _) = one();
    let mut daemon = PairedDaemon::new(&store, 5);
    let ask = |id| {
        let call = Call::Instances { lane: name("main"), offset: 0 };
        Input::Asked { id, call }
    };
    daemon.step(ask(1));
    assert_eq!(daemon.refused, [AskError::Elsewhere(name("main"))]);
    daemon.keep(Some(10), true, false);
    daemon.step(ask(2));
    assert_eq!((daemon.calls(), daemon.refused.len()), (vec![], 1), "it is being given up");
    daemon.keep(None, false, false);
    assert_eq!(daemon.refused.len(), 2, "who waited is told");
}

#[test]
fn a_lane_whose_keeper_was_killed_is_worked_on_from_the_due_of_its_calls() {
    let (store, id) = one();
    let mut first = PairedDaemon::new(&store, 5);
    first.keep(Some(10), false, false);
    assert_eq!(first.calls(), ["inspect"], "it dies with this call out");
    let due = ready(store.change(id)).expect("memory").expect("there").due;
    assert_eq!(due, Some(fixtures::at(5 + 5 + 1 + 10)), "decided, sent, answered, and some more");
    let mut second = PairedDaemon::new(&store, 12);
    second.keep(Some(17), false, true);
    second.keep(Some(40), false, true);
    second.wait(8);
    assert_eq!(second.calls(), Vec::<&str>::new(), "the call may be out");
    second.wait(1);
    assert_eq!(second.calls(), ["inspect"]);

    let mut third = PairedDaemon::new(&store, 22);
    third.keep(Some(40), false, false);
    assert_eq!(third.calls(), ["inspect"], "a lane that was given up has nothing out");
}

#[test]
fn a_lane_that_went_is_let_go_and_a_late_job_id_is_kept() {
    let (store, id) = one();
    let mut daemon = PairedDaemon::new(&store, 5);
    daemon.keep(Some(10), false, false);
    daemon.answer(other_value());
    assert_eq!(daemon.calls(), ["submit"]);
    daemon.keep(None, false, false);
    daemon.answer(accepted());
    assert!(matches!(state(&store, id), State::Following { .. }), "{:?}", state(&store, id));
    daemon.wait(30);
    assert_eq!((daemon.calls(), daemon.withheld.len()), (vec![], 0), "it is another daemon's");
    daemon.keep(Some(60), false, false);
    assert_eq!(daemon.calls(), ["follow"], "all of it comes into hand again");
}

#[test]
fn what_a_lane_had_decided_before_its_lease_was_over_is_withheld() {
    let (store, id) = one();
    let mut daemon = PairedDaemon::new(&store, 5);
    daemon.keep(Some(7), false, false);
    daemon.slow = 2;
    daemon.answer(other_value());
    assert_eq!(daemon.calls(), Vec::<&str>::new());
    assert_eq!(daemon.withheld, ["lane main is another daemon's by now"]);
    assert_eq!(state(&store, id), State::Ready, "it surely never left");
}

#[test]
fn a_lane_is_given_up_when_its_calls_are_back() {
    let (store, _) = one();
    let mut daemon = PairedDaemon::new(&store, 5);
    daemon.keep(Some(10), false, false);
    assert_eq!(daemon.core.lanes_back(), BTreeSet::new(), "nobody wants it");
    daemon.keep(Some(10), true, false);
    assert_eq!(daemon.core.lanes_back(), BTreeSet::new(), "a call is out");
    daemon.answer(lost("reset"));
    daemon.wait(3);
    assert_eq!(daemon.calls(), Vec::<&str>::new(), "nothing new begins");
    assert_eq!(daemon.core.lanes_back(), [name("main")].into());
}

#[test]
fn a_rollout_that_another_daemon_looks_after_is_left_alone() {
    let (store, id) = one();
    let mut tables = KeeperTables::default();
    let mut keepers: Vec<Keeper> = ["x", "y"]
        .into_iter()
        .map(|me| Keeper::new(DaemonRun { name: name(me), run: 1 }, [name("main")].into()))
        .collect();
    for keeper in &mut keepers {
        let beat: Heartbeat = keeper.next_beat(Duration::ZERO, &BTreeSet::new());
        tables.apply(&beat);
    }
    let rows: Vec<&DaemonRow> = tables.daemons.values().collect();
    assert_eq!(rows.len(), 2);
    let mut looked = 0;
    for mut keeper in keepers {
        keeper.answered(Duration::ZERO, Duration::ZERO, tables.clone());
        let mut daemon = PairedDaemon::new(&store, 5);
        let fellows = keeper.fellows(Duration::ZERO);
        daemon.step(Input::Kept { lanes: BTreeMap::new(), fellows });
        let released = state(&store, id) == State::Ready;
        looked += u32::from(released);
        if released {
            break;
        }
    }
    assert_eq!(looked, 1, "one of them releases, for a lane that is not its own");
}
