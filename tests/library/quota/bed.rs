//! A daemon's engine over the simulated cloud, on virtual time, with a log of every call that
//! arrived.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sealift::clock::{Clock, Times};
use sealift::cloud::answer::not_sent;
use sealift::cloud::{Cloud, LastCheck};
use sealift::domain::call::{Call, CallError, Disposition, Reply};
use sealift::domain::change::Timing;
use sealift::domain::group::GroupLimits;
use sealift::domain::id::{Digest, Name, ProxyId, RolloutId};
use sealift::domain::lane::{Access, Credentials, Lane, SecretSource};
use sealift::domain::plan::{Approval, Plan, Promote, RevertPolicy, Strategy, Wave};
use sealift::domain::quota::Quota;
use sealift::domain::retry;
use sealift::domain::target::Target;
use sealift::domain::window::Calendar;
use sealift::engine::{self, Handle, KeepLevels, Level, Options, QuotaStanding};
use sealift::probe::Prober;
use sealift::simcloud::faults::{Between, Faults, QuotaRule, Rate};
use sealift::simcloud::fleet::{Fleet, FleetProxy};
use sealift::simcloud::model::Model;
use sealift::store::memory::MemoryStore;
use sealift::store::{Rollout, Store as _, Submission, Unavailable};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// From the wire instant to the cloud, and back.
const WAY: Duration = Duration::from_millis(20);

/// The cloud's own time for an answer.
const LATENCY: Duration = Duration::from_millis(40);

/// Boot time at the start: a machine that has been up for a while.
const BOOT: Duration = Duration::from_secs(1_000);

pub fn quota(requests: u32, seconds: u64) -> Quota {
    Quota { requests, per: Duration::from_secs(seconds) }
}

fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("a valid name")
}

/// One call at the cloud.
#[derive(Debug, Clone, Copy)]
pub struct Arrived {
    pub at: Duration,
    /// The rollout's place in the order of submission; `None`: a list, which serves all.
    pub rollout: Option<usize>,
    /// The cloud answered 429.
    pub refused: bool,
}

/// What all lives of the daemon share.
pub struct QuotaFixture {
    origin: Instant,
    model: Mutex<Model>,
    arrived: Mutex<Vec<Arrived>>,
    owners: HashMap<ProxyId, usize>,
    stray: Mutex<u32>,
    /// The account may not list jobs.
    no_lists: AtomicBool,
    /// Answers take so many milliseconds longer.
    late: AtomicU64,
    kept: Mutex<Vec<Level>>,
    store: Arc<MemoryStore>,
    pub rollouts: Vec<RolloutId>,
}

pub struct QuotaDaemon {
    pub handle: Handle,
    running: JoinHandle<Result<Vec<Level>, Unavailable>>,
}

impl QuotaFixture {
    /// A rollout for each size and limit of changes in flight, over proxies with an instance each;
    /// the cloud admits what `account` says.
    pub async fn new(
        rollouts: &[(u32, u32)],
        account: Option<Quota>,
        job_time: Duration,
    ) -> Arc<Self> {
        Self::beginning(None, rollouts, account, job_time).await
    }

    /// One rollout in waves of these sizes.
    pub async fn in_waves(
        waves: &[u32],
        in_flight: u32,
        account: Quota,
        job_time: Duration,
    ) -> Arc<Self> {
        Self::with_plans(vec![plan("in-waves", waves, in_flight)], Some(account), job_time).await
    }

    /// The same, where nothing begins before an instant.
    pub async fn beginning(
        not_before: Option<Timestamp>,
        rollouts: &[(u32, u32)],
        account: Option<Quota>,
        job_time: Duration,
    ) -> Arc<Self> {
        let calendar = || Calendar::new(Vec::new(), Vec::new(), not_before);
        let plan = |(place, (size, in_flight)): (usize, &(u32, u32))| Plan {
            calendar: calendar(),
            ..plan(&format!("rollout-{place}"), &[*size], *in_flight)
        };
        Self::with_plans(rollouts.iter().enumerate().map(plan).collect(), account, job_time).await
    }

