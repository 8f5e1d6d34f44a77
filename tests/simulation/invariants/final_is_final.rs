//! A settled change moves only by a person's retry, or when its rollout is put back; a final
//! rollout never.

use std::collections::BTreeMap;

use sealift::domain::change::State;
use sealift::domain::rollout::Phase;
use sealift::rehearse::observation::Observation;
use sealift::store::{ChangeMove, Rollout};

use super::WorldInvariant;
use crate::oracle::{Fact, SeenFact};

#[derive(Default)]
pub struct FinalIsFinal {
    states: BTreeMap<u32, State>,
    phase: Option<Phase>,
}

/// What a revert does to a change that succeeded: marks it, or names why not.
fn undone(next: &State, change: &ChangeMove, rollout: &Rollout) -> bool {
    let marked = *next == State::Queued && change.record.undo.is_some();
    rollout.record.revert().is_some() && (marked || matches!(next, State::Skipped { .. }))
}

impl WorldInvariant for FinalIsFinal {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            // The store went back to an earlier state, as it may for what nobody was told.
            Fact::Seen(SeenFact::Rebuilt) => {
                self.states.clear();
                self.phase = None;
            }
            Fact::Observed(Observation::Committed { commit, rollout }, _) => {
                for change in &commit.changes {
                    let next = &change.record.state;
                    if let Some(last) = self.states.insert(change.ordinal, next.clone())
                        && last.is_settled()
                        && !(matches!(last, State::Failed { .. } | State::InDoubt { .. })
                            && *next == State::Queued)
                        && !(matches!(last, State::Succeeded { .. })
                            && undone(next, change, rollout))
                    {
                        return Err(format!(
                            "target {} went from {} to {}",
                            change.ordinal,
                            last.as_str(),
                            next.as_str()
                        ));
                    }
                }
                if let Some(moves) = &commit.moves {
                    let next = moves.record.phase.clone();
                    if let Some(last) = self.phase.replace(next.clone())
                        && last.is_final()
                        && last != next
                    {
                        return Err(format!(
                            "the rollout went from {} to {}",
                            last.as_str(),
                            next.as_str()
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
