//! The path that ships: the engine over the store on disk and the HTTP client, from a submitted plan to `completed`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sealift::clock::{Clock, SystemClock};
use sealift::cloud::http::HttpCloud;
use sealift::domain::change::Timing;
use sealift::domain::lane::{Access, Credentials, Lane, SecretSource, Tls};
use sealift::domain::quota::Quota;
use sealift::domain::rollout::Phase;
use sealift::engine;
use sealift::probe::Prober;
use sealift::store::sled::{SledOptions, SledStore};
use sealift::store::{Store, Submission};
use serde::{Deserialize, Serialize};

use crate::child::tell;
use crate::{Failure, fleet, usage};

/// The role's name.
pub const ROLE: &str = "carry";

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The server.
    pub endpoint: String,
    /// An empty directory on the disk to be measured.
    pub dir: PathBuf,
    /// Changes.
    pub changes: u32,
    /// In flight at most.
    pub in_flight: u32,
    /// Calls a second; `None`: no limit.
    pub quota: Option<u32>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Told {
    /// From the acknowledged submission to `completed` on disk.
    pub seconds: f64,
    /// Processor seconds of the whole process in that time.
    pub cpu_seconds: f64,
    /// Calls made.
    pub calls: u64,
    /// Changes that succeeded.
    pub succeeded: u32,
    /// Times that journal or queue were synced to disk.
    pub syncs: u64,
    /// Journal entries.
    pub entries: u64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Bytes of the queue.
    pub queue_bytes: u64,
    /// Memory when a quarter, half, and all of the changes had ended, in MiB.
    pub memory_mib: [f64; 3],
    /// Most memory, in MiB.
    pub memory_peak_mib: f64,
}

/// The lane as it would be configured, but for the intervals: jobs end at once here.
pub fn lane(dir: &Path, endpoint: &str, in_flight: u32, quota: Option<u32>) -> Result<Lane, Failure> {
    let token = dir.join("token");
    std::fs::write(&token, fleet::TOKEN)?;
    let timing = Timing {
        settle: Duration::from_secs(5),
        poll: Duration::from_millis(1),
        poll_max: Duration::from_millis(20),
        job_limit: Duration::from_secs(60),
        recover_limit: Duration::from_secs(60),
    };
    Ok(Lane {
        name: fleet::lane(),
        access: Access {
            endpoint: endpoint.to_owned(),
            project_id: fleet::project(),
            credentials: Credentials::Token(SecretSource::File(token)),
            tls: Tls::default(),
        },
        quota: quota.map(|requests| Quota { requests, per: Duration::from_secs(1) }),
        max_in_flight: in_flight,
        call_timeout: Duration::from_secs(30),
        timing,
    })
}

/// Runs it.
pub fn run(task: &str) -> Result<(), Failure> {
    let task: Task = serde_json::from_str(task)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let told = runtime.block_on(work(&task))?;
    tell(&told)
}

async fn work(task: &Task) -> Result<Told, Failure> {
    let plan = fleet::write_plan(&task.dir, task.changes, task.in_flight, "")?;
    let loaded = fleet::load(&plan)?;
    let store = Arc::new(SledStore::open(&task.dir.join("store"), SledOptions::default())?);
    let lanes = vec![lane(&task.dir, &task.endpoint, task.in_flight, task.quota)?];
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cloud = Arc::new(HttpCloud::new(&lanes, &clock)?);
    let options = engine::Options { lanes, exclusive: true, quota_spent: false, levels: Vec::new() };
    let shared: Arc<dyn Store> = store.clone();
    let (handle, running) = engine::start(shared, cloud, Arc::new(Prober::new(clock.clone())), clock, options);
    let running = tokio::spawn(running);

    let submission = Submission { plan: loaded.plan, targets: loaded.targets, by: "bench".to_owned(), at: SystemClock.times().wall };
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
    store.close()?;
    let health = store.health();
    Ok(Told {
        seconds,
        cpu_seconds,
        calls,
        succeeded,
        syncs,
        entries: health.seq,
        journal_bytes: health.journal_bytes,
        queue_bytes: health.queue_bytes,
        memory_mib: memory,
        memory_peak_mib: usage::memory_peak_mib()?,
    })
}
