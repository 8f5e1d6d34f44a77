//! Failures plus changes in flight never exceed the budget of the rollout, nor failures that of
//! their wave, while the rollout goes forward.

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::rollout::Phase;

pub(super) struct WithinBudgets {
    all: u32,
    waves: Vec<u32>,
}

impl WithinBudgets {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let strategy = &scenario.plan.strategy;
        Self {
            all: strategy.max_failures,
            waves: strategy.waves.iter().map(|wave| wave.max_failures).collect(),
        }
    }
}

impl Invariant for WithinBudgets {
    fn promise(&self) -> &'static str {
        "failures and changes in flight never exceed a budget"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let Observation::Committed { rollout, .. } = fact else { return Ok(()) };
        // What is put back halts at its first failure and has no budget.
        if rollout.record.revert().is_some() || rollout.record.phase == Phase::Reverted {
            return Ok(());
        }
        let total = rollout.total();
        if total.failures() + total.active > self.all {
            return Err(format!(
                "{} failures and {} in flight, the budget is {}",
                total.failures(),
                total.active,
                self.all
            ));
        }
        match rollout
            .tallies
            .iter()
            .zip(&self.waves)
            .find(|(tally, budget)| tally.failures() > **budget)
        {
            Some((tally, budget)) => {
                Err(format!("{} failures in one wave, its budget is {budget}", tally.failures()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::State;
    use crate::rehearse::invariants::staged::StagedRun;

    #[test]
    fn a_release_that_could_overshoot_is_seen() {
        let mut stage = StagedRun::new();
        stage.scenario.plan.strategy.max_failures = 2;
        let mut promise = WithinBudgets::new(&stage.scenario);
        stage.tally(0, |tally| (tally.failed, tally.active) = (1, 1));
        assert_eq!(stage.commits(&mut promise, 0, State::Ready), Ok(()));
        stage.tally(0, |tally| (tally.failed, tally.active) = (1, 2));
        assert!(stage.commits(&mut promise, 0, State::Ready).is_err());
    }

    #[test]
    fn a_wave_over_its_own_budget_is_seen() {
        let mut stage = StagedRun::new();
        stage.scenario.plan.strategy.waves[0].max_failures = 1;
        let mut promise = WithinBudgets::new(&stage.scenario);
        stage.tally(0, |tally| tally.in_doubt = 2);
        assert!(stage.commits(&mut promise, 0, State::Queued).is_err());
    }
}
