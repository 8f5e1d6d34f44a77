//! Compaction: smaller, equal, and safe wherever it is broken off.

use std::fs;

use super::*;
use crate::store::maintenance::check::check;
use crate::store::maintenance::compact::compact;

#[tokio::test]
async fn a_compacted_queue_shows_the_same_in_fewer_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    life(&store, 61, 2_000, async |_| {}).await;
    let before = picture(&store).await;
    drop(store);
    let compacted = compact(dir.path()).expect("sound");
    assert!(compacted.after < compacted.before, "{compacted:?}");
    assert_eq!(compacted.mended, Vec::<String>::new());
    let report = check(dir.path()).expect("it can be checked");
    assert!(report.sound && report.findings.is_empty(), "{report:#?}");
    assert!(picture(&reopened(dir.path())).await == before);
}

#[tokio::test]
async fn a_compaction_that_is_broken_off_costs_nothing() {
    let bed = bed(62).await;
    let cases: [(&str, StoreAction); 4] = [
        ("while it builds", |dir| {
            fs::create_dir_all(dir.join("queue.compact/blobs")).expect("a directory")
        }),
        ("between its renames", |dir| {
            fs::rename(dir.join("queue"), dir.join("queue.old")).expect("there");
            fs::create_dir(dir.join("queue.compact")).expect("a directory");
        }),
        ("before the old one is gone", |dir| {
            fs::create_dir(dir.join("queue.old")).expect("a directory")
        }),
        ("all of it", |dir| fs::remove_dir_all(dir.join("queue")).expect("there")),
    ];
    for (when, broken) in cases {
        let dir = image(bed.dir.path());
        broken(dir.path());
        let store = reopened(dir.path());
        assert!(picture(&store).await == bed.picture, "{when}");
        assert!(
            !dir.path().join("queue.compact").exists() && !dir.path().join("queue.old").exists(),
            "{when}"
        );
        drop(store);
        assert!(check(dir.path()).expect("it can be checked").sound, "{when}");
    }
}

#[tokio::test]
async fn what_is_held_or_no_store_is_not_compacted() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(
        compact(&dir.path().join("nowhere"))
            .is_err_and(|error| error.to_string().contains("holds no store"))
    );
    assert!(!dir.path().join("nowhere").exists());
    let store = reopened(dir.path());
    assert!(compact(dir.path()).is_err_and(|error| error.to_string().contains("another daemon")));
    drop(store);
}
