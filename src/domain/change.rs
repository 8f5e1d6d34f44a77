//! One change: its states, its events, and the table that says what happens next.
//!
//! Job: [`decide`]. It takes the change, an event and the context, and returns the change's next record, at most one
//! call, and when to wake it. Commit the record first, then make the call: the caller's duty, on which everything rests.
//!
//! Invariants: a PUT is decided only from `Inspecting`, after a look at the proxy; a PUT whose outcome is unknown leads
//! to `Recovering`, which asks the cloud before anything else; a settled change never moves except by a person's
//! retry; a job id that was read is in the record of the very next decision.
//!
//! A revert is no second machine: a change that is put back runs through the same states with the value seen before as
//! the wanted one ([`Undo`]).
//!
//! Deliberately not here: quota, places in flight and the failure budget (the engine's and the rollout's business).

mod presumed;
mod setback;
#[cfg(test)]
mod table;
mod undo;
mod wire;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::presumed::{PRESUMED_MAX, Presumed};
pub use self::setback::{Asked, Setback, Setbacks};
pub use self::undo::Undo;
pub use self::wire::Shown;

use super::call::{Answer, Call, CallError, Disposition, JobSeen, JobView, ProxyStatus, ProxyView};
use super::cloud_clock::Span;
use super::count::count;
use super::doubt::Doubt;
use super::id::{ChangeId, JobId};
use super::proof::{self, Demand, Endpoint, Proof};
use super::retry;
use super::target::Target;
use super::window::Opening;

/// One proxy's switch within a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which change.
    pub id: ChangeId,
    /// The proxy.
    pub target: Target,
    /// Index of its wave, from 0.
    pub wave: u16,
    /// The wanted value of `ssl_option`.
    pub desired: bool,
    /// What moves.
    pub record: Record,
}

/// The part of a change that moves: this is what is stored, and what the journal carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Where it stands.
    pub state: State,
    /// PUTs spent since the change was queued; a PUT that surely never left is not counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u16,
    /// Waits in a row for a busy instance, whether the look or the PUT told of it; an accepted
    /// PUT or a spent attempt sets it to 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waits: u16,
    /// Looks before the PUT that failed in a row, at most [`LOOKS_MAX`]; one that succeeds sets it to 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub misses: u16,
    /// `ssl_option` as seen before our first PUT; `None` while unseen or when the cloud did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<bool>,
    /// The job ids read for this change, oldest first; at most one per PUT and [`JOBS_MAX`] in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobId>,
    /// The job that a person named for a change in doubt: it is followed once the change is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<JobId>,
    /// Of [`Self::jobs`], those that were adopted because each was the only unexplained one, and the doubt to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presumed: Option<Box<Presumed>>,
    /// What the cloud answered to attempts that did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setbacks: Option<Box<Setbacks>>,
    /// Set once its rollout puts the change back: from then on the wanted value is `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// Set once the API shows the wanted value under a plan with `verify.wire`: the wire must show it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Box<Shown>>,
    /// What the wire showed that proved the change; the journal has the whole proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Box<proof::Summary>>,
    /// Raised by one with every committed transition; a commit names the version it read.
    pub version: u64,
}

fn is_zero(n: &u16) -> bool {
    *n == 0
}

