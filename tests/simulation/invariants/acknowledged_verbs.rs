//! What was acknowledged is in the store whatever crashes; and after an acknowledged pause or
//! abort, over a lane that is paused, and while the kill switch stands, no PUT leaves.

use sealift::domain::journal::JournalEvent;
use sealift::domain::rollout::{Phase, Verb};
use sealift::rehearse::observation::{Departure, Observation};

use super::WorldInvariant;
use crate::oracle::{Fact, SeenFact};

#[derive(Default)]
pub struct AcknowledgedVerbs {
    /// Set by an acknowledged pause or abort; taken back when its end is in the store, acknowledged
    /// or not.
    held: bool,
    acknowledged: u64,
    stopped: bool,
    lane_paused: bool,
}

impl WorldInvariant for AcknowledgedVerbs {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(SeenFact::Acknowledged { verb }) => {
                self.acknowledged += 1;
                self.held |= matches!(verb, Verb::Pause { .. } | Verb::Abort);
            }
            Fact::Seen(SeenFact::Stopped { stands }) => self.stopped = *stands,
            Fact::Seen(SeenFact::LaneSwitched { paused }) => self.lane_paused = *paused,
            Fact::Observed(Observation::Committed { commit, .. }, _) => {
                // A person resumed, or the pause ended by itself.
                if let Some(moves) = &commit.moves
                    && moves.record.paused.is_none()
                    && !matches!(moves.record.phase, Phase::Aborted { .. })
                {
                    self.held = false;
                }
            }
            Fact::Observed(Observation::Leaves(Departure { stored: Some((stored, _)), .. }), _) => {
                let id = stored.id;
                if self.stopped {
                    return Err(format!("a PUT for {id} left under the kill switch"));
                }
                if self.lane_paused {
                    return Err(format!("a PUT for {id} left over a paused lane"));
                }
                if self.held {
                    return Err(format!(
                        "a PUT for {id} left after an acknowledged pause or abort"
                    ));
                }
            }
            Fact::End { entries, .. } => {
                let told = entries
                    .iter()
                    .filter(|entry| {
                        matches!(
                            &entry.what,
                            JournalEvent::Rollout { by: Some(_), .. }
                                | JournalEvent::Change { by: Some(_), .. }
                        )
                    })
                    .count() as u64;
                if told < self.acknowledged {
                    return Err(format!(
                        "{} verbs were acknowledged, the journal has {told}",
                        self.acknowledged
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
