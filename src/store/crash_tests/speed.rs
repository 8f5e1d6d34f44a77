//! How fast the store is, and what it costs. Prints, asserts nothing about time:
//! `cargo test --release --lib -- --ignored store_speed --nocapture`.

use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::domain::change::{Record, State};
use crate::domain::id::RolloutId;
use crate::store::fixtures::{
    at, blank, job, plan, release_at, rollout, started, step, switched, target,
};
use crate::store::memory::MemoryStore;
use crate::store::sled::{SledOptions, SledStore};
use crate::store::{Commit, Durability, Store, Submission};

/// Changes that all tasks together carry from ready to succeeded.
const CHANGES: u32 = 25_600;

/// Boot time; this test measures, and nothing else in the store reads a clock.
fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).expect("after boot"),
        u32::try_from(time.tv_nsec).expect("below a second"),
    )
}

/// A line of `/proc/self/status`, in MiB.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(what)).expect("there");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") / 1_024
}

fn fleet(title: &str, first: u32, count: u32) -> Submission {
    let targets = (first..first + count).map(|n| target(n, n)).collect();
    Submission {
        plan: plan(title, &[count]),
        targets,
        by: "ada".into(),
        at: at(0),
        note: String::new(),
    }
}

/// Carries `count` changes through five transitions each, with the engine's durability or all
/// synced.
async fn carry(
    store: Arc<dyn Store>,
    id: RolloutId,
    count: u32,
    tasks: u32,
    all_synced: bool,
) -> (u32, Duration) {
    let now_there = rollout(&*store, id).await;
    let released = release_at(&*store, id, 0, count as usize, 3, Durability::Synced).await;
    assert_eq!(released.len(), count as usize);
    let began = now();
    let carriers: Vec<_> = (0..tasks)
        .map(|task| {
            let (store, there) = (Arc::clone(&store), now_there.clone());
            let mine: Vec<u32> =
                released.iter().copied().filter(|ordinal| ordinal % tasks == task).collect();
            tokio::spawn(async move {
                for ordinal in mine {
                    let mut record = Record { state: State::Ready, version: 1, ..Record::queued() };
                    let job = job(u64::from(ordinal));
                    let states = [
                        (State::Inspecting, false),
                        (State::Submitting { sent: at(4), cloud: None }, true),
                        (State::Following { job: job.clone() }, true),
                        (State::Verifying { job: Some(job) }, false),
                        (switched(), false),
                    ];
                    for (state, synced) in states {
                        let moves = step(ordinal, &record, state, 4);
                        record = moves.record.clone();
                        let durability = if synced || all_synced {
                            Durability::Synced
                        } else {
                            Durability::Ordered
                        };
                        store
                            .commit(Commit { changes: vec![moves], durability, ..blank(&there, 4) })
                            .await
                            .expect("nobody else moves it");
                    }
                }
            })
        })
        .collect();
    for carrier in carriers {
        carrier.await.expect("no task fails");
    }
    store.durable().await.expect("available");
    (count * 5, now() - began)
}

