//! One change in hand: its stage, what it waits for, and what it knows beside its record.
//!
//! Invariant: whatever is active is in hand from the start on, and nothing new begins before it is.
//! A change counts in its lane's changes in flight exactly while it is past `Ready` and not
//! settled, or a decision is being committed that brings it there.
//!
//! Deliberately not here: what moves it from one stage to the next (the other chapters of
//! `engine::core`), and its states (`domain::change`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Times;
use crate::domain::call::{Call, JobSeen};
use crate::domain::change::{Change, Decision, Event, State};
use crate::domain::id::Name;
use crate::domain::journal::Trace;
use crate::domain::quota::Boot;
use crate::engine::fair_queue::Rank;
use crate::engine::lane::LaneState;
use crate::engine::paged_list::{Missing, PagedList};

/// From the decision to the wire instant: past it a call is not sent, because what it was decided
/// on may be no more.
pub(super) const SEND_WITHIN: Duration = Duration::from_secs(5);

/// Pages of the job list read for one question: 10,000 jobs. Longer lists are given up until the
/// next try.
const JOB_PAGES_MAX: u32 = 200;

/// One change in hand.
pub(super) struct Work {
    pub(super) change: Change,
    pub(super) stage: WorkStage,
    /// The event to decide with; `Woken` unless an answer waits for a permit or a commit is tried
    /// again.
    pub(super) event: Event,
    pub(super) trace: Option<Trace>,
    /// When its timer wakes it.
    pub(super) wake: Option<Boot>,
    /// When the present state was entered, or taken over.
    pub(super) entered: Boot,
    pub(super) looks: u32,
    /// No list tells of its job: it asks for it alone, as long as it is in this state.
    pub(super) asks_alone: bool,
    /// The question about the job list that is under way.
    pub(super) question: Option<JobSearch>,
    /// Between which two instants the latest PUT of this process was out.
    pub(super) put: Option<(Boot, Boot)>,
    /// Counted in its lane's `in_flight`.
    counted: bool,
}

pub(super) enum WorkStage {
    /// Waits for its timer.
    Asleep,
    /// Waits for a permit of its lane.
    Waiting { rank: Rank, place: u64 },
    /// Waits for the next list of its lane's jobs.
    Listed,
    /// Waits for a place to look at the wire.
    Lined { place: u64 },
    /// The look at the wire is out.
    Probing,
    /// The decision is on its way to the store, with both clocks at the decision, from which the
    /// call's deadline counts; a call's permit is in hand.
    Committing(Box<Decision>, Times),
    /// The call is out.
    Out(Box<Call>),
    /// The store is asked what moved, or which jobs are explained.
    Reading,
}

/// A question under way.
pub(super) struct JobSearch {
    pub(super) list: PagedList,
    /// The jobs of the instance so far.
    pub(super) jobs: Vec<JobSeen>,
}

impl JobSearch {
    /// A question that begins with this call.
    pub(super) fn new(call: Call) -> Self {
        Self { list: PagedList::new(call, Missing::ReadAgain, JOB_PAGES_MAX), jobs: Vec::new() }
    }
}

impl Work {
    /// A change that acts as soon as its timer fires, now.
    pub(super) fn new(change: Change, now: Boot) -> Self {
        Self {
            change,
            stage: WorkStage::Asleep,
            event: Event::Woken,
            trace: None,
            wake: Some(now),
            entered: now,
            looks: 0,
            asks_alone: false,
            question: None,
            put: None,
            counted: false,
        }
    }

    /// Keeps its lane's count of changes in flight right. A start counts from its decision on, or
    /// one pass would let all that waits begin at once. A lane that gets a place is stirred.
    pub(super) fn recount(
        &mut self,
        lanes: &mut BTreeMap<Name, LaneState>,
        stirred: &mut BTreeSet<Name>,
    ) {
        let begins = matches!(&self.stage, WorkStage::Committing(decision, ..) if is_begun(&decision.record.state));
        self.set_counted(begins || is_begun(&self.change.record.state), lanes, stirred);
    }

    /// It uses no place of its lane any more, whatever its state.
    pub(super) fn leave_lane(
        &mut self,
        lanes: &mut BTreeMap<Name, LaneState>,
        stirred: &mut BTreeSet<Name>,
    ) {
        self.set_counted(false, lanes, stirred);
    }

    fn set_counted(
        &mut self,
        counts: bool,
        lanes: &mut BTreeMap<Name, LaneState>,
        stirred: &mut BTreeSet<Name>,
    ) {
        if counts == self.counted {
            return;
        }
        self.counted = counts;
        if let Some(lane) = lanes.get_mut(&self.change.target.lane) {
            if counts {
                lane.add_in_flight();
            } else {
                lane.remove_in_flight();
                stirred.insert(self.change.target.lane.clone());
            }
        }
    }
}

/// Past `Ready` and not settled: uses one of its lane's places in flight.
fn is_begun(state: &State) -> bool {
    !(state.is_settled() || matches!(state, State::Queued | State::Ready))
}
