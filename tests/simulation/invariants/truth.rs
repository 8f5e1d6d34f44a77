//! The record tells the truth. Succeeded: a look made since the change's latest step was answered
//! while the proxy had the wanted value. The job completed: it did. Failed because its job changed
//! nothing: that job was its own. Already right, or cancelled: no PUT of ours took effect. A job
//! held by a change is one that the cloud made for its proxy, or is called presumed, and then it is
//! not another change's own; where somebody else switches too, or a stepped clock hides which jobs
//! are old, one that was adopted from the list may be another of its instance.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use sealift::domain::call::Call;
use sealift::domain::change::{How, ReasonWord, Record, State};
use sealift::domain::id::{InstanceId, JobId, ProxyId, RolloutId};
use sealift::rehearse::observation::Observation;
use sealift::simcloud::model::Model;
use sealift::store::{ChangeMove, Store};

use super::WorldInvariant;
use crate::oracle::{Around, Fact, OracleSetting, SeenFact};
use crate::world::Nanos;

pub struct Truth {
    rollout: RolloutId,
    desired: bool,
    stepped_clock: bool,
    proxies: Vec<(ProxyId, InstanceId)>,
    /// The latest look that was answered while the proxy had the wanted value.
    shown: BTreeMap<ProxyId, Nanos>,
    /// The same for the other value, which a revert wants.
    shown_other: BTreeMap<ProxyId, Nanos>,
    /// The latest step of each change.
    stepped: BTreeMap<u32, Nanos>,
}

impl Truth {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self {
            rollout: setting.rollout,
            desired: setting.submission.plan.ssl_option,
            stepped_clock: setting.scenario.wall_jumps > 0,
            proxies: setting
                .fleet
                .proxies()
                .iter()
                .map(|proxy| (proxy.proxy_id, proxy.instance_id))
                .collect(),
            shown: BTreeMap::new(),
            shown_other: BTreeMap::new(),
            stepped: BTreeMap::new(),
        }
    }

    fn step(&mut self, change: &ChangeMove, cloud: &Model, now: Nanos) -> Result<(), String> {
        let (proxy, _) = self.proxies[change.ordinal as usize];
        let since = self.stepped.insert(change.ordinal, now).unwrap_or(0);
        match &change.record.state {
            // Now the wire is looked at; what the API showed counts until that is over.
            State::Verifying { .. } if change.record.shown.is_some() => {
                self.stepped.insert(change.ordinal, since);
                let shown =
                    if change.record.undo.is_some() { &self.shown_other } else { &self.shown };
                match shown.get(&proxy) {
                    Some(shown) if *shown >= since => Ok(()),
                    _ => Err(format!(
                        "target {} is to be proven and no look since has seen the wanted value",
                        change.ordinal
                    )),
                }
            }
            State::Succeeded { .. }
                if self.shown.get(&proxy).is_none_or(|shown| *shown < since) =>
            {
                Err(format!(
                    "target {} succeeded and no look since has seen the wanted value",
                    change.ordinal
                ))
            }
            State::Reverted { .. }
                if self.shown_other.get(&proxy).is_none_or(|shown| *shown < since) =>
            {
                Err(format!(
                    "target {} is put back and no look since has seen the value from before",
                    change.ordinal
                ))
            }
            State::Verifying { job: Some(job) } if change.why == "the job completed" => {
                match cloud.jobs().find(|made| made.job_id == *job) {
                    Some(made) if made.status != "Completed" => {
                        Err(format!("job {job} is told as completed and is {}", made.status))
                    }
                    // Somebody else's, adopted from the list.
                    Some(_) | None => Ok(()),
                }
            }
            State::Failed { reason } if reason.word == ReasonWord::Unverified => {
                let last = change.record.jobs.last();
                match cloud.jobs().find(|made| Some(&made.job_id) == last) {
                    Some(made) if made.proxy_id == proxy => Ok(()),
                    _ => Err(format!(
                        "target {} failed by job {last:?}, which is not its own",
                        change.ordinal
                    )),
                }
            }
            _ => Ok(()),
        }
    }

    fn at_end(
        &self,
        record: &Record,
        ordinal: u32,
        cloud: &Model,
        made: &BTreeSet<(JobId, ProxyId)>,
    ) -> Result<(), String> {
        let (proxy_id, instance) = self.proxies[ordinal as usize];
        let proxy = cloud.proxy(&proxy_id).ok_or("a proxy is gone")?;
        let foreign: BTreeSet<_> = cloud
            .foreign_switches()
            .filter(|(_, of)| *of == instance)
            .map(|(job, _)| job)
            .collect();
        let unclear = self.stepped_clock || !foreign.is_empty();
        let siblings = |job: &JobId| {
            made.iter().any(|(one, proxy)| one == job && self.proxies.contains(&(*proxy, instance)))
        };
        match &record.state {
            State::Succeeded { .. } if foreign.is_empty() && proxy.ssl_option != self.desired => {
                return Err(format!(
                    "target {ordinal} succeeded and the proxy has the other value"
                ));
            }
            State::Reverted { .. } if foreign.is_empty() && proxy.ssl_option == self.desired => {
                return Err(format!(
                    "target {ordinal} is put back and the proxy has the value that the rollout set"
                ));
            }
            State::Succeeded { how: How::AlreadyRight } if proxy.effective > 0 => {
                return Err(format!(
                    "target {ordinal} is told as already right, and a PUT of ours took effect"
                ));
            }
            State::Cancelled
                if proxy.effective > 0 && record.before.is_none() && record.jobs.is_empty() =>
            {
                return Err(format!(
                    "target {ordinal} is cancelled as if nothing was sent, and a PUT of ours took effect"
                ));
            }
            _ => {}
        }
        let ours = |job: &JobId| made.contains(&(job.clone(), proxy_id));
        let may_be = |job: &JobId| unclear && (foreign.contains(job) || siblings(job));
        match record.jobs.iter().find(|job| !ours(job) && !may_be(job) && !record.presumes(job)) {
            Some(job) => Err(format!(
                "target {ordinal} claims job {job}, which the cloud did not make for its proxy"
            )),
            None => Ok(()),
        }
    }
}

