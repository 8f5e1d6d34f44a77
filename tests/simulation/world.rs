//! The world around the shipped core: virtual time, a network, the simulated cloud, the memory
//! store, crashes.
//!
//! Everything that happens is an event in the queue that the rehearsal has too, so one seed is one
//! history. This file has the events and the run; the rest stands by its place: [`daemon`],
//! [`store_side`], [`network`], [`person`], [`gates`], [`drawn`].

mod asks;
mod away;
mod daemon;
mod drawn;
mod gates;
mod network;
mod person;
mod probes;
mod store_side;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use sealift::clock::Times;
use sealift::domain::call::Call;
use sealift::domain::id::{ChangeId, JobId, RolloutId};
use sealift::domain::proof::Endpoint;
use sealift::domain::rollout::Verb;
use sealift::engine::{CheckSpec, Input, Ticket};
use sealift::rehearse::event::EventQueue;
use sealift::simcloud::fleet::Fleet;
use sealift::simcloud::model::Model;
use sealift::store::memory::MemoryStore;
use sealift::store::{Commit, Rollout, Store, Submission};

use crate::oracle::{Around, Oracle, SeenFact};
use crate::planted::Planted;
use crate::scenario::DrawnScenario;
use crate::setting;
use daemon::SimDaemon;
pub use drawn::draw_verb;
pub use network::unanswered;
pub use person::verb_of_a_person;
use store_side::StoreAsked;

/// More events than any honest run needs: beyond it something spins.
const EVENTS_MAX: u64 = 400_000;
/// After the calm a run must end within this virtual time.
pub const END_WITHIN: u64 = 6 * 3600;

/// Virtual time since the start.
pub type Nanos = u64;
pub const MS: Nanos = 1_000_000;
pub const S: Nanos = 1_000_000_000;

const START: i64 = 1_795_478_400;

/// The wall clock at virtual time 0.
pub fn start() -> Timestamp {
    Timestamp::from_second(START).expect("a valid instant")
}

/// A place at which a daemon is killed. Commits and calls are numbered over the whole run, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kill {
    /// While its commit of this number is under way; whether that one lands all the same.
    Commit { number: u64, landed: bool },
    /// Around its call of this number.
    Call { number: u64, at: CallPoint },
}

/// A boundary of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallPoint {
    BeforeWire,
    /// It has left and lands, nobody hears the answer.
    AfterWire,
    /// The answer is there and was not read.
    BeforeAnswer,
    /// The answer was read and what it led to is not saved.
    AfterAnswer,
}

impl CallPoint {
    pub const ALL: [Self; 4] =
        [Self::BeforeWire, Self::AfterWire, Self::BeforeAnswer, Self::AfterAnswer];
}

pub(in crate::world) enum SimEvent {
    Wake { life: u32, at: Nanos },
    Feed { life: u32, input: Box<Input> },
    Answer { life: u32, ticket: Ticket, number: u64, reply: Box<sealift::domain::call::Reply> },
    Apply { life: u32, ticket: Ticket, commit: Box<Commit> },
    StoreAsked { life: u32, asked: Box<StoreAsked>, back: Nanos },
    StoreSays { life: u32, input: Box<Input> },
    StoreAway { lasts: Nanos },
    TellAway { life: u32 },
    Wire { life: u32, ticket: Ticket, number: u64, call: Box<(Call, CheckSpec)> },
    Arrive { life: u32, ticket: Ticket, number: u64, call: Box<Call> },
    Crash,
    Start,
    Freeze { until: Nanos },
    Operator { verb: Verb },
    Foreign,
    Look { place: usize, way: Nanos },
    Probe { life: u32, ticket: Ticket, id: ChangeId, endpoint: Endpoint },
    AskWire { life: u32, ticket: Ticket, call: Box<Call>, deadline: Duration, way: Nanos },
    AskArrive { life: u32, ticket: Ticket, call: Box<Call>, way: Nanos },
    StopFile { text: Option<String> },
    TellStop { life: u32 },
    LaneSwitch { order: u32, paused: bool },
    StopAll { order: u32, stopped: bool },
    Jump { seconds: i64 },
    CloudClock { ahead: i64 },
    Calm,
}

