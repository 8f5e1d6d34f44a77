//! What the model shows outside the API: the truth against which a run is judged.
//!
//! Invariant: looking changes nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{JobKind, Model};
use crate::domain::id::{InstanceId, JobId, ProxyId};
use crate::simcloud::faults::Fault;
use crate::simcloud::ledger::Ledger;
use crate::simcloud::mix;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ProxyState {
    pub instance_id: InstanceId,
    pub proxy_id: ProxyId,
    /// The value in force.
    pub ssl_option: bool,
    /// Whether a job runs on its instance.
    pub busy: bool,
    /// Switch calls for it that were executed, failed jobs included.
    pub executed: u32,
    /// Switch calls for it that were executed and whose job completed: more than one is a needless
    /// repetition.
    pub effective: u32,
    /// Times the value really changed, also by somebody else.
    pub flips: u32,
    /// Whether the value in force was last set by a switch call, and not by somebody else or from
    /// the start.
    pub switched: bool,
}

/// A job made by a switch call, told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct JobState {
    pub job_id: JobId,
    /// The proxy it was made for.
    pub proxy_id: ProxyId,
    /// The value it sets.
    pub ssl_option: bool,
    /// Creation, nanoseconds after the start.
    pub created_ns: u64,
    /// `Pending`, `Running`, `Completed` or `Failed`.
    pub status: &'static str,
}

impl Model {
    /// How often each fault fired, zeros included.
    pub fn fired(&self) -> BTreeMap<&'static str, u64> {
        Fault::WORDS.into_iter().zip(self.fired).collect()
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// One proxy as of the last request or [`Self::advance`].
    pub fn proxy(&self, proxy_id: &ProxyId) -> Option<ProxyState> {
        self.proxy_index.get(proxy_id).map(|index| self.proxy_state(*index as usize))
    }

    /// All proxies, those of an instance together.
    pub fn proxies(&self) -> impl ExactSizeIterator<Item = ProxyState> + '_ {
        (0..self.proxies.len()).map(|index| self.proxy_state(index))
    }

    fn proxy_state(&self, index: usize) -> ProxyState {
        let proxy = self.proxies[index];
        let instance = &self.instances[proxy.instance as usize];
        ProxyState {
            instance_id: instance.id,
            proxy_id: self.proxy_ids[index],
            ssl_option: proxy.ssl_option,
            busy: instance.job.is_some(),
            executed: proxy.executed,
            effective: proxy.effective,
            flips: proxy.flips,
            switched: proxy.switched,
        }
    }

    /// Every job that a switch call made, oldest first, also those whose id was lost on the way
    /// back.
    pub fn jobs(&self) -> impl Iterator<Item = JobState> + '_ {
        self.jobs.iter().zip(0..).filter_map(|(job, index)| {
            let JobKind::Switch { proxy, ssl_option } = job.kind else { return None };
            let id = mix::job_id(self.seed, index);
            Some(JobState {
                job_id: std::str::from_utf8(&id).ok()?.parse().ok()?,
                proxy_id: self.proxy_ids[proxy as usize],
                ssl_option,
                created_ns: job.created,
                status: self.job_status(job).as_str(),
            })
        })
    }

    /// Every switch that somebody else made, with its instance, oldest first: jobs that look like
    /// ours in the lists.
    pub fn foreign_switches(&self) -> impl Iterator<Item = (JobId, InstanceId)> + '_ {
        self.jobs.iter().zip(0..).filter_map(|(job, index)| {
            let JobKind::ForeignSwitch { .. } = job.kind else { return None };
            let id = mix::job_id(self.seed, index);
            Some((
                std::str::from_utf8(&id).ok()?.parse().ok()?,
                self.instances[job.instance as usize].id,
            ))
        })
    }

    /// Every instance on which somebody else's job can be taken for ours by what the job list says.
    pub fn misleading(&self) -> impl Iterator<Item = InstanceId> + '_ {
        let others = self.jobs.iter().filter(|job| {
            matches!(job.kind, JobKind::ForeignSwitch { .. } | JobKind::ForeignUnknown)
        });
        others.map(|job| self.instances[job.instance as usize].id)
    }

    /// When the next job ends, if one runs: for simulations that skip idle time.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ending.peek().map(|Reverse((ends, _))| self.start + Duration::from_nanos(*ends))
    }
}
