//! What the operations do: the switch, the three reads, and what somebody else does meanwhile.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;

use super::request::Request;
use super::{
    FOREIGN_JOB_NAME, JobKind, Model, PENDING_SHARE, SWITCH_JOB_NAME, SimInstance, SimJob,
    UNKNOWN_JOB_NAME,
};
use crate::domain::id::{InstanceId, ProxyId};
use crate::simcloud::faults::{Fault, Faults, OffsetShape, Rate};
use crate::simcloud::ledger::nanos;
use crate::simcloud::mix;
use crate::simcloud::vendor_json as json;

/// From when to when; `None`: open at that end.
type ListSpan = (Option<Timestamp>, Option<Timestamp>);

impl Model {
    pub(super) fn operate(&mut self, request: &Request<'_>) -> (u16, String, bool) {
        match *request {
            Request::Switch { instance_id, proxy_id, ssl_option } => {
                self.switch(request, &instance_id, &proxy_id, ssl_option)
            }
            Request::Proxies { instance_id, offset, limit } => match self
                .instance_index
                .get(&instance_id)
            {
                Some(&index) => (200, self.list_proxies(index, offset, limit), false),
                None => (404, json::error("DBS.201028", "The DB instance does not exist."), false),
            },
            Request::Instances { offset, limit } => {
                (200, self.list_instances(offset, limit), false)
            }
            Request::Job { id } => match self.visible_job(id) {
                Some(index) => (200, self.show_job(index), false),
                None => (400, json::error("DBS.200543", "The job does not exist."), false),
            },
            Request::Jobs { status, start, end, offset, limit } => {
                (200, self.list_jobs(status, (start, end), offset, limit), false)
            }
            Request::Refused(_) => {
                unreachable!("refused requests are answered before any operation")
            }
        }
    }

    fn switch(
        &mut self,
        request: &Request<'_>,
        instance_id: &InstanceId,
        proxy_id: &ProxyId,
        ssl_option: bool,
    ) -> (u16, String, bool) {
        let Some(&instance) = self.instance_index.get(instance_id) else {
            return (404, json::error("DBS.201028", "The DB instance does not exist."), false);
        };
        let proxy = match self.proxy_index.get(proxy_id) {
            Some(&proxy) if self.proxies[proxy as usize].instance == instance => proxy,
            _ => {
                return (
                    400,
                    json::error("DBS.270024", "The database proxy does not exist."),
                    false,
                );
            }
        };
        if self.proxies[proxy as usize].faulty {
            return (
                409,
                json::error("DBS.280406", "The instance status does not allow this operation."),
                false,
            );
        }
        let busy = self.instances[instance as usize].job.is_some();
        if busy {
            self.fired[Fault::InstanceBusy as usize] += 1;
        }
        if busy || self.fires(Fault::Busy, request) {
            return (
                409,
                json::error(
                    "DBS.200019",
                    "Another operation is being performed on the instance, or it is faulty.",
                ),
                false,
            );
        }
        let fails = self.fires(Fault::JobFails, request);
        let quiet = self.fires(Fault::StaysActive, request);
        let index = self.start_job(instance, JobKind::Switch { proxy, ssl_option }, fails, quiet);
        self.proxies[proxy as usize].executed += 1;
        (200, json::job_id(&mix::job_id(self.seed, index)), true)
    }

    fn list_instances(&self, offset: usize, limit: usize) -> String {
        let page = self.instances.iter().zip(1u32..).skip(offset).take(limit);
        json::instances(
            self.instances.len(),
            page.map(|(instance, number)| (&instance.id, number, instance.first)),
            &self.addresses,
        )
    }

    fn start_job(&mut self, instance: u32, kind: JobKind, fails: bool, quiet: bool) -> u32 {
        let index = u32::try_from(self.jobs.len())
            .expect("four thousand million jobs do not fit into memory");
        let ends = self.now + nanos(self.faults.job_time.draw(&mut self.rng)).max(1);
        let visible = self.now + nanos(self.faults.visibility_lag.draw(&mut self.rng));
        self.jobs.push(SimJob {
            instance,
            kind,
            created: self.now,
            dated: self.clock(),
            visible,
            ends,
            fails,
            quiet,
        });
        self.instances[instance as usize].job = Some(index);
        self.ending.push(Reverse((ends, index)));
        index
    }