impl SimEvent {
    /// Whether it happens inside the daemon's host, and so only while that one goes on.
    fn is_inside(&self) -> bool {
        match self {
            Self::Wake { .. }
            | Self::Feed { .. }
            | Self::Answer { .. }
            | Self::Apply { .. }
            | Self::StoreAsked { .. }
            | Self::StoreSays { .. }
            | Self::TellAway { .. }
            | Self::AskWire { .. }
            | Self::TellStop { .. }
            | Self::Wire { .. } => true,
            Self::Arrive { .. }
            | Self::AskArrive { .. }
            | Self::Probe { .. }
            | Self::Look { .. }
            | Self::StoreAway { .. }
            | Self::Crash { .. }
            | Self::Start { .. }
            | Self::Freeze { .. }
            | Self::Operator { .. }
            | Self::Foreign
            | Self::StopFile { .. }
            | Self::LaneSwitch { .. }
            | Self::StopAll { .. }
            | Self::Jump { .. }
            | Self::CloudClock { .. }
            | Self::Calm => false,
        }
    }
}

pub struct SimWorld {
    scenario: DrawnScenario,
    planted: Planted,
    rng: Rng,
    /// How long reads of the store take.
    reads: Rng,
    now: Nanos,
    wall_offset: i64,
    queue: EventQueue<SimEvent>,
    daemon: SimDaemon,
    store: MemoryStore,
    fleet: Fleet,
    submission: Submission,
    rollout: RolloutId,
    /// Every commit applied since the submission, and how many of them are synced.
    log: Vec<Commit>,
    synced: usize,
    cloud: Model,
    oracle: Oracle,
    verbs_out: BTreeMap<u64, Verb>,
    /// A planted bug: since the last restart no commit has shown what it went on from.
    windows_forgotten: bool,
    /// Looks of people, and how long their way is.
    asks_out: BTreeMap<u64, Nanos>,
    next_ask: u64,
    next_reply: u64,
    commits: u64,
    calls: u64,
    kills: Vec<Kill>,
    calm: bool,
    /// When a person may look in again after the calm.
    person_at: Nanos,
    /// The store is away until then.
    away_until: Nanos,
    /// The kill-switch file, as every last check sees it.
    stop: Arc<Mutex<Option<String>>>,
    /// A person stopped everything.
    stopped: bool,
    /// The latest such word.
    stop_order: u32,
    /// A person paused the lane.
    lane_paused: bool,
    /// The latest switch of the lane.
    lane_order: u32,
    /// What an answer mixed up by a planted bug names.
    last_job: Option<JobId>,
    fired: BTreeMap<&'static str, u64>,
    /// Every input and effect of every core is printed.
    traced: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub journal: String,
    pub violations: Vec<String>,
    pub fired: BTreeMap<&'static str, u64>,
    pub commits: u64,
    pub calls: u64,
    pub virtual_seconds: u64,
}

/// One history. `kills` are additional to the scenario's own crashes.
pub fn run(scenario: DrawnScenario, planted: Planted, kills: &[Kill]) -> Outcome {
    SimWorld::new(scenario, planted, kills).run()
}

impl SimWorld {
    fn new(scenario: DrawnScenario, planted: Planted, kills: &[Kill]) -> Self {
        let fleet = setting::fleet(&scenario);
        let submission = setting::submission(&scenario, &fleet, start(), planted);
        let store = MemoryStore::new();
        let rollout = submission.id();
        store
            .submit(submission.clone())
            .now_or_never()
            .expect("ready")
            .expect("the first submission is taken");
        let faults = network::planted_faults(&scenario, planted);
        let mut faults = faults;
        faults.clock.ahead = SignedDuration::from_secs(scenario.clock_ahead);
        let cloud = Model::new(&fleet, faults, scenario.seed, start());
        let oracle = Oracle::new(&scenario, &submission, rollout, &fleet);
        let mut world = Self {
            rng: Rng::with_seed(scenario.seed),
            reads: Rng::with_seed(scenario.seed ^ 0x5ea1_1f70_0000_0075),
            now: S,
            wall_offset: 0,
            queue: EventQueue::default(),
            daemon: SimDaemon::default(),
            store,
            fleet,
            submission,
            rollout,
            log: Vec::new(),
            synced: 0,
            cloud,
            oracle,
            verbs_out: BTreeMap::new(),
            windows_forgotten: false,
            asks_out: BTreeMap::new(),
            next_ask: 1,
            next_reply: 1,
            commits: 0,
            calls: 0,
            kills: kills.to_vec(),
            calm: false,
            person_at: 0,
            away_until: 0,
            stop: Arc::default(),
            stopped: false,
            stop_order: 0,
            lane_paused: false,
            lane_order: 0,
            last_job: None,
            fired: BTreeMap::new(),
            traced: std::env::var_os("SEALIFT_TRACE").is_some(),
            scenario,
            planted,
        };
        world.push(0, SimEvent::Start);
        world.draw_events();
        world.draw_gates();
        world.draw_asks();
        world.draw_outages();
        world
    }

