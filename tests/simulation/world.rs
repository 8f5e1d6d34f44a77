//! The world around the shipped core: virtual time, a network, the simulated cloud, the memory store, crashes.
//!
//! Everything that happens is an event in one queue, ordered by time and then by number, so one seed is one history.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::clock::Times;
use sealift::cloud::fleet::Fleet;
use sealift::cloud::model::Model;
use sealift::domain::call::{Answer, Call, CallError, Disposition, Reply};
use sealift::domain::id::{ChangeId, RolloutId};
use sealift::domain::rollout::{Requeue, Verb};
use sealift::engine::{Board, CheckSpec, Command, Core, Effect, Found, Input, Options, Query, Ticket};
use sealift::store::memory::MemoryStore;
use sealift::store::{Commit, CommitError, Durability, Store, Submission};

use crate::oracle::{Oracle, Seen};
use crate::planted::Planted;
use crate::scenario::{CALL_TIMEOUT, LANDING_BOUND, Scenario};
use crate::setting;

/// More events than any honest run needs: beyond it something spins.
const EVENTS_MAX: u64 = 400_000;
/// After the calm a run must end within this virtual time.
const END_WITHIN: u64 = 6 * 3600;

pub type Nanos = u64;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// How a crash treats the commit that it interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    Lost,
    Landed,
}

enum What {
    Wake { daemon: usize, life: u32, at: Nanos },
    Feed { daemon: usize, life: u32, input: Input },
    Apply { daemon: usize, life: u32, ticket: Ticket, commit: Box<Commit> },
    Wire { daemon: usize, life: u32, ticket: Ticket, call: Call, check: CheckSpec },
    Arrive { daemon: usize, life: u32, ticket: Ticket, call: Call },
    Crash { daemon: usize },
    Start { daemon: usize },
    Operator { verb: Verb },
    StopFile { text: Option<String> },
    Jump { seconds: i64 },
    Calm,
}

struct Event {
    at: Nanos,
    number: u64,
    what: What,
}
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

struct Daemon {
    core: Option<Core>,
    board: Arc<Board>,
    life: u32,
    wake: Option<Nanos>,
}

/// One run.
pub struct World {
    pub scenario: Scenario,
    planted: Planted,
    rng: Rng,
    now: Nanos,
    wall_offset: i64,
    number: u64,
    queue: BinaryHeap<Reverse<Event>>,
    daemons: Vec<Daemon>,
    pub store: MemoryStore,
    submission: Submission,
    pub rollout: RolloutId,
    /// Every commit applied since the submission, and how many of them are synced.
    log: Vec<Commit>,
    synced: usize,
    pub cloud: Model,
    pub oracle: Oracle,
    verbs_out: BTreeMap<u64, Verb>,
    next_reply: u64,
    commits: u64,
    kill_at: Option<(u64, Kill)>,
    calm: bool,
    /// When a person may look in again after the calm.
    person_at: Nanos,
    stop: Option<String>,
    /// How often each thing happened, by its word.
    pub fired: BTreeMap<&'static str, u64>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub journal: String,
    pub violations: Vec<String>,
    pub fired: BTreeMap<&'static str, u64>,
    pub commits: u64,
    pub virtual_seconds: u64,
    pub calls: u64,
}

const START: &str = "2026-11-24T00:00:00Z";

pub fn run(scenario: Scenario, planted: Planted, kill_at: Option<(u64, Kill)>) -> Outcome {
    World::new(scenario, planted, kill_at).run()
}

