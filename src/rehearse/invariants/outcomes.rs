//! Every change ends in one outcome, the outcomes add up, and who succeeded shows the wanted value.

use super::super::observation::Observation;
use super::Invariant;
use crate::domain::change::State;
use crate::domain::rollout::Phase;

pub(super) struct Outcomes;

impl Invariant for Outcomes {
    fn promise(&self) -> &'static str {
        "outcomes add up, and succeeded means seen"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let Observation::Ended(end) = fact else { return Ok(()) };
        let total = end.rollout.total();
        let count = |word: &str| end.changes.iter().filter(|change| change.record.state.as_str() == word).count();
        let told = [
            ("succeeded", total.succeeded),
            ("failed", total.failed),
            ("in_doubt", total.in_doubt),
            ("cancelled", total.cancelled),
            ("reverted", total.reverted),
            ("skipped", total.skipped),
        ];
        for (word, told) in told {
            let found = count(word);
            if found != told as usize {
                return Err(format!("{found} changes are {word}, the tally tells {told}"));
            }
        }
        if total.total() as usize != end.changes.len() {
            return Err(format!("the outcomes of {} changes add up to {}", end.changes.len(), total.total()));
        }
        if end.rollout.record.phase == Phase::Completed && end.rested && total.settled() != total.total() {
            return Err(format!("completed, and {} changes have no outcome", total.total() - total.settled()));
        }
        let succeeded = end.changes.iter().filter(|change| matches!(change.record.state, State::Succeeded { .. }));
        for change in succeeded {
            let shows = end.clouds.proxy(&change.target).is_some_and(|proxy| proxy.ssl_option == end.plan.ssl_option);
            if !shows && !end.clouds.is_meddled(&change.target) {
                return Err(format!("proxy {} is told as succeeded and has the other value", change.target.proxy_id));
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
        assert_eq!(stage.end(&mut Outcomes), Ok(()));
        stage.settle(0, State::Succeeded { how: How::Switched });
        assert!(stage.end(&mut Outcomes).expect_err("not counted").contains("tally"));
        stage.tally(0, |tally| (tally.succeeded, tally.queued) = (1, tally.queued - 1));
        assert!(stage.end(&mut Outcomes).expect_err("not switched").contains("the other value"));
        stage.put(0, 0);
        assert_eq!(stage.end(&mut Outcomes), Ok(()));
    }

    #[test]
    fn a_change_without_outcome_is_seen() {
        let mut stage = StagedRun::new();
        stage.rollout.record.phase = crate::domain::rollout::Phase::Completed;
        assert!(stage.end(&mut Outcomes).is_err());
    }
}
