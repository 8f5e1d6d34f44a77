//! What is over and costs no memory: a thousand rollouts of five thousand targets, ended one after
//! the other, and then the shipped daemon on the store that they left.

use std::path::PathBuf;

use sealift::clock::{Clock as _, SystemClock};
use sealift::domain::id::Name;
use sealift::store::Store as _;
use sealift::store::sled::{SledOptions, SledStore};
use serde::{Deserialize, Serialize};

use crate::child::{Child, tell};
use crate::daemon::BenchDaemon;
use crate::emulator::{BenchEmulator, JOB_TIME};
use crate::finished::finish;
use crate::medians::number;
use crate::room::BenchFolder;
use crate::settings::BenchSettings;
use crate::table::TableRow;
use crate::{BenchFailure, fleet, usage};

pub const ROLE: &str = "over";

/// Changes in flight; nothing is in flight here.
const IN_FLIGHT: u32 = 64;

/// A rollout of one wave.
const WAVES: &str = "  waves: [{name: all, size: rest}]\n";

/// What a child makes.
#[derive(Debug, Serialize, Deserialize)]
struct SettledTask {
    dir: PathBuf,
    rollouts: u32,
}

/// What is over, and the memory that it takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SettledMemory {
    /// Rollouts, and the targets of each.
    pub rollouts: u32,
    pub targets: u32,
    /// The process that made them, with none, a quarter, half, three quarters and all of them over,
    /// in MiB.
    pub made_mib: Vec<f64>,
    /// A daemon on an empty store, in MiB.
    pub empty_mib: f64,
    /// A daemon on theirs when it is ready, in MiB.
    pub ready_mib: f64,
    /// And after the first page of the changes of each was asked for.
    pub listed_mib: f64,
    /// Seconds that it took to be ready.
    pub ready_seconds: f64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Made {
    memory_mib: Vec<f64>,
    journal_bytes: u64,
}

pub fn run(task: &str) -> Result<(), BenchFailure> {
    let task: SettledTask = serde_json::from_str(task)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    tell(&runtime.block_on(make(&task))?)
}

async fn make(task: &SettledTask) -> Result<Made, BenchFailure> {
    let loaded = fleet::load(&task.dir.join("plan.yaml"))?;
    let store = SledStore::open(&task.dir.join("store"), SledOptions::default())?;
    let mut memory_mib = vec![usage::memory_mib()?];
    for number in 0..task.rollouts {
        let mut plan = loaded.plan.clone();
        plan.name = Name::parse(&name(number), "plan").map_err(|error| error.to_string())?;
        finish(&store, plan, loaded.targets.clone(), SystemClock.times().wall).await?;
        if number + 1 >= task.rollouts * u32::try_from(memory_mib.len())? / 4 {
            memory_mib.push(usage::memory_mib()?);
        }
    }
    let journal_bytes = store.health().journal_bytes;
    store.close()?;
    Ok(Made { memory_mib, journal_bytes })
}

fn name(number: u32) -> String {
    format!("over-{number}")
}

pub fn measure(settings: &BenchSettings) -> Result<SettledMemory, BenchFailure> {
    let (rollouts, targets) = settings.over();
    eprintln!("over: {rollouts} rollouts of {targets} targets");
    let room = BenchFolder::make(&settings.dir)?;
    fleet::write_plan(room.path(), targets, IN_FLIGHT, WAVES, "")?;
    let made: Made =
        Child::start(ROLE, &SettledTask { dir: room.path().to_owned(), rollouts })?.result()?;
    let emulator = BenchEmulator::start(targets, JOB_TIME)?;
    let beside = room.path().join("empty");
    std::fs::create_dir(&beside)?;
    let mut empty =
        BenchDaemon::start(&BenchDaemon::configure(&beside, &emulator.endpoint, IN_FLIGHT)?)?;
    empty.ready()?;
    let empty_mib = usage::memory_mib_of(empty.id())?;
    drop(empty);
    let mut daemon =
        BenchDaemon::start(&BenchDaemon::configure(room.path(), &emulator.endpoint, IN_FLIGHT)?)?;
    let ready_seconds = daemon.ready()?;
    let ready_mib = usage::memory_mib_of(daemon.id())?;
    for number in 0..rollouts {
        daemon.answers_in(&format!("/v1/rollouts/{}/changes", name(number)))?;
    }
    let listed_mib = usage::memory_mib_of(daemon.id())?;
    let Made { memory_mib: made_mib, journal_bytes } = made;
    Ok(SettledMemory {
        rollouts,
        targets,
        made_mib,
        empty_mib,
        ready_mib,
        listed_mib,
        ready_seconds,
        journal_bytes,
    })
}

impl SettledMemory {
    pub fn rows(&self) -> Vec<TableRow> {
        let mib = |figure: f64| format!("{} MiB", number(figure));
        let made: Vec<String> = self.made_mib.iter().map(|figure| number(*figure)).collect();
        let more = (self.ready_mib.max(self.listed_mib) - self.empty_mib).max(0.0);
        vec![
            TableRow::heading(format!(
                "{} rollouts of {} that are over",
                number(self.rollouts.into()),
                number(self.targets.into())
            )),
            TableRow::new(
                "memory of who ended them, at 0, 1/4, 1/2, 3/4 and all of them",
                format!("{} MiB", made.join(", ")),
            ),
            TableRow::new("memory of a daemon on an empty store", mib(self.empty_mib)),
            TableRow::new(
                "… on theirs, ready; after a page of each",
                format!("{}; {}", mib(self.ready_mib), mib(self.listed_mib)),
            )
            .to(mib(more), "more than empty")
            .aim("64 MiB"),
            TableRow::new("ready after", format!("{} s", number(self.ready_seconds))),
            TableRow::new("their journal", mib(self.journal_bytes as f64 / 1_048_576.0)),
        ]
    }
}
