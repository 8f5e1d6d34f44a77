//! The search: many short stories with drawn faults, and the first that is looked for, made as
//! short as it can be.
//!
//! Invariants: the same base, numbers and aim give the same repro, however many cores search; what
//! the shrinker gives back was run and is what was looked for; every loop has a bound.
//!
//! Deliberately not here: how likely the drawn faults are in the world; they are drawn to find
//! something.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use super::cores::{cores, on_cores};
use super::repro::{FaultSetting, Repro};
use super::scenario::{Scenario, SceneError};
use super::verdict::{Ending, RehearsalVerdict};
use super::world::{run, verdict};

/// Targets of one repro: enough for every wave, few enough that a repro takes milliseconds.
const TARGETS_MAX: u32 = 64;

/// Crashes of one repro.
const CRASHES_MAX: usize = 3;

/// Runs that shrinking may take: a repro has some twenty parts, each is tried a few times.
const SHRINK_RUNS_MAX: usize = 600;

/// The faults that are drawn, and what they are drawn from.
const RATES: [&str; 17] = [
    "throttle",
    "throttle_with_retry_after",
    "error_500_before",
    "error_500_after",
    "html_502",
    "garbage_200",
    "no_job_id_200",
    "drop_before",
    "drop_after",
    "slow",
    "job_fails",
    "busy",
    "token_expired",
    "foreign_job",
    "foreign_change",
    "foreign_unknown",
    "stays_active",
];
const PROBABILITIES: [&str; 5] = ["0.01", "0.05", "0.1", "0.25", "0.5"];
const LENGTHS: [(&str, &[&str]); 3] = [
    ("visibility_lag", &["1s", "8s", "{min: 0s, max: 12s}"]),
    ("latency", &["2s", "{min: 10ms, max: 20s}"]),
    ("job_time", &["1s", "5m", "{min: 1s, max: 20m}"]),
];

/// What a search is for.
pub type Aim<'a> = &'a (dyn Fn(&RehearsalVerdict) -> bool + Sync);

/// What a search found.
#[derive(Debug)]
pub struct SearchResult {
    /// Stories that were run before and with the one found; all of them when none was.
    pub searched: usize,
    pub endings: BTreeMap<&'static str, usize>,
    /// The repro as it was drawn, and as short as it could be made.
    pub repro: Option<(Repro, Repro)>,
    /// Runs that shrinking took.
    pub shrunk_in: usize,
}

/// Searches `seeds` stories over this scenario, from its seed on, for one that `aim` accepts;
/// shrinks the first.
///
/// # Errors
/// As [`run`].
pub fn search(base: &Scenario, seeds: u32, aim: Aim<'_>) -> Result<SearchResult, SceneError> {
    let one = |number: usize| -> Result<(Repro, &'static str, bool), SceneError> {
        let repro = draw(base, base.seed.wrapping_add(number as u64));
        let verdict = verdict(&scenario(base, &repro))?;
        let ending = match verdict.ending {
            _ if !verdict.holds() => "broken",
            Ending::Completed if verdict.tally.failures() > 0 => "completed with failures",
            Ending::Completed => "completed",
            Ending::Halted => "halted",
            Ending::Stopped => "stopped",
            Ending::NotEnded => "not ended",
        };
        Ok((repro, ending, aim(&verdict)))
    };
    let runs = on_cores(seeds as usize, cores(), &one, &|run| {
        run.as_ref().map_or(true, |(.., found)| *found)
    });
    let mut found =
        SearchResult { searched: runs.len(), endings: BTreeMap::new(), repro: None, shrunk_in: 0 };
    for run in runs {
        let (repro, ending, is_found) = run?;
        *found.endings.entry(ending).or_insert(0) += 1;
        if is_found {
            let (short, runs) = shrink(base, &repro, aim)?;
            found.repro = Some((repro, short));
            found.shrunk_in = runs;
        }
    }
    Ok(found)
}

fn scenario(base: &Scenario, repro: &Repro) -> Scenario {
    repro.scenario(base).expect("what is drawn here is a fault with a value of its kind")
}

/// The repro of a seed.
fn draw(base: &Scenario, seed: u64) -> Repro {
    let mut rng = Rng::with_seed(seed ^ 0x7374_6f72_7900);
    let setting = |key: &str, value: &str| FaultSetting { key: key.into(), value: value.into() };
    let mut settings = Vec::new();
    for key in RATES {
        if rng.u8(..5) == 0 {
            settings.push(setting(key, PROBABILITIES[rng.usize(..PROBABILITIES.len())]));
        }
    }
    for (key, values) in LENGTHS {
        if rng.u8(..3) == 0 {
            settings.push(setting(key, values[rng.usize(..values.len())]));
        }
    }
    let opens = base
        .plan
        .calendar
        .openings(base.from, 1)
        .pop()
        .map(|stretch| stretch.open.duration_since(base.from));
    let opens = opens.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or(Duration::ZERO);
    let crash = |rng: &mut Rng| {
        Duration::from_millis(u64::try_from(opens.as_millis()).unwrap_or(0) + rng.u64(..600_000))
    };
    let crashes = (0..rng.usize(..=CRASHES_MAX)).map(|_| crash(&mut rng)).collect();
    let most = u32::try_from(base.targets.len()).unwrap_or(u32::MAX).min(TARGETS_MAX);
    Repro { seed, targets: rng.u32(least(base)..=most.max(least(base))), settings, crashes }
}

