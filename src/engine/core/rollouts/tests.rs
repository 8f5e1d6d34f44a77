use std::collections::{BTreeMap, VecDeque};

use futures_util::FutureExt;

use super::*;
use crate::clock::Times;
use crate::cloud::answer::{lost, not_sent};
use crate::domain::call::{Answer, Call, Disposition, JobsPage, ProxyStatus, ProxyView, Reply};
use crate::domain::change;
use crate::domain::group::GroupBy;
use crate::domain::id::{ChangeId, JobId};
use crate::domain::lane::Lane;
use crate::domain::rollout::{ByHand, Phase, Verb};
use crate::domain::stop::StopFile;
use crate::domain::target::Target;
use crate::engine::staged::lane;
use crate::engine::{Command, Input, Options, TAKE_OVER_MAX, Ticket};
use crate::store::memory::MemoryStore;
use crate::store::{Active, Away, Store, fixtures};

/// A daemon on a store on which a test moves things too; what it calls is noted, and answered only
/// when a test does.
struct TestDaemon<'a> {
    core: Core,
    store: &'a MemoryStore,
    second: i64,
    /// So many seconds the wall clock was stepped ahead.
    ahead: i64,
    /// By so much more, once, while the next commit is out.
    stepped: i64,
    called: Vec<Call>,
    unanswered: VecDeque<Ticket>,
    looks: usize,
    /// Somebody else releases, and a scan shows it, while candidates are read for the first time.
    overtaken: bool,
    /// What happens during a read, after so many others.
    during_read: Option<(Input, usize)>,
    /// What happens while the next commit is out.
    during_commit: Option<Input>,
    /// Answers of scans wait here, where a test lets them.
    late: Option<Vec<Input>>,
    replies: Vec<(u64, Result<Acknowledged, CommandError>)>,
}

impl<'a> TestDaemon<'a> {
    fn new(store: &'a MemoryStore, second: i64) -> Self {
        let lanes = vec![Lane { max_in_flight: 8, ..lane("main") }];
        let options = Options { lanes, quota_spent: false, levels: Vec::new() };
        let core = Core::new(options, times(second));
        Self {
            core,
            store,
            second,
            ahead: 0,
            stepped: 0,
            called: Vec::new(),
            unanswered: VecDeque::new(),
            looks: 0,
            overtaken: false,
            during_read: None,
            during_commit: None,
            late: None,
            replies: Vec::new(),
        }
    }

    fn wait(&mut self, seconds: i64) {
        self.second += seconds;
        self.step(Input::Tick);
    }

    /// The oldest call that was not answered yet is.
    fn answer(&mut self, reply: Reply) {
        let ticket = self.unanswered.pop_front().expect("a call is out");
        self.step(Input::Answered { ticket, reply });
    }

    /// So many seconds pass in which every call is answered at once.
    fn live(&mut self, seconds: i64, answer: impl Fn(&Call) -> Reply) {
        for _ in 0..seconds {
            self.wait(1);
            while let Some(place) = self
                .called
                .len()
                .checked_sub(self.unanswered.len())
                .filter(|place| *place < self.called.len())
            {
                let reply = answer(&self.called[place]);
                self.answer(reply);
            }
        }
    }

    fn phase(&self, id: RolloutId) -> Phase {
        ready(self.store.rollout(id)).expect("memory").expect("there").record.phase
    }

    fn overdue(&self, id: RolloutId) -> Option<String> {
        self.core.snapshot(1).overdue.get(&id).cloned()
    }

    fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            let times =
                Times { wall: fixtures::at(self.second + self.ahead), ..times(self.second) };
            self.core.step(times, input, &mut effects);
            for effect in effects {
                if matches!(effect, Effect::Read { .. }) {
                    inputs.extend(self.during_read());
                }
                inputs.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Vec<Input> {
        let store = self.store;
        match effect {
            Effect::Scan { .. } => {
                let scanned = self.scanned();
                match &mut self.late {
                    Some(late) => late.push(scanned),
                    None => return vec![scanned],
                }
                Vec::new()
            }
            Effect::Read { ticket, query: StoreQuery::Rollout(id) } => {
                self.looks += 1;
                let found =
                    StoreAnswer::Rollout(ready(store.rollout(id)).expect("memory").map(Box::new));
                vec![Input::Read { ticket, found: Box::new(found) }]
            }
            Effect::Read { ticket, query: StoreQuery::Candidates { rollout, wave, limit } } => {
                let mut inputs = Vec::new();
                if std::mem::take(&mut self.overtaken) {
                    ready(fixtures::release(store, rollout, wave, 1));
                    inputs.push(self.scanned());
                }
                let found = StoreAnswer::Candidates(
                    ready(store.candidates(rollout, wave, limit)).expect("memory"),
                );
                inputs.push(Input::Read { ticket, found: Box::new(found) });
                inputs
            }
            Effect::Read {
                ticket,
                query: StoreQuery::Stored { rollout, words, places, limit },
            } => {
                let found = ready(store.stored(rollout, words, places, limit)).expect("memory");
                vec![Input::Read { ticket, found: Box::new(StoreAnswer::Stored(found)) }]
            }
            Effect::Read { ticket, query: StoreQuery::Change(id) } => {
                let change = ready(store.change(id)).expect("memory").expect("there");
                let rollout = ready(store.rollout(id.rollout)).expect("memory").expect("there");
                vec![Input::Read {
                    ticket,
                    found: Box::new(StoreAnswer::Change(Some(Box::new((change, rollout))))),
                }]
            }
            Effect::Commit { ticket, commit } => {
                self.ahead += std::mem::take(&mut self.stepped);
                let result = ready(store.commit(*commit));
                let meanwhile = self.during_commit.take();
                meanwhile.into_iter().chain([Input::Committed { ticket, result }]).collect()
            }
            Effect::Call { ticket, call, .. } | Effect::Ask { ticket, call, .. } => {
                self.called.push(call);
                self.unanswered.push_back(ticket);
                Vec::new()
            }
            Effect::Reply { id, result } => {
                self.replies.push((id, result));
                Vec::new()
            }
            other => panic!("nothing here leads to {other:?}"),
        }
    }

    fn during_read(&mut self) -> Option<Input> {
        let (input, reads) = self.during_read.take()?;
        if reads == 0 {
            return Some(input);
        }
        self.during_read = Some((input, reads - 1));
        None
    }

    fn ask(&mut self, number: u64, rollout: RolloutId, verb: Verb) {
        let (by, reason) = ("ada".into(), "drill".into());
        let command = Command { rollout, verb, by, reason, only_if: None };
        self.step(Input::Command { id: number, command });
    }

    /// What a test has moved is in other hands until it is due.
    fn scanned(&self) -> Input {
        let open = ready(self.store.open_rollouts()).expect("memory");
        let due = ready(self.store.due(fixtures::at(self.second), None, 100)).expect("memory");
        Input::Scanned { open, due }
    }
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory is ready at once")
}

fn times(second: i64) -> Times {
    Times {
        wall: fixtures::at(second),
        boot: Duration::from_secs(u64::try_from(second).expect("after the start")),
    }
}

/// A rollout of two that allows one change in flight; the first is in other hands.
fn shared() -> (MemoryStore, RolloutId) {
    let store = MemoryStore::new();
    let mut submission = fixtures::submission("alpha", &[2], 0);
    submission.plan.strategy.max_in_flight = 1;
    let id = ready(fixtures::started(&store, submission));
    let released = ready(fixtures::release(&store, id, 0, 1));
    assert_eq!(released, [0]);
    (store, id)
}

#[test]
fn a_place_freed_by_other_hands_is_taken_at_the_next_scan() {
    let (store, id) = shared();
    let mut daemon = TestDaemon::new(&store, 5);
    daemon.wait(0);
    daemon.wait(1);
    assert_eq!(daemon.called, [], "the one place is taken, and not by us");

    ready(fixtures::put(&store, id, 0, fixtures::switched())).expect("free to move");
    daemon.wait(1);
    let second =
        ready(store.change(ChangeId { rollout: id, ordinal: 1 })).expect("memory").expect("there");
    assert_eq!(daemon.called, [Call::Inspect { target: second.change.target }]);
}

#[test]
fn a_scan_that_shows_nothing_new_leads_to_no_look() {
    let (store, _) = shared();
    let mut daemon = TestDaemon::new(&store, 5);
    daemon.wait(0);
    let looks = daemon.looks;
    assert!(looks > 0);
    for _ in 0..5 {
        daemon.wait(1);
    }
    assert_eq!(daemon.looks, looks);
}

#[test]
fn what_a_look_has_read_leads_to_no_second_look() {
    let (store, id) = shared();
    let mut daemon = TestDaemon::new(&store, 5);
    let last = i64::try_from(LOOK_AGAIN.as_secs()).expect("short") - 1;
    for _ in 0..=last {
        daemon.wait(1);
    }
    let looks = daemon.looks;
    // The place is free and taken again at once, so that there is nothing to do; the look at the
    // end of its longest wait is the first to see it, the scan of the same instant the second.
    ready(fixtures::put(&store, id, 0, fixtures::switched())).expect("free to move");
    ready(fixtures::release(&store, id, 0, 1));
    daemon.wait(1);
    assert_eq!(daemon.looks, looks + 1);
}

/// However long the stretch of a full group is, what lies behind it begins.
#[test]
fn a_full_group_is_looked_past() {
    const GOLD: u32 = 5_000;
    let store = MemoryStore::new();
    let mut submission = fixtures::submission("alpha", &[GOLD + 1], 0);
    let tags = |tier: &str| Some(BTreeMap::from([("tier".to_owned(), tier.to_owned())]).into());
    let target = |n: u32| Target {
        tags: tags(if n < GOLD { "gold" } else { "iron" }),
        ..fixtures::target(n, n)
    };
    submission.targets = (0..=GOLD).map(target).collect();
    submission.plan.strategy.max_in_flight_per =
        [(GroupBy::Tag("tier".into()), 2)].into_iter().collect();
    let id = ready(fixtures::started(&store, submission));
    let mut daemon = TestDaemon::new(&store, 5);
    for _ in 0..100 {
        // No time passes: nothing waits for the next scan.
        daemon.wait(0);
    }
    let begun: Vec<_> =
        daemon.called.iter().map(|call| call.target().expect("a change's call").proxy_id).collect();
    assert_eq!(begun, [0, 1, GOLD].map(|n| fixtures::target(n, n).proxy_id));
    let rollout = ready(store.rollout(id)).expect("memory").expect("there");
    assert_eq!((rollout.total().active, rollout.record.cursor), (3, GOLD + 1));
    // A freed place goes to the first of its group.
    ready(fixtures::put(&store, id, 1, fixtures::switched())).expect("free to move");
    daemon.wait(1);
    let third =
        ready(store.change(ChangeId { rollout: id, ordinal: 2 })).expect("memory").expect("there");
    assert_eq!(third.change.record.state.as_str(), "inspecting");
}

#[test]
fn a_release_is_not_committed_beside_one_that_it_did_not_see() {
    let store = MemoryStore::new();
    let mut submission = fixtures::submission("alpha", &[4], 0);
    submission.plan.strategy.max_in_flight = 1;
    let id = ready(fixtures::started(&store, submission));
    let mut daemon = TestDaemon::new(&store, 5);
    daemon.overtaken = true;
    daemon.wait(0);
    let rollout = ready(store.rollout(id)).expect("memory").expect("there");
    assert_eq!((rollout.total().active, rollout.record.releases, daemon.overtaken), (1, 1, false));
}

fn stored(store: &MemoryStore, id: ChangeId) -> Active {
    ready(fixtures::change_of(store, id.rollout, id.ordinal))
}

fn answered(answer: Answer) -> Reply {
    Reply { outcome: Ok(answer), ..lost("never told") }
}

/// A change whose first PUT this daemon has sent. Meanwhile another one has given that up, found
/// its job, seen it fail and is in doubt about the next PUT.
fn overtaken_after_the_switch(store: &MemoryStore) -> (TestDaemon<'_>, ChangeId) {
    let id = ready(fixtures::started(store, fixtures::submission("alpha", &[1], 0)));
    let mut daemon = TestDaemon::new(store, 5);
    daemon.wait(0);
    let view = ProxyView {
        ssl_option: Some(false),
        status: ProxyStatus::Idle,
        word: "ACTIVE".into(),
        endpoint: None,
    };
    daemon.answer(answered(Answer::Proxy(Some(view))));
    assert!(daemon.called[1].is_write());
    let recovering = |second| State::Recovering {
        sent: fixtures::at(second),
        cloud: None,
        candidates: None,
        covered: false,
    };
    let others = [
        recovering(5),
        State::Following { job: job("first") },
        State::Ready,
        State::Submitting { sent: fixtures::at(9), cloud: None },
        recovering(9),
    ];
    for state in others {
        ready(fixtures::put(store, id, 0, state)).expect("free to move");
    }
    (daemon, ChangeId { rollout: id, ordinal: 0 })
}

fn job(name: &str) -> JobId {
    name.parse().expect("a job id")
}

#[test]
fn the_late_answer_of_an_earlier_put_ends_no_doubt_about_a_later_one() {
    let store = MemoryStore::new();
    let (mut daemon, change) = overtaken_after_the_switch(&store);
    let was = stored(&store, change).change.record;
    daemon.answer(answered(Answer::Accepted(Some(job("first")))));
    let is = stored(&store, change).change.record;
    assert_eq!(is, was);
}

#[test]
fn a_late_answer_that_names_a_new_job_is_told() {
    let store = MemoryStore::new();
    let (mut daemon, change) = overtaken_after_the_switch(&store);
    daemon.answer(answered(Answer::Accepted(Some(job("second")))));
    let is = stored(&store, change).change.record;
    assert_eq!(
        (is.state, is.jobs),
        (State::Following { job: job("second") }, vec![job("first"), job("second")])
    );
}

/// A rollout of one, whose progress deadline is two minutes.
fn hurried(store: &MemoryStore) -> (TestDaemon<'_>, RolloutId) {
    let mut submission = fixtures::submission("alpha", &[1], 0);
    submission.plan.strategy.progress_deadline_ms = 120_000;
    let id = ready(fixtures::started(store, submission));
    (TestDaemon::new(store, 5), id)
}

fn busy(call: &Call) -> Reply {
    let view = ProxyView {
        ssl_option: Some(false),
        status: ProxyStatus::Busy,
        word: "REBOOTING".into(),
        endpoint: None,
    };
    answered(match call {
        Call::Inspect { .. } => Answer::Proxy(Some(view)),
        _ => Answer::Jobs { jobs: Vec::new(), page: JobsPage { ids: Vec::new(), total: Some(0) } },
    })
}

#[test]
fn time_in_which_its_lane_is_out_of_reach_halts_nothing_and_wants_a_person() {
    let store = MemoryStore::new();
    let (mut daemon, id) = hurried(&store);
    daemon.live(100, |_| not_sent(Disposition::NotDone, "connection refused"));
    assert_eq!(daemon.overdue(id), None, "not yet");
    daemon.live(900, |_| not_sent(Disposition::NotDone, "connection refused"));
    assert_eq!(daemon.phase(id).as_str(), "advancing");
    assert_eq!(daemon.overdue(id).as_deref(), Some("lane main is paused: connection refused"));
    // The lane answers, after a pause of a minute and the look after that at the latest: from here
    // on time counts, and the halt names what the change is at.
    daemon.live(95, busy);
    assert_eq!((daemon.phase(id).as_str(), daemon.overdue(id)), ("advancing", None));
    daemon.live(120, busy);
    let Phase::Halted { reason: rollout::Halt::Stalled { seconds, why }, .. } = daemon.phase(id)
    else {
        panic!("it is not halted")
    };
    assert!(
        (120..180).contains(&seconds) && (why == "1 ready" || why == "1 inspecting"),
        "{seconds} s: {why}"
    );
}

#[test]
fn over_a_paused_lane_nothing_is_begun_and_nobody_is_late() {
    let store = MemoryStore::new();
    let (mut daemon, id) = hurried(&store);
    let lane = crate::domain::id::Name::parse("main", "lane").expect("a name");
    daemon.step(Input::Lanes(vec![(lane.clone(), Some(fixtures::mark(1)))]));
    daemon.live(600, busy);
    assert_eq!((daemon.called.len(), daemon.phase(id).as_str()), (0, "advancing"));
    let by = fixtures::mark(1).by;
    assert!(
        daemon
            .overdue(id)
            .is_some_and(|why| why.starts_with(&format!("lane main is paused by {by}")))
    );
    let held = daemon.core.snapshot(1).lanes[0].held.clone();
    assert_eq!(held, Some((fixtures::mark(1), [id].into())));
    daemon.step(Input::Lanes(vec![(lane, None)]));
    daemon.wait(0);
    assert!(matches!(daemon.called[..], [Call::Inspect { .. }]), "it goes on at once");
    assert_eq!(daemon.core.snapshot(1).lanes[0].held, None);
}

/// Nothing is looked at while everything is stopped: the pause is first seen by a look long after
/// the step.
#[test]
fn a_step_of_the_clock_while_all_is_stopped_ends_no_pause() {
    let store = MemoryStore::new();
    let (mut daemon, id) = hurried(&store);
    daemon.wait(0);
    daemon.step(Input::StopFile(Some(StopFile::new("/state/STOP", "drill"))));
    let verb = Verb::Pause { until: Some(fixtures::at(daemon.second + 600)) };
    daemon.ask(1, id, verb);
    daemon.ahead = 86_400;
    daemon.wait(1);
    daemon.step(Input::StopFile(None));
    daemon.wait(1);
    let is_paused =
        || ready(store.rollout(id)).expect("memory").expect("there").record.paused.is_some();
    assert!(is_paused(), "598 s are left");
    daemon.wait(590);
    assert!(is_paused(), "8 s are left");
    daemon.wait(10);
    daemon.wait(40);
    assert!(!is_paused(), "it is over by every clock");
}

#[test]
fn a_step_of_the_clock_while_its_commit_is_out_ends_no_pause() {
    let store = MemoryStore::new();
    let (mut daemon, id) = hurried(&store);
    daemon.wait(0);
    daemon.stepped = 300;
    let verb = Verb::Pause { until: Some(fixtures::at(daemon.second + 300)) };
    daemon.ask(1, id, verb);
    assert_eq!(daemon.ahead, 300);
    let is_paused =
        || ready(store.rollout(id)).expect("memory").expect("there").record.paused.is_some();
    daemon.wait(40);
    assert!(is_paused(), "260 s are left");
    daemon.wait(262);
    daemon.wait(40);
    assert!(!is_paused(), "it is over by every clock");
}

/// A client that gave up minutes ago must not find its verb carried out.
#[test]
fn a_verb_whose_asker_has_gone_is_dropped_before_it_is_judged() {
    let again = Verb::ByHand { ordinal: 0, what: ByHand::Again };
    for (verb, reads) in [(Verb::Pause { until: None }, 0), (again.clone(), 0), (again, 1)] {
        let (store, id) = shared();
        let failed = fixtures::failed("refused");
        ready(fixtures::put(&store, id, 0, failed)).expect("free to move");
        let mut daemon = TestDaemon::new(&store, 5);
        // So that nothing but verbs moves anything.
        daemon.step(Input::StopFile(Some(StopFile::new("/state/STOP", "drill"))));
        daemon.wait(0);
        let entries = || ready(store.journal(None, 0, 100)).expect("memory").len();
        let before = entries();
        daemon.during_read = Some((Input::AskerGone(1), reads));
        daemon.ask(1, id, verb.clone());
        assert!(daemon.during_read.is_none(), "it has happened");
        assert_eq!((entries(), daemon.replies.len()), (before, 0), "{verb:?}, {reads}");
        daemon.ask(2, id, verb);
        assert!(entries() > before, "the next one is judged");
    }
}

/// Of what is active at the start a page is ready, and what the next one has is in flight.
#[test]
fn nothing_new_begins_before_all_that_is_active_is_counted() {
    let store = MemoryStore::new();
    let places = TAKE_OVER_MAX + 8;
    let count = u32::try_from(places).expect("small");
    let mut submission = fixtures::submission("alpha", &[count], 0);
    submission.plan.strategy.max_in_flight = count;
    let id = ready(fixtures::started(&store, submission));
    let open = ready(store.open_rollouts()).expect("memory");
    let page = ready(store.page(id, Vec::new(), None, places)).expect("memory");
    let taken = |(mut active, place): (Active, u64)| {
        let follows = place >= TAKE_OVER_MAX as u64;
        let job = fixtures::job(place);
        let state = if follows { State::Following { job } } else { State::Ready };
        active.change.record = change::Record { state, version: 1, ..change::Record::queued() };
        active.change.target.lane = fixtures::name("main");
        Active { due: Some(fixtures::at(place.cast_signed())), ..active }
    };
    let active: Vec<Active> = page.changes.into_iter().zip(0..).map(taken).collect();
    for (in_flight, begins) in [(8, 0), (7, 1)] {
        let mut core = TestDaemon::new(&store, 5).core;
        let mut step = |input| {
            let mut out = Vec::new();
            core.step(times(5), input, &mut out);
            out
        };
        let scanned = |due: &[Active]| Input::Scanned { open: open.clone(), due: due.to_vec() };
        let begun = |out: &[Effect]| {
            let commits = out.iter().filter(|effect| matches!(effect, Effect::Commit { .. }));
            commits.count()
        };
        step(Input::Tick);
        let (first, rest) = active.split_at(TAKE_OVER_MAX);
        let out = step(scanned(first));
        assert_eq!(begun(&out), 0);
        let next = out.iter().find_map(|effect| match effect {
            Effect::Scan { after, .. } => Some(*after),
            _ => None,
        });
        assert_eq!(next, Some(first[TAKE_OVER_MAX - 1].due_place()), "it reads on");
        let out = step(scanned(&rest[..in_flight]));
        assert_eq!(begun(&out), begins, "with {in_flight} in flight, and room for 8");
    }
}

#[test]
fn a_late_scan_takes_nothing_up_that_has_ended_meanwhile() {
    let store = MemoryStore::new();
    let (mut daemon, _) = hurried(&store);
    daemon.wait(0);
    daemon.late = Some(Vec::new());
    daemon.wait(100);
    assert_eq!(daemon.called.len(), 1, "a look is out");
    let view = ProxyView {
        ssl_option: Some(true),
        status: ProxyStatus::Idle,
        word: "ACTIVE".into(),
        endpoint: None,
    };
    daemon.answer(answered(Answer::Proxy(Some(view))));
    let late = daemon.late.take().and_then(|mut late| late.pop()).expect("a scan was asked for");
    assert!(matches!(&late, Input::Scanned { due, .. } if due.len() == 1), "{late:?}");
    daemon.step(late);
    daemon.wait(0);
    assert_eq!(daemon.called.len(), 1, "it is settled");
}

fn away() -> Input {
    Input::StoreAway(Some(Away { since: fixtures::at(5), why: "cut off".into() }))
}

#[test]
fn while_the_store_is_away_nothing_begins_and_verbs_are_refused_at_once() {
    let store = MemoryStore::new();
    let (mut daemon, id) = hurried(&store);
    daemon.wait(0);
    let entries = || ready(store.journal(None, 0, 100)).expect("memory").len();
    let (called, before) = (daemon.called.len(), entries());
    assert_eq!(called, 1, "a look is out");
    daemon.step(away());
    daemon.ask(1, id, Verb::Pause { until: None });
    assert!(matches!(daemon.replies[..], [(1, Err(CommandError::Away(_)))]));
    let look = busy(&daemon.called[0]);
    daemon.answer(look);
    assert_eq!(entries(), before + 1, "what comes is kept");
    daemon.wait(3_600);
    assert_eq!((daemon.called.len(), daemon.core.next_wake()), (called, None));

    daemon.step(Input::StoreAway(None));
    daemon.ask(2, id, Verb::Pause { until: None });
    assert!(matches!(daemon.replies[1..], [(2, Ok(_))]));
    daemon.ask(3, id, Verb::Resume);
    daemon.wait(1);
    assert!(daemon.called.len() > called, "it goes on");
    assert_eq!(daemon.phase(id).as_str(), "advancing", "an hour away is nobody's stall");
}

#[test]
fn of_a_verb_on_its_way_to_a_store_that_goes_away_nobody_knows() {
    let (store, id) = shared();
    let mut daemon = TestDaemon::new(&store, 5);
    daemon.step(Input::StopFile(Some(StopFile::new("/state/STOP", "drill"))));
    daemon.wait(0);
    daemon.during_read = Some((away(), 0));
    daemon.ask(1, id, Verb::Abort);
    daemon.step(Input::StoreAway(None));
    assert!(matches!(daemon.replies[..], [(1, Err(CommandError::Away(_)))]));
    assert_eq!(daemon.phase(id).as_str(), "advancing", "it was not being committed");

    daemon.during_commit = Some(away());
    daemon.ask(2, id, Verb::Abort);
    let told =
        |daemon: &TestDaemon<'_>| matches!(daemon.replies[1], (2, Err(CommandError::NotKnown(_))));
    assert!(told(&daemon), "{:?}", daemon.replies);
    daemon.step(Input::StoreAway(None));
    assert_eq!(daemon.phase(id).as_str(), "aborted", "this time it was");
}
