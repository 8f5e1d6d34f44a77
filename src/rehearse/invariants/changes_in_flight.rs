//! Never more changes in flight than the plan's `max_in_flight`.

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;

pub(super) struct ChangesInFlight {
    most: u32,
}

impl ChangesInFlight {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { most: scenario.plan.strategy.max_in_flight }
    }
}

impl Invariant for ChangesInFlight {
    fn promise(&self) -> &'static str {
        "never more changes in flight than max_in_flight"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let Observation::Committed { rollout, .. } = fact else { return Ok(()) };
        let active = rollout.total().active;
        if active > self.most {
            Err(format!("{active} changes are in flight, at most {} may be", self.most))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::State;
    use crate::rehearse::invariants::staged::StagedRun;

    #[test]
    fn one_too_many_is_seen() {
        let mut stage = StagedRun::new();
        stage.scenario.plan.strategy.max_in_flight = 1;
        let mut promise = ChangesInFlight::new(&stage.scenario);
        stage.tally(0, |tally| tally.active = 1);
        assert_eq!(stage.commits(&mut promise, 0, State::Ready), Ok(()));
        stage.tally(0, |tally| tally.active = 2);
        assert!(stage.commits(&mut promise, 2, State::Ready).is_err());
    }
}
