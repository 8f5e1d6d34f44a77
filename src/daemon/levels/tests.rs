use jiff::Timestamp;

use super::*;
use crate::clock::Times;
use crate::domain::lane::Lane;
use crate::domain::quota::Quota;
use crate::engine::staged::{SECOND, lane};
use crate::engine::{Core, Options};

const BOOT: &str = "first";

fn levels() -> Vec<Level> {
    let lane = Lane { quota: Some(Quota { requests: 3, per: SECOND }), ..lane("main") };
    let options = Options { lanes: vec![lane], exclusive: true, quota_spent: true, levels: Vec::new() };
    Core::new(options, Times { wall: Timestamp::UNIX_EPOCH, boot: SECOND }).levels()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn taken(state: &Path, now: u64, boot: Option<&str>) -> Vec<Level> {
    take_of(state, at(now), boot.map(str::to_owned)).expect("the folder can be written")
}

#[test]
fn what_is_left_is_taken_once() {
    let state = tempfile::tempdir().expect("a folder");
    assert_eq!(taken(state.path(), 5, Some(BOOT)), []);
    leave_of(state.path(), levels(), at(5), BOOT.into()).expect("the folder can be written");
    assert_eq!(taken(state.path(), 6, Some(BOOT)), levels());
    assert_eq!(taken(state.path(), 6, Some(BOOT)), [], "a daemon that is killed from here on leaves none");
}

#[test]
fn what_is_of_another_boot_or_of_no_use_counts_for_nothing_and_is_gone() {
    let state = tempfile::tempdir().expect("a folder");
    for (now, boot) in [(6, Some("second")), (6, None), (4, Some(BOOT))] {
        leave_of(state.path(), levels(), at(5), BOOT.into()).expect("the folder can be written");
        assert_eq!(taken(state.path(), now, boot), [], "{now} {boot:?}");
        assert!(!state.path().join(NAME).exists());
    }
    for text in ["", "{", "[]", "{\"boot\":\"first\",\"at\":7,\"lanes\":[]}"] {
        std::fs::write(state.path().join(NAME), text).expect("a file");
        assert_eq!(taken(state.path(), 6, Some(BOOT)), [], "{text}");
        assert!(!state.path().join(NAME).exists());
    }
}

#[test]
fn what_cannot_be_removed_is_an_error() {
    let state = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(state.path().join(NAME)).expect("a folder in its place");
    let error = take_of(state.path(), at(6), Some(BOOT.into())).expect_err("a folder is not removed");
    assert!(error.to_string().contains("remove it by hand"), "{error}");
}

#[test]
fn this_machine_tells_which_boot_it_is() {
    assert_eq!(boot().map(|boot| boot.len()), Some(36), "a UUID");
}
