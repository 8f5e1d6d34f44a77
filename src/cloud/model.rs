//! The pure model of the cloud: a fleet, its jobs, and what a request does to them.
//!
//! Invariants: no clock, no I/O; time comes in with every request and never goes back; the same seed, fleet, faults and
//! requests give the same responses, byte for byte. A switch call that is executed makes exactly one job, also when the
//! proxy already has the value; the value changes when that job completes and at no other moment; while a job runs on
//! an instance every other switch on it is refused.
//!
//! Deliberately not here: HTTP (`cloud::emulator`), how a client understands a response (`cloud::answer`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::faults::{Fault, Faults, Operation, Subject};
use super::fleet::Fleet;
use super::ledger::{Fate, Ledger, Sliding, SwitchSeen, nanos};
use super::mix;
use super::vendor_json as json;
use crate::domain::id::{InstanceId, JobId, ProxyId};

/// A request as the API's operations are, stripped of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// `PUT …/instances/{instance_id}/proxy/{proxy_id}/ssl`.
    Switch {
        /// The instance of the path.
        instance_id: InstanceId,
        /// The proxy of the path.
        proxy_id: ProxyId,
        /// The body's value.
        ssl_option: bool,
    },
    /// `GET …/instances/{instance_id}/proxies`.
    Proxies {
        /// The instance of the path.
        instance_id: InstanceId,
        /// Records to skip.
        offset: usize,
        /// Records wanted, 1 to 100.
        limit: usize,
    },
    /// `GET …/jobs?id=`.
    Job {
        /// The text asked for.
        id: &'a str,
    },
    /// `GET …/immediate-jobs`.
    Jobs {
        /// Created at this instant or later.
        start: Option<Timestamp>,
        /// Created at this instant or earlier.
        end: Option<Timestamp>,
        /// Page, from 1.
        page: u32,
        /// Rows of a page: 10, 20 or 50.
        limit: u32,
    },
    /// A request that is refused before any operation is reached.
    Refused(Refusal),
}

/// Why a request reaches no operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No `X-Auth-Token`.
    TokenMissing,
    /// Not the token.
    TokenWrong,
    /// No API has this path and method.
    UnknownPath,
    /// Another project's id in the path.
    WrongProject,
    /// The body is not `{"ssl_option": <boolean>}`.
    BadBody,
    /// An id in the path does not have the documented form.
    BadId,
    /// `limit` or `offset` out of range.
    BadPage,
}

/// What goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// From arrival to answer, or to the end of the connection.
    pub delay: Duration,
    /// The answer.
    pub content: Content,
    /// Whether the request was a switch that was executed, at its arrival.
    pub executed: bool,
}

/// An answer, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An HTTP answer.
    Answer {
        /// HTTP status.
        status: u16,
        /// `Retry-After` in seconds.
        retry_after: Option<u32>,
        /// `X-Request-Id`.
        request_id: [u8; 32],
        /// Whether the body is HTML instead of JSON.
        html: bool,
        /// The body.
        body: String,
    },
    /// The connection is closed without a byte.
    Dropped,
}

/// The name under which the model's job list shows the switch. The vendor publishes none; this one is made up.
pub const SWITCH_JOB_NAME: &str = "SwitchGaussDBforMySQLProxySSL";

/// The name of the operation that somebody else starts; the vendor's, see `cloud::job_names`.
pub const FOREIGN_JOB_NAME: &str = "EnlargeGaussDBforMySQLProxy";

/// The share of a job's time during which it is `Pending`.
const PENDING_SHARE: u64 = 10;

struct Instance {
    id: InstanceId,
    first: u32,
    count: u32,
    job: Option<u32>,
}

#[derive(Clone, Copy)]
struct Proxy {
    instance: u32,
    ssl_option: bool,
    faulty: bool,
    executed: u32,
    effective: u32,
    flips: u32,
}

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Made by a switch call.
    Switch { proxy: u32, ssl_option: bool },
    /// Somebody else's switch of the same kind; in the lists it looks like ours.
    ForeignSwitch { proxy: u32, ssl_option: bool },
    /// Somebody else's other operation.
    Foreign,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    instance: u32,
    kind: Kind,
    created: u64,
    visible: u64,
    ends: u64,
    fails: bool,
}

