//! The shipped shell (`engine::start`) with its tasks, channels and timers, on a clock that moves
//! only when all wait.
//!
//! One seed is one history: a plan is submitted through the handle, operators ask for verbs, the
//! kill-switch file comes and goes, the engine is drained in the middle and started anew over the
//! same store, until the rollout is final. The same invariants watch as over the core alone; what
//! is asked here besides: every request to the handle is answered in time, a drain ends in time and
//! loses nothing that was out, and every proxy ends as its change says.
//!
//! Only the handle, the store, the cloud and the clock are touched, as the rest of the program
//! does.

mod bed;
mod cloud;
mod engine;
mod outcomes;
mod planted;
mod script;
mod store;
mod unanswered;

use std::sync::Arc;

use sealift::domain::id::Digest;

use self::planted::{RuntimeBug, SCOREBOARD};
use crate::tally::{RunTally, planted_are_found, seeds_hold};
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
    "slow_read",
    "stop_file",
    "throttle",
    "verb_acknowledged",
    "verb_met_a_drain",
    "verb_refused",
    "withheld_read",
    "withheld_write",
];

/// How a run ended.
struct RuntimeOutcome {
    met: RunTally,
    journal: String,
}

fn run(seed: u64, planted: RuntimeBug, told: bool) -> RuntimeOutcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // Made inside, where the paused clock is the one that is read.
    runtime.block_on(async { script::RuntimeScript::new(seed, planted, told).run().await })
}

#[test]
fn shell_seeds() {
    if let Ok(seed) = std::env::var("SEALIFT_SHELL_SEED") {
        return one_seed(seed.parse().expect("SEALIFT_SHELL_SEED is a number"));
    }
    let seeds = 0..number("SEALIFT_SHELL_SEEDS", SEEDS);
    seeds_hold(seeds, "SEALIFT_SHELL_SEED", SEEDS, MUST_FIRE, &|seed| {
        run(seed, RuntimeBug::Nothing, false).met
    });
}

fn one_seed(seed: u64) {
    let outcome =
        run(seed, planted::by_name(std::env::var("SEALIFT_PLANTED").ok().as_deref()), true);
    println!("{}\n{:#?}", outcome.journal, outcome.met.fired);
    assert!(outcome.met.violations.is_empty(), "seed {seed}: {:?}", outcome.met.violations);
}

#[test]
fn the_same_seed_gives_the_shell_the_same_journal() {
    let different = on_all_cores(TWICE, ENOUGH, &|seed| {
        let digest = || Digest::of(run(seed, RuntimeBug::Nothing, false).journal.as_bytes());
        let (first, second) = (digest(), digest());
        (first != second).then_some(seed)
    });
    assert!(different.is_empty(), "two runs of these seeds differ: {different:?}");
}

#[test]
fn bugs_planted_around_the_shell_are_found() {
    planted_are_found(SCOREBOARD, &|seed, planted| run(seed, planted, false).met);
}

/// Shared by all parts of one run; nothing in it is ever held over a wait.
type RunShared = Arc<bed::RuntimeFixture>;
