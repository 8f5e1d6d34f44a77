//! The path that ships: the engine over the store on disk and the HTTP client, from a submitted
//! plan to `completed`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sealift::clock::{Clock, SystemClock};
use sealift::cloud::http::HttpCloud;
use sealift::domain::change::Timing;
use sealift::domain::id::RolloutId;
use sealift::domain::journal::{Entry, JournalEvent};
use sealift::domain::lane::{Access, Credentials, Lane, LaneTls, Language, SecretSource};
use sealift::domain::quota::Quota;
use sealift::domain::rollout::Phase;
use sealift::engine;
use sealift::probe::Prober;
use sealift::store::sled::{SledOptions, SledStore};
use sealift::store::{Store, Submission};
use serde::{Deserialize, Serialize};

use crate::child::tell;
use crate::{BenchFailure, fleet, usage};

pub const ROLE: &str = "carry";

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CarryTask {
    pub endpoint: String,
    /// A directory with the plan, on the disk to be measured.
    pub dir: PathBuf,
    /// Changes of the plan.
    pub changes: u32,
    /// In flight at most.
    pub in_flight: u32,
    /// The lane's allowance; `None`: no limit.
    pub quota: Option<Quota>,
    /// How soon a job is looked at while nothing is known of how long jobs take.
    pub poll: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CarryReport {
    /// From the acknowledged submission to `completed` on disk.
    pub seconds: f64,
    /// Processor seconds of the whole process in that time.
    pub cpu_seconds: f64,
    pub calls: u64,
    pub succeeded: u32,
    /// Times that journal or queue were synced to disk.
    pub syncs: u64,
    pub entries: u64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Bytes of the queue.
    pub queue_bytes: u64,
    /// Memory when a quarter, half, and all of the changes had ended, in MiB.
    pub memory_mib: [f64; 3],
    /// Most memory, in MiB.
    pub memory_peak_mib: f64,
    /// Half of the changes took at most so long from the decision to look to the proof, by the
    /// journal, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 changes took at most so long.
    pub p99_us: u64,
    /// The longest that a change stayed in each state, in microseconds.
    #[serde(default)]
    pub longest_us: BTreeMap<String, u64>,
}

/// The longest that a job is left alone, in polls.
const POLL_MAX: u32 = 20;

/// The lane as it would be configured, but for the intervals, which follow from how long jobs take
/// here.
pub fn lane(
    dir: &Path,
    endpoint: &str,
    in_flight: u32,
    quota: Option<Quota>,
    poll: Duration,
) -> Result<Lane, BenchFailure> {
    let token = dir.join("token");
    fleet::write_token(&token)?;
    let timing = Timing {
        settle: Duration::from_secs(5),
        poll,
        poll_max: poll * POLL_MAX,
        // At a small quota many jobs are asked for only after minutes.
        job_limit: Duration::from_secs(3_600),
        recover_limit: Duration::from_secs(60),
    };
    Ok(Lane {
        name: fleet::lane(),
        access: Access {
            endpoint: endpoint.to_owned(),
            project_id: fleet::project(),
            credentials: Credentials::Token(SecretSource::File(token)),
            language: Language::default(),
            tls: LaneTls::default(),
        },
        quota,
        max_in_flight: in_flight,
        call_timeout: Duration::from_secs(30),
        clock_tolerance: sealift::domain::lane::CLOCK_TOLERANCE,
        timing,
    })
}

pub fn run(task: &str) -> Result<(), BenchFailure> {
    let task: CarryTask = serde_json::from_str(task)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let told = runtime.block_on(work(&task))?;
    tell(&told)
}

async fn work(task: &CarryTask) -> Result<CarryReport, BenchFailure> {
    let loaded = fleet::load(&task.dir.join("plan.yaml"))?;
    let store = Arc::new(SledStore::open(&task.dir.join("store"), SledOptions::default())?);
    let lanes = vec![lane(&task.dir, &task.endpoint, task.in_flight, task.quota, task.poll)?];
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cloud = Arc::new(HttpCloud::new(&lanes, &clock)?);
    let options = engine::Options { lanes, quota_spent: false, levels: Vec::new() };
    let shared: Arc<dyn Store> = store.clone();
    let (handle, running) = engine::start(
        shared,
        cloud,
        Arc::new(Prober::new(clock.clone())),
        clock,
        Arc::new(()),
        options,
    );
    let running = tokio::spawn(running);

    let submission = Submission {
        plan: loaded.plan,
        targets: loaded.targets,
        by: "bench".into(),
        at: SystemClock.times().wall,
        note: String::new(),
    };
    let id = handle.submit(submission).await?.id;
    let (begun, cpu, syncs) = (usage::now(), usage::own_cpu_seconds()?, store.syncs());
    let mut memory = [0.0; 3];
    let succeeded = loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if running.is_finished() {
            return Err("the engine ended early".into());
        }
        let rollout = store.rollout(id).await?.ok_or("the rollout is gone")?;
        let total = rollout.total();
        let ended = total.total() - total.queued - total.active;
        for (place, share) in [(0, task.changes / 4), (1, task.changes / 2)] {
            if memory[place] == 0.0 && ended >= share {
                memory[place] = usage::memory_mib()?;
            }
        }
        if let Phase::Halted { reason, .. } = &rollout.record.phase {
            return Err(format!("the rollout halted: {reason:?}").into());
        }
        if rollout.record.phase.is_final() {
            break total.succeeded;
        }
    };
    store.durable().await?;
    let (seconds, cpu_seconds) = (usage::since(begun), usage::own_cpu_seconds()? - cpu);
    memory[2] = usage::memory_mib()?;
    let syncs = store.syncs() - syncs;
    handle.drain().await;
    running.await??;
    let calls = handle.snapshot().borrow().calls;
    let memory_peak_mib = usage::memory_peak_mib()?;
    let Latencies { p50_us, p99_us, longest_us } = latencies(&*store, id).await?;
    store.close()?;
    let health = store.health();
    Ok(CarryReport {
        seconds,
        cpu_seconds,
        calls,
        succeeded,
        syncs,
        entries: health.seq,
        journal_bytes: health.journal_bytes,
        queue_bytes: health.queue_bytes,
        memory_mib: memory,
        memory_peak_mib,
        p50_us,
        p99_us,
        longest_us,
    })
}

