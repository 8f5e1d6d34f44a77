//! The inputs and effects of the engine's core.
//!
//! Job: name everything that the core is given and everything that it asks for.
//!
//! Invariant: every [`Effect`] with a ticket is answered by exactly one [`Input`] with the same
//! ticket, unless the process dies; the core waits for nothing else.
//!
//! Deliberately not here: performing an effect (`engine::runtime`, `rehearse`), and whose a ticket
//! is (`engine::core::tickets`).

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;

use super::fence::{CheckSpec, PlanRef};
use super::handle::{Acknowledged, AskError, Command, CommandError};
use crate::domain::call::{Call, Reply};
use crate::domain::change::Change;
use crate::domain::id::{ChangeId, InstanceId, JobId, Name, RolloutId};
use crate::domain::keeper::{Fellows, KeptLane};
use crate::domain::person::Attribution;
use crate::domain::proof::{Endpoint, Proof};
use crate::domain::quota::{Boot, Quota};
use crate::domain::stop::StopFile;
use crate::store::{Active, Away, Candidates, Commit, CommitError, DuePlace, Rollout, Unavailable};

/// Pairs an effect with its answer; unique within one run of the core.
pub type Ticket = u64;

#[derive(Debug)]
pub enum Input {
    /// A timer set by [`super::Core::next_wake`] is due, or nothing in particular.
    Tick,
    /// Answer to [`Effect::Scan`].
    Scanned {
        open: Vec<Rollout>,
        /// Changes that may be taken over.
        due: Vec<Active>,
    },
    /// Answer to [`Effect::Read`].
    Read { ticket: Ticket, found: Box<StoreAnswer> },
    /// Answer to [`Effect::Commit`].
    Committed {
        ticket: Ticket,
        /// Whether it was applied.
        result: Result<(), CommitError>,
    },
    /// Answer to [`Effect::Call`] or [`Effect::Ask`].
    Answered {
        ticket: Ticket,
        /// What came of the call.
        reply: Reply,
    },
    /// Answer to [`Effect::Probe`].
    Probed {
        ticket: Ticket,
        /// What the wire showed.
        proof: Box<Proof>,
    },
    /// An operator's verb; answered by [`Effect::Reply`].
    Command {
        /// Names the waiting operator.
        id: u64,
        command: Command,
    },
    /// Whoever asked for this verb no longer waits for its answer: it is dropped, unless it is
    /// being committed already.
    AskerGone(u64),
    /// A person's question to the cloud; answered by [`Effect::Told`].
    Asked {
        /// Names the waiting person.
        id: u64,
        call: Call,
    },
    /// A rollout was submitted: look at it now.
    Submitted(RolloutId),
    /// The kill-switch file is there, or is gone.
    StopFile(Option<StopFile>),
    /// A person stopped everything, or started it again.
    Stopped(Option<Attribution>),
    /// Other quotas are in force on these lanes; `None`: no limit of ours.
    Quotas(Vec<(Name, Option<Quota>)>),
    /// People paused these lanes, or resumed them.
    Lanes(Vec<(Name, Option<Attribution>)>),
    /// The lanes that are this daemon's from now on, and who lives beside it; of a core that shares
    /// its store with others ([`super::Core::beside_others`]).
    Kept {
        lanes: BTreeMap<Name, KeptLane>,
        /// Those who share the rollouts with it.
        fellows: Fellows,
    },
    /// Begin nothing new any more.
    Drain,
    /// The store is away, or it is back. What it was asked is answered when it is back.
    StoreAway(Option<Away>),
    /// The store is out of order.
    StoreFailed(Unavailable),
}

/// What must be done outside.
#[derive(Debug)]
pub enum Effect {
    /// Read the open rollouts and the changes that may be taken over by now, at most
    /// [`super::TAKE_OVER_MAX`].
    Scan {
        /// Changes due until then.
        until: Timestamp,
        /// Only those behind this one.
        after: Option<DuePlace>,
    },
    Read {
        ticket: Ticket,
        query: StoreQuery,
    },
    Commit {
        ticket: Ticket,
        commit: Box<Commit>,
    },
    Call {
        ticket: Ticket,
        call: Call,
        /// To be checked when the bytes leave.
        check: CheckSpec,
    },
    /// Look at a proxy's port, over the wire.
    Probe {
        ticket: Ticket,
        /// The change that is to be proven.
        id: ChangeId,
        endpoint: Endpoint,
        /// Its plan, which may name authorities.
        plan: PlanRef,
    },
    /// Make a call that belongs to no change: a read that a person asked for.
    Ask {
        ticket: Ticket,
        call: Call,
        /// Boot time from which on it must not leave.
        deadline: Boot,
    },
    /// Tell a person what the cloud said.
    Told {
        id: u64,
        result: Result<Reply, AskError>,
    },
    Reply {
        id: u64,
        result: Result<Acknowledged, CommandError>,
    },
    /// End the process: the store is out of order.
    Fail(Unavailable),
}

/// What the core asks the store.
#[derive(Debug)]
pub enum StoreQuery {
    Rollout(RolloutId),
    /// What a release may pick from.
    Candidates {
        rollout: RolloutId,
        /// Waves up to this one.
        wave: u16,
        limit: usize,
    },
    /// Changes in these states, for a retry, a withdrawal or a revert.
    Stored {
        rollout: RolloutId,
        words: &'static [&'static str],
        /// Places in the list.
        places: Range<u32>,
        limit: usize,
    },
    /// One change with its rollout, after a conflict.
    Change(ChangeId),
    /// Jobs of the instance that are explained.
    KnownJobs(InstanceId),
}

/// What the store answered.
#[derive(Debug)]
pub enum StoreAnswer {
    /// To [`StoreQuery::Rollout`].
    Rollout(Option<Box<Rollout>>),
    /// To [`StoreQuery::Candidates`].
    Candidates(Candidates),
    /// To [`StoreQuery::Stored`].
    Stored(Vec<Change>),
    /// To [`StoreQuery::Change`].
    Change(Option<Box<(Active, Rollout)>>),
    /// To [`StoreQuery::KnownJobs`].
    KnownJobs(Vec<JobId>),
}
