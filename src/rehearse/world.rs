//! The run: the shipped core over the store in memory and the simulated clouds, one event after the
//! other.
//!
//! Invariants: virtual time goes from event to event and never back; whatever the core asks for is
//! answered exactly once; a fact is shown to every invariant in the order in which it happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::assumed::{COMMIT_TIME, RESTART_TIME, WAY};
use super::clouds::Clouds;
use super::event::{EventQueue, WorldEvent};
use super::invariants::{CheckedInvariant, Invariants};
use super::observation::{Departure, Observation, RunEnd};
use super::scenario::{Scenario, SceneError};
use super::trace::Notes;
use super::verdict::{RehearsalOutcome, RehearsalVerdict};
use crate::clock::Times;
use crate::cloud::answer::{lost, not_sent};
use crate::domain::call::{Call, Disposition, Reply};
use crate::domain::change::Change;
use crate::domain::id::{ChangeId, RolloutId};
use crate::domain::journal::Entry;
use crate::domain::rollout::{self, LOOK_AGAIN, Phase, Verb};
use crate::engine::{
    CheckSpec, Command, Core, Effect, Fence, Input, Level, Options, StoreAnswer, StoreQuery,
    TAKE_OVER_MAX, Ticket,
};
use crate::probe::PROBE_WITHIN;
use crate::store::memory::MemoryStore;
use crate::store::{Commit, Rollout, Store as _, Submission};

/// Boot time at the start: a machine that has been up for a while, so that nothing counts from
/// zero.
const BOOT: Duration = Duration::from_secs(3600);

/// Ways there and back of a probe: connection, greeting, handshake, login and its refusal.
const PROBE_WAYS: u32 = 8;

/// More events than a rollout of so many targets can need in a quarter of a year: beyond it
/// something spins.
const EVENTS_A_TARGET: u64 = 20_000;
const EVENTS_AT_LEAST: u64 = 20_000_000;

/// Who does what a person does in a rehearsal.
const PERSON: &str = "rehearsal";
/// Who approves it in a rehearsal, with a number.
const APPROVER: &str = "approver";

/// What came of a rehearsal.
#[derive(Debug)]
pub struct RehearsalRun {
    pub verdict: RehearsalVerdict,
    pub journal: Vec<Entry>,
}

/// Rehearses a scenario.
///
/// # Errors
/// [`SceneError`] when the simulated cloud has no such fleet, or the time is beyond what can be
/// told.
pub fn run(scenario: &Scenario) -> Result<RehearsalRun, SceneError> {
    let mut world = RehearsalWorld::new(scenario, MemoryStore::new())?;
    world.run();
    let journal =
        ready(world.store.journal(None, 0, usize::MAX)).expect("the store in memory never fails");
    Ok(RehearsalRun { verdict: world.finish(), journal })
}

/// The same without its journal, which is not kept meanwhile either: it is the most of what a long
/// run would hold.
///
/// # Errors
/// As [`run`].
pub(super) fn verdict(scenario: &Scenario) -> Result<RehearsalVerdict, SceneError> {
    let mut world = RehearsalWorld::new(scenario, MemoryStore::without_journal())?;
    world.run();
    Ok(world.finish())
}

struct RehearsalWorld<'a> {
    scenario: &'a Scenario,
    until: Timestamp,
    rng: Rng,
    now: Duration,
    /// Each event with the life of the daemon in which it was begun.
    queue: EventQueue<(u32, WorldEvent)>,
    core: Option<Core>,
    /// What it leaves when it crashes.
    levels: Vec<Level>,
    fence: Arc<Fence>,
    /// Raised by every crash: what belongs to an earlier life reaches nobody.
    life: u32,
    wake: Option<Duration>,
    scanned: bool,
    heard: BTreeSet<Ticket>,
    /// What became of the rollout's record by commits whose answer the core does not have yet.
    unanswered: BTreeMap<Ticket, rollout::Record>,
    store: MemoryStore,
    rollout: RolloutId,
    ordinals: std::collections::HashMap<(crate::domain::id::Name, crate::domain::id::ProxyId), u32>,
    clouds: Clouds,
    invariants: Invariants,
    notes: Notes,
    verbs: u64,
    rested: bool,
    spun: bool,
    defect: Option<String>,
}