impl Record {
    /// The record of a change that nobody touched yet. It needs no storage: a change without a stored record is this.
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
    /// Released: holds a place in flight and its instance, waits for window, quota or a busy instance.
    Ready,
    /// The look before: listing the proxy.
    Inspecting,
    /// The intent to send the PUT is durable; it may have left.
    Submitting {
        /// When the intent was committed, by our wall clock.
        sent: Timestamp,
        /// The same by the cloud's clock: its job is sought around that. `None`: its answers told no time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cloud: Option<Span>,
    },
    /// In doubt: the PUT may have been executed, the answer is unknown. Only questions are asked here.
    Recovering {
        /// As in `Submitting`.
        sent: Timestamp,
        /// As in `Submitting`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cloud: Option<Span>,
        /// `None`: the job list is asked next. `Some(n)`: it named n unexplained jobs, the proxy is asked next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        candidates: Option<u16>,
        /// The list that told of them is known to cover the time at which the cloud would have dated our job.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        covered: bool,
    },
    /// The job is known and followed to its end.
    Following {
        /// The job.
        job: JobId,
    },
    /// The job is over; the proxy itself must show the wanted value, first to the API and then, if the plan says so, on the
    /// wire ([`Record::shown`]).
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
    Failed {
        /// Why.
        reason: Reason,
    },
    /// Settled for the machine: whether it was done cannot be told; a person must look.
    InDoubt {
        /// Why it cannot be told.
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
    Skipped {
        /// Why.
        reason: Reason,
    },
}

impl State {
    /// The state's word in journal, CLI, API and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ready => "ready",
            Self::Inspecting => "inspecting",
            Self::Submitting { .. } => "submitting",
            Self::Recovering { .. } => "recovering",
            Self::Following { .. } => "following",
            Self::Verifying { .. } => "verifying",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::InDoubt { .. } => "in_doubt",
            Self::Cancelled => "cancelled",
            Self::Reverted { .. } => "reverted",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// The words that `active` stands for: what has its place in flight and no outcome yet.
    pub const ACTIVE: [&'static str; 6] = ["ready", "inspecting", "submitting", "recovering", "following", "verifying"];

    /// Every word of [`Self::word`], in the order of a change's life.
    pub const WORDS: [&'static str; 13] = [
        "queued",
        "ready",
        "inspecting",
        "submitting",
        "recovering",
        "following",
        "verifying",
        "succeeded",
        "failed",
        "in_doubt",
        "cancelled",
        "reverted",
        "skipped",
    ];

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

/// How a change came to succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Our PUT did it.
    Switched,
    /// The proxy had the wanted value before any PUT of ours.
    AlreadyRight,
    /// A PUT of ours was sent, the proxy shows the wanted value, and no job that is surely ours was seen to complete.
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
    /// Not put back: whether this rollout switched it cannot be told, for no job of ours was seen to complete.
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
    /// Its rollout gives it a place in flight.
    Release,
    /// Its rollout withdraws it.
    Cancel,
    /// A person wants it tried again.
    Requeue,
    /// A person names its job.
    Adopt(JobId),
    /// A person gives it up; who, and why.
    GiveUp(String),
    /// Its rollout puts it back.
    Undo,
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
        asked: Span,
    },
    /// The wire was looked at.
    Proved(Box<Proof>),
    /// A call ended without the expected answer.
    Error(CallError),
}

impl Event {
    /// The event that a finished call amounts to. [`Answer::Jobs`] is paged: the engine gathers it into [`Event::Found`];
    /// [`Answer::Listed`] and what people ask for answer no one change.
    pub fn of(outcome: Result<Answer, CallError>) -> Option<Self> {
        match outcome {
            Ok(Answer::Proxy(view)) => Some(Self::Observed(view)),
            Ok(Answer::Accepted(job)) => Some(Self::Accepted(job)),
            Ok(Answer::Job(view)) => Some(Self::Job(view)),
            Ok(Answer::Jobs { .. } | Answer::Listed { .. } | Answer::JobShown { .. } | Answer::Instances { .. } | Answer::Proxies(_)) => {
                None
            }
            Err(error) => Some(Self::Error(error)),
        }
    }
}

/// Whether the rollout lets a change begin something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Go on.
    Open,
    /// Not now (paused, halted, soaking): back to the queue.
    Held,
    /// Never (aborted): be cancelled.
    Withdrawn,
}

/// Intervals and limits of a lane's calls; from the daemon's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// From the end of a call in doubt to the first question: longer than a lost request can still land *and* than a
    /// new job stays invisible ("several seconds", vendor page of the job query).
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

/// Waits in a row for a busy instance before the change fails: an hour and more at the longest poll.
pub const BUSY_WAITS_MAX: u16 = 150;

/// Looks before a switch that may fail in a row before the change fails: about ten minutes with the usual waits. They are no
/// attempts, of which the plan's `max_attempts` tells: a look changes nothing, so it may be repeated where a switch may not.
pub const LOOKS_MAX: u16 = 10;

/// How often a change looks again whether its lane is still held.
pub const HELD_LOOK: Duration = Duration::from_secs(5);

/// Job ids kept in one record; the oldest gives way (the journal has them all), so that a record stays small.
pub const JOBS_MAX: usize = 40;

/// Why a change follows a job whose id its PUT's answer named after the change had gone on without it.
const LATE_ANSWER: &str = "the late answer named the job";