/// A proxy, told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ProxyState {
    /// Its instance.
    pub instance_id: InstanceId,
    /// The proxy.
    pub proxy_id: ProxyId,
    /// The value in force.
    pub ssl_option: bool,
    /// Whether a job runs on its instance.
    pub busy: bool,
    /// Switch calls for it that were executed, failed jobs included.
    pub executed: u32,
    /// Switch calls for it that were executed and whose job completed: more than one is a needless repetition.
    pub effective: u32,
    /// Times the value really changed, also by somebody else.
    pub flips: u32,
}

/// A job made by a switch call, told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct JobState {
    /// Its id.
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

/// The model.
pub struct Model {
    start: Timestamp,
    seed: u64,
    rng: Rng,
    faults: Faults,
    fired: [u64; Fault::WORDS.len()],
    instances: Vec<Instance>,
    proxy_ids: Vec<ProxyId>,
    proxies: Vec<Proxy>,
    instance_index: HashMap<InstanceId, u32>,
    proxy_index: HashMap<ProxyId, u32>,
    jobs: Vec<Job>,
    ending: BinaryHeap<Reverse<(u64, u32)>>,
    admitted: Option<Sliding>,
    ledger: Ledger,
    now: u64,
}

impl Model {
    /// A cloud with this fleet. `start` is the instant from which the rules' `from` and `to` count.
    pub fn new(fleet: &Fleet, faults: Faults, seed: u64, start: Timestamp) -> Self {
        let mut instances: Vec<Instance> = Vec::new();
        let mut instance_index = HashMap::new();
        for proxy in fleet.proxies() {
            let next = instances.len() as u32;
            let index = *instance_index.entry(proxy.instance_id).or_insert(next);
            if index == next {
                instances.push(Instance { id: proxy.instance_id, first: 0, count: 0, job: None });
            }
            instances[index as usize].count += 1;
        }
        let mut first = 0;
        for instance in &mut instances {
            instance.first = first;
            first += instance.count;
        }
        // The proxies of an instance stand together, so that a list call is one slice.
        let mut ordered: Vec<_> = fleet.proxies().iter().map(|proxy| (instance_index[&proxy.instance_id], proxy)).collect();
        ordered.sort_by_key(|(instance, _)| *instance);
        let proxy_ids: Vec<ProxyId> = ordered.iter().map(|(_, proxy)| proxy.proxy_id).collect();
        let proxies = ordered
            .iter()
            .map(|(instance, proxy)| Proxy {
                instance: *instance,
                ssl_option: proxy.ssl_option,
                faulty: false,
                executed: 0,
                effective: 0,
                flips: 0,
            })
            .collect();
        let mut watched = vec![Duration::from_secs(1)];
        watched.extend(faults.quota.map(|quota| quota.per).filter(|per| *per != watched[0]));
        Self {
            start,
            seed,
            rng: Rng::with_seed(seed),
            admitted: faults.quota.map(|quota| Sliding::new(quota.per)),
            faults,
            fired: [0; Fault::WORDS.len()],
            proxy_index: proxy_ids.iter().zip(0..).map(|(id, index)| (*id, index)).collect(),
            proxy_ids,
            proxies,
            instances,
            instance_index,
            jobs: Vec::new(),
            ending: BinaryHeap::new(),
            ledger: Ledger::new(&watched),
            now: 0,
        }
    }

    /// Takes one request. Jobs that end by then take effect first.
    pub fn handle(&mut self, now: Timestamp, request: &Request<'_>) -> Response {
        self.advance(now);
        self.ledger.arrived(self.now);
        let delay = self.faults.latency.draw(&mut self.rng);
        let response = self.respond(request, delay);
        if let Request::Switch { proxy_id, ssl_option, .. } = request {
            let fate = if response.executed { Fate::Executed(self.jobs.len() as u32 - 1) } else { Fate::NotExecuted };
            let status = match response.content {
                Content::Answer { status, .. } => status,
                Content::Dropped => 0,
            };
            self.ledger.switched(SwitchSeen {
                at_ns: self.now,
                proxy: self.proxy_index.get(proxy_id).copied(),
                ssl_option: *ssl_option,
                fate,
                status,
            });
        }
        if let Request::Proxies { instance_id, .. } = request {
            self.meddle(instance_id);
        }
        response
    }

