//! What a rollout is, what can happen to it, and what a decision says.
//!
//! Invariant: what is stored has fields that older records lack, each with a default; a word of a
//! phase or a halt never changes.
//!
//! Deliberately not here: what follows from an event (`table`).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Approved, Revert};
use crate::domain::change::{self, Clearance, Wake};
use crate::domain::count::count;
use crate::domain::id::{Digest, JobId, Name};
use crate::domain::person::{Attribution, Person};
use crate::domain::plan::Plan;
use crate::domain::tally::Tally;
use crate::domain::window::Opening;
use crate::domain::window_log::{Gap, WindowLog};

/// The part of a rollout that moves: this is what is stored, and what the journal carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub phase: Phase,
    /// Since when its phase has this word; `None`: it was submitted, or moved last, under an
    /// earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_since: Option<Timestamp>,
    /// Set while an operator holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Attribution>,
    /// When the pause ends by itself; `None`: when somebody resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
    /// Who approved it so far, in the order in which they did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approved>,
    /// A `retry` is being carried out: failed changes go back to the queue before anything else is
    /// judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requeue: Option<Requeue>,
    /// Place of the first target that was never released.
    pub cursor: u32,
    /// Raised when phase, pause, requeue or approvals change: what a change's decision depends on.
    pub version: u64,
    /// Raised by every release, and by every note about its windows: two releases decided on the
    /// same tally cannot both be committed, nor one window be counted twice.
    pub releases: u64,
    /// Which windows opened and which were missed.
    #[serde(default, skip_serializing_if = "WindowLog::is_new")]
    pub windows: WindowLog,
}

impl Record {
    /// A rollout just submitted.
    pub fn submitted() -> Self {
        Self {
            phase: Phase::Scheduled,
            phase_since: None,
            paused: None,
            paused_until: None,
            approvals: Vec::new(),
            requeue: None,
            cursor: 0,
            version: 0,
            releases: 0,
            windows: WindowLog::default(),
        }
    }

    /// What a change of wave `wave` may begin now; `undo`: one that is put back.
    pub fn gate(&self, wave: u16, undo: bool) -> Clearance {
        match &self.phase {
            Phase::Aborted { .. } | Phase::Reverted => Clearance::Withdrawn,
            Phase::Reverting(_) | Phase::Halted { revert: Some(_), .. } if !undo => {
                Clearance::Withdrawn
            }
            Phase::Reverting(revert) if self.paused.is_none() && revert.lets(wave) => {
                Clearance::Open
            }
            Phase::Advancing { wave: current }
                if !undo && self.paused.is_none() && wave <= *current =>
            {
                Clearance::Open
            }
            Phase::Scheduled
            | Phase::Advancing { .. }
            | Phase::Soaking { .. }
            | Phase::Awaiting { .. }
            | Phase::Halted { .. }
            | Phase::Reverting(_)
            | Phase::Completed => Clearance::Held,
        }
    }

    /// Whether whatever was never released is withdrawn for good: nothing leads back from there.
    pub fn is_withdrawn(&self) -> bool {
        match &self.phase {
            Phase::Aborted { .. }
            | Phase::Reverting(_)
            | Phase::Reverted
            | Phase::Halted { revert: Some(_), .. } => true,
            Phase::Scheduled
            | Phase::Advancing { .. }
            | Phase::Soaking { .. }
            | Phase::Awaiting { .. }
            | Phase::Halted { revert: None, .. }
            | Phase::Completed => false,
        }
    }

    /// Whether a guard against failures stopped a wave of which nothing is queued or active any
    /// more: a promotion leaves it.
    pub fn is_left_by_promotion(&self, tallies: &[Tally]) -> bool {
        let Phase::Halted { wave, reason: Halt::Failures { .. } | Halt::Half { .. }, revert: None } =
            self.phase
        else {
            return false;
        };
        tallies.iter().take(usize::from(wave) + 1).all(|tally| tally.queued + tally.active == 0)
    }

    /// The revert that is under way or halted.
    pub fn revert(&self) -> Option<&Revert> {
        match &self.phase {
            Phase::Reverting(revert) | Phase::Halted { revert: Some(revert), .. } => Some(revert),
            _ => None,
        }
    }
}

