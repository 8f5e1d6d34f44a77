//! The daemon's disk fails under it: full, or suddenly read-only. The daemon says so and ends, and
//! the next one, once the disk is in order again, loses nothing and repeats nothing.
//!
//! The state directory is an ext4 file system of its own, which takes root and loop devices;
//! elsewhere this is skipped and says so. `src/store/crash_tests/crash.rs` shows the same of the
//! store alone.

use std::path::PathBuf;

use crate::end_to_end::field::FieldDay;
use crate::end_to_end::mounts::{
    given_dir, in_own_mounts, make_ext4, may_mount_images, mount, run, unmount,
};
use crate::end_to_end::score::Score;

const PROXIES: usize = 200;

/// Slow enough that the disk fails in the middle.
const FAULTS: &str = "\
error_500_after: 0.05
drop_after: 0.02
latency: {min: 1ms, max: 5ms}
job_time: {min: 100ms, max: 300ms}
";

/// More than the free space below which the daemon accepts no plan.
const DISK_MIB: u64 = 320;

#[test]
fn a_full_disk_ends_the_daemon_and_the_next_one_goes_on() {
    if may_mount_images() {
        in_own_mounts("end_to_end::disk::fills_up", "true");
    }
}

#[test]
fn a_disk_that_turns_read_only_ends_the_daemon_and_the_next_one_goes_on() {
    if may_mount_images() {
        in_own_mounts("end_to_end::disk::turns_read_only", "true");
    }
}

/// A daemon at work whose state lies on the disk in the returned file.
fn at_work(name: &str) -> (FieldDay, PathBuf) {
    let disk = given_dir().join("disk");
    make_ext4(&disk, DISK_MIB);
    let mut field = FieldDay::new(name, PROXIES, PROXIES / 2, FAULTS);
    mount(&disk, &field.state()).expect("it was tried before");
    field.serve();
    field.submit("strategy: {max_in_flight: 20, max_failures: 50}\nretry: {max_attempts: 12, initial: 100ms, max: 1s}\n");
    field.wait_until("some progress", |status| status["tally"]["succeeded"].as_u64() >= Some(20));
    (field, disk)
}

/// The daemon ended because it could not write, and its last words say so, for one of these
/// reasons.
fn ended_loudly(field: &mut FieldDay, reasons: &[&str]) {
    let (code, log) = field.ended();
    assert!(code.is_some_and(|code| code != 0), "exit code {code:?}\n{log}");
    assert!(
        log.contains("cannot write") && reasons.iter().any(|reason| log.contains(reason)),
        "{log}"
    );
}

/// A daemon on the mended disk carries the rollout to its end.
fn goes_on(field: &mut FieldDay, what: &str) {
    field.serve();
    field.wait_until("the end", |status| status["phase"] == "completed");
    let acknowledged = field.assert_nothing_is_lost_or_repeated(PROXIES);
    Score { times: 1, acknowledged, sound: 1, ..Score::of(what) }.settle();
}

#[test]
#[ignore = "run by `a_full_disk_ends_the_daemon_and_the_next_one_goes_on` where it may mount"]
fn fills_up() {
    let (mut field, _disk) = at_work("full");
    let ballast = field.state().join("ballast");
    let stat = rustix::fs::statvfs(field.state().as_path()).expect("mounted");
    let most = stat.f_bavail * stat.f_frsize;
    // To the last block, or as near to it as fits.
    let taken = (0..64).any(|less| {
        run("fallocate", &["-l", &(most - less * 64 * 1024).to_string()], &[&ballast]).is_ok()
    });
    assert!(taken, "{most} bytes are free and cannot be taken");
    ended_loudly(&mut field, &["No space left on device"]);
    std::fs::remove_file(ballast).expect("there");
    goes_on(&mut field, "full disk under the daemon, then room again");
}

#[test]
#[ignore = "run by `a_disk_that_turns_read_only_ends_the_daemon_and_the_next_one_goes_on` where it may mount"]
fn turns_read_only() {
    let (mut field, disk) = at_work("readonly");
    // As ext4 does by itself when it meets an error: everything that was not synced is lost, and
    // every write refused.
    run("mount", &["-o", "remount,abort"], &[&field.state()]).expect("mounted");
    // What is refused by the file system itself, and a sync that was under way.
    ended_loudly(&mut field, &["Read-only file system", "Input/output error"]);
    unmount(&field.state());
    mount(&disk, &field.state()).expect("its journal is replayed");
    goes_on(&mut field, "disk turns read-only under the daemon, then is mended");
}
