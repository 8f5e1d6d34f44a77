//! No change of a later wave leaves the queue before its wave advances; a wave advances only when all before it has its
//! outcome, has soaked, and, where the plan says so, when a person promoted it.

use sealift::domain::change::State;
use sealift::domain::plan::{Promote, Strategy};
use sealift::domain::rollout::Phase;
use sealift::store::{Commit, Rollout};

use super::SimInvariant;
use crate::oracle::{Fact, OracleSetting, SeenFact};

pub struct SimWaveOrder {
    strategy: Strategy,
    phase: Option<Phase>,
}

impl SimWaveOrder {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { strategy: setting.submission.plan.strategy.clone(), phase: None }
    }

    fn released(&self, commit: &Commit, rollout: &Rollout) -> Result<(), String> {
        let released = commit
            .changes
            .iter()
            .filter(|change| change.record.state == State::Ready && change.why == "released" && change.record.undo.is_none());
        for change in released {
            let wave = self.strategy.wave_of(change.ordinal);
            match rollout.record.phase {
                Phase::Advancing { wave: current } if wave <= current => {}
                ref phase => return Err(format!("target {} of wave {wave} was released while {phase:?}", change.ordinal)),
            }
        }
        Ok(())
    }

    fn advanced(&self, last: &Phase, commit: &Commit, rollout: &Rollout) -> Result<(), String> {
        let Some(moves) = &commit.moves else { return Ok(()) };
        // A verb about one change leaves its person's name with the change.
        let by_person = moves.by.is_some() || commit.changes.iter().any(|change| change.by.is_some());
        match (last, &moves.record.phase) {
            (Phase::Soaking { until, .. }, Phase::Advancing { .. } | Phase::Awaiting { .. }) if !by_person && commit.at < *until => {
                return Err(format!("the soak until {until} ended at {}", commit.at));
            }
            (Phase::Advancing { wave }, Phase::Advancing { wave: next } | Phase::Awaiting { wave: next })
                if (next > wave || matches!(moves.record.phase, Phase::Awaiting { .. }))
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

impl SimInvariant for SimWaveOrder {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(SeenFact::Rebuilt) => self.phase = None,
            Fact::Committed { commit, rollout, .. } => {
                self.released(commit, rollout)?;
                if let Some(last) = self.phase.take() {
                    self.advanced(&last, commit, rollout)?;
                }
                self.phase = Some(rollout.record.phase.clone());
            }
            _ => {}
        }
        Ok(())
    }
}
