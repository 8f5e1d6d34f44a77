//! A settled change moves only by a person's retry; a final rollout never.

use std::collections::BTreeMap;

use sealift::domain::change::State;
use sealift::domain::rollout::Phase;

use super::Invariant;
use crate::oracle::{Fact, Seen};

#[derive(Default)]
pub struct FinalIsFinal {
    states: BTreeMap<u32, State>,
    phase: Option<Phase>,
}

impl Invariant for FinalIsFinal {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            // The store went back to an earlier state, as it may for what nobody was told.
            Fact::Seen(Seen::Rebuilt) => {
                self.states.clear();
                self.phase = None;
            }
            Fact::Committed { commit, .. } => {
                for change in &commit.changes {
                    let next = &change.record.state;
                    if let Some(last) = self.states.insert(change.ordinal, next.clone())
                        && last.is_settled()
                        && !(matches!(last, State::Failed { .. } | State::InDoubt { .. }) && *next == State::Queued)
                    {
                        return Err(format!("target {} went from {} to {}", change.ordinal, last.word(), next.word()));
                    }
                }
                if let Some(moves) = &commit.moves {
                    let next = moves.record.phase.clone();
                    if let Some(last) = self.phase.replace(next.clone())
                        && last.is_final()
                        && last != next
                    {
                        return Err(format!("the rollout went from {} to {}", last.word(), next.word()));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
