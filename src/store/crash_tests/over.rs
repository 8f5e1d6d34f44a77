//! Rows of what is over leave the queue's trees, and nothing of it can be seen: neither while it
//! happens, nor after a crash in the middle of it, nor by a program that begins with a store of
//! before.

use std::path::Path;
use std::time::Duration;

use super::{image, options, reopened};
use crate::domain::group::GroupBy;
use crate::domain::id::{ChangeId, RolloutId};
use crate::store::failpoint::Failpoint;
use crate::store::fixtures::{
    abort, at, failed, picture, put, release, started, submission, switched, target,
};
use crate::store::maintenance::check::check;
use crate::store::queue::Queue;
use crate::store::sled::{SledOptions, SledStore};
use crate::store::{Store, Submission, maintenance};

/// Rows of the rollout that ends: more than leave the tree at once.
const ROWS: u32 = 600;

/// A store with a rollout that is over and one that is not, and the id of the first.
async fn half_over(dir: &Path) -> (SledStore, RolloutId) {
    let store = reopened(dir);
    // One proxy an instance, so that all of them can be released.
    let targets = (0..ROWS + 50).map(|n| target(n, n)).collect();
    let over =
        started(&store, Submission { targets, ..submission("alpha", &[ROWS + 50], 0) }).await;
    let open = started(&store, submission("beta", &[4], 100_000)).await;
    release(&store, open, 0, 3).await;
    put(&store, open, 0, switched()).await.expect("free");
    work_off(&store, over, ROWS as usize).await;
    abort(&store, over).await;
    // The queue has all of it, too.
    store.rollouts(None, 2).await.expect("available");
    (store, over)
}

/// Brings so many changes to their outcome: every ninth fails.
async fn work_off(store: &SledStore, id: RolloutId, mut left: usize) {
    while left > 0 {
        let released = release(store, id, 0, left).await;
        assert!(!released.is_empty(), "{left} are left");
        left -= released.len();
        for ordinal in released {
            let state = if ordinal % 9 == 0 { failed("no") } else { switched() };
            put(store, id, ordinal, state).await.expect("free");
        }
    }
}

/// Waits until the rows of what is over have left the tree: another thread does it, and nothing
/// tells of its end.
fn packed(store: &SledStore) {
    for _ in 0..1_000 {
        if store.unpacked().expect("sound").is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never packed");
}

/// A closed store whose first rollout is packed: that one's id, what the store showed, and the
/// bytes of the file.
async fn packed_and_closed(dir: &Path) -> (RolloutId, String, Vec<u8>) {
    let (store, over) = half_over(dir).await;
    packed(&store);
    let seen = picture(&store).await;
    store.close().expect("nothing failed");
    drop(store);
    let bytes = std::fs::read(file(dir, over)).expect("there");
    (over, seen, bytes)
}

/// The queue of a closed store, opened alone.
fn alone(dir: &Path) -> Queue {
    let id = crate::store::home::read_identity(dir).expect("readable").expect("there").id;
    Queue::open(&dir.join("queue"), 1 << 20, &id, false, Failpoint::default()).expect("sound")
}

fn file(dir: &Path, id: RolloutId) -> std::path::PathBuf {
    dir.join(format!("queue/over/{id}.rows"))
}

#[tokio::test]
async fn what_is_over_leaves_the_trees_and_is_shown_as_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, over) = half_over(dir.path()).await;
    packed(&store);
    let seen = picture(&store).await;
    let page = store.page(over, vec!["failed".into()], Some(8), 10).await.expect("available");
    assert_eq!(
        page.changes.iter().map(|shown| shown.change.id.ordinal).collect::<Vec<_>>(),
        (1..=10).map(|n| n * 9).collect::<Vec<_>>()
    );
    let last = store.page(over, Vec::new(), Some(ROWS - 3), 5).await.expect("available");
    assert_eq!(
        last.changes.iter().map(|shown| shown.change.record.state.as_str()).collect::<Vec<_>>(),
        ["succeeded", "succeeded", "cancelled", "cancelled", "cancelled"]
    );
    store.close().expect("nothing failed");
    drop(store);
    assert!(file(dir.path(), over).exists());
    let queue = alone(dir.path());
    assert!(
        !queue.unpacked().expect("sound").contains(&over),
        "rows of what is over are still in the tree"
    );
    drop(queue);
    let report = check(dir.path()).expect("it can be checked");
    assert!(report.sound, "{report:#?}");
    assert!(picture(&reopened(dir.path())).await == seen);

    // The same from the journal alone, and after a compaction.
    std::fs::remove_dir_all(dir.path().join("queue")).expect("there");
    let store = reopened(dir.path());
    assert!(picture(&store).await == seen);
    assert!(
        store.unpacked().expect("sound").is_empty(),
        "a queue that is built anew is packed at once"
    );
    store.close().expect("nothing failed");
    drop(store);
    maintenance::compact::compact(dir.path()).expect("sound");
    assert!(file(dir.path(), over).exists());
    assert!(picture(&reopened(dir.path())).await == seen);
}

