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
use sealift::domain::enforce::EnforcementStage;
use sealift::domain::plan::WireRules;
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
pub enum EnforcementBug {
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
pub const SCOREBOARD: &[(EnforcementBug, u64)] = &[
    (EnforcementBug::TicksForgotten, 10),
    (EnforcementBug::RunForgotten, 50),
    (EnforcementBug::FlipsForgotten, 200),
    (EnforcementBug::HaltForgotten, 200),
    (EnforcementBug::EndForgotten, 30),
    (EnforcementBug::DriftUnbounded, 30),
    (EnforcementBug::InformTakenForApply, 30),
    (EnforcementBug::MoveWithoutCompare, 200),
];

/// What all parts of a run share.
pub struct EnforcementFixture {
    pub store: MemoryStore,
    pub planted: EnforcementBug,
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

impl EnforcementFixture {
    pub fn new(mut rng: Rng, cloud: Model, planted: EnforcementBug) -> Self {
        let slow = rng.bool();
        let state =
            State { rng, cloud, stepped: SignedDuration::ZERO, lives: 0, fired: BTreeMap::new() };
        Self {
            store: MemoryStore::new(),
            planted,
            slow,
            origin: Instant::now(),
            state: Mutex::new(state),
        }
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

pub struct EnforcementClock(pub Arc<EnforcementFixture>);

impl Clock for EnforcementClock {
    fn times(&self) -> Times {
        let boot = self.0.boot();
        Times { wall: self.0.cloud_now() + self.0.state().stepped, boot }
    }
}

pub struct EnforcementCloud(pub Arc<EnforcementFixture>);

impl Cloud for EnforcementCloud {
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

impl Probe for EnforcementCloud {
    fn probe<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        _: Option<&'a WireRules>,
    ) -> BoxFuture<'a, Proof> {
        let proof = self.0.state().cloud.probe(self.0.cloud_now(), endpoint);
        std::future::ready(proof).boxed()
    }
}

pub struct BedStore(pub Arc<EnforcementFixture>);

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
            if bed.planted == EnforcementBug::MoveWithoutCompare {
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
                EnforcementBug::DriftUnbounded => enforce.max_drift = u32::MAX,
                EnforcementBug::InformTakenForApply => {
                    enforce.mode = sealift::domain::enforce::Mode::Apply
                }
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
            EnforcementBug::TicksForgotten => record.handled = record.handled.min(start()),
            EnforcementBug::RunForgotten if record.stage.rollout().is_some() => {
                record.stage = EnforcementStage::Idle
            }
            EnforcementBug::EndForgotten
                if matches!(record.stage, EnforcementStage::Ended { .. }) =>
            {
                record.stage = EnforcementStage::Idle
            }
            EnforcementBug::FlipsForgotten => record.flips.clear(),
            EnforcementBug::HaltForgotten => record.halted = None,
            _ => {}
        }
        enforcement
    }
}
