//! One rollout: its phases, the operator's commands, and the table that says what happens next.
//!
//! Job: [`decide`]. It takes the rollout's record, a snapshot of its tallies, an event and the context, and returns the
//! next record and what to do to the rollout's own changes.
//!
//! Invariants: failures plus changes in flight never exceed a budget, because a release counts both; no change of a
//! later wave is released before its wave advances; a wave half of which failed is left by a person alone; a halt and an
//! abort are sticky until a person's verb; nothing leads from a revert back to going on.
//!
//! `paused` is a flag beside the phase, so resuming needs no memory of where it was. Deliberately not here: calls to
//! the cloud, and which targets are released (the engine picks them in the list's order).

mod approval;
mod revert;
#[cfg(test)]
mod table;
#[cfg(test)]
mod windows;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::approval::Approved;
pub use self::revert::{Cause, Revert, Stage};

use super::change::{self, Gate, Wake};
use super::count::count;
use super::id::{Digest, JobId, Name};
use super::missed::{Facts, Gap, Windows};
use super::person::Person;
use super::plan::{OnFailure, Plan, Promote};
use super::tally::Tally;
use super::window::Opening;

/// The part of a rollout that moves: this is what is stored, and what the journal carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Where it stands.
    pub phase: Phase,
    /// Since when its phase has this word; `None`: it was submitted, or moved last, under an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_since: Option<Timestamp>,
    /// Set while an operator holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Mark>,
    /// When the pause ends by itself; `None`: when somebody resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
    /// Who approved it so far, in the order in which they did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approved>,
    /// A `retry` is being carried out: failed changes go back to the queue before anything else is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requeue: Option<Requeue>,
    /// Place of the first target that was never released.
    pub cursor: u32,
    /// Raised when phase, pause, requeue or approvals change: what a change's decision depends on.
    pub version: u64,
    /// Raised by every release, and by every note about its windows: two releases decided on the same tally cannot both
    /// be committed, nor one window be counted twice.
    pub releases: u64,
    /// Which windows opened and which were missed.
    #[serde(default, skip_serializing_if = "Windows::is_new")]
    pub windows: Windows,
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
            windows: Windows::default(),
        }
    }

    /// What a change of wave `wave` may begin now; `undo`: one that is put back.
    pub fn gate(&self, wave: u16, undo: bool) -> Gate {
        match &self.phase {
            Phase::Aborted { .. } | Phase::Reverted => Gate::Withdrawn,
            Phase::Reverting(_) | Phase::Halted { revert: Some(_), .. } if !undo => Gate::Withdrawn,
            Phase::Reverting(revert) if self.paused.is_none() && revert.lets(wave) => Gate::Open,
            Phase::Advancing { wave: current } if !undo && self.paused.is_none() && wave <= *current => Gate::Open,
            Phase::Scheduled
            | Phase::Advancing { .. }
            | Phase::Soaking { .. }
            | Phase::Awaiting { .. }
            | Phase::Halted { .. }
            | Phase::Reverting(_)
            | Phase::Completed => Gate::Held,
        }
    }

    /// Whether whatever was never released is withdrawn for good: nothing leads back from there.
    pub fn is_withdrawn(&self) -> bool {
        match &self.phase {
            Phase::Aborted { .. } | Phase::Reverting(_) | Phase::Reverted | Phase::Halted { revert: Some(_), .. } => true,
            Phase::Scheduled
            | Phase::Advancing { .. }
            | Phase::Soaking { .. }
            | Phase::Awaiting { .. }
            | Phase::Halted { revert: None, .. }
            | Phase::Completed => false,
        }
    }

    /// Whether a guard against failures stopped a wave of which nothing is queued or active any more: a promotion leaves it.
    pub fn is_left_by_promotion(&self, tallies: &[Tally]) -> bool {
        let Phase::Halted { wave, reason: Halt::Failures { .. } | Halt::Half { .. }, revert: None } = self.phase else { return false };
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

/// Who did it and why: stands beside every operator's verb.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The operator, as the daemon knows them (user name of the socket's peer).
    pub by: String,
    /// `--reason`, may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it was acknowledged.
    pub at: Timestamp,
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.reason.is_empty() { f.write_str(&self.by) } else { write!(f, "{}: {}", self.by, self.reason) }
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
        /// Until then.
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
        /// Why.
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
    Aborted {
        /// Who and why.
        mark: Mark,
    },
    /// Final: what it changed, and nobody changed since, is as it was before.
    Reverted,
}