/// All that a decision may know beside the change and the event.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Wall clock.
    pub now: Timestamp,
    /// The cloud's clock, by its own answers; `None`: they do not tell it, or not of late.
    pub cloud: Option<Span>,
    /// Why no PUT is sent over its lane now, in a few words; reads go on.
    pub lane_held: Option<&'static str>,
    /// The rollout's word on new work.
    pub gate: Gate,
    /// Whether the window is open.
    pub window: Opening,
    /// The lane's intervals.
    pub timing: &'a Timing,
    /// The plan's `retry`.
    pub retry: &'a retry::Policy,
    /// The plan's `verify.timeout`.
    pub verify_timeout: Duration,
    /// Boot time spent in the present state as far as this process knows; a restart starts it anew. States are told
    /// apart by [`State::word`]: `Recovering` is one state, whatever it asks next.
    pub waited: Duration,
    /// Looks made in the present state (by its word) by this process; spreads the polls.
    pub looks: u32,
    /// The plan only looks ([`super::plan::Plan::survey`]).
    pub survey: bool,
    /// What the wire must show, if it must ([`super::plan::Plan::wire`]).
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

/// The event means nothing in this state: it came late, twice, or to a settled change. Counted, never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

/// The table: state × event → record, call, wake.
pub fn decide(change: &Change, event: &Event, ctx: &Context<'_>) -> Result<Decision, Stale> {
    let step = Step::new(change, event, ctx);
    match (&change.record.state, event) {
        (State::Queued, Event::Release) => Ok(step.to(State::Ready).now("released")),
        (State::Queued | State::Ready, Event::Cancel) => Ok(step.withdrawn()),
        (State::Ready, Event::Woken) => Ok(step.ready()),

        (State::Inspecting, Event::Woken) => Ok(step.stay().call(step.inspect(), "checked again")),
        (State::Inspecting, Event::Observed(view)) => Ok(step.inspected(view.as_ref())),
        (State::Inspecting, Event::Error(error)) => Ok(step.inspect_failed(error)),

        (State::Submitting { sent, cloud }, Event::Woken) => Ok(step.in_doubt(*sent, *cloud, "no answer is known: in doubt".into())),
        (State::Submitting { .. }, Event::Accepted(Some(job))) => Ok(step.follow(job, "accepted")),
        (State::Submitting { sent, cloud }, Event::Accepted(None)) => Ok(step.in_doubt(*sent, *cloud, "accepted without a job id".into())),
        (State::Submitting { sent, cloud }, Event::Error(error)) => Ok(step.submit_failed(*sent, *cloud, error)),

        (State::Recovering { sent, cloud, candidates: None, .. }, Event::Woken) => Ok(step.question(&step.doubt(*sent, *cloud))),
        (State::Recovering { candidates: Some(_), .. }, Event::Woken) => Ok(step.stay().call(step.inspect(), "the proxy is read")),
        (State::Recovering { sent, cloud, .. }, Event::Found { jobs, asked }) => Ok(step.found(&step.doubt(*sent, *cloud), jobs, *asked)),
        (State::Recovering { .. }, Event::Observed(view)) => Ok(step.recovered(view.as_ref())),
        // The answer itself, later than somebody gave it up: better than anything a question can tell.
        (State::Recovering { .. }, Event::Accepted(Some(job))) => Ok(step.follow(job, LATE_ANSWER)),
        (State::Following { .. } | State::Verifying { .. }, Event::Accepted(Some(job)))
            if change.record.shown.is_none() && step.presumes() && !change.record.jobs.contains(job) =>
        {
            Ok(step.follow(job, LATE_ANSWER))
        }
        (State::Recovering { .. }, Event::Error(error)) => Ok(step.question_failed(error)),

        (State::Following { job }, Event::Woken) => Ok(step.stay().call(step.show_job(job), "follow")),
        (State::Following { job }, Event::Job(view)) => Ok(step.followed(job, view)),
        (State::Following { job }, Event::Error(error)) => Ok(step.follow_failed(job, error)),

        (State::Verifying { .. }, Event::Woken | Event::Proved(_)) if change.record.shown.is_some() => step.on_the_wire(event),
        (State::Verifying { .. }, Event::Woken) => Ok(step.stay().call(step.inspect(), "the check after the switch")),
        (State::Verifying { .. }, Event::Observed(view)) if change.record.shown.is_none() => Ok(step.verified(view.as_ref())),
        (State::Verifying { .. }, Event::Error(error)) if change.record.shown.is_none() => Ok(step.verify_failed(error)),

        (State::Failed { .. } | State::InDoubt { .. }, Event::Requeue) => step.requeue(),
        (State::InDoubt { .. }, Event::Adopt(job)) => step.adopt(job),
        (State::InDoubt { .. }, Event::GiveUp(why)) => step.give_up(why),

        (State::Succeeded { how }, Event::Undo) => step.undo(*how),
        (State::Failed { reason }, Event::Undo) if reason.word == ReasonWord::NotProven => step.undo_unproven(),

        // Everything else came late, twice or to the wrong state. Listed, so that a new event must be thought about.
        (
            State::Queued,
            Event::Woken
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Ready,
            Event::Release
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Inspecting,
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_),
        )
        | (
            State::Submitting { .. },
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_),
        )
        | (
            State::Recovering { .. },
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Accepted(None)
            | Event::Job(_)
            | Event::Proved(_),
        )
        | (
            State::Following { .. },
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Found { .. }
            | Event::Proved(_),
        )
        | (
            State::Verifying { .. },
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Failed { .. } | State::InDoubt { .. },
            Event::Woken
            | Event::Release
            | Event::Cancel
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Succeeded { .. },
            Event::Woken
            | Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Cancelled | State::Reverted { .. } | State::Skipped { .. },
            Event::Woken
            | Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (State::Failed { .. }, Event::Adopt(_) | Event::GiveUp(_)) => Err(Stale),
    }
}

