//! A large submission in a fresh process: the plan with its target file read and checked, the store opened, the
//! rollout acknowledged.

use std::path::PathBuf;
use std::sync::Arc;

use sealift::clock::{Clock, SystemClock};
use sealift::cloud::http::HttpCloud;
use sealift::engine;
use sealift::probe::Prober;
use sealift::store::Submission;
use sealift::store::sled::{SledOptions, SledStore};
use serde::{Deserialize, Serialize};

use crate::carry::lane;
use crate::child::tell;
use crate::{Failure, fleet, usage};

/// The role's name.
pub const ROLE: &str = "submit";

/// What it does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// A directory with the plan, on the disk to be measured.
    pub dir: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Told {
    /// Reading and checking plan and targets.
    pub load_seconds: f64,
    /// From there to the acknowledgement.
    pub submit_seconds: f64,
    /// Most memory, in MiB.
    pub memory_peak_mib: f64,
}

/// What the plan says beyond the usual: nothing may begin before the measurement is over.
pub const NOT_YET: &str = "not_before: 2099-01-01T00:00:00Z\n";

/// Runs it.
pub fn run(task: &str) -> Result<(), Failure> {
    let task: Task = serde_json::from_str(task)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let told = runtime.block_on(work(&task))?;
    tell(&told)
}

async fn work(task: &Task) -> Result<Told, Failure> {
    let begun = usage::now();
    let loaded = fleet::load(&task.dir.join("plan.yaml"))?;
    let load_seconds = usage::since(begun);
    let begun = usage::now();
    let store = Arc::new(SledStore::open(&task.dir.join("store"), SledOptions::default())?);
    // Nothing is called: the plan begins in another century.
    let lanes = vec![lane(&task.dir, "http://127.0.0.1:9", 64, None)?];
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cloud = Arc::new(HttpCloud::new(&lanes, &clock)?);
    let options = engine::Options { lanes, exclusive: true, quota_spent: false, levels: Vec::new() };
    let (handle, running) = engine::start(store.clone(), cloud, Arc::new(Prober::new(clock.clone())), clock, options);
    let running = tokio::spawn(running);
    let submission = Submission { plan: loaded.plan, targets: loaded.targets, by: "bench".to_owned(), at: SystemClock.times().wall };
    handle.submit(submission).await?;
    let submit_seconds = usage::since(begun);
    handle.drain().await;
    running.await??;
    store.close()?;
    Ok(Told { load_seconds, submit_seconds, memory_peak_mib: usage::memory_peak_mib()? })
}