impl Phase {
    /// One lower-case word.
    pub fn word(&self) -> &'static str {
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
            Self::Advancing { wave } | Self::Soaking { wave, .. } | Self::Awaiting { wave } | Self::Halted { wave, .. } => Some(*wave),
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
    /// Changes could not be put back, or it cannot be told whether they were.
    Revert {
        /// How many.
        failures: u32,
    },
}

/// Which settled changes a `retry` puts back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requeue {
    /// The failed ones.
    Failed,
    /// The failed ones and those in doubt.
    FailedAndInDoubt,
}

/// What a person says of one change that failed or is in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByHand {
    /// Try it again.
    Again,
    /// In doubt: this is its job.
    Adopt(JobId),
    /// In doubt: it counts as failed.
    GiveUp,
}

/// An operator's verb.
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
        /// What.
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
    pub fn word(&self) -> &'static str {
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
    /// A stretch of what [`Effect::Gather`] asked for is about to be marked; the decision is committed with the stretch, so
    /// that no crash and no other daemon comes between the two.
    Marking {
        /// How many of the stretch had failed.
        failed: u32,
    },
    /// The engine marked what [`Effect::Gather`] asked for.
    Gathered {
        /// There was more than is marked in one go.
        more: bool,
    },
    /// An operator's verb.
    Command {
        /// Which.
        verb: Verb,
        /// Who and why.
        mark: Mark,
        /// Their number on the daemon's host, where it is known.
        uid: Option<u32>,
    },
}

/// All that a decision may know beside record, tallies and event.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Wall clock.
    pub now: Timestamp,
    /// The frozen plan.
    pub plan: &'a Plan,
    /// Who submitted it.
    pub by: &'a Person,
    /// Counts per wave.
    pub tallies: &'a [Tally],
    /// What the calendar says now, of a revert while one is under way.
    pub window: Opening,
    /// Time since a change last ended, as far as this process knows. Counted only while the rollout advances, is not
    /// paused and has an open window, and not while all its changes wait for lanes that are held; it begins anew whenever the rollout begins or goes on to advance, so that a
    /// `retry` after a stall has the whole deadline again.
    pub stalled: Duration,
    /// What its changes are at, when `stalled` has reached the deadline.
    pub at_work: String,
    /// When it was submitted.
    pub since: Timestamp,
    /// Why nobody looked since the last look.
    pub gap: Gap,
    /// The slowest of the wall's, the boot's and the cloud's clock, each since the soak or the pause was first seen: no step
    /// of one of them ends either.
    pub slowest: Slowest,
}

/// What the slowest clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowest {
    /// To a soak.
    pub soak: Timestamp,
    /// To a pause with an end.
    pub pause: Timestamp,
}

impl Slowest {
    /// All clocks agree.
    pub fn all(now: Timestamp) -> Self {
        Self { soak: now, pause: now }
    }
}

/// What is done to the rollout's own changes, in the same commit or right after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
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
    /// Give this change this event, in the same commit; a change for which it means nothing refuses the verb.
    ByHand {
        /// The change's place in the list of targets.
        ordinal: u32,
        /// The event.
        event: change::Event,
    },
    /// Put the changes back that [`Record::requeue`] names; then report [`Event::Requeued`].
    Requeue,
    /// Mark what succeeded in this wave to be put back; then report [`Event::Gathered`].
    Gather {
        /// The wave.
        wave: u16,
    },
}

/// What a decision says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The next record; its version is one higher if and only if phase, pause, requeue or approvals changed.
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

