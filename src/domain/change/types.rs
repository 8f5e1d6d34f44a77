//! What a change is, what can happen to it, and what a decision says.
//!
//! Invariant: what is stored has fields that older records lack, each with a default; a word of a
//! state or a reason never changes.
//!
//! Deliberately not here: what follows from an event (`table`).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Presumed, Setbacks, ShownByApi, Undo};
use crate::domain::call::{Answer, Call, CallError, JobSeen, JobView, ProxyView};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::{ChangeId, JobId};
use crate::domain::proof::{self, Demand, Endpoint, Proof};
use crate::domain::retry;
use crate::domain::target::Target;
use crate::domain::window::Opening;

/// One proxy's switch within a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub id: ChangeId,
    pub target: Target,
    /// Index of its wave, from 0.
    pub wave: u16,
    /// The wanted value of `ssl_option`.
    pub desired: bool,
    pub record: Record,
}

/// The part of a change that moves: this is what is stored, and what the journal carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub state: State,
    /// PUTs spent since the change was queued; a PUT that surely never left is not counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u16,
    /// Waits in a row for a busy instance, whether the look or the PUT told of it; an accepted
    /// PUT or a spent attempt sets it to 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waits: u16,
    /// Looks before the PUT that failed in a row, at most [`LOOKS_MAX`]; one that succeeds sets it
    /// to 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub misses: u16,
    /// `ssl_option` as seen before our first PUT; `None` while unseen or when the cloud did not
    /// tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<bool>,
    /// The job ids read for this change, oldest first; at most one per PUT and [`JOBS_MAX`] in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobId>,
    /// The job that a person named for a change in doubt: it is followed once the change is
    /// released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<JobId>,
    /// Of [`Self::jobs`], those that were adopted because each was the only unexplained one, and
    /// the doubt to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presumed: Option<Box<Presumed>>,
    /// What the cloud answered to attempts that did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setbacks: Option<Box<Setbacks>>,
    /// Set once its rollout puts the change back: from then on the wanted value is `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// Set once the API shows the wanted value under a plan with `verify.wire`: the wire must show
    /// it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Box<ShownByApi>>,
    /// What the wire showed that proved the change; the journal has the whole proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Box<proof::ProofSummary>>,
    /// Raised by one with every committed transition; a commit names the version it read.
    pub version: u64,
}

pub(super) fn is_zero(n: &u16) -> bool {
    *n == 0
}

impl Record {
    /// The record of a change that nobody touched yet. It needs no storage: a change without a
    /// stored record is this.
    pub fn queued() -> Self {
        Self {
            state: State::Queued,
            attempts: 0,
            waits: 0,
            misses: 0,
            before: None,
            jobs: Vec::new(),
            adopted: None,
            presumed: None,
            setbacks: None,
            undo: None,
            shown: None,
            proof: None,
            version: 0,
        }
    }
}

/// Where a change stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum State {
    /// Waits for its wave's release.
    Queued,
    /// Released: holds a place in flight and its instance, waits for window, quota or a busy
    /// instance.
    Ready,
    /// The look before: listing the proxy.
    Inspecting,
    /// The intent to send the PUT is durable; it may have left.
    Submitting {
        /// When the intent was committed, by our wall clock.
        sent: Timestamp,
        /// The same by the cloud's clock: its job is sought around that. `None`: its answers told
        /// no time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cloud: Option<TimeSpan>,
    },
    /// In doubt: the PUT may have been executed, the answer is unknown. Only questions are asked
    /// here.
    Recovering {
        /// As in `Submitting`.
        sent: Timestamp,
        /// As in `Submitting`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cloud: Option<TimeSpan>,
        /// `None`: the job list is asked next. `Some(n)`: it named n unexplained jobs, the proxy is
        /// asked next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        candidates: Option<u16>,
        /// The list that told of them is known to cover the time at which the cloud would have
        /// dated our job.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        covered: bool,
    },
    /// The job is known and followed to its end.
    Following { job: JobId },
    /// The job is over; the proxy itself must show the wanted value, first to the API and then, if
    /// the plan says so, on the wire ([`Record::shown`]).
    Verifying {
        /// The job, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<JobId>,
    },
    /// Settled: the proxy was seen with the wanted value.
    Succeeded {
        /// Whether we did it.
        how: How,
    },
    /// Settled: not done, and it is known why.
    Failed { reason: Reason },
    /// Settled for the machine: whether it was done is not known; a person must look.
    InDoubt {
        /// Why it is not known.
        reason: Reason,
    },
    /// Settled: withdrawn before anything was sent.
    Cancelled,
    /// Settled: put back, the proxy was seen with the value that it had before this rollout.
    Reverted {
        /// Whether we did it; never `AlreadyRight`.
        how: How,
    },
    /// Settled: left alone on purpose, and it is known why.
    Skipped { reason: Reason },
}

