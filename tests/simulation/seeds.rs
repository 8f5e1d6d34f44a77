//! Fresh seeds, kept seeds, and replay.

use std::collections::BTreeMap;
use std::sync::Mutex;

use sealift::domain::id::Digest;

use crate::planted::Planted;
use crate::scenario::DrawnScenario;
use crate::scoreboard;
use crate::world::run;
use crate::{ENOUGH, number, on_all_cores};

/// Seeds of one test run.
const SEEDS: u64 = 5_000;
/// Seeds whose journal's digest is kept in the repository: the same on every machine, in debug and
/// release alike.
const GOLDEN_SEEDS: u64 = 40;
/// A long run says how far it is, each time so many seeds are done.
const TOLD_EVERY: u64 = 20_000;

/// Faults and branches that the seeds of one test run must meet; a word that never fires means a
/// test of nothing.
const MUST_FIRE: &[&str] = &[
    "abort",
    "approve",
    "busy",
    "clock",
    "cloud_clock_step",
    "conflict",
    "connection_refused",
    "crash",
    "drop_after",
    "drop_before",
    "error_500_after",
    "error_500_before",
    "foreign_change",
    "foreign_job",
    "foreign_switch",
    "foreign_unknown",
    "freeze",
    "garbage_200",
    "html_502",
    "instance_busy",
    "job_fails",
    "jobs_by_records",
    "jobs_elsewhere",
    "lane_paused",
    "lane_resumed",
    "list_not_whole",
    "lists",
    "no_job_id_200",
    "not_in_the_list",
    "noted",
    "outage",
    "pause",
    "promote",
    "presumed_set_aside",
    "released",
    "resume",
    "retry",
    "revert",
    "running_listed",
    "slow",
    "slow_read",
    "slow_to_wire",
    "slow_way",
    "started",
    "stays_active",
    "stopped",
    "store_away",
    "store_conflict",
    "stuck_commit",
    "taken_over",
    "throttle",
    "throttle_with_retry_after",
    "token_expired",
    "unknown_ticket",
    "unsynced_lost",
    "verb_acknowledged",
    "verb_refused",
    "verb_refused_away",
    "visibility_lag",
    "wall_jump",
    "withheld_away",
    "withheld_read",
    "withheld_write",
    "write_lost",
];

#[derive(Default)]
struct Sums {
    fired: BTreeMap<&'static str, u64>,
    done: u64,
    seconds: u64,
    calls: u64,
}

#[test]
fn seeds() {
    if let Ok(seed) = std::env::var("SEALIFT_SEED") {
        return one_seed(seed.parse().expect("SEALIFT_SEED is a number"));
    }
    let (base, count) = (number("SEALIFT_SEED_BASE", 0), number("SEALIFT_SEEDS", SEEDS));
    let sums = Mutex::new(Sums::default());
    let mut found = on_all_cores(count, ENOUGH, &|place| {
        let outcome = run(DrawnScenario::draw(base + place), Planted::Nothing, &[]);
        let mut sums = sums.lock().expect("no panic");
        for (word, count) in &outcome.fired {
            *sums.fired.entry(word).or_insert(0) += count;
        }
        sums.done += 1;
        sums.seconds += outcome.virtual_seconds;
        sums.calls += outcome.calls;
        if sums.done.is_multiple_of(TOLD_EVERY) {
            println!(
                "{} of {count} seeds, {:.0} virtual days",
                sums.done,
                sums.seconds as f64 / 86_400.0
            );
        }
        let violation = outcome.violations.into_iter().next()?;
        // At once, for a long run may be broken off.
        println!("seed {}: {violation}", base + place);
        Some((base + place, violation))
    });
    found.sort();
    let Sums { fired, seconds, calls, .. } = sums.into_inner().expect("no panic");
    println!(
        "{count} seeds from {base}, {:.1} virtual days, {calls} calls\nfired: {fired:#?}",
        seconds as f64 / 86_400.0
    );
    assert!(
        found.is_empty(),
        "violations, each to be seen again with SEALIFT_SEED=<seed>: {found:#?}"
    );
    if count >= SEEDS {
        let silent: Vec<_> =
            MUST_FIRE.iter().filter(|word| fired.get(*word).copied().unwrap_or(0) == 0).collect();
        assert!(silent.is_empty(), "never fired: {silent:?}");
    }
}

fn one_seed(seed: u64) {
    let scenario = DrawnScenario::draw(seed);
    let planted = scoreboard::planted_by_name(std::env::var("SEALIFT_PLANTED").ok().as_deref());
    println!("{scenario:#?}");
    let outcome = run(scenario, planted, &[]);
    println!("{}\n{:#?}", outcome.journal, outcome.fired);
    assert!(outcome.violations.is_empty(), "seed {seed}: {:?}", outcome.violations);
}

/// Seeds that once showed a bug, each with what it was.
#[test]
fn seeds_that_found_bugs_stay_quiet() {
    let kept = include_str!("kept-seeds.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    for line in kept {
        let (seed, story) = line.split_once(' ').expect("a seed and its story");
        let outcome =
            run(DrawnScenario::draw(seed.parse().expect("a number")), Planted::Nothing, &[]);
        assert!(outcome.violations.is_empty(), "{story}: {:?}", outcome.violations);
    }
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    let digests = || -> String {
        let digest = |seed| {
            Digest::of(run(DrawnScenario::draw(seed), Planted::Nothing, &[]).journal.as_bytes())
        };
        (0..GOLDEN_SEEDS).map(|seed| format!("{seed} {}\n", digest(seed))).collect()
    };
    let told = digests();
    assert_eq!(told, digests(), "two runs of one process differ");
    // Kept in the repository and compared by debug and release builds alike.
    insta::assert_snapshot!("journal_digests", told);
}