    fn push(&mut self, after: Nanos, what: SimEvent) {
        self.queue.push(Duration::from_nanos(self.now + after), what);
    }

    /// The oracle, and what it sees around an observation.
    fn watch(&mut self) -> (&mut Oracle, Around<'_>) {
        let around =
            Around { times: self.times(), now: self.now, store: &self.store, cloud: &self.cloud };
        (&mut self.oracle, around)
    }

    fn times(&self) -> Times {
        let boot = Duration::from_nanos(self.now);
        let wall = start() + boot + SignedDuration::from_secs(self.wall_offset);
        let stepped = Duration::from_secs(self.wall_offset.unsigned_abs());
        let boot = match self.planted {
            Planted::LimiterOnWallClock if self.wall_offset < 0 => boot.saturating_sub(stepped),
            Planted::LimiterOnWallClock => boot + stepped,
            _ => boot,
        };
        Times { wall, boot }
    }

    /// The cloud's own clock is so many seconds ahead from now on.
    fn set_cloud_clock(&mut self, ahead: i64) {
        let mut faults = self.cloud.faults().clone();
        faults.clock.ahead = SignedDuration::from_secs(ahead);
        self.cloud.set_faults(faults);
    }

    /// The right time: the cloud does not jump with us.
    fn cloud_now(&self) -> Timestamp {
        start() + Duration::from_nanos(self.now)
    }

    fn fire(&mut self, word: &'static str) {
        *self.fired.entry(word).or_insert(0) += 1;
    }

    /// Whether a kill is due here; it is used up.
    fn killed(&mut self, here: Kill) -> bool {
        let Some(place) = self.kills.iter().position(|kill| *kill == here) else { return false };
        self.kills.remove(place);
        self.fire("killed_at_boundary");
        true
    }

    fn read_rollout(&self) -> Rollout {
        self.store
            .rollout(self.rollout)
            .now_or_never()
            .expect("ready")
            .expect("memory")
            .expect("submitted")
    }

    fn run(mut self) -> Outcome {
        let mut events = 0;
        let mut ended = false;
        while let Some((at, what)) = self.queue.pop() {
            events += 1;
            self.now = self.now.max(u64::try_from(at.as_nanos()).expect("a short run"));
            if events > EVENTS_MAX {
                let story = self.unfinished();
                self.oracle.violate(&format!("the run spins at {} s: {story}", self.now / S));
                break;
            }
            self.happen(what);
            self.oracle.instant(self.now, &self.times(), &self.store);
            if !self.oracle.violations.is_empty() {
                break;
            }
            if self.calm && self.asks_out.is_empty() && self.is_over() {
                ended = true;
                break;
            }
            if self.now > self.scenario.calm_at * S + END_WITHIN * S {
                break;
            }
        }
        if !ended && self.oracle.violations.is_empty() {
            let story = self.unfinished();
            self.oracle.violate(&format!("no end within {END_WITHIN} s after the calm: {story}"));
        }
        self.finish()
    }

    fn finish(mut self) -> Outcome {
        for (word, count) in self.cloud.fired() {
            *self.fired.entry(word).or_insert(0) += count;
        }
        let entries =
            self.store.journal(None, 0, usize::MAX).now_or_never().expect("ready").expect("memory");
        if self.oracle.violations.is_empty() {
            self.cloud.advance(self.cloud_now());
            let (oracle, around) = self.watch();
            oracle.end(&entries, &around);
        }
        let journal = entries
            .iter()
            .map(|entry| serde_json::to_string(entry).expect("an entry is JSON"))
            .collect::<Vec<_>>()
            .join("\n");
        self.take_counters();
        Outcome {
            journal,
            violations: self.oracle.violations,
            fired: self.fired,
            commits: self.commits,
            calls: self.calls,
            virtual_seconds: self.now / S,
        }
    }

