//! Hand-overs: the chain goes on elsewhere, and the old directory says so and refuses.

use std::fs;

use super::*;
use crate::store::Store as _;
use crate::store::error::OpenError;
use crate::store::maintenance::export::Export;
use crate::store::maintenance::hand_over::{hand_over, take_back};
use crate::store::maintenance::import::{CopySource, import};
use crate::store::maintenance::provenance::{OriginKind, handed_over, origin};

#[tokio::test]
async fn the_chain_goes_on_and_the_old_directory_refuses() {
    let bed = bed(41).await;
    let beside = tempfile::tempdir().expect("a directory");
    let (file, state) = (beside.path().join("over.tar"), beside.path().join("state"));
    let dir = bed.dir.path();
    let export = Export::of_directory(dir).expect("sound");
    let manifest =
        hand_over(dir, now(), "over.tar", &export, |export| export.write_file(now(), true, &file))
            .expect("room on disk");
    drop(export);
    for _ in 0..2 {
        let refused = open_plain(dir).expect_err("handed over").to_string();
        assert!(refused.contains("over.tar") && refused.contains("take-back"), "{refused}");
    }
    assert!(Export::of_directory(dir).is_err(), "it is not handed over a second time");
    import(CopySource::at(&file).expect("there"), "over.tar", &state, now()).expect("sound");
    assert_eq!(origin(&state).expect("readable").expect("written").kind, OriginKind::HandOver);
    let store = reopened(&state);
    assert!(picture(&store).await == bed.picture);
    let id = store.open_rollouts().await.expect("available")[0].id;
    crate::store::fixtures::abort(&store, id).await;
    let grown = store.journal(None, manifest.seq, 10).await.expect("readable");
    assert_eq!(
        grown.first().map(|entry| entry.seq),
        Some(manifest.seq + 1),
        "no number is left out or given twice"
    );
    store.close().expect("nothing failed");
    let report = crate::store::maintenance::check::check(&state).expect("it can be checked");
    assert!(report.sound, "the chain is unbroken: {report:#?}");
}

#[tokio::test]
async fn a_hand_over_that_fails_leaves_the_store_where_it_is() {
    let bed = bed(42).await;
    let dir = bed.dir.path();
    let export = Export::of_directory(dir).expect("sound");
    let nowhere = dir.join("no/such/folder.tar");
    assert!(
        hand_over(dir, now(), "folder.tar", &export, |export| export.write_file(
            now(),
            true,
            &nowhere
        ))
        .is_err()
    );
    drop(export);
    assert_eq!(handed_over(dir).expect("readable"), None);
    assert!(picture(&reopened(dir)).await == bed.picture);
}

#[tokio::test]
async fn a_hand_over_can_be_taken_back_on_purpose() {
    let bed = bed(43).await;
    let dir = bed.dir.path();
    assert!(take_back(dir).is_err_and(|error| error.to_string().contains("was not handed over")));
    let file = dir.join("over.tar");
    let export = Export::of_directory(dir).expect("sound");
    hand_over(dir, now(), "over.tar", &export, |export| export.write_file(now(), true, &file))
        .expect("room on disk");
    drop(export);
    assert!(matches!(open_plain(dir), Err(OpenError::HandedOver { .. })));
    assert_eq!(take_back(dir).expect("handed over").to, "over.tar");
    fs::remove_file(file).expect("there");
    assert!(picture(&reopened(dir)).await == bed.picture);
}
