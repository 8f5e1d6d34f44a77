//! Failures plus changes in flight never exceed the budget of the rollout, nor that of the wave at work, while the
//! rollout goes forward.

use super::SimInvariant;
use crate::oracle::{Fact, OracleSetting};

pub struct FailureBudget {
    all: u32,
    wave: u32,
}

impl FailureBudget {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { all: setting.scenario.max_failures, wave: setting.scenario.wave_failures }
    }
}

impl SimInvariant for FailureBudget {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Committed { rollout, .. } = fact else { return Ok(()) };
        if rollout.record.is_withdrawn() {
            // A revert begins when the budget is spent; what binds it instead stands in `reverts`.
            return Ok(());
        }
        let total = rollout.total();
        if total.failures() + total.active > self.all.max(total.failures()) {
            return Err(format!("{} failures and {} in flight, the budget is {}", total.failures(), total.active, self.all));
        }
        if total.failures() > self.all {
            return Err(format!("{} failures, the budget is {}", total.failures(), self.all));
        }
        match rollout.tallies.iter().find(|tally| tally.failures() > self.wave) {
            Some(tally) => Err(format!("{} failures in one wave, its budget is {}", tally.failures(), self.wave)),
            None => Ok(()),
        }
    }
}