fn rate((count, time): (u32, Duration)) -> String {
    format!(
        "{:>7.0} transitions/s ({count} in {:.2} s)",
        f64::from(count) / time.as_secs_f64(),
        time.as_secs_f64()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures; takes a minute"]
async fn store_speed_in_memory() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let id = started(&*store, fleet("memory", 0, CHANGES)).await;
    println!("memory,  64 in flight: {}", rate(carry(store, id, CHANGES, 64, false).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures; takes a minute"]
async fn store_speed() {
    println!("{} MiB at the start", memory("VmRSS"));
    let dir = tempfile::tempdir().expect("a directory");
    for (all_synced, what) in [(false, "as the engine"), (true, "all synced")] {
        for tasks in [1, 64, 256] {
            if tasks == 1 && !all_synced {
                continue;
            }
            let lane = dir.path().join(format!("{tasks}-{all_synced}"));
            let store =
                Arc::new(SledStore::open(&lane, SledOptions::default()).expect("a new store"));
            let store_dyn: Arc<dyn Store> = store.clone();
            if tasks == 1 {
                println!("sled,      1 in flight: {}", one_by_one(&*store).await);
                continue;
            }
            let id = started(&*store, fleet("fleet", 0, CHANGES)).await;
            println!(
                "sled,  {tasks:>4} in flight, {what}: {}",
                rate(carry(store_dyn, id, CHANGES, tasks, all_synced).await)
            );
            println!("        {} MiB, peak {} MiB", memory("VmRSS"), memory("VmHWM"));
            let began = now();
            store.close().expect("nothing failed");
            let health = store.health();
            println!(
                "        close {:.2} s, journal {} MiB, queue {} MiB",
                (now() - began).as_secs_f64(),
                health.journal_bytes >> 20,
                health.queue_bytes >> 20
            );
            drop(store);
            let began = now();
            let store = SledStore::open(&lane, SledOptions::default()).expect("sound");
            println!("        open {:.2} s", (now() - began).as_secs_f64());
            drop(store);
            std::fs::remove_dir_all(lane.join("queue")).expect("there");
            let began = now();
            drop(SledStore::open(&lane, SledOptions::default()).expect("sound"));
            println!("        built anew {:.2} s", (now() - began).as_secs_f64());
        }
    }
}

async fn one_by_one(store: &dyn Store) -> String {
    let id = started(store, fleet("single", 0, 200)).await;
    let there = rollout(store, id).await;
    release_at(store, id, 0, 200, 3, Durability::Synced).await;
    let began = now();
    for ordinal in 0..200 {
        let record = Record { state: State::Ready, version: 1, ..Record::queued() };
        let changes = vec![step(ordinal, &record, State::Inspecting, 4)];
        store.commit(Commit { changes, ..blank(&there, 4) }).await.expect("nobody else moves it");
    }
    rate((200, now() - began))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures; a million targets"]
async fn store_speed_of_a_submission() {
    for count in [100_000, 1_000_000] {
        let dir = tempfile::tempdir().expect("a directory");
        let store = SledStore::open(dir.path(), SledOptions::default()).expect("a new store");
        let given = fleet("fleet", 0, count);
        println!("{count} targets: {} MiB with the list in memory", memory("VmRSS"));
        let began = now();
        let id = store.submit(given).await.expect("taken").id;
        let submitted = now() - began;
        println!(
            "        submitted in {:.2} s, {} MiB after, peak {} MiB",
            submitted.as_secs_f64(),
            memory("VmRSS"),
            memory("VmHWM")
        );
        let began = now();
        let found = store.candidates(id, 0, 1_000).await.expect("available");
        assert_eq!(found.free.len(), 1_000);
        println!("        first 1000 candidates in {:.1} ms", (now() - began).as_secs_f64() * 1e3);
        drop(store);
        let began = now();
        let store = SledStore::open(dir.path(), SledOptions::default()).expect("sound");
        println!(
            "        opened in {:.2} s, {} MiB",
            (now() - began).as_secs_f64(),
            memory("VmRSS")
        );
        drop(store);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures; a rollout of 100,000 from end to end"]
async fn store_memory() {
    const TARGETS: u32 = 100_000;
    const IN_FLIGHT: u32 = 250;
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = SledOptions::default();
    if let Ok(mib) = std::env::var("STORE_CACHE_MIB") {
        options.cache_bytes = mib.parse::<u64>().expect("a number") << 20;
    }
    let store: Arc<dyn Store> =
        Arc::new(SledStore::open(dir.path(), options.clone()).expect("a new store"));
    println!("{} MiB with an empty store", memory("VmRSS"));
    let id = started(&*store, fleet("fleet", 0, TARGETS)).await;
    println!("{} MiB with {TARGETS} targets submitted", memory("VmRSS"));
    let began = now();
    for round in 1..=TARGETS / IN_FLIGHT {
        carry(Arc::clone(&store), id, IN_FLIGHT, IN_FLIGHT, false).await;
        if round % 50 == 0 {
            println!(
                "{} MiB, peak {} MiB after {} changes",
                memory("VmRSS"),
                memory("VmHWM"),
                round * IN_FLIGHT
            );
        }
    }
    println!("{}", rate((TARGETS * 5, now() - began)));
    let health = store.health();
    println!("journal {} MiB, queue {} MiB", health.journal_bytes >> 20, health.queue_bytes >> 20);
    drop(store);
    let began = now();
    let store = SledStore::open(dir.path(), options).expect("sound");
    println!("opened in {:.2} s, {} MiB", (now() - began).as_secs_f64(), memory("VmRSS"));
    let mut after = None;
    loop {
        let page = store.page(id, Vec::new(), after, 1_000).await.expect("available");
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    println!("{} MiB, peak {} MiB after all was listed", memory("VmRSS"), memory("VmHWM"));
}
