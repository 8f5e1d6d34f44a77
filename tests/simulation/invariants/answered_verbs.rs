//! Every verb that the living daemon was asked for is answered, carried out or refused, within a
//! bounded time.

use std::collections::BTreeMap;

use sealift::rehearse::observation::Observation;

use super::WorldInvariant;
use crate::oracle::{Fact, SeenFact};
use crate::scenario::STUCK_COMMIT;
use crate::world::{Nanos, S};

/// One commit at its slowest, met by a conflict and done again, and a conflict more.
const WITHIN: Nanos = 3 * STUCK_COMMIT.as_nanos() as Nanos + 5 * S;

#[derive(Default)]
pub struct AnsweredVerbs {
    asked: BTreeMap<u64, Nanos>,
}

impl WorldInvariant for AnsweredVerbs {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(SeenFact::VerbAsked { id, now }) => {
                self.asked.insert(*id, *now);
            }
            Fact::Seen(SeenFact::VerbAnswered { id }) => {
                self.asked.remove(id);
            }
            Fact::Observed(Observation::Died, _) => self.asked.clear(),
            Fact::Seen(SeenFact::Disturbed { now }) => {
                // A host that stands still answers later by that much.
                self.asked.values_mut().for_each(|since| *since = (*since).max(*now));
            }
            Fact::Instant { now, .. } => {
                if let Some((id, _)) = self.asked.iter().find(|(_, since)| *now > **since + WITHIN)
                {
                    return Err(format!("verb {id} has no answer after {} s", WITHIN / S));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
