//! Connections that end in the middle of anything, and a server that goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Cluster, QUICK, close, open};
use crate::domain::change::State;
use crate::store::fixtures::{
    Driver, at, change_of, picture, put, release, started, submission, switched,
};
use crate::store::memory::MemoryStore;
use crate::store::{Durability, Store};

/// Long enough for a server to start, and bounded.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_end_lose_nothing_and_do_nothing_twice() {
    let cluster = Arc::new(Cluster::start(QUICK).await);
    let folder = tempfile::tempdir().expect("a directory");
    let store = open(&cluster, "night", folder.path()).await;
    let memory = MemoryStore::new();
    let (mut ours, mut theirs) = (Driver::new(3), Driver::new(3));
    ours.begin(&store).await;
    theirs.begin(&memory).await;
    let ended = Arc::new(AtomicBool::new(false));
    let cut = {
        let (cluster, ended) = (cluster.clone(), ended.clone());
        tokio::spawn(async move {
            let owner = cluster.connect("owner").await.expect("it runs");
            let mut random = fastrand::Rng::with_seed(1);
            let mut count = 0_i64;
            while !ended.load(Ordering::Relaxed) {
                // One of the daemon's connections, at any instant of what it is doing.
                tokio::time::sleep(Duration::from_micros(random.u64(500..80_000))).await;
                let sql = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM \
                     pg_stat_activity WHERE application_name = 'sealift' \
                     ORDER BY state = 'idle', random() LIMIT 1) one";
                count += owner.query_one(sql, &[]).await.expect("it runs").get::<_, i64>(0);
            }
            count
        })
    };
    for _ in 0..150 {
        tokio::time::timeout(LONG, ours.step(&store)).await.expect("it goes on by itself");
        theirs.step(&memory).await;
    }
    ended.store(true, Ordering::Relaxed);
    assert!(cut.await.expect("it ends") > 20, "connections were ended");
    assert_eq!(picture(&store).await, picture(&memory).await);
    close(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_is_away_and_what_was_synced_survives() {
    let mut cluster = Cluster::start(&["wal_writer_delay=10s"]).await;
    let folder = tempfile::tempdir().expect("a directory");
    let store = Arc::new(open(&cluster, "night", folder.path()).await);
    let id = started(store.as_ref(), submission("alpha", &[40], 0)).await;
    for round in 0..3_i64 {
        let released = release(store.as_ref(), id, 0, 6).await;
        put(store.as_ref(), id, released[0], State::Inspecting).await.expect("free");
        // Ordered steps that nothing has synced when the server goes.
        let ordered = release_ordered(store.as_ref(), id, released[1]).await;
        let mut away = store.away();
        cluster.kill();
        let gone = tokio::time::timeout(LONG, crate::store::Away::comes(&mut away)).await;
        assert!(!gone.expect("it is noticed").why.is_empty());
        let waiting = {
            let (store, first) = (store.clone(), released[0]);
            tokio::spawn(async move { put(store.as_ref(), id, first, switched()).await })
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!waiting.is_finished(), "a commit waits while the store is away");
        cluster.begin().await;
        let back = tokio::time::timeout(LONG, waiting).await.expect("it goes on by itself");
        back.expect("no panic").expect("nobody else moved it");
        let back = tokio::time::timeout(LONG, away.wait_for(Option::is_none)).await;
        back.expect("it says that it is back").expect("open");
        assert_eq!(
            change_of(store.as_ref(), id, released[0]).await.change.record.state,
            switched()
        );
        // It is there, or it never was; either way it can be moved again.
        let now = change_of(store.as_ref(), id, ordered).await.change.record.state;
        assert!([State::Ready, State::Inspecting].contains(&now), "{now:?} in round {round}");
        put(store.as_ref(), id, ordered, switched()).await.expect("free");
        for ordinal in &released[2..] {
            put(store.as_ref(), id, *ordinal, switched()).await.expect("free");
        }
    }
    let shown = picture(store.as_ref()).await;
    let store = Arc::into_inner(store).expect("nobody else has it");
    close(store).await;
    let store = open(&cluster, "night", folder.path()).await;
    assert_eq!(picture(&store).await, shown);
    close(store).await;
}

/// A step of a change that is ordered only.
async fn release_ordered(store: &dyn Store, id: crate::domain::id::RolloutId, ordinal: u32) -> u32 {
    let now = store.rollout(id).await.expect("available").expect("there");
    let record = change_of(store, id, ordinal).await.change.record;
    let moved = crate::store::fixtures::step(ordinal, &record, State::Inspecting, 5);
    let commit = crate::store::Commit {
        at: at(5),
        changes: vec![moved],
        durability: Durability::Ordered,
        ..crate::store::fixtures::blank(&now, 5)
    };
    store.commit(commit).await.expect("free");
    ordinal
}
