//! A crash at every write boundary, with every outcome that the disk may choose.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::score::Score;
use super::{image, life, open_plain, options, pictures, reopened};
use crate::store::failpoint::{Failpoint, Point};
use crate::store::fixtures::{abort, assert_tallies_add_up, picture};
use crate::store::sled::{SledOptions, SledStore};
use crate::store::{Store, segment};

const SEED: u64 = 21;
const STEPS: usize = 12;

/// The directory as a crash at this instant would leave it, at best.
struct Shot {
    point: Point,
    image: tempfile::TempDir,
    /// The last entry that somebody had been told of.
    acknowledged: u64,
    /// Length of the last segment when it was last synced.
    synced: u64,
}

fn last_segment(dir: &Path) -> Option<(PathBuf, u64)> {
    let dir = dir.join("journal");
    let first = *segment::list(&dir).expect("there").last()?;
    let path = segment::path(&dir, first);
    let len = path.metadata().expect("there").len();
    Some((path, len))
}

/// Lives the life and takes a shot at every boundary.
async fn shots(gather: Duration) -> Vec<Shot> {
    let dir = tempfile::tempdir().expect("a directory");
    let (shots, acknowledged) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let failpoint = {
        let (shots, acknowledged, dir) =
            (Arc::clone(&shots), Arc::clone(&acknowledged), dir.path().to_owned());
        let synced: Mutex<(PathBuf, u64)> = Mutex::default();
        // A copy that is made while the queue writes shows no instant at all.
        let queue_writes = (Mutex::new(false), Condvar::new());
        Failpoint::new(move |point| {
            let (writes, changed) = &queue_writes;
            let mut writes = writes.lock().expect("not poisoned");
            let _until_shot = match point {
                Point::QueueApplied | Point::QueueFlushed | Point::QueueSynced => {
                    *writes = point != Point::QueueSynced;
                    writes
                }
                _ => changed.wait_while(writes, |writes| *writes).expect("not poisoned"),
            };
            changed.notify_all();
            let acknowledged = acknowledged.load(Ordering::SeqCst);
            let last = last_segment(&dir);
            let mut synced = synced.lock().expect("not poisoned");
            if let (Point::JournalSynced, Some(last)) = (point, &last) {
                *synced = last.clone();
            }
            let synced = last.map_or(0, |(path, _)| if synced.0 == path { synced.1 } else { 0 });
            shots.lock().expect("not poisoned").push(Shot {
                point,
                image: image(&dir),
                acknowledged,
                synced,
            });
            Ok(())
        })
    };
    let store = SledStore::open(dir.path(), SledOptions { gather, ..options(failpoint) })
        .expect("a new store");
    life(&store, SEED, STEPS, async |store| {
        store.durable().await.expect("available");
        acknowledged.store(store.health().seq, Ordering::SeqCst);
    })
    .await;
    store.close().expect("nothing failed");
    drop(store);
    Arc::into_inner(shots).expect("the store is gone").into_inner().expect("not poisoned")
}

/// What the disk may have made of the bytes that were not synced: how many are there, and whether
/// they are zeros.
fn outcomes(shot: &Shot) -> Vec<(u64, bool)> {
    let Some((_, len)) = last_segment(shot.image.path()) else { return vec![(0, false)] };
    let unsynced = len - shot.synced;
    if unsynced == 0 {
        return vec![(len, false)];
    }
    let torn = |part: u64| shot.synced + unsynced * part / 4;
    vec![
        (len, false),
        (shot.synced, false),
        (torn(1), false),
        (torn(3), false),
        (len - 1, false),
        (len, true),
    ]
}

fn make(dir: &Path, shot: &Shot, (len, zeros): (u64, bool)) {
    let Some((path, _)) = last_segment(dir) else { return };
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("there");
    file.set_len(if zeros { shot.synced } else { len }).expect("allowed");
    file.set_len(len).expect("allowed");
}

#[tokio::test]
async fn every_boundary_and_every_outcome() {
    survives("crash at a write boundary, queue in step", &shots(Duration::ZERO).await).await;
}

#[tokio::test]
async fn every_boundary_while_the_queue_is_far_behind() {
    // The queue takes entries in only where the life reads what is settled, and at the end.
    let shots = shots(Duration::from_secs(3_600)).await;
    let alone = shots
        .iter()
        .take_while(|shot| shot.point != Point::QueueApplied)
        .map(|shot| shot.acknowledged)
        .max();
    assert!(alone > Some(20), "the queue was only {alone:?} entries behind");
    survives("crash at a write boundary, queue far behind", &shots).await;
}

