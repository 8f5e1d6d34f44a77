//! The pure model of the cloud: a fleet, its jobs, and what a request does to them.
//!
//! Invariants: no clock, no I/O; time comes in with every request and never goes back; the same
//! seed, fleet, faults and requests give the same responses, byte for byte. A switch call that is
//! executed makes exactly one job, also when the proxy already has the value; the value changes
//! when that job completes and at no other moment; while a job runs on an instance every other
//! switch on it is refused.
//!
//! Deliberately not here: HTTP (`simcloud::emulator`), how a client understands a response
//! (`cloud::answer`).

mod operations;
mod request;
mod wire;
mod witness;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

pub use request::{Content, Request, Response};
pub(super) use wire::PortBehaviour;
pub use witness::{JobState, ProxyState};

use super::addresses::Addresses;
use super::faults::{Between, CallSubject, Fault, Faults, Operation};
use super::fleet::Fleet;
use super::ledger::{Fate, Ledger, Sliding, SwitchSeen, nanos};
use super::mix;
use super::vendor_json as json;
use crate::domain::id::{InstanceId, ProxyId};

/// The name under which the model's job list shows the switch. The vendor publishes none; this one
/// is made up.
pub const SWITCH_JOB_NAME: &str = "SwitchGaussDBforMySQLProxySSL";

/// The name of the operation that somebody else starts; the vendor's, see `cloud::job_names`.
pub const FOREIGN_JOB_NAME: &str = "EnlargeGaussDBforMySQLProxy";

/// The name of the jobs of other instances, and of some of other people: one that no document of
/// the vendor has.
pub const UNKNOWN_JOB_NAME: &str = "GaussDBforMySQLUndocumented";

/// The instance of the jobs that are begun elsewhere in the project; it is not in the fleet.
const ELSEWHERE: &str = "e15e00000000000000000000000000e1in07";

/// How long a job of another instance takes.
const ELSEWHERE_TAKES: u64 = 1_000_000_000;

/// The share of a job's time during which it is `Pending`.
const PENDING_SHARE: u64 = 10;

struct SimInstance {
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
    switched: bool,
}

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobKind {
    /// Made by a switch call.
    Switch { proxy: u32, ssl_option: bool },
    /// Somebody else's switch of the same kind; in the lists it looks like ours.
    ForeignSwitch { proxy: u32, ssl_option: bool },
    /// Somebody else's other operation.
    Foreign,
    /// Somebody else's operation of which the job list alone tells, under a name that no document
    /// has.
    ForeignUnknown,
    /// An operation on an instance that is not of the fleet.
    Elsewhere,
}

#[derive(Debug, Clone, Copy)]
struct SimJob {
    instance: u32,
    kind: JobKind,
    created: u64,
    /// When it was made, by the cloud's clock then.
    dated: Timestamp,
    visible: u64,
    ends: u64,
    fails: bool,
    /// Its proxy stays `ACTIVE` meanwhile.
    quiet: bool,
}

pub struct Model {
    start: Timestamp,
    seed: u64,
    rng: Rng,
    faults: Faults,
    fired: [u64; Fault::WORDS.len()],
    instances: Vec<SimInstance>,
    proxy_ids: Vec<ProxyId>,
    proxies: Vec<Proxy>,
    instance_index: HashMap<InstanceId, u32>,
    proxy_index: HashMap<ProxyId, u32>,
    addresses: Addresses,
    jobs: Vec<SimJob>,
    ending: BinaryHeap<Reverse<(u64, u32)>>,
    elsewhere: InstanceId,
    /// When the next job of another instance begins, if any do.
    next_elsewhere: u64,
    admitted: Option<Sliding>,
    ledger: Ledger,
    now: u64,
    /// The clock was stepped: jobs are no longer dated in their order.
    clock_was_set: bool,
}

