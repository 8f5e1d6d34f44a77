//! Simulation of the shipped core: seeds, kill points, replay, planted bugs.
//!
//! `SEALIFT_SEEDS=1000000 SEALIFT_SEED_BASE=0` choose how many seeds and from where; `SEALIFT_SEED=42` runs one and
//! prints its journal.

mod invariants;
mod oracle;
mod planted;
mod scenario;
mod setting;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;

use planted::Planted;
use scenario::Scenario;
use sealift::domain::id::Digest;
use world::{Kill, Outcome, run};

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs seeds on all cores; stops at the first few violations.
fn run_seeds(base: u64, count: u64, planted: Planted, each: &(dyn Fn(u64, &Outcome) + Sync)) -> Vec<(u64, String)> {
    let found = Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |cores| cores.get()) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if place >= count || found.lock().expect("no panic").len() >= 5 {
                        return;
                    }
                    let seed = base + place;
                    let outcome = run(Scenario::draw(seed), planted, None);
                    each(seed, &outcome);
                    if let Some(violation) = outcome.violations.first() {
                        found.lock().expect("no panic").push((seed, violation.clone()));
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no panic");
    found.sort();
    found
}

#[test]
fn seeds() {
    if let Ok(seed) = std::env::var("SEALIFT_SEED") {
        let seed = seed.parse().expect("SEALIFT_SEED is a number");
        let scenario = Scenario::draw(seed);
        println!("{scenario:#?}");
        let outcome = run(scenario, Planted::Nothing, None);
        println!("{}\n{:#?}", outcome.journal, outcome.fired);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:?}", outcome.violations);
        return;
    }
    let (base, count) = (number("SEALIFT_SEED_BASE", 0), number("SEALIFT_SEEDS", 5_000));
    let sums = Mutex::new((BTreeMap::<&'static str, u64>::new(), 0u64, 0u64));
    let found = run_seeds(base, count, Planted::Nothing, &|_, outcome| {
        let mut sums = sums.lock().expect("no panic");
        for (word, count) in &outcome.fired {
            *sums.0.entry(word).or_insert(0) += count;
        }
        sums.1 += outcome.virtual_seconds;
        sums.2 += outcome.calls;
    });
    let (fired, seconds, calls) = sums.into_inner().expect("no panic");
    println!("{count} seeds from {base}, {:.1} virtual days, {calls} calls\nfired: {fired:#?}", seconds as f64 / 86_400.0);
    assert!(found.is_empty(), "violations: {found:#?}");
}