async fn survives(what: &str, shots: &[Shot]) {
    let expected = pictures(SEED, STEPS).await;
    let mut seen: Vec<Point> = shots.iter().map(|shot| shot.point).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, Point::ALL, "a boundary was never reached");
    let (mut opened, mut torn) = (0, 0);
    for shot in shots {
        for (number, outcome) in outcomes(shot).into_iter().enumerate() {
            let dir = image(shot.image.path());
            make(dir.path(), shot, outcome);
            let at = format!("{:?} after {} with {outcome:?}", shot.point, shot.acknowledged);
            let store = open_plain(dir.path()).unwrap_or_else(|error| panic!("{at}: {error}"));
            let seq = store.health().seq;
            assert!(seq >= shot.acknowledged, "{at}: entry {seq} is the last");
            assert_eq!(store.health().rebuilt, None, "{at}");
            let expected = expected
                .get(&seq)
                .unwrap_or_else(|| panic!("{at}: entry {seq} is in the middle of a commit"));
            assert_eq!(&picture(&store).await, expected, "{at}");
            opened += 1;
            torn += usize::from(store.torn().is_some());
            if number > 0 {
                continue;
            }
            // It goes on, and what it then does survives as well.
            if let Some(open) = store.open_rollouts().await.expect("available").first() {
                abort(&store, open.id).await;
                assert_tallies_add_up(&store).await;
                let after = picture(&store).await;
                drop(store);
                assert_eq!(picture(&reopened(dir.path())).await, after, "{at}");
            }
        }
    }
    assert!(torn > 10, "only {torn} of {opened} journals ended torn");
    let acknowledged =
        shots.last().map_or(0, |shot| usize::try_from(shot.acknowledged).expect("few"));
    Score { times: opened, acknowledged, sound: opened, ..Score::of(what) }.settle();
}

/// A store whose `nth` arrival at `point` fails as a full or broken disk would let it.
fn failing(dir: &Path, point: Point, nth: usize) -> SledStore {
    let count = AtomicUsize::new(0);
    let failpoint = Failpoint::new(move |reached| {
        if reached == point && count.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    });
    SledStore::open(dir, options(failpoint)).expect("a new store")
}

#[tokio::test]
async fn a_failed_write_is_final_and_loses_nothing() {
    use crate::store::fixtures::{Driver, blank, rollout, submission};
    let expected = pictures(SEED, 60).await;
    let fatal = Point::ALL
        .into_iter()
        .filter(|point| !matches!(point, Point::SubmissionWritten | Point::SubmissionNamed));
    for (point, nth) in fatal.flat_map(|point| [(point, 1), (point, 3)]) {
        let dir = tempfile::tempdir().expect("a directory");
        // The first sync of the queue belongs to its creation, which must succeed.
        let nth =
            if matches!(point, Point::QueueFlushed | Point::QueueSynced) { nth + 2 } else { nth };
        let store = Arc::new(failing(dir.path(), point, nth));
        let at = format!("{point:?}, time {nth}");
        let mut failed = store.failed();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let living = tokio::spawn({
            let (store, acknowledged) = (Arc::clone(&store), Arc::clone(&acknowledged));
            async move {
                let mut driver = Driver::new(SEED);
                driver.begin_with(&*store, &super::TITLES, &super::WAVES).await;
                for _ in 0..60 {
                    driver.step(&*store).await;
                    store.durable().await.expect("available");
                    acknowledged.store(store.health().seq, Ordering::SeqCst);
                }
            }
        });
        let reason =
            failed.wait_for(Option::is_some).await.expect("the store lives").clone().expect("some");
        assert!(reason.contains("cannot write"), "{at}: {reason}");
        living.await.expect_err("its next call was refused");
        assert!(store.open_rollouts().await.is_err(), "{at}: reads are refused too");
        assert!(store.submit(submission("late", &[1], 9_000)).await.is_err(), "{at}");
        assert!(store.health().refusing.is_some(), "{at}");
        assert!(store.close().is_err(), "{at}");
        drop(store);

        // The next process finds all that was told, and goes on.
        let store = reopened(dir.path());
        let seq = store.health().seq;
        assert!(seq >= acknowledged.load(Ordering::SeqCst), "{at}");
        assert_eq!(Some(&picture(&store).await), expected.get(&seq), "{at}");
        if let Some(open) = store.open_rollouts().await.expect("available").first() {
            let now = rollout(&store, open.id).await;
            store.commit(blank(&now, 99)).await.expect("goes on");
        }
    }
}

#[tokio::test]
async fn a_submission_that_cannot_be_written_is_only_refused() {
    use crate::store::SubmitError;
    use crate::store::fixtures::submission;
    for point in [Point::SubmissionWritten, Point::SubmissionNamed] {
        let dir = tempfile::tempdir().expect("a directory");
        let store = failing(dir.path(), point, 1);
        let refused = store.submit(submission("alpha", &[2], 0)).await.expect_err("no room");
        assert!(matches!(refused, SubmitError::Refusing(_)), "{refused}");
        assert!(store.failed().borrow().is_none());
        assert!(store.submit(submission("alpha", &[2], 0)).await.expect("room again").new);
    }
}
