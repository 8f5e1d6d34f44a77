//! Recurring enforcement: the shipped enforcer over the shipped engine, on a clock that moves only when all wait.
//!
//! One seed is one history of about an hour: proxies are switched by others, jobs fail, daemons die and come back minutes
//! later, clocks jump, people stop, release and raise the revision; then it grows calm. `rules` reads the journal that is
//! left, and knows nothing of how it came about.

mod bed;
mod rules;
mod script;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use self::bed::{SCOREBOARD, Wrong};
use crate::{ENOUGH, number, on_all_cores};

/// Seeds of one test run.
const SEEDS: u64 = 300;

/// What the seeds of one test run must meet; a word that never fires means a test of nothing.
const MUST_FIRE: &[&str] = &[
    "applied",
    "crash",
    "drifted",
    "drifted_beyond",
    "held_target",
    "inform",
    "jumped",
    "missed",
    "refused",
    "released",
    "renewed",
    "skipped",
    "stopped",
];

/// How a run ended.
struct Outcome {
    violations: Vec<String>,
    journal: String,
    fired: BTreeMap<&'static str, u64>,
    seconds: u64,
}

fn run(seed: u64, planted: Wrong) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    // Made inside, where the paused clock is the one that is read.
    runtime.block_on(async { script::Script::new(seed, planted).run().await })
}

#[test]
fn enforcement_seeds() {
    if let Ok(seed) = std::env::var("SEALIFT_ENFORCEMENT_SEED") {
        let outcome = run(seed.parse().expect("a number"), Wrong::Nothing);
        println!("{}\n{:#?}", outcome.journal, outcome.fired);
        assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
        return;
    }
    let count = number("SEALIFT_ENFORCEMENT_SEEDS", SEEDS);
    let base = number("SEALIFT_SEED_BASE", 0);
    let sums = Mutex::new((BTreeMap::<&'static str, u64>::new(), 0));
    let mut found = on_all_cores(count, ENOUGH, &|seed| {
        let outcome = run(base + seed, Wrong::Nothing);
        let mut sums = sums.lock().expect("no panic");
        for (word, count) in &outcome.fired {
            *sums.0.entry(word).or_insert(0) += count;
        }
        sums.1 += outcome.seconds;
        outcome.violations.into_iter().next().map(|violation| (base + seed, violation))
    });
    found.sort();
    let (fired, seconds) = sums.into_inner().expect("no panic");
    println!("{count} seeds, {:.1} virtual hours\nfired: {fired:#?}", seconds as f64 / 3600.0);
    assert!(found.is_empty(), "violations, each to be seen again with SEALIFT_ENFORCEMENT_SEED=<seed>: {found:#?}");
    if count >= SEEDS {
        let silent: Vec<_> = MUST_FIRE.iter().filter(|word| fired.get(*word).copied().unwrap_or(0) == 0).collect();
        assert!(silent.is_empty(), "never fired: {silent:?}");
    }
}

#[test]
fn bugs_planted_around_the_enforcer_are_found() {
    let mut board = format!("{:<22} {:>6} {:>8}  seen by\n", "planted bug", "first", "seeds");
    let mut unfound = Vec::new();
    for (planted, within) in SCOREBOARD {
        let mut seen =
            on_all_cores(*within, usize::MAX, &|seed| run(seed, *planted).violations.into_iter().next().map(|what| (seed, what)));
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
