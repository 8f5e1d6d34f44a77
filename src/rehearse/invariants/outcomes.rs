//! Every change ends in one outcome, the outcomes add up, and who succeeded shows the wanted value.

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::change::State;
use crate::domain::rollout::Phase;
use crate::domain::tally::Standing;
use crate::store::Rollout;

pub(super) struct Outcomes {
    targets: usize,
}

impl Outcomes {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { targets: scenario.targets.len() }
    }

    /// What holds at every instant.
    fn add_up(&self, rollout: &Rollout) -> Result<(), String> {
        let total = rollout.total();
        if total.total() as usize != self.targets {
            return Err(format!(
                "the outcomes of {} changes add up to {}",
                self.targets,
                total.total()
            ));
        }
        if rollout.record.phase == Phase::Completed && total.settled() != total.total() {
            return Err(format!(
                "completed, and {} changes have no outcome",
                total.total() - total.settled()
            ));
        }
        Ok(())
    }
}

impl Invariant for Outcomes {
    fn promise(&self) -> &'static str {
        "outcomes add up, and succeeded means seen"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let end = match fact {
            Observation::Committed { rollout, .. } => return self.add_up(rollout),
            Observation::Ended(end) => end,
            _ => return Ok(()),
        };
        self.add_up(end.rollout)?;
        let total = end.rollout.total();
        let told = [
            (Standing::Queued, total.queued),
            (Standing::Active, total.active),
            (Standing::Succeeded, total.succeeded),
            (Standing::Failed, total.failed),
            (Standing::InDoubt, total.in_doubt),
            (Standing::Cancelled, total.cancelled),
            (Standing::Reverted, total.reverted),
            (Standing::Skipped, total.skipped),
        ];
        for (standing, told) in told {
            let found = end
                .changes
                .iter()
                .filter(|change| Standing::of(&change.record.state) == standing)
                .count();
            if found != told as usize {
                return Err(format!("{found} changes are {standing:?}, the tally tells {told}"));
            }
        }
        let succeeded = end
            .changes
            .iter()
            .filter(|change| matches!(change.record.state, State::Succeeded { .. }));
        for change in succeeded {
            let shows = end
                .proxy(&change.target)
                .is_some_and(|proxy| proxy.ssl_option == end.plan.ssl_option);
            if !shows && !end.is_meddled(&change.target) {
                return Err(format!(
                    "proxy {} is told as succeeded and has the other value",
                    change.target.proxy_id
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::How;
    use crate::rehearse::invariants::staged::StagedRun;

    #[test]
    fn a_success_that_is_none_is_seen() {
        let mut stage = StagedRun::new();
        let mut promise = Outcomes::new(&stage.scenario);
        assert_eq!(stage.end(&mut promise), Ok(()));
        stage.settle(0, State::Succeeded { how: How::Switched });
        assert!(stage.end(&mut promise).expect_err("not counted").contains("tally"));
        stage.tally(0, |tally| (tally.succeeded, tally.queued) = (1, tally.queued - 1));
        assert!(stage.end(&mut promise).expect_err("not switched").contains("the other value"));
        stage.put(0, 0);
        assert_eq!(stage.end(&mut promise), Ok(()));
    }

    #[test]
    fn a_change_without_outcome_is_seen() {
        let mut stage = StagedRun::new();
        let mut promise = Outcomes::new(&stage.scenario);
        stage.rollout.record.phase = Phase::Completed;
        assert!(stage.commits(&mut promise, 0, State::Queued).is_err());
    }

    #[test]
    fn a_change_that_is_counted_twice_is_seen() {
        let mut stage = StagedRun::new();
        let mut promise = Outcomes::new(&stage.scenario);
        stage.tally(0, |tally| tally.active = 1);
        assert!(
            stage
                .commits(&mut promise, 0, State::Ready)
                .expect_err("five of four")
                .contains("add up to 5")
        );
    }
}
