//! Simulation of the shipped core: seeds, kill points, replay, planted bugs.
//!
//! `SEALIFT_SEEDS=1000000 SEALIFT_SEED_BASE=0` choose how many seeds and from where; `SEALIFT_SEED=42` runs one and
//! prints its journal. `make seed SEED=42` and `make seeds SEEDS=1000000` do the same on a release build.

mod invariants;
mod oracle;
mod planted;
mod scenario;
mod setting;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use planted::Planted;
use scenario::Scenario;
use sealift::domain::id::Digest;
use world::{Kill, run};

/// Seeds of one test run.
const SEEDS: u64 = 5_000;
/// Seeds whose journal's digest is kept in the repository: the same on every machine, in debug and release alike.
const GOLDEN_SEEDS: u64 = 40;
/// Violations after which a run of seeds stops.
const ENOUGH: usize = 5;

/// Faults and branches that the seeds of one test run must meet; a word that never fires means a test of nothing.
const MUST_FIRE: &[&str] = &[
    "abort",
    "busy",
    "claim_lost",
    "conflict",
    "connection_refused",
    "crash",
    "drop_after",
    "drop_before",
    "error_500_after",
    "error_500_before",
    "foreign_job",
    "garbage_200",
    "html_502",
    "instance_busy",
    "job_fails",
    "landed_unseen",
    "no_job_id_200",
    "pause",
    "promote",
    "released",
    "resume",
    "retry",
    "slow",
    "slow_to_wire",
    "slow_way",
    "stale",
    "store_conflict",
    "taken_over",
    "throttle",
    "throttle_with_retry_after",
    "token_expired",
    "unknown_ticket",
    "unsynced_lost",
    "verb_acknowledged",
    "verb_refused",
    "visibility_lag",
    "wall_jump",
    "withheld_read",
    "withheld_write",
    "write_lost",
];

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs `one` for every number below `count` on all cores, until it has given `enough` findings.
fn on_all_cores<T: Send>(count: u64, enough: usize, one: &(dyn Fn(u64) -> Option<T> + Sync)) -> Vec<T> {
    let found = Mutex::new(Vec::new());
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |cores| cores.get()) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count || found.lock().expect("no panic").len() >= enough {
                        return;
                    }
                    if let Some(finding) = one(place) {
                        found.lock().expect("no panic").push(finding);
                    }
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}

#[test]
fn seeds() {
    if let Ok(seed) = std::env::var("SEALIFT_SEED") {
        return one_seed(seed.parse().expect("SEALIFT_SEED is a number"));
    }
    let (base, count) = (number("SEALIFT_SEED_BASE", 0), number("SEALIFT_SEEDS", SEEDS));
    let sums = Mutex::new((BTreeMap::<&'static str, u64>::new(), 0u64, 0u64));
    let mut found = on_all_cores(count, ENOUGH, &|place| {
        let outcome = run(Scenario::draw(base + place), Planted::Nothing, None);
        let mut sums = sums.lock().expect("no panic");
        for (word, count) in &outcome.fired {
            *sums.0.entry(word).or_insert(0) += count;
        }
        sums.1 += outcome.virtual_seconds;
        sums.2 += outcome.calls;
        outcome.violations.into_iter().next().map(|violation| (base + place, violation))
    });
    found.sort();
    let (fired, seconds, calls) = sums.into_inner().expect("no panic");
    println!("{count} seeds from {base}, {:.1} virtual days, {calls} calls\nfired: {fired:#?}", seconds as f64 / 86_400.0);
    assert!(found.is_empty(), "violations, each to be seen again with SEALIFT_SEED=<seed>: {found:#?}");
    if count >= SEEDS {
        let silent: Vec<_> = MUST_FIRE.iter().filter(|word| fired.get(*word).copied().unwrap_or(0) == 0).collect();
        assert!(silent.is_empty(), "never fired: {silent:?}");
    }
}

fn one_seed(seed: u64) {
    let scenario = Scenario::draw(seed);
    println!("{scenario:#?}");
    let outcome = run(scenario, Planted::Nothing, None);
    println!("{}\n{:#?}", outcome.journal, outcome.fired);
    assert!(outcome.violations.is_empty(), "seed {seed}: {:?}", outcome.violations);
}

/// Seeds that once showed a bug, each with what it was.
#[test]
fn seeds_that_found_bugs_stay_quiet() {
    let kept = include_str!("kept-seeds.txt").lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    for line in kept {
        let (seed, story) = line.split_once(' ').expect("a seed and its story");
        let outcome = run(Scenario::draw(seed.parse().expect("a number")), Planted::Nothing, None);
        assert!(outcome.violations.is_empty(), "{story}: {:?}", outcome.violations);
    }
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    let digest = |seed| Digest::of(run(Scenario::draw(seed), Planted::Nothing, None).journal.as_bytes());
    let told: String = (0..GOLDEN_SEEDS).map(|seed| format!("{seed} {}\n", digest(seed))).collect();
    let again: String = (0..GOLDEN_SEEDS).map(|seed| format!("{seed} {}\n", digest(seed))).collect();
    assert_eq!(told, again, "two runs of one process differ");
    // Kept in the repository and compared by debug and release builds alike.
    insta::assert_snapshot!("journal_digests", told);
}

/// A small world without random crashes is killed at every one of its commits, with the write lost and with it landed.
#[test]
fn every_store_boundary_killed() {
    let worlds = number("SEALIFT_KILL_WORLDS", 6);
    let mut killed = 0;
    for world in 0..worlds {
        let scenario = Scenario::small(world);
        let whole = run(scenario.clone(), Planted::Nothing, None);
        assert!(whole.violations.is_empty(), "world {world}: {:?}", whole.violations);
        let points = whole.commits * 2;
        let found = on_all_cores(points, ENOUGH, &|point| {
            let kill = if point % 2 == 0 { Kill::Lost } else { Kill::Landed };
            let outcome = run(scenario.clone(), Planted::Nothing, Some((point / 2 + 1, kill)));
            outcome.violations.into_iter().next().map(|violation| (point / 2 + 1, kill, violation))
        });
        assert!(found.is_empty(), "world {world}: {found:#?}");
        killed += points;
    }
    println!("{killed} kill points in {worlds} worlds");
    assert!(killed > 200, "only {killed} kill points");
}

/// The scoreboard: every planted bug is found, within its stated number of seeds or kill points.
#[test]
fn planted_bugs_are_found() {
    for (planted, within) in planted::SCOREBOARD {
        let first = AtomicU64::new(u64::MAX);
        let found = on_all_cores(*within, 1, &|seed| {
            let outcome = run(Scenario::draw(seed), *planted, None);
            let violation = outcome.violations.into_iter().next()?;
            first.fetch_min(seed, Ordering::Relaxed);
            Some(violation)
        });
        println!("{planted:?}: seed {}, {:?}", first.load(Ordering::Relaxed), found.first());
        assert!(!found.is_empty(), "{planted:?} was not found within {within} seeds");
    }
}
