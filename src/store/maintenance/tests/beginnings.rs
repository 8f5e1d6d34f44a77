//! Stores that are put in the place of one that is gone, on purpose: a new one, or a copy under an
//! id of its own.

use std::fs;

use super::*;
use crate::store::Store as _;
use crate::store::crash_tests::options;
use crate::store::error::OpenError;
use crate::store::home::read_identity;
use crate::store::maintenance::begin::begin;
use crate::store::maintenance::import::{CopySource, import};
use crate::store::maintenance::refusal::CopyError;
use crate::store::maintenance::repair::repair;
use crate::store::sled::SledOptions;

fn expecting(dir: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(
        dir,
        SledOptions { id_beside: true, ..options(crate::store::failpoint::Failpoint::default()) },
    )
}

fn id(dir: &Path) -> String {
    read_identity(dir).expect("readable").expect("there").id
}

#[tokio::test]
async fn a_new_store_is_begun_on_purpose_only_where_nothing_is() {
    let state = tempfile::tempdir().expect("a directory");
    let dir = state.path().join("queue");
    drop(expecting(&dir).expect("a new one"));
    let before = id(&dir);
    let refused = begin(&dir).expect_err("there is one");
    assert!(matches!(refused, CopyError::InTheWay { .. }), "{refused}");
    fs::remove_dir_all(&dir).expect("there");
    assert!(matches!(expecting(&dir), Err(OpenError::Lost { .. })));
    let begun = begin(&dir).expect("nothing is in the way");
    assert_eq!((begun.before.as_deref(), &begun.store), (Some(before.as_str()), &id(&dir)));
    assert_ne!(begun.store, before);
    let store = expecting(&dir).expect("it belongs there now");
    assert_eq!((store.health().seq, store.health().rebuilt), (0, None));
    life(&store, 3, 10, async |_| {}).await;
}

#[tokio::test]
async fn an_import_of_a_copy_gets_an_id_of_its_own() {
    let bed = bed(51).await;
    let beside = tempfile::tempdir().expect("a directory");
    let state = beside.path().join("queue");
    // It takes the place of one that is gone.
    drop(expecting(&state).expect("a new one"));
    fs::remove_dir_all(&state).expect("there");
    let imported =
        import(CopySource::Directory(&bed.backup), "the backup", &state, now()).expect("sound");
    assert_eq!(
        (imported.store.as_str(), imported.manifest.store.as_str()),
        (id(&state).as_str(), id(bed.dir.path()).as_str())
    );
    assert_ne!(imported.store, imported.manifest.store, "original and copy are one");
    let store = expecting(&state).expect("it belongs there now");
    assert_eq!(store.health().rebuilt, None, "its queue carries its id");
    store.close().expect("nothing failed");
    drop(store);
    assert!(crate::store::maintenance::check::check(&state).expect("it can be checked").sound);

    // What both have in common, the original's copies still give back; never the other way round.
    let whole = picture(&reopened(&state)).await;
    damages::change(&damages::one(&state), 3, |line| {
        Some(line.replacen("\"at\":\"2", "\"at\":\"ab", 1))
    });
    repair(&state, Some((CopySource::Directory(&bed.backup), "the backup")), now())
        .expect("its original's");
    assert!(picture(&reopened(&state)).await == whole);
    let refused = repair(bed.dir.path(), Some((CopySource::Directory(&state), "the copy")), now())
        .expect_err("another store's");
    assert!(matches!(refused, CopyError::OtherStore { .. }), "{refused}");
}
