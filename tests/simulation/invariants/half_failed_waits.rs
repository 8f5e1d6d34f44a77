//! A wave half of which failed or is in doubt is left by a person alone, and a rollout whose every
//! change failed is never called completed.

use sealift::domain::rollout::Phase;
use sealift::rehearse::observation::Observation;

use super::WorldInvariant;
use crate::oracle::{Fact, OracleSetting, SeenFact};

pub struct HalfFailedWaits {
    phase: Phase,
}

impl HalfFailedWaits {
    pub fn new(_: &OracleSetting<'_>) -> Self {
        Self { phase: Phase::Scheduled }
    }
}

impl WorldInvariant for HalfFailedWaits {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let (commit, rollout) = match fact {
            Fact::Observed(Observation::Committed { commit, rollout }, _) => (commit, rollout),
            // Where it stood may be lost.
            Fact::Seen(SeenFact::Rebuilt) => {
                self.phase = Phase::Scheduled;
                return Ok(());
            }
            _ => return Ok(()),
        };
        let was = std::mem::replace(&mut self.phase, rollout.record.phase.clone());
        let Some(moves) = &commit.moves else { return Ok(()) };
        let total = rollout.total();
        if moves.record.phase == Phase::Completed && total.failures() == total.total() {
            return Err("completed, and every change failed".into());
        }
        let left = match (&was, &moves.record.phase) {
            (
                Phase::Advancing { wave },
                Phase::Soaking { .. } | Phase::Awaiting { .. } | Phase::Completed,
            ) => *wave,
            (Phase::Soaking { wave, .. }, Phase::Awaiting { .. }) => *wave,
            (
                Phase::Advancing { wave } | Phase::Soaking { wave, .. },
                Phase::Advancing { wave: next },
            ) if next > wave => *wave,
            _ => return Ok(()),
        };
        let own = rollout.tallies[usize::from(left)];
        if moves.by.is_none() && own.failures() * 2 >= own.total() {
            return Err(format!("wave {left} is left without a person, with {own:?}"));
        }
        Ok(())
    }
}