/// Where a rollout stands. The words are those of CLI, API, metrics and journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Phase {
    /// Waits for `not_before`.
    Scheduled,
    /// Works on a wave (and on what a retry put back from earlier ones).
    Advancing {
        /// Index of the wave, from 0.
        wave: u16,
    },
    /// The wave is done; waits before the next.
    Soaking {
        /// The wave that is done.
        wave: u16,
        until: Timestamp,
    },
    /// The wave is done and soaked; a person must promote.
    Awaiting {
        /// The wave that is done.
        wave: u16,
    },
    /// A guard stopped it; a person must retry or abort.
    Halted {
        /// The wave it stopped in.
        wave: u16,
        reason: Halt,
        /// It stopped while it put back what it had changed, and goes on with that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revert: Option<Box<Revert>>,
    },
    /// Puts back what it changed, the newest wave first.
    Reverting(Box<Revert>),
    /// Final: every change has its outcome.
    Completed,
    /// Final: an operator stopped it. What is in flight is followed to its end.
    Aborted { mark: Attribution },
    /// Final: what it changed, and nobody changed since, is as it was before.
    Reverted,
}

impl Phase {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Advancing { .. } => "advancing",
            Self::Soaking { .. } => "soaking",
            Self::Awaiting { .. } => "awaiting",
            Self::Halted { .. } => "halted",
            Self::Completed => "completed",
            Self::Aborted { .. } => "aborted",
            Self::Reverting(_) => "reverting",
            Self::Reverted => "reverted",
        }
    }

    /// Whether nothing moves it any more.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::Aborted { .. } | Self::Reverted)
    }

    /// The wave it is in, if any.
    pub fn wave(&self) -> Option<u16> {
        match self {
            Self::Advancing { wave }
            | Self::Soaking { wave, .. }
            | Self::Awaiting { wave }
            | Self::Halted { wave, .. } => Some(*wave),
            Self::Reverting(revert) => Some(revert.wave),
            Self::Scheduled | Self::Completed | Self::Aborted { .. } | Self::Reverted => None,
        }
    }
}

/// Which guard stopped a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "guard", rename_all = "snake_case")]
pub enum Halt {
    /// `max_failures` of the rollout or of the wave is spent.
    Failures {
        /// Failed and in-doubt changes at that time.
        failures: u32,
        /// The budget that they reached.
        budget: u32,
    },
    /// A wave ended with half or more of it failed or in doubt, whatever its budget.
    Half {
        /// Failed and in-doubt changes of the wave.
        failures: u32,
        /// All changes of the wave.
        size: u32,
    },
    /// `progress_deadline`: too much open-window time passed without a change ending.
    Stalled {
        /// That time, in seconds.
        seconds: u64,
        /// What its changes were at.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// Changes could not be put back, or it is not known whether they were.
    Revert { failures: u32 },
}

/// Which settled changes a `retry` puts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requeue {
    Failed,
    /// The failed ones and those in doubt.
    FailedAndInDoubt,
}

/// What a person says of one change that failed or is in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    Again,
    /// In doubt: this is its job.
    Adopt(JobId),
    /// In doubt: it counts as failed.
    GiveUp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Begin nothing new until resumed, or until an instant.
    Pause {
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// Take the pause back.
    Resume,
    /// Begin nothing new for ever; what waits is cancelled.
    Abort,
    /// Put failed changes back, and go on if halted.
    Retry(Requeue),
    /// Say what becomes of one change that failed or is in doubt.
    ByHand {
        /// The change's place in the list of targets.
        ordinal: u32,
        what: ByHand,
    },
    /// Let the next wave begin.
    Promote,
    /// Let it begin at all: what was looked at is what will run.
    Approve {
        /// The digest that was looked at.
        digest: Digest,
    },
    /// Put back what it changed and nobody changed since.
    Revert,
}

impl Verb {
    /// The verb as typed.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Retry(_) | Self::ByHand { what: ByHand::Again, .. } => "retry",
            Self::ByHand { what: ByHand::Adopt(_) | ByHand::GiveUp, .. } => "resolve",
            Self::Promote => "promote",
            Self::Approve { .. } => "approve",
            Self::Revert => "revert",
        }
    }
}