/// What a look showed, for people.
fn what(view: Option<&ProxyView>) -> String {
    match view {
        Some(view) => {
            format!("the proxy is {}, ssl_option {}", view.word, view.ssl_option.map_or("unknown".to_owned(), |on| on.to_string()))
        }
        None => "the proxy is not listed".to_owned(),
    }
}

/// One decision in the making.
struct Step<'a> {
    change: &'a Change,
    ctx: &'a Context<'a>,
    /// Those of the next record.
    setbacks: Option<Box<Setbacks>>,
}

/// A record in the making; finished by saying what comes next.
struct Next<'a> {
    was: &'a Record,
    record: Record,
}

impl Next<'_> {
    fn finish(mut self, call: Option<Call>, wake: Wake, why: String) -> Decision {
        if self.record != *self.was {
            self.record.version += 1;
        }
        Decision { record: self.record, call, probe: None, wake, why }
    }
    fn call(self, call: Call, why: &str) -> Decision {
        self.finish(Some(call), Wake::Never, why.into())
    }
    fn now(self, why: &str) -> Decision {
        self.finish(None, Wake::In(Duration::ZERO), why.into())
    }
    fn probe(self, endpoint: &Endpoint, why: &str) -> Decision {
        Decision { probe: Some(endpoint.clone()), ..self.finish(None, Wake::Never, why.into()) }
    }
    fn after(self, wait: Duration, why: impl Into<String>) -> Decision {
        self.finish(None, Wake::In(wait), why.into())
    }
    fn never(self, why: impl Into<String>) -> Decision {
        self.finish(None, Wake::Never, why.into())
    }
}

impl<'a> Step<'a> {
    fn new(change: &'a Change, event: &Event, ctx: &'a Context<'a>) -> Self {
        Self { change, ctx, setbacks: Setbacks::after(change, event) }
    }

