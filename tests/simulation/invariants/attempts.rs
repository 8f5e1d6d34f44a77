//! Attempts count PUTs sent, not restarts: at every PUT the stored count is at least the PUTs that
//! left since the change was queued, less those of which the daemon learnt that they were surely
//! not executed and cost nothing; and at most what the plan allows.

use std::collections::BTreeMap;

use sealift::domain::call::Disposition;
use sealift::domain::change::State;
use sealift::engine::Ticket;
use sealift::rehearse::observation::{Departure, Observation};

use super::WorldInvariant;
use crate::oracle::{Fact, OracleSetting};

#[derive(Default)]
struct Count {
    left: u16,
    /// Of these, those that cost nothing.
    free: u16,
    meant: u16,
}

/// What the journal says of a change that begins anew.
const REQUEUED: [&str; 2] = ["tried again on request", "to be put back"];

pub struct Attempts {
    most: u16,
    counts: BTreeMap<u32, Count>,
    out: BTreeMap<Ticket, u32>,
}

impl Attempts {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { most: setting.scenario.max_attempts, counts: BTreeMap::new(), out: BTreeMap::new() }
    }
}

impl WorldInvariant for Attempts {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Observed(Observation::Committed { commit, .. }, _) => {
                for change in &commit.changes {
                    match change.record.state {
                        State::Submitting { .. } => {
                            self.counts.entry(change.ordinal).or_default().meant += 1
                        }
                        State::Queued if REQUEUED.iter().any(|why| change.why.starts_with(why)) => {
                            self.counts.remove(&change.ordinal);
                        }
                        _ => {}
                    }
                }
            }
            Fact::Observed(
                Observation::Leaves(Departure { ticket, stored: Some((stored, _)), .. }),
                _,
            ) => {
                let count = self.counts.entry(stored.id.ordinal).or_default();
                count.left += 1;
                self.out.insert(*ticket, stored.id.ordinal);
                let attempts = stored.record.attempts;
                if attempts + count.free < count.left
                    || attempts > count.meant
                    || attempts > self.most
                {
                    let Count { left, free, meant } = count;
                    return Err(format!(
                        "{} counts {attempts} attempts of {}; {left} PUTs left, {free} of them free, {meant} intents",
                        stored.id, self.most
                    ));
                }
            }
            Fact::Observed(Observation::Answered { ticket, reply, .. }, _) => {
                let disposition = reply.outcome.as_ref().err().map(|error| error.disposition);
                let free = matches!(
                    disposition,
                    Some(Disposition::Throttled | Disposition::Unauthorised | Disposition::Busy)
                );
                if let Some(ordinal) = self.out.remove(ticket)
                    && free
                {
                    self.counts.entry(ordinal).or_default().free += 1;
                }
            }
            Fact::Observed(Observation::Died, _) => self.out.clear(),
            _ => {}
        }
        Ok(())
    }
}