/// What the store in memory gives at once.
fn ready<T>(pending: BoxFuture<'_, T>) -> T {
    pending.now_or_never().expect("the store in memory answers at once")
}

impl<'a> RehearsalWorld<'a> {
    fn new(scenario: &'a Scenario, store: MemoryStore) -> Result<Self, SceneError> {
        Self::judged(scenario, scenario, store)
    }

    /// A world whose promises are read from another scenario than the one that happens in it.
    fn judged(
        scenario: &'a Scenario,
        judge: &Scenario,
        store: MemoryStore,
    ) -> Result<Self, SceneError> {
        let until = scenario.until()?;
        let clouds = Clouds::new(scenario)?;
        let submission = Submission {
            plan: scenario.plan.clone(),
            targets: scenario.targets.clone(),
            by: PERSON.into(),
            at: scenario.from,
            note: String::new(),
        };
        let rollout = submission.id();
        ready(store.submit(submission)).expect("an empty store takes any submission");
        let names = scenario.targets.iter().map(|target| (target.lane.clone(), target.proxy_id));
        let mut world = Self {
            scenario,
            until,
            rng: Rng::with_seed(scenario.seed),
            now: Duration::ZERO,
            queue: EventQueue::default(),
            core: None,
            levels: Vec::new(),
            fence: Arc::default(),
            life: 0,
            wake: None,
            scanned: false,
            heard: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            store,
            rollout,
            ordinals: names.zip(0..).collect(),
            clouds,
            invariants: Invariants::new(judge),
            notes: Notes::new(scenario),
            verbs: 0,
            rested: false,
            spun: false,
            defect: None,
        };
        world.start();
        for crash in &scenario.crashes {
            world.queue.push(*crash, (0, WorldEvent::Crash));
        }
        Ok(world)
    }

    fn run(&mut self) {
        let most =
            EVENTS_AT_LEAST.max(EVENTS_A_TARGET.saturating_mul(self.scenario.targets.len() as u64));
        let mut events = 0;
        while !self.rested
            && self.defect.is_none()
            && let Some((at, (life, what))) = self.queue.pop()
        {
            if self.scenario.from + at > self.until {
                break;
            }
            self.now = at;
            self.happen(life, what);
            events += 1;
            if events > most {
                self.spun = true;
                break;
            }
        }
    }

    fn finish(mut self) -> RehearsalVerdict {
        self.clouds.settle();
        let rollout = self.read_rollout();
        let page = ready(self.store.page(self.rollout, Vec::new(), None, usize::MAX))
            .expect("the store in memory never fails");
        let changes: Vec<Change> = page.changes.into_iter().map(|active| active.change).collect();
        let plan = &self.scenario.plan;
        let end =
            RunEnd { plan, rollout: &rollout, changes: &changes, clouds: self.clouds.by_lane() };
        self.invariants.see(self.scenario.from + self.now, &Observation::Ended(&end));
        let mut checked: Vec<CheckedInvariant> = self.invariants.checked();
        if self.spun {
            checked.push(CheckedInvariant::broken(
                "the engine comes to rest",
                self.scenario.from + self.now,
                "it goes on and on at one spot",
            ));
        }
        if let Some(why) = self.defect.take() {
            checked.push(CheckedInvariant::broken(
                "the engine goes on",
                self.scenario.from + self.now,
                &why,
            ));
        }
        let outcome = RehearsalOutcome {
            scenario: self.scenario,
            rollout: &rollout,
            changes: &changes,
            clouds: &self.clouds,
            notes: self.notes,
            checked,
            rested: self.rested,
            ended_at: self.scenario.from + self.now,
        };
        RehearsalVerdict::of(outcome)
    }

