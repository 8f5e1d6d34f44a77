//! Power cuts: a store on a file system of its own, whose image is copied in the middle of the
//! work.
//!
//! What the copy holds is what had reached the device: pages, names and sizes that nobody synced
//! are gone, for ext4 is mounted so that it writes its own journal only when it is told to. The
//! copy is mounted, which replays that journal, and the store is opened from it: all that the
//! writer's process had been told must be there, and the queue that was found must show the same
//! state as one that is built from the journal alone.
//!
//! Not modelled: a disk that says a flush is done when it is not.

use std::fs::File;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use super::kill::{is_behind, missing, spawn, word};
use super::mounts::{given_dir, in_own_mounts, make_ext4, may_mount_images, mount, run, unmount};
use super::score::Score;
use super::{open_plain, reopened};
use crate::domain::id::Digest;
use crate::store::Store;
use crate::store::fixtures::{assert_tallies_add_up, picture};

/// Cuts in the normal run; `STORE_POWER_CUTS` asks for more.
const CUTS: usize = 10;

/// Cuts that one writer lives through, each time going on; the next one begins with an empty disk.
const CUTS_A_LIFE: usize = 5;

/// Longest that a writer works between two cuts.
const WORK: Duration = Duration::from_millis(160);

/// Size of the disk: sled, a journal of a second, and room.
const DISK_MIB: u64 = 64;

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut() {
    if may_mount_images() {
        in_own_mounts("store::crash_tests::power::on_a_disk_of_its_own", "true");
    }
}

#[tokio::test]
#[ignore = "run by `nothing_acknowledged_is_lost_by_a_power_cut` where it may mount"]
async fn on_a_disk_of_its_own() {
    let cuts =
        std::env::var("STORE_POWER_CUTS").map_or(CUTS, |cuts| cuts.parse().expect("a number"));
    let work = given_dir();
    let (disk, live, copy) = (work.join("disk"), work.join("live"), work.join("copy"));
    let mut random = fastrand::Rng::with_seed(0xc07);
    let mut scores = ["power cut, queue in step", "power cut, queue behind"].map(Score::of);
    let mut left = cuts;
    for seed in 0.. {
        if left == 0 {
            break;
        }
        make_ext4(&disk, DISK_MIB);
        mount(&disk, &live).expect("it was tried before");
        let words = work.join("words");
        let mut writer =
            spawn(&live.join("state"), seed, File::create(&words).expect("room on disk").into());
        let score = &mut scores[usize::from(is_behind(seed))];
        for _ in 0..CUTS_A_LIFE.min(left) {
            std::thread::sleep(WORK.mul_f64(random.f64()));
            stop(&writer);
            let acknowledged: Vec<_> = std::fs::read_to_string(&words)
                .expect("text")
                .split_inclusive('\n')
                .filter_map(whole_word)
                .collect();
            run("cp", &["--sparse=always"], &[&disk, &copy]).expect("room on disk");
            cut_off(&copy, &work.join("after"), acknowledged, score).await;
            left -= 1;
            signal(&writer, rustix::process::Signal::CONT);
        }
        writer.kill().expect("it is ours");
        writer.wait().expect("it is ours");
        unmount(&live);
    }
    assert!(
        scores.iter().map(|score| score.acknowledged).sum::<usize>() > cuts,
        "the writers did nothing"
    );
    Score::settle_all(&scores);
    assert!(scores.iter().all(|score| score.refused == 0), "a power cut must not need a person");
}

/// A line of the writer's that came out whole.
fn whole_word(line: &str) -> Option<(u64, Digest)> {
    word(line.strip_suffix('\n')?)
}

/// Looks at the disk as the power cut left it.
async fn cut_off(disk: &Path, at: &Path, acknowledged: Vec<(u64, Digest)>, score: &mut Score) {
    score.times += 1;
    score.acknowledged += acknowledged.len();
    let cut = format!("cut {}", score.times);
    if let Err(error) = mount(disk, at) {
        score.wrong.push(format!("{cut}: the file system itself is broken: {error}"));
        return;
    }
    let state = at.join("state");
    match open_plain(&state) {
        Ok(store) => {
            let found = store.health();
            let wrong = score.wrong.len();
            score.wrong.extend(
                missing(&state, found.seq, acknowledged).map(|entry| format!("{cut}: {entry}")),
            );
            assert_tallies_add_up(&store).await;
            let shown = picture(&store).await;
            store.close().expect("nothing failed");
            drop(store);
            std::fs::remove_dir_all(state.join("queue")).expect("there");
            if picture(&reopened(&state)).await != shown {
                score.wrong.push(format!("{cut}: the queue shows another state than the journal"));
            }
            if score.wrong.len() == wrong {
                *(if found.rebuilt.is_some() { &mut score.rebuilt } else { &mut score.sound }) += 1;
            }
        }
        Err(error) => {
            println!("{cut}: refused: {error}");
            score.refused += 1;
        }
    }
    unmount(at);
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("it is ours");
}

/// Stops a process and waits until none of its threads is in the middle of a call: the copy shall
/// show one instant.
fn stop(child: &Child) {
    signal(child, rustix::process::Signal::STOP);
    let tasks = format!("/proc/{}/task", child.id());
    let stopped = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = task.and_then(|task| std::fs::read_to_string(task.path().join("stat")));
        // A thread that ended meanwhile is as good as stopped. The state follows the name in
        // brackets.
        stat.map_or(true, |stat| {
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
        })
    };
    while !std::fs::read_dir(&tasks).expect("it lives").all(stopped) {
        std::thread::sleep(Duration::from_millis(1));
    }
}
