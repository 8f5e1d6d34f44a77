//! What happens in one run: daemons come and go, others switch proxies, people say what they say;
//! then it grows calm.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt;
use jiff::SignedDuration;
use sealift::clock::Clock as _;
use sealift::domain::enforce::{Enforce, EnforcementStage, Mode};
use sealift::domain::id::{Digest, Name};
use sealift::domain::plan::{Approval, Plan, Promote, RevertPolicy, Strategy, Wave};
use sealift::domain::retry;
use sealift::domain::rollout::{Requeue, Verb};
use sealift::domain::target::TargetList;
use sealift::domain::window::Calendar;
use sealift::engine::enforce::{EnforceError, EnforcementVerb, Enforcer, command};
use sealift::engine::{self, Command, Handle, Options};
use sealift::simcloud::faults::{Between, Faults};
use sealift::simcloud::fleet::Fleet;
use sealift::simcloud::model::Model;
use sealift::store::{Enforcement, Store, Submission};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::bed::{
    BedStore, EnforcementBug, EnforcementClock, EnforcementCloud, EnforcementFixture,
};
use super::{EnforcementOutcome, rules};
use crate::hooked_store::Hooked;
use crate::scenario::DrawnScenario;
use crate::setting;
use crate::tally::RunTally;
use crate::world::start;

/// How long things happen.
const WILD: Duration = Duration::from_secs(45 * 60);
/// How long it is calm, with the right clock: several ticks, and time for what they lead to.
const CALM: Duration = Duration::from_secs(25 * 60);
/// A tick that came within this time may still be at work.
const AT_WORK: SignedDuration = SignedDuration::from_mins(9);

pub struct EnforcementScript {
    bed: Arc<EnforcementFixture>,
    rng: Rng,
    submission: Submission,
    name: Name,
    daemon: Option<EnforcementDaemon>,
}

struct EnforcementDaemon {
    handle: Handle,
    tasks: Vec<JoinHandle<()>>,
}

