//! The intent to switch, counted as an attempt, is in the store before its PUT leaves.

use super::super::observation::{Departure, Observation};
use super::Invariant;
use crate::domain::change::State;

pub(super) struct IntentFirst;

impl Invariant for IntentFirst {
    fn promise(&self) -> &'static str {
        "the intent is saved before its PUT leaves"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let Observation::Leaves(Departure { stored: Some((stored, _)), .. }) = fact else {
            return Ok(());
        };
        match stored.record.state {
            State::Submitting { .. } if stored.record.attempts > 0 => Ok(()),
            _ => Err(format!(
                "a PUT of {} leaves and the store says {}",
                stored.id,
                stored.record.state.as_str()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::invariants::staged::{StagedRun, after};

    #[test]
    fn a_put_without_its_intent_is_seen() {
        let mut stage = StagedRun::new();
        stage.settle(0, State::Submitting { sent: after(0), cloud: None });
        assert!(
            stage.switches(&mut IntentFirst, 0, after(0)).is_err(),
            "an attempt that is not counted"
        );
        stage.record(0).attempts = 1;
        assert_eq!(stage.switches(&mut IntentFirst, 0, after(0)), Ok(()));
        stage.settle(0, State::Inspecting);
        assert!(stage.switches(&mut IntentFirst, 0, after(0)).is_err());
    }
}
