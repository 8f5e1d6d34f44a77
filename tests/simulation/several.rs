//! Several daemons over one store: shipped cores, each with the shipped keeper, on boot clocks of
//! their own, killed, frozen, leaving and coming back.
//!
//! The store is one memory store and one set of keepers' rows, as one database is; each lane has a
//! cloud of its own. What is asked is asked of all daemons together: the promises of the rehearsal,
//! that one daemon at a time makes a lane's calls, and that no call of a change leaves while its PUT
//! is out, whoever sent that.
//! `SEALIFT_SEVERAL_SEED=42` shows a seed again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use sealift::clock::Times;
use sealift::domain::call::{Call, Disposition, Reply};
use sealift::domain::id::{ChangeId, Name, RolloutId};
use sealift::domain::keeper::{DaemonRun, Heartbeat, Keeper, KeeperTables};
use sealift::domain::lane::Lane;
use sealift::domain::target::Target;
use sealift::engine::{
    CheckSpec, Core, Effect, Fence, Input, Options, StoreAnswer, StoreQuery, TAKE_OVER_MAX, Ticket,
};
use sealift::rehearse::event::EventQueue;
use sealift::rehearse::invariants::Invariants;
use sealift::rehearse::observation::{Departure, Observation, RunEnd};
use sealift::rehearse::scenario::Scenario;
use sealift::simcloud::model::Model;
use sealift::store::memory::MemoryStore;
use sealift::store::{Commit, Store as _, Submission};

use crate::number;
use crate::planted::Planted;
use crate::scenario::DrawnScenario;
use crate::setting;
use crate::tally::{RunTally, planted_are_found, seeds_hold};
use crate::world::{MS, Nanos, S, start, unanswered};

/// Seeds of one test run.
const SEEDS: u64 = 60;
/// From then on nothing goes wrong any more.
const CALM_AT: Nanos = 180 * S;
/// By then the rollout must have ended.
const END_AT: Nanos = 3 * 3_600 * S;
/// Longer than a lease: a call of a daemon that stands still is out when its lane is taken over.
const CALL_TIMEOUT: Duration = Duration::from_secs(12);
/// A promise that only a daemon alone can keep: where a lane was taken over, a late job id is
/// offered to the store beside what the new keeper does.
const OF_ONE_DAEMON: &str = "a job id is saved before anything else happens to its change";

const MUST_FIRE: &[&str] = &[
    "conflict",
    "crash",
    "freeze",
    "given_up",
    "lane_gone",
    "lane_taken",
    "left",
    "lost",
    "taken",
    "taken_over",
    "without_lease",
];

/// Bugs planted where the shell joins core, keeper and store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlantedKeeper {
    Nothing,
    /// A lane is trusted from when the answer came.
    TrustedFromReply,
    /// The last check does not ask for the lease.
    NoLeaseAtWire,
    /// A core is not told that a lane is its own.
    KeptNotTold,
}

const SCOREBOARD: &[(PlantedKeeper, u64)] = &[
    (PlantedKeeper::TrustedFromReply, 30),
    (PlantedKeeper::NoLeaseAtWire, 30),
    (PlantedKeeper::KeptNotTold, 2),
];

enum SharedEvent {
    Wake { at: Nanos },
    Feed { input: Box<Input> },
    Apply { ticket: Ticket, commit: Box<Commit> },
    Beat,
    BeatAtStore { beat: Box<Heartbeat>, sent: Duration },
    BeatBack { tables: Box<KeeperTables>, sent: Duration },
    Wire { ticket: Ticket, call: Box<Call>, check: Box<WireCheck> },
    Arrive { ticket: Ticket, call: Box<Call> },
    Crash,
    Start,
    Freeze { lasts: Nanos },
    Leave,
}

/// What a call asks last.
enum WireCheck {
    OfChange(CheckSpec),
    Read(Duration),
}