    /// Lets time pass: jobs that end by then take effect.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(self.since_start(now));
        while let Some(&Reverse((ends, index))) = self.ending.peek() {
            if ends > self.now {
                break;
            }
            self.ending.pop();
            self.end_job(index);
        }
    }

    fn since_start(&self, instant: Timestamp) -> u64 {
        u64::try_from(instant.as_nanosecond() - self.start.as_nanosecond()).unwrap_or(0)
    }

    fn end_job(&mut self, index: u32) {
        let job = self.jobs[index as usize];
        self.instances[job.instance as usize].job = None;
        if job.fails {
            return;
        }
        if let Kind::Switch { proxy, ssl_option } | Kind::ForeignSwitch { proxy, ssl_option } = job.kind {
            let proxy = &mut self.proxies[proxy as usize];
            proxy.flips += u32::from(proxy.ssl_option != ssl_option);
            proxy.ssl_option = ssl_option;
            proxy.effective += u32::from(matches!(job.kind, Kind::Switch { .. }));
        }
    }

    /// What stands between arrival and operation, the operation, and what stands between it and the answer.
    fn respond(&mut self, request: &Request<'_>, delay: Duration) -> Response {
        if let Request::Refused(refusal) = request {
            let (status, body) = json::refusal(*refusal);
            return self.answer(delay, status, body, None, false);
        }
        if let Some(seconds) = self.over_quota() {
            return self.answer(delay, 429, json::throttled(), Some(seconds), false);
        }
        if self.fires(Fault::TokenExpired, request) {
            return self.answer(delay, 401, json::token_expired(), None, false);
        }
        if self.fires(Fault::Throttle, request) {
            return self.answer(delay, 429, json::throttled(), None, false);
        }
        if self.fires(Fault::ThrottleWithRetryAfter, request) {
            let seconds = self.faults.retry_after.as_nanos().div_ceil(1_000_000_000);
            return self.answer(delay, 429, json::throttled(), Some(u32::try_from(seconds).unwrap_or(u32::MAX)), false);
        }
        if self.fires(Fault::DropBefore, request) {
            return Response { delay, content: Content::Dropped, executed: false };
        }
        if self.fires(Fault::Error500Before, request) {
            return self.answer(delay, 500, json::server_failure(), None, false);
        }
        let bad_gateway = self.fires(Fault::Html502, request);
        if bad_gateway && self.rng.bool() {
            return self.html_502(delay, false);
        }

        let is_switch = matches!(request, Request::Switch { .. });
        let (status, body, executed) = self.operate(request);

        if bad_gateway {
            return self.html_502(delay, executed);
        }
        if self.fires(Fault::DropAfter, request) {
            return Response { delay, content: Content::Dropped, executed };
        }
        if is_switch && self.fires(Fault::Error500After, request) {
            return self.answer(delay, 500, json::server_failure(), None, executed);
        }
        let delay = if self.fires(Fault::Slow, request) { delay + self.faults.slow_delay.draw(&mut self.rng) } else { delay };
        if status == 200 && self.fires(Fault::Garbage200, request) {
            return self.answer(delay, 200, "\u{0}{\"job_id\": \"".to_owned(), None, executed);
        }
        if is_switch && status == 200 && self.fires(Fault::NoJobId200, request) {
            return self.answer(delay, 200, "{}".to_owned(), None, executed);
        }
        self.answer(delay, status, body, None, executed)
    }

    fn operate(&mut self, request: &Request<'_>) -> (u16, String, bool) {
        match *request {
            Request::Switch { instance_id, proxy_id, ssl_option } => self.switch(request, &instance_id, &proxy_id, ssl_option),
            Request::Proxies { instance_id, offset, limit } => match self.instance_index.get(&instance_id) {
                Some(&index) => (200, self.list_proxies(index, offset, limit), false),
                None => (404, json::error("DBS.201028", "The DB instance does not exist."), false),
            },
            Request::Job { id } => match self.visible_job(id) {
                Some(index) => (200, self.show_job(index), false),
                None => (400, json::error("DBS.200543", "The job does not exist."), false),
            },
            Request::Jobs { start, end, page, limit } => (200, self.list_jobs(start, end, page, limit), false),
            Request::Refused(_) => unreachable!("refused requests are answered before any operation"),
        }
    }

    fn switch(&mut self, request: &Request<'_>, instance_id: &InstanceId, proxy_id: &ProxyId, ssl_option: bool) -> (u16, String, bool) {
        let Some(&instance) = self.instance_index.get(instance_id) else {
            return (404, json::error("DBS.201028", "The DB instance does not exist."), false);
        };
        let proxy = match self.proxy_index.get(proxy_id) {
            Some(&proxy) if self.proxies[proxy as usize].instance == instance => proxy,
            _ => return (400, json::error("DBS.270024", "The database proxy does not exist."), false),
        };
        if self.proxies[proxy as usize].faulty {
            return (409, json::error("DBS.280406", "The instance status does not allow this operation."), false);
        }
        let busy = self.instances[instance as usize].job.is_some();
        if busy {
            self.fired[Fault::InstanceBusy as usize] += 1;
        }
        if busy || self.fires(Fault::Busy, request) {
            return (409, json::error("DBS.200019", "Another operation is being performed on the instance, or it is faulty."), false);
        }
        let fails = self.fires(Fault::JobFails, request);
        let index = self.start_job(instance, Kind::Switch { proxy, ssl_option }, fails);
        self.proxies[proxy as usize].executed += 1;
        (200, json::job_id(&mix::job_id(self.seed, index)), true)
    }

    fn start_job(&mut self, instance: u32, kind: Kind, fails: bool) -> u32 {
        let index = u32::try_from(self.jobs.len()).expect("four thousand million jobs do not fit into memory");
        let ends = self.now + nanos(self.faults.job_time.draw(&mut self.rng)).max(1);
        let visible = self.now + nanos(self.faults.visibility_lag.draw(&mut self.rng));
        self.jobs.push(Job { instance, kind, created: self.now, visible, ends, fails });
        self.instances[instance as usize].job = Some(index);
        self.ending.push(Reverse((ends, index)));
        index
    }

    /// What somebody else does right after we looked.
    fn meddle(&mut self, instance_id: &InstanceId) {
        if self.faults.foreign_job.is_never() && self.faults.foreign_change.is_never() {
            return;
        }
        let Some(&instance) = self.instance_index.get(instance_id) else { return };
        let Instance { first, count, job, .. } = self.instances[instance as usize];
        let request = Request::Proxies { instance_id: *instance_id, offset: 0, limit: 1 };
        if job.is_some() {
            return;
        }
        if self.fires(Fault::ForeignJob, &request) {
            self.start_job(instance, Kind::Foreign, false);
        } else if self.fires(Fault::ForeignChange, &request) {
            let proxy = self.rng.u32(first..first + count);
            let ssl_option = !self.proxies[proxy as usize].ssl_option;
            self.start_job(instance, Kind::ForeignSwitch { proxy, ssl_option }, false);
        }
    }

    /// Somebody else switches a proxy now; false when there is no such proxy or its instance is busy.
    pub fn foreign_change(&mut self, now: Timestamp, proxy_id: &ProxyId, ssl_option: bool) -> bool {
        self.advance(now);
        let Some(&proxy) = self.proxy_index.get(proxy_id) else { return false };
        let instance = self.proxies[proxy as usize].instance;
        let free = self.instances[instance as usize].job.is_none();
        if free {
            self.start_job(instance, Kind::ForeignSwitch { proxy, ssl_option }, false);
        }
        free
    }

    /// Somebody else starts another operation now; false when there is no such instance or it is busy.
    pub fn foreign_job(&mut self, now: Timestamp, instance_id: &InstanceId) -> bool {
        self.advance(now);
        let Some(&instance) = self.instance_index.get(instance_id) else { return false };
        let free = self.instances[instance as usize].job.is_none();
        if free {
            self.start_job(instance, Kind::Foreign, false);
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
        let Instance { id, first, count, job } = &self.instances[instance as usize];
        let changing = job.and_then(|job| match self.jobs[job as usize].kind {
            Kind::Switch { proxy, .. } | Kind::ForeignSwitch { proxy, .. } => Some(proxy),
            Kind::Foreign => None,
        });
        let rows = (*first..first + count).skip(offset).take(limit).map(|index| {
            let proxy = self.proxies[index as usize];
            let status = match (job, changing) {
                _ if proxy.faulty => "ABNORMAL",
                (Some(_), Some(changing)) if changing == index => "CHANGING SSL",
                (Some(_), None) => "ADDING PROXY NODE",
                _ => "ACTIVE",
            };
            json::ProxyRow { id: &self.proxy_ids[index as usize], number: index, ssl_option: proxy.ssl_option, status }
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

    fn job_status(&self, job: &Job) -> json::JobStatus {
        if job.ends <= self.now {
            return if job.fails { json::JobStatus::Failed } else { json::JobStatus::Completed };
        }
        let (age, life) = (self.now - job.created, job.ends - job.created);
        if age < life / PENDING_SHARE {
            return json::JobStatus::Pending;
        }
        json::JobStatus::Running { percent: u8::try_from(u128::from(age) * 100 / u128::from(life)).unwrap_or(99) }
    }

    fn job_row(&self, index: u32) -> json::JobRow<'_> {
        let job = &self.jobs[index as usize];
        let name = if job.kind == Kind::Foreign { FOREIGN_JOB_NAME } else { SWITCH_JOB_NAME };
        let status = self.job_status(job);
        let at = |nanos: u64| self.start + Duration::from_nanos(nanos);
        json::JobRow {
            id: mix::job_id(self.seed, index),
            name,
            instance_id: &self.instances[job.instance as usize].id,
            created: at(job.created),
            ended: status.is_final().then(|| at(job.ends)),
            status,
        }
    }

    fn show_job(&self, index: u32) -> String {
        json::job(&self.job_row(index))
    }

    /// The newest job first, as task centres show them; the vendor does not say.
    fn list_jobs(&self, start: Option<Timestamp>, end: Option<Timestamp>, page: u32, limit: u32) -> String {
        let from = start.map_or(0, |start| self.jobs.partition_point(|job| self.start + Duration::from_nanos(job.created) < start));
        let to = end.map_or(self.jobs.len(), |end| self.jobs.partition_point(|job| self.start + Duration::from_nanos(job.created) <= end));
        let visible = (from..to.max(from)).rev().filter(|index| self.jobs[*index].visible <= self.now);
        let total = visible.clone().count();
        let skip = (page.max(1) as usize - 1).saturating_mul(limit as usize);
        json::jobs(total, visible.skip(skip).take(limit as usize).map(|index| self.job_row(index as u32)))
    }

    fn answer(&mut self, delay: Duration, status: u16, body: String, retry_after: Option<u32>, executed: bool) -> Response {
        let request_id = mix::request_id(self.seed, self.ledger.arrivals_total());
        Response { delay, content: Content::Answer { status, retry_after, request_id, html: false, body }, executed }
    }

    fn html_502(&mut self, delay: Duration, executed: bool) -> Response {
        let request_id = mix::request_id(self.seed, self.ledger.arrivals_total());
        let body = json::HTML_502.to_owned();
        Response { delay, content: Content::Answer { status: 502, retry_after: None, request_id, html: true, body }, executed }
    }

    /// Seconds to wait when the cloud's quota is used up; admits the call otherwise.
    fn over_quota(&mut self) -> Option<u32> {
        let (Some(quota), Some(admitted)) = (self.faults.quota, &mut self.admitted) else { return None };
        if admitted.count(self.now) < quota.requests as usize {
            admitted.add(self.now);
            return None;
        }
        self.fired[Fault::Quota as usize] += 1;
        let wait = admitted.frees_at().map_or(0, |free| free.saturating_sub(self.now));
        Some(u32::try_from(wait.div_ceil(1_000_000_000)).unwrap_or(u32::MAX).max(1))
    }

    /// Draws a fault and counts it.
    fn fires(&mut self, fault: Fault, request: &Request<'_>) -> bool {
        let rate = match fault {
            Fault::Throttle => &self.faults.throttle,
            Fault::ThrottleWithRetryAfter => &self.faults.throttle_with_retry_after,
            Fault::Error500Before => &self.faults.error_500_before,
            Fault::Error500After => &self.faults.error_500_after,
            Fault::Html502 => &self.faults.html_502,
            Fault::Garbage200 => &self.faults.garbage_200,
            Fault::NoJobId200 => &self.faults.no_job_id_200,
            Fault::DropBefore => &self.faults.drop_before,
            Fault::DropAfter => &self.faults.drop_after,
            Fault::Slow => &self.faults.slow,
            Fault::JobFails => &self.faults.job_fails,
            Fault::Busy => &self.faults.busy,
            Fault::TokenExpired => &self.faults.token_expired,
            Fault::ForeignJob => &self.faults.foreign_job,
            Fault::ForeignChange => &self.faults.foreign_change,
            Fault::Quota | Fault::VisibilityLag | Fault::InstanceBusy => return false,
        };
        if rate.is_never() {
            return false;
        }
        let proxies = |index: Option<&u32>| index.map_or(0..0, |index| *index as usize..*index as usize + 1);
        let (operation, range) = match request {
            Request::Switch { proxy_id, .. } => (Some(Operation::Switch), proxies(self.proxy_index.get(proxy_id))),
            Request::Proxies { instance_id, .. } => (
                Some(Operation::Proxies),
                self.instance_index.get(instance_id).map_or(0..0, |index| {
                    let Instance { first, count, .. } = self.instances[*index as usize];
                    first as usize..(first + count) as usize
                }),
            ),
            Request::Job { id } => {
                let job = mix::job_index(self.seed, id).and_then(|index| self.jobs.get(index as usize));
                let proxy = job.and_then(|job| match &job.kind {
                    Kind::Switch { proxy, .. } | Kind::ForeignSwitch { proxy, .. } => Some(proxy),
                    Kind::Foreign => None,
                });
                (Some(Operation::Job), proxies(proxy))
            }
            Request::Jobs { .. } => (Some(Operation::Jobs), 0..0),
            Request::Refused(_) => (None, 0..0),
        };
        let subject = Subject { operation, proxies: &self.proxy_ids[range] };
        let fires = rate.fires(&mut self.rng, Duration::from_nanos(self.now), &subject);
        self.fired[fault as usize] += u64::from(fires);
        fires
    }

    /// Keeps the worst number of arrivals in any interval of this length, from now on.
    pub fn watch(&mut self, interval: Duration) {
        self.ledger.watch(interval);
    }

    /// Changes the faults from now on; jobs that run keep what was drawn for them. The watched intervals stay.
    pub fn set_faults(&mut self, faults: Faults) {
        if faults.quota != self.faults.quota {
            self.admitted = faults.quota.map(|quota| Sliding::new(quota.per));
        }
        self.faults = faults;
    }

    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How often each fault fired, zeros included.
    pub fn fired(&self) -> BTreeMap<&'static str, u64> {
        Fault::WORDS.into_iter().zip(self.fired).collect()
    }

    /// What arrived.
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
        }
    }

    /// Every job that a switch call made, oldest first, also those whose id was lost on the way back.
    pub fn jobs(&self) -> impl Iterator<Item = JobState> + '_ {
        self.jobs.iter().zip(0..).filter_map(|(job, index)| {
            let Kind::Switch { proxy, ssl_option } = job.kind else { return None };
            let id = mix::job_id(self.seed, index);
            Some(JobState {
                job_id: std::str::from_utf8(&id).ok()?.parse().ok()?,
                proxy_id: self.proxy_ids[proxy as usize],
                ssl_option,
                created_ns: job.created,
                status: self.job_status(job).word(),
            })
        })
    }

    /// When the next job ends, if one runs: for simulations that skip idle time.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ending.peek().map(|Reverse((ends, _))| self.start + Duration::from_nanos(*ends))
    }
}

#[cfg(test)]
mod tests;
