//! Where a job can only be ours, its id is held at the end; and an id that the daemon read and outlived is in the journal.
//!
//! A job can only be ours when it is the only switch job that its instance ever had. With others beside it, whose job
//! it was cannot be told, and the change says so.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use sealift::domain::change::State;
use sealift::domain::id::{JobId, RolloutId};
use sealift::domain::journal::JournalEvent;
use sealift::store::Store;

use super::SimInvariant;
use crate::oracle::{Fact, OracleSetting, SeenFact};

pub struct JobIdsKept {
    rollout: RolloutId,
    /// Ids read in the daemon's present life.
    read: BTreeSet<JobId>,
}

impl JobIdsKept {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { rollout: setting.rollout, read: BTreeSet::new() }
    }
}

impl SimInvariant for JobIdsKept {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let (store, cloud, entries) = match fact {
            Fact::Seen(SeenFact::JobRead { job }) => {
                self.read.insert(job.clone());
                return Ok(());
            }
            Fact::Seen(SeenFact::Crashed { .. }) => {
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
        let page = store.page(self.rollout, Vec::new(), None, usize::MAX).now_or_never().expect("ready").expect("memory");
        for job in jobs_of.values().filter(|jobs| jobs.len() == 1).map(|jobs| &jobs[0]).filter(|job| job.status == "Completed") {
            let owner = page.changes.iter().find(|active| active.change.target.proxy_id == job.proxy_id).ok_or("no change for a proxy")?;
            // A person's retry of a change in doubt looks at the proxy, not for the job.
            let asked = !doubted.contains(&owner.change.id.ordinal);
            if asked && matches!(owner.change.record.state, State::Succeeded { .. }) && !owner.change.record.jobs.contains(&job.job_id) {
                return Err(format!("{} does not hold its job {}", owner.change.id, job.job_id));
            }
        }
        Ok(())
    }
}
