//! Runs many seeds of a simulation, adds up what they met, and shows which planted bugs they find.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::ops::Range;
use std::sync::Mutex;

use crate::{ENOUGH, on_all_cores};

/// What one run gives: what it broke, what it met, and its virtual seconds.
pub struct RunTally {
    pub violations: Vec<String>,
    pub fired: BTreeMap<&'static str, u64>,
    pub seconds: u64,
}

/// No seed breaks a rule; `variable` shows one again. At least `enough` seeds must meet every word
/// of `must_fire`.
pub fn seeds_hold(
    seeds: Range<u64>,
    variable: &str,
    enough: u64,
    must_fire: &[&str],
    run: &(dyn Fn(u64) -> RunTally + Sync),
) {
    let count = seeds.end - seeds.start;
    let sums = Mutex::new((BTreeMap::<&'static str, u64>::new(), 0));
    let mut found = on_all_cores(count, ENOUGH, &|place| {
        let met = run(seeds.start + place);
        let mut sums = sums.lock().expect("no panic");
        for (word, count) in &met.fired {
            *sums.0.entry(word).or_insert(0) += count;
        }
        sums.1 += met.seconds;
        met.violations.into_iter().next().map(|violation| (seeds.start + place, violation))
    });
    found.sort();
    let (fired, seconds) = sums.into_inner().expect("no panic");
    println!("{count} seeds, {:.1} virtual hours\nfired: {fired:#?}", seconds as f64 / 3600.0);
    assert!(
        found.is_empty(),
        "violations, each to be seen again with {variable}=<seed>: {found:#?}"
    );
    if count >= enough {
        let silent: Vec<_> =
            must_fire.iter().filter(|word| fired.get(*word).copied().unwrap_or(0) == 0).collect();
        assert!(silent.is_empty(), "never fired: {silent:?}");
    }
}

/// Every planted bug is found within its number of seeds.
pub fn planted_are_found<P: Debug + Copy + Sync>(
    scoreboard: &[(P, u64)],
    run: &(dyn Fn(u64, P) -> RunTally + Sync),
) {
    let mut board = format!("{:<22} {:>6} {:>8}  seen by\n", "planted bug", "first", "seeds");
    let mut unfound = Vec::new();
    for (planted, within) in scoreboard {
        let mut seen = on_all_cores(*within, usize::MAX, &|seed| {
            run(seed, *planted).violations.into_iter().next().map(|what| (seed, what))
        });
        seen.sort();
        let name = format!("{planted:?}");
        match seen.first() {
            Some((first, what)) => {
                writeln!(
                    board,
                    "{name:<22} {first:>6} {:>8}  {what:.80}",
                    format!("{}/{within}", seen.len())
                )
                .expect("a string takes all");
            }
            None => unfound.push(format!("{planted:?} within {within} seeds")),
        }
    }
    println!("{board}");
    assert!(unfound.is_empty(), "planted bugs that were not found: {unfound:#?}");
}
