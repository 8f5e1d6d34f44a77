//! The forecast: which wave ends when, from several runs of the same scenario with other throws of
//! the dice.
//!
//! Invariants: it is the shipped engine on virtual time, no second model; the same scenario gives
//! the same forecast; its cost is bounded by [`CHANGES_MAX`], whatever the fleet; a larger one has
//! no forecast, and `rehearse` runs it.
//!
//! Deliberately not here: faults that nobody named. A forecast tells how long the work takes when
//! it goes as given.

use std::time::Duration;

use jiff::Timestamp;

use super::cores::{cores, on_cores};
use super::scenario::{Scenario, SceneError};
use super::verdict::{Ending, RehearsalVerdict};
use super::world::verdict;
use crate::domain::plan::{Promote, Wave};

/// Runs at most: more do not move the percentiles of what is drawn evenly. A large fleet has fewer,
/// down to one: there long and short jobs even out within the run.
pub const RUNS_MAX: usize = 20;

/// Changes simulated for one forecast at most, all runs together: a few seconds of one core.
pub const CHANGES_MAX: usize = 50_000;

/// Shares of runs in which a wave must end in its window: below the first it is said to miss it,
/// below the second that it may.
const LIKELY: f64 = 0.5;
const SURE: f64 = 0.9;

/// When a rollout ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Runs of the engine that it rests on.
    pub runs: usize,
    /// From when on it counts.
    pub as_of: Timestamp,
    /// Half of the runs have ended by then; absent: they did not within the time looked at.
    pub p50: Option<Timestamp>,
    /// Nine of ten have.
    pub p90: Option<Timestamp>,
    /// The waves that are not done, in their order.
    pub waves: Vec<ForecastWave>,
    /// What it rests on: measured, given or assumed.
    pub basis: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// When one wave ends.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastWave {
    pub name: String,
    /// Number of its targets that are left.
    pub size: u32,
    /// When it begins in half of the runs.
    pub begins: Option<Timestamp>,
    /// When it has ended in half of the runs.
    pub p50: Option<Timestamp>,
    /// When it has ended in nine of ten.
    pub p90: Option<Timestamp>,
    /// Number of the window in which it begins, from 1, counted from now on; absent without
    /// windows.
    pub begins_in: Option<usize>,
    /// Number of the window in which half of the runs end it.
    pub p50_in: Option<usize>,
    /// Number of the window in which nine of ten do.
    pub p90_in: Option<usize>,
    /// Share of the runs in which it ends in the window in which it begins; absent without windows.
    pub lands: Option<f64>,
    /// What a person does before it begins, such as `the promotion of wave canary`; its instants
    /// are those of one that does so at once. Absent: it begins by itself.
    pub after: Option<String>,
}

impl Forecast {
    /// The forecast of a scenario, on all cores. `None` when its fleet is larger than
    /// [`CHANGES_MAX`].
    ///
    /// # Errors
    /// As [`super::run`].
    pub fn of(scenario: &Scenario, basis: Vec<String>) -> Result<Option<Self>, SceneError> {
        Self::bounded(scenario, basis, CHANGES_MAX, cores())
    }

    /// The same with at most so many changes simulated, on so many threads.
    ///
    /// # Errors
    /// As [`super::run`].
    pub fn bounded(
        scenario: &Scenario,
        basis: Vec<String>,
        changes: usize,
        threads: usize,
    ) -> Result<Option<Self>, SceneError> {
        let runs = (changes / scenario.targets.len().max(1)).min(RUNS_MAX);
        if runs == 0 {
            return Ok(None);
        }
        let one = |number: usize| {
            verdict(&Scenario {
                seed: scenario.seed.wrapping_add(number as u64),
                ..scenario.clone()
            })
        };
        let runs: Result<Vec<RehearsalVerdict>, SceneError> =
            on_cores(runs, threads, &one, &|_| false).into_iter().collect();
        Ok(Some(Self::from_runs(scenario, basis, &runs?)))
    }

    fn from_runs(scenario: &Scenario, basis: Vec<String>, runs: &[RehearsalVerdict]) -> Self {
        let ends = |verdict: &RehearsalVerdict| {
            (verdict.ending == Ending::Completed).then_some(verdict.ended_at)
        };
        let ended: Vec<_> = runs.iter().map(ends).collect();
        let mut after = scenario.after.clone();
        let waves = scenario.plan.strategy.waves.iter().enumerate().map(|(place, planned)| {
            let promotion = (planned.promote == Promote::Manual).then(|| promotion_of(planned));
            let next = promotion.or_else(|| after.clone());
            ForecastWave { after: std::mem::replace(&mut after, next), ..wave(place, runs) }
        });
        let waves: Vec<ForecastWave> = waves.collect();
        let mut forecast = Self {
            runs: runs.len(),
            as_of: second(scenario.from),
            p50: quantile(&ended, 50).map(second),
            p90: quantile(&ended, 90).map(second),
            waves,
            basis,
            warnings: Vec::new(),
        };
        forecast.warn(scenario.lasts, runs);
        forecast
    }