struct SharedDaemon {
    name: Name,
    /// How long its machine had run at the start.
    up: Duration,
    /// The core and its keeper, while it runs.
    running: Option<(Core, Keeper)>,
    fence: Arc<Fence>,
    /// Raised at each end: what belongs to an earlier life reaches nobody.
    life: u64,
    wake: Option<Nanos>,
    frozen_until: Nanos,
}

impl SharedDaemon {
    fn boot(&self, now: Nanos) -> Duration {
        self.up + Duration::from_nanos(now)
    }
}

struct SharedWorld {
    rng: Rng,
    planted: PlantedKeeper,
    now: Nanos,
    queue: EventQueue<(usize, u64, SharedEvent)>,
    daemons: Vec<SharedDaemon>,
    lanes: Vec<Lane>,
    store: MemoryStore,
    tables: KeeperTables,
    clouds: BTreeMap<Name, Model>,
    submission: Submission,
    rollout: RolloutId,
    ordinals: BTreeMap<sealift::domain::id::ProxyId, u32>,
    /// PUTs that are out, each until it is given up; by daemon, life and ticket.
    out: BTreeMap<(usize, u64, Ticket), (ChangeId, Nanos)>,
    promises: Invariants,
    loss: f64,
    broken: Vec<String>,
    fired: BTreeMap<&'static str, u64>,
}

fn run(seed: u64, planted: PlantedKeeper) -> RunTally {
    SharedWorld::new(seed, planted).run()
}