impl Model {
    /// A cloud with this fleet. `start` is the instant from which the rules' `from` and `to` count.
    pub fn new(fleet: &Fleet, faults: Faults, seed: u64, start: Timestamp) -> Self {
        let mut instances: Vec<SimInstance> = Vec::new();
        let mut instance_index = HashMap::new();
        for proxy in fleet.proxies() {
            let next = instances.len() as u32;
            let index = *instance_index.entry(proxy.instance_id).or_insert(next);
            if index == next {
                instances.push(SimInstance {
                    id: proxy.instance_id,
                    first: 0,
                    count: 0,
                    job: None,
                });
            }
            instances[index as usize].count += 1;
        }
        let mut first = 0;
        for instance in &mut instances {
            instance.first = first;
            first += instance.count;
        }
        // The proxies of an instance stand together, so that a list call is one slice.
        let mut ordered: Vec<_> = fleet
            .proxies()
            .iter()
            .map(|proxy| (instance_index[&proxy.instance_id], proxy))
            .collect();
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
                switched: false,
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
            addresses: Addresses::PRIVATE,
            jobs: Vec::new(),
            ending: BinaryHeap::new(),
            elsewhere: ELSEWHERE.parse().expect("36 letters and digits"),
            next_elsewhere: 0,
            ledger: Ledger::new(&watched),
            now: 0,
            clock_was_set: false,
        }
    }

    /// Takes one request. Jobs that end by then take effect first.
    pub fn handle(&mut self, now: Timestamp, request: &Request<'_>) -> Response {
        self.advance(now);
        self.ledger.arrived(self.now);
        self.fired[Fault::Clock as usize] += u64::from(!self.ahead().is_zero());
        let delay = self.faults.latency.draw(&mut self.rng);
        let response = self.respond(request, delay);
        if let Request::Switch { proxy_id, ssl_option, .. } = request {
            let fate = if response.executed {
                Fate::Executed(self.jobs.len() as u32 - 1)
            } else {
                Fate::NotExecuted
            };
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
        self.begin_elsewhere();
    }

    /// Jobs of other instances that began by now.
    fn begin_elsewhere(&mut self) {
        let Some(every) = self.faults.jobs_elsewhere.map(|every| nanos(every).max(1)) else {
            return;
        };
        while self.next_elsewhere <= self.now {
            let created = self.next_elsewhere;
            let right = self.start + Duration::from_nanos(created);
            self.jobs.push(SimJob {
                instance: 0,
                kind: JobKind::Elsewhere,
                created,
                dated: right
                    .saturating_add(self.faults.clock.ahead(Duration::from_nanos(created)))
                    .unwrap_or(right),
                visible: created,
                ends: created + ELSEWHERE_TAKES,
                fails: false,
                quiet: true,
            });
            self.fired[Fault::JobsElsewhere as usize] += 1;
            self.next_elsewhere += every;
        }
    }

    /// What the cloud's own clock shows: right but for its fault.
    pub(super) fn clock(&self) -> Timestamp {
        let right = self.start + Duration::from_nanos(self.now);
        right.saturating_add(self.ahead()).unwrap_or(right)
    }

    fn ahead(&self) -> SignedDuration {
        self.faults.clock.ahead(Duration::from_nanos(self.now))
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
        if let JobKind::Switch { proxy, ssl_option }
        | JobKind::ForeignSwitch { proxy, ssl_option } = job.kind
        {
            let proxy = &mut self.proxies[proxy as usize];
            proxy.flips += u32::from(proxy.ssl_option != ssl_option);
            proxy.ssl_option = ssl_option;
            proxy.switched = matches!(job.kind, JobKind::Switch { .. });
            proxy.effective += u32::from(proxy.switched);
        }
    }

    /// What stands between arrival and operation, the operation, and what stands between it and the
    /// answer.
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
            return self.answer(
                delay,
                429,
                json::throttled(),
                Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
                false,
            );
        }
        if self.fires(Fault::DropBefore, request) {
            return Response {
                delay,
                content: Content::Dropped,
                executed: false,
                date: self.clock(),
            };
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
            return Response { delay, content: Content::Dropped, executed, date: self.clock() };
        }
        if is_switch && self.fires(Fault::Error500After, request) {
            return self.answer(delay, 500, json::server_failure(), None, executed);
        }
        let delay = if self.fires(Fault::Slow, request) {
            delay + self.faults.slow_delay.draw(&mut self.rng)
        } else {
            delay
        };
        if status == 200 && self.fires(Fault::Garbage200, request) {
            return self.answer(delay, 200, "\u{0}{\"job_id\": \"".to_owned(), None, executed);
        }
        if is_switch && status == 200 && self.fires(Fault::NoJobId200, request) {
            return self.answer(delay, 200, "{}".to_owned(), None, executed);
        }
        self.answer(delay, status, body, None, executed)
    }

    fn answer(
        &mut self,
        delay: Duration,
        status: u16,
        body: String,
        retry_after: Option<u32>,
        executed: bool,
    ) -> Response {
        let request_id = mix::request_id(self.seed, self.ledger.arrivals_total());
        Response {
            delay,
            content: Content::Answer { status, retry_after, request_id, html: false, body },
            executed,
            date: self.clock(),
        }
    }

    fn html_502(&mut self, delay: Duration, executed: bool) -> Response {
        let request_id = mix::request_id(self.seed, self.ledger.arrivals_total());
        let body = json::HTML_502.to_owned();
        Response {
            delay,
            content: Content::Answer {
                status: 502,
                retry_after: None,
                request_id,
                html: true,
                body,
            },
            executed,
            date: self.clock(),
        }
    }

    /// Seconds to wait when the cloud's quota is used up; admits the call otherwise.
    fn over_quota(&mut self) -> Option<u32> {
        let (Some(quota), Some(admitted)) = (self.faults.quota, &mut self.admitted) else {
            return None;
        };
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
            Fault::ForeignUnknown => &self.faults.foreign_unknown,
            Fault::StaysActive => &self.faults.stays_active,
            Fault::Quota
            | Fault::VisibilityLag
            | Fault::InstanceBusy
            | Fault::WireSilent
            | Fault::WireWrong
            | Fault::JobsElsewhere
            | Fault::JobsByRecords
            | Fault::Clock => return false,
        };
        if rate.is_never() {
            return false;
        }
        let proxies =
            |index: Option<&u32>| index.map_or(0..0, |index| *index as usize..*index as usize + 1);
        let (operation, range) = match request {
            Request::Switch { proxy_id, .. } => {
                (Some(Operation::Switch), proxies(self.proxy_index.get(proxy_id)))
            }
            Request::Proxies { instance_id, .. } => (
                Some(Operation::Proxies),
                self.instance_index.get(instance_id).map_or(0..0, |index| {
                    let SimInstance { first, count, .. } = self.instances[*index as usize];
                    first as usize..(first + count) as usize
                }),
            ),
            Request::Job { id } => {
                let job =
                    mix::job_index(self.seed, id).and_then(|index| self.jobs.get(index as usize));
                let proxy = job.and_then(|job| match &job.kind {
                    JobKind::Switch { proxy, .. } | JobKind::ForeignSwitch { proxy, .. } => {
                        Some(proxy)
                    }
                    JobKind::Foreign | JobKind::ForeignUnknown | JobKind::Elsewhere => None,
                });
                (Some(Operation::Job), proxies(proxy))
            }
            Request::Instances { .. } => (Some(Operation::Instances), 0..0),
            Request::Jobs { .. } => (Some(Operation::Jobs), 0..0),
            Request::Refused(_) => (None, 0..0),
        };
        let subject = CallSubject { operation, proxies: &self.proxy_ids[range] };
        let fires = rate.fires(&mut self.rng, Duration::from_nanos(self.now), &subject);
        self.fired[fault as usize] += u64::from(fires);
        fires
    }

    /// Keeps the worst number of arrivals in any interval of this length, from now on.
    pub fn watch(&mut self, interval: Duration) {
        self.ledger.watch(interval);
    }

    /// Changes the faults from now on; jobs that run keep what was drawn for them. The watched
    /// intervals stay.
    pub fn set_faults(&mut self, faults: Faults) {
        if faults.quota != self.faults.quota {
            self.admitted = faults.quota.map(|quota| Sliding::new(quota.per));
        }
        self.clock_was_set |= faults.clock != self.faults.clock;
        self.faults = faults;
    }

    /// How long the jobs take that are made from now on.
    pub fn set_job_time(&mut self, job_time: Between) {
        self.faults.job_time = job_time;
    }

    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

#[cfg(test)]
mod tests;