    /// What of it still lies ahead at `now`: an end whose half of the runs is over is told by nine
    /// of ten, and one that all of it is over for is not told. `None`: its last wave is such a one.
    #[must_use]
    pub fn ahead_of(self, now: Timestamp) -> Option<Self> {
        let ahead = |at: Timestamp| at > now;
        let ends = |p50: Option<Timestamp>, p90: Option<Timestamp>| match (p50, p90) {
            (None, None) => Some((None, None)),
            (Some(p50), p90) if ahead(p50) => Some((Some(p50), p90)),
            (_, Some(p90)) if ahead(p90) => Some((Some(p90), Some(p90))),
            _ => None,
        };
        let (p50, p90) = ends(self.p50, self.p90)?;
        let waves = self.waves.into_iter().filter_map(|wave| {
            let (p50, p90) = ends(wave.p50, wave.p90)?;
            Some(ForecastWave {
                p50,
                p90,
                begins: wave.begins.filter(|begins| ahead(*begins)),
                ..wave
            })
        });
        Some(Self { p50, p90, waves: waves.collect(), ..self })
    }

    /// What a person does before it ends; `None`: it ends by itself.
    #[cfg(test)]
    fn ends_after(&self) -> Option<&str> {
        self.waves.last()?.after.as_deref()
    }

    fn warn(&mut self, lasts: Duration, runs: &[RehearsalVerdict]) {
        for wave in &self.waves {
            let Some(lands) = wave.lands else { continue };
            if lands >= SURE {
                continue;
            }
            let verb = if lands < LIKELY { "does not" } else { "may not" };
            let later = match (wave.begins_in, wave.p90_in) {
                (Some(first), Some(last)) if last > first => {
                    format!("it needs {} windows at p90", last - first + 1)
                }
                (Some(_), Some(_)) => "at p90 it ends after the window has shut".to_owned(),
                _ => "at p90 it does not end at all".to_owned(),
            };
            self.warnings.push(format!(
                "wave {} {verb} end in the window in which it begins: {later}",
                wave.name
            ));
        }
        let halted = runs.iter().filter(|run| run.ending == Ending::Halted).count();
        if halted > 0 {
            self.warnings.push(format!(
                "{halted} of {} runs are halted by a guard; see `sealift rehearse`",
                runs.len()
            ));
        }
        if self.p90.is_none() && halted * 10 < runs.len() {
            let days = lasts.as_secs() / 86_400;
            self.warnings.push(format!("the rollout does not end within {days} days at p90: give it longer windows, or more of them"));
        }
    }
}

/// What a person does before the wave after this one begins.
pub fn promotion_of(wave: &Wave) -> String {
    format!("the promotion of wave {}", wave.name)
}

fn wave(place: usize, runs: &[RehearsalVerdict]) -> ForecastWave {
    let seen = || runs.iter().map(|run| &run.waves[place]);
    let numbers = |of: fn(&super::verdict::WaveVerdict) -> Option<usize>, percent| {
        quantile(&seen().map(of).collect::<Vec<_>>(), percent)
    };
    let lands = |run: &RehearsalVerdict| {
        let wave = &run.waves[place];
        let window = run.windows.iter().find(|window| Some(window.number) == wave.begins_in);
        wave.begins_in == wave.ends_in
            && wave
                .ended_at
                .is_some_and(|end| window.is_some_and(|w| w.close.is_none_or(|close| end <= close)))
    };
    let windowed = seen().any(|wave| wave.begins_in.is_some());
    let first = &runs[0].waves[place];
    ForecastWave {
        name: first.name.clone(),
        size: first.size,
        begins: quantile(&seen().map(|wave| wave.began_at).collect::<Vec<_>>(), 50).map(second),
        p50: quantile(&seen().map(|wave| wave.ended_at).collect::<Vec<_>>(), 50).map(second),
        p90: quantile(&seen().map(|wave| wave.ended_at).collect::<Vec<_>>(), 90).map(second),
        begins_in: numbers(|wave| wave.begins_in, 50),
        p50_in: numbers(|wave| wave.ends_in, 50),
        p90_in: numbers(|wave| wave.ends_in, 90),
        lands: windowed
            .then(|| runs.iter().filter(|run| lands(run)).count() as f64 / runs.len() as f64),
        after: None,
    }
}

/// The smallest value that at least so many percent reach; what never happened counts as later than
/// all else.
fn quantile<T: Ord + Copy>(values: &[Option<T>], percent: usize) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by_key(|value| (value.is_none(), *value));
    let place = (values.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied().flatten()
}