impl SharedWorld {
    fn new(seed: u64, planted: PlantedKeeper) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5ea1_1f70_0000_0021);
        let mut scenario = DrawnScenario::small(seed);
        (scenario.proxies, scenario.instances) = (24, 18);
        scenario.waves = vec![8, 16];
        (scenario.max_in_flight, scenario.lane_in_flight) = (12, 6);
        (scenario.max_failures, scenario.wave_failures) = (24, 24);
        scenario.manual = false;
        scenario.wire = false;
        scenario.seen = false;
        scenario.gates = crate::gates::ClearanceTally::default();
        scenario.groups = crate::groups::GroupTally::default();
        scenario.quota = rng.bool().then(|| (rng.u32(4..=12), Duration::from_secs(3)));
        scenario.faults.clock.ahead = jiff::SignedDuration::ZERO;
        scenario.faults.quota = None;
        scenario.faults.slow_delay.max = CALL_TIMEOUT;
        let fleet = setting::fleet(&scenario);
        let names: Vec<Name> = (0..3).map(|n| setting::name(&format!("lane-{n}"))).collect();
        let lanes: Vec<Lane> = names
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let mut lane = setting::lane(&scenario, Planted::Nothing);
                let project = format!("05653841120{place}d4cd2f79c003c7606412");
                lane.access.project_id = project.parse().expect("a project id");
                Lane { name: name.clone(), call_timeout: CALL_TIMEOUT, ..lane }
            })
            .collect();
        let mut submission = setting::submission(&scenario, &fleet, start(), Planted::Nothing);
        let instances: BTreeSet<_> = submission.targets.iter().map(|one| one.instance_id).collect();
        let of: BTreeMap<_, _> = instances.into_iter().zip(names.iter().cycle()).collect();
        let spread = |target: Target| {
            let lane = of[&target.instance_id].clone();
            Target { lane, ..target }
        };
        submission.targets =
            submission.targets.iter().cloned().map(spread).collect::<Vec<Target>>().into();
        let clouds = names
            .iter()
            .map(|name| {
                let faults = scenario.faults.clone();
                (name.clone(), Model::new(&fleet, faults, rng.u64(..), start()))
            })
            .collect();
        let store = MemoryStore::new();
        let rollout = submission.id();
        store.submit(submission.clone()).now_or_never().expect("ready").expect("taken");
        let proxies = submission.targets.iter().map(|target| target.proxy_id);
        let ordinals = proxies.zip(0..).collect();
        let told =
            Scenario::new(submission.plan.clone(), submission.targets.clone(), &lanes, start());
        let daemons = (0..rng.usize(2..=4)).map(|place| SharedDaemon {
            name: setting::name(&format!("db-{place}")),
            up: Duration::from_secs(rng.u64(1_000..1_000_000)),
            running: None,
            fence: Arc::default(),
            life: 0,
            wake: None,
            frozen_until: 0,
        });
        let daemons: Vec<SharedDaemon> = daemons.collect();
        let loss = if rng.bool() { rng.f64() * 0.2 } else { 0.0 };
        let mut world = Self {
            planted,
            now: 0,
            queue: EventQueue::default(),
            daemons,
            lanes,
            store,
            tables: KeeperTables::default(),
            clouds,
            submission,
            rollout,
            ordinals,
            out: BTreeMap::new(),
            promises: Invariants::new(&told),
            loss,
            broken: Vec::new(),
            fired: BTreeMap::new(),
            rng,
        };
        for place in 0..world.daemons.len() {
            let at = world.rng.u64(0..10 * S);
            world.push(at, place, SharedEvent::Start);
            for _ in 0..world.rng.u32(0..4) {
                let (at, lasts) = (world.rng.u64(0..90 * S), world.rng.u64(3 * S..25 * S));
                world.push(at, place, SharedEvent::Freeze { lasts });
            }
            for _ in 0..world.rng.u32(0..3) {
                let at = world.rng.u64(0..90 * S);
                let what = if world.rng.bool() { SharedEvent::Crash } else { SharedEvent::Leave };
                world.push(at, place, what);
            }
        }
        world
    }

    fn push(&mut self, after: Nanos, place: usize, what: SharedEvent) {
        let life = self.daemons[place].life;
        self.queue.push(Duration::from_nanos(self.now + after), (place, life, what));
    }

    fn fire(&mut self, word: &'static str) {
        *self.fired.entry(word).or_default() += 1;
    }

    fn times(&self, place: usize) -> Times {
        let wall = start() + Duration::from_nanos(self.now);
        Times { wall, boot: self.daemons[place].boot(self.now) }
    }

    fn right_time(&self) -> Timestamp {
        start() + Duration::from_nanos(self.now)
    }

    fn see(&mut self, fact: &Observation<'_>) {
        let at = self.right_time();
        self.promises.see(at, fact);
    }

    fn run(mut self) -> RunTally {
        let mut calm = false;
        while let Some((at, (place, life, what))) = self.queue.pop() {
            self.now = self.now.max(u64::try_from(at.as_nanos()).expect("a short run"));
            if !calm && self.now >= CALM_AT {
                calm = true;
                for cloud in self.clouds.values_mut() {
                    let quiet = setting::calm(cloud.faults());
                    cloud.set_faults(quiet);
                }
            }
            self.happen(place, life, what);
            let rollout = self.store.rollout(self.rollout).now_or_never().expect("ready");
            let rollout = rollout.expect("memory").expect("submitted");
            self.broken.extend(
                self.promises
                    .broken()
                    .filter(|(promise, _)| *promise != OF_ONE_DAEMON)
                    .map(|(promise, how)| format!("{promise}: {}", how.how)),
            );
            let over = rollout.record.phase.is_final() && rollout.total().active == 0;
            if over && calm || !self.broken.is_empty() {
                break;
            }
            if self.now > END_AT {
                self.broken.push(format!("not over: {:?} {:?}", rollout.record, rollout.total()));
            }
        }
        self.end();
        for place in 0..self.daemons.len() {
            self.take_counters(place);
        }
        RunTally { violations: self.broken, fired: self.fired, seconds: self.now / S }
    }

    fn end(&mut self) {
        if !self.broken.is_empty() {
            return;
        }
        let now = self.right_time();
        for cloud in self.clouds.values_mut() {
            cloud.advance(now);
        }
        let rollout = self.store.rollout(self.rollout).now_or_never().expect("ready");
        let rollout = rollout.expect("memory").expect("submitted");
        let page = self.store.page(self.rollout, Vec::new(), None, usize::MAX);
        let page = page.now_or_never().expect("ready").expect("memory");
        let changes: Vec<_> = page.changes.into_iter().map(|active| active.change).collect();
        let clouds = self.clouds.iter().collect();
        let plan = &self.submission.plan;
        let end = RunEnd { plan, rollout: &rollout, changes: &changes, clouds };
        self.promises.see(now, &Observation::Ended(&end));
        let broken = self.promises.broken().filter(|(promise, _)| *promise != OF_ONE_DAEMON);
        self.broken.extend(broken.map(|(promise, how)| format!("{promise}: {}", how.how)));
    }

    fn happen(&mut self, place: usize, life: u64, what: SharedEvent) {
        let frozen = self.daemons[place].frozen_until;
        let inside = matches!(
            what,
            SharedEvent::Wake { .. }
                | SharedEvent::Feed { .. }
                | SharedEvent::Beat
                | SharedEvent::BeatBack { .. }
                | SharedEvent::Wire { .. }
        );
        let late = self.daemons[place].life != life;
        if inside && !late && frozen > self.now {
            return self.push(frozen - self.now, place, what);
        }
        match what {
            SharedEvent::Start => self.start(place),
            SharedEvent::Crash => self.crash(place),
            SharedEvent::Leave => {
                if let Some((_, keeper)) = &mut self.daemons[place].running {
                    keeper.leave();
                }
            }
            SharedEvent::Freeze { lasts } => {
                self.fire("freeze");
                self.daemons[place].frozen_until = frozen.max(self.now + lasts);
            }
            SharedEvent::Arrive { ticket, call } => self.arrive(place, life, ticket, &call),
            SharedEvent::BeatAtStore { beat, sent } => self.beat_at_store(place, life, &beat, sent),
            SharedEvent::Apply { ticket, commit } => self.apply(place, late, ticket, *commit),
            _ if late => {}
            SharedEvent::Wake { at } => {
                if self.daemons[place].wake == Some(at) {
                    self.daemons[place].wake = None;
                    self.feed(place, Input::Tick);
                }
            }
            SharedEvent::Feed { input } => {
                if let Input::Answered { ticket, reply } = &*input
                    && let Some((id, _)) = self.out.remove(&(place, life, *ticket))
                {
                    let ticket = ticket_of(place, life, *ticket);
                    self.see(&Observation::Answered { id, ticket, reply });
                }
                self.feed(place, *input);
            }
            SharedEvent::Beat => self.beat(place),
            SharedEvent::BeatBack { tables, sent } => self.beat_back(place, *tables, sent),
            SharedEvent::Wire { ticket, call, check } => self.wire(place, ticket, *call, &check),
        }
    }

    fn start(&mut self, place: usize) {
        if self.daemons[place].running.is_some() {
            return;
        }
        let options = Options { lanes: self.lanes.clone(), quota_spent: true, levels: Vec::new() };
        let core = Core::beside_others(options, self.times(place));
        let me = DaemonRun { name: self.daemons[place].name.clone(), run: self.rng.u64(..) };
        let lanes = self.lanes.iter().map(|lane| lane.name.clone()).collect();
        self.daemons[place].fence = core.fence();
        self.daemons[place].running = Some((core, Keeper::new(me, lanes)));
        self.push(0, place, SharedEvent::Beat);
        self.feed(place, Input::Tick);
    }

    fn crash(&mut self, place: usize) {
        if self.daemons[place].running.is_some() {
            self.fire("crash");
            self.stop(place);
            let rest = self.rng.u64(0..30 * S);
            self.push(rest, place, SharedEvent::Start);
        }
    }

    fn stop(&mut self, place: usize) {
        self.take_counters(place);
        let daemon = &mut self.daemons[place];
        (daemon.running, daemon.wake) = (None, None);
        daemon.life += 1;
        self.out.retain(|(of, ..), _| *of != place);
    }

    fn take_counters(&mut self, place: usize) {
        if let Some((core, _)) = &self.daemons[place].running {
            for (word, count) in core.counters() {
                *self.fired.entry(word).or_default() += count;
            }
        }
    }

    fn feed(&mut self, place: usize, input: Input) {
        let times = self.times(place);
        let Some((core, _)) = &mut self.daemons[place].running else { return };
        let mut effects = Vec::new();
        core.step(times, input, &mut effects);
        let wake = core.next_wake().map(|wake| wake.saturating_sub(times.boot));
        for effect in effects {
            self.perform(place, effect);
        }
        if let Some(wake) = wake {
            let after = u64::try_from(wake.as_nanos()).expect("a short run");
            let at = self.now + after;
            if self.daemons[place].wake.is_none_or(|was| at < was) {
                self.daemons[place].wake = Some(at);
                self.push(after, place, SharedEvent::Wake { at });
            }
        }
    }

    fn perform(&mut self, place: usize, effect: Effect) {
        let store = &self.store;
        match effect {
            Effect::Scan { until, after } => {
                let open = store.open_rollouts().now_or_never().expect("ready").expect("memory");
                let due = store.due(until, after, TAKE_OVER_MAX);
                let due = due.now_or_never().expect("ready").expect("memory");
                self.tell(0, place, Input::Scanned { open, due });
            }
            Effect::Read { ticket, query } => {
                let found = Box::new(self.read(query));
                let wait = self.rng.u64(0..20 * MS);
                self.tell(wait, place, Input::Read { ticket, found });
            }
            Effect::Commit { ticket, commit } => {
                let long = if self.rng.f64() < 0.05 { 3 * S } else { 20 * MS };
                let wait = self.rng.u64(0..long);
                self.push(wait, place, SharedEvent::Apply { ticket, commit });
            }
            Effect::Call { ticket, call, check } => {
                let long = if self.rng.f64() < 0.1 { 6 * S } else { 20 * MS };
                let (wait, call) = (self.rng.u64(0..long), Box::new(call));
                let check = Box::new(WireCheck::OfChange(check));
                self.push(wait, place, SharedEvent::Wire { ticket, call, check });
            }
            Effect::Ask { ticket, call, deadline } => {
                let (wait, call) = (self.rng.u64(0..20 * MS), Box::new(call));
                let check = Box::new(WireCheck::Read(deadline));
                self.push(wait, place, SharedEvent::Wire { ticket, call, check });
            }
            Effect::Probe { .. } | Effect::Told { .. } | Effect::Reply { .. } => {}
            Effect::Fail(why) => self.broken.push(format!("a core gave up: {why}")),
        }
    }

    fn tell(&mut self, after: Nanos, place: usize, input: Input) {
        self.push(after, place, SharedEvent::Feed { input: Box::new(input) });
    }

    fn read(&self, query: StoreQuery) -> StoreAnswer {
        let store = &self.store;
        match query {
            StoreQuery::Rollout(id) => StoreAnswer::Rollout(
                store.rollout(id).now_or_never().expect("ready").expect("memory").map(Box::new),
            ),
            StoreQuery::Candidates { rollout, wave, limit } => {
                let found = store.candidates(rollout, wave, limit).now_or_never();
                StoreAnswer::Candidates(found.expect("ready").expect("memory"))
            }
            StoreQuery::Stored { rollout, words, places, limit } => {
                let found = store.stored(rollout, words, places, limit).now_or_never();
                StoreAnswer::Stored(found.expect("ready").expect("memory"))
            }
            StoreQuery::Change(id) => {
                let change = store.change(id).now_or_never().expect("ready").expect("memory");
                let rollout = store.rollout(id.rollout).now_or_never().expect("ready");
                let found = change.zip(rollout.expect("memory"));
                StoreAnswer::Change(found.map(Box::new))
            }
            StoreQuery::KnownJobs(instance) => StoreAnswer::KnownJobs(
                store.known_jobs(&instance).now_or_never().expect("ready").expect("memory"),
            ),
        }
    }

    /// A commit on its way lands also when its daemon has died meanwhile, as often as not.
    fn apply(&mut self, place: usize, late: bool, ticket: Ticket, commit: Commit) {
        if late && self.rng.bool() {
            return;
        }
        let result = self.store.commit(commit.clone()).now_or_never().expect("ready");
        if result.is_ok() {
            let rollout = self.store.rollout(commit.rollout).now_or_never().expect("ready");
            let rollout = rollout.expect("memory").expect("submitted");
            self.see(&Observation::Committed { commit: &commit, rollout: &rollout });
        }
        if !late {
            let wait = self.rng.u64(0..20 * MS);
            self.tell(wait, place, Input::Committed { ticket, result });
        }
    }

    fn way(&mut self) -> Option<Nanos> {
        let lost = self.now < CALM_AT && self.rng.f64() < self.loss;
        if lost {
            self.fire("lost");
        }
        let long = if self.loss > 0.0 && self.now < CALM_AT { 2 * S } else { 20 * MS };
        (!lost).then(|| self.rng.u64(0..long))
    }

    fn beat(&mut self, place: usize) {
        let boot = self.daemons[place].boot(self.now);
        let Some((core, keeper)) = &mut self.daemons[place].running else { return };
        let beat = Box::new(keeper.next_beat(boot, &core.lanes_back()));
        let left = keeper.has_left();
        self.tell_kept(place);
        if left {
            self.fire("left");
            self.stop(place);
            let rest = self.rng.u64(0..30 * S);
            return self.push(rest, place, SharedEvent::Start);
        }
        if let Some(way) = self.way() {
            self.push(way, place, SharedEvent::BeatAtStore { beat, sent: boot });
        }
        self.push(S, place, SharedEvent::Beat);
    }

    fn beat_at_store(&mut self, place: usize, life: u64, beat: &Heartbeat, sent: Duration) {
        let before = self.tables.clone();
        self.tables.apply(beat);
        for (lane, row) in self.tables.lanes.clone() {
            let was = before.lanes.get(&lane).and_then(|was| was.keeper.clone());
            match (was, row.keeper) {
                (None, Some(_)) => self.fire("taken"),
                (Some(_), None) => self.fire("given_up"),
                (Some(was), Some(is)) if was != is => self.fire("inherited"),
                _ => {}
            }
        }
        let tables = Box::new(self.tables.clone());
        if self.daemons[place].life == life
            && let Some(way) = self.way()
        {
            self.push(way, place, SharedEvent::BeatBack { tables, sent });
        }
    }

    fn beat_back(&mut self, place: usize, tables: KeeperTables, sent: Duration) {
        let boot = self.daemons[place].boot(self.now);
        let sent = if self.planted == PlantedKeeper::TrustedFromReply { boot } else { sent };
        let Some((_, keeper)) = &mut self.daemons[place].running else { return };
        keeper.answered(sent, boot, tables);
        self.tell_kept(place);
    }

    fn tell_kept(&mut self, place: usize) {
        if self.planted == PlantedKeeper::KeptNotTold {
            return;
        }
        let boot = self.daemons[place].boot(self.now);
        let Some((_, keeper)) = &self.daemons[place].running else { return };
        let (lanes, fellows) = (keeper.kept().clone(), keeper.fellows(boot));
        self.feed(place, Input::Kept { lanes, fellows });
    }

    fn wire(&mut self, place: usize, ticket: Ticket, call: Call, check: &WireCheck) {
        let times = self.times(place);
        let fence = &self.daemons[place].fence;
        let checked = match check {
            WireCheck::OfChange(spec) => fence.check(spec, times),
            WireCheck::Read(deadline) => fence.check_read(call.lane(), *deadline, times),
        };
        if let Err(withheld) = checked {
            let of_lease = withheld.0.contains("another daemon");
            if of_lease {
                self.fire("without_lease");
            }
            if !of_lease || self.planted != PlantedKeeper::NoLeaseAtWire {
                let reply = unanswered(Disposition::Withheld, false, &withheld.0);
                return self.tell(0, place, Input::Answered { ticket, reply });
            }
        }
        self.leaves(place, ticket, &call, times);
        let no_answer = unanswered(Disposition::Unknown, true, "no answer in time");
        self.tell(
            CALL_TIMEOUT.as_nanos() as Nanos,
            place,
            Input::Answered { ticket, reply: no_answer },
        );
        let way = self.rng.u64(MS..50 * MS);
        self.push(way, place, SharedEvent::Arrive { ticket, call: Box::new(call) });
    }

    fn leaves(&mut self, place: usize, ticket: Ticket, call: &Call, times: Times) {
        let id = call.target().map(|target| ChangeId {
            rollout: self.rollout,
            ordinal: self.ordinals[&target.proxy_id],
        });
        let life = self.daemons[place].life;
        let keeper = self.tables.lanes.get(call.lane()).and_then(|row| row.keeper.clone());
        let name = self.daemons[place].name.clone();
        if keeper.as_ref().is_none_or(|keeper| keeper.name != name) {
            self.broken.push(format!(
                "{} leaves {name} over {}, which {keeper:?} keeps",
                call.as_str(),
                call.lane()
            ));
        }
        let kept = self.daemons[place].running.as_ref().map(|(_, keeper)| keeper.kept());
        let until = kept.and_then(|kept| kept.get(call.lane())).map(|kept| kept.until);
        if until.is_none_or(|until| until <= times.boot) {
            self.broken.push(format!("{} leaves {name} without a lease", call.as_str()));
        }
        if let Some(id) = id {
            let until = self.now + CALL_TIMEOUT.as_nanos() as Nanos;
            let now = self.now;
            if self.out.values().any(|(of, until)| *of == id && now < *until) {
                self.broken.push(format!("a call of {id} leaves while its PUT is out"));
            }
            if call.is_write() {
                self.out.insert((place, life, ticket), (id, until));
            }
        }
        let stored = id.filter(|_| call.is_write()).map(|id| {
            let change = self.store.change(id).now_or_never().expect("ready").expect("memory");
            let rollout = self.store.rollout(id.rollout).now_or_never().expect("ready");
            (change.expect("there").change, rollout.expect("memory").expect("submitted"))
        });
        let stored = stored.as_ref().map(|(change, rollout)| (change, rollout));
        let ticket = ticket_of(place, life, ticket);
        let at = self.right_time();
        let departure = Departure { ticket, id, call, at, times, stored };
        self.promises.see(at, &Observation::Leaves(&departure));
    }

    fn arrive(&mut self, place: usize, life: u64, ticket: Ticket, call: &Call) {
        let now = self.right_time();
        let id = call.target().map(|target| ChangeId {
            rollout: self.rollout,
            ordinal: self.ordinals[&target.proxy_id],
        });
        self.see(&Observation::Arrives { id, call, at: now });
        let cloud = self.clouds.get_mut(call.lane()).expect("a lane has a cloud");
        cloud.advance(now);
        let arrival = cloud.arrive(now, call);
        let reply: Reply = arrival.reply;
        let back = self.rng.u64(MS..50 * MS)
            + u64::try_from(arrival.answer_after.as_nanos()).expect("short");
        if self.daemons[place].life == life {
            self.tell(back, place, Input::Answered { ticket, reply });
        }
    }
}

/// Unique over all daemons and their lives.
fn ticket_of(place: usize, life: u64, ticket: Ticket) -> Ticket {
    ((place as Ticket) << 56) | (life << 40) | ticket
}

#[test]
fn several_daemons_share_a_store() {
    if let Ok(seed) = std::env::var("SEALIFT_SEVERAL_SEED") {
        let tally = run(seed.parse().expect("a number"), PlantedKeeper::Nothing);
        println!("{:#?}", tally.fired);
        assert!(tally.violations.is_empty(), "{:?}", tally.violations);
        return;
    }
    let seeds = number("SEALIFT_SEEDS", SEEDS).min(SEEDS * 20);
    let base = number("SEALIFT_SEED_BASE", 0);
    seeds_hold(base..base + seeds, "SEALIFT_SEVERAL_SEED", SEEDS, MUST_FIRE, &|seed| {
        run(seed, PlantedKeeper::Nothing)
    });
}

#[test]
fn planted_bugs_of_several_daemons_are_found() {
    planted_are_found(SCOREBOARD, &run);
}