/// One rollout after the other over the same fleet: memory and sled hold no more after many than
/// after few.
#[tokio::test]
async fn what_is_kept_does_not_grow_with_what_is_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    let mut kept = Vec::new();
    for number in 0..12 {
        let targets = (0..40).map(|n| target(n, n)).collect();
        let mut submission =
            Submission { targets, ..submission(&format!("night-{number}"), &[40], 0) };
        let limits = [(GroupBy::Lane, 5)];
        submission.plan.strategy.max_in_flight_per = limits.into_iter().collect();
        let over = started(&store, submission).await;
        work_off(&store, over, 30).await;
        abort(&store, over).await;
        // Whatever is asked of it afterwards.
        let page = store.page(over, Vec::new(), None, 100).await.expect("available");
        assert_eq!(page.changes.len(), 40);
        for ordinal in [0, 39] {
            store
                .change(ChangeId { rollout: over, ordinal })
                .await
                .expect("available")
                .expect("there");
        }
        assert_eq!(store.targets(over).await.expect("available").expect("there").len(), 40);
        if number % 6 == 5 {
            packed(&store);
            kept.push(store.kept());
        }
    }
    assert_eq!(kept[0], kept[1], "after 6 and after 12 rollouts");
    let some: Vec<_> = kept[1]
        .iter()
        .filter(|(what, count)| *count > 0 && !["meta", "instances"].contains(what))
        .collect();
    assert!(some.is_empty(), "{some:?}");
}

/// A rollout with a row for each of its targets that is over.
async fn ended(store: &SledStore, name: &str, rows: u32) -> RolloutId {
    let targets = (0..rows).map(|n| target(n, n)).collect();
    let id = started(store, Submission { targets, ..submission(name, &[rows], 0) }).await;
    work_off(store, id, rows as usize).await;
    abort(store, id).await;
    id
}

/// sled's table of pages only ever grows: it must not by what was over and is packed.
#[tokio::test]
async fn the_table_of_pages_does_not_grow_with_what_is_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    let mut pages = Vec::new();
    for number in 0..8 {
        ended(&store, &format!("night-{number}"), 120).await;
        packed(&store);
        pages.push(store.shared.queue.pages());
    }
    // The rows of one rollout take a page for each 8 to 16 of them.
    assert!(pages[7] < pages[1] + 12, "{pages:?}");
}

/// And what is over and not packed is bounded, however slow the packer is.
#[tokio::test]
async fn a_packer_that_lags_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SledStore::open(
        dir.path(),
        SledOptions { packing_rows_max: 10, ..options(Failpoint::default()) },
    )
    .expect("a new store");
    store.shared.packing.hold(true);
    for name in ["alpha", "beta", "gamma"] {
        ended(&store, name, 8).await;
    }
    assert!(store.shared.packing.fills(), "nobody waits, and 16 rows do");
    assert_eq!(store.unpacked().expect("sound").len(), 3);
    store.shared.packing.hold(false);
    ended(&store, "delta", 8).await;
    store.rollouts(None, 9).await.expect("the queue goes on");
    packed(&store);
}

/// Nobody waits for it at the end: what is left is packed by the next start.
#[tokio::test]
async fn a_store_that_ends_does_not_wait_for_the_packer() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SledStore::open(
        dir.path(),
        SledOptions { packing_rows_max: 0, ..options(Failpoint::default()) },
    )
    .expect("a new store");
    store.shared.packing.hold(true);
    for name in ["alpha", "beta"] {
        ended(&store, name, 3).await;
    }
    assert!(store.shared.packing.fills(), "nobody waits, and 3 rows do");
    store.close().expect("nothing failed");
    drop(store);
    let store = reopened(dir.path());
    packed(&store);
    assert_eq!(store.rollouts(None, 9).await.expect("available").len(), 2);
}