/// To the second, which is as fine as a forecast is.
fn second(at: Timestamp) -> Timestamp {
    at.round(jiff::Unit::Second).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::invariants::staged::{StagedRun, after};

    #[test]
    fn quantiles_count_what_never_happened_as_late() {
        assert_eq!(quantile(&[Some(3), None, Some(1), Some(2)], 50), Some(2));
        assert_eq!(quantile(&[Some(3), None, Some(1), Some(2)], 90), None);
        assert_eq!(quantile::<u32>(&[], 50), None);
        assert_eq!(quantile(&[Some(7)], 90), Some(7));
    }

    #[test]
    fn a_wave_that_cannot_land_is_told() {
        let mut stage = StagedRun::new();
        // Two changes of ten seconds, one after the other, fit into a minute and not into fifteen
        // seconds.
        stage.scenario.plan.strategy.max_in_flight = 1;
        stage.windows("0 * * * *", 120, 0);
        let forecast =
            Forecast::of(&stage.scenario, Vec::new()).expect("a fleet").expect("small enough");
        assert_eq!(forecast.warnings, Vec::<String>::new());
        assert_eq!(forecast.waves[1].lands, Some(1.0));
        assert_eq!((forecast.waves[1].begins_in, forecast.waves[1].p90_in), (Some(1), Some(1)));
        stage.windows("0 * * * *", 5, 0);
        let forecast =
            Forecast::of(&stage.scenario, Vec::new()).expect("a fleet").expect("small enough");
        assert_eq!(forecast.waves[0].lands, Some(0.0));
        assert_eq!((forecast.waves[0].begins_in, forecast.waves[0].p90_in), (Some(1), Some(2)));
        assert_eq!(
            forecast.warnings[0],
            "wave canary does not end in the window in which it begins: it needs 2 windows at p90"
        );
        assert!(
            forecast.p50 > Some(after(3 * 3_600_000)),
            "one change a window: {:?}",
            forecast.p50
        );
    }

    #[test]
    fn a_rollout_that_never_ends_has_no_end() {
        let mut stage = StagedRun::new();
        stage.scenario.lasts = Duration::from_secs(30);
        stage.scenario.plan.strategy.max_in_flight = 1;
        let forecast =
            Forecast::of(&stage.scenario, Vec::new()).expect("a fleet").expect("small enough");
        assert_eq!((forecast.p50, forecast.p90), (None, None));
        assert!(forecast.warnings[0].contains("does not end within"), "{:?}", forecast.warnings);
    }

    #[test]
    fn what_has_passed_is_not_forecast() {
        let wave = |p50, p90| ForecastWave {
            name: "all".into(),
            size: 1,
            begins: Some(after(0)),
            p50,
            p90,
            begins_in: None,
            p50_in: None,
            p90_in: None,
            lands: None,
            after: None,
        };
        let at = |seconds: u64| Some(after(seconds * 1_000));
        let waves =
            vec![wave(at(10), at(20)), wave(at(30), at(40)), wave(at(30), None), wave(None, None)];
        let forecast = Forecast {
            runs: 20,
            as_of: after(0),
            p50: at(30),
            p90: at(40),
            waves,
            basis: Vec::new(),
            warnings: Vec::new(),
        };
        let ends = |now: u64| {
            let left = forecast.clone().ahead_of(after(now * 1_000))?;
            assert!(left.waves.iter().all(|wave| wave.begins.is_none()), "all have begun");
            Some((left.p50, left.waves.iter().map(|wave| (wave.p50, wave.p90)).collect::<Vec<_>>()))
        };
        assert_eq!(
            ends(10),
            Some((at(30), vec![(at(20), at(20)), (at(30), at(40)), (at(30), None), (None, None)]))
        );
        assert_eq!(ends(30), Some((at(40), vec![(at(40), at(40)), (None, None)])));
        assert_eq!(ends(40), None);
    }

    #[test]
    fn an_end_that_hangs_on_a_promotion_says_so() {
        let mut stage = StagedRun::new();
        stage.scenario.plan.strategy.waves[0].promote = Promote::Manual;
        let forecast = |scenario: &Scenario| {
            Forecast::bounded(scenario, Vec::new(), 100, 1).expect("a fleet").expect("small enough")
        };
        let told = forecast(&stage.scenario);
        let after: Vec<_> = told.waves.iter().map(|wave| wave.after.as_deref()).collect();
        assert_eq!(
            (after, told.ends_after()),
            (
                vec![None, Some("the promotion of wave canary")],
                Some("the promotion of wave canary")
            )
        );
        stage.scenario.plan.strategy.waves[0].promote = Promote::Auto;
        assert_eq!(forecast(&stage.scenario).ends_after(), None);
        stage.scenario.after = Some("the approval".into());
        assert_eq!(forecast(&stage.scenario).waves[0].after.as_deref(), Some("the approval"));
        assert_eq!(forecast(&stage.scenario).ends_after(), Some("the approval"));
    }

    #[test]
    fn a_fleet_beyond_the_bound_has_no_forecast() {
        let stage = StagedRun::new();
        assert_eq!(Forecast::bounded(&stage.scenario, Vec::new(), 3, 1).expect("a fleet"), None);
        let bounded = Forecast::bounded(&stage.scenario, Vec::new(), 11, 1)
            .expect("a fleet")
            .expect("twice four");
        assert_eq!(bounded.runs, 2);
    }
}
