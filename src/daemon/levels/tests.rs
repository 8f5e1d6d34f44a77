use jiff::Timestamp;

use super::*;
use crate::clock::Times;
use crate::domain::lane::Lane;
use crate::domain::quota::Quota;
use crate::engine::staged::{SECOND, lane};
use crate::engine::{Core, Options};

const BOOT: &str = "6f1c9c0a-3bd0-4c65-9b0e-0a4f3f1f1f10";
const OTHER: &str = "00000000-3bd0-4c65-9b0e-0a4f3f1f1f10";

struct Stopped(u64);

impl Clock for Stopped {
    fn times(&self) -> Times {
        Times { wall: Timestamp::UNIX_EPOCH, boot: Duration::from_secs(self.0) }
    }
}

fn core() -> Core {
    let lane = Lane { quota: Some(Quota { requests: 3, per: SECOND }), ..lane("main") };
    let options = Options { lanes: vec![lane], quota_spent: true, levels: Vec::new() };
    Core::new(options, Times { wall: Timestamp::UNIX_EPOCH, boot: SECOND })
}

fn counts() -> Vec<Level> {
    core().levels()
}

fn marks() -> Vec<Level> {
    core().levels_to_keep().expect("the first marks")
}

fn file(state: &Path, boot: Option<&str>, now: u64) -> Levels {
    Levels {
        state: state.to_owned(),
        boot: boot_of(boot.map(str::to_owned), None),
        clock: Arc::new(Stopped(now)),
    }
}

#[test]
fn what_is_left_is_read() {
    let state = tempfile::tempdir().expect("a folder");
    let file = |now| file(state.path(), Some(BOOT), now);
    assert_eq!(file(5).read(), None, "nobody was here");
    for left in [counts(), marks()] {
        file(5).leave(left.clone()).expect("the folder can be written");
        assert_eq!(file(6).read(), Some(left));
    }
}

#[test]
fn counts_of_another_boot_or_clock_are_nothing_and_marks_hold_over_it() {
    let state = tempfile::tempdir().expect("a folder");
    for (now, boot) in [(6, Some(OTHER)), (6, None), (4, Some(BOOT))] {
        file(state.path(), Some(BOOT), 5).leave(counts()).expect("the folder can be written");
        assert_eq!(file(state.path(), boot, now).read(), Some(Vec::new()), "{now} {boot:?}");
        file(state.path(), Some(BOOT), 5).leave(marks()).expect("the folder can be written");
        assert_eq!(file(state.path(), boot, now).read(), Some(marks()), "{now} {boot:?}");
    }
    file(state.path(), None, 5).leave(counts()).expect("the folder can be written");
    assert_eq!(
        file(state.path(), None, 6).read(),
        Some(Vec::new()),
        "two boots without a name are not the same"
    );
}

#[test]
fn a_daemon_without_a_lane_calls_nothing_and_hides_no_calls() {
    let state = tempfile::tempdir().expect("a folder");
    let file = |boot| file(state.path(), Some(boot), 6);
    assert!(!file(BOOT).no_lane_yet(), "nothing is known");
    file(BOOT).leave(Vec::new()).expect("the folder can be written");
    assert!(file(BOOT).no_lane_yet() && file(OTHER).no_lane_yet());
    file(BOOT).leave(counts()).expect("the folder can be written");
    assert!(!file(BOOT).no_lane_yet());
    // The lane was taken out of the configuration: what it sent counts when it is back.
    file(BOOT).leave(Vec::new()).expect("the folder can be written");
    assert_eq!(file(BOOT).read(), Some(counts()));
    assert!(!file(BOOT).no_lane_yet());
}

#[test]
fn what_is_not_whole_is_nothing() {
    let state = tempfile::tempdir().expect("a folder");
    let file = file(state.path(), Some(BOOT), 6);
    file.leave(counts()).expect("the folder can be written");
    let whole = std::fs::read_to_string(state.path().join(NAME)).expect("a file");
    for text in ["", "{", "[]", &whole[..whole.len() - 2], &whole.replace("\"count\"", "\"calls\"")]
    {
        std::fs::write(state.path().join(NAME), text).expect("a file");
        assert_eq!(file.read(), Some(Vec::new()), "{text}");
    }
}

#[test]
fn a_file_from_before_the_marks_is_read() {
    let state = tempfile::tempdir().expect("a folder");
    let file = file(state.path(), Some(BOOT), 6);
    let count = r#"{"quota":{"requests":3,"per":{"secs":1,"nanos":0}},"leaving":null,"out":0,"returned":[],"forgotten":null}"#;
    let lane = format!(
        r#"{{"lane":"main","endpoint":"https://cloud.invalid","project_id":"0","count":{count},"ceiling":null}}"#
    );
    let text = format!(r#"{{"boot":"{BOOT}","at":{{"secs":5,"nanos":0}},"lanes":[{lane}]}}"#);
    std::fs::write(state.path().join(NAME), text).expect("a file");
    let read = file.read().expect("it is there");
    assert!(read.len() == 1 && read[0].is_whole(), "{read:?}");
}

#[tokio::test]
async fn marks_that_cannot_be_written_take_what_is_true_no_more_away() {
    let state = tempfile::tempdir().expect("a folder");
    let file = file(state.path(), Some(BOOT), 6);
    file.leave(counts()).expect("the folder can be written");
    // The file is written aside first: a folder in that place is as good as a full disk.
    std::fs::create_dir(state.path().join(format!("{NAME}.new"))).expect("a folder in its place");
    file.keep(marks()).await.expect("it is gone");
    assert_eq!(file.read(), None);
    file.keep(marks()).await.expect("there is nothing to be removed");
    std::fs::create_dir(state.path().join(NAME)).expect("a folder in its place");
    let error = file.keep(marks()).await.expect_err("a folder is not removed");
    assert!(error.to_string().contains("remove it by hand"), "{error}");
}

#[test]
fn a_boot_is_named_by_the_kernel_or_by_the_unit() {
    let id = boot().expect("this machine tells which boot it is");
    assert_eq!(id.len(), BOOT_ID_DIGITS);
    let kernel = std::fs::read_to_string(BOOT_ID).ok();
    assert_eq!(
        boot_of(kernel.clone(), Some(OTHER.replace('-', ""))),
        Some(id.clone()),
        "the kernel goes first"
    );
    assert_eq!(
        boot_of(None, kernel.map(|text| text.trim().replace('-', ""))),
        Some(id),
        "and both say the same"
    );
    for unusable in ["", "%b", "no boot"] {
        assert_eq!(boot_of(Some(unusable.into()), None), None);
    }
}
