//! A queue that is rebuilt: a start that is killed over it is gone on with by the next, and of what
//! was damaged one copy is kept, however often it happens.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{life, options, reopened};
use crate::domain::journal::{Entry, JournalEvent};
use crate::store::Store;
use crate::store::failpoint::{Failpoint, Point};
use crate::store::fixtures::{at, picture};
use crate::store::journal::Journal;
use crate::store::open::CHUNK;
use crate::store::record::JournalRecord;
use crate::store::sled::{SledOptions, SledStore};

/// Entries that take several chunks to bring to the queue.
const ENTRIES: u64 = 8 * CHUNK as u64;

/// Syncs of the queue after which the child waits to be killed: the first may be that of an empty
/// queue.
const SYNCS: u64 = 3;

/// A store with a long journal, closed, with its picture and its last entry.
async fn long() -> (tempfile::TempDir, String, u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    life(&store, 9, 40, async |_| {}).await;
    let open = store.open_rollouts().await.expect("available").remove(0);
    let before = store.health().seq;
    store.close().expect("nothing failed");
    drop(store);
    let (mut journal, _) =
        Journal::open(&dir.path().join("journal"), 1 << 20, Failpoint::default()).expect("sound");
    let entry = |seq| {
        let word = open.record.phase.as_str();
        let what = JournalEvent::Rollout {
            from: word.into(),
            to: word.into(),
            why: "test".into(),
            by: None,
            via: None,
            record: open.record.clone(),
        };
        Entry { seq, at: at(500), rollout: open.id, what }
    };
    let lines: Vec<JournalRecord> = (before + 1..=before + ENTRIES)
        .map(|seq| JournalRecord { entry: entry(seq), due: None, more: 0 })
        .collect();
    journal.append(lines.iter()).and_then(|()| journal.sync()).expect("room on disk");
    drop(journal);
    let store = reopened(dir.path());
    let (seen, last) = (picture(&store).await, store.health().seq);
    store.close().expect("nothing failed");
    (dir, seen, last)
}

fn damage(dir: &Path) {
    std::fs::write(dir.join("queue/db"), "").expect("allowed");
    std::fs::write(dir.join("queue.suspect"), "a test says so").expect("room on disk");
}

fn set_aside(dir: &Path) -> usize {
    let files = std::fs::read_dir(dir).expect("there");
    files
        .filter(|file| {
            file.as_ref().expect("there").file_name().to_string_lossy().starts_with("queue.bad-")
        })
        .count()
}

/// A start in a process of its own that is killed when it has synced the queue so often.
fn killed_start(dir: &Path) {
    let mut child = Command::new(std::env::current_exe().expect("this test has a file"))
        .args([
            "--exact",
            "store::crash_tests::rebuild::a_start_that_waits_to_be_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("STORE_DIR", dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test can be run");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    while lines.next().expect("the child waits").expect("readable") != "waiting" {}
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
}

#[test]
#[ignore = "run by `a_killed_start_is_gone_on_with_and_leaves_no_pile`"]
fn a_start_that_waits_to_be_killed() {
    let dir = std::env::var_os("STORE_DIR").expect("run by another test only");
    let syncs = AtomicU64::new(0);
    let failpoint = Failpoint::new(move |point| {
        if point == Point::QueueSynced && syncs.fetch_add(1, Ordering::SeqCst) + 1 == SYNCS {
            writeln!(std::io::stdout().lock(), "\nwaiting")?;
            loop {
                std::thread::park();
            }
        }
        Ok(())
    });
    drop(SledStore::open(Path::new(&dir), options(failpoint)));
}

#[tokio::test]
async fn a_killed_start_is_gone_on_with_and_leaves_no_pile() {
    let (dir, before, last) = long().await;
    let building = dir.path().join("queue.building");
    let whole = last.div_ceil(CHUNK as u64);
    for round in 0..2 {
        damage(dir.path());
        let headway = options(Failpoint::default()).headway;
        let reported = headway.subscribe();
        for _ in 0..2 {
            killed_start(dir.path());
            assert!(building.exists(), "round {round}: nothing says what lies there");
        }
        let syncs = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&syncs);
        let failpoint = Failpoint::new(move |point| {
            counted.fetch_add(u64::from(point == Point::QueueSynced), Ordering::SeqCst);
            Ok(())
        });
        let store = SledStore::open(dir.path(), SledOptions { headway, ..options(failpoint) })
            .expect("sound");
        let left = syncs.load(Ordering::SeqCst);
        // Two chunks of the first start, whose first sync is that of the empty queue, and three of
        // the second.
        assert!(
            left > 0 && left <= whole - (2 * SYNCS - 1),
            "round {round}: {left} of {whole} chunks were left to be done"
        );
        assert_eq!(
            (reported.borrow().reached, reported.borrow().last),
            (last, last),
            "round {round}: what a supervisor is told"
        );
        assert!(
            store.health().rebuilt.is_some_and(|reason| reason.contains("a test says so")),
            "round {round}"
        );
        assert!(picture(&store).await == before, "round {round}");
        store.close().expect("nothing failed");
        assert_eq!(set_aside(dir.path()), 1, "round {round}: copies of damaged queues");
        assert!(!building.exists() && !dir.path().join("queue.suspect").exists(), "round {round}");
    }
    assert_eq!(reopened(dir.path()).health().rebuilt, None, "the next start has nothing to repair");
}

/// The half of a new queue that is damaged in turn is no evidence: it is begun again, and not set
/// aside.
#[tokio::test]
async fn the_half_of_a_queue_that_is_damaged_is_begun_again() {
    let (dir, before, _) = long().await;
    damage(dir.path());
    killed_start(dir.path());
    std::fs::write(dir.path().join("queue/db"), "").expect("allowed");
    let store = reopened(dir.path());
    assert!(store.health().rebuilt.is_some());
    assert!(picture(&store).await == before);
    assert_eq!(set_aside(dir.path()), 1);
}