/// Why a verb means nothing now; told to the operator word for word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The rollout is over.
    #[error("the rollout is {phase}; nothing can be done to it any more{hint}")]
    Final {
        /// Its phase.
        phase: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// It is paused already.
    #[error("already paused by {by}")]
    AlreadyPaused {
        /// By whom.
        by: String,
    },
    /// It is not paused.
    #[error("not paused; it is {phase}")]
    NotPaused {
        /// Its phase.
        phase: &'static str,
    },
    /// There is nothing to retry.
    #[error("nothing to retry: no change of this rollout failed")]
    NothingToRetry,
    /// The one change that was named is not to be decided by hand.
    #[error("nothing to {verb}: the change is {state}; {help}")]
    NotByHand {
        /// The verb.
        verb: &'static str,
        /// The change's state.
        state: &'static str,
        /// What it is for.
        help: &'static str,
    },
    /// Changes failed only in a way that `retry` leaves to a person.
    #[error("nothing to retry: {in_doubt} changes are in doubt; look at the proxies, then use `retry --in-doubt`")]
    OnlyInDoubt {
        /// How many.
        in_doubt: u32,
    },
    /// Promotion is for a wave that is done.
    #[error("nothing to promote: the rollout is {phase}")]
    NothingToPromote {
        /// Its phase.
        phase: &'static str,
    },
    /// A halted wave is left when it is done.
    #[error("nothing to promote yet: {left} changes of wave {wave} have no outcome; `retry` goes on with them")]
    WaveNotDone {
        /// The wave's name.
        wave: Name,
        /// Changes that are queued or active.
        left: u32,
    },
    /// Who leaves a halted wave says why.
    #[error("wave {wave} is halted: a promotion goes on without what failed; say why with `--reason`")]
    ReasonMissing {
        /// The wave's name.
        wave: Name,
    },
    /// The next wave would halt at once.
    #[error("nothing to promote: {} the rollout's budget of {budget}; `retry` tries again", count(*.failures, "failure reaches", "failures reach"))]
    BudgetSpent {
        /// Failed and in-doubt changes of the rollout.
        failures: u32,
        /// Its budget.
        budget: u32,
    },
    /// A rollout whose every change failed is never called completed.
    #[error("nothing to promote: every change failed or is in doubt; `retry` tries them again, `abort` ends the rollout")]
    EveryChangeFailed,
    /// A pause that would be over at once.
    #[error("a pause until {until} is over already; it is {now}")]
    UntilPassed {
        /// Its end.
        until: Timestamp,
        /// Our clock.
        now: Timestamp,
    },
    /// The plan asks for no approval.
    #[error("nothing to approve: the plan asks for no approval")]
    NoApprovalAsked,
    /// The approvals are complete.
    #[error("nothing to approve: the rollout is {phase}, and was approved by {by}")]
    ApprovedAlready {
        /// Its phase.
        phase: &'static str,
        /// By whom.
        by: String,
    },
    /// Another plan, or other targets, were looked at.
    #[error("the digest of this rollout is {found}, not {given}: look at it again with `sealift plan`, then approve what you saw")]
    OtherDigest {
        /// The digest of what would run.
        found: Digest,
        /// The digest of what was looked at.
        given: Digest,
    },
    /// Whoever submitted it is not who approves it.
    #[error("{submitter} submitted this rollout, and {by} may be the same person: somebody else must approve it")]
    OwnRollout {
        /// Who would approve.
        by: String,
        /// The submitter.
        submitter: String,
    },
    /// An approval is of a person who can be named.
    #[error("{by} has no name on the daemon's host, and an approval is of a named person; `getent passwd` must name the user there")]
    UnnamedApprover {
        /// Their number.
        by: String,
    },
    /// One person approves once.
    #[error("{by} has approved it already; {left} more must")]
    SameApprover {
        /// Who.
        by: String,
        /// Approvals that are missing.
        left: u16,
    },
    /// Nothing was changed yet.
    #[error("nothing to revert: the rollout is {phase} and has changed nothing; use `sealift abort`")]
    NothingToRevert {
        /// Its phase.
        phase: &'static str,
    },
    /// It puts back already.
    #[error("the rollout is {phase}: it puts back already what it changed, {cause}{hint}")]
    RevertingAlready {
        /// Its phase.
        phase: &'static str,
        /// Since what.
        cause: String,
        /// What to do instead.
        hint: &'static str,
    },
}