/// What can happen to a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its time has come, or one of its changes settled.
    Woken,
    /// The engine put back all that a retry asked for.
    Requeued,
    /// A stretch of what [`Effect::Gather`] asked for is about to be marked; the decision is
    /// committed with the stretch, so that no crash and no other daemon comes between the two.
    Marking {
        /// How many of the stretch had failed.
        failed: u32,
    },
    /// The engine marked what [`Effect::Gather`] asked for.
    Gathered {
        /// There was more than is marked in one go.
        more: bool,
    },
    Command {
        verb: Verb,
        mark: Attribution,
        /// Their number on the daemon's host, where it is known.
        uid: Option<u32>,
    },
}

/// All that a decision may know beside record, tallies and event.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    pub now: Timestamp,
    pub plan: &'a Plan,
    pub by: &'a Person,
    pub tallies: &'a [Tally],
    /// What the calendar says now, of a revert while one is under way.
    pub window: Opening,
    /// Time since a change last ended, as far as this process knows. Counted only while the rollout
    /// advances, is not paused and has an open window, and not while all its changes wait for lanes
    /// that are held; it begins again whenever the rollout begins or goes on to advance, so that a
    /// `retry` after a stall has the whole deadline again.
    pub stalled: Duration,
    /// What its changes are at, when `stalled` has reached the deadline.
    pub at_work: String,
    /// When it was submitted.
    pub since: Timestamp,
    /// Why nobody looked since the last look.
    pub gap: Gap,
    /// The slowest of the wall's, the boot's and the cloud's clock, each since the soak or the
    /// pause was first seen: no step of one of them ends either.
    pub slowest: Slowest,
}

/// What the slowest clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowest {
    pub soak: Timestamp,
    /// To a pause with an end.
    pub pause: Timestamp,
}

impl Slowest {
    pub fn all(now: Timestamp) -> Self {
        Self { soak: now, pause: now }
    }
}

/// What is done to the rollout's own changes, in the same commit or right after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    None,
    /// Release up to so many queued changes of waves up to this one, in the list's order.
    Release {
        /// The last wave from which to release.
        wave: u16,
        /// How many at most.
        count: u32,
    },
    /// Cancel every queued change.
    Withdraw,
    /// Give this change this event, in the same commit; a change for which it means nothing refuses
    /// the verb.
    ByHand {
        /// The change's place in the list of targets.
        ordinal: u32,
        event: change::Event,
    },
    /// Put the changes back that [`Record::requeue`] names; then report [`Event::Requeued`].
    Requeue,
    /// Mark what succeeded in this wave to be put back; then report [`Event::Gathered`].
    Gather {
        wave: u16,
    },
}

/// What a decision says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The next record; its version is one higher if and only if phase, pause, requeue or approvals
    /// changed.
    pub record: Record,
    /// What to do to its changes.
    pub effect: Effect,
    /// When to look again if nothing happens.
    pub wake: RolloutWake,
    /// Why, for the journal.
    pub why: String,
}

/// When a rollout wants to be looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutWake {
    /// After a wait, or not by time.
    Change(Wake),
    /// At this instant of the wall clock.
    At(Timestamp),
}