impl World {
    fn new(scenario: Scenario, planted: Planted, kill_at: Option<(u64, Kill)>) -> Self {
        let start: Timestamp = START.parse().expect("a valid instant");
        let fleet = Fleet::generate(scenario.proxies, scenario.instances, scenario.seed).expect("a valid fleet");
        let submission = setting::submission(&scenario, &fleet, start);
        let store = MemoryStore::new();
        let rollout = submission.id();
        store.submit(submission.clone()).now_or_never().expect("ready").expect("the first submission is taken");
        let cloud = Model::new(&fleet, scenario.faults.clone(), scenario.seed, start);
        let oracle = Oracle::new(&scenario, &submission, rollout);
        let mut world = Self {
            rng: Rng::with_seed(scenario.seed),
            now: S,
            wall_offset: 0,
            number: 0,
            queue: BinaryHeap::new(),
            daemons: Vec::new(),
            store,
            submission,
            rollout,
            log: Vec::new(),
            synced: 0,
            cloud,
            oracle,
            verbs_out: BTreeMap::new(),
            next_reply: 1,
            commits: 0,
            kill_at,
            calm: false,
            person_at: 0,
            stop: None,
            fired: BTreeMap::new(),
            scenario,
            planted,
        };
        for daemon in 0..world.scenario.daemons {
            let board = Arc::new(Board::default());
            world.daemons.push(Daemon { core: None, board, life: 0, wake: None });
            world.push(daemon as u64 * 10 * MS, What::Start { daemon });
        }
        world.draw_events();
        world
    }

    fn draw_events(&mut self) {
        let calm_at = self.scenario.calm_at;
        for daemon in 0..self.scenario.daemons {
            let mut at = 0;
            while self.scenario.crash_every > 0 {
                at += self.rng.u64(1..=u64::from(self.scenario.crash_every) * 2 * S);
                if at > calm_at * S {
                    break;
                }
                self.push(at, What::Crash { daemon });
            }
        }
        for _ in 0..self.scenario.verbs {
            let at = self.rng.u64(0..calm_at * S);
            let verb = match self.rng.u8(0..12) {
                0..4 => Verb::Pause,
                4..8 => Verb::Resume,
                8 => Verb::Abort,
                9 => Verb::Promote,
                10 => Verb::Retry(Requeue::Failed),
                _ => Verb::Retry(Requeue::FailedAndInDoubt),
            };
            self.push(at, What::Operator { verb });
        }
        if self.scenario.stop_file {
            let at = self.rng.u64(0..calm_at * S);
            self.push(at, What::StopFile { text: Some("drill".into()) });
            let back = self.rng.u64(at..calm_at * S + 1);
            self.push(back, What::StopFile { text: None });
        }
        if self.scenario.wall_jumps {
            let at = self.rng.u64(0..calm_at * S);
            let seconds = self.rng.i64(-4000..4000);
            self.push(at, What::Jump { seconds });
        }
        self.push(calm_at * S, What::Calm);
    }

    fn push(&mut self, after: Nanos, what: What) {
        self.number += 1;
        self.queue.push(Reverse(Event { at: self.now + after, number: self.number, what }));
    }

    pub fn times(&self) -> Times {
        let start: Timestamp = START.parse().expect("a valid instant");
        let wall = start.checked_add(Duration::from_nanos(self.now)).expect("a short run");
        let wall = wall.checked_add(jiff::SignedDuration::from_secs(self.wall_offset)).expect("a small jump");
        let boot = Duration::from_nanos(self.now);
        let boot = match self.planted {
            Planted::LimiterOnWallClock if self.wall_offset < 0 => {
                boot.saturating_sub(Duration::from_secs(self.wall_offset.unsigned_abs()))
            }
            Planted::LimiterOnWallClock => boot + Duration::from_secs(self.wall_offset.unsigned_abs()),
            _ => boot,
        };
        Times { wall, boot }
    }

    /// The cloud's clock does not jump with ours.
    fn cloud_now(&self) -> Timestamp {
        let start: Timestamp = START.parse().expect("a valid instant");
        start.checked_add(Duration::from_nanos(self.now)).expect("a short run")
    }

    fn fire(&mut self, word: &'static str) {
        *self.fired.entry(word).or_insert(0) += 1;
    }

    fn run(mut self) -> Outcome {
        let mut events = 0;
        let mut end = None;
        while let Some(Reverse(event)) = self.queue.pop() {
            events += 1;
            self.now = self.now.max(event.at);
            if events > EVENTS_MAX {
                let story = self.unfinished();
                self.oracle.violate(&format!("the run spins at {} s: {story}", self.now / S));
                break;
            }
            self.happen(event.what);
            if !self.oracle.violations.is_empty() {
                break;
            }
            if self.calm && self.is_over() {
                end = Some(self.now);
                break;
            }
            if self.now > self.scenario.calm_at * S + END_WITHIN * S {
                break;
            }
        }
        if end.is_none() && self.oracle.violations.is_empty() {
            let story = self.unfinished();
            self.oracle.violate(&format!("no end within {END_WITHIN} s after the calm: {story}"));
        }
        self.finish()
    }

