//! Exactly one effective PUT for each proxy that succeeded by our doing, and never two, unless a
//! job failed or somebody else switched it back in between; one more for what is put back.

use super::super::observation::Observation;
use super::Invariant;
use crate::domain::change::{How, State};

pub(super) struct OneEffectiveSwitch;

impl Invariant for OneEffectiveSwitch {
    fn promise(&self) -> &'static str {
        "exactly one effective PUT for each proxy, unless a job failed"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let Observation::Ended(end) = fact else { return Ok(()) };
        for change in end.changes {
            let proxy = end
                .proxy(&change.target)
                .ok_or_else(|| format!("proxy {} is gone", change.target.proxy_id))?;
            let switched = matches!(
                change.record.state,
                State::Succeeded { how: How::Switched | How::SwitchedJobUnknown }
            );
            let most = if change.record.undo.is_some() { 2 } else { 1 };
            let wrong = proxy.effective > most || (switched && proxy.effective == 0);
            if wrong && !end.is_meddled(&change.target) {
                let (id, state) = (change.target.proxy_id, change.record.state.as_str());
                return Err(format!(
                    "{} of {} PUTs for proxy {id} took effect, and it is {state}",
                    proxy.effective, proxy.executed
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::invariants::staged::StagedRun;

    #[test]
    fn a_second_effective_put_is_seen() {
        let mut stage = StagedRun::new();
        let succeeded = State::Succeeded { how: How::Switched };
        stage.put(0, 0);
        stage.put(1, 0);
        stage.settle(0, succeeded.clone());
        stage.settle(1, succeeded);
        assert_eq!(stage.end(&mut OneEffectiveSwitch), Ok(()));
        stage.put(0, 600);
        assert!(
            stage.end(&mut OneEffectiveSwitch).expect_err("two took effect").contains("2 of 2")
        );
    }

    #[test]
    fn a_success_without_any_is_seen() {
        let mut stage = StagedRun::new();
        stage.settle(0, State::Succeeded { how: How::Switched });
        assert!(stage.end(&mut OneEffectiveSwitch).is_err());
    }
}
