//! No change of a later wave begins before its wave advances.

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::plan::Strategy;
use crate::domain::rollout::Phase;
use crate::domain::tally::Standing;

pub(super) struct WaveOrder {
    strategy: Strategy,
    /// The furthest wave that advanced.
    reached: Option<u16>,
}

impl WaveOrder {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { strategy: scenario.plan.strategy.clone(), reached: None }
    }
}

impl Invariant for WaveOrder {
    fn promise(&self) -> &'static str {
        "no change begins before its wave"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let Observation::Committed { commit, rollout } = fact else { return Ok(()) };
        if matches!(rollout.record.phase, Phase::Advancing { .. }) {
            self.reached = self.reached.max(rollout.record.phase.wave());
        }
        let begins = commit.changes.iter().filter(|change| Standing::of(&change.record.state) == Standing::Active);
        match begins.map(|change| self.strategy.wave_of(change.ordinal)).find(|wave| Some(*wave) > self.reached) {
            Some(wave) => Err(format!("a change of wave {} begins before its wave", self.strategy.waves[usize::from(wave)].name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::State;
    use crate::domain::rollout::Phase;
    use crate::rehearse::invariants::staged::StagedRun;

    #[test]
    fn a_change_before_its_wave_is_seen() {
        let mut stage = StagedRun::new();
        let mut promise = WaveOrder::new(&stage.scenario);
        assert_eq!(stage.commits(&mut promise, 0, State::Ready), Ok(()));
        assert!(stage.commits(&mut promise, 3, State::Ready).expect_err("too early").contains("rest"));
        stage.rollout.record.phase = Phase::Advancing { wave: 1 };
        assert_eq!(stage.commits(&mut promise, 3, State::Ready), Ok(()));
    }
}
