//! The promises that the engine keeps, each checked in a file of its own, over every observation of
//! a run.
//!
//! Job: one set for the rehearsal and for the simulation of `tests/simulation`, which adds the
//! promises that need more than an [`Observation`]. Invariant: a check only looks; it reads
//! observations and the plan, never the engine. Each file has a test in which its promise is
//! broken.

mod budgets;
mod changes_in_flight;
mod gate;
mod group_limits;
mod intent_first;
mod job_id_first;
mod one_effective_switch;
mod one_per_instance;
mod outcomes;
mod proven;
mod quota;
#[cfg(test)]
pub(crate) mod staged;
mod wave_order;
mod window;

use jiff::Timestamp;
use serde::Serialize;

use super::observation::Observation;
use super::scenario::Scenario;

trait Invariant: Send {
    /// The promise in a few words.
    fn promise(&self) -> &'static str;

    /// Looks at a fact; says what is wrong with it.
    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String>;
}

/// A promise after a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedInvariant {
    pub promise: &'static str,
    /// The first time it was broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<Violation>,
}

/// How a promise was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub at: Timestamp,
    pub how: String,
}

impl CheckedInvariant {
    pub(super) fn broken(promise: &'static str, at: Timestamp, how: &str) -> Self {
        Self { promise, broken: Some(Violation { at, how: how.to_owned() }) }
    }
}

/// All promises of a run.
pub struct Invariants(Vec<(Box<dyn Invariant>, Option<Violation>)>);

impl Invariants {
    /// The promises of a run of this scenario, none of them broken.
    pub fn new(scenario: &Scenario) -> Self {
        let all: Vec<Box<dyn Invariant>> = vec![
            Box::new(one_effective_switch::OneEffectiveSwitch),
            Box::new(quota::WithinQuota::new(scenario)),
            Box::new(window::InsideWindow::new(scenario)),
            Box::new(gate::WhileAdvancing::default()),
            Box::new(one_per_instance::OnePerInstance::new(scenario)),
            Box::new(changes_in_flight::ChangesInFlight::new(scenario)),
            Box::new(group_limits::GroupLimitsKept::new(scenario)),
            Box::new(budgets::WithinBudgets::new(scenario)),
            Box::new(wave_order::WaveOrder::new(scenario)),
            Box::new(intent_first::IntentFirst),
            Box::new(job_id_first::JobIdFirst::default()),
            Box::new(outcomes::Outcomes::new(scenario)),
            Box::new(proven::Proven::new(scenario)),
        ];
        Self(all.into_iter().map(|invariant| (invariant, None)).collect())
    }

    /// Shows a fact to all of them. One that is broken is not asked again.
    pub fn see(&mut self, at: Timestamp, fact: &Observation<'_>) {
        for (invariant, broken) in self.0.iter_mut().filter(|(_, broken)| broken.is_none()) {
            if let Err(how) = invariant.see(fact) {
                *broken = Some(Violation { at, how });
            }
        }
    }

    /// The promises that were broken so far.
    pub fn broken(&self) -> impl Iterator<Item = (&'static str, &Violation)> {
        self.0
            .iter()
            .filter_map(|(invariant, broken)| Some((invariant.promise(), broken.as_ref()?)))
    }

    pub(super) fn checked(&self) -> Vec<CheckedInvariant> {
        self.0
            .iter()
            .map(|(invariant, broken)| CheckedInvariant {
                promise: invariant.promise(),
                broken: broken.clone(),
            })
            .collect()
    }
}
