//! Copies: whole and equal to their original, or refused with the place and not there.

use std::fs;

use super::damages::{change, one, segments};
use super::*;
use crate::store::Store as _;
use crate::store::error::OpenError;
use crate::store::fixtures::{started, submission};
use crate::store::maintenance::check::check;
use crate::store::maintenance::export::Export;
use crate::store::maintenance::import::{CopySource, import, keep};
use crate::store::maintenance::provenance::{OriginKind, origin};
use crate::store::maintenance::refusal::CopyError;

fn exported(dir: &Path, file: &Path) {
    Export::of_directory(dir).expect("sound").write_file(now(), false, file).expect("room on disk");
}

#[tokio::test]
async fn a_copy_of_a_running_store_goes_on_where_it_was_made() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    let mut driver = Driver::new(31);
    driver.begin_with(&store, &["alpha", "beta"], &[2, 8, 10]).await;
    let beside = tempfile::tempdir().expect("a directory");
    for round in 0..4 {
        for _ in 0..25 {
            driver.step(&store).await;
        }
        store.durable().await.expect("available");
        let (before, health) = (picture(&store).await, store.health());
        let (backup, state) = (
            beside.path().join(format!("backup-{round}")),
            beside.path().join(format!("state-{round}")),
        );
        kept(&store, &backup).await;
        let kept_files = files(&backup);
        assert!(
            matches!(open_plain(&backup), Err(OpenError::Backup { seq, .. }) if seq == health.seq)
        );
        assert!(files(&backup) == kept_files, "a refused start changes nothing in a backup");
        let manifest = import(CopySource::Directory(&backup), "the backup", &state, now())
            .expect("sound")
            .manifest;
        assert_eq!((manifest.seq, manifest.head), (health.seq, health.head));
        let copy = reopened(&state);
        assert_eq!(
            (copy.health().seq, copy.health().head, copy.health().rebuilt),
            (health.seq, health.head, None)
        );
        assert!(picture(&copy).await == before, "round {round}");
        assert!(check(&backup).expect("it can be checked").sound);
        // And it is a store like any other.
        started(&copy, submission("gamma", &[3], 5_000)).await;
    }
}

#[tokio::test]
async fn an_export_holds_the_store_and_is_the_same_every_time() {
    let bed = bed(32).await;
    let beside = tempfile::tempdir().expect("a directory");
    let (one, two, state) =
        (beside.path().join("one.tar"), beside.path().join("two.tar"), beside.path().join("state"));
    exported(bed.dir.path(), &one);
    exported(bed.dir.path(), &two);
    assert!(fs::read(&one).expect("there") == fs::read(&two).expect("there"));
    assert!(matches!(
        Export::of_directory(bed.dir.path()).expect("sound").write_file(now(), false, &one),
        Err(CopyError::InTheWay { .. })
    ));
    import(CopySource::at(&one).expect("there"), "one.tar", &state, now()).expect("sound");
    assert_eq!(origin(&state).expect("readable").expect("written").kind, OriginKind::Copy);
    assert!(picture(&reopened(&state)).await == bed.picture);
}

#[tokio::test]
async fn an_empty_store_can_be_copied_too() {
    let beside = tempfile::tempdir().expect("a directory");
    let (dir, backup, state) =
        (beside.path().join("empty"), beside.path().join("backup"), beside.path().join("state"));
    reopened(&dir).close().expect("nothing failed");
    keep(CopySource::Directory(&dir), "empty", &backup, now()).expect("sound");
    import(CopySource::Directory(&backup), "backup", &state, now()).expect("sound");
    life(&reopened(&state), 1, 10, async |_| {}).await;
}

