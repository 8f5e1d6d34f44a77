//! A store that is away for a while: what was asked of it waits, and the daemon hears of it a
//! moment later.
//!
//! All is drawn from dice of its own, so that a history without outages is what it was before there
//! were any.

use sealift::engine::Input;
use sealift::store::{Away, CommitError, Unavailable};

use super::{MS, Nanos, SimEvent, SimWorld};
use crate::oracle::SeenFact;
use crate::planted::Planted;

/// Longest time in which a daemon notices that its store is away, or back.
const NOTICED_WITHIN: Nanos = 500 * MS;

impl SimEvent {
    /// Whether it happens at the store or on the way back from it.
    pub(super) fn is_at_the_store(&self) -> bool {
        matches!(self, Self::Apply { .. } | Self::StoreAsked { .. } | Self::StoreSays { .. })
    }
}

impl SimWorld {
    pub(super) fn draw_outages(&mut self) {
        for (from, lasts) in self.scenario.outages.clone() {
            self.push(from * MS, SimEvent::StoreAway { lasts: lasts * MS });
        }
    }

    pub(super) fn store_away(&mut self, lasts: Nanos) {
        self.fire("outage");
        self.away_until = self.away_until.max(self.now + lasts);
        let back = self.away_until - self.now;
        let (gone, come) = (self.reads.u64(0..NOTICED_WITHIN), self.reads.u64(0..NOTICED_WITHIN));
        let life = self.daemon.life;
        self.push(gone, SimEvent::TellAway { life });
        self.push(back + come, SimEvent::TellAway { life });
        self.oracle.see(SeenFact::Disturbed { now: self.away_until + NOTICED_WITHIN });
    }

    /// Tells the daemon how its store stands.
    pub(super) fn tell_away(&mut self, life: u32) {
        if self.daemon.life != life || self.daemon.core.is_none() {
            return;
        }
        let away = self.away_until > self.now;
        self.oracle.see(SeenFact::StoreAway { away });
        if self.planted == Planted::AwayNotTold {
            return;
        }
        let since = self.times().wall;
        self.feed(Input::StoreAway(away.then(|| Away { since, why: "drill".into() })));
    }

    /// What happens at the store happens when it is back, in the same order.
    pub(super) fn wait_for_store(&mut self, what: SimEvent) {
        match what {
            SimEvent::Apply { life, ticket, .. }
                if self.planted == Planted::AwayTakenForFailed && self.daemon.life == life =>
            {
                let result = Err(CommitError::Unavailable(Unavailable("away".into())));
                self.feed(Input::Committed { ticket, result });
            }
            what => self.push(self.away_until - self.now, what),
        }
    }
}
