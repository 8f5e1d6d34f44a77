//! After a halt, a pause or an abort no PUT leaves, and none of a wave that does not advance yet.
//!
//! Invariant: a daemon is held to what it knows. A record that was applied and not yet answered may
//! close while an intent that was applied before it is on its way to the wire. Before it learnt
//! anything since its start, it is held to the store.

use super::super::observation::{Departure, Observation};
use super::Invariant;
use crate::domain::change::Clearance;
use crate::domain::rollout::Record;

#[derive(Default)]
pub(super) struct WhileAdvancing {
    /// The newest record that the daemon learnt of since its start.
    known: Option<Record>,
}

impl WhileAdvancing {
    fn learn(&mut self, record: &Record) {
        if self.known.as_ref().is_none_or(|known| known.version < record.version) {
            self.known = Some(record.clone());
        }
    }
}

impl Invariant for WhileAdvancing {
    fn promise(&self) -> &'static str {
        "no PUT after a halt, a pause or an abort"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let (stored, rollout) = match fact {
            Observation::Started { .. } => {
                self.known = None;
                return Ok(());
            }
            Observation::Learnt(record) => {
                self.learn(record);
                return Ok(());
            }
            Observation::Leaves(Departure { stored: Some(stored), .. }) => *stored,
            _ => return Ok(()),
        };
        let known = self.known.as_ref().filter(|known| known.version < rollout.record.version);
        let record = known.unwrap_or(&rollout.record);
        match record.gate(stored.wave, stored.record.undo.is_some()) {
            Clearance::Open => Ok(()),
            _ => Err(format!(
                "a PUT of {} leaves while the rollout is {}",
                stored.id,
                record.phase.as_str()
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
    fn a_put_after_a_halt_is_seen_once_the_daemon_knows_of_it() {
        let mut promise = WhileAdvancing::default();
        let mut stage = StagedRun::new();
        assert_eq!(promise.see(&Observation::Learnt(&stage.rollout.record)), Ok(()));
        assert_eq!(stage.switches(&mut promise, 0, after(0)), Ok(()));
        stage.rollout.record.version += 1;
        stage.rollout.record.phase = Phase::Halted {
            wave: 0,
            reason: Halt::Stalled { seconds: 1, why: String::new() },
            revert: None,
        };
        assert_eq!(stage.switches(&mut promise, 0, after(0)), Ok(()), "it is on its way");
        assert_eq!(promise.see(&Observation::Learnt(&stage.rollout.record)), Ok(()));
        assert!(stage.switches(&mut promise, 0, after(0)).is_err());
    }

    #[test]
    fn a_daemon_that_learnt_nothing_is_held_to_the_store() {
        let mut promise = WhileAdvancing::default();
        let mut stage = StagedRun::new();
        stage.rollout.record.phase = Phase::Reverted;
        assert!(stage.switches(&mut promise, 0, after(0)).is_err());
    }
}
