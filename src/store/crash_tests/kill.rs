//! SIGKILL at random instants, again and again on one directory: nothing that a process was told is
//! lost.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::score::Score;
use super::{options, reopened};
use crate::domain::id::Digest;
use crate::store::failpoint::Failpoint;
use crate::store::fixtures::{Driver, assert_tallies_add_up, started, submission};
use crate::store::sled::{SledOptions, SledStore};
use crate::store::{Store, reader::Reader, segment};

/// Kills in the normal run; `STORE_KILLS` asks for more.
const KILLS: usize = 20;

/// Kills that one directory lives through; each leaves more to be counted after the next one.
const KILLS_A_LIFE: usize = 100;

/// Tasks of the child that commit at the same time.
const TASKS: usize = 6;

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_a_kill() {
    let kills =
        std::env::var("STORE_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let mut kept = tempfile::tempdir().expect("a directory");
    let mut random = fastrand::Rng::with_seed(0x5ea1);
    let mut scores = [
        "SIGKILL of a busy store, queue in step",
        "SIGKILL of a busy store, queue behind",
        "SIGKILL of a store that opens",
    ]
    .map(Score::of);
    for kill in 0..kills {
        if kill > 0 && kill % KILLS_A_LIFE == 0 {
            kept = tempfile::tempdir().expect("a directory");
        }
        // Every fifth dies while it opens the directory that all use, or one that is new.
        let opening = kill % 5 == 4;
        let new = tempfile::tempdir().expect("a directory");
        let dir = if opening && kill % 2 == 0 { new.path() } else { kept.path() };
        let mut child = spawn(dir, kill, Stdio::piped());
        let words = if opening { 0 } else { random.usize(1..400) };
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut acknowledged: Vec<(u64, Digest)> = Vec::new();
        // The words that are under way when it dies count as well.
        let mut opens = false;
        while !opens || acknowledged.len() < words {
            let line = lines.next().expect("the child lives").expect("readable");
            opens |= line == "opening";
            acknowledged.extend(word(&line));
        }
        for _ in 0..random.u32(..3_000_000) {
            std::hint::spin_loop();
        }
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        acknowledged.extend(lines.map_while(Result::ok).filter_map(|line| word(&line)));
        let score = &mut scores[if opening { 2 } else { usize::from(is_behind(kill)) }];
        score.times += 1;
        score.acknowledged += acknowledged.len();

        let store = reopened(dir);
        let found = store.health();
        // sled itself may have died over its first bytes; there is nothing to lose then, and it is
        // told.
        assert!(found.rebuilt.is_none() || found.seq == 0, "kill {kill}: {:?}", found.rebuilt);
        *(if found.rebuilt.is_some() { &mut score.rebuilt } else { &mut score.sound }) += 1;
        score.wrong.extend(
            missing(dir, found.seq, acknowledged).map(|entry| format!("kill {kill}: {entry}")),
        );
        assert_tallies_add_up(&store).await;
        store.close().expect("nothing failed");
    }
    assert!(
        scores.iter().map(|score| score.acknowledged).sum::<usize>() > kills,
        "the children did nothing"
    );
    Score::settle_all(&scores);
}

/// Those of the told entries that a journal which ends with `last` does not hold.
pub fn missing(
    dir: &Path,
    last: u64,
    acknowledged: Vec<(u64, Digest)>,
) -> impl Iterator<Item = String> {
    let journal = dir.join("journal");
    let reader = Reader::new(&journal, &segment::list(&journal).expect("there"), last);
    acknowledged.into_iter().filter_map(move |(seq, head)| {
        let found = reader.digest_at(seq).expect("readable");
        (found != Some(head)).then(|| {
            format!("entry {seq} was told, {last} is the last, and in its place stands {found:?}")
        })
    })
}

/// Every other child dies with the queue behind the journal, as it is when shipped.
pub fn is_behind(seed: usize) -> bool {
    seed.is_multiple_of(2)
}

/// A process that keeps a store in `dir` busy and says on `out` what it was told.
pub fn spawn(dir: &Path, seed: usize, out: Stdio) -> Child {
    Command::new(std::env::current_exe().expect("this test has a file"))
        .args(["--exact", "store::crash_tests::kill::busy_child", "--ignored", "--nocapture"])
        .env("STORE_DIR", dir)
        .env("STORE_SEED", seed.to_string())
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .expect("this test can be run")
}

/// `told SEQ HEAD`, whole; the test harness and a kill leave other lines.
pub fn word(line: &str) -> Option<(u64, Digest)> {
    let (seq, head) = line.strip_prefix("told ")?.split_once(' ')?;
    Some((seq.parse().ok()?, head.parse().ok()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by `nothing_acknowledged_is_lost_by_a_kill`"]
async fn busy_child() {
    let dir = std::env::var_os("STORE_DIR").expect("run by another test only");
    let seed: u64 = std::env::var("STORE_SEED").expect("given").parse().expect("a number");
    let gather = if is_behind(usize::try_from(seed).expect("few")) {
        SledOptions::default().gather
    } else {
        Duration::ZERO
    };
    let options = SledOptions {
        segment_bytes: 256 * 1024,
        mark_every: 100,
        gather,
        ..options(Failpoint::default())
    };
    writeln!(std::io::stdout().lock(), "\nopening").expect("somebody listens");
    let store = Arc::new(SledStore::open(Path::new(&dir), options).expect("nobody else holds it"));
    let tasks = (0..TASKS).map(|task| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            // Each task has rollouts of its own, in every process of them.
            let task = u32::try_from(task).expect("few");
            let lot = (u32::try_from(seed).expect("few") * 8 + task) * 100;
            let mut driver = Driver::new(seed * 8 + u64::from(task));
            driver
                .rollouts
                .push(started(&*store, submission(&format!("r-{lot}"), &[10, 90], lot)).await);
            for _ in 0..100_000 {
                driver.step(&*store).await;
                store.durable().await.expect("available");
                let health = store.health();
                writeln!(std::io::stdout().lock(), "told {} {}", health.seq, health.head)
                    .expect("somebody listens");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no task fails");
    }
}
