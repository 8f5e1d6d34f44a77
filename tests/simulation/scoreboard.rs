//! The scoreboard: every planted bug is found, each within its stated number of seeds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::kill_points::{call_kills, commit_kills};
use crate::planted::{Planted, SCOREBOARD};
use crate::scenario::DrawnScenario;
use crate::world::run;
use crate::{number, on_all_cores};

/// Small worlds whose kill points are tried with every planted bug.
const KILL_WORLDS: u64 = 2;

/// The planted bug of this name; `Nothing` without one.
pub fn planted_by_name(name: Option<&str>) -> Planted {
    let Some(name) = name else { return Planted::Nothing };
    let known = SCOREBOARD.iter().map(|(planted, _)| *planted);
    known.into_iter().find(|planted| format!("{planted:?}") == name).expect("a name of `Planted`")
}

/// Who saw it: the invariant's name, or the first words of what the run itself says.
fn witness(violation: &str) -> String {
    violation.split_once(':').map_or(violation, |(name, _)| name).chars().take(40).collect()
}

#[test]
fn planted_bugs_are_found() {
    let (base, seeds) = (number("SEALIFT_SEED_BASE", 0), number("SEALIFT_PLANTED_SEEDS", 0));
    let only = planted_by_name(std::env::var("SEALIFT_PLANTED").ok().as_deref());
    let mut board = format!(
        "{:<28} {:>6} {:>12} {:>12}  seen by\n",
        "planted bug", "first", "seeds", "kill points"
    );
    let mut unfound = Vec::new();
    for (planted, within) in
        SCOREBOARD.iter().filter(|(planted, _)| only == Planted::Nothing || only == *planted)
    {
        let tried = seeds.max(*within);
        let mut seen = on_all_cores(tried, usize::MAX, &|seed| {
            let outcome = run(DrawnScenario::draw(base + seed), *planted, &[]);
            outcome.violations.into_iter().next().map(|violation| (seed, witness(&violation)))
        });
        seen.sort();
        let (points, killed) = at_kill_points(*planted);
        let first = seen.first().map(|(seed, _)| *seed);
        if first.is_none_or(|first| first >= *within) {
            unfound.push(format!("{planted:?} within {within} seeds"));
        }
        let witnesses: BTreeSet<_> = seen.iter().map(|(_, name)| name.as_str()).collect();
        let first = first.map_or("-".to_owned(), |first| first.to_string());
        let counts = (format!("{}/{tried}", seen.len()), format!("{killed}/{points}"));
        let name = format!("{planted:?}");
        let witnesses: Vec<_> = witnesses.into_iter().collect();
        writeln!(
            board,
            "{name:<28} {first:>6} {:>12} {:>12}  {}",
            counts.0,
            counts.1,
            witnesses.join(", ")
        )
        .expect("a string takes all");
    }
    println!("{board}");
    assert!(unfound.is_empty(), "planted bugs that were not found: {unfound:#?}");
}

/// Kill points of two small worlds, and how many of them show the bug although the unkilled run
/// does not.
fn at_kill_points(planted: Planted) -> (usize, usize) {
    let (mut points, mut seen) = (0, 0);
    for world in 0..KILL_WORLDS {
        let scenario = DrawnScenario::small(world);
        let whole = run(scenario.clone(), planted, &[]);
        if !whole.violations.is_empty() {
            continue;
        }
        let kills: Vec<_> = commit_kills(&whole).into_iter().chain(call_kills(&whole)).collect();
        let found = on_all_cores(kills.len() as u64, usize::MAX, &|place| {
            let outcome = run(scenario.clone(), planted, &[kills[place as usize]]);
            outcome.violations.into_iter().next()
        });
        points += kills.len();
        seen += found.len();
    }
    (points, seen)
}
