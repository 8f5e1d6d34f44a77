//! Whether a lane's calls are ours to make.
//!
//! Job: one lane's place between two keepers: not ours, ours and not all of it in hand, ours, and
//! ours until its calls are back.
//!
//! Invariant: nothing new begins before all that is active on the lane is in hand, nor while it is
//! given up.
//!
//! Deliberately not here: who keeps which lane (`domain::keeper`), and what becomes of the changes
//! of a lane that comes or goes (`engine::core::keeping`).

use std::time::Duration;

use crate::domain::keeper::KeptLane;
use crate::domain::quota::Boot;

/// How a lane stands to this daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// Another daemon makes its calls, or nobody does.
    Elsewhere,
    Ours {
        /// Until its lease is over.
        until: Boot,
        stock: Stock,
        /// It is given up as soon as its calls are back.
        giving: bool,
        /// Calls of the keeper before us may still be out.
        inherited: bool,
    },
}

/// Whether all that is active on a lane is in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stock {
    /// No scan that shows all of it has begun.
    Unread,
    /// One is under way.
    BeingRead,
    /// It is.
    InHand,
}

impl Keeping {
    /// A lane of a daemon that shares its store with nobody.
    pub(super) fn alone() -> Self {
        Self::Ours { until: Duration::MAX, stock: Stock::Unread, giving: false, inherited: false }
    }

    /// A lane that has become ours like this.
    pub(super) fn new(kept: &KeptLane) -> Self {
        let KeptLane { until, giving, inherited } = *kept;
        Self::Ours { until, stock: Stock::Unread, giving, inherited }
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Ours { .. })
    }

    /// Whether a call may begin now.
    pub(super) fn sends(self, now: Boot) -> bool {
        matches!(self, Self::Ours { giving: false, until, .. } if now < until)
    }

    /// Whether it waits for its last calls to come back.
    pub(super) fn is_given_up(self) -> bool {
        matches!(self, Self::Ours { giving: true, .. })
    }

    /// Whether what was active when it became ours may have a call of another daemon out.
    pub(super) fn is_inherited(self) -> bool {
        matches!(self, Self::Ours { inherited: true, .. })
    }

    /// Whether all that is active on it is in hand, so that something new may begin.
    pub(super) fn is_in_hand(self) -> bool {
        matches!(self, Self::Ours { stock: Stock::InHand, .. })
    }

    /// Whether a scan that shows all of it has yet to begin.
    pub(super) fn is_unread(self) -> bool {
        matches!(self, Self::Ours { stock: Stock::Unread, .. })
    }

    /// It stays ours, for longer as a rule; perhaps it is given up now.
    pub(super) fn renew(&mut self, kept: &KeptLane) {
        if let Self::Ours { giving, until, .. } = self {
            (*giving, *until) = (kept.giving, kept.until);
        }
    }

    /// A scan that shows all that is active begins.
    pub(super) fn scan_begins(&mut self) {
        if let Self::Ours { stock: stock @ Stock::Unread, .. } = self {
            *stock = Stock::BeingRead;
        }
    }

    /// It is over.
    pub(super) fn scan_ends(&mut self) {
        if let Self::Ours { stock: stock @ Stock::BeingRead, .. } = self {
            *stock = Stock::InHand;
        }
    }
}