    /// What somebody else does right after we looked.
    pub(super) fn meddle(&mut self, instance_id: &InstanceId) {
        let Faults { foreign_job, foreign_change, foreign_unknown, .. } = &self.faults;
        if [foreign_job, foreign_change, foreign_unknown].into_iter().all(Rate::is_never) {
            return;
        }
        let Some(&instance) = self.instance_index.get(instance_id) else { return };
        let SimInstance { first, count, job, .. } = self.instances[instance as usize];
        let request = Request::Proxies { instance_id: *instance_id, offset: 0, limit: 1 };
        if job.is_some() {
            return;
        }
        if self.fires(Fault::ForeignJob, &request) {
            self.start_job(instance, JobKind::Foreign, false, false);
        } else if self.fires(Fault::ForeignChange, &request) {
            let proxy = self.rng.u32(first..first + count);
            let ssl_option = !self.proxies[proxy as usize].ssl_option;
            self.start_job(instance, JobKind::ForeignSwitch { proxy, ssl_option }, false, false);
        } else if self.fires(Fault::ForeignUnknown, &request) {
            let fails = self.rng.u8(0..4) == 0;
            self.start_job(instance, JobKind::ForeignUnknown, fails, true);
        }
    }

    /// Somebody else switches a proxy now; false when there is no such proxy or its instance is
    /// busy.
    pub fn foreign_change(&mut self, now: Timestamp, proxy_id: &ProxyId, ssl_option: bool) -> bool {
        self.advance(now);
        let Some(&proxy) = self.proxy_index.get(proxy_id) else { return false };
        let instance = self.proxies[proxy as usize].instance;
        let free = self.instances[instance as usize].job.is_none();
        if free {
            self.start_job(instance, JobKind::ForeignSwitch { proxy, ssl_option }, false, false);
        }
        free
    }

    /// Somebody else starts another operation now; false when there is no such instance or it is
    /// busy.
    pub fn foreign_job(&mut self, now: Timestamp, instance_id: &InstanceId) -> bool {
        self.advance(now);
        let Some(&instance) = self.instance_index.get(instance_id) else { return false };
        let free = self.instances[instance as usize].job.is_none();
        if free {
            self.start_job(instance, JobKind::Foreign, false, false);
        }
        free
    }

    /// Makes a proxy `ABNORMAL`, or well again; false when there is no such proxy.
    pub fn set_faulty(&mut self, proxy_id: &ProxyId, faulty: bool) -> bool {
        let Some(&proxy) = self.proxy_index.get(proxy_id) else { return false };
        self.proxies[proxy as usize].faulty = faulty;
        true
    }

    fn list_proxies(&self, instance: u32, offset: usize, limit: usize) -> String {
        let SimInstance { id, first, count, job } = &self.instances[instance as usize];
        let job = job.filter(|job| !self.jobs[*job as usize].quiet);
        let changing = job.and_then(|job| match self.jobs[job as usize].kind {
            JobKind::Switch { proxy, .. } | JobKind::ForeignSwitch { proxy, .. } => Some(proxy),
            JobKind::Foreign | JobKind::ForeignUnknown | JobKind::Elsewhere => None,
        });
        let rows = (*first..first + count).skip(offset).take(limit).map(|index| {
            let proxy = self.proxies[index as usize];
            let status = match (job, changing) {
                _ if proxy.faulty => "ABNORMAL",
                (Some(_), Some(changing)) if changing == index => "CHANGING SSL",
                (Some(_), None) => "ADDING PROXY NODE",
                _ => "ACTIVE",
            };
            json::ProxyJson {
                id: &self.proxy_ids[index as usize],
                number: index,
                address: self.addresses.of(index),
                port: self.addresses.port(),
                ssl_option: proxy.ssl_option,
                status,
            }
        });
        json::proxies(id, rows, self.faults.ssl_option, self.faults.readonly_nodes)
    }

