//! A job id that was read is saved with that change's very next step.

use std::collections::BTreeMap;

use super::super::observation::Observation;
use super::Invariant;
use crate::domain::call::Answer;
use crate::domain::id::JobId;

/// Job ids that were read and not saved yet, by the change's place; the daemon's death forgets them, as it must.
#[derive(Default)]
pub(super) struct JobIdFirst {
    read: BTreeMap<u32, JobId>,
}

impl Invariant for JobIdFirst {
    fn promise(&self) -> &'static str {
        "a job id is saved before anything else happens to its change"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        match fact {
            Observation::Answered { id, reply } => {
                if let Ok(Answer::Accepted(Some(job))) = &reply.outcome {
                    self.read.insert(id.ordinal, job.clone());
                }
            }
            Observation::Committed { commit, .. } => {
                for change in &commit.changes {
                    if let Some(job) = self.read.remove(&change.ordinal)
                        && !change.record.jobs.contains(&job)
                    {
                        return Err(format!("target {} moves on and its job {job} is not saved", change.ordinal));
                    }
                }
            }
            Observation::Died => self.read.clear(),
            Observation::Ended(_) => {
                if let Some((ordinal, job)) = self.read.first_key_value() {
                    return Err(format!("job {job} of target {ordinal} was read and never saved"));
                }
            }
            Observation::Switches { .. } | Observation::Arrives { .. } | Observation::Probed { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::State;
    use crate::domain::id::ChangeId;
    use crate::rehearse::invariants::staged::StagedRun;

    #[test]
    fn a_step_without_the_job_id_is_seen() {
        let mut stage = StagedRun::new();
        let reply = stage.put(0, 0).reply;
        let Ok(Answer::Accepted(Some(job))) = reply.outcome.clone() else { panic!("a job: {reply:?}") };
        let id = ChangeId { rollout: stage.rollout.id, ordinal: 0 };
        let mut promise = JobIdFirst::default();
        let answered = Observation::Answered { id, reply: &reply };
        assert_eq!(promise.see(&answered), Ok(()));
        assert_eq!(stage.commits(&mut promise, 0, State::Following { job }), Ok(()));
        assert_eq!(promise.see(&answered), Ok(()));
        assert!(stage.commits(&mut promise, 0, State::Ready).is_err());
        assert_eq!(promise.see(&answered), Ok(()));
        assert!(stage.end(&mut promise).is_err(), "never saved at all");
    }
}