impl EnforcementScript {
    pub fn new(seed: u64, planted: EnforcementBug) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x00e4_f0ce);
        let proxies = rng.usize(2..10);
        let fleet = Fleet::generate(proxies, rng.usize(proxies.div_ceil(4)..=proxies), seed)
            .expect("a valid fleet");
        let faults = Faults {
            job_time: Between { min: Duration::from_secs(1), max: Duration::from_secs(20) },
            ..Faults::default()
        };
        let cloud = Model::new(&fleet, faults, seed, start());
        let lane = setting::lane(&DrawnScenario::small(0), crate::planted::Planted::Nothing).name;
        let target = |proxy: &sealift::simcloud::fleet::FleetProxy| proxy.target(&lane);
        let targets: TargetList = fleet.proxies().iter().map(target).collect();
        let plan = plan(&mut rng, targets.len());
        let name = plan.name.clone();
        let submission =
            Submission { plan, targets, by: "owner".into(), at: start(), note: String::new() };
        let dice = Rng::with_seed(rng.u64(..));
        Self {
            bed: Arc::new(EnforcementFixture::new(dice, cloud, planted)),
            rng,
            submission,
            name,
            daemon: None,
        }
    }

    pub async fn run(mut self) -> EnforcementOutcome {
        self.begin().await;
        self.submit().await;
        while self.bed.boot() < WILD {
            sleep(Duration::from_millis(self.rng.u64(200..40_000))).await;
            self.happen().await;
        }
        self.calm().await;
        self.end().await
    }

    async fn begin(&mut self) {
        let bed = &self.bed;
        let options = Options {
            lanes: vec![setting::lane(&DrawnScenario::small(0), crate::planted::Planted::Nothing)],
            quota_spent: bed.state().lives > 0,
            levels: Vec::new(),
        };
        let store: Arc<dyn Store> = Arc::new(Hooked(BedStore(Arc::clone(bed))));
        let clock = Arc::new(EnforcementClock(Arc::clone(bed)));
        let cloud = Arc::new(EnforcementCloud(Arc::clone(bed)));
        let (handle, running) = engine::start(
            store.clone(),
            cloud.clone(),
            cloud,
            clock.clone(),
            Arc::new(()),
            options,
        );
        let mut tasks = vec![tokio::spawn(async move {
            running.await.expect("a store in memory");
        })];
        // In some runs two carry it out at once: the store alone keeps their decisions apart.
        for _ in 0..self.rng.usize(1..=2) {
            let enforcer = Enforcer::new(store.clone(), handle.clone(), clock.clone());
            tasks.push(tokio::spawn(async move {
                enforcer.run(CancellationToken::new()).await.expect("a store in memory");
            }));
        }
        self.daemon = Some(EnforcementDaemon { handle, tasks });
    }

    fn die(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.tasks.iter().for_each(JoinHandle::abort);
            self.bed.state().lives += 1;
            self.bed.fire("crash");
        }
    }

    async fn submit(&self) {
        if let Some(daemon) = &self.daemon {
            // Refused while a run of the enforcement has the proxies: the next try finds another
            // moment.
            let _ = daemon.handle.submit(self.submission.clone()).await;
        }
    }

    async fn happen(&mut self) {
        match self.rng.u32(0..100) {
            0..40 => {
                let place = self.rng.usize(0..self.submission.targets.len());
                let value = self.rng.u32(0..4) == 0;
                let now = self.bed.cloud_now();
                self.bed.state().cloud.foreign_change(
                    now,
                    &self.submission.targets[place].proxy_id,
                    value,
                );
            }
            // One proxy that somebody wants otherwise, again and again.
            40..60 => {
                let now = self.bed.cloud_now();
                self.bed.state().cloud.foreign_change(
                    now,
                    &self.submission.targets[0].proxy_id,
                    false,
                );
            }
            60..72 => {
                self.die();
                sleep(Duration::from_secs(self.rng.u64(0..400))).await;
                self.begin().await;
            }
            72..78 => {
                // Now within the lane's clock_tolerance, now beyond it.
                let seconds = self.rng.i64(-600..600);
                self.bed.state().stepped = SignedDuration::from_secs(seconds);
                self.bed.fire("jumped");
            }
            78..82 => self.faults(),
            82..90 => self.release().await,
            90..92 => self.verb(&EnforcementVerb::Stop, "stopped").await,
            92..96 => {
                self.submission.plan.revision += 1;
                self.submit().await;
            }
            _ => self.look_after_halted(true).await,
        }
    }

    fn faults(&mut self) {
        let rates = if self.rng.bool() {
            "{}"
        } else {
            "{error_500_after: 0.1, drop_before: 0.1, job_fails: 0.3, throttle: 0.05}"
        };
        let mut faults = Faults::from_yaml(rates).expect("a fault file");
        faults.job_time = Between { min: Duration::from_secs(1), max: Duration::from_secs(20) };
        self.bed.state().cloud.set_faults(faults);
    }

    async fn release(&mut self) {
        let held = self
            .enforcement()
            .and_then(|known| known.record.held().next().map(|flips| flips.ordinal));
        let target = held
            .filter(|_| self.rng.bool())
            .map(|ordinal| self.submission.targets[ordinal as usize].proxy_id);
        self.verb(&EnforcementVerb::Release { target }, "released").await;
    }

    async fn verb(&self, asked: &EnforcementVerb, word: &'static str) {
        let store = Hooked(BedStore(Arc::clone(&self.bed)));
        let now = EnforcementClock(Arc::clone(&self.bed)).times().wall;
        match command(&store, &self.name, asked, &"operator".into(), "drill", now).await {
            Ok(_) => self.bed.fire(word),
            Err(
                EnforceError::NotFound(_)
                | EnforceError::Refused(_)
                | EnforceError::NoTarget(_)
                | EnforceError::Moving,
            ) => {
                self.bed.fire("refused");
            }
            Err(
                error @ (EnforceError::Away(_)
                | EnforceError::NotKnown(_)
                | EnforceError::Unavailable(_)),
            ) => panic!("a store in memory: {error}"),
        }
    }

    /// A rollout that halted waits for a person; a run of an enforcement (looked after only if
    /// `runs`) until its next tick.
    async fn look_after_halted(&mut self, runs: bool) {
        let open = self.bed.store.open_rollouts().await.expect("memory");
        let Some(daemon) = &self.daemon else { return };
        for rollout in open.iter().filter(|rollout| rollout.record.phase.as_str() == "halted") {
            let run = rollout.plan.name != self.name;
            if run && !runs {
                continue;
            }
            let verb = if self.rng.bool() && run {
                Verb::Abort
            } else {
                Verb::Retry(Requeue::FailedAndInDoubt)
            };
            let asked = Command {
                rollout: rollout.id,
                verb,
                by: "operator".into(),
                reason: "drill".into(),
                only_if: None,
            };
            let _ = daemon.handle.command(asked).await;
        }
    }

    async fn calm(&mut self) {
        if self.daemon.is_none() {
            self.begin().await;
        }
        let quiet = Faults {
            job_time: Between { min: Duration::from_secs(1), max: Duration::from_secs(20) },
            ..Faults::default()
        };
        self.bed.state().cloud.set_faults(quiet);
        // A lane whose clock is wrong switches nothing: somebody sets it right.
        self.bed.state().stepped = SignedDuration::ZERO;
        let until = self.bed.boot() + CALM;
        while self.bed.boot() < until {
            sleep(Duration::from_secs(20)).await;
            self.look_after_halted(false).await;
        }
    }

    fn enforcement(&self) -> Option<Enforcement> {
        self.bed.store.enforcement(&self.name).now_or_never().expect("ready").expect("memory")
    }

    async fn end(self) -> EnforcementOutcome {
        let entries = self.bed.store.journal(None, 0, usize::MAX).await.expect("memory");
        let mut violations = rules::check(&entries, &self.bed);
        let now = EnforcementClock(Arc::clone(&self.bed)).times().wall;
        match self.enforcement() {
            None => violations.push("the plan completed and nothing enforces it".into()),
            Some(Enforcement { record, .. }) => match (&record.stage, &record.last) {
                (EnforcementStage::Ended { .. } | EnforcementStage::Held { .. }, _) => {}
                // A clock that was stepped back sees no tick until it has caught up.
                (_, Some(run)) if run.tick > now - AT_WORK || record.handled > now - AT_WORK => {}
                (stage, last) => violations.push(format!(
                    "it is {now} and no tick was dealt with: {stage:?} {last:?} {}",
                    record.handled
                )),
            },
        }
        if let Some(daemon) = &self.daemon {
            daemon
                .tasks
                .iter()
                .filter(|task| task.is_finished())
                .for_each(|_| violations.push("a task ended by itself".into()));
        }
        let journal = entries
            .iter()
            .map(|entry| serde_json::to_string(entry).expect("an entry is JSON"))
            .collect::<Vec<_>>()
            .join("\n");
        let fired = self.bed.state().fired.clone();
        EnforcementOutcome {
            met: RunTally { violations, fired, seconds: self.bed.boot().as_secs() },
            journal,
        }
    }
}