    async fn with_plans(plans: Vec<Plan>, account: Option<Quota>, job_time: Duration) -> Arc<Self> {
        let size =
            |plan: &Plan| plan.strategy.waves.iter().map(|wave| wave.size as usize).sum::<usize>();
        let all = plans.iter().map(size).sum();
        let fleet = Fleet::generate(all, all, 7).expect("a valid fleet");
        let faults = Faults {
            quota: account.map(|quota| QuotaRule { requests: quota.requests, per: quota.per }),
            latency: Between::exactly(LATENCY),
            job_time: Between::exactly(job_time),
            ..Faults::default()
        };
        let store = Arc::new(MemoryStore::new());
        let (mut owners, mut ids, mut rest) = (HashMap::new(), Vec::new(), fleet.proxies());
        for (place, plan) in plans.into_iter().enumerate() {
            let (own, others) = rest.split_at(size(&plan));
            rest = others;
            owners.extend(own.iter().map(|proxy| (proxy.proxy_id, place)));
            let submission = Submission {
                plan,
                targets: own.iter().map(target).collect(),
                by: "owner".into(),
                at: Timestamp::UNIX_EPOCH,
                note: String::new(),
            };
            ids.push(
                store.submit(submission).await.expect("an empty store takes any submission").id,
            );
        }
        let model = Mutex::new(Model::new(&fleet, faults, 7, Timestamp::UNIX_EPOCH));
        Arc::new(Self {
            origin: Instant::now(),
            model,
            arrived: Mutex::default(),
            owners,
            stray: Mutex::default(),
            no_lists: AtomicBool::default(),
            late: AtomicU64::default(),
            kept: Mutex::default(),
            store,
            rollouts: ids,
        })
    }

    /// Starts a daemon; `past` is what the one before it left, `None`: it was killed, or there was
    /// none.
    pub fn start(
        self: &Arc<Self>,
        quota: Option<Quota>,
        spent: bool,
        levels: Vec<Level>,
    ) -> QuotaDaemon {
        let options = Options { lanes: vec![lane(quota)], quota_spent: spent, levels };
        let clock = Arc::new(QuotaClock(Arc::clone(self)));
        let cloud = Arc::new(QuotaCloud(Arc::clone(self)));
        let (handle, running) = engine::start(
            self.store.clone(),
            cloud,
            Arc::new(Prober::new(clock.clone())),
            clock,
            Arc::new(KeptLevels(Arc::clone(self))),
            options,
        );
        QuotaDaemon { handle, running: tokio::spawn(running) }
    }

    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("no panic").clone()
    }

    pub async fn rollout(&self, place: usize) -> Rollout {
        self.store.rollout(self.rollouts[place]).await.expect("memory").expect("submitted")
    }

    pub async fn targets(&self, place: usize) -> Vec<Target> {
        self.store.targets(self.rollouts[place]).await.expect("memory").expect("submitted")
    }

    /// Whether each rollout still has changes that nobody has begun.
    pub async fn all_have_work(&self) -> bool {
        let mut all = true;
        for place in 0..self.rollouts.len() {
            all &= self.rollout(place).await.total().queued > 0;
        }
        all
    }

    /// Waits until all rollouts are over; every change must have succeeded.
    pub async fn all_succeed(&self, within: Duration) {
        let until = self.now() + within;
        for place in 0..self.rollouts.len() {
            loop {
                let rollout = self.rollout(place).await;
                if rollout.record.phase.is_final() {
                    let total = rollout.total();
                    assert_eq!(
                        (rollout.record.phase.as_str(), total.succeeded),
                        ("completed", rollout.targets)
                    );
                    break;
                }
                assert!(
                    self.now() < until,
                    "rollout {place} goes on and on: {:?}",
                    rollout.total()
                );
                sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// So many of the next calls are refused, whatever the quota says.
    pub fn refuse_next(&self, calls: u32) {
        *self.stray.lock().expect("no panic") = calls;
    }

    /// From now on nobody may list jobs.
    pub fn refuse_lists(&self) {
        self.no_lists.store(true, Relaxed);
    }

    /// From now on answers come so much later.
    pub fn answer_late(&self, by: Duration) {
        self.late.store(u64::try_from(by.as_millis()).expect("short"), Relaxed);
    }

    /// What a daemon that is killed now leaves.
    pub fn kept(&self) -> Vec<Level> {
        self.kept.lock().expect("no panic").clone()
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("no panic")
    }
}

impl QuotaDaemon {
    /// How the lane stands to its quota, as people are told.
    pub fn standing(&self) -> QuotaStanding {
        self.handle.snapshot().borrow().lanes[0].quota.expect("the lane has a quota")
    }

    /// The same once a first pass has told it.
    pub async fn standing_soon(&self) -> QuotaStanding {
        let mut snapshot = self.handle.snapshot();
        let told = snapshot.wait_for(|snapshot| snapshot.passes > 0).await.expect("it runs");
        told.lanes[0].quota.expect("the lane has a quota")
    }

    pub async fn end(self) -> Vec<Level> {
        self.handle.drain().await;
        self.running.await.expect("no panic").expect("a store in memory")
    }

    /// Dies on the spot. What is out arrives all the same.
    pub fn kill(self) {
        self.running.abort();
    }

    pub async fn change(&self, quota: Option<Quota>) {
        self.handle.change_quotas(vec![(name("main"), quota)]).await;
    }
}

/// What a killed daemon leaves, as the file of the real one keeps it.
struct KeptLevels(Arc<QuotaFixture>);

impl KeepLevels for KeptLevels {
    fn keep(&self, levels: Vec<Level>) -> BoxFuture<'_, Result<(), Unavailable>> {
        *self.0.kept.lock().expect("no panic") = levels;
        std::future::ready(Ok(())).boxed()
    }
}

struct QuotaClock(Arc<QuotaFixture>);

impl Clock for QuotaClock {
    fn times(&self) -> Times {
        Times { wall: Timestamp::UNIX_EPOCH + self.0.now(), boot: BOOT + self.0.now() }
    }
}

struct QuotaCloud(Arc<QuotaFixture>);

impl Cloud for QuotaCloud {
    fn perform(&self, call: Call, check: LastCheck) -> BoxFuture<'_, Reply> {
        if let Err(withheld) = check() {
            return std::future::ready(not_sent(Disposition::Withheld, &withheld.0)).boxed();
        }
        let bed = Arc::clone(&self.0);
        if matches!(call, Call::Jobs { .. }) && bed.no_lists.load(Relaxed) {
            let (status, message) = (Some(404), "no such path".to_owned());
            let error = CallError {
                disposition: Disposition::NotFound,
                retry_after: None,
                status,
                code: None,
                request_id: None,
                message,
            };
            return std::future::ready(Reply {
                outcome: Err(error),
                request_id: None,
                cloud_time: None,
                sent: true,
                beside: Vec::new(),
            })
            .boxed();
        }
        // On its way it belongs to nobody: also what a daemon sent that died since arrives.
        let way = tokio::spawn(async move {
            sleep(WAY).await;
            let at = bed.now();
            let stray = {
                let mut left = bed.stray.lock().expect("no panic");
                let stray = *left > 0;
                *left -= u32::from(stray);
                stray
            };
            let arrival = {
                let mut model = bed.model();
                let usual = model.faults().clone();
                if stray {
                    model.set_faults(Faults {
                        throttle: Rate::always(1.0).expect("a probability"),
                        ..usual.clone()
                    });
                }
                let arrival = model.arrive(Timestamp::UNIX_EPOCH + at, &call);
                if stray {
                    model.set_faults(usual);
                }
                arrival
            };
            let refused = arrival
                .reply
                .outcome
                .as_ref()
                .is_err_and(|error| error.disposition == Disposition::Throttled);
            let rollout =
                call.target().and_then(|target| bed.owners.get(&target.proxy_id).copied());
            bed.arrived.lock().expect("no panic").push(Arrived { at, rollout, refused });
            sleep(arrival.answer_after + WAY + Duration::from_millis(bed.late.load(Relaxed))).await;
            arrival.reply
        });
        async move { way.await.expect("no panic") }.boxed()
    }
}

