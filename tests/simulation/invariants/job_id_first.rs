//! After a job id was read, it is stored before anything else happens to that change.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use sealift::domain::call::Call;
use sealift::domain::id::JobId;
use sealift::store::Store;

use super::SimInvariant;
use crate::oracle::{Fact, SeenFact};

/// Jobs read by a live daemon and not seen in the store yet; a crash forgets them, as it must.
#[derive(Default)]
pub struct SimJobIdFirst {
    read: BTreeSet<JobId>,
}

impl SimInvariant for SimJobIdFirst {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(SeenFact::JobRead { job }) => {
                self.read.insert(job.clone());
            }
            Fact::Wire { sent, store } => {
                let Call::Follow { job, .. } = sent.call else { return Ok(()) };
                if !self.read.remove(job) {
                    return Ok(());
                }
                let stored = store.change(sent.id).now_or_never().expect("ready").expect("memory").expect("a change of the rollout");
                if !stored.change.record.jobs.contains(job) {
                    return Err(format!("job {job} of {} is followed and the store does not have it", sent.id));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