    fn times(&self) -> Times {
        Times { wall: self.scenario.from + self.now, boot: BOOT + self.now }
    }

    fn read_rollout(&self) -> Rollout {
        ready(self.store.rollout(self.rollout))
            .expect("the store in memory never fails")
            .expect("submitted at the start")
    }

    fn happen(&mut self, life: u32, what: WorldEvent) {
        // What the dead daemon was told reaches nobody; what it sent arrives all the same.
        let current = life == self.life;
        match what {
            WorldEvent::Wake if current && self.wake == Some(self.now) => {
                self.wake = None;
                self.feed(Input::Tick);
            }
            WorldEvent::Scan { until, after } if current => {
                let until = until.max(self.times().wall);
                let open =
                    ready(self.store.open_rollouts()).expect("the store in memory never fails");
                let due = ready(self.store.due(until, after, TAKE_OVER_MAX))
                    .expect("the store in memory never fails");
                self.feed(Input::Scanned { open, due });
            }
            WorldEvent::Feed(input) if current => self.feed(*input),
            WorldEvent::Answer { ticket, id, reply } if current => {
                // The first of answer and giving up counts.
                if self.heard.remove(&ticket) {
                    if let Some(id) = id {
                        self.see(&Observation::Answered { id, ticket, reply: &reply });
                    }
                    self.feed(Input::Answered { ticket, reply: *reply });
                }
            }
            WorldEvent::Arrive { ticket, id, sent, call } => {
                self.arrive(life, ticket, id, sent, &call)
            }
            WorldEvent::Crash => self.crash(),
            WorldEvent::Start => self.start(),
            WorldEvent::Wake
            | WorldEvent::Scan { .. }
            | WorldEvent::Feed(_)
            | WorldEvent::Answer { .. } => {}
        }
    }

    fn start(&mut self) {
        if self.core.is_some() {
            return;
        }
        let options = Options {
            lanes: self.scenario.lanes.clone(),
            quota_spent: self.life > 0,
            levels: self.levels.clone(),
        };
        let core = Core::new(options, self.times());
        self.fence = core.fence();
        self.core = Some(core);
        self.scanned = false;
        let active = ready(self.store.due(Timestamp::MAX, None, usize::MAX))
            .expect("the store in memory never fails");
        self.see(&Observation::Started { rollout: Some(&self.read_rollout()), active: &active });
        self.feed(Input::Tick);
        // What waits for a person at the start gets no commit that would lead here.
        let rollout = self.read_rollout();
        self.after(&rollout);
    }

    fn crash(&mut self) {
        if self.core.take().is_none() {
            return;
        }
        self.life += 1;
        self.wake = None;
        self.heard.clear();
        self.unanswered.clear();
        self.notes.crashed();
        self.see(&Observation::Died);
        self.queue.push(self.now + RESTART_TIME, (self.life, WorldEvent::Start));
    }

    fn see(&mut self, fact: &Observation<'_>) {
        self.invariants.see(self.scenario.from + self.now, fact);
    }

    fn push_input(&mut self, after: Duration, input: Input) {
        self.queue.push(self.now + after, (self.life, WorldEvent::Feed(Box::new(input))));
    }

