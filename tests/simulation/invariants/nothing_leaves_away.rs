//! From the instant at which a daemon knows that its store is away until it knows that it is back,
//! no call leaves: what it would tell could not be saved.

use sealift::rehearse::observation::Observation;

use super::WorldInvariant;
use crate::oracle::{Fact, SeenFact};

#[derive(Default)]
pub struct NothingLeavesAway {
    away: bool,
}

impl WorldInvariant for NothingLeavesAway {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(SeenFact::StoreAway { away }) => self.away = *away,
            // A daemon starts over a store that is there.
            Fact::Observed(Observation::Died, _) => self.away = false,
            Fact::Observed(Observation::Leaves(departure), _) if self.away => {
                return Err(format!("{} leaves while the store is away", departure.call.as_str()));
            }
            _ => {}
        }
        Ok(())
    }
}
