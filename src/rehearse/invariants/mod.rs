//! The promises, each a small checker in a file of its own that is shown every fact of a run.
//!
//! Invariant: a checker only looks; what it knows comes from facts and from the plan, never from the engine. Each file
//! has a test in which its promise is broken, so none of them is there for show.

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

trait Invariant {
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
pub(super) struct Invariants(Vec<(Box<dyn Invariant>, Option<Violation>)>);

impl Invariants {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let all: Vec<Box<dyn Invariant>> = vec![
            Box::new(one_effective_switch::OneEffectiveSwitch),
            Box::new(quota::WithinQuota::new(scenario)),
            Box::new(window::InsideWindow::new(scenario)),
            Box::new(gate::WhileAdvancing),
            Box::new(one_per_instance::OnePerInstance::new(scenario)),
            Box::new(changes_in_flight::ChangesInFlight::new(scenario)),
            Box::new(group_limits::GroupLimitsKept::new(scenario)),
            Box::new(budgets::WithinBudgets::new(scenario)),
            Box::new(wave_order::WaveOrder::new(scenario)),
            Box::new(intent_first::IntentFirst),
            Box::new(job_id_first::JobIdFirst::default()),
            Box::new(outcomes::Outcomes),
            Box::new(proven::Proven::new(scenario)),
        ];
        Self(all.into_iter().map(|invariant| (invariant, None)).collect())
    }

    /// Shows a fact to all of them. One that is broken is not asked again.
    pub(super) fn see(&mut self, at: Timestamp, fact: &Observation<'_>) {
        for (invariant, broken) in self.0.iter_mut().filter(|(_, broken)| broken.is_none()) {
            if let Err(how) = invariant.see(fact) {
                *broken = Some(Violation { at, how });
            }
        }
    }

    pub(super) fn checked(&self) -> Vec<CheckedInvariant> {
        self.0.iter().map(|(invariant, broken)| CheckedInvariant { promise: invariant.promise(), broken: broken.clone() }).collect()
    }
}
