//! A job id that was read is saved with that change's very next step, and no call follows the job
//! before.

use std::collections::BTreeMap;

use super::super::observation::{Departure, Observation};
use super::Invariant;
use crate::domain::call::{Answer, Call};
use crate::domain::id::JobId;

/// Job ids that were read and not saved yet, by the change's place; the daemon's death forgets
/// them, as it must.
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
            Observation::Answered { id, reply, .. } => {
                if let Ok(Answer::Accepted(Some(job))) = &reply.outcome {
                    self.read.insert(id.ordinal, job.clone());
                }
            }
            Observation::Committed { commit, .. } => {
                for change in &commit.changes {
                    if let Some(job) = self.read.remove(&change.ordinal)
                        && !change.record.jobs.contains(&job)
                    {
                        return Err(format!(
                            "target {} moves on and its job {job} is not saved",
                            change.ordinal
                        ));
                    }
                }
            }
            Observation::Leaves(Departure {
                id: Some(id), call: Call::Follow { job, .. }, ..
            }) if self.read.get(&id.ordinal) == Some(job) => {
                return Err(format!(
                    "job {job} of target {} is followed and not saved",
                    id.ordinal
                ));
            }
            Observation::Died => self.read.clear(),
            Observation::Ended(_) => {
                if let Some((ordinal, job)) = self.read.first_key_value() {
                    return Err(format!("job {job} of target {ordinal} was read and never saved"));
                }
            }
            Observation::Started { .. }
            | Observation::Learnt(_)
            | Observation::Leaves(_)
            | Observation::Arrives { .. }
            | Observation::Probed { .. } => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Times;
    use crate::domain::change::State;
    use crate::domain::id::ChangeId;
    use crate::rehearse::invariants::staged::{StagedRun, after};

    #[test]
    fn a_step_without_the_job_id_is_seen() {
        let mut stage = StagedRun::new();
        let reply = stage.put(0, 0).reply;
        let Ok(Answer::Accepted(Some(job))) = reply.outcome.clone() else {
            panic!("a job: {reply:?}")
        };
        let id = ChangeId { rollout: stage.rollout.id, ordinal: 0 };
        let mut promise = JobIdFirst::default();
        let answered = Observation::Answered { id, ticket: 1, reply: &reply };
        assert_eq!(promise.see(&answered), Ok(()));
        let (target, at) = (stage.scenario.targets[0].clone(), after(0));
        let call = Call::Follow { target, job: job.clone() };
        let times = Times { wall: at, boot: Duration::ZERO };
        let follows = Departure { ticket: 2, id: Some(id), call: &call, at, times, stored: None };
        assert!(promise.see(&Observation::Leaves(&follows)).is_err(), "followed and not saved");
        assert_eq!(stage.commits(&mut promise, 0, State::Following { job }), Ok(()));
        assert_eq!(promise.see(&Observation::Leaves(&follows)), Ok(()));
        assert_eq!(promise.see(&answered), Ok(()));
        assert!(stage.commits(&mut promise, 0, State::Ready).is_err());
        assert_eq!(promise.see(&answered), Ok(()));
        assert!(stage.end(&mut promise).is_err(), "never saved at all");
    }
}
