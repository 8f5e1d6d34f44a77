//! The shipped shell (`engine::start`) with its tasks, channels and timers, on a clock that moves only when all wait.
//!
//! One seed is one history: a plan is submitted through the handle, operators ask for verbs, the kill-switch file comes
//! and goes, the engine is drained in the middle and started anew over the same store, until the rollout is final. The
//! same invariants watch as over the core alone; what is asked here besides: every request to the handle is answered in
//! time, a drain ends in time and loses nothing that was out, and every proxy ends as its change says.
//!
//! Only the handle, the store, the cloud and the clock are touched, as the rest of the program does.

mod bed;
mod cloud;
mod engine;
mod outcomes;
mod planted;
mod script;
mod store;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use sealift::domain::id::Digest;

use self::planted::{SCOREBOARD, Wrong};
use crate::{ENOUGH, number, on_all_cores};

/// Seeds of one test run.
const SEEDS: u64 = 1_000;
/// Seeds that are run twice.
const TWICE: u64 = 20;

/// What the seeds of one test run must meet; a word that never fires means a test of nothing.
const MUST_FIRE: &[&str] = &[
    "connection_refused",
    "drained_while_calls_were_out",
    "drop_after",
    "error_500_after",
    "given_up",
    "job_fails",
    "no_job_id_200",
    "restart",
    "slow",
    "slow_commit",
    "stop_file",
    "throttle",
    "verb_acknowledged",
    "verb_met_a_drain",
    "verb_refused",
    "withheld_read",
    "withheld_write",
];

/// How a run ended.
struct Outcome {
    journal: String,
    violations: Vec<String>,
    fired: BTreeMap<&'static str, u64>,
    seconds: u64,
}

fn run(seed: u64, planted: Wrong, told: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    // Made inside, where the paused clock is the one that is read.
    runtime.block_on(async { script::Script::new(seed, planted, told).run().await })
}

#[test]
fn shell_seeds() {
    if let Ok(seed) = std::env::var("SEALIFT_SHELL_SEED") {
        return one_seed(seed.parse().expect("SEALIFT_SHELL_SEED is a number"));
    }
    let count = number("SEALIFT_SHELL_SEEDS", SEEDS);
    let sums = Mutex::new((BTreeMap::<&'static str, u64>::new(), 0));
    let mut found = on_all_cores(count, ENOUGH, &|seed| {
        let outcome = run(seed, Wrong::Nothing, false);
        let mut sums = sums.lock().expect("no panic");
        for (word, count) in &outcome.fired {
            *sums.0.entry(word).or_insert(0) += count;
        }
        sums.1 += outcome.seconds;
        outcome.violations.into_iter().next().map(|violation| (seed, violation))
    });
    found.sort();
    let (fired, seconds) = sums.into_inner().expect("no panic");
    println!("{count} seeds, {:.1} virtual hours\nfired: {fired:#?}", seconds as f64 / 3600.0);
    assert!(found.is_empty(), "violations, each to be seen again with SEALIFT_SHELL_SEED=<seed>: {found:#?}");
    if count >= SEEDS {
        let silent: Vec<_> = MUST_FIRE.iter().filter(|word| fired.get(*word).copied().unwrap_or(0) == 0).collect();
        assert!(silent.is_empty(), "never fired: {silent:?}");
    }
}

fn one_seed(seed: u64) {
    let outcome = run(seed, planted::by_name(std::env::var("SEALIFT_PLANTED").ok().as_deref()), true);
    println!("{}\n{:#?}", outcome.journal, outcome.fired);
    assert!(outcome.violations.is_empty(), "seed {seed}: {:?}", outcome.violations);
}

#[test]
fn the_same_seed_gives_the_shell_the_same_journal() {
    let different = on_all_cores(TWICE, ENOUGH, &|seed| {
        let digest = || Digest::of(run(seed, Wrong::Nothing, false).journal.as_bytes());
        let (first, second) = (digest(), digest());
        (first != second).then_some(seed)
    });
    assert!(different.is_empty(), "two runs of these seeds differ: {different:?}");
}

#[test]
fn bugs_planted_around_the_shell_are_found() {
    let mut board = format!("{:<22} {:>6} {:>8}  seen by\n", "planted bug", "first", "seeds");
    let mut unfound = Vec::new();
    for (planted, within) in SCOREBOARD {
        let mut seen = on_all_cores(*within, usize::MAX, &|seed| {
            let outcome = run(seed, *planted, false);
            outcome.violations.into_iter().next().map(|violation| (seed, violation))
        });
        seen.sort();
        let name = format!("{planted:?}");
        match seen.first() {
            Some((first, what)) => {
                writeln!(board, "{name:<22} {first:>6} {:>8}  {what:.80}", format!("{}/{within}", seen.len())).expect("a string takes all");
            }
            None => unfound.push(format!("{planted:?} within {within} seeds")),
        }
    }
    println!("{board}");
    assert!(unfound.is_empty(), "planted bugs that were not found: {unfound:#?}");
}

/// Shared by all parts of one run; nothing in it is ever held over a wait.
type Shared = Arc<bed::Bed>;
