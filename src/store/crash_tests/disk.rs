//! A directory that somebody else holds, that is read-only, or that is full.

use std::path::Path;

use super::mounts::{given_dir, in_own_mounts};
use super::score::Score;
use super::{life, open_plain, options, reopened};
use crate::store::error::OpenError;
use crate::store::failpoint::Failpoint;
use crate::store::fixtures::{Driver, assert_tallies_add_up, picture, started, submission};
use crate::store::sled::{SledOptions, SledStore};
use crate::store::{Store, SubmitError};

#[tokio::test]
async fn a_second_daemon_is_refused_with_the_pid_of_the_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = reopened(dir.path());
    let Err(error) = open_plain(dir.path()) else { panic!("opened twice") };
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
    life(&store, 2, 3, async |_| {}).await;
    drop(store);
    assert!(open_plain(dir.path()).is_ok(), "the lock goes with its owner");
}

#[tokio::test]
async fn nothing_can_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let store = reopened(&state);
    life(&store, 2, 3, async |_| {}).await;
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for sub in ["journal", "submissions"] {
        assert_eq!(mode(&state.join(sub)), 0o700, "{sub}");
        for file in std::fs::read_dir(state.join(sub)).expect("there") {
            assert_eq!(mode(&file.expect("there").path()), 0o600, "{sub}");
        }
    }
    for file in ["lock", "store"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn below_the_floor_nothing_new_is_accepted() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = SledStore::open(
        dir.path(),
        SledOptions { floor_bytes: u64::MAX, ..options(Failpoint::default()) },
    )
    .expect("opened");
    let refused = store.submit(submission("alpha", &[2], 0)).await.expect_err("below the floor");
    assert!(
        matches!(&refused, SubmitError::Refusing(reason) if reason.contains("floor")),
        "{refused}"
    );
    assert!(store.health().refusing.is_some());
    drop(store);
    let store = reopened(dir.path());
    assert!(store.submit(submission("alpha", &[2], 0)).await.expect("room").new);
    assert_eq!(store.health().refusing, None);
}

#[test]
fn a_full_disk() {
    in_own_mounts(
        "store::crash_tests::disk::on_a_full_disk",
        "mount -t tmpfs -o size=6m,mode=700 tmpfs \"$D\"",
    );
}

#[tokio::test]
#[ignore = "run by `a_full_disk` on a small file system of its own"]
async fn on_a_full_disk() {
    let dir = given_dir();
    // Room that an administrator gives free later.
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![1; 3 << 20]).expect("room for now");
    let store = std::sync::Arc::new(reopened(&dir));
    let acknowledged = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let living = tokio::spawn({
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        async move {
            for seed in 0.. {
                let mut driver = Driver::new(seed);
                let titles = [format!("a-{seed}"), format!("b-{seed}")];
                for (title, first) in titles.iter().zip([0, 1_000]) {
                    let first = u32::try_from(seed).expect("few") * 2_000 + first;
                    driver
                        .rollouts
                        .push(started(&*store, submission(title, &[40, 60], first)).await);
                }
                for _ in 0..200 {
                    driver.step(&*store).await;
                    store.durable().await.expect("available");
                    acknowledged.store(store.health().seq, std::sync::atomic::Ordering::SeqCst);
                }
            }
        }
    });
    living.await.expect_err("the disk fills up");
    let acknowledged = acknowledged.load(std::sync::atomic::Ordering::SeqCst);
    assert!(acknowledged > 100, "only {acknowledged} entries fitted");
    let refused_or_failed = store.failed().borrow().is_some()
        || store.submit(submission("late", &[500], 900_000)).await.is_err();
    assert!(refused_or_failed, "a full disk was not noticed");
    drop(store);

    std::fs::remove_file(ballast).expect("there");
    let store = reopened(&dir);
    assert!(store.health().seq >= acknowledged, "{} entries of {acknowledged}", store.health().seq);
    assert_tallies_add_up(&store).await;
    let before = picture(&store).await;
    started(&store, submission("after", &[2], 990_000)).await;
    assert_ne!(picture(&store).await, before);
    Score {
        times: 1,
        acknowledged: usize::try_from(acknowledged).expect("few"),
        sound: 1,
        ..Score::of("full disk under the store, then room again")
    }
    .settle();
}

#[test]
fn a_read_only_directory() {
    use std::os::unix::fs::PermissionsExt;
    let mount = "mount --bind \"$D\" \"$D\"; mount -o remount,ro,bind \"$D\"";
    if in_own_mounts("store::crash_tests::disk::in_a_read_only_directory", mount) {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o500)).expect("ours");
    assert!(matches!(open_plain(dir.path()), Err(OpenError::Directory { .. })));
}

#[test]
#[ignore = "run by `a_read_only_directory` in a read-only mount"]
fn in_a_read_only_directory() {
    let Err(error) = open_plain(&given_dir()) else { panic!("a read-only directory was opened") };
    assert!(matches!(&error, OpenError::Directory { .. }), "{error}");
    assert!(error.to_string().contains(&given_dir().display().to_string()), "{error}");
    Score { times: 1, refused: 1, ..Score::of("start in a read-only directory") }.settle();
}