/// Every wave keeps a target.
fn least(base: &Scenario) -> u32 {
    u32::try_from(base.plan.strategy.waves.len()).expect("waves are bounded")
}

/// What makes a repro long: its faults, then its targets, then its steps.
type ReproLength = (usize, u32, usize);

fn size(repro: &Repro, steps: usize) -> ReproLength {
    (repro.settings.len() + repro.crashes.len(), repro.targets, steps)
}

/// The shortest repro found by leaving out one part after the other; and how many runs that took.
fn shrink(base: &Scenario, repro: &Repro, aim: Aim<'_>) -> Result<(Repro, usize), SceneError> {
    let mut best = repro.clone();
    let mut runs = 1;
    let mut least = size(&best, run(&scenario(base, &best))?.journal.len());
    loop {
        let mut better = false;
        for next in shorter(&best, self::least(base)) {
            if runs >= SHRINK_RUNS_MAX {
                return Ok((best, runs));
            }
            // A run takes long, comparing does not: what cannot be shorter is not run.
            if size(&next, 0) >= least {
                continue;
            }
            let tried = run(&scenario(base, &next))?;
            runs += 1;
            let size = size(&next, tried.journal.len());
            if aim(&tried.verdict) && size < least {
                (best, least, better) = (next, size, true);
                break;
            }
        }
        if !better {
            return Ok((best, runs));
        }
    }
}

/// Stories a step shorter, the boldest steps first.
fn shorter(repro: &Repro, least: u32) -> Vec<Repro> {
    let mut next = Vec::new();
    let half = repro.settings.len() / 2;
    if half > 0 {
        next.push(Repro { settings: repro.settings[half..].to_vec(), ..repro.clone() });
        next.push(Repro { settings: repro.settings[..half].to_vec(), ..repro.clone() });
    }
    for place in 0..repro.settings.len() {
        let mut settings = repro.settings.clone();
        settings.remove(place);
        next.push(Repro { settings, ..repro.clone() });
    }
    for place in 0..repro.crashes.len() {
        let mut crashes = repro.crashes.clone();
        crashes.remove(place);
        next.push(Repro { crashes, ..repro.clone() });
    }
    for targets in [least, repro.targets / 2, repro.targets.saturating_sub(1)] {
        if targets >= least && targets < repro.targets {
            next.push(Repro { targets, ..repro.clone() });
        }
    }
    // A fault that always fires makes a shorter repro than one that fires now and then.
    for place in 0..repro.settings.len() {
        if RATES.contains(&repro.settings[place].key.as_str()) && repro.settings[place].value != "1"
        {
            let mut settings = repro.settings.clone();
            settings[place].value = "1".into();
            next.push(Repro { settings, ..repro.clone() });
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::invariants::staged::StagedRun;

    fn base() -> Scenario {
        StagedRun::new().scenario
    }

    #[test]
    fn what_is_drawn_can_be_told_again() {
        for seed in 0..200 {
            let repro = draw(&base(), seed);
            assert_eq!(repro, draw(&base(), seed));
            repro.scenario(&base()).expect("every setting is a fault");
        }
    }

    #[test]
    fn the_shortest_story_of_a_halt_is_found() {
        let mut base = base();
        base.plan.strategy.max_failures = 2;
        // One attempt: more of them take two faults that meet.
        base.plan.retry.max_attempts = 1;
        let halted = |verdict: &RehearsalVerdict| {
            verdict.ending == Ending::Halted
                && verdict.troubled.iter().all(|change| change.why.contains("the job failed"))
        };
        let found = search(&base, 500, &halted).expect("a fleet");
        let (drawn, short) = found.repro.expect("half a fleet of broken jobs halts");
        assert!(size(&short, 0) < size(&drawn, 0), "{drawn:?} became {short:?}");
        assert_eq!(
            (short.settings.len(), short.crashes.len()),
            (1, 0),
            "one fault is enough: {short:?}"
        );
        let again = verdict(&scenario(&base, &short)).expect("a fleet");
        assert!(halted(&again) && again.holds(), "{again:?}");
        // Nothing that is a step shorter halts it.
        for shorter in shorter(&short, 2).iter().filter(|next| size(next, 0) < size(&short, 0)) {
            assert!(!halted(&verdict(&scenario(&base, shorter)).expect("a fleet")), "{shorter:?}");
        }
    }

    #[test]
    fn no_promise_is_broken_by_any_of_many_stories() {
        let found = search(&base(), 300, &|verdict| !verdict.holds()).expect("a fleet");
        assert!(found.repro.is_none(), "{:#?}", found.repro);
        assert_eq!(found.searched, 300);
        assert!(found.endings.len() > 1, "all stories ended alike: {:?}", found.endings);
    }
}
