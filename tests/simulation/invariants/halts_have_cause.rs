//! A rollout that halts for its failures has them in the store.

use sealift::domain::rollout::{Halt, Phase};
use sealift::rehearse::observation::Observation;

use super::WorldInvariant;
use crate::oracle::{Fact, OracleSetting};

pub struct HaltsHaveCause {
    all: u32,
    wave: u32,
}

impl HaltsHaveCause {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { all: setting.scenario.max_failures, wave: setting.scenario.wave_failures }
    }
}

impl WorldInvariant for HaltsHaveCause {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Observed(Observation::Committed { commit, rollout }, _) = fact else {
            return Ok(());
        };
        let Some(moves) = &commit.moves else { return Ok(()) };
        let total = rollout.total();
        match &moves.record.phase {
            Phase::Halted { wave, reason: Halt::Failures { failures, budget }, .. } => {
                let own = rollout.tallies[usize::from(*wave)].failures();
                let of_all = *budget == self.all
                    && total.failures() >= *budget
                    && total.failures() >= *failures;
                let of_wave = *budget == self.wave && own >= *budget && own >= *failures;
                if !of_all && !of_wave {
                    return Err(format!(
                        "halted for {failures} failures of {budget}; the store has {} and {own}",
                        total.failures()
                    ));
                }
            }
            Phase::Halted { wave, reason: Halt::Half { failures, size }, .. } => {
                let own = rollout.tallies[usize::from(*wave)];
                let done = own.queued + own.active == 0 && own.total() == *size;
                if !done || own.failures() < *failures || failures * 2 < *size {
                    return Err(format!(
                        "halted for {failures} failures of {size}; the store has {own:?}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
