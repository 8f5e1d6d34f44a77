//! The tickets that are out: which effect waits for its answer, whose it is, and since when.
//!
//! Job: give each effect that is answered a ticket, and find its owner again when the answer comes.
//!
//! Invariant: a ticket is redeemed once; one that was never handed out, or was redeemed before, has
//! no owner. Tickets are unique within one run of the core.
//!
//! Deliberately not here: what an answer means to its owner (the chapters of `engine::core`).

use std::collections::BTreeMap;

use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::domain::quota::Boot;
use crate::engine::effect::Ticket;

/// Who a ticket belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    Change(ChangeId),
    Rollout(RolloutId),
    /// A verb on a rollout that is not in hand.
    Stranger(u64),
    Ask(u64),
    /// The list of the jobs that are followed on a lane.
    List(Name),
    /// The list of the jobs that run on a lane.
    Running(Name),
}

/// The tickets that are out.
#[derive(Debug)]
pub(super) struct Tickets {
    out: BTreeMap<Ticket, (Owner, Boot)>,
    next: Ticket,
}

impl Tickets {
    pub(super) fn new() -> Self {
        Self { out: BTreeMap::new(), next: 1 }
    }

    /// A new ticket, which is out from now on.
    pub(super) fn hand_out(&mut self, owner: Owner, now: Boot) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.out.insert(ticket, (owner, now));
        ticket
    }

    /// Takes a ticket back: its owner, and since when it was out. `None`: it is not out.
    pub(super) fn redeem(&mut self, ticket: Ticket) -> Option<(Owner, Boot)> {
        self.out.remove(&ticket)
    }

    /// Whether no ticket is out.
    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_ticket_is_redeemed_once_and_names_its_owner_and_its_instant() {
        let (mut tickets, second) = (Tickets::new(), Duration::from_secs(1));
        let (first, other) = (
            tickets.hand_out(Owner::Ask(7), second),
            tickets.hand_out(Owner::Stranger(7), second * 2),
        );
        assert_ne!(first, other);
        assert_eq!(tickets.redeem(first), Some((Owner::Ask(7), second)));
        assert_eq!(tickets.redeem(first), None, "it was redeemed before");
        assert_eq!(tickets.redeem(other + 1), None, "it was never handed out");
        assert!(!tickets.is_empty());
        assert_eq!(tickets.redeem(other), Some((Owner::Stranger(7), second * 2)));
        assert!(tickets.is_empty());
        let next = tickets.hand_out(Owner::Ask(8), second);
        assert!(next != first && next != other, "no ticket is handed out twice");
    }
}