    fn stay(&self) -> Next<'a> {
        Next { was: &self.change.record, record: self.change.record.clone() }
    }

    fn to(&self, state: State) -> Next<'a> {
        let setbacks = self.setbacks.clone();
        Next { was: &self.change.record, record: Record { state, setbacks, ..self.change.record.clone() } }
    }

    fn inspect(&self) -> Call {
        Call::Inspect { target: self.change.target.clone() }
    }

    fn show_job(&self, job: &JobId) -> Call {
        Call::Follow { target: self.change.target.clone(), job: job.clone() }
    }

    fn doubt(&self, sent: Timestamp, cloud: Option<Span>) -> Doubt {
        Doubt { sent, cloud, now: self.ctx.now, cloud_now: self.ctx.cloud }
    }

    fn desired(&self, view: &ProxyView) -> bool {
        view.status == ProxyStatus::Idle && view.ssl_option == Some(self.change.desired)
    }

    /// Waits that grow by half with every look, from `poll` to `poll_max`.
    fn poll(&self, looks: u32) -> Duration {
        let mut wait = self.ctx.timing.poll;
        for _ in 0..looks.min(32) {
            wait = (wait + wait / 2).min(self.ctx.timing.poll_max);
        }
        wait.min(self.ctx.timing.poll_max)
    }

    fn next_poll(&self, why: impl Into<String>) -> Decision {
        self.stay().after(self.poll(self.ctx.looks), why)
    }

    fn ready(&self) -> Decision {
        match self.ctx.gate {
            Gate::Withdrawn => return self.withdrawn(),
            Gate::Held => return self.to(State::Queued).never("held by the rollout"),
            Gate::Open => {}
        }
        match &self.ctx.window {
            // Its place in flight is kept, as by one that waits for its lane's quota.
            Opening::Open { .. } if let Some(why) = self.held_by_lane() => self.stay().after(HELD_LOOK, why),
            Opening::Open { .. } => match &self.change.record.adopted {
                Some(job) => self.follow(job, "the job that a person named"),
                None => self.to(State::Inspecting).call(self.inspect(), "the check before the switch"),
            },
            // A place in flight and an instance are not kept over a closed window; the rollout releases it again.
            Opening::Shut { .. } => self.to(State::Queued).never("the window is shut"),
        }
    }

    /// What begins here may lead to a PUT, and its lane takes none.
    fn held_by_lane(&self) -> Option<&'static str> {
        self.ctx.lane_held.filter(|_| !self.ctx.survey && self.change.record.adopted.is_none())
    }

    fn inspected(&self, view: Option<&ProxyView>) -> Decision {
        if let Some(left) = self.left_alone(view) {
            return left;
        }
        let Some(view) = view else {
            return self.fail(ReasonWord::NotFound, "the instance has no such proxy".into());
        };
        if self.desired(view) {
            // No job of ours was seen to complete, or it would have been found in `Verifying`.
            let how = if self.sent_any() { How::SwitchedJobUnknown } else { How::AlreadyRight };
            return self.shows(view, how, "the proxy shows the wanted value");
        }
        if let Some(skipped) = self.not_as_seen(view) {
            return skipped;
        }
        let mut ready = self.to(State::Ready);
        ready.record.misses = 0;
        match view.status {
            ProxyStatus::Faulty => return self.fail(ReasonWord::Faulty, format!("the proxy is {}", view.word)),
            ProxyStatus::Busy => return self.busy(ready, format!("the proxy is {}", view.word)),
            ProxyStatus::Idle => {}
        }
        if self.ctx.survey {
            return self.surveyed(view);
        }
        if self.ctx.gate != Gate::Open || matches!(self.ctx.window, Opening::Shut { .. }) {
            return ready.now("gate or window shut meanwhile");
        }
        if let Some(why) = self.held_by_lane() {
            return ready.after(HELD_LOOK, why);
        }
        let attempts = self.change.record.attempts;
        if attempts >= self.ctx.retry.max_attempts {
            // No way leads here; yet this is the last place that can keep a record from overspending.
            return self.fail(ReasonWord::AttemptsSpent, format!("{} spent", count(attempts, "attempt is", "attempts are")));
        }
        let mut next = self.to(State::Submitting { sent: self.ctx.now, cloud: self.ctx.cloud.map(Span::whole_seconds) });
        match &mut next.record.undo {
            Some(undo) => undo.puts = undo.puts.saturating_add(1),
            None if attempts == 0 => next.record.before = view.ssl_option,
            None => {}
        }
        next.record.attempts = attempts + 1;
        next.record.misses = 0;
        next.record.shown = None;
        next.call(Call::Submit { target: self.change.target.clone(), ssl_option: self.change.desired }, "switch")
    }

    /// Compare, then set: a proxy that is not as whoever said yes to the plan saw it is left to a person. Once a PUT of
    /// ours was sent, the comparison was made; and the wanted value, shown while other work is on, only needs a wait.
    fn not_as_seen(&self, view: &ProxyView) -> Option<Decision> {
        let record = &self.change.record;
        let fresh = record.undo.is_none() && record.attempts == 0 && view.ssl_option != Some(self.change.desired);
        let seen = self.change.target.seen.filter(|seen| fresh && view.ssl_option != Some(*seen))?;
        let shows = view.ssl_option.map_or_else(|| "does not tell it".to_owned(), |value| format!("shows {value}"));
        let why = format!("the list of targets was made when ssl_option was {seen}, and now the proxy {shows}: somebody changed it since");
        Some(self.skip(ReasonWord::NotAsSeen, why))
    }

    /// Its plan only looks, and the proxy is idle without the wanted value: nothing is ever sent.
    fn surveyed(&self, view: &ProxyView) -> Decision {
        match view.ssl_option {
            Some(value) => self.skip(ReasonWord::Drifted, format!("drifted: the proxy shows ssl_option {value}")),
            None => self.fail(ReasonWord::Unreadable, "the cloud does not tell ssl_option: whether it drifted is not known".into()),
        }
    }

    fn inspect_failed(&self, error: &CallError) -> Decision {
        match error.disposition {
            Disposition::Withheld | Disposition::Throttled | Disposition::Unauthorised | Disposition::Misdated => {
                self.to(State::Ready).now(&error.message)
            }
            Disposition::Busy => self.busy(self.to(State::Ready), error.message.clone()),
            Disposition::NotDone | Disposition::Unknown => {
                let mut next = self.to(State::Ready);
                next.record.misses = next.record.misses.saturating_add(1);
                let misses = next.record.misses;
                if misses >= LOOKS_MAX {
                    let what = format!("the check before the switch failed {misses} times in a row, the last: {}", error.message);
                    return self.fail(ReasonWord::Unreadable, what);
                }
                let wait = self.ctx.retry.delay(u32::from(misses), self.change.id);
                next.after(wait, error.message.clone())
            }
            Disposition::NotFound => self.fail(ReasonWord::NotFound, error.message.clone()),
            Disposition::Fatal => self.fail(ReasonWord::Refused, error.message.clone()),
        }
    }

    fn submit_failed(&self, sent: Timestamp, cloud: Option<Span>, error: &CallError) -> Decision {
        match error.disposition {
            Disposition::Withheld | Disposition::Throttled | Disposition::Unauthorised | Disposition::Misdated => {
                self.unspent().now(&error.message)
            }
            Disposition::Busy => self.busy(self.unspent(), error.message.clone()),
            Disposition::NotDone => self.again(&error.message),
            Disposition::Unknown => self.in_doubt(sent, cloud, error.message.clone()),
            Disposition::NotFound => self.fail(ReasonWord::NotFound, error.message.clone()),
            Disposition::Fatal => self.fail(ReasonWord::Refused, error.message.clone()),
        }
    }

    /// Back to `Ready` with the attempt given back: the PUT surely was not executed and it was not its fault.
    fn unspent(&self) -> Next<'a> {
        let mut next = self.to(State::Ready);
        next.record.attempts = next.record.attempts.saturating_sub(1);
        if let Some(undo) = &mut next.record.undo {
            undo.puts = undo.puts.saturating_sub(1);
        } else if next.record.attempts == 0 && next.record.jobs.is_empty() {
            // Nothing of ours reached the proxy: what stands there next is not our doing.
            next.record.before = None;
        }
        next
    }

    /// Whether a PUT of ours may ever have reached the proxy, in this life of the change or before a requeue.
    fn sent_any(&self) -> bool {
        let record = &self.change.record;
        if let Some(undo) = &record.undo {
            return undo.puts > 0;
        }
        record.attempts > 0 || !record.jobs.is_empty() || record.before.is_some()
    }

    /// Other work is waited out, and named where the cloud tells its name.
    fn busy(&self, mut next: Next<'a>, what: String) -> Decision {
        let what = match self.ctx.occupied {
            Some(job) => format!("{what}; {job} runs on its instance"),
            None => what,
        };
        next.record.waits = next.record.waits.saturating_add(1);
        let waits = next.record.waits;
        if waits >= BUSY_WAITS_MAX {
            return self.fail(ReasonWord::Busy, format!("still busy after {waits} waits: {what}"));
        }
        next.after(self.poll(u32::from(waits)), what)
    }

    fn again(&self, what: &str) -> Decision {
        let attempts = self.change.record.attempts;
        if attempts >= self.ctx.retry.max_attempts {
            let attempts = if attempts == 1 { "the only attempt".to_owned() } else { format!("{attempts} attempts, the last") };
            return self.fail(ReasonWord::AttemptsSpent, format!("{attempts}: {what}"));
        }
        let mut next = self.to(State::Ready);
        next.record.waits = 0;
        next.after(self.ctx.retry.delay(u32::from(attempts), self.change.id), what)
    }

    fn in_doubt(&self, sent: Timestamp, cloud: Option<Span>, why: String) -> Decision {
        self.to(State::Recovering { sent, cloud, candidates: None, covered: false }).after(self.ctx.timing.settle, why)
    }

    /// The first question, never before `settle` has passed: a daemon that has just taken the change over cannot know when
    /// its PUT left, and waits from its own start.
    fn question(&self, doubt: &Doubt) -> Decision {
        match self.ctx.timing.settle.checked_sub(self.ctx.waited) {
            Some(left) if !left.is_zero() => self.stay().after(left, "what was sent may still be landing"),
            Some(_) | None => {
                let call = Call::FindJobs { target: self.change.target.clone(), within: doubt.asked(), offset: 1 };
                self.stay().call(call, "the list of jobs is read")
            }
        }
    }

    fn follow(&self, job: &JobId, why: &str) -> Decision {
        let mut next = self.to(State::Following { job: job.clone() });
        // The job that a person names may be one that was read before.
        let known = next.record.adopted.take().is_some() && next.record.jobs.contains(job);
        if known {
            next.record.not_presumed(job);
        } else {
            next.record.add_job(job);
        }
        next.record.waits = 0;
        next.after(self.ctx.timing.poll, why)
    }

    fn found(&self, doubt: &Doubt, jobs: &[JobSeen], asked: Span) -> Decision {
        if let [seen] = jobs {
            return self.adopt_only(seen);
        }
        let (sent, cloud, candidates) = (doubt.sent, doubt.cloud, u16::try_from(jobs.len()).unwrap_or(u16::MAX));
        let covered = doubt.is_covered_by(asked);
        let next = self.to(State::Recovering { sent, cloud, candidates: Some(candidates), covered });
        next.call(self.inspect(), "the job list does not settle it")
    }

    fn recovered(&self, view: Option<&ProxyView>) -> Decision {
        let State::Recovering { sent, cloud, candidates, covered } = self.change.record.state else {
            unreachable!("only a change in doubt is recovered");
        };
        if let Some(view) = view {
            if self.desired(view) {
                return self.shows(view, How::SwitchedJobUnknown, "the proxy shows the wanted value; job id not recovered");
            }
            let unchanged = view.status == ProxyStatus::Idle && view.ssl_option.is_some();
            if unchanged && candidates == Some(0) && covered {
                let why = "not executed: the proxy is unchanged and the instance has no job of ours";
                return self.again(&self.with_cause(why));
            }
        }
        let what = what(view);
        if self.ctx.waited >= self.ctx.timing.recover_limit {
            let jobs = match candidates {
                Some(0) if !covered => "no unexplained job, but the cloud tells no time, so its list may miss ours".to_owned(),
                candidates => format!("{} unexplained jobs", candidates.unwrap_or(0)),
            };
            return self.quarantine(ReasonWord::Unreadable, self.with_cause(&format!("{what}; {jobs}")));
        }
        // Ask for the job again first: it may have become visible, and its id is worth having.
        self.to(State::Recovering { sent, cloud, candidates: None, covered: false }).after(self.poll(self.ctx.looks), what)
    }

    fn question_failed(&self, error: &CallError) -> Decision {
        if self.ctx.waited >= self.ctx.timing.recover_limit {
            let why = format!("the cloud could not be asked: {}", error.message);
            return self.quarantine(ReasonWord::Unreadable, self.with_cause(&why));
        }
        self.next_poll(error.message.clone())
    }

    fn followed(&self, job: &JobId, view: &JobView) -> Decision {
        match view {
            JobView::Completed => self.to(State::Verifying { job: Some(job.clone()) }).call(self.inspect(), "the job completed"),
            JobView::Broken { reason } if self.presumes() => {
                self.to(State::Verifying { job: None }).call(self.inspect(), &format!("the presumed job failed: {reason}"))
            }
            JobView::Broken { reason } => self.again(&format!("the job failed: {reason}")),
            JobView::Running { .. } if self.ctx.waited >= self.ctx.timing.job_limit => {
                self.quarantine(ReasonWord::JobLimit, format!("job {job} still runs after {} s", self.ctx.waited.as_secs()))
            }
            JobView::Running { process } => self.next_poll(format!("running {process}")),
        }
    }

    fn follow_failed(&self, job: &JobId, error: &CallError) -> Decision {
        // A new job stays invisible for several seconds, and one older than a month is forgotten.
        if error.disposition == Disposition::NotFound && self.ctx.waited >= self.ctx.timing.settle {
            return self.to(State::Verifying { job: Some(job.clone()) }).call(self.inspect(), "the cloud does not know the job any more");
        }
        if self.ctx.waited >= self.ctx.timing.job_limit {
            return self.quarantine(ReasonWord::JobLimit, format!("job {job} could not be read: {}", error.message));
        }
        self.next_poll(error.message.clone())
    }

    fn verified(&self, view: Option<&ProxyView>) -> Decision {
        let late = self.ctx.waited >= self.ctx.verify_timeout;
        if let Some(view) = view.filter(|view| self.desired(view)) {
            return self.met(|how| self.shows(view, how, "the proxy shows the wanted value"));
        }
        if late && let Some(set_aside) = self.set_aside(&what(view)) {
            return set_aside;
        }
        match view {
            Some(view) if late && view.ssl_option.is_none() => {
                self.quarantine(ReasonWord::Unreadable, "the job completed, and the cloud does not tell ssl_option".into())
            }
            Some(view) if late => {
                let value = if view.ssl_option == Some(self.change.desired) { "wanted" } else { "other" };
                self.fail(ReasonWord::Unverified, format!("the job completed, and the proxy is {} with the {value} value", view.word))
            }
            None if late => self.fail(ReasonWord::NotFound, "the job completed, and the proxy is not listed".into()),
            Some(view) => self.next_poll(format!("the proxy is {}", view.word)),
            None => self.next_poll("the proxy is not listed"),
        }
    }

    fn verify_failed(&self, error: &CallError) -> Decision {
        if self.ctx.waited >= self.ctx.timing.recover_limit.max(self.ctx.verify_timeout) {
            return self.quarantine(ReasonWord::Unreadable, format!("the proxy could not be looked at: {}", error.message));
        }
        self.next_poll(error.message.clone())
    }

    /// Its rollout is being put back, and it is not: it goes no way any more.
    fn left_behind(&self) -> bool {
        self.ctx.gate == Gate::Withdrawn && self.change.record.undo.is_none()
    }

    fn give_up(&self, why: &str) -> Result<Decision, Stale> {
        // What failed before a revert began is counted as it stood then.
        if self.left_behind() { Err(Stale) } else { Ok(self.fail(ReasonWord::GivenUp, why.to_owned())) }
    }

    fn requeue(&self) -> Result<Decision, Stale> {
        if self.left_behind() {
            return Err(Stale);
        }
        let mut next = self.to(State::Queued);
        next.record.attempts = 0;
        next.record.waits = 0;
        next.record.misses = 0;
        next.record.setbacks = None;
        Ok(next.never("tried again on request"))
    }

    /// As a retry, but the job is followed first, before anything is sent again. It waits for its release as all do, so that no
    /// limit is passed by.
    fn adopt(&self, job: &JobId) -> Result<Decision, Stale> {
        let mut decision = self.requeue()?;
        // One PUT is known to have been taken.
        decision.record.attempts = self.change.record.attempts.min(1);
        decision.record.setbacks = self.setbacks.clone();
        decision.record.adopted = Some(job.clone());
        decision.why = format!("a person named job {job}");
        Ok(decision)
    }

    fn done(&self, how: How, why: &str) -> Decision {
        let state = if self.change.record.undo.is_some() { State::Reverted { how } } else { State::Succeeded { how } };
        self.to(state).never(why)
    }

    fn fail(&self, word: ReasonWord, message: String) -> Decision {
        let why = message.clone();
        self.to(State::Failed { reason: Reason { word, message } }).never(why)
    }

    fn quarantine(&self, word: ReasonWord, message: String) -> Decision {
        let why = message.clone();
        self.to(State::InDoubt { reason: Reason { word, message } }).never(why)
    }
}
