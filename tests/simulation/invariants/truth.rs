//! Succeeded means that the proxy had the wanted value then; cancelled, that no PUT of ours took effect; and at the end
//! every job that was followed is one that the cloud made.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use sealift::domain::change::{How, State};
use sealift::domain::id::RolloutId;
use sealift::store::Store;

use super::Invariant;
use crate::oracle::{Fact, Setting};

pub struct Truth {
    rollout: RolloutId,
    desired: bool,
}

impl Truth {
    pub fn new(setting: &Setting<'_>) -> Self {
        Self { rollout: setting.rollout, desired: setting.submission.plan.ssl_option }
    }
}

impl Invariant for Truth {
    fn check(&mut self, fact: &mut Fact<'_>) -> Result<(), String> {
        let Fact::End { store, cloud, .. } = fact else { return Ok(()) };
        let page = store.page(self.rollout, Vec::new(), None, usize::MAX).now_or_never().expect("ready").expect("memory");
        let made: BTreeSet<_> = cloud.jobs().map(|job| (job.job_id.clone(), job.proxy_id)).collect();
        for active in page.changes {
            let change = active.change;
            let proxy = cloud.proxy(&change.target.proxy_id).ok_or("a proxy is gone")?;
            match &change.record.state {
                State::Succeeded { how } => {
                    if proxy.ssl_option != self.desired {
                        return Err(format!("{} succeeded and the proxy has the other value", change.id));
                    }
                    if *how == How::AlreadyRight && proxy.effective > 0 {
                        return Err(format!("{} is told as already right, and a PUT of ours took effect", change.id));
                    }
                }
                State::Cancelled if proxy.effective > 0 && change.record.attempts == 0 && change.record.jobs.is_empty() => {
                    return Err(format!("{} is cancelled and a PUT of ours took effect", change.id));
                }
                _ => {}
            }
            for job in &change.record.jobs {
                if !made.contains(&(job.clone(), change.target.proxy_id)) {
                    return Err(format!("{} claims job {job}, which the cloud did not make for its proxy", change.id));
                }
            }
        }
        Ok(())
    }
}