fn target(proxy: &FleetProxy) -> Target {
    proxy.target(&name("main"))
}

fn lane(quota: Option<Quota>) -> Lane {
    let second = Duration::from_secs(1);
    Lane {
        name: name("main"),
        access: Access {
            endpoint: "https://cloud.invalid".into(),
            project_id: "056538411200d4cd2f79c003c7606412".parse().expect("a valid project id"),
            credentials: Credentials::Token(SecretSource::Env("UNUSED".into())),
            language: Default::default(),
            tls: Default::default(),
        },
        quota,
        max_in_flight: 1_000,
        call_timeout: 30 * second,
        clock_tolerance: sealift::domain::lane::CLOCK_TOLERANCE,
        timing: Timing {
            settle: 15 * second,
            poll: 2 * second,
            poll_max: 30 * second,
            job_limit: 3_600 * second,
            recover_limit: 1_800 * second,
        },
    }
}

fn plan(text: &str, sizes: &[u32], max_in_flight: u32) -> Plan {
    let mut all = 0;
    let wave = |(place, size): (usize, &u32)| {
        let (first, size) = (all, *size);
        all += size;
        Wave {
            name: name(&format!("wave-{place}")),
            first,
            size,
            soak_ms: 0,
            promote: Promote::Auto,
            max_failures: size,
        }
    };
    let waves = sizes.iter().enumerate().map(wave).collect();
    Plan {
        name: name(text),
        revision: 1,
        description: String::new(),
        change_ref: String::new(),
        owner: String::new(),
        ssl_option: true,
        source: Digest::of(text.as_bytes()),
        calendar: Calendar::new(Vec::new(), Vec::new(), None),
        strategy: Strategy {
            max_in_flight,
            max_in_flight_per: GroupLimits::default(),
            waves,
            max_failures: all,
            progress_deadline_ms: 24 * 3_600_000,
            revert: RevertPolicy::default(),
        },
        retry: retry::Policy { max_attempts: 6, initial_ms: 2_000, max_ms: 300_000 },
        verify_timeout_ms: 180_000,
        approval: Approval { required: 0, digest: Digest::of(b"what runs") },
        enforce: None,
        survey: false,
        notify: Vec::new(),
        written: Default::default(),
        wire: None,
    }
}
