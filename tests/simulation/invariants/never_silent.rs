//! No event is lost: a change in flight commits or tries a call again within a bounded time.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::change::State;
use sealift::rehearse::observation::{Departure, Observation};
use sealift::store::Store;

use super::WorldInvariant;
use crate::oracle::{Around, Fact, OracleSetting, SeenFact};
use crate::world::{Nanos, S};

/// Beyond the longest wait that is anybody's plan: pauses of a lane, one after the other, at most a
/// minute each.
const SILENT_MAX: Nanos = 300 * S;

pub struct NeverSilent {
    /// A clock that was stepped back makes what a crash left fall due later by as much.
    stepped: bool,
    heard: BTreeMap<u32, Nanos>,
    up: bool,
    quiet_from: Nanos,
}

impl NeverSilent {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self {
            stepped: setting.scenario.wall_jumps > 0,
            heard: BTreeMap::new(),
            up: false,
            quiet_from: 0,
        }
    }
}

impl WorldInvariant for NeverSilent {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Observed(Observation::Committed { commit, .. }, Around { now, .. }) => {
                self.heard.extend(commit.changes.iter().map(|change| (change.ordinal, *now)))
            }
            Fact::Observed(
                Observation::Leaves(Departure { id: Some(id), .. }),
                Around { now, .. },
            ) => {
                self.heard.insert(id.ordinal, *now);
            }
            Fact::Seen(SeenFact::NotSent { id, now }) => {
                self.heard.insert(id.ordinal, *now);
            }
            Fact::Seen(SeenFact::Disturbed { now }) => self.quiet_from = self.quiet_from.max(*now),
            Fact::Observed(Observation::Started { .. }, Around { now, .. }) => {
                self.up = true;
                self.quiet_from = self.quiet_from.max(*now);
            }
            Fact::Observed(Observation::Died, Around { now, .. }) => {
                self.up = false;
                self.quiet_from = self.quiet_from.max(*now);
            }
            Fact::Instant { now, store, .. }
                if !self.stepped && self.up && *now > self.quiet_from + SILENT_MAX =>
            {
                let active = store
                    .due(Timestamp::MAX, None, usize::MAX)
                    .now_or_never()
                    .expect("ready")
                    .expect("memory");
                // What is ready may have to wait for a place in its lane for as long as jobs take.
                for one in active.iter().filter(|one| one.change.record.state != State::Ready) {
                    let heard = self.heard.get(&one.change.id.ordinal).copied().unwrap_or(0);
                    if *now > heard + SILENT_MAX {
                        return Err(format!(
                            "{} is {} and silent since {} s",
                            one.change.id,
                            one.change.record.state.as_str(),
                            heard / S
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