    fn visible_job(&mut self, id: &str) -> Option<u32> {
        let index = mix::job_index(self.seed, id)?;
        let job = self.jobs.get(index as usize)?;
        if job.visible > self.now {
            self.fired[Fault::VisibilityLag as usize] += 1;
            return None;
        }
        Some(index)
    }

    pub(super) fn job_status(&self, job: &SimJob) -> json::JobStatus {
        if job.ends <= self.now {
            return if job.fails { json::JobStatus::Failed } else { json::JobStatus::Completed };
        }
        let (age, life) = (self.now - job.created, job.ends - job.created);
        if age < life / PENDING_SHARE {
            return json::JobStatus::Pending;
        }
        json::JobStatus::Running {
            percent: u8::try_from(u128::from(age) * 100 / u128::from(life)).unwrap_or(99),
        }
    }

    fn job_row(&self, index: u32) -> json::JobJson<'_> {
        let job = &self.jobs[index as usize];
        let (name, instance_id) = match job.kind {
            JobKind::Switch { .. } | JobKind::ForeignSwitch { .. } => {
                (SWITCH_JOB_NAME, &self.instances[job.instance as usize].id)
            }
            JobKind::Foreign => (FOREIGN_JOB_NAME, &self.instances[job.instance as usize].id),
            JobKind::ForeignUnknown => {
                (UNKNOWN_JOB_NAME, &self.instances[job.instance as usize].id)
            }
            JobKind::Elsewhere => (UNKNOWN_JOB_NAME, &self.elsewhere),
        };
        let status = self.job_status(job);
        json::JobJson {
            id: mix::job_id(self.seed, index),
            name,
            instance_id,
            created: job.dated,
            ended: status
                .is_final()
                .then(|| job.dated + Duration::from_nanos(job.ends - job.created)),
            status,
        }
    }

    /// The jobs among which those of a span are: all, unless the clock that dated them never was
    /// set.
    fn dated_within(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> (usize, usize) {
        if !self.faults.clock.steps.is_empty() || self.clock_was_set {
            return (0, self.jobs.len());
        }
        let from = start.map_or(0, |start| self.jobs.partition_point(|job| job.dated < start));
        let to =
            end.map_or(self.jobs.len(), |end| self.jobs.partition_point(|job| job.dated <= end));
        (from, to.max(from))
    }

    fn show_job(&self, index: u32) -> String {
        json::job(&self.job_row(index))
    }

    /// The newest job first, as task centres show them; the vendor does not say.
    fn list_jobs(
        &mut self,
        status: Option<&str>,
        (start, end): ListSpan,
        offset: u32,
        limit: u32,
    ) -> String {
        let dated = |job: &SimJob| {
            start.is_none_or(|start| start <= job.dated) && end.is_none_or(|end| job.dated <= end)
        };
        let wanted = |job: &SimJob| {
            job.visible <= self.now
                && status.is_none_or(|status| self.job_status(job).as_str() == status)
        };
        let (from, to) = self.dated_within(start, end);
        let visible = (from..to)
            .rev()
            .filter(|index| dated(&self.jobs[*index]) && wanted(&self.jobs[*index]));
        let total = visible.clone().count();
        let (offset, limit) = (offset as usize, limit as usize);
        let pages = offset.saturating_sub(1).saturating_mul(limit);
        let skip = match self.faults.job_offset {
            OffsetShape::Pages => pages,
            OffsetShape::Records => offset.saturating_sub(1),
            OffsetShape::RecordsFromZero => offset,
        };
        let list = json::jobs(
            total,
            visible.skip(skip).take(limit).map(|index| self.job_row(index as u32)),
        );
        self.fired[Fault::JobsByRecords as usize] += u64::from(skip != pages && total > limit);
        list
    }
}
