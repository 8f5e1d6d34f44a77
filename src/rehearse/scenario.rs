//! What is rehearsed: plan, targets, lanes, faults and the seed from which everything else follows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::assumed;
use crate::domain::id::Name;
use crate::domain::lane::Lane;
use crate::domain::plan::{Plan, Wave};
use crate::domain::target::TargetList;
use crate::simcloud::faults::Faults;
use crate::simcloud::fleet::FleetError;

/// Longest rehearsal when nothing else is said: a quarter of a year holds every window that a
/// rollout plausibly needs.
pub const FOR_DEFAULT: Duration = Duration::from_secs(92 * 24 * 3600);

/// Longest rehearsal of all: a year and a day, so that both nights of a zone lie within it whatever
/// the start.
pub const FOR_MAX: Duration = Duration::from_secs(367 * 24 * 3600);

/// One rehearsal, from which everything follows.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub plan: Plan,
    /// Its targets in their order; never empty, as long as the plan's waves.
    pub targets: TargetList,
    /// A lane for each that the targets name.
    pub lanes: Vec<Lane>,
    /// What the simulated cloud does, and how long its jobs take.
    pub faults: Faults,
    /// Measured job times to draw from; empty: those of `faults`.
    pub job_times: Arc<[Duration]>,
    /// All throws of the dice.
    pub seed: u64,
    /// When the plan is submitted.
    pub from: Timestamp,
    /// How long it may take.
    pub lasts: Duration,
    /// When the daemon is killed, counted from the start.
    pub crashes: Vec<Duration>,
    /// What a person does before its first wave begins, taken as done at once; `None`: it begins by
    /// itself.
    pub after: Option<String>,
}

/// Why a plan cannot be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// The targets are no fleet that the cloud could have.
    #[error("{0}; the simulated cloud has no such fleet")]
    Fleet(#[from] FleetError),
    /// The rehearsal would end before its begin, or last beyond what can be told.
    #[error(
        "a rehearsal that begins at {0} would end beyond the years that can be told; give an earlier time"
    )]
    Beyond(Timestamp),
}

impl Scenario {
    /// A plan over its targets, in a cloud where nothing goes wrong. Lanes that `known` does not
    /// have are assumed.
    pub fn new(plan: Plan, targets: TargetList, known: &[Lane], from: Timestamp) -> Self {
        let mut lanes: BTreeMap<Name, Lane> = BTreeMap::new();
        for target in targets.iter() {
            if !lanes.contains_key(&target.lane) {
                let lane = known.iter().find(|lane| lane.name == target.lane).cloned();
                lanes.insert(
                    target.lane.clone(),
                    lane.unwrap_or_else(|| assumed::lane(target.lane.clone())),
                );
            }
        }
        let faults =
            Faults { job_time: assumed::JOB_TIME, latency: assumed::LATENCY, ..Faults::default() };
        Self {
            plan,
            targets,
            lanes: lanes.into_values().collect(),
            faults,
            job_times: Arc::new([]),
            seed: 1,
            from,
            lasts: FOR_DEFAULT,
            crashes: Vec::new(),
            after: None,
        }
    }

    /// The same plan over at most so many of its targets, taken from every wave alike; waves,
    /// budgets and windows stay as they are, each wave keeps at least one target.
    pub fn cut_to(&self, most: u32) -> Self {
        let all =
            u32::try_from(self.targets.len()).expect("a plan is cut to fewer than 2^32 targets");
        let waves = &self.plan.strategy.waves;
        let most = most.max(u32::try_from(waves.len()).expect("waves are bounded"));
        if most >= all {
            return self.clone();
        }
        let mut sizes: Vec<u32> = waves
            .iter()
            .map(|wave| {
                u32::try_from(u64::from(wave.size) * u64::from(most) / u64::from(all))
                    .expect("smaller")
                    .max(1)
            })
            .collect();
        // Every wave kept one: the largest pay for it.
        while sizes.iter().sum::<u32>() > most {
            let largest = sizes.iter_mut().max().expect("never empty");
            *largest -= 1;
        }
        let mut targets = Vec::new();
        let mut kept = Vec::new();
        for (wave, size) in waves.iter().zip(sizes) {
            let first = u32::try_from(targets.len()).expect("fewer than before");
            targets
                .extend(self.targets.iter().skip(wave.first as usize).take(size as usize).cloned());
            kept.push(Wave { first, size, ..wave.clone() });
        }
        let mut cut = self.clone();
        cut.plan.strategy.waves = kept;
        cut.targets = targets.into();
        cut
    }

    /// When it ends at the latest.
    pub fn until(&self) -> Result<Timestamp, SceneError> {
        self.from.checked_add(self.lasts).map_err(|_| SceneError::Beyond(self.from))
    }
}
