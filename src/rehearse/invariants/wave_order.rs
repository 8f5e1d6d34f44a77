//! No change of a later wave begins before its wave advances; and a wave advances only when all
//! before it has its outcome, has soaked, and, where the plan says so, when a person promoted it.

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::change::State;
use crate::domain::plan::{Promote, Strategy};
use crate::domain::rollout::Phase;
use crate::domain::tally::Standing;
use crate::store::{Commit, Rollout};

pub(super) struct WaveOrder {
    strategy: Strategy,
    /// The furthest wave that advanced.
    reached: Option<u16>,
    /// The phase before the next commit, where it is certain.
    last: Option<Phase>,
}

impl WaveOrder {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { strategy: scenario.plan.strategy.clone(), reached: None, last: None }
    }

    fn begins(&self, commit: &Commit, rollout: &Rollout) -> Result<(), String> {
        for change in commit
            .changes
            .iter()
            .filter(|change| Standing::of(&change.record.state) == Standing::Active)
        {
            let wave = self.strategy.wave_of(change.ordinal);
            let name = &self.strategy.waves[usize::from(wave)].name;
            if Some(wave) > self.reached {
                return Err(format!("a change of wave {name} begins before its wave"));
            }
            let released = change.record.state == State::Ready
                && change.why == "released"
                && change.record.undo.is_none();
            match &rollout.record.phase {
                Phase::Advancing { wave: current } if wave <= *current => {}
                phase if released => {
                    return Err(format!(
                        "a change of wave {name} is released while the rollout is {}",
                        phase.as_str()
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn advances(&self, last: &Phase, commit: &Commit, rollout: &Rollout) -> Result<(), String> {
        let Some(moves) = &commit.moves else { return Ok(()) };
        // A verb about one change leaves its person's name with the change.
        let by_person =
            moves.by.is_some() || commit.changes.iter().any(|change| change.by.is_some());
        match (last, &moves.record.phase) {
            (Phase::Soaking { until, .. }, Phase::Advancing { .. } | Phase::Awaiting { .. })
                if !by_person && commit.at < *until =>
            {
                return Err(format!("the soak until {until} ended at {}", commit.at));
            }
            (
                Phase::Advancing { wave },
                Phase::Advancing { wave: next } | Phase::Awaiting { wave: next },
            ) if (next > wave || matches!(moves.record.phase, Phase::Awaiting { .. }))
                && self.strategy.waves[usize::from(*wave)].soak_ms > 0 =>
            {
                return Err(format!("wave {wave} did not soak"));
            }
            _ => {}
        }
        let Phase::Advancing { wave: next } = moves.record.phase else { return Ok(()) };
        let Some(done) = last.wave().filter(|wave| *wave < next) else { return Ok(()) };
        let before = &rollout.tallies[..=usize::from(done)];
        if before.iter().any(|tally| tally.queued + tally.active > 0) {
            return Err(format!("wave {next} advances and {before:?} are not done"));
        }
        if self.strategy.waves[usize::from(done)].promote == Promote::Manual && !by_person {
            return Err(format!("wave {next} advances and no person promoted it"));
        }
        Ok(())
    }
}

impl Invariant for WaveOrder {
    fn promise(&self) -> &'static str {
        "no change begins before its wave"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        match fact {
            // A store that lost what was not synced begins with an earlier phase.
            Observation::Started { rollout, .. } => {
                self.last = rollout.map(|rollout| rollout.record.phase.clone())
            }
            Observation::Committed { commit, rollout } => {
                if matches!(rollout.record.phase, Phase::Advancing { .. }) {
                    self.reached = self.reached.max(rollout.record.phase.wave());
                }
                let last = self.last.replace(rollout.record.phase.clone());
                self.begins(commit, rollout)?;
                if let Some(last) = last {
                    self.advances(&last, commit, rollout)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::Record;
    use crate::rehearse::invariants::staged::{StagedRun, after};
    use crate::store::RolloutMove;

    #[test]
    fn a_change_before_its_wave_is_seen() {
        let mut stage = StagedRun::new();
        let mut promise = WaveOrder::new(&stage.scenario);
        assert_eq!(stage.commits(&mut promise, 0, State::Ready), Ok(()));
        assert!(
            stage.commits(&mut promise, 3, State::Ready).expect_err("too early").contains("rest")
        );
        stage.rollout.record.phase = Phase::Advancing { wave: 1 };
        assert_eq!(stage.commits(&mut promise, 3, State::Ready), Ok(()));
    }

    #[test]
    fn a_release_by_a_rollout_that_does_not_advance_is_seen() {
        let mut stage = StagedRun::new();
        let mut promise = WaveOrder::new(&stage.scenario);
        let release = || vec![(0, Record { state: State::Ready, ..Record::queued() }, "released")];
        assert_eq!(stage.commit(&mut promise, None, release()), Ok(()));
        stage.rollout.record.phase = Phase::Awaiting { wave: 0 };
        assert!(
            stage
                .commit(&mut promise, None, release())
                .expect_err("nothing advances")
                .contains("awaiting")
        );
    }

    /// Shows that the rollout moves to this phase.
    fn moves(
        stage: &mut StagedRun,
        promise: &mut WaveOrder,
        phase: Phase,
        by: Option<&str>,
    ) -> Result<(), String> {
        stage.rollout.record.phase = phase;
        let record = stage.rollout.record.clone();
        stage.commit(
            promise,
            Some(RolloutMove { record, why: String::new(), by: by.map(Into::into) }),
            Vec::new(),
        )
    }

    #[test]
    fn a_wave_that_advances_too_early_is_seen() {
        let mut stage = StagedRun::new();
        stage.scenario.plan.strategy.waves[0].soak_ms = 1000;
        stage.scenario.plan.strategy.waves[0].promote = Promote::Manual;
        let soaking = |until| Phase::Soaking { wave: 0, until: after(until) };
        let next = || Phase::Advancing { wave: 1 };
        let mut advances = |from: Phase, done: bool, by: Option<&str>| {
            let mut promise = WaveOrder::new(&stage.scenario);
            stage.tally(0, |tally| {
                (tally.queued, tally.succeeded) = if done { (0, 2) } else { (1, 1) }
            });
            assert_eq!(moves(&mut stage, &mut promise, from, None), Ok(()));
            moves(&mut stage, &mut promise, next(), by)
        };
        assert!(
            advances(soaking(1000), true, None).expect_err("it soaks").contains("the soak until")
        );
        assert!(
            advances(Phase::Advancing { wave: 0 }, true, Some("ada"))
                .expect_err("it must soak")
                .contains("did not soak")
        );
        assert!(
            advances(soaking(0), false, Some("ada"))
                .expect_err("one is queued")
                .contains("not done")
        );
        assert!(
            advances(soaking(0), true, None).expect_err("a person promotes").contains("no person")
        );
        assert_eq!(advances(soaking(0), true, Some("ada")), Ok(()));
    }
}
