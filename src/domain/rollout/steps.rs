//! The steps that the table names: each makes the next record, the effect and the wake.
//!
//! Invariant: no step leads out of a halt without a person's verb, and none from an abort or a
//! revert back to going on.
//!
//! Deliberately not here: which step an event leads to (`table`), approvals and reverts (modules of
//! their own).

use std::mem::discriminant;
use std::time::Duration;

use jiff::Timestamp;

use super::{
    ByHand, Cause, Context, Decision, Effect, Halt, Phase, Record, Refusal, ReleaseRoom, Requeue,
    RolloutWake, Verb,
};
use crate::domain::change::{self, Wake};
use crate::domain::count::count;
use crate::domain::id::Name;
use crate::domain::person::Attribution;
use crate::domain::plan::{OnFailure, Promote};
use crate::domain::tally::Tally;
use crate::domain::window::Opening;
use crate::domain::window_log::{Gap, NoteInput};

/// How often a rollout is looked at when nothing else wakes it; bounds what a stepped clock can
/// delay.
pub const LOOK_AGAIN: Duration = Duration::from_secs(30);

pub(super) struct RolloutStep<'a> {
    pub(super) record: &'a Record,
    pub(super) ctx: &'a Context<'a>,
}

impl RolloutStep<'_> {
    pub(super) fn stay(&self, wake: RolloutWake, why: &str) -> Decision {
        Decision { record: self.record.clone(), effect: Effect::None, wake, why: why.into() }
    }

    pub(super) fn to(&self, phase: Phase, why: impl Into<String>) -> Decision {
        let stays = discriminant(&phase) == discriminant(&self.record.phase);
        let phase_since = if stays { self.record.phase_since } else { Some(self.ctx.now) };
        let record = Record { phase, phase_since, ..self.record.clone() };
        let wake = if record.phase.is_final() { Wake::Never } else { Wake::In(Duration::ZERO) };
        Decision { record, effect: Effect::None, wake: RolloutWake::Change(wake), why: why.into() }
    }

    pub(super) fn woken(&self) -> Decision {
        if let Some(decision) = self.noted() {
            return decision;
        }
        if self.record.paused.is_some()
            && let Some(until) = self.record.paused_until
            && until <= self.ctx.slowest.pause
            && !self.record.phase.is_final()
        {
            let mut decision =
                self.to(self.record.phase.clone(), format!("the pause ended at {until}"));
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
            Phase::Soaking { until, .. } => self
                .stay(RolloutWake::At(self.ctx.comes_at(*until, self.ctx.slowest.soak)), "soaking"),
            Phase::Awaiting { .. } | Phase::Halted { .. } => {
                self.stay(RolloutWake::Change(Wake::Never), "waits for a person")
            }
            Phase::Aborted { .. } => self.aborted(),
            Phase::Reverting(revert) => self.reverting(revert),
            Phase::Completed | Phase::Reverted => {
                self.stay(RolloutWake::Change(Wake::Never), "final")
            }
        }
    }

    /// A window that opened or that was missed is written down before anything else is decided.
    /// While it soaks or waits for its start, windows pass by the plan's own will.
    pub(super) fn noted(&self) -> Option<Decision> {
        let note =
            self.held().and_then(|held| self.record.windows.note(&self.facts(held.as_ref())));
        let (windows, why) = match note {
            Some(note) => (note.windows, note.why),
            None => (self.record.windows.clone(), self.stepped()?),
        };
        let record = Record { windows, releases: self.record.releases + 1, ..self.record.clone() };
        Some(Decision {
            record,
            effect: Effect::None,
            wake: RolloutWake::Change(Wake::In(Duration::ZERO)),
            why,
        })
    }

    /// The journal tells of a stepped clock, and what it does not end.
    pub(super) fn stepped(&self) -> Option<String> {
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

    /// Why it does not use its windows, and since when; the outer `None`: windows are nothing to it
    /// now.
    pub(super) fn held(&self) -> Option<Option<(Option<Timestamp>, String)>> {
        match (&self.record.phase, &self.record.paused) {
            // A revert need not wait for a window; one that may not begin yet does not miss it.
            (
                Phase::Scheduled | Phase::Soaking { .. } | Phase::Completed | Phase::Aborted { .. },
                _,
            ) => None,
            (Phase::Reverting(_) | Phase::Halted { revert: Some(_), .. } | Phase::Reverted, _) => {
                None
            }
            (
                Phase::Advancing { .. } | Phase::Halted { .. } | Phase::Awaiting { .. },
                Some(mark),
            ) => Some(Some((Some(mark.at), message("paused", mark)))),
            (Phase::Halted { .. }, None) => Some(Some((None, "halted".to_owned()))),
            (Phase::Awaiting { .. }, None) => {
                Some(Some((None, "a promotion was missing".to_owned())))
            }
            (Phase::Advancing { .. }, None) => Some(None),
        }
    }

    pub(super) fn facts<'b>(
        &'b self,
        held: Option<&'b (Option<Timestamp>, String)>,
    ) -> NoteInput<'b> {
        let may_begin = match self.record.phase {
            Phase::Advancing { wave } => {
                let work = self.up_to(wave);
                let held = self.record.paused.is_some()
                    || self.record.requeue.is_some()
                    || self.budget_spent(wave).is_some();
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
        NoteInput {
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
    pub(super) fn unfinished(&self) -> bool {
        self.ctx.tallies.iter().any(|tally| tally.queued + tally.active > 0)
    }

    /// What came back to the queue since, or was not withdrawn before a crash, is withdrawn now.
    pub(super) fn aborted(&self) -> Decision {
        let mut decision = self.stay(RolloutWake::Change(Wake::Never), "final");
        if self.ctx.tallies.iter().any(|wave| wave.queued > 0) {
            decision.effect = Effect::Withdraw;
        }
        decision
    }

    pub(super) fn scheduled(&self) -> Decision {
        let missing = self.approvals_missing();
        if missing > 0 {
            return self.stay(RolloutWake::Change(Wake::Never), "waits for an approval");
        }
        match self.ctx.plan.calendar.not_before() {
            Some(start) if self.ctx.now < start => {
                self.stay(RolloutWake::At(start), "not_before lies ahead")
            }
            Some(_) | None => self.to(Phase::Advancing { wave: 0 }, "the start is reached"),
        }
    }

    pub(super) fn advancing(&self, wave: u16) -> Decision {
        if self.record.requeue.is_some() {
            let mut decision =
                self.stay(RolloutWake::Change(Wake::Never), "a retry is being carried out");
            decision.effect = Effect::Requeue;
            return decision;
        }
        if let Some((failures, budget)) = self.budget_spent(wave) {
            let why = format!(
                "{} the budget of {budget}",
                count(failures, "failure reaches", "failures reach")
            );
            if self.ctx.plan.strategy.revert.on_failure == OnFailure::Revert {
                return self.put_back(wave, Cause::Failures { failures, budget }, why);
            }
            return self.to(
                Phase::Halted { wave, reason: Halt::Failures { failures, budget }, revert: None },
                why,
            );
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
            let halt_why =
                format!("no change ended for {seconds} s of open window{}", because(&why));
            return self.to(
                Phase::Halted { wave, reason: Halt::Stalled { seconds, why }, revert: None },
                halt_why,
            );
        }
        let wait = LOOK_AGAIN.min(deadline - self.ctx.stalled);
        let mut decision = self.stay(RolloutWake::Change(Wake::In(wait)), "release");
        let count =
            ReleaseRoom::of(self.ctx.plan, self.ctx.tallies, wave).places().min(up_to.queued);
        if count > 0 {
            decision.record.releases += 1;
            decision.effect = Effect::Release { wave, count };
        }
        decision
    }

    pub(super) fn up_to(&self, wave: u16) -> Tally {
        self.ctx.tallies.iter().take(usize::from(wave) + 1).copied().sum()
    }

    /// The failures and the budget that they reached, of the rollout or of the wave.
    pub(super) fn budget_spent(&self, wave: u16) -> Option<(u32, u32)> {
        let strategy = &self.ctx.plan.strategy;
        let all: Tally = self.ctx.tallies.iter().copied().sum();
        let own = self.ctx.tallies[usize::from(wave)];
        let own_budget = strategy.waves[usize::from(wave)].max_failures;
        if all.failures() >= strategy.max_failures {
            return Some((all.failures(), strategy.max_failures));
        }
        (own.failures() >= own_budget).then(|| (own.failures(), own_budget))
    }

    /// A wave half of which failed is not left by itself. A survey changes nothing, so its failures
    /// stop nothing.
    pub(super) fn half_failed(&self, wave: u16) -> Option<Decision> {
        let own = self.ctx.tallies[usize::from(wave)];
        let (failures, size) = (own.failures(), own.total());
        if self.ctx.plan.survey || failures == 0 || failures < size.div_ceil(2) {
            return None;
        }
        let why = format!(
            "{failures} of {} of wave {} failed or in doubt",
            count(size, "change", "changes"),
            self.wave_name(wave)
        );
        Some(
            self.to(
                Phase::Halted { wave, reason: Halt::Half { failures, size }, revert: None },
                why,
            ),
        )
    }

    pub(super) fn wave_name(&self, wave: u16) -> &Name {
        &self.ctx.plan.strategy.waves[usize::from(wave)].name
    }

    pub(super) fn is_last(&self, wave: u16) -> bool {
        usize::from(wave) + 1 == self.ctx.plan.strategy.waves.len()
    }

    pub(super) fn wave_done(&self, wave: u16) -> Decision {
        if let Some(halted) = self.half_failed(wave) {
            return halted;
        }
        let plan = &self.ctx.plan.strategy.waves[usize::from(wave)];
        if self.is_last(wave) {
            return self.to(Phase::Completed, "every change has its outcome");
        }
        if plan.soak_ms > 0 {
            let soak = Duration::from_millis(plan.soak_ms);
            // A soak beyond the calendar's last day is a soak for ever; the furthest instant says
            // so.
            let until = self.ctx.now.checked_add(soak).unwrap_or(Timestamp::MAX);
            return self.to(Phase::Soaking { wave, until }, wave_is_done(&plan.name));
        }
        self.soaked(wave)
    }

    pub(super) fn soaked(&self, wave: u16) -> Decision {
        let plan = &self.ctx.plan.strategy.waves[usize::from(wave)];
        if self.record.paused.is_some() {
            return self.stay(RolloutWake::Change(Wake::Never), "paused");
        }
        // Submitted before the rule, it may soak with half of the wave failed.
        if let Some(halted) = self.half_failed(wave) {
            return halted;
        }
        match plan.promote {
            Promote::Manual => self
                .to(Phase::Awaiting { wave }, format!("wave {} waits for a promotion", plan.name)),
            Promote::Auto => self.to(Phase::Advancing { wave: wave + 1 }, wave_is_done(&plan.name)),
        }
    }

    pub(super) fn requeued(&self) -> Decision {
        if self.record.requeue.is_none() {
            // Aborted meanwhile, or reported twice.
            return self.stay(
                RolloutWake::Change(Wake::In(Duration::ZERO)),
                "nothing is asked for any more",
            );
        }
        let mut decision = self.to(self.record.phase.clone(), "what failed is queued again");
        decision.record.requeue = None;
        decision
    }

    pub(super) fn command(
        &self,
        verb: &Verb,
        mark: &Attribution,
        uid: Option<u32>,
    ) -> Result<Decision, Refusal> {
        let phase = &self.record.phase;
        if phase.is_final() {
            let hint = match verb {
                Verb::Retry(_) | Verb::ByHand { .. } => {
                    "; raise the plan's revision and apply it again: what is right already is left alone"
                }
                Verb::Revert if *phase != Phase::Reverted => {
                    "; `sealift revert --write FILE` writes a plan that puts back what it changed"
                }
                Verb::Revert
                | Verb::Pause { .. }
                | Verb::Resume
                | Verb::Abort
                | Verb::Promote
                | Verb::Approve { .. } => "",
            };
            return Err(Refusal::Final { phase: phase.as_str(), hint });
        }
        let mut decision = match verb {
            Verb::Pause { until } => self.pause(*until, mark),
            Verb::Resume => self.resume(mark),
            Verb::Abort => {
                let mut decision =
                    self.to(Phase::Aborted { mark: mark.clone() }, message("aborted", mark));
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
        // Work may have begun in the window that is open now: a verb that ends that does not make
        // it a missed one.
        if let Some(held) = self.held() {
            let note = self.record.windows.caught_up(&self.facts(held.as_ref()));
            decision.record.windows = note.windows;
            if !note.why.is_empty() {
                decision.why = format!("{}; {}", decision.why, note.why);
            }
        }
        if matches!(phase, Phase::Soaking { .. })
            && !matches!(decision.record.phase, Phase::Soaking { .. })
            || !self.unfinished()
        {
            decision.record.windows.passed(&self.ctx.plan.calendar, self.ctx.now);
        }
        Ok(decision)
    }

    pub(super) fn pause(
        &self,
        until: Option<Timestamp>,
        mark: &Attribution,
    ) -> Result<Decision, Refusal> {
        if let Some(mark) = &self.record.paused {
            return Err(Refusal::AlreadyPaused { by: mark.by.clone() });
        }
        if let Some(until) = until.filter(|until| *until <= self.ctx.now) {
            return Err(Refusal::UntilPassed { until, now: self.ctx.now });
        }
        let what =
            until.map_or_else(|| "paused".to_owned(), |until| format!("paused until {until}"));
        let mut decision = self.to(self.record.phase.clone(), message(&what, mark));
        decision.record.paused = Some(mark.clone());
        decision.record.paused_until = until;
        Ok(decision)
    }

    pub(super) fn resume(&self, mark: &Attribution) -> Result<Decision, Refusal> {
        if self.record.paused.is_none() {
            return Err(Refusal::NotPaused { phase: self.record.phase.as_str() });
        }
        let mut decision = self.to(self.record.phase.clone(), message("resumed", mark));
        decision.record.paused = None;
        decision.record.paused_until = None;
        Ok(decision)
    }

    pub(super) fn retry(&self, scope: Requeue, mark: &Attribution) -> Result<Decision, Refusal> {
        let mut all: Tally = self.ctx.tallies.iter().copied().sum();
        if let Some(revert) = self.record.revert() {
            // What failed before the revert began goes no way any more.
            all.failed = all.failed.saturating_sub(revert.failed);
            all.in_doubt = all.in_doubt.saturating_sub(revert.in_doubt);
        }
        let stalled =
            matches!(self.record.phase, Phase::Halted { reason: Halt::Stalled { .. }, .. });
        match scope {
            Requeue::Failed if all.failed == 0 && all.in_doubt > 0 && !stalled => {
                return Err(Refusal::OnlyInDoubt { in_doubt: all.in_doubt });
            }
            Requeue::Failed | Requeue::FailedAndInDoubt if all.failures() == 0 && !stalled => {
                return Err(Refusal::NothingToRetry);
            }
            Requeue::Failed | Requeue::FailedAndInDoubt => {}
        }
        let mut decision = self.to(self.goes_on()?, message("retried", mark));
        // A narrower retry does not take back what a wider one, still being carried out, has
        // promised.
        let wider = self.record.requeue == Some(Requeue::FailedAndInDoubt);
        decision.record.requeue = Some(if wider { Requeue::FailedAndInDoubt } else { scope });
        decision.effect = Effect::Requeue;
        Ok(decision)
    }

    pub(super) fn by_hand(
        &self,
        ordinal: u32,
        what: &ByHand,
        mark: &Attribution,
    ) -> Result<Decision, Refusal> {
        let (phase, event, why) = match what {
            ByHand::GiveUp => (
                self.record.phase.clone(),
                change::Event::Verb(change::ByPerson::GiveUp(message("given up", mark))),
                "given up".to_owned(),
            ),
            ByHand::Again => (
                self.goes_on()?,
                change::Event::Verb(change::ByPerson::Requeue),
                "retried".to_owned(),
            ),
            ByHand::Adopt(job) => (
                self.goes_on()?,
                change::Event::Verb(change::ByPerson::Adopt(job.clone())),
                format!("job {job} named"),
            ),
        };
        let mut decision = self.to(phase, message(&why, mark));
        decision.effect = Effect::ByHand { ordinal, event };
        Ok(decision)
    }

    /// The phase in which changes that are queued again are released.
    pub(super) fn goes_on(&self) -> Result<Phase, Refusal> {
        let wave = self.record.phase.wave().ok_or(Refusal::NothingToRetry)?;
        Ok(self
            .record
            .revert()
            .map_or(Phase::Advancing { wave }, |revert| Phase::Reverting(revert.clone().into())))
    }

    pub(super) fn promote(&self, mark: &Attribution) -> Result<Decision, Refusal> {
        match self.record.phase {
            Phase::Soaking { wave, .. } | Phase::Awaiting { wave } => {
                Ok(self.to(Phase::Advancing { wave: wave + 1 }, message("promoted", mark)))
            }
            Phase::Halted {
                wave,
                reason: Halt::Failures { .. } | Halt::Half { .. },
                revert: None,
            } => self.leave(wave, mark),
            Phase::Scheduled
            | Phase::Advancing { .. }
            | Phase::Halted { .. }
            | Phase::Reverting(_)
            | Phase::Completed
            | Phase::Aborted { .. }
            | Phase::Reverted => {
                Err(Refusal::NothingToPromote { phase: self.record.phase.as_str() })
            }
        }
    }

    /// A person goes on without what failed in a halted wave.
    pub(super) fn leave(&self, wave: u16, mark: &Attribution) -> Result<Decision, Refusal> {
        let up_to = self.up_to(wave);
        let left = up_to.queued + up_to.active;
        if left > 0 {
            return Err(Refusal::WaveNotDone { wave: self.wave_name(wave).clone(), left });
        }
        let all: Tally = self.ctx.tallies.iter().copied().sum();
        let (failures, budget) = (all.failures(), self.ctx.plan.strategy.max_failures);
        let next =
            if self.is_last(wave) { Phase::Completed } else { Phase::Advancing { wave: wave + 1 } };
        if next == Phase::Completed && failures == all.total() {
            return Err(Refusal::EveryChangeFailed);
        }
        if next != Phase::Completed && failures >= budget {
            return Err(Refusal::BudgetSpent { failures, budget });
        }
        if mark.reason.is_empty() {
            return Err(Refusal::ReasonMissing { wave: self.wave_name(wave).clone() });
        }
        Ok(self.to(next, message("promoted", mark)))
    }
}

/// What the journal says when the last change of a wave has its outcome.
pub fn wave_is_done(name: &Name) -> String {
    format!("wave {name} is done")
}

/// A reason behind what it explains.
pub(super) fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

pub(super) fn message(what: &str, mark: &Attribution) -> String {
    format!("{what} by {mark}")
}
