//! No change of a later wave leaves the queue before its wave advances.

use futures_util::FutureExt;
use sealift::domain::change::State;
use sealift::domain::id::RolloutId;
use sealift::domain::plan::Strategy;
use sealift::domain::rollout::Phase;
use sealift::store::Store;

use super::Invariant;
use crate::oracle::{Fact, Setting};

pub struct WaveOrder {
    rollout: RolloutId,
    strategy: Strategy,
}

impl WaveOrder {
    pub fn new(setting: &Setting<'_>) -> Self {
        Self { rollout: setting.rollout, strategy: setting.submission.plan.strategy.clone() }
    }
}

impl Invariant for WaveOrder {
    fn check(&mut self, fact: &mut Fact<'_>) -> Result<(), String> {
        let Fact::Committed { commit, store, .. } = fact else { return Ok(()) };
        let rollout = store.rollout(self.rollout).now_or_never().expect("ready").expect("memory").expect("submitted");
        let released = commit.changes.iter().filter(|change| change.record.state == State::Ready && change.why == "released");
        for change in released {
            let wave = self.strategy.wave_of(change.ordinal);
            match rollout.record.phase {
                Phase::Advancing { wave: current } if wave <= current => {}
                ref phase => return Err(format!("target {} of wave {wave} was released while {phase:?}", change.ordinal)),
            }
        }
        Ok(())
    }
}
