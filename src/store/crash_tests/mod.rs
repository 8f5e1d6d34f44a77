//! What the store on disk promises, shown by breaking it: crashes at every write boundary, power
//! cuts, damage of every file, full and read-only disks, kills, a directory that vanishes; and how
//! fast it is.

mod crash;
mod damage;
mod disk;
mod kill;
mod mounts;
mod older;
mod over;
mod power;
mod random_damage;
mod rebuild;
mod score;
mod speed;
mod vanish;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::failpoint::Failpoint;
use super::fixtures::{Driver, picture};
use super::memory::MemoryStore;
use super::sled::{SledOptions, SledStore};
use super::{Store, error::OpenError};

/// Small segments and frequent marks, so that a short run meets every boundary; the queue in step
/// with the journal, so that an image taken at a boundary shows one instant.
pub(super) fn options(failpoint: Failpoint) -> SledOptions {
    SledOptions {
        floor_bytes: 0,
        segment_bytes: 16 * 1024,
        mark_every: 7,
        gather: Duration::ZERO,
        failpoint,
        ..SledOptions::default()
    }
}

pub(super) fn open_plain(dir: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(dir, options(Failpoint::default()))
}

pub(super) fn reopened(dir: &Path) -> SledStore {
    open_plain(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    let mut files: Vec<_> =
        std::fs::read_dir(from).expect("there").map(|file| file.expect("there")).collect();
    // A file of what is over is there before its rows leave sled's: so sled's is copied first.
    files.sort_by_key(|file| file.file_type().is_ok_and(|kind| kind.is_dir()));
    for file in files {
        let place = to.join(file.file_name());
        match file.file_type() {
            Ok(kind) if kind.is_dir() => copy(&file.path(), &place),
            Ok(_) => match std::fs::copy(file.path(), place) {
                // sled renames and removes its snapshots at any time, also between the list and the
                // copy.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.expect("room on disk")),
            },
            Err(_) => {}
        }
    }
}

pub(super) fn image(dir: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().expect("a directory");
    copy(dir, image.path());
    image
}

/// Names of the rollouts that [`life`] drives.
const TITLES: [&str; 2] = ["alpha", "beta"];

/// Sizes of their waves.
const WAVES: [u32; 3] = [2, 8, 10];

/// A short life of two small rollouts, the same for every store; `each` hears of every step's end.
pub(super) async fn life(
    store: &dyn Store,
    seed: u64,
    steps: usize,
    mut each: impl AsyncFnMut(&dyn Store),
) {
    let mut driver = Driver::new(seed);
    driver.begin_with(store, &TITLES, &WAVES).await;
    each(store).await;
    for _ in 0..steps {
        driver.step(store).await;
        each(store).await;
    }
}

/// The pictures that this life goes through, by the sequence at which it does.
async fn pictures(seed: u64, steps: usize) -> BTreeMap<u64, String> {
    let store = MemoryStore::new();
    let mut pictures = BTreeMap::from([(0, picture(&store).await)]);
    let mut driver = Driver::new(seed);
    for title in TITLES {
        // One by one, so that every commit of the submission has its picture, too.
        let given =
            super::fixtures::submission(title, &WAVES, if title == TITLES[0] { 0 } else { 1_000 });
        let id = store.submit(given).await.expect("taken").id;
        pictures.insert(store.health().seq, picture(&store).await);
        super::fixtures::advance(&store, id, 0).await;
        pictures.insert(store.health().seq, picture(&store).await);
        driver.rollouts.push(id);
    }
    for _ in 0..steps {
        driver.step(&store).await;
        pictures.insert(store.health().seq, picture(&store).await);
    }
    pictures
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    life(&store, 5, 120, async |_| {}).await;
    let before = picture(&store).await;
    let health = store.health();
    // As a power cut would leave it after everything was written, and as a clean stop leaves it.
    store.durable().await.expect("available");
    let running = image(dir.path());
    store.close().expect("nothing failed");
    drop(store);
    for dir in [running.path(), dir.path()] {
        let store = reopened(dir);
        assert_eq!(picture(&store).await, before);
        assert_eq!(
            (store.health().seq, store.health().head, store.health().rebuilt),
            (health.seq, health.head, None)
        );
        assert_eq!(store.torn(), None);
    }
}

#[tokio::test]
async fn a_restart_counts_its_groups_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut given = super::fixtures::submission("alpha", &[6], 0);
    given.targets = (0..6).map(|n| super::fixtures::target(n, n)).collect();
    given.plan.strategy.max_in_flight_per =
        [(crate::domain::group::GroupBy::Lane, 2)].into_iter().collect();
    let store = reopened(dir.path());
    let id = super::fixtures::started(&store, given.clone()).await;
    assert_eq!(super::fixtures::release(&store, id, 0, 9).await, [0, 1]);
    super::fixtures::put(&store, id, 1, crate::domain::change::State::Queued)
        .await
        .expect("recalled");
    assert_eq!(super::fixtures::release(&store, id, 0, 9).await, [1]);
    store.durable().await.expect("available");
    drop(store);
    let store = reopened(dir.path());
    let full = store
        .full_group(id, &given.targets[5])
        .await
        .expect("available")
        .expect("both places are taken");
    assert_eq!((full.active, full.most), (2, 2));
    assert!(store.candidates(id, 0, 9).await.expect("available").free.is_empty());
    super::fixtures::put(&store, id, 0, super::fixtures::switched()).await.expect("free");
    assert_eq!(super::fixtures::release(&store, id, 0, 9).await, [2]);
}

#[tokio::test]
async fn a_restart_knows_whose_proxies_are_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    let first =
        super::fixtures::started(&store, super::fixtures::submission("alpha", &[6], 0)).await;
    drop(store);
    let store = reopened(dir.path());
    let refused = store
        .submit(super::fixtures::submission("beta", &[2], 5))
        .await
        .expect_err("one of them is taken");
    assert!(
        matches!(&refused, super::SubmitError::Overlap { rollout, .. } if *rollout == first),
        "{refused}"
    );
    assert!(
        store.submit(super::fixtures::submission("gamma", &[2], 6)).await.expect("nobody's").new
    );
}

#[tokio::test]
async fn memory_and_disk_live_the_same_life() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    let expected = pictures(8, 60).await;
    life(&store, 8, 60, async |_| {}).await;
    assert_eq!(Some(&picture(&store).await), expected.values().next_back());
}

#[tokio::test]
async fn a_closed_store_refuses() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    life(&store, 5, 5, async |_| {}).await;
    store.close().expect("nothing failed");
    store.close().expect("twice is as good as once");
    assert!(store.open_rollouts().await.is_err());
    assert!(store.journal(None, 0, 1).await.is_err());
    assert!(store.rollouts(None, 1).await.is_err());
    assert!(store.submit(super::fixtures::submission("late", &[1], 5_000)).await.is_err());
    assert!(store.failed().borrow().is_none(), "closed is not failed");
}