    fn finish(mut self) -> Outcome {
        for (word, count) in self.cloud.fired() {
            *self.fired.entry(word).or_insert(0) += count;
        }
        let entries = self.store.journal(None, 0, usize::MAX).now_or_never().expect("ready").expect("memory");
        self.oracle.end(&self.store, &mut self.cloud, &entries);
        let journal = entries.iter().map(|entry| serde_json::to_string(entry).expect("an entry is JSON")).collect::<Vec<_>>().join("\n");
        for daemon in &self.daemons {
            if let Some(core) = &daemon.core {
                for (word, count) in core.counters() {
                    *self.fired.entry(word).or_insert(0) += count;
                }
            }
        }
        Outcome {
            journal,
            violations: self.oracle.violations,
            fired: self.fired,
            commits: self.commits,
            virtual_seconds: self.now / S,
            calls: self.oracle.calls,
        }
    }

    fn is_over(&mut self) -> bool {
        let rollout = self.store.rollout(self.rollout).now_or_never().expect("ready").expect("memory").expect("submitted");
        let idle = rollout.total().active == 0;
        if rollout.record.phase.is_final() {
            return idle && rollout.total().queued == 0;
        }
        // Nobody but a person moves it: send one.
        if idle && self.verbs_out.is_empty() && self.now >= self.person_at {
            self.person_at = self.now + 5 * S;
            let verb = match (&rollout.record.paused, rollout.record.phase.word()) {
                (Some(_), _) => Verb::Resume,
                (None, "awaiting") => Verb::Promote,
                (None, "halted") if self.rng.bool() => Verb::Retry(Requeue::FailedAndInDoubt),
                (None, "halted") => Verb::Abort,
                (None, _) => return false,
            };
            self.push(MS, What::Operator { verb });
        }
        false
    }