    fn feed(&mut self, input: Input) {
        let times = self.times();
        if let Input::Committed { ticket, .. } = &input
            && let Some(record) = self.unanswered.remove(ticket)
        {
            self.see(&Observation::Learnt(&record));
        }
        let Some(core) = self.core.as_mut() else { return };
        let mut effects = Vec::new();
        core.step(times, input, &mut effects);
        if let Some(levels) = core.levels_to_keep() {
            self.levels = levels;
        }
        let next = core.next_wake().map(|wake| wake.saturating_sub(BOOT).max(self.now));
        for effect in effects {
            self.perform(effect);
        }
        if let Some(next) = next
            && self.wake.is_none_or(|was| next < was)
        {
            self.wake = Some(next);
            self.queue.push(next, (self.life, WorldEvent::Wake));
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Scan { until, after } => {
                // Nobody else works on this store, so a scan finds nothing new, but right after a
                // start: the others are answered as rarely as the engine looks by itself, which is
                // what makes idle months cheap.
                let again = std::mem::replace(&mut self.scanned, true);
                let wait = if again && after.is_none() { LOOK_AGAIN } else { Duration::ZERO };
                self.queue.push(self.now + wait, (self.life, WorldEvent::Scan { until, after }));
            }
            Effect::Read { ticket, query } => {
                let found = Box::new(self.read(query));
                self.push_input(Duration::ZERO, Input::Read { ticket, found });
            }
            Effect::Commit { ticket, commit } => self.commit(ticket, *commit),
            Effect::Call { ticket, call, check } => self.call(ticket, call, &check),
            Effect::Probe { ticket, id, endpoint, .. } => {
                let lane = &self.scenario.targets[id.ordinal as usize].lane;
                let proof = self.clouds.probe(self.scenario.from + self.now, lane, &endpoint);
                self.see(&Observation::Probed { id, proof: &proof });
                // A probe whose answer does not come waits for its deadline; any other takes a few
                // ways.
                let took =
                    if proof.greeting.is_some() { self.way() * PROBE_WAYS } else { PROBE_WITHIN };
                self.push_input(took, Input::Probed { ticket, proof: Box::new(proof) });
            }
            Effect::Ask { ticket, call, .. } => {
                // The list of the jobs: nobody asks for a look here, and a call is never late.
                self.heard.insert(ticket);
                self.leaves(ticket, None, call);
            }
            Effect::Reply { .. } | Effect::Told { .. } => {}
            Effect::Fail(why) => self.defect = Some(why.to_string()),
        }
    }

    fn read(&self, query: StoreQuery) -> StoreAnswer {
        let store = &self.store;
        let never = "the store in memory never fails";
        match query {
            StoreQuery::Rollout(id) => {
                StoreAnswer::Rollout(ready(store.rollout(id)).expect(never).map(Box::new))
            }
            StoreQuery::Candidates { rollout, wave, limit } => {
                StoreAnswer::Candidates(ready(store.candidates(rollout, wave, limit)).expect(never))
            }
            StoreQuery::Stored { rollout, words, places, limit } => StoreAnswer::Stored(
                ready(store.stored(rollout, words, places, limit)).expect(never),
            ),
            StoreQuery::Change(id) => {
                let change = ready(store.change(id)).expect(never);
                let rollout = ready(store.rollout(id.rollout)).expect(never);
                StoreAnswer::Change(change.zip(rollout).map(Box::new))
            }
            StoreQuery::KnownJobs(instance) => {
                StoreAnswer::KnownJobs(ready(store.known_jobs(&instance)).expect(never))
            }
        }
    }

    fn commit(&mut self, ticket: Ticket, commit: Commit) {
        let result = ready(self.store.commit(commit.clone()));
        if result.is_ok() {
            let rollout = self.read_rollout();
            let at = self.scenario.from + self.now;
            self.notes.committed(at, &commit, &rollout);
            self.see(&Observation::Committed { commit: &commit, rollout: &rollout });
            self.after(&rollout);
            if let Some(moves) = commit.moves {
                self.unanswered.insert(ticket, moves.record);
            }
        }
        self.push_input(COMMIT_TIME, Input::Committed { ticket, result });
    }