/// How often a rollout is looked at when nothing else wakes it; bounds what a stepped clock can delay.
pub const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The table: phase × event → record, effect, wake.
pub fn decide(record: &Record, event: &Event, ctx: &Context<'_>) -> Result<Decision, Refusal> {
    let step = Step { record, ctx };
    let mut decision = match event {
        Event::Woken => step.woken(),
        Event::Requeued => step.requeued(),
        Event::Marking { failed } => step.marking(*failed),
        Event::Gathered { more } => step.gathered(*more),
        Event::Command { verb, mark, uid } => step.command(verb, mark, *uid)?,
    };
    let next = &mut decision.record;
    if !next.phase.is_final()
        && next.paused.is_some()
        && let Some(until) = next.paused_until
    {
        decision.wake = decision.wake.no_later_than(ctx.comes_at(until, ctx.slowest.pause), ctx.now);
    }
    if gates(next) != gates(record) {
        next.version += 1;
    }
    Ok(decision)
}

impl Context<'_> {
    /// When the slowest clock, which shows `clock` now, shows `until`: by our wall clock, if nothing is stepped meanwhile.
    fn comes_at(&self, until: Timestamp, clock: Timestamp) -> Timestamp {
        self.now.saturating_add(clock.duration_until(until)).unwrap_or(Timestamp::MAX)
    }
}

/// All of a record that its version stands for.
fn gates(record: &Record) -> impl PartialEq + '_ {
    (&record.phase, &record.paused, record.paused_until, record.requeue, &record.approvals)
}

impl RolloutWake {
    /// The earlier of the two.
    fn no_later_than(self, at: Timestamp, now: Timestamp) -> Self {
        match self {
            Self::Change(Wake::In(wait)) if now.checked_add(wait).is_ok_and(|then| then <= at) => self,
            Self::At(then) if then <= at => self,
            Self::Change(Wake::In(_) | Wake::Never) | Self::At(_) => Self::At(at),
        }
    }
}

/// Places free for a release, each bound by itself; a budget counts as if every change in flight failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What `max_in_flight` leaves.
    pub in_flight: u32,
    /// What the rollout's failure budget leaves.
    pub rollout: u32,
    /// What the wave's failure budget leaves.
    pub wave: u32,
}

impl Room {
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

struct Step<'a> {
    record: &'a Record,
    ctx: &'a Context<'a>,
}

