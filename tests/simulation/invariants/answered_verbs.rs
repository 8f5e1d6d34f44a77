//! Every verb that the living daemon was asked for is answered, carried out or refused, within a bounded time.

use std::collections::BTreeMap;

use super::Invariant;
use crate::oracle::{Fact, Seen};
use crate::scenario::STUCK_COMMIT;
use crate::world::{Nanos, S};

/// One commit at its slowest, met by a conflict and done again, and a conflict more.
const WITHIN: Nanos = 3 * STUCK_COMMIT.as_nanos() as Nanos + 5 * S;

#[derive(Default)]
pub struct AnsweredVerbs {
    asked: BTreeMap<u64, Nanos>,
}

impl Invariant for AnsweredVerbs {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(Seen::VerbAsked { id, now }) => {
                self.asked.insert(*id, *now);
            }
            Fact::Seen(Seen::VerbAnswered { id }) => {
                self.asked.remove(id);
            }
            Fact::Seen(Seen::Crashed { .. }) => self.asked.clear(),
            Fact::Seen(Seen::Disturbed { now }) => {
                // A host that stands still answers later by that much.
                self.asked.values_mut().for_each(|since| *since = (*since).max(*now));
            }
            Fact::Instant { now, .. } => {
                if let Some((id, _)) = self.asked.iter().find(|(_, since)| *now > **since + WITHIN) {
                    return Err(format!("verb {id} has no answer after {} s", WITHIN / S));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