    fn unfinished(&self) -> String {
        let rollout = self.read_rollout();
        let due = self
            .store
            .due(Timestamp::MAX, None, 100)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        let states: Vec<_> = due
            .iter()
            .map(|active| format!("{} {:?}", active.change.id, active.change.record.state))
            .collect();
        format!("{:?} {:?} {states:?}", rollout.record, rollout.total())
    }

    fn happen(&mut self, what: SimEvent) {
        if what.is_inside() && self.daemon.frozen_until > self.now {
            // It happens when the host goes on, in the same order.
            let rest = self.daemon.frozen_until - self.now;
            return self.push(rest, what);
        }
        if what.is_at_the_store() && self.away_until > self.now {
            return self.wait_for_store(what);
        }
        match what {
            SimEvent::Wake { life, at } => {
                if self.daemon.life == life && self.daemon.wake == Some(at) {
                    self.daemon.wake = None;
                    self.feed(Input::Tick);
                }
            }
            SimEvent::Feed { life, input } => {
                if self.daemon.life == life {
                    self.feed(*input);
                }
            }
            SimEvent::Answer { life, ticket, number, reply } => {
                self.answered(life, ticket, number, *reply)
            }
            SimEvent::StoreSays { life, input } => {
                if self.daemon.life == life {
                    self.feed(*input);
                }
            }
            SimEvent::StoreAway { lasts } => self.store_away(lasts),
            SimEvent::TellAway { life } => self.tell_away(life),
            SimEvent::StoreAsked { life, asked, back } => self.store_asked(life, *asked, back),
            SimEvent::Apply { life, ticket, commit } => self.apply(life, ticket, *commit),
            SimEvent::Wire { life, ticket, number, call } => self.wire(life, ticket, number, *call),
            SimEvent::Arrive { life, ticket, number, call } => {
                self.arrive(life, ticket, number, &call)
            }
            SimEvent::Crash => self.crash(None),
            SimEvent::Start => self.start(),
            SimEvent::Freeze { until } => self.freeze(until),
            SimEvent::Operator { verb } => self.operator(verb),
            SimEvent::Foreign => self.foreign(),
            SimEvent::Look { place, way } => self.look(place, way),
            SimEvent::Probe { life, ticket, id, endpoint } => {
                self.probed(life, ticket, id, &endpoint)
            }
            SimEvent::AskWire { life, ticket, call, deadline, way } => {
                self.ask_wire(life, ticket, *call, deadline, way)
            }
            SimEvent::AskArrive { life, ticket, call, way } => {
                self.ask_arrive(life, ticket, &call, way)
            }
            SimEvent::StopFile { text } => self.stop_file(text),
            SimEvent::TellStop { life } => self.tell_stop(life),
            SimEvent::LaneSwitch { order, paused } => self.lane_switch(order, paused),
            SimEvent::StopAll { order, stopped } => self.stop_all(order, stopped),
            SimEvent::Jump { seconds } => {
                self.fire("wall_jump");
                // What waits for an instant of the wall clock looks at it at least every 30 s.
                self.oracle.see(SeenFact::Disturbed { now: self.now + 10 * S });
                self.wall_offset += seconds;
            }
            SimEvent::CloudClock { ahead } => {
                self.fire("cloud_clock_step");
                self.set_cloud_clock(ahead);
            }
            SimEvent::Calm => {
                self.calm = true;
                // Somebody sets both clocks right.
                if self.wall_offset != 0 {
                    self.oracle.see(SeenFact::Disturbed { now: self.now + 10 * S });
                    self.wall_offset = 0;
                }
                self.scenario.refuse = 0.0;
                self.scenario.slow_path = 0.0;
                self.scenario.stuck_store = 0.0;
                let quiet = setting::calm(self.cloud.faults());
                self.cloud.set_faults(quiet);
            }
        }
    }
}
