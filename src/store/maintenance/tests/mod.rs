//! The verbs on a store's directory: every damage told and repaired or refused, copies whole or not
//! there.

mod beginnings;
mod checks;
mod compaction;
mod copies;
mod damages;
mod hand_overs;
mod repairs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::domain::id::Digest;
use crate::store::crash_tests::{image, life, open_plain, reopened};
use crate::store::fixtures::{Driver, at, picture};
use crate::store::sled::SledStore;

/// Does something to a store's directory.
type StoreAction = fn(&Path);

/// Steps of a life: several segments, rows of every kind.
const STEPS: usize = 150;

fn now() -> Timestamp {
    at(5_000)
}

/// A store after a life, closed, with its picture; and a backup of it from the middle of that life.
struct StoreWithHistory {
    dir: tempfile::TempDir,
    backup: PathBuf,
    picture: String,
    _beside: tempfile::TempDir,
}

async fn bed(seed: u64) -> StoreWithHistory {
    let (dir, beside) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let backup = beside.path().join("backup");
    let store = reopened(dir.path());
    let mut driver = Driver::new(seed);
    driver.begin_with(&store, &["alpha", "beta"], &[2, 8, 10]).await;
    for step in 0..STEPS {
        if step == STEPS / 2 {
            kept(&store, &backup).await;
        }
        driver.step(&store).await;
    }
    // Until the newest segment has lines enough to lose some of them.
    while damages::lines(damages::segments(dir.path()).last().expect("several")).len() < 6 {
        driver.step(&store).await;
        crate::store::Store::durable(&store).await.expect("available");
    }
    let seen = picture(&store).await;
    store.close().expect("nothing failed");
    StoreWithHistory { dir, backup, picture: seen, _beside: beside }
}

/// A backup of a store that runs, as the daemon and its client make it.
async fn kept(store: &SledStore, backup: &Path) {
    use crate::store::running::Exporter as _;
    let export = store.export().expect("on disk");
    super::import::through(&export, now(), |stream| {
        super::import::keep(
            super::import::CopySource::Stream(Box::new(stream)),
            "of the daemon",
            backup,
            now(),
        )
    })
    .expect("sound");
}

/// Every file with its digest: what a verb that changes nothing leaves as it is.
fn files(dir: &Path) -> BTreeMap<PathBuf, Digest> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).expect("there") {
            let path = file.expect("there").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let digest = Digest::of(&std::fs::read(&path).expect("readable"));
                found.insert(path, digest);
            }
        }
    }
    found
}