    fn unfinished(&self) -> String {
        let rollout = self.store.rollout(self.rollout).now_or_never().expect("ready").expect("memory").expect("submitted");
        let due = self.store.due(Timestamp::MAX, 100).now_or_never().expect("ready").expect("memory");
        let states: Vec<_> = due.iter().map(|active| format!("{} {:?}", active.change.id, active.change.record.state)).collect();
        format!("{:?} {:?} {states:?}", rollout.record, rollout.total())
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Wake { daemon, life, at } => {
                if self.daemons[daemon].life == life && self.daemons[daemon].wake == Some(at) {
                    self.daemons[daemon].wake = None;
                    self.feed(daemon, Input::Tick);
                }
            }
            What::Feed { daemon, life, input } => {
                if self.daemons[daemon].life == life {
                    self.feed(daemon, input);
                }
            }
            What::Apply { daemon, life, ticket, commit } => self.apply(daemon, life, ticket, *commit),
            What::Wire { daemon, life, ticket, call, check } => self.wire(daemon, life, ticket, call, check),
            What::Arrive { daemon, life, ticket, call } => self.arrive(daemon, life, ticket, &call),
            What::Crash { daemon } => self.crash(daemon, None),
            What::Start { daemon } => self.start(daemon),
            What::Operator { verb } => self.operator(verb),
            What::StopFile { text } => {
                self.stop.clone_from(&text);
                self.oracle.see(Seen::StopFile { stands: text.is_some() });
                for daemon in 0..self.daemons.len() {
                    self.feed(daemon, Input::StopFile(text.clone()));
                }
            }
            What::Jump { seconds } => {
                self.fire("wall_jump");
                self.wall_offset += seconds;
            }
            What::Calm => {
                self.calm = true;
                self.scenario.refuse = 0.0;
                self.scenario.slow_path = 0.0;
                let quiet = setting::calm(&self.scenario.faults);
                self.cloud.set_faults(quiet);
            }
        }
    }

    fn start(&mut self, daemon: usize) {
        if self.daemons[daemon].core.is_some() {
            return;
        }
        let first = self.daemons[daemon].life == 0;
        let options = Options {
            lanes: vec![setting::lane(&self.scenario, self.planted)],
            exclusive: self.scenario.daemons == 1,
            quota_spent: !first && self.planted != Planted::FullPermitsAfterRestart,
        };
        let core = Core::new(options, self.times());
        self.daemons[daemon].board = core.board();
        self.daemons[daemon].core = Some(core);
        self.feed(daemon, Input::StopFile(self.stop.clone()));
        self.feed(daemon, Input::Tick);
    }

    fn crash(&mut self, daemon: usize, landed: Option<Commit>) {
        if self.daemons[daemon].core.is_none() {
            return;
        }
        self.fire("crash");
        let state = &mut self.daemons[daemon];
        if let Some(core) = state.core.take() {
            for (word, count) in core.counters() {
                *self.fired.entry(word).or_insert(0) += count;
            }
        }
        let state = &mut self.daemons[daemon];
        state.life += 1;
        state.wake = None;
        self.verbs_out.clear();
        // A commit that landed stands behind all earlier ones in the journal; without one, what was not synced may be gone,
        // from some point on.
        if self.scenario.daemons == 1 && landed.is_none() {
            let least = if self.planted == Planted::SyncedIsNotSynced { 0 } else { self.synced };
            let kept = self.rng.usize(least..=self.log.len());
            if kept < self.log.len() {
                self.fire("unsynced_lost");
                self.log.truncate(kept);
                self.rebuild();
            }
        }
        if let Some(commit) = landed {
            self.fire("landed_unseen");
            // It may be refused, as it may be for a live daemon.
            let _ = self.commit_now(commit);
        }
        self.synced = self.log.len();
        let rest = self.rng.u64(0..20 * S);
        self.push(rest, What::Start { daemon });
    }

    fn rebuild(&mut self) {
        let store = MemoryStore::new();
        store.submit(self.submission.clone()).now_or_never().expect("ready").expect("taken before");
        for commit in &self.log {
            store.commit(commit.clone()).now_or_never().expect("ready").expect("applied before");
        }
        self.store = store;
        self.oracle.see(Seen::Rebuilt);
    }

    fn commit_now(&mut self, mut commit: Commit) -> Result<(), CommitError> {
        if self.planted == Planted::CommitWithoutCompare {
            self.pretend_current(&mut commit);
        }
        let result = self.store.commit(commit.clone()).now_or_never().expect("ready");
        if result.is_ok() {
            self.oracle.committed(&commit, &self.store);
            self.log.push(commit);
        }
        result
    }

    /// What a store that compares nothing would do: every commit names the versions that stand there now.
    fn pretend_current(&self, commit: &mut Commit) {
        let rollout = self.store.rollout(commit.rollout).now_or_never().expect("ready").expect("memory").expect("submitted");
        commit.version = rollout.record.version;
        commit.releases = commit.releases.map(|_| rollout.record.releases);
        for change in &mut commit.changes {
            let id = ChangeId { rollout: commit.rollout, ordinal: change.ordinal };
            let stored = self.store.change(id).now_or_never().expect("ready").expect("memory").expect("a change of the rollout");
            change.version = stored.change.record.version;
            change.record.version = stored.change.record.version + 1;
        }
    }

    fn apply(&mut self, daemon: usize, life: u32, ticket: Ticket, commit: Commit) {
        let alive = self.daemons[daemon].life == life;
        if !alive {
            // It was on its way when its daemon died: lost, or landed unseen (only a shared store outlives the daemon).
            if self.scenario.daemons > 1 && self.rng.bool() {
                self.fire("landed_unseen");
                let _ = self.commit_now(commit);
            } else {
                self.fire("write_lost");
            }
            return;
        }
        self.commits += 1;
        if let Some((at, kill)) = self.kill_at
            && self.commits == at
        {
            self.fire("killed_at_boundary");
            return self.crash(daemon, (kill == Kill::Landed).then_some(commit));
        }
        let durability = commit.durability;
        let result = self.commit_now(commit);
        if matches!(result, Err(CommitError::Conflict)) {
            self.fire("store_conflict");
        }
        let wait = self.rng.u64(0..3 * MS);
        if self.scenario.daemons > 1 {
            self.synced = self.log.len();
        } else if durability == Durability::Synced {
            // All that stands before it in the journal is synced with it.
            self.synced = self.log.len();
        }
        self.push(wait, What::Feed { daemon, life, input: Input::Committed { ticket, result } });
    }

    fn operator(&mut self, verb: Verb) {
        let alive: Vec<usize> = (0..self.daemons.len()).filter(|daemon| self.daemons[*daemon].core.is_some()).collect();
        if alive.is_empty() {
            return;
        }
        let daemon = alive[self.rng.usize(0..alive.len())];
        let id = self.next_reply;
        self.next_reply += 1;
        self.fire("verb");
        self.verbs_out.insert(id, verb.clone());
        let command = Command { rollout: self.rollout, verb: verb.clone(), by: "operator".into(), reason: "drill".into() };
        if self.planted == Planted::VerbAcknowledgedBeforeSaved {
            self.oracle.see(Seen::Acknowledged { verb });
        }
        self.feed(daemon, Input::Command { id, command });
    }

    fn feed(&mut self, daemon: usize, input: Input) {
        let times = self.times();
        let Some(core) = self.daemons[daemon].core.as_mut() else { return };
        if let Input::Answered { reply: Reply { outcome: Ok(Answer::Accepted(Some(job))), .. }, .. } = &input {
            self.oracle.see(Seen::JobRead { job: job.clone() });
        }
        let mut effects = Vec::new();
        core.step(times, input, &mut effects);
        let ahead = core.next_wake().map(|wake| wake.saturating_sub(times.boot));
        let wake = ahead.map(|ahead| self.now + u64::try_from(ahead.as_nanos()).expect("a short run"));
        for effect in effects {
            self.perform(daemon, effect);
        }
        let state = &mut self.daemons[daemon];
        if let Some(wake) = wake
            && state.core.is_some()
            && state.wake.is_none_or(|was| wake < was)
        {
            state.wake = Some(wake);
            let life = state.life;
            let after = wake - self.now;
            self.push(after, What::Wake { daemon, life, at: wake });
        }
    }

    fn perform(&mut self, daemon: usize, effect: Effect) {
        let life = self.daemons[daemon].life;
        match effect {
            Effect::Scan { until } => {
                let open = self.store.open_rollouts().now_or_never().expect("ready").expect("memory");
                let until = if self.planted == Planted::TakesOverTooEarly { Timestamp::MAX } else { until };
                let due = self.store.due(until, 4096).now_or_never().expect("ready").expect("memory");
                self.push(0, What::Feed { daemon, life, input: Input::Scanned { open, due } });
            }
            Effect::Read { ticket, query } => {
                let found = Box::new(self.read(query));
                self.push(0, What::Feed { daemon, life, input: Input::Read { ticket, found } });
            }
            Effect::Commit { ticket, commit } => {
                let mut wait = self.rng.u64(0..3 * MS);
                if self.planted == Planted::JobIdUsedBeforeSaved
                    && commit.changes.iter().any(|change| change.record.state.word() == "following")
                {
                    // The core is told that the job id is saved long before it is.
                    self.push(0, What::Feed { daemon, life, input: Input::Committed { ticket, result: Ok(()) } });
                    wait += 3 * S;
                }
                if self.rng.f64() < self.scenario.slow_path {
                    wait += self.rng.u64(0..500 * MS);
                }
                self.push(wait, What::Apply { daemon, life, ticket, commit });
            }
            Effect::Touch { ticket, id, version, was, due } => {
                let held = self.store.touch(id, version, was, due).now_or_never().expect("ready").expect("memory");
                self.push(0, What::Feed { daemon, life, input: Input::Touched { ticket, held } });
            }
            Effect::Call { ticket, call, check } => {
                let mut wait = self.rng.u64(0..20 * MS);
                if self.rng.f64() < self.scenario.slow_path {
                    wait = self.rng.u64(0..20 * S);
                    self.fire("slow_to_wire");
                }
                self.push(wait, What::Wire { daemon, life, ticket, call, check });
            }
            Effect::Reply { id, result } => {
                let Some(verb) = self.verbs_out.remove(&id) else { return };
                match result {
                    Ok(_) => {
                        self.fire("verb_acknowledged");
                        self.oracle.see(Seen::Acknowledged { verb });
                    }
                    Err(_) => self.fire("verb_refused"),
                }
            }
            Effect::Fail(why) => self.oracle.violate(&format!("the core gave up: {why}")),
        }
    }

    fn read(&mut self, query: Query) -> Found {
        let store = &self.store;
        match query {
            Query::Rollout(id) => {
                let mut rollout = store.rollout(id).now_or_never().expect("ready").expect("memory");
                if self.planted == Planted::FailuresForgottenAtRestart
                    && self.daemons.iter().any(|daemon| daemon.life > 0)
                    && let Some(rollout) = &mut rollout
                {
                    rollout.tallies = rollout.tallies.iter().map(|tally| setting::forget_failures(*tally)).collect();
                }
                Found::Rollout(rollout)
            }
            Query::Candidates { rollout, wave, limit } => {
                Found::Candidates(store.candidates(rollout, wave, limit).now_or_never().expect("ready").expect("memory"))
            }
            Query::Stored { rollout, words, limit } => {
                Found::Stored(store.settled(rollout, words, limit).now_or_never().expect("ready").expect("memory"))
            }
            Query::Change(id) => {
                let change = store.change(id).now_or_never().expect("ready").expect("memory");
                let rollout = store.rollout(id.rollout).now_or_never().expect("ready").expect("memory");
                Found::Change(change.zip(rollout).map(Box::new))
            }
            Query::KnownJobs(instance) => Found::KnownJobs(store.known_jobs(&instance).now_or_never().expect("ready").expect("memory")),
        }
    }

    fn wire(&mut self, daemon: usize, life: u32, ticket: Ticket, call: Call, check: CheckSpec) {
        if self.daemons[daemon].life != life {
            return;
        }
        let times = self.times();
        let answer = |world: &mut Self, wait: Nanos, reply: Reply| {
            world.push(wait, What::Feed { daemon, life, input: Input::Answered { ticket, reply } })
        };
        if self.rng.f64() < self.scenario.refuse {
            self.fire("connection_refused");
            return answer(self, 0, unanswered(Disposition::NotDone, false, "connection refused"));
        }
        let checked = self.daemons[daemon].board.check(&check, times);
        if let Err(withheld) = checked
            && self.planted != Planted::NoLastCheck
        {
            self.fire(if call.is_write() { "withheld_write" } else { "withheld_read" });
            return answer(self, 0, unanswered(Disposition::Withheld, false, &withheld.0));
        }
        let id = ChangeId { rollout: check.rollout, ordinal: self.oracle.ordinal_of(call.target()) };
        self.oracle.wire(&call, id, times, &self.store, self.now);
        let mut way = self.rng.u64(MS..50 * MS);
        if self.rng.f64() < self.scenario.slow_path {
            way = self.rng.u64(0..LANDING_BOUND.as_nanos() as u64);
            self.fire("slow_way");
        }
        let timeout = CALL_TIMEOUT.as_nanos() as u64;
        answer(self, timeout, unanswered(Disposition::Unknown, true, "no answer in time"));
        self.push(way, What::Arrive { daemon, life, ticket, call });
    }

    fn arrive(&mut self, daemon: usize, life: u32, ticket: Ticket, call: &Call) {
        let now = self.cloud_now();
        self.oracle.before_arrival(call, &mut self.cloud, now);
        let arrival = self.cloud.arrive(now, call);
        self.oracle.arrived(self.now);
        let reply = self.mangle(arrival.reply);
        let back = self.rng.u64(MS..50 * MS) + u64::try_from(arrival.answer_after.as_nanos()).expect("short");
        self.push(back, What::Feed { daemon, life, input: Input::Answered { ticket, reply } });
    }

    /// What a planted bug makes of a reply.
    fn mangle(&self, mut reply: Reply) -> Reply {
        match (self.planted, &mut reply.outcome) {
            (Planted::RetryWithoutAsking, Err(error)) if error.disposition == Disposition::Unknown => {
                error.disposition = Disposition::NotDone;
                error.status = Some(500);
            }
            (Planted::PermitFreedTooEarly, _) => reply.sent = false,
            _ => {}
        }
        reply
    }
}

fn unanswered(disposition: Disposition, sent: bool, message: &str) -> Reply {
    let error = CallError { disposition, retry_after: None, status: None, code: None, message: message.to_owned() };
    Reply { outcome: Err(error), request_id: None, sent }
}