    /// Looks whether anything is left that moves by itself, and does what a person would.
    fn after(&mut self, rollout: &Rollout) {
        if rollout.total().active > 0 {
            return;
        }
        let approvals = rollout.record.approvals.len();
        match &rollout.record.phase {
            Phase::Scheduled if approvals < usize::from(rollout.plan.approval.required) => {
                // Each of them must be somebody else.
                self.ask(
                    Verb::Approve { digest: rollout.plan.approval.digest },
                    format!("{APPROVER}-{approvals}"),
                );
            }
            Phase::Awaiting { .. } => self.ask(Verb::Promote, PERSON.to_owned()),
            Phase::Halted { .. } => self.rested = true,
            Phase::Aborted { .. } => self.rested = rollout.total().queued == 0,
            _ => self.rested = rollout.record.phase.is_final(),
        }
    }

    /// A verb of a person who is there at once.
    fn ask(&mut self, verb: Verb, by: String) {
        self.verbs += 1;
        let command = Command {
            rollout: self.rollout,
            verb,
            by: by.into(),
            reason: "as soon as it waits".to_owned(),
            only_if: None,
        };
        self.push_input(COMMIT_TIME, Input::Command { id: self.verbs, command });
    }

    fn call(&mut self, ticket: Ticket, call: Call, check: &CheckSpec) {
        let times = self.times();
        let target = call.target().expect("a change's call has a target");
        let ordinal = self
            .ordinals
            .get(&(target.lane.clone(), target.proxy_id))
            .copied()
            .expect("a call is for a target");
        let id = ChangeId { rollout: self.rollout, ordinal };
        self.heard.insert(ticket);
        if let Err(withheld) = self.fence.check(check, times) {
            return self.push_answer(
                self.now,
                ticket,
                Some(id),
                not_sent(Disposition::Withheld, &withheld.0),
            );
        }
        self.leaves(ticket, Some(id), call);
    }

    fn leaves(&mut self, ticket: Ticket, id: Option<ChangeId>, call: Call) {
        let times = self.times();
        let stored = id.filter(|_| call.is_write()).map(|id| {
            self.notes.switched(times.wall);
            let stored = ready(self.store.change(id))
                .expect("the store in memory never fails")
                .expect("a change of the rollout");
            (stored.change, self.read_rollout())
        });
        let stored = stored.as_ref().map(|(change, rollout)| (change, rollout));
        self.see(&Observation::Leaves(&Departure {
            ticket,
            id,
            call: &call,
            at: times.wall,
            times,
            stored,
        }));
        let way = self.way();
        self.queue.push(
            self.now + way,
            (self.life, WorldEvent::Arrive { ticket, id, sent: self.now, call: Box::new(call) }),
        );
    }

    fn way(&mut self) -> Duration {
        let nanos =
            |length: Duration| u64::try_from(length.as_nanos()).expect("a way takes moments");
        Duration::from_nanos(self.rng.u64(nanos(WAY.min)..=nanos(WAY.max)))
    }

    fn arrive(
        &mut self,
        life: u32,
        ticket: Ticket,
        id: Option<ChangeId>,
        sent: Duration,
        call: &Call,
    ) {
        let at = self.times().wall;
        self.see(&Observation::Arrives { id, call, at });
        let arrival = self.clouds.arrive(at, call);
        let patience = self
            .scenario
            .lanes
            .iter()
            .find(|lane| lane.name == *call.lane())
            .map(|lane| lane.call_timeout);
        let given_up = sent + patience.expect("every target has its lane");
        let answered = self.now + arrival.answer_after + self.way();
        let (at, reply) = if answered < given_up {
            (answered, arrival.reply)
        } else {
            (given_up, lost("no answer in time"))
        };
        self.queue.push(
            at.max(self.now),
            (life, WorldEvent::Answer { ticket, id, reply: Box::new(reply) }),
        );
    }

    fn push_answer(&mut self, at: Duration, ticket: Ticket, id: Option<ChangeId>, reply: Reply) {
        self.queue.push(at, (self.life, WorldEvent::Answer { ticket, id, reply: Box::new(reply) }));
    }
}

#[cfg(test)]
mod tests;
