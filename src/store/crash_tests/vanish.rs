//! A store whose directory, or a part of it, is taken away under the process that works on it:
//! nothing is acknowledged any more, the process is told why, and nobody else gets at what it
//! writes.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::{open_plain, options, reopened};
use crate::store::error::OpenError;
use crate::store::failpoint::Failpoint;
use crate::store::fixtures::{abort, at, started, submission, try_abort};
use crate::store::sled::{SledOptions, SledStore};
use crate::store::{Store, SubmitError, segment};

/// Takes something away from a store's directory.
type Theft = fn(&Path);

fn last_segment(dir: &Path) -> std::path::PathBuf {
    let journal = dir.join("journal");
    segment::path(&journal, *segment::list(&journal).expect("there").last().expect("some"))
}

/// Why the process must end. Whoever committed may hear of it a moment before.
async fn reason(store: &SledStore) -> Option<String> {
    let mut failed = store.failed();
    let report =
        tokio::time::timeout(Duration::from_secs(60), failed.wait_for(Option::is_some)).await;
    report.ok()?.ok()?.clone()
}

/// Moves the directory away and puts a copy in its place.
fn replaced(dir: &Path) {
    let away = dir.with_file_name("away");
    fs::rename(dir, &away).expect("there");
    super::copy(&away, dir);
}

#[tokio::test]
async fn what_is_taken_away_ends_the_process_before_anything_is_acknowledged() {
    let cases: [(&str, Theft); 8] = [
        ("removed", |dir| fs::remove_dir_all(dir).expect("there")),
        ("moved", |dir| fs::rename(dir, dir.with_file_name("away")).expect("there")),
        ("replaced by a copy", replaced),
        ("without its lock", |dir| fs::remove_file(dir.join("lock")).expect("there")),
        ("with another lock", |dir| {
            fs::remove_file(dir.join("lock")).expect("there");
            fs::write(dir.join("lock"), "").expect("room on disk");
        }),
        ("without its journal", |dir| fs::remove_dir_all(dir.join("journal")).expect("there")),
        ("with another journal", |dir| {
            fs::rename(dir.join("journal"), dir.with_file_name("away")).expect("there");
            super::copy(&dir.with_file_name("away"), &dir.join("journal"));
        }),
        ("without its last segment", |dir| fs::remove_file(last_segment(dir)).expect("there")),
    ];
    for (what, take_away) in cases {
        let state = tempfile::tempdir().expect("a directory");
        let dir = state.path().join("queue");
        let store = reopened(&dir);
        let id = started(&store, submission("alpha", &[3], 0)).await;
        store.durable().await.expect("available");
        assert_eq!(*store.failed().borrow(), None);
        take_away(&dir);
        let refused = try_abort(&store, id).await.expect_err(what).to_string();
        let failed = reason(&store).await.unwrap_or_else(|| panic!("{what}: the process goes on"));
        assert!(
            refused.contains(&failed) && failed.contains(&dir.display().to_string()),
            "{what}: {refused}\n{failed}"
        );
        assert!(store.durable().await.is_err() && store.open_rollouts().await.is_err(), "{what}");
    }
}

#[tokio::test]
async fn a_submission_that_finds_no_directory_ends_the_process() {
    let state = tempfile::tempdir().expect("a directory");
    let dir = state.path().join("queue");
    let store = reopened(&dir);
    started(&store, submission("alpha", &[3], 0)).await;
    fs::remove_dir_all(&dir).expect("there");
    let refused =
        store.submit(submission("beta", &[3], 100)).await.expect_err("there is no place for it");
    assert!(matches!(refused, SubmitError::Unavailable(_)), "{refused}");
    assert!(
        store
            .failed()
            .borrow()
            .as_ref()
            .is_some_and(|reason| reason.contains("removed, moved or replaced"))
    );
}

/// Whoever removes the lock's file lets nobody at a journal that is being written: a start that
/// took its half-written end for torn would cut it off.
#[tokio::test]
async fn a_second_start_never_cuts_a_live_journal() {
    let state = tempfile::tempdir().expect("a directory");
    let dir = state.path().join("queue");
    let store = reopened(&dir);
    let id = started(&store, submission("alpha", &[3], 0)).await;
    store.durable().await.expect("available");
    // As the first half of a batch that is being written.
    let path = last_segment(&dir);
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .expect("there")
        .write_all(b"{\"seq\":9")
        .expect("room on disk");
    let written = fs::read(&path).expect("there");
    fs::remove_file(dir.join("lock")).expect("there");
    for _ in 0..2 {
        let refused = open_plain(&dir).expect_err("it is worked on");
        assert!(matches!(refused, OpenError::Taken { .. }), "{refused}");
        assert!(fs::read(&path).expect("there") == written, "the live journal was cut");
    }
    let busy =
        crate::store::maintenance::repair::repair(&dir, None, at(0)).expect_err("it is worked on");
    assert!(busy.to_string().contains("another daemon"), "{busy}");
    // And the first one ends: it has been told of a lock that is not its own.
    assert!(try_abort(&store, id).await.is_err());
}

fn expecting(dir: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(dir, SledOptions { id_beside: true, ..options(Failpoint::default()) })
}

#[tokio::test]
async fn a_start_that_misses_its_store_refuses_and_creates_nothing() {
    let state = tempfile::tempdir().expect("a directory");
    let dir = state.path().join("queue");
    let store = expecting(&dir).expect("a new one");
    let id = started(&store, submission("alpha", &[3], 0)).await;
    drop(store);
    // As a store of before that was never named beside its directory.
    fs::remove_file(state.path().join("queue.id")).expect("written by the first start");
    drop(expecting(&dir).expect("it is there"));

    fs::rename(&dir, state.path().join("away")).expect("there");
    for empty in [false, true] {
        if empty {
            // As a mount point without its disk.
            fs::create_dir(&dir).expect("a directory");
        }
        let refused = expecting(&dir).expect_err("gone");
        assert!(matches!(refused, OpenError::Lost { .. }), "{refused}");
        let report = refused.to_string();
        assert!(
            report.contains("sealift store import COPY") && report.contains("sealift store new"),
            "{report}"
        );
        assert!(
            !dir.exists() || fs::read_dir(&dir).expect("there").next().is_none(),
            "something was created"
        );
    }
    fs::remove_dir(&dir).expect("empty");

    // Another store in its place.
    drop(reopened(&dir));
    let refused = expecting(&dir).expect_err("another one");
    assert!(matches!(refused, OpenError::Other { .. }), "{refused}");
    fs::remove_dir_all(&dir).expect("there");

    // Put back, it goes on; and without its own word it is repaired by the one beside it.
    fs::rename(state.path().join("away"), &dir).expect("there");
    let store = expecting(&dir).expect("it is back");
    abort(&store, id).await;
    drop(store);
    fs::remove_file(dir.join("store")).expect("there");
    let refused = expecting(&dir).expect_err("nameless");
    assert!(matches!(refused, OpenError::Nameless { .. }), "{refused}");
    fs::remove_dir_all(dir.join("queue")).expect("there");
    crate::store::maintenance::repair::repair(&dir, None, at(0)).expect("the id stands beside");
    assert!(expecting(&dir).expect("whole again").rollout(id).await.expect("available").is_some());
}
