//! Recurring enforcement: the shipped enforcer over the shipped engine, on a clock that moves only
//! when all wait.
//!
//! One seed is one history of about an hour: proxies are switched by others, jobs fail, daemons die
//! and come back minutes later, clocks jump, people stop, release and raise the revision; then it
//! grows calm. `rules` reads the journal that is left, and knows nothing of how it came about.

mod bed;
mod rules;
mod script;

use self::bed::{EnforcementBug, SCOREBOARD};
use crate::number;
use crate::tally::{RunTally, planted_are_found, seeds_hold};

/// Seeds of one test run.
const SEEDS: u64 = 300;

/// What the seeds of one test run must meet; a word that never fires means a test of nothing.
const MUST_FIRE: &[&str] = &[
    "applied",
    "crash",
    "drifted",
    "drifted_beyond",
    "halted",
    "held_target",
    "inform",
    "jumped",
    "missed",
    "only_looks",
    "refused",
    "released",
    "renewed",
    "skipped",
    "stopped",
];

/// How a run ended.
struct EnforcementOutcome {
    met: RunTally,
    journal: String,
}

fn run(seed: u64, planted: EnforcementBug) -> EnforcementOutcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    // Made inside, where the paused clock is the one that is read.
    runtime.block_on(async { script::EnforcementScript::new(seed, planted).run().await })
}

#[test]
fn enforcement_seeds() {
    if let Ok(seed) = std::env::var("SEALIFT_ENFORCEMENT_SEED") {
        let outcome = run(seed.parse().expect("a number"), EnforcementBug::Nothing);
        println!("{}\n{:#?}", outcome.journal, outcome.met.fired);
        assert!(outcome.met.violations.is_empty(), "{:#?}", outcome.met.violations);
        return;
    }
    let base = number("SEALIFT_SEED_BASE", 0);
    let seeds = base..base + number("SEALIFT_ENFORCEMENT_SEEDS", SEEDS);
    seeds_hold(seeds, "SEALIFT_ENFORCEMENT_SEED", SEEDS, MUST_FIRE, &|seed| {
        run(seed, EnforcementBug::Nothing).met
    });
}

#[test]
fn bugs_planted_around_the_enforcer_are_found() {
    planted_are_found(SCOREBOARD, &|seed, planted| run(seed, planted).met);
}
