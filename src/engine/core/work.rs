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
use crate::domain::change::{self, Change, Decision, Event, State};
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
    change: Change,
    stage: WorkStage,
    /// The event to decide with; `Woken` unless an answer waits for a permit or a commit is tried
    /// again.
    event: Event,
    trace: Option<Trace>,
    /// When its timer wakes it.
    wake: Option<Boot>,
    /// When the present state was entered, or taken over.
    entered: Boot,
    looks: u32,
    /// No list tells of its job: it asks for it alone, as long as it is in this state.
    asks_alone: bool,
    /// The question about the job list that is under way.
    question: Option<JobSearch>,
    /// Between which two instants the latest PUT of this process was out.
    put: Option<(Boot, Boot)>,
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

    pub(super) fn change(&self) -> &Change {
        &self.change
    }

    pub(super) fn lane(&self) -> &Name {
        &self.change.target.lane
    }

    pub(super) fn state(&self) -> &State {
        &self.change.record.state
    }

    pub(super) fn stage(&self) -> &WorkStage {
        &self.stage
    }

    pub(super) fn set_stage(&mut self, stage: WorkStage) {
        self.stage = stage;
    }

    /// Sleeps from now on; gives the stage that it leaves.
    pub(super) fn take_stage(&mut self) -> WorkStage {
        std::mem::replace(&mut self.stage, WorkStage::Asleep)
    }

    pub(super) fn wakes_at(&self) -> Option<Boot> {
        self.wake
    }

    /// Its timer wakes it then; gives when it would have been woken before.
    pub(super) fn wake_at(&mut self, at: Option<Boot>) -> Option<Boot> {
        std::mem::replace(&mut self.wake, at)
    }

    /// The event to decide with.
    pub(super) fn event(&self) -> &Event {
        &self.event
    }

    pub(super) fn set_event(&mut self, event: Event) {
        self.event = event;
    }

    /// The event is decided on, or stale.
    pub(super) fn done_with_event(&mut self) {
        (self.event, self.trace) = (Event::Woken, None);
    }

    /// What the journal is told of the answer that is decided on.
    pub(super) fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// It was looked at, with this answer.
    pub(super) fn looked(&mut self, trace: Trace) {
        self.looks = self.looks.saturating_add(1);
        self.trace = Some(trace);
    }

    /// Looks since it entered its state.
    pub(super) fn looks(&self) -> u32 {
        self.looks
    }

    /// How long it has been in its state, or in hand.
    pub(super) fn waited(&self, now: Boot) -> Duration {
        now.saturating_sub(self.entered)
    }

    /// Its own decision was committed.
    pub(super) fn move_to(&mut self, record: change::Record, now: Boot) {
        if self.change.record.state.kind() != record.state.kind() {
            self.enter(now);
        }
        self.change.record = record;
    }

    /// The store has it like this; tells whether somebody else has moved it.
    pub(super) fn replace(&mut self, change: Change, now: Boot) -> bool {
        let moved = change.record.version != self.change.record.version;
        self.change = change;
        if moved {
            self.enter(now);
        }
        moved
    }

    fn enter(&mut self, now: Boot) {
        self.entered = now;
        self.looks = 0;
        self.asks_alone = false;
        self.question = None;
    }

    /// Whether no list tells of its job.
    pub(super) fn asks_alone(&self) -> bool {
        self.asks_alone
    }

    /// No list tells of its job, as long as it is in this state.
    pub(super) fn ask_alone(&mut self) {
        self.asks_alone = true;
    }

    /// The question about the job list that is under way.
    pub(super) fn question(&mut self) -> &mut Option<JobSearch> {
        &mut self.question
    }

    /// The next call of the question that is under way.
    pub(super) fn question_call(&self) -> Option<Call> {
        self.question.as_ref().map(|question| question.list.call())
    }

    /// Between which two instants the latest PUT of this process was out.
    pub(super) fn put(&self) -> Option<(Boot, Boot)> {
        self.put
    }

    /// A PUT was out between these two instants.
    pub(super) fn put_was_out(&mut self, from: Boot, to: Boot) {
        self.put = Some((from, to));
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