fn plan(rng: &mut Rng, targets: usize) -> Plan {
    let word = |text: &str| Name::parse(text, "name").expect("a name");
    let size = u32::try_from(targets).expect("a few");
    let cron = ["*/2 * * * *", "*/3 * * * *", "1-59/5 * * * *"][rng.usize(0..3)]
        .parse()
        .expect("an expression");
    let mode = if rng.u32(0..4) == 0 { Mode::Inform } else { Mode::Apply };
    let max_failures = 1 + size / 4;
    let all = Wave {
        name: word("all"),
        first: 0,
        size,
        soak_ms: 0,
        promote: Promote::Auto,
        max_failures,
    };
    Plan {
        name: word("night"),
        revision: 1,
        description: String::new(),
        change_ref: String::new(),
        owner: String::new(),
        ssl_option: true,
        source: Digest::of(b"night"),
        calendar: Calendar::always(),
        strategy: Strategy {
            max_in_flight: rng.u32(1..5),
            max_in_flight_per: Default::default(),
            waves: vec![all],
            max_failures,
            progress_deadline_ms: 3_600_000,
            revert: RevertPolicy::default(),
        },
        retry: retry::Policy { max_attempts: 4, initial_ms: 500, max_ms: 20_000 },
        verify_timeout_ms: 30_000,
        approval: Approval { required: 0, digest: Digest::of(b"what runs") },
        enforce: Some(Enforce {
            cron,
            time_zone: "Europe/Berlin".parse().expect("a zone"),
            mode,
            max_drift: rng.u32(1..=size),
        }),
        survey: false,
        notify: Vec::new(),
        written: Default::default(),
        wire: None,
    }
}