/// The disk does not shrink with what is over: its files count as bytes of the queue and as growth.
#[tokio::test]
async fn files_of_what_is_over_count() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, over) = half_over(dir.path()).await;
    packed(&store);
    let length = |path: &Path| path.metadata().expect("there").len();
    let rows = length(&file(dir.path(), over));
    assert_eq!(store.health().queue_bytes, length(&dir.path().join("queue/db")) + rows);
    let submissions = std::fs::read_dir(dir.path().join("submissions")).expect("there");
    let submissions: u64 = submissions.map(|file| length(&file.expect("readable").path())).sum();
    let growth_before = store.growth(at(12 * 3_600)).await.expect("available").expect("old enough");
    assert_eq!(growth_before.since, at(0));
    assert_eq!(
        growth_before.bytes_per_day,
        2 * (store.health().journal_bytes + submissions + rows)
    );

    // A queue that is rebuilt writes the file again; that is no growth.
    store.close().expect("nothing failed");
    drop(store);
    maintenance::compact::compact(dir.path()).expect("sound");
    let store = reopened(dir.path());
    let growth_after = store.growth(at(12 * 3_600)).await.expect("available").expect("old enough");
    assert_eq!(
        (growth_after.since, growth_after.bytes_per_day),
        (growth_before.since, growth_before.bytes_per_day)
    );
}

/// Every state that a crash in the middle of packing leaves, and that of a store that was never
/// packed.
#[tokio::test]
async fn a_crash_in_the_middle_of_packing_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let (over, seen, whole) = packed_and_closed(dir.path()).await;
    // Back to where nothing is packed: the rows in the tree, no file.
    let queue = alone(dir.path());
    for pair in queue.all_settled().expect("sound").collect::<Result<Vec<_>, _>>().expect("sound") {
        queue.settled.insert(pair.0, pair.1).expect("sound");
    }
    for pair in queue.all_failures().expect("sound").collect::<Result<Vec<_>, _>>().expect("sound")
    {
        queue.failures.insert(pair.0, pair.1).expect("sound");
    }
    queue.sync().expect("room on disk");
    drop(queue);
    std::fs::remove_file(file(dir.path(), over)).expect("there");
    for stage in [
        "never packed",
        "half a file",
        "the file alone",
        "half of the rows gone",
        "all of them gone",
    ] {
        let dir = image(dir.path());
        let at = file(dir.path(), over);
        match stage {
            "never packed" => {}
            "half a file" => std::fs::write(at.with_extension("new"), &whole[..whole.len() / 2])
                .expect("room on disk"),
            _ => {
                let queue = alone(dir.path());
                assert!(queue.pack(over, ROWS, &|| true).expect("sound"));
                assert!(
                    std::fs::read(&at).expect("written") == whole,
                    "{stage}: the same rows make the same file"
                );
                match stage {
                    "half of the rows gone" => {
                        assert!(
                            queue.unload(over, ROWS as usize / 2).expect("sound"),
                            "more is there"
                        );
                    }
                    "all of them gone" => while queue.unload(over, 100).expect("sound") {},
                    _ => {}
                }
                queue.sync().expect("room on disk");
            }
        }
        let report = check(dir.path()).expect("it can be checked");
        assert!(report.sound, "{stage}: {report:#?}");
        let store = reopened(dir.path());
        assert!(picture(&store).await == seen, "{stage}");
        packed(&store);
        assert!(picture(&store).await == seen, "{stage}, and packed");
        assert_eq!(store.health().rebuilt, None, "{stage}");
    }
}

/// Readers that go on while rows leave the tree meet each of them, there or in the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_misses_a_row_that_is_on_its_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, over) = half_over(dir.path()).await;
    while !store.unpacked().expect("sound").is_empty() {
        let page =
            store.page(over, Vec::new(), None, ROWS as usize).await.expect("no row is missing");
        assert_eq!(page.changes.len(), ROWS as usize);
    }
    assert_eq!(*store.failed().borrow(), None);
}

#[tokio::test]
async fn damage_of_a_packed_row_is_reported_and_the_queue_is_rebuilt() {
    let dir = tempfile::tempdir().expect("a directory");
    let (over, seen, sound) = packed_and_closed(dir.path()).await;
    for damage in ["a byte", "cut", "gone"] {
        let dir = image(dir.path());
        let at = file(dir.path(), over);
        match damage {
            "a byte" => {
                let mut bytes = sound.clone();
                bytes[sound.len() / 3] ^= 1;
                std::fs::write(&at, bytes).expect("room on disk");
            }
            "cut" => std::fs::write(&at, &sound[..sound.len() / 2]).expect("room on disk"),
            _ => std::fs::remove_file(&at).expect("there"),
        }
        assert!(!check(dir.path()).expect("it can be checked").sound, "{damage}");
        let store = reopened(dir.path());
        let mut met = None;
        for after in [None, Some(ROWS / 2)] {
            met = met.or(store.page(over, Vec::new(), after, ROWS as usize).await.err());
        }
        assert!(met.expect("a page met it").to_string().contains("builds it anew"), "{damage}");
        drop(store);
        let store = reopened(dir.path());
        assert!(store.health().rebuilt.is_some(), "{damage}");
        assert!(picture(&store).await == seen, "{damage}");
    }
}