impl State {
    /// The state's word in journal, CLI, API and metrics.
    pub fn as_str(&self) -> &'static str {
        self.kind().as_str()
    }

    /// The state without what stands in it.
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Queued => StateKind::Queued,
            Self::Ready => StateKind::Ready,
            Self::Inspecting => StateKind::Inspecting,
            Self::Submitting { .. } => StateKind::Submitting,
            Self::Recovering { .. } => StateKind::Recovering,
            Self::Following { .. } => StateKind::Following,
            Self::Verifying { .. } => StateKind::Verifying,
            Self::Succeeded { .. } => StateKind::Succeeded,
            Self::Failed { .. } => StateKind::Failed,
            Self::InDoubt { .. } => StateKind::InDoubt,
            Self::Cancelled => StateKind::Cancelled,
            Self::Reverted { .. } => StateKind::Reverted,
            Self::Skipped { .. } => StateKind::Skipped,
        }
    }

    /// The words that `active` stands for: what has its place in flight and no outcome yet.
    pub const ACTIVE: [&'static str; 6] =
        ["ready", "inspecting", "submitting", "recovering", "following", "verifying"];

    /// Every word of [`Self::as_str`], in the order of a change's life.
    pub const WORDS: [&'static str; 13] = {
        let mut words = [""; 13];
        let mut place = 0;
        while place < words.len() {
            words[place] = StateKind::ALL[place].as_str();
            place += 1;
        }
        words
    };

    /// Whether the change has its outcome.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::InDoubt { .. }
            | Self::Cancelled
            | Self::Reverted { .. }
            | Self::Skipped { .. } => true,
            Self::Queued
            | Self::Ready
            | Self::Inspecting
            | Self::Submitting { .. }
            | Self::Recovering { .. }
            | Self::Following { .. }
            | Self::Verifying { .. } => false,
        }
    }
}

/// A [`State`] without what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    Queued,
    Ready,
    Inspecting,
    Submitting,
    Recovering,
    Following,
    Verifying,
    Succeeded,
    Failed,
    InDoubt,
    Cancelled,
    Reverted,
    Skipped,
}

impl StateKind {
    /// All of them, in the order of a change's life.
    pub const ALL: [Self; 13] = [
        Self::Queued,
        Self::Ready,
        Self::Inspecting,
        Self::Submitting,
        Self::Recovering,
        Self::Following,
        Self::Verifying,
        Self::Succeeded,
        Self::Failed,
        Self::InDoubt,
        Self::Cancelled,
        Self::Reverted,
        Self::Skipped,
    ];

    /// The state of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// As [`State::as_str`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ready => "ready",
            Self::Inspecting => "inspecting",
            Self::Submitting => "submitting",
            Self::Recovering => "recovering",
            Self::Following => "following",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
            Self::Cancelled => "cancelled",
            Self::Reverted => "reverted",
            Self::Skipped => "skipped",
        }
    }
}

/// How a change came to succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Our PUT did it.
    Switched,
    /// The proxy had the wanted value before any PUT of ours.
    AlreadyRight,
    /// A PUT of ours was sent, the proxy shows the wanted value, and no job that is surely ours was
    /// seen to complete.
    SwitchedJobUnknown,
}

/// Why a change failed, stays in doubt or was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A stable word for filters and metrics.
    pub word: ReasonWord,
    /// What happened, in the cloud's words where it said something.
    pub message: String,
}

/// Stable words for [`Reason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonWord {
    /// The cloud refused the call for good.
    Refused,
    /// The proxy, or its instance, is not there.
    NotFound,
    /// The proxy is in a state that takes no change.
    Faulty,
    /// The instance stayed busy with other work.
    Busy,
    /// Every attempt (a PUT) was spent.
    AttemptsSpent,
    /// The job completed and the proxy still shows the other value.
    Unverified,
    /// The API shows the wanted value, and the wire does not.
    NotProven,
    /// The job did not end in time.
    JobLimit,
    /// The cloud cannot be read well enough to tell.
    Unreadable,
    /// Not switched: the proxy does not show what it showed when the list of targets was made.
    NotAsSeen,
    /// Not put back: the proxy no longer shows the value that this rollout set.
    ChangedSince,
    /// Not put back: whether this rollout switched it is not known, for no job of ours was seen to
    /// complete.
    NotSurelyOurs,
    /// Not put back: the value before this rollout is not known.
    BeforeUnknown,
    /// Not put back: the revert was aborted first.
    RevertAborted,
    /// Looked at only: the proxy does not show the wanted value.
    Drifted,
    /// It was in doubt, and a person gave it up.
    GivenUp,
}

/// What can happen to a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its time has come: a wait is over, or it was found without an owner after a crash.
    Woken,
    Rollout(Directive),
    Verb(ByPerson),
    Answer(AnswerEvent),
}

/// What its rollout has a change do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// It has a place in flight.
    Release,
    /// It is withdrawn.
    Cancel,
    /// It is put back.
    Undo,
}

/// What a person says of a change that failed or is in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByPerson {
    /// Try it again.
    Requeue,
    /// This is its job.
    Adopt(JobId),
    /// It is given up; by whom, and why.
    GiveUp(String),
}