/// Entries of the journal read at once.
const ENTRIES: usize = 10_000;

/// How long changes took, and where.
struct Latencies {
    p50_us: u64,
    p99_us: u64,
    longest_us: BTreeMap<String, u64>,
}

async fn latencies(store: &dyn Store, id: RolloutId) -> Result<Latencies, BenchFailure> {
    let (mut begun, mut took, mut after) = (BTreeMap::new(), Vec::new(), 0);
    let (mut since, mut longest) = (BTreeMap::new(), BTreeMap::<String, i128>::new());
    loop {
        let entries = store.journal(Some(id), after, ENTRIES).await?;
        let Some(last) = entries.last() else { break };
        after = last.seq;
        for Entry { at, what, .. } in entries {
            let JournalEvent::Change { ordinal, from, to, .. } = what else { continue };
            if let Some(since) = since.insert(ordinal, at) {
                let longest = longest.entry(from.to_string()).or_default();
                *longest = at.duration_since(since).as_micros().max(*longest);
            }
            match &*to {
                "inspecting" => _ = begun.entry(ordinal).or_insert(at),
                "succeeded" => took.extend(
                    begun.remove(&ordinal).map(|begun| at.duration_since(begun).as_micros()),
                ),
                _ => {}
            }
        }
    }
    took.sort_unstable();
    let share =
        |share: f64| took.get((took.len().saturating_sub(1) as f64 * share) as usize).copied();
    let (Some(p50), Some(p99)) = (share(0.5), share(0.99)) else {
        return Err("the journal tells of no change".into());
    };
    let longest = longest.into_iter().map(|(state, long)| Ok((state, u64::try_from(long)?)));
    let longest_us = longest.collect::<Result<_, BenchFailure>>()?;
    Ok(Latencies { p50_us: u64::try_from(p50)?, p99_us: u64::try_from(p99)?, longest_us })
}
