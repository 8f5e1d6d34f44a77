//! The observation: one thing that happened in a run, as the invariants are shown it.
//!
//! Job: one type for the rehearsal and for the simulation of `tests/simulation`. Invariant: only
//! what a run of the shipped engine observes stands here; what only a test sees (operators,
//! standing hosts, a store that lost its tail) wraps it there.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::clock::Times;
use crate::domain::call::{Call, Reply};
use crate::domain::change::Change;
use crate::domain::id::{ChangeId, Name};
use crate::domain::plan::Plan;
use crate::domain::proof::Proof;
use crate::domain::rollout;
use crate::domain::target::Target;
use crate::engine::Ticket;
use crate::simcloud::model::{Model, ProxyState};
use crate::store::{Active, Commit, Rollout};

/// One thing that happened.
pub enum Observation<'a> {
    /// A daemon starts over what the store has.
    Started {
        /// The rollout; `None` before it is submitted.
        rollout: Option<&'a Rollout>,
        /// The changes in flight.
        active: &'a [Active],
    },
    /// A commit was applied.
    Committed {
        commit: &'a Commit,
        /// The rollout after it.
        rollout: &'a Rollout,
    },
    /// The core learns that its commit was applied, and what became of the rollout's record by it.
    Learnt(&'a rollout::Record),
    /// A call passed the last check and leaves.
    Leaves(&'a Departure<'a>),
    /// A call reaches the cloud, which has not acted on it yet.
    Arrives {
        /// The change that the call is made for, if it is made for one.
        id: Option<ChangeId>,
        call: &'a Call,
        /// The right time.
        at: Timestamp,
    },
    /// The core receives the first answer to a change's call, or gives the call up.
    Answered { id: ChangeId, ticket: Ticket, reply: &'a Reply },
    /// A proxy's port was looked at for a daemon that still runs.
    Probed { id: ChangeId, proof: &'a Proof },
    /// The daemon was killed: what it had not saved is lost.
    Died,
    /// The run is over.
    Ended(&'a RunEnd<'a>),
}

/// A call at the instant at which it leaves.
pub struct Departure<'a> {
    pub ticket: Ticket,
    /// The change that the call is made for, if it is made for one.
    pub id: Option<ChangeId>,
    pub call: &'a Call,
    /// The right time.
    pub at: Timestamp,
    /// What the daemon's clocks show.
    pub times: Times,
    /// The change and its rollout as the store has them, if the call is a PUT.
    pub stored: Option<(&'a Change, &'a Rollout)>,
}

/// The state at the end of a run.
pub struct RunEnd<'a> {
    pub plan: &'a Plan,
    pub rollout: &'a Rollout,
    /// Every change, in the list's order.
    pub changes: &'a [Change],
    /// The simulated cloud of each lane.
    pub clouds: BTreeMap<&'a Name, &'a Model>,
}

impl RunEnd<'_> {
    /// The target's proxy as its cloud really has it.
    pub fn proxy(&self, target: &Target) -> Option<ProxyState> {
        self.clouds[&target.lane].proxy(&target.proxy_id)
    }

    /// Whether somebody else switched a proxy of this target's instance.
    pub fn is_meddled(&self, target: &Target) -> bool {
        self.clouds[&target.lane]
            .foreign_switches()
            .any(|(_, instance)| instance == target.instance_id)
    }
}