impl Step<'_> {
    fn stay(&self, wake: RolloutWake, why: &str) -> Decision {
        Decision { record: self.record.clone(), effect: Effect::None, wake, why: why.into() }
    }

    fn to(&self, phase: Phase, why: impl Into<String>) -> Decision {
        let stays = phase.word() == self.record.phase.word();
        let phase_since = if stays { self.record.phase_since } else { Some(self.ctx.now) };
        let record = Record { phase, phase_since, ..self.record.clone() };
        let wake = if record.phase.is_final() { Wake::Never } else { Wake::In(Duration::ZERO) };
        Decision { record, effect: Effect::None, wake: RolloutWake::Change(wake), why: why.into() }
    }

    fn woken(&self) -> Decision {
        if let Some(decision) = self.noted() {
            return decision;
        }
        if self.record.paused.is_some()
            && let Some(until) = self.record.paused_until
            && until <= self.ctx.slowest.pause
            && !self.record.phase.is_final()
        {
            let mut decision = self.to(self.record.phase.clone(), format!("the pause ended at {until}"));
            decision.record.paused = None;
            decision.record.paused_until = None;
            return decision;
        }
        match &self.record.phase {
            Phase::Scheduled => self.scheduled(),
            Phase::Advancing { wave } => self.advancing(*wave),
            Phase::Soaking { wave, until } if self.ctx.slowest.soak >= *until => {
                let mut decision = self.soaked(*wave);
                if decision.record.phase != self.record.phase {
                    decision.record.windows.passed(&self.ctx.plan.calendar, *until);
                }
                decision
            }
            Phase::Soaking { until, .. } => self.stay(RolloutWake::At(self.ctx.comes_at(*until, self.ctx.slowest.soak)), "soaking"),
            Phase::Awaiting { .. } | Phase::Halted { .. } => self.stay(RolloutWake::Change(Wake::Never), "waits for a person"),
            Phase::Aborted { .. } => self.aborted(),
            Phase::Reverting(revert) => self.reverting(revert),
            Phase::Completed | Phase::Reverted => self.stay(RolloutWake::Change(Wake::Never), "final"),
        }
    }

    /// A window that opened or that was missed is written down before anything else is decided. While it soaks or waits
    /// for its start, windows pass by the plan's own will.
    fn noted(&self) -> Option<Decision> {
        let note = self.held().and_then(|held| self.record.windows.note(&self.facts(held.as_ref())));
        let (windows, why) = match note {
            Some(note) => (note.windows, note.why),
            None => (self.record.windows.clone(), self.stepped()?),
        };
        let record = Record { windows, releases: self.record.releases + 1, ..self.record.clone() };
        Some(Decision { record, effect: Effect::None, wake: RolloutWake::Change(Wake::In(Duration::ZERO)), why })
    }

    /// The journal tells of a stepped clock, and what it does not end.
    fn stepped(&self) -> Option<String> {
        let Gap::Stepped(by) = self.ctx.gap else { return None };
        let seconds = by.unsigned_abs().as_secs();
        let way = if by.is_negative() { "back" } else { "ahead" };
        let waits = match (&self.record.phase, self.record.paused_until) {
            (Phase::Soaking { .. }, _) => "; the soak goes on by the other clocks",
            (phase, Some(_)) if !phase.is_final() => "; the pause goes on by the other clocks",
            (phase, _) if phase.is_final() => return None,
            _ => "",
        };
        Some(format!("the wall clock was stepped {seconds} s {way}{waits}"))
    }

    /// Why it does not use its windows, and since when; the outer `None`: windows are nothing to it now.
    fn held(&self) -> Option<Option<(Option<Timestamp>, String)>> {
        match (&self.record.phase, &self.record.paused) {
            // A revert need not wait for a window; one that may not begin yet does not miss it.
            (Phase::Scheduled | Phase::Soaking { .. } | Phase::Completed | Phase::Aborted { .. }, _) => None,
            (Phase::Reverting(_) | Phase::Halted { revert: Some(_), .. } | Phase::Reverted, _) => None,
            (Phase::Advancing { .. } | Phase::Halted { .. } | Phase::Awaiting { .. }, Some(mark)) => {
                Some(Some((Some(mark.at), told("paused", mark))))
            }
            (Phase::Halted { .. }, None) => Some(Some((None, "halted".to_owned()))),
            (Phase::Awaiting { .. }, None) => Some(Some((None, "a promotion was missing".to_owned()))),
            (Phase::Advancing { .. }, None) => Some(None),
        }
    }

    fn facts<'b>(&'b self, held: Option<&'b (Option<Timestamp>, String)>) -> Facts<'b> {
        let may_begin = match self.record.phase {
            Phase::Advancing { wave } => {
                let work = self.up_to(wave);
                let held = self.record.paused.is_some() || self.record.requeue.is_some() || self.budget_spent(wave).is_some();
                !held && work.queued + work.active > 0
            }
            Phase::Scheduled
            | Phase::Soaking { .. }
            | Phase::Awaiting { .. }
            | Phase::Halted { .. }
            | Phase::Completed
            | Phase::Aborted { .. }
            | Phase::Reverting(_)
            | Phase::Reverted => false,
        };
        Facts {
            calendar: &self.ctx.plan.calendar,
            opening: &self.ctx.window,
            now: self.ctx.now,
            since: self.ctx.since,
            may_begin,
            wants: self.unfinished(),
            held: held.map(|(since, why)| (*since, why.as_str())),
            gap: self.ctx.gap,
        }
    }

    /// Whether any change has no outcome yet.
    fn unfinished(&self) -> bool {
        self.ctx.tallies.iter().any(|tally| tally.queued + tally.active > 0)
    }

    /// What came back to the queue since, or was not withdrawn before a crash, is withdrawn now.
    fn aborted(&self) -> Decision {
        let mut decision = self.stay(RolloutWake::Change(Wake::Never), "final");
        if self.ctx.tallies.iter().any(|wave| wave.queued > 0) {
            decision.effect = Effect::Withdraw;
        }
        decision
    }

    fn scheduled(&self) -> Decision {
        let missing = self.approvals_missing();
        if missing > 0 {
            return self.stay(RolloutWake::Change(Wake::Never), "waits for an approval");
        }
        match self.ctx.plan.calendar.not_before() {
            Some(start) if self.ctx.now < start => self.stay(RolloutWake::At(start), "not_before lies ahead"),
            Some(_) | None => self.to(Phase::Advancing { wave: 0 }, "the start is reached"),
        }
    }

    fn advancing(&self, wave: u16) -> Decision {
        if self.record.requeue.is_some() {
            let mut decision = self.stay(RolloutWake::Change(Wake::Never), "a retry is being carried out");
            decision.effect = Effect::Requeue;
            return decision;
        }
        if let Some((failures, budget)) = self.budget_spent(wave) {
            let why = format!("{} the budget of {budget}", count(failures, "failure reaches", "failures reach"));
            if self.ctx.plan.strategy.revert.on_failure == OnFailure::Revert {
                return self.put_back(wave, Cause::Failures { failures, budget }, why);
            }
            return self.to(Phase::Halted { wave, reason: Halt::Failures { failures, budget }, revert: None }, why);
        }
        if self.record.paused.is_some() {
            return self.stay(RolloutWake::Change(Wake::Never), "paused");
        }
        let up_to = self.up_to(wave);
        if up_to.queued == 0 && up_to.active == 0 {
            return self.wave_done(wave);
        }
        if let Opening::Shut { next, .. } = &self.ctx.window {
            let wake = next.map_or(RolloutWake::Change(Wake::Never), RolloutWake::At);
            return self.stay(wake, "the window is shut");
        }
        let deadline = self.ctx.plan.strategy.progress_deadline();
        if self.ctx.stalled >= deadline {
            let (seconds, why) = (self.ctx.stalled.as_secs(), self.ctx.at_work.clone());
            let told = format!("no change ended for {seconds} s of open window{}", because(&why));
            return self.to(Phase::Halted { wave, reason: Halt::Stalled { seconds, why }, revert: None }, told);
        }
        let wait = LOOK_AGAIN.min(deadline - self.ctx.stalled);
        let mut decision = self.stay(RolloutWake::Change(Wake::In(wait)), "release");
        let count = Room::of(self.ctx.plan, self.ctx.tallies, wave).places().min(up_to.queued);
        if count > 0 {
            decision.record.releases += 1;
            decision.effect = Effect::Release { wave, count };
        }
        decision
    }

    fn up_to(&self, wave: u16) -> Tally {
        self.ctx.tallies.iter().take(usize::from(wave) + 1).copied().sum()
    }

    /// The failures and the budget that they reached, of the rollout or of the wave.
    fn budget_spent(&self, wave: u16) -> Option<(u32, u32)> {
        let strategy = &self.ctx.plan.strategy;
        let all: Tally = self.ctx.tallies.iter().copied().sum();
        let own = self.ctx.tallies[usize::from(wave)];
        let own_budget = strategy.waves[usize::from(wave)].max_failures;
        if all.failures() >= strategy.max_failures {
            return Some((all.failures(), strategy.max_failures));
        }
        (own.failures() >= own_budget).then(|| (own.failures(), own_budget))
    }

    /// A wave half of which failed is not left by itself. A survey changes nothing, so its failures stop nothing.
    fn half_failed(&self, wave: u16) -> Option<Decision> {
        let own = self.ctx.tallies[usize::from(wave)];
        let (failures, size) = (own.failures(), own.total());
        if self.ctx.plan.survey || failures == 0 || failures < size.div_ceil(2) {
            return None;
        }
        let why = format!("{failures} of {} of wave {} failed or in doubt", count(size, "change", "changes"), self.wave_name(wave));
        Some(self.to(Phase::Halted { wave, reason: Halt::Half { failures, size }, revert: None }, why))
    }

    fn wave_name(&self, wave: u16) -> &Name {
        &self.ctx.plan.strategy.waves[usize::from(wave)].name
    }

    fn is_last(&self, wave: u16) -> bool {
        usize::from(wave) + 1 == self.ctx.plan.strategy.waves.len()
    }

    fn wave_done(&self, wave: u16) -> Decision {
        if let Some(halted) = self.half_failed(wave) {
            return halted;
        }
        let plan = &self.ctx.plan.strategy.waves[usize::from(wave)];
        if self.is_last(wave) {
            return self.to(Phase::Completed, "every change has its outcome");
        }
        if plan.soak_ms > 0 {
            let soak = Duration::from_millis(plan.soak_ms);
            // A soak beyond the calendar's last day is a soak for ever; the furthest instant says so.
            let until = self.ctx.now.checked_add(soak).unwrap_or(Timestamp::MAX);
            return self.to(Phase::Soaking { wave, until }, format!("wave {} is done", plan.name));
        }
        self.soaked(wave)
    }

    fn soaked(&self, wave: u16) -> Decision {
        let plan = &self.ctx.plan.strategy.waves[usize::from(wave)];
        if self.record.paused.is_some() {
            return self.stay(RolloutWake::Change(Wake::Never), "paused");
        }
        // Submitted before the rule, it may soak with half of the wave failed.
        if let Some(halted) = self.half_failed(wave) {
            return halted;
        }
        match plan.promote {
            Promote::Manual => self.to(Phase::Awaiting { wave }, format!("wave {} waits for a promotion", plan.name)),
            Promote::Auto => self.to(Phase::Advancing { wave: wave + 1 }, format!("wave {} is done", plan.name)),
        }
    }

    fn requeued(&self) -> Decision {
        if self.record.requeue.is_none() {
            // Aborted meanwhile, or reported twice.
            return self.stay(RolloutWake::Change(Wake::In(Duration::ZERO)), "nothing is asked for any more");
        }
        let mut decision = self.to(self.record.phase.clone(), "what failed is queued again");
        decision.record.requeue = None;
        decision
    }

    fn command(&self, verb: &Verb, mark: &Mark, uid: Option<u32>) -> Result<Decision, Refusal> {
        let phase = &self.record.phase;
        if phase.is_final() {
            let hint = match verb {
                Verb::Retry(_) | Verb::ByHand { .. } => {
                    "; raise the plan's revision and apply it again: what is right already is left alone"
                }
                Verb::Revert if *phase != Phase::Reverted => "; `sealift revert --write FILE` writes a plan that puts back what it changed",
                Verb::Revert | Verb::Pause { .. } | Verb::Resume | Verb::Abort | Verb::Promote | Verb::Approve { .. } => "",
            };
            return Err(Refusal::Final { phase: phase.word(), hint });
        }
        let mut decision = match verb {
            Verb::Pause { until } => self.pause(*until, mark),
            Verb::Resume => self.resume(mark),
            Verb::Abort => {
                let mut decision = self.to(Phase::Aborted { mark: mark.clone() }, told("aborted", mark));
                decision.effect = Effect::Withdraw;
                decision.record.requeue = None;
                Ok(decision)
            }
            Verb::Retry(scope) => self.retry(*scope, mark),
            Verb::ByHand { ordinal, what } => self.by_hand(*ordinal, what, mark),
            Verb::Promote => self.promote(mark),
            Verb::Approve { digest } => self.approve(*digest, mark, uid),
            Verb::Revert => self.revert(mark),
        }?;
        // Work may have begun in the window that is open now: a verb that ends that does not make it a missed one.
        if let Some(held) = self.held() {
            let note = self.record.windows.caught_up(&self.facts(held.as_ref()));
            decision.record.windows = note.windows;
            if !note.why.is_empty() {
                decision.why = format!("{}; {}", decision.why, note.why);
            }
        }
        if matches!(phase, Phase::Soaking { .. }) && !matches!(decision.record.phase, Phase::Soaking { .. }) || !self.unfinished() {
            decision.record.windows.passed(&self.ctx.plan.calendar, self.ctx.now);
        }
        Ok(decision)
    }

    fn pause(&self, until: Option<Timestamp>, mark: &Mark) -> Result<Decision, Refusal> {
        if let Some(mark) = &self.record.paused {
            return Err(Refusal::AlreadyPaused { by: mark.by.clone() });
        }
        if let Some(until) = until.filter(|until| *until <= self.ctx.now) {
            return Err(Refusal::UntilPassed { until, now: self.ctx.now });
        }
        let what = until.map_or_else(|| "paused".to_owned(), |until| format!("paused until {until}"));
        let mut decision = self.to(self.record.phase.clone(), told(&what, mark));
        decision.record.paused = Some(mark.clone());
        decision.record.paused_until = until;
        Ok(decision)
    }

    fn resume(&self, mark: &Mark) -> Result<Decision, Refusal> {
        if self.record.paused.is_none() {
            return Err(Refusal::NotPaused { phase: self.record.phase.word() });
        }
        let mut decision = self.to(self.record.phase.clone(), told("resumed", mark));
        decision.record.paused = None;
        decision.record.paused_until = None;
        Ok(decision)
    }

    fn retry(&self, scope: Requeue, mark: &Mark) -> Result<Decision, Refusal> {
        let mut all: Tally = self.ctx.tallies.iter().copied().sum();
        if let Some(revert) = self.record.revert() {
            // What failed before the revert began goes no way any more.
            all.failed = all.failed.saturating_sub(revert.failed);
            all.in_doubt = all.in_doubt.saturating_sub(revert.in_doubt);
        }
        let stalled = matches!(self.record.phase, Phase::Halted { reason: Halt::Stalled { .. }, .. });
        match scope {
            Requeue::Failed if all.failed == 0 && all.in_doubt > 0 && !stalled => {
                return Err(Refusal::OnlyInDoubt { in_doubt: all.in_doubt });
            }
            Requeue::Failed | Requeue::FailedAndInDoubt if all.failures() == 0 && !stalled => return Err(Refusal::NothingToRetry),
            Requeue::Failed | Requeue::FailedAndInDoubt => {}
        }
        let mut decision = self.to(self.goes_on()?, told("retried", mark));
        // A narrower retry does not take back what a wider one, still being carried out, has promised.
        let wider = self.record.requeue == Some(Requeue::FailedAndInDoubt);
        decision.record.requeue = Some(if wider { Requeue::FailedAndInDoubt } else { scope });
        decision.effect = Effect::Requeue;
        Ok(decision)
    }

    fn by_hand(&self, ordinal: u32, what: &ByHand, mark: &Mark) -> Result<Decision, Refusal> {
        let (phase, event, why) = match what {
            ByHand::GiveUp => (self.record.phase.clone(), change::Event::GiveUp(told("given up", mark)), "given up".to_owned()),
            ByHand::Again => (self.goes_on()?, change::Event::Requeue, "retried".to_owned()),
            ByHand::Adopt(job) => (self.goes_on()?, change::Event::Adopt(job.clone()), format!("job {job} named")),
        };
        let mut decision = self.to(phase, told(&why, mark));
        decision.effect = Effect::ByHand { ordinal, event };
        Ok(decision)
    }

    /// The phase in which changes that are queued again are released.
    fn goes_on(&self) -> Result<Phase, Refusal> {
        let wave = self.record.phase.wave().ok_or(Refusal::NothingToRetry)?;
        Ok(self.record.revert().map_or(Phase::Advancing { wave }, |revert| Phase::Reverting(revert.clone().into())))
    }

    fn promote(&self, mark: &Mark) -> Result<Decision, Refusal> {
        match self.record.phase {
            Phase::Soaking { wave, .. } | Phase::Awaiting { wave } => {
                Ok(self.to(Phase::Advancing { wave: wave + 1 }, told("promoted", mark)))
            }
            Phase::Halted { wave, reason: Halt::Failures { .. } | Halt::Half { .. }, revert: None } => self.leave(wave, mark),
            Phase::Scheduled
            | Phase::Advancing { .. }
            | Phase::Halted { .. }
            | Phase::Reverting(_)
            | Phase::Completed
            | Phase::Aborted { .. }
            | Phase::Reverted => Err(Refusal::NothingToPromote { phase: self.record.phase.word() }),
        }
    }

    /// A person goes on without what failed in a halted wave.
    fn leave(&self, wave: u16, mark: &Mark) -> Result<Decision, Refusal> {
        let up_to = self.up_to(wave);
        let left = up_to.queued + up_to.active;
        if left > 0 {
            return Err(Refusal::WaveNotDone { wave: self.wave_name(wave).clone(), left });
        }
        let all: Tally = self.ctx.tallies.iter().copied().sum();
        let (failures, budget) = (all.failures(), self.ctx.plan.strategy.max_failures);
        let next = if self.is_last(wave) { Phase::Completed } else { Phase::Advancing { wave: wave + 1 } };
        if next == Phase::Completed && failures == all.total() {
            return Err(Refusal::EveryChangeFailed);
        }
        if next != Phase::Completed && failures >= budget {
            return Err(Refusal::BudgetSpent { failures, budget });
        }
        if mark.reason.is_empty() {
            return Err(Refusal::ReasonMissing { wave: self.wave_name(wave).clone() });
        }
        Ok(self.to(next, told("promoted", mark)))
    }
}

/// A reason behind what it explains.
pub(super) fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn told(what: &str, mark: &Mark) -> String {
    format!("{what} by {mark}")
}