/// A job that one change holds as its own is explained: no other one may presume it.
fn presumed_of_another<'a, I: Iterator<Item = (u32, &'a Record)>>(
    records: impl Fn() -> I,
) -> Option<String> {
    let own = |(ordinal, record): (u32, &'a Record)| {
        record
            .jobs
            .iter()
            .filter(|job| !record.presumes(job))
            .map(move |job| (job.clone(), ordinal))
            .collect::<Vec<_>>()
    };
    let owners: BTreeMap<JobId, u32> = records().flat_map(own).collect();
    records().find_map(|(ordinal, record)| {
        let job =
            record.jobs.iter().find(|job| record.presumes(job) && owners.contains_key(*job))?;
        Some(format!(
            "target {ordinal} presumes job {job}, which is that of target {}",
            owners[job]
        ))
    })
}

impl WorldInvariant for Truth {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Observed(
                Observation::Arrives { id: Some(_), call: Call::Inspect { target }, .. },
                Around { cloud, now, .. },
            ) => {
                if let Some(proxy) = cloud.proxy(&target.proxy_id) {
                    let shown = if proxy.ssl_option == self.desired {
                        &mut self.shown
                    } else {
                        &mut self.shown_other
                    };
                    shown.insert(target.proxy_id, *now);
                }
                Ok(())
            }
            Fact::Observed(Observation::Committed { commit, .. }, Around { cloud, now, .. }) => {
                commit.changes.iter().try_for_each(|change| self.step(change, cloud, *now))
            }
            // Steps may have been taken back: what was seen before them counts again.
            Fact::Seen(SeenFact::Rebuilt) => {
                self.stepped.clear();
                Ok(())
            }
            Fact::End { store, cloud, .. } => {
                let page = store
                    .page(self.rollout, Vec::new(), None, usize::MAX)
                    .now_or_never()
                    .expect("ready")
                    .expect("memory");
                let made = cloud.jobs().map(|job| (job.job_id, job.proxy_id)).collect();
                let records = || {
                    page.changes
                        .iter()
                        .map(|active| (active.change.id.ordinal, &active.change.record))
                };
                if let Some(what) = presumed_of_another(records).filter(|_| !self.stepped_clock) {
                    return Err(what);
                }
                page.changes.iter().try_for_each(|active| {
                    self.at_end(&active.change.record, active.change.id.ordinal, cloud, &made)
                })
            }
            _ => Ok(()),
        }
    }
}