/// Why a verb means nothing now; shown to the operator word for word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The rollout is over.
    #[error("the rollout is {phase}; nothing can be done to it any more{hint}")]
    Final {
        phase: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// It is paused already.
    #[error("already paused by {by}")]
    AlreadyPaused { by: String },
    /// It is not paused.
    #[error("not paused; it is {phase}")]
    NotPaused { phase: &'static str },
    /// There is nothing to retry.
    #[error("nothing to retry: no change of this rollout failed")]
    NothingToRetry,
    /// The one change that was named is not to be decided by hand.
    #[error("nothing to {verb}: the change is {state}; {help}")]
    NotByHand {
        verb: &'static str,
        state: &'static str,
        /// What it is for.
        help: &'static str,
    },
    /// Changes failed only in a way that `retry` leaves to a person.
    #[error(
        "nothing to retry: {in_doubt} changes are in doubt; look at the proxies, then use `retry --in-doubt`"
    )]
    OnlyInDoubt { in_doubt: u32 },
    /// Promotion is for a wave that is done.
    #[error("nothing to promote: the rollout is {phase}")]
    NothingToPromote { phase: &'static str },
    /// A halted wave is left when it is done.
    #[error(
        "nothing to promote yet: {left} changes of wave {wave} have no outcome; `retry` goes on with them"
    )]
    WaveNotDone {
        wave: Name,
        /// Changes that are queued or active.
        left: u32,
    },
    /// Who leaves a halted wave says why.
    #[error(
        "wave {wave} is halted: a promotion goes on without what failed; say why with `--reason`"
    )]
    ReasonMissing { wave: Name },
    /// The next wave would halt at once.
    #[error("nothing to promote: {} the rollout's budget of {budget}; `retry` tries again", count(*.failures, "failure reaches", "failures reach"))]
    BudgetSpent {
        /// Failed and in-doubt changes of the rollout.
        failures: u32,
        budget: u32,
    },
    /// A rollout whose every change failed is never called completed.
    #[error(
        "nothing to promote: every change failed or is in doubt; `retry` tries them again, `abort` ends the rollout"
    )]
    EveryChangeFailed,
    /// A pause that would be over at once.
    #[error("a pause until {until} is over already; it is {now}")]
    UntilPassed { until: Timestamp, now: Timestamp },
    /// The plan asks for no approval.
    #[error("nothing to approve: the plan asks for no approval")]
    NoApprovalAsked,
    /// The approvals are complete.
    #[error("nothing to approve: the rollout is {phase}, and was approved by {by}")]
    ApprovedAlready { phase: &'static str, by: String },
    /// Another plan, or other targets, were looked at.
    #[error(
        "the digest of this rollout is {found}, not {given}: look at it again with `sealift plan`, then approve what you saw"
    )]
    OtherDigest {
        /// The digest of what would run.
        found: Digest,
        /// The digest of what was looked at.
        given: Digest,
    },
    /// Whoever submitted it is not who approves it.
    #[error(
        "{submitter} submitted this rollout, and {by} may be the same person: somebody else must approve it"
    )]
    OwnRollout { by: String, submitter: String },
    /// An approval is of a person who can be named.
    #[error(
        "{by} has no name on the daemon's host, and an approval is of a named person; `getent passwd` must name the user there"
    )]
    UnnamedApprover { by: String },
    /// One person approves once.
    #[error("{by} has approved it already; {left} more must")]
    SameApprover {
        by: String,
        /// Approvals that are missing.
        left: u16,
    },
    /// Nothing was changed yet.
    #[error(
        "nothing to revert: the rollout is {phase} and has changed nothing; use `sealift abort`"
    )]
    NothingToRevert { phase: &'static str },
    /// It puts back already.
    #[error("the rollout is {phase}: it puts back already what it changed, {cause}{hint}")]
    RevertingAlready {
        phase: &'static str,
        cause: String,
        /// What to do instead.
        hint: &'static str,
    },
}

/// Places free for a release, each bound by itself; a budget counts as if every change in flight
/// failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseRoom {
    /// What `max_in_flight` leaves.
    pub in_flight: u32,
    /// What the rollout's failure budget leaves.
    pub rollout: u32,
    /// What the wave's failure budget leaves.
    pub wave: u32,
}

impl ReleaseRoom {
    /// The room while `wave` advances.
    pub fn of(plan: &Plan, tallies: &[Tally], wave: u16) -> Self {
        let strategy = &plan.strategy;
        let all: Tally = tallies.iter().copied().sum();
        let own = tallies[usize::from(wave)];
        let own_budget = strategy.waves[usize::from(wave)].max_failures;
        Self {
            in_flight: strategy.max_in_flight.saturating_sub(all.active),
            rollout: strategy.max_failures.saturating_sub(all.failures() + all.active),
            wave: own_budget.saturating_sub(own.failures() + own.active),
        }
    }

    /// How many changes may be released.
    pub fn places(self) -> u32 {
        self.in_flight.min(self.rollout).min(self.wave)
    }
}
