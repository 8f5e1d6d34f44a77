//! What all parts of a run share: clock, cloud, dice, and the store with its planted bugs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use sealift::clock::{Clock, Times};
use sealift::cloud::answer::not_sent;
use sealift::cloud::{Cloud, LastCheck};
use sealift::domain::call::{Call, Disposition, Reply};
use sealift::domain::enforce::Stage;
use sealift::domain::plan::Wire;
use sealift::domain::proof::{Endpoint, Proof};
use sealift::probe::Probe;
use sealift::simcloud::model::Model;
use sealift::store::memory::MemoryStore;
use sealift::store::{CommitError, Enforcement, EnforcementCommit, Pending, Rollout, Store};
use tokio::time::{Instant, sleep};

use crate::hooked_store::Hooks;
use crate::world::{MS, Nanos, S, start};

/// Longest commit of a slow store: others pass and people speak meanwhile.
const SYNC_MAX: Nanos = 3 * S;

/// A mistake that a store, or whoever reads it, could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    /// Which ticks are dealt with is not read back after a restart.
    TicksForgotten,
    /// That a run is at hand is not read back after a restart.
    RunForgotten,
    /// Which targets flipped back is not read back after a restart.
    FlipsForgotten,
    /// That a run was halted is not read back after a restart.
    HaltForgotten,
    /// The end is not read back after a restart.
    EndForgotten,
    /// `max_drift` is not read.
    DriftUnbounded,
    /// `mode` is not read: what should be told is put right.
    InformTakenForApply,
    /// A move is taken whatever moved since it was decided.
    MoveWithoutCompare,
}

/// Each is found within so many seeds.
pub const SCOREBOARD: &[(Wrong, u64)] = &[
    (Wrong::TicksForgotten, 10),
    (Wrong::RunForgotten, 50),
    (Wrong::FlipsForgotten, 200),
    (Wrong::HaltForgotten, 200),
    (Wrong::EndForgotten, 30),
    (Wrong::DriftUnbounded, 30),
    (Wrong::InformTakenForApply, 30),
    (Wrong::MoveWithoutCompare, 200),
];

/// What all parts of a run share.
pub struct Bed {
    pub store: MemoryStore,
    pub planted: Wrong,
    /// Half of the runs have a store that takes its time.
    slow: bool,
    origin: Instant,
    state: Mutex<State>,
}

/// What changes; held for a moment at a time.
pub struct State {
    pub rng: Rng,
    pub cloud: Model,
    /// How far the wall clock was stepped.
    pub stepped: SignedDuration,
    /// Daemons that have died so far.
    pub lives: u32,
    pub fired: BTreeMap<&'static str, u64>,
}

impl Bed {
    pub fn new(mut rng: Rng, cloud: Model, planted: Wrong) -> Self {
        let slow = rng.bool();
        let state = State { rng, cloud, stepped: SignedDuration::ZERO, lives: 0, fired: BTreeMap::new() };
        Self { store: MemoryStore::new(), planted, slow, origin: Instant::now(), state: Mutex::new(state) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub fn boot(&self) -> Duration {
        Duration::from_secs(1) + self.origin.elapsed()
    }

    /// The cloud's clock; it does not step with ours.
    pub fn cloud_now(&self) -> Timestamp {
        start() + self.boot()
    }

    pub fn fire(&self, word: &'static str) {
        *self.state().fired.entry(word).or_insert(0) += 1;
    }

    fn draw(&self, from: Nanos, to: Nanos) -> Duration {
        Duration::from_nanos(self.state().rng.u64(from..to))
    }
}

pub struct BedClock(pub Arc<Bed>);

impl Clock for BedClock {
    fn times(&self) -> Times {
        let boot = self.0.boot();
        Times { wall: self.0.cloud_now() + self.0.state().stepped, boot }
    }
}

pub struct BedCloud(pub Arc<Bed>);

impl Cloud for BedCloud {
    fn perform(&self, call: Call, check: LastCheck) -> BoxFuture<'_, Reply> {
        let bed = Arc::clone(&self.0);
        async move {
            sleep(bed.draw(0, 20 * MS)).await;
            if let Err(withheld) = check() {
                return not_sent(Disposition::Withheld, &withheld.0);
            }
            sleep(bed.draw(MS, 50 * MS)).await;
            let arrival = {
                let now = bed.cloud_now();
                let cloud = &mut bed.state().cloud;
                cloud.advance(now);
                cloud.arrive(now, &call)
            };
            sleep(arrival.answer_after + bed.draw(MS, 50 * MS)).await;
            arrival.reply
        }
        .boxed()
    }
}

impl Probe for BedCloud {
    fn probe<'a>(&'a self, endpoint: &'a Endpoint, _: Option<&'a Wire>) -> BoxFuture<'a, Proof> {
        let proof = self.0.state().cloud.probe(self.0.cloud_now(), endpoint);
        std::future::ready(proof).boxed()
    }
}

pub struct BedStore(pub Arc<Bed>);

impl Hooks for BedStore {
    fn store(&self) -> &MemoryStore {
        &self.0.store
    }

    fn enforce(&self, mut commit: EnforcementCommit) -> Pending<'_, Result<(), CommitError>> {
        let bed = Arc::clone(&self.0);
        Box::pin(async move {
            if bed.slow {
                sleep(bed.draw(0, SYNC_MAX)).await;
            }
            if bed.planted == Wrong::MoveWithoutCompare {
                let known = bed.store.enforcement(&commit.name).await.expect("memory");
                commit.version = known.map_or(0, |known| known.record.version);
                commit.record.version = commit.version + 1;
            }
            bed.store.enforce(commit).await
        })
    }

    fn rollout_read(&self, mut rollout: Rollout) -> Rollout {
        if let Some(enforce) = &mut Arc::make_mut(&mut rollout.plan).enforce {
            match self.0.planted {
                Wrong::DriftUnbounded => enforce.max_drift = u32::MAX,
                Wrong::InformTakenForApply => enforce.mode = sealift::domain::enforce::Mode::Apply,
                _ => {}
            }
        }
        rollout
    }

    fn enforcement_read(&self, mut enforcement: Enforcement) -> Enforcement {
        if self.0.state().lives == 0 {
            return enforcement;
        }
        let record = &mut enforcement.record;
        match self.0.planted {
            Wrong::TicksForgotten => record.handled = record.handled.min(start()),
            Wrong::RunForgotten if record.stage.rollout().is_some() => record.stage = Stage::Idle,
            Wrong::EndForgotten if matches!(record.stage, Stage::Ended { .. }) => record.stage = Stage::Idle,
            Wrong::FlipsForgotten => record.flips.clear(),
            Wrong::HaltForgotten => record.halted = None,
            _ => {}
        }
        enforcement
    }
}
