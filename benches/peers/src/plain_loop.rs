//! A loop over the targets, with nothing written down or with a log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::Failure;
use crate::calls::{CallMaker, PeerTarget, Task};
use crate::group_log::Log;
use crate::outcome::{Gathered, Told};

/// What the workers share.
struct LoopShared {
    targets: Vec<PeerTarget>,
    next: AtomicUsize,
    caller: CallMaker,
    log: Option<Log>,
    gathered: Gathered,
}

pub async fn run(task: Task, logged: bool) -> Result<Told, Failure> {
    let log = if logged { Some(Log::create(&task.dir.join("log.jsonl"))?) } else { None };
    let (targets, caller) = (task.targets()?, CallMaker::new(&task)?);
    let shared = Arc::new(LoopShared {
        targets,
        next: AtomicUsize::new(0),
        caller,
        log,
        gathered: Gathered::begin()?,
    });
    let workers: Vec<_> = (0..task.in_flight)
        .map(|_| tokio::spawn(work(Arc::clone(&shared), task.seconds)))
        .collect();
    for worker in workers {
        worker.await??;
    }
    let LoopShared { log, gathered, .. } =
        Arc::into_inner(shared).ok_or("a worker is still there")?;
    let syncs = log.map(Log::close).transpose()?;
    gathered.end(syncs)
}

async fn work(shared: Arc<LoopShared>, seconds: f64) -> Result<(), Failure> {
    while shared.gathered.seconds() < seconds {
        let Some(target) = shared.targets.get(shared.next.fetch_add(1, Ordering::Relaxed)) else {
            break;
        };
        let begun = Instant::now();
        change(&shared, target).await?;
        shared.gathered.done(begun);
    }
    Ok(())
}

async fn change(shared: &LoopShared, target: &PeerTarget) -> Result<(), Failure> {
    let LoopShared { caller, log, .. } = shared;
    caller.look(target).await?;
    if let Some(log) = log {
        log.synced(format!(r#"{{"proxy_id":"{}","to":"submitting"}}"#, target.proxy_id)).await?;
    }
    let job = caller.switch(target).await?;
    if let Some(log) = log {
        log.synced(format!(
            r#"{{"proxy_id":"{}","to":"following","job":"{job}"}}"#,
            target.proxy_id
        ))
        .await?;
    }
    caller.follow(&job).await?;
    caller.look(target).await?;
    if let Some(log) = log {
        log.ordered(format!(r#"{{"proxy_id":"{}","to":"succeeded"}}"#, target.proxy_id))?;
    }
    Ok(())
}
