//! Where a job can only be ours, its id is held at the end; and an id that the daemon read and
//! outlived is in the journal.
//!
//! A job can only be ours when it is the only switch job that its instance ever had. With others
//! beside it, whose job it was cannot be told, and the change says so.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use sealift::domain::call::{Answer, Reply};
use sealift::domain::change::State;
use sealift::domain::id::{JobId, RolloutId};
use sealift::domain::job_match::JUDGED_AROUND;
use sealift::domain::journal::JournalEvent;
use sealift::rehearse::observation::Observation;
use sealift::store::Store;

use super::WorldInvariant;
use crate::oracle::{Fact, OracleSetting};

pub struct JobIdsKept {
    rollout: RolloutId,
    clock: CloudSteps,
    /// Ids read in the daemon's present life.
    read: BTreeSet<JobId>,
}

impl JobIdsKept {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        let clock = CloudSteps {
            ahead: setting.scenario.clock_ahead,
            steps: setting.scenario.clock_steps.clone(),
        };
        Self { rollout: setting.rollout, clock, read: BTreeSet::new() }
    }
}

/// How far the cloud's clock is ahead, at first and from which second on.
struct CloudSteps {
    ahead: i64,
    steps: Vec<(u64, i64)>,
}

impl CloudSteps {
    /// Whether a job of this instant is dated by a time that the clock showed neither before nor
    /// afterwards: nobody who heard it before and afterwards can know.
    fn strays(&self, created_ns: u64) -> bool {
        let mut steps = self.steps.clone();
        steps.sort_unstable();
        let shown: Vec<i64> =
            [self.ahead].into_iter().chain(steps.iter().map(|(_, ahead)| *ahead)).collect();
        let at =
            steps.iter().take_while(|(second, _)| second * 1_000_000_000 <= created_ns).count();
        let apart = |other: Option<&i64>| {
            other.is_some_and(|other| other.abs_diff(shown[at]) > JUDGED_AROUND.as_secs())
        };
        at > 0 && apart(shown.get(at - 1)) && apart(shown.get(at + 1))
    }
}

impl WorldInvariant for JobIdsKept {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let (store, cloud, entries) = match fact {
            Fact::Observed(
                Observation::Answered {
                    reply: Reply { outcome: Ok(Answer::Accepted(Some(job))), .. },
                    ..
                },
                _,
            ) => {
                self.read.insert(job.clone());
                return Ok(());
            }
            Fact::Observed(Observation::Died, _) => {
                self.read.clear();
                return Ok(());
            }
            Fact::End { store, cloud, entries, .. } => (*store, *cloud, *entries),
            _ => return Ok(()),
        };
        let mut told = BTreeSet::new();
        let mut doubted = BTreeSet::new();
        for entry in entries {
            if let JournalEvent::Change { record, ordinal, .. } = &entry.what {
                told.extend(record.jobs.iter().cloned());
                if matches!(record.state, State::InDoubt { .. }) {
                    doubted.insert(*ordinal);
                }
            }
        }
        if let Some(job) = self.read.iter().find(|job| !told.contains(*job)) {
            return Err(format!("job {job} was read and is not in the journal"));
        }
        let mut jobs_of: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for job in cloud.jobs() {
            let instance = cloud.proxy(&job.proxy_id).ok_or("a proxy is gone")?.instance_id;
            jobs_of.entry(instance).or_default().push(job);
        }
        for instance in cloud.misleading() {
            jobs_of.remove(&instance);
        }
        let page = store
            .page(self.rollout, Vec::new(), None, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        for job in jobs_of
            .values()
            .filter(|jobs| jobs.len() == 1)
            .map(|jobs| &jobs[0])
            .filter(|job| job.status == "Completed")
        {
            let owner = page
                .changes
                .iter()
                .find(|active| active.change.target.proxy_id == job.proxy_id)
                .ok_or("no change for a proxy")?;
            // A person's retry of a change in doubt looks at the proxy, not for the job.
            let asked =
                !doubted.contains(&owner.change.id.ordinal) && !self.clock.strays(job.created_ns);
            if asked
                && matches!(owner.change.record.state, State::Succeeded { .. })
                && !owner.change.record.jobs.contains(&job.job_id)
            {
                return Err(format!("{} does not hold its job {}", owner.change.id, job.job_id));
            }
        }
        Ok(())
    }
}
