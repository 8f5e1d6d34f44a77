//! What was acknowledged is in the store whatever crashes; and after an acknowledged pause or abort, and while the kill
//! switch stands, no PUT leaves but those that the acknowledgement named.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use sealift::domain::call::Call;
use sealift::domain::id::{ChangeId, RolloutId};
use sealift::domain::journal::What;
use sealift::domain::rollout::{Phase, Verb};
use sealift::store::Store;

use super::Invariant;
use crate::oracle::{Fact, Seen, Setting};

pub struct AcknowledgedVerbs {
    rollout: RolloutId,
    shared: bool,
    /// Set by an acknowledged pause or abort, with the changes named; taken back by a resume.
    held: Option<BTreeSet<ChangeId>>,
    acknowledged: u64,
    stopped: bool,
}

impl AcknowledgedVerbs {
    pub fn new(setting: &Setting<'_>) -> Self {
        Self { rollout: setting.rollout, shared: setting.scenario.daemons > 1, held: None, acknowledged: 0, stopped: false }
    }
}

impl Invariant for AcknowledgedVerbs {
    fn check(&mut self, fact: &mut Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(Seen::Acknowledged { verb, in_flight, .. }) => {
                self.acknowledged += 1;
                match verb {
                    Verb::Pause | Verb::Abort => self.held = Some(in_flight.iter().copied().collect()),
                    Verb::Resume => self.held = None,
                    Verb::Retry(_) | Verb::Promote => {}
                }
            }
            Fact::Seen(Seen::StopFile { stands }) => self.stopped = *stands,
            Fact::Wire { call: Call::Submit { .. }, id, store, .. } => {
                if self.stopped {
                    return Err(format!("a PUT for {id} left under the kill switch"));
                }
                let rollout = store.rollout(self.rollout).now_or_never().expect("ready").expect("memory").expect("submitted");
                // Another daemon may have committed its intent before the verb: the acknowledgement cannot name it.
                let forgiven = self.shared && matches!(rollout.record.phase, Phase::Advancing { .. } | Phase::Aborted { .. });
                if let Some(named) = &self.held
                    && !forgiven
                    && !named.contains(id)
                {
                    return Err(format!("a PUT for {id} left after an acknowledged pause or abort"));
                }
            }
            Fact::End { entries, .. } => {
                let told = entries.iter().filter(|entry| matches!(&entry.what, What::Rollout { by: Some(_), .. })).count() as u64;
                if told < self.acknowledged {
                    return Err(format!("{} verbs were acknowledged, the journal has {told}", self.acknowledged));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
