//! What all parts of a run share: the virtual clock, the truth, the oracle, and what is out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt;
use sealift::clock::{Clock, Times};
use sealift::domain::id::{JobId, RolloutId};
use sealift::engine::{Level, Snapshot};
use sealift::simcloud::model::Model;
use sealift::store::memory::MemoryStore;
use sealift::store::{Away, Commit, CommitError, Rollout, Store};
use tokio::sync::watch;
use tokio::time::Instant;

use super::planted::RuntimeBug;
use crate::oracle::{Around, Oracle, SeenFact};
use crate::scenario::DrawnScenario;
use crate::world::{MS, Nanos, S, start};

/// From then on the clock of [`Wrong::ClockStands`] stands.
const STANDS_FROM: Nanos = 10 * S;

/// Longest read of a store that takes its time: a verb reads twice, behind a look that does.
const READ_MAX: Nanos = 20 * MS;

pub struct RuntimeFixture {
    pub scenario: DrawnScenario,
    pub planted: RuntimeBug,
    pub rollout: RolloutId,
    pub store: MemoryStore,
    /// Half of the runs have a store that takes its time for what must be synced.
    pub slow_store: bool,
    /// A quarter of them have one that takes its time for reads.
    slow_reads: bool,
    /// Whether reads are answered.
    pub reads_answered: watch::Sender<bool>,
    /// Whether the store is away.
    pub away: watch::Sender<Option<Away>>,
    origin: Instant,
    told: bool,
    state: Mutex<State>,
}

/// What changes; held for a moment at a time.
pub struct State {
    pub rng: Rng,
    reads: Rng,
    pub oracle: Oracle,
    pub cloud: Model,
    pub calm: bool,
    /// Calls that the engine has made and that have not come back.
    pub out: usize,
    /// Commits that the store has and that have not come back.
    pub committing: usize,
    /// Verbs whose operators have no answer.
    pub asked: usize,
    /// Numbers the calls and the commits.
    pub calls: u64,
    pub commits: u64,
    /// Every job id that the engine was told in an answer to a PUT.
    pub read: BTreeSet<JobId>,
    /// What the running engine publishes.
    pub snapshot: Option<watch::Receiver<Arc<Snapshot>>>,
    /// What an engine has left for the next one.
    pub levels: Vec<Level>,
    pub fired: BTreeMap<&'static str, u64>,
}

impl RuntimeFixture {
    pub fn new(
        scenario: DrawnScenario,
        planted: RuntimeBug,
        rollout: RolloutId,
        oracle: Oracle,
        cloud: Model,
        told: bool,
    ) -> Self {
        let mut rng = Rng::with_seed(scenario.seed);
        let slow_store = rng.bool();
        let mut reads = Rng::with_seed(scenario.seed ^ 0x5ea1_1f70_0000_0074);
        let slow_reads = reads.u8(0..4) == 0;
        let state = State {
            rng,
            reads,
            oracle,
            cloud,
            calm: false,
            out: 0,
            committing: 0,
            asked: 0,
            calls: 0,
            commits: 0,
            read: BTreeSet::new(),
            snapshot: None,
            levels: Vec::new(),
            fired: BTreeMap::new(),
        };
        Self {
            scenario,
            planted,
            rollout,
            store: MemoryStore::new(),
            slow_store,
            slow_reads,
            reads_answered: watch::Sender::new(true),
            away: watch::Sender::default(),
            origin: Instant::now(),
            told,
            state: Mutex::new(state),
        }
    }

    /// Waits for as long as the store takes to answer a read.
    pub async fn read_comes(&self) {
        if self.slow_reads {
            self.fire("slow_read");
            let wait = Duration::from_nanos(self.state().reads.u64(0..READ_MAX));
            tokio::time::sleep(wait).await;
        }
        let mut answered = self.reads_answered.subscribe();
        // Its sender is beside it.
        let _ = answered.wait_for(|answered| *answered).await;
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Virtual time; the machine has run for a second when the run begins.
    pub fn now(&self) -> Nanos {
        S + u64::try_from(self.origin.elapsed().as_nanos()).expect("a short run")
    }

    pub fn times(&self) -> Times {
        times_at(self.now())
    }

    /// A line of the run's story.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        if self.told {
            println!("{:>12.3} {}", self.now() as f64 / S as f64, line());
        }
    }

    pub fn fire(&self, word: &'static str) {
        *self.state().fired.entry(word).or_insert(0) += 1;
    }

    /// Shows the oracle something, with what it sees around it.
    pub fn observe(&self, show: impl FnOnce(&mut Oracle, &Around<'_>)) {
        let (times, now) = (self.times(), self.now());
        let State { oracle, cloud, .. } = &mut *self.state();
        show(oracle, &Around { store: &self.store, cloud, times, now });
    }

    pub fn see(&self, seen: SeenFact) {
        self.state().oracle.see(seen);
    }

    pub fn violate(&self, what: &str) {
        self.tell(|| format!("VIOLATION {what}"));
        self.state().oracle.violate(what);
    }

    pub fn is_violated(&self) -> bool {
        !self.state().oracle.violations.is_empty()
    }

    pub fn read_rollout(&self) -> Rollout {
        self.store
            .rollout(self.rollout)
            .now_or_never()
            .expect("ready")
            .expect("memory")
            .expect("submitted")
    }

    /// Draws one of these many nanoseconds.
    pub fn draw(&self, from: Nanos, to: Nanos) -> Duration {
        Duration::from_nanos(self.state().rng.u64(from..to))
    }

    /// Whether something with this probability happens now; nothing does after the calm.
    pub fn happens(&self, share: f64) -> bool {
        let mut state = self.state();
        let drawn = state.rng.f64() < share;
        drawn && !state.calm
    }

    pub fn apply(&self, commit: Commit) -> Result<(), CommitError> {
        let result = self.store.commit(commit.clone()).now_or_never().expect("ready");
        if result.is_ok() {
            self.observe(|oracle, around| oracle.committed(&commit, around));
        }
        result
    }
}

pub fn times_at(now: Nanos) -> Times {
    let boot = Duration::from_nanos(now);
    Times { wall: start() + boot, boot }
}

/// The clock as the engine gets it.
pub struct EngineClock(pub Arc<RuntimeFixture>);

impl Clock for EngineClock {
    fn times(&self) -> Times {
        match self.0.planted {
            RuntimeBug::ClockStands => times_at(self.0.now().min(STANDS_FROM)),
            _ => self.0.times(),
        }
    }
}
