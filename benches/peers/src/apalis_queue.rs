//! A queue of the `apalis` crate on SQLite: every change a task, every commit synced to disk.
//!
//! The queue's own `setup` turns syncing off (`PRAGMA synchronous = OFF`), so its migrations are
//! run on connections that sync. Tasks are fetched, locked and acknowledged in batches, as the
//! crate does it. What it does not keep: that a switch was about to leave, and its job id before
//! the end of the task.

use std::sync::Arc;
use std::time::Instant;

use apalis::prelude::*;
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePoolOptions, SqliteStorage};
use futures::stream;

use crate::Failure;
use crate::calls::{CallMaker, PeerTarget, Task};
use crate::outcome::{Gathered, Told};

/// Connections: one writes at a time, others may read.
const CONNECTIONS: u32 = 4;

#[derive(Clone)]
struct ApalisShared {
    caller: CallMaker,
    gathered: Arc<Gathered>,
    seconds: f64,
    total: usize,
}

pub async fn run(task: Task) -> Result<Told, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(task.dir.join("queue.sqlite"))
        .create_if_missing(true)
        .pragma("journal_mode", "WAL")
        .pragma("synchronous", "FULL");
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
    SqliteStorage::migrations().run(&pool).await?;
    let config = Config::default().queue("changes").batch_size(task.in_flight);
    let mut storage = SqliteStorage::<PeerTarget>::new(&pool).with_config(config);
    let targets = task.targets()?;
    let total = targets.len();
    storage.push_stream(&mut stream::iter(targets)).await?;

    let gathered = Arc::new(Gathered::begin()?);
    let shared = ApalisShared {
        caller: CallMaker::new(&task)?,
        gathered: Arc::clone(&gathered),
        seconds: task.seconds,
        total,
    };
    let worker = WorkerBuilder::new("bench")
        .backend(storage)
        .concurrency(task.in_flight)
        .parallelize(tokio::spawn)
        .data(shared)
        .build(change);
    worker.run().await?;
    gathered.end(None)
}

async fn change(
    target: PeerTarget,
    shared: Data<ApalisShared>,
    worker: WorkerContext,
) -> Result<String, BoxDynError> {
    let begun = Instant::now();
    let caller = &shared.caller;
    caller.look(&target).await?;
    let job = caller.switch(&target).await?;
    caller.follow(&job).await?;
    caller.look(&target).await?;
    if shared.gathered.done(begun) == shared.total || shared.gathered.seconds() > shared.seconds {
        worker.stop()?;
    }
    Ok(job)
}