/// What came back from the cloud or from the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerEvent {
    /// [`Call::Inspect`] answered.
    Observed(Option<ProxyView>),
    /// [`Call::Submit`] answered.
    Accepted(Option<JobId>),
    /// [`Call::Follow`] answered.
    Job(JobView),
    /// The whole job list was read.
    Found {
        /// The jobs of the instance that are unexplained.
        jobs: Vec<JobSeen>,
        /// The span that was asked for, in cloud time.
        asked: TimeSpan,
    },
    /// The wire was looked at.
    Proved(Box<Proof>),
    /// A call ended without the expected answer.
    Error(CallError),
}

impl Event {
    /// The event that a finished call amounts to. [`Answer::Jobs`] is paged: the engine gathers it
    /// into [`AnswerEvent::Found`]; [`Answer::Listed`] and what people ask for answer no one
    /// change.
    pub fn of(outcome: Result<Answer, CallError>) -> Option<Self> {
        match outcome {
            Ok(Answer::Proxy(view)) => Some(Self::Answer(AnswerEvent::Observed(view))),
            Ok(Answer::Accepted(job)) => Some(Self::Answer(AnswerEvent::Accepted(job))),
            Ok(Answer::Job(view)) => Some(Self::Answer(AnswerEvent::Job(view))),
            Ok(
                Answer::Jobs { .. }
                | Answer::Listed { .. }
                | Answer::JobShown { .. }
                | Answer::Instances { .. }
                | Answer::Proxies(_),
            ) => None,
            Err(error) => Some(Self::Answer(AnswerEvent::Error(error))),
        }
    }
}

/// Whether the rollout lets a change begin something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearance {
    Open,
    /// Not now (paused, halted, soaking): back to the queue.
    Held,
    /// Never (aborted): be cancelled.
    Withdrawn,
}

/// Intervals and limits of a lane's calls; from the daemon's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// From the end of a call in doubt to the first question: longer than a lost request can still
    /// land *and* than a new job stays invisible ("several seconds", vendor page of the job query).
    pub settle: Duration,
    /// First wait between two looks at the same thing.
    pub poll: Duration,
    /// Longest wait between two looks.
    pub poll_max: Duration,
    /// How long a job may run before the change is given to a person.
    pub job_limit: Duration,
    /// How long a question about a change in doubt may stay without a clear answer.
    pub recover_limit: Duration,
}

/// Waits in a row for a busy instance before the change fails: an hour and more at the longest
/// poll.
pub const BUSY_WAITS_MAX: u16 = 150;

/// Looks before a switch that may fail in a row before the change fails: about ten minutes with the
/// usual waits. They are no attempts, of which the plan's `max_attempts` tells: a look changes
/// nothing, so it may be repeated where a switch may not.
pub const LOOKS_MAX: u16 = 10;

/// How often a change looks again whether its lane is still held.
pub const HELD_LOOK: Duration = Duration::from_secs(5);

/// Job ids kept in one record; the oldest gives way (the journal has them all), so that a record
/// stays small.
pub const JOBS_MAX: usize = 40;

/// All that a decision may know beside the change and the event.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// The cloud's clock, by its own answers; `None`: they do not tell it, or not of late.
    pub cloud: Option<TimeSpan>,
    /// Why no PUT is sent over its lane now, in a few words; reads go on.
    pub lane_held: Option<&'static str>,
    /// The rollout's word on new work.
    pub gate: Clearance,
    /// Whether the window is open.
    pub window: Opening,
    pub timing: &'a Timing,
    /// The plan's `retry`.
    pub retry: &'a retry::Policy,
    /// The plan's `verify.timeout`.
    pub verify_timeout: Duration,
    /// Boot time spent in the present state as far as this process knows; a restart starts it anew.
    /// States are told apart by [`State::as_str`]: `Recovering` is one state, whatever it asks
    /// next.
    pub waited: Duration,
    /// Looks made in the present state (by its word) by this process; spreads the polls.
    pub looks: u32,
    /// The plan only looks ([`crate::domain::plan::Plan::survey`]).
    pub survey: bool,
    /// What the wire must show, if it must ([`crate::domain::plan::Plan::wire`]).
    pub wire: Option<Demand>,
    /// What runs on its instance, as far as a list of the lane's running jobs has told of late.
    pub occupied: Option<&'a JobSeen>,
}

/// When a change wants to be woken next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// After this long. While a call is out the engine uses the call's deadline instead.
    In(Duration),
    /// Not by time: another event moves it, or it is settled.
    Never,
}

/// What a decision says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The next record; its version is one higher if and only if something in it changed.
    pub record: Record,
    /// The one call to make after the commit.
    pub call: Option<Call>,
    /// Where to look at the wire after the commit; never together with a call.
    pub probe: Option<Endpoint>,
    /// When to wake the change if neither is made.
    pub wake: Wake,
    /// Why, for the journal.
    pub why: String,
}

/// The event means nothing in this state: it came late, twice, or to a settled change. Counted,
/// never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;