#[tokio::test]
async fn a_changed_byte_of_an_export_is_refused_and_nothing_is_left() {
    let bed = bed(33).await;
    let beside = tempfile::tempdir().expect("a directory");
    let file = beside.path().join("whole.tar");
    exported(bed.dir.path(), &file);
    let whole = fs::read(&file).expect("there");
    let (mut harmless, mut placed) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let (bad, state) = (beside.path().join("bad.tar"), beside.path().join("state"));
        let mut changed = whole.clone();
        changed[at] ^= 0x08;
        fs::write(&bad, changed).expect("room on disk");
        match import(CopySource::at(&bad).expect("there"), "bad.tar", &state, now()) {
            // Between the members lies padding that nobody reads.
            Ok(_) => {
                harmless += 1;
                assert_eq!(whole[at], 0, "byte {at} is not padding");
                assert!(picture(&reopened(&state)).await == bed.picture);
                fs::remove_dir_all(&state).expect("there");
            }
            Err(error) => {
                assert!(error.to_string().contains("bad.tar"), "byte {at}: {error}");
                placed += usize::from(
                    error.to_string().contains("journal/0000")
                        || error.to_string().contains("submissions/"),
                );
                assert!(
                    !state.exists() && !beside.path().join("state.incoming").exists(),
                    "byte {at}: something is left"
                );
            }
        }
    }
    assert!(placed > 100 && harmless < 20, "{placed} with their place, {harmless} harmless");
}

#[tokio::test]
async fn an_export_that_ends_early_is_refused() {
    let bed = bed(34).await;
    let beside = tempfile::tempdir().expect("a directory");
    let (file, bad, state) = (
        beside.path().join("whole.tar"),
        beside.path().join("bad.tar"),
        beside.path().join("state"),
    );
    exported(bed.dir.path(), &file);
    let whole = fs::read(&file).expect("there");
    // The manifest is the last member: its header, its two lines, and tar's two empty blocks.
    for end in (0..whole.len() - 1024 - 1024).step_by(whole.len() / 40) {
        fs::write(&bad, &whole[..end]).expect("room on disk");
        let refused = import(CopySource::at(&bad).expect("there"), "bad.tar", &state, now())
            .expect_err("cut");
        assert!(refused.to_string().contains("bad.tar is damaged"), "cut at {end}: {refused}");
        assert!(!state.exists());
    }
}

#[tokio::test]
async fn a_directory_with_anything_in_it_is_refused() {
    let bed = bed(35).await;
    let beside = tempfile::tempdir().expect("a directory");
    let state = beside.path().join("state");
    fs::create_dir(&state).expect("a directory");
    fs::write(state.join("note"), "mine").expect("a file");
    for dir in [&state, &bed.dir.path().to_owned()] {
        let refused = import(CopySource::Directory(&bed.backup), "backup", dir, now())
            .expect_err("in the way");
        assert!(matches!(refused, CopyError::InTheWay { .. }), "{refused}");
    }
    fs::remove_file(state.join("note")).expect("there");
    import(CopySource::Directory(&bed.backup), "backup", &state, now())
        .expect("an empty directory is as good as none");
}

#[tokio::test]
async fn damage_is_not_copied() {
    let bed = bed(36).await;
    let beside = tempfile::tempdir().expect("a directory");
    let cases: [(&str, StoreAction); 3] = [
        ("does not carry the digest of the line before it", |dir| {
            change(&one(dir), 3, |line| Some(line.replacen("\"prev\"", " \"prev\"", 1)))
        }),
        ("submission", |dir| {
            let file = fs::read_dir(dir.join("submissions"))
                .expect("there")
                .next()
                .expect("two")
                .expect("there")
                .path();
            fs::remove_file(file).expect("there");
        }),
        ("has seen entry", |dir| {
            let last = segments(dir).pop().expect("several");
            fs::remove_file(last).expect("there");
        }),
    ];
    for (word, damage) in cases {
        let dir = image(bed.dir.path());
        damage(dir.path());
        let refused =
            keep(CopySource::Directory(dir.path()), "state", &beside.path().join("backup"), now())
                .expect_err("damaged");
        assert!(refused.to_string().contains(word), "{word}: {refused}");
        assert!(!beside.path().join("backup").exists());
    }
    // A backup that was damaged itself is refused as well.
    change(&one(&bed.backup), 3, |line| Some(line.replacen("\"prev\"", " \"prev\"", 1)));
    assert!(
        import(CopySource::Directory(&bed.backup), "backup", &beside.path().join("state"), now())
            .is_err()
    );
}

#[tokio::test]
async fn a_directory_that_is_worked_on_is_left_to_its_daemon() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    let refused = Export::of_directory(dir.path()).expect_err("held");
    assert!(matches!(refused, CopyError::Store(OpenError::Taken { .. })), "{refused}");
    store.close().expect("nothing failed");
}
