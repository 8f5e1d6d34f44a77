//! After a halt, a pause or an abort no PUT leaves, and none of a wave that does not advance yet.

use super::super::observation::{Departure, Observation};
use super::Invariant;
use crate::domain::change::Clearance;

pub(super) struct WhileAdvancing;

impl Invariant for WhileAdvancing {
    fn promise(&self) -> &'static str {
        "no PUT after a halt, a pause or an abort"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let Observation::Leaves(Departure { stored: Some((stored, rollout)), .. }) = fact else {
            return Ok(());
        };
        match rollout.record.gate(stored.wave, stored.record.undo.is_some()) {
            Clearance::Open => Ok(()),
            _ => Err(format!(
                "a PUT of {} leaves while the rollout is {}",
                stored.id,
                rollout.record.phase.as_str()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rollout::{Halt, Phase};
    use crate::rehearse::invariants::staged::{StagedRun, after};

    #[test]
    fn a_put_after_a_halt_is_seen() {
        let mut stage = StagedRun::new();
        assert_eq!(stage.switches(&mut WhileAdvancing, 0, after(0)), Ok(()));
        stage.rollout.record.phase = Phase::Halted {
            wave: 0,
            reason: Halt::Stalled { seconds: 1, why: String::new() },
            revert: None,
        };
        assert!(stage.switches(&mut WhileAdvancing, 0, after(0)).is_err());
    }
}
