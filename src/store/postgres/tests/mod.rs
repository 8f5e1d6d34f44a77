//! The store over a real server.

mod beats;
mod cluster;
mod faults;
mod refusals;
mod several;

use std::path::Path;

use self::cluster::Cluster;
use self::several::InTurns;
use super::PostgresStore;
use super::options::PostgresOptions;
use crate::database::{DatabaseUrl, SchemaName};
use crate::store::Store;
use crate::store::contract::CLAUSES;
use crate::store::fixtures::{Driver, abort, picture};
use crate::store::memory::MemoryStore;
use crate::store::running::RunningStore as _;

/// What is not crashed need not be synced.
const QUICK: &[&str] = &["fsync=off", "full_page_writes=off"];

impl Cluster {
    /// The options of a daemon of this role, whose store is in this schema.
    pub fn options(&self, user: &str, schema: &str, folder: &Path) -> PostgresOptions {
        let url = format!("host={} dbname=postgres user={user}", self.host().display());
        let url = DatabaseUrl::parse(&url).expect("a sound URL");
        PostgresOptions {
            schema: SchemaName::parse(schema).expect("a plain word"),
            allow_no_fsync: true,
            ..PostgresOptions::new(&url, folder.to_owned())
        }
    }
}

async fn open(cluster: &Cluster, schema: &str, folder: &Path) -> PostgresStore {
    let opened = PostgresStore::open(cluster.options("owner", schema, folder)).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

async fn close(store: PostgresStore) {
    let closed = tokio::task::spawn_blocking(move || store.close());
    closed.await.expect("it ends").expect("sound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_of_a_store() {
    let cluster = Cluster::start(QUICK).await;
    let only = std::env::var("SEALIFT_CLAUSE").ok();
    for (name, clause) in CLAUSES {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a directory");
        let short: String = name.chars().take(50).collect();
        println!("{name}: alone");
        let store = open(&cluster, &short, folder.path()).await;
        clause(&store).await;
        close(store).await;

        println!("{name}: every call to another of two daemons");
        let folders = [tempfile::tempdir(), tempfile::tempdir()];
        let folders = folders.map(|folder| folder.expect("a directory"));
        let short = format!("two_{short}");
        let first = open(&cluster, &short, folders[0].path()).await;
        let second = open(&cluster, &short, folders[1].path()).await;
        let both = InTurns::of([first, second]);
        clause(&both).await;
        for store in both.into_stores() {
            close(store).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_comes_back_as_it_was() {
    let cluster = Cluster::start(QUICK).await;
    let (folder, other) = (tempfile::tempdir(), tempfile::tempdir());
    let (folder, other) = (folder.expect("a directory"), other.expect("a directory"));
    let memory = MemoryStore::new();
    let mut store = open(&cluster, "night", folder.path()).await;
    assert!(store.is_new());
    let (mut ours, mut theirs) = (Driver::new(7), Driver::new(7));
    ours.begin(&store).await;
    theirs.begin(&memory).await;
    for round in 0..4 {
        for _ in 0..60 {
            ours.step(&store).await;
            theirs.step(&memory).await;
        }
        if round == 2 {
            abort(&store, ours.rollouts[1]).await;
            abort(&memory, theirs.rollouts[1]).await;
        }
        let wanted = picture(&memory).await;
        assert_eq!(picture(&store).await, wanted, "round {round}");
        close(store).await;
        // Now by the daemon that made all of it, now by one that has no copy of anything.
        let folder = if round % 2 == 0 { other.path() } else { folder.path() };
        store = open(&cluster, "night", folder).await;
        assert!(!store.is_new());
        assert_eq!(picture(&store).await, wanted, "round {round}, opened again");
    }
    let (ours, theirs) = (store.health(), memory.health());
    assert_eq!(ours.seq, theirs.seq);
}
