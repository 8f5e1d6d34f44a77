//! A revert: the rollout puts back what it changed, the newest wave first.
//!
//! Invariants: nothing is put back while a change of the rollout may still be on its way forward; a
//! wave begins when the newer ones are done; the first change that cannot be put back halts the
//! revert for a person, and at most `max_in_flight` of them can be on their way then; nothing leads
//! back to going on.
//!
//! Deliberately not here: which changes are put back, and what keeps one from it (`change::undo`).
//! The failure budgets do not bind a revert: they are spent when it begins, and its own budget is
//! none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Decision, Effect, Halt, LOOK_AGAIN, Phase, Refusal, RolloutStep, RolloutWake, because, message,
};
use crate::domain::change::Wake;
use crate::domain::count::count;
use crate::domain::person::Attribution;
use crate::domain::tally::Tally;
use crate::domain::window::Opening;

/// How far a revert has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revert {
    /// Index of the wave that is put back; the newest that had begun comes first.
    pub wave: u16,
    /// What is done with it.
    pub stage: RevertStage,
    /// Not all that this wave changed is gathered yet: what is queued comes first, and then the
    /// rest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Changes that had failed before anything was put back: they stay as they are.
    #[serde(default)]
    pub failed: u32,
    /// Changes that were in doubt before anything was put back: they stay as they are.
    #[serde(default)]
    pub in_doubt: u32,
    pub cause: Cause,
}

/// What a revert does with its wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevertStage {
    /// Nothing yet: what is on its way forward is followed to its end, and what waits is withdrawn.
    Settling,
    /// What succeeded, or was switched and not proven on the wire, is marked to be put back.
    Gathering,
    /// What is marked is put back.
    Releasing,
}

/// Why a rollout puts back what it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Cause {
    /// A person wants it.
    Asked { mark: Attribution },
    /// A failure budget is spent, and the plan says `on_failure: revert`.
    Failures {
        /// Failed and in-doubt changes at that time.
        failures: u32,
        /// The budget that they reached.
        budget: u32,
    },
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asked { mark } => write!(f, "asked for by {mark}"),
            Self::Failures { failures, budget } => {
                write!(
                    f,
                    "because {} reached the budget of {budget}",
                    count(*failures, "failure", "failures")
                )
            }
        }
    }
}

impl Revert {
    /// Whether a change of this wave may be put back now.
    pub(super) fn lets(&self, wave: u16) -> bool {
        self.stage == RevertStage::Releasing && wave >= self.wave
    }

    /// Changes of these tallies that failed to be put back.
    pub fn failures(&self, all: &Tally) -> u32 {
        all.failures().saturating_sub(self.failed + self.in_doubt)
    }

    fn at(&self, wave: u16, stage: RevertStage) -> Phase {
        Phase::Reverting(Self { wave, stage, ..self.clone() }.into())
    }
}

impl RolloutStep<'_> {
    pub(super) fn revert(&self, mark: &Attribution) -> Result<Decision, Refusal> {
        let phase = &self.record.phase;
        if let Some(revert) = self.record.revert() {
            let halted = matches!(phase, Phase::Halted { .. });
            let hint = if halted { "; `sealift retry` goes on with it" } else { "" };
            return Err(Refusal::RevertingAlready {
                phase: phase.as_str(),
                cause: revert.cause.to_string(),
                hint,
            });
        }
        let wave = phase.wave().ok_or(Refusal::NothingToRevert { phase: phase.as_str() })?;
        Ok(self.put_back(wave, Cause::Asked { mark: mark.clone() }, message("reverted", mark)))
    }

    /// Begins to put back everything up to this wave.
    pub(super) fn put_back(&self, wave: u16, cause: Cause, why: String) -> Decision {
        let revert = Revert {
            wave,
            stage: RevertStage::Settling,
            more: false,
            failed: 0,
            in_doubt: 0,
            cause,
        };
        let mut decision = self.to(Phase::Reverting(revert.into()), why);
        decision.record.requeue = None;
        decision.effect = Effect::Withdraw;
        decision
    }

    pub(super) fn reverting(&self, revert: &Revert) -> Decision {
        let never = RolloutWake::Change(Wake::Never);
        if self.record.requeue.is_some() {
            let mut decision = self.stay(never, "a retry is being carried out");
            decision.effect = Effect::Requeue;
            return decision;
        }
        let all: Tally = self.ctx.tallies.iter().copied().sum();
        match revert.stage {
            RevertStage::Settling if all.queued > 0 => {
                let mut decision = self.stay(never, "what waits is withdrawn");
                decision.effect = Effect::Withdraw;
                decision
            }
            RevertStage::Settling if all.active > 0 => {
                self.stay(never, "what is on its way is followed to its end")
            }
            RevertStage::Settling => {
                // From here on no change goes forward: whatever fails now fails to be put back.
                let settled =
                    Revert { failed: all.failed, in_doubt: all.in_doubt, ..revert.clone() };
                self.to(
                    settled.at(revert.wave, RevertStage::Gathering),
                    "nothing is on its way forward any more",
                )
            }
            RevertStage::Gathering if self.record.paused.is_some() => self.stay(never, "paused"),
            RevertStage::Gathering => {
                let mut decision = self.stay(never, "what this wave changed is gathered");
                decision.effect = Effect::Gather { wave: revert.wave };
                decision
            }
            RevertStage::Releasing => self.putting_back(revert, &all),
        }
    }

    fn putting_back(&self, revert: &Revert, all: &Tally) -> Decision {
        let wave = revert.wave;
        let failures = revert.failures(all);
        if failures > 0 {
            let halted = Phase::Halted {
                wave,
                reason: Halt::Revert { failures },
                revert: Some(revert.clone().into()),
            };
            return self.to(
                halted,
                format!("{} could not be put back", count(failures, "change", "changes")),
            );
        }
        if self.record.paused.is_some() {
            return self.stay(RolloutWake::Change(Wake::Never), "paused");
        }
        if all.queued == 0 && all.active == 0 {
            if revert.more {
                return self.to(
                    revert.at(wave, RevertStage::Gathering),
                    "the rest of this wave is gathered",
                );
            }
            let name = self.wave_name(wave);
            return match wave.checked_sub(1) {
                Some(older) => self.to(
                    revert.at(older, RevertStage::Gathering),
                    format!("wave {name} is put back"),
                ),
                None => self.to(
                    Phase::Reverted,
                    format!("wave {name} is put back, and with it everything"),
                ),
            };
        }
        if let Opening::Shut { next, .. } = &self.ctx.window {
            let wake = next.map_or(RolloutWake::Change(Wake::Never), RolloutWake::At);
            return self.stay(wake, "the window is shut");
        }
        let strategy = &self.ctx.plan.strategy;
        let deadline = strategy.progress_deadline();
        if self.ctx.stalled >= deadline {
            let (seconds, why) = (self.ctx.stalled.as_secs(), self.ctx.at_work.clone());
            let halt_why = format!("no change was put back for {seconds} s{}", because(&why));
            return self.to(
                Phase::Halted {
                    wave,
                    reason: Halt::Stalled { seconds, why },
                    revert: Some(revert.clone().into()),
                },
                halt_why,
            );
        }
        let wait: Duration = LOOK_AGAIN.min(deadline - self.ctx.stalled);
        let mut decision = self.stay(RolloutWake::Change(Wake::In(wait)), "put back");
        let count = strategy.max_in_flight.saturating_sub(all.active).min(all.queued);
        if count > 0 {
            decision.record.releases += 1;
            decision.effect = Effect::Release { wave, count };
        }
        decision
    }

    /// The engine marks some that had failed: they do not stay as they are, and when they fail
    /// again, it is the revert that failed.
    pub(super) fn marking(&self, failed: u32) -> Decision {
        let Some(revert) = self.gathering() else { return self.gathers_nothing() };
        let marked = Revert { failed: revert.failed.saturating_sub(failed), ..revert.clone() };
        self.to(
            Phase::Reverting(marked.into()),
            "what had failed and is put back is not counted as failed any more",
        )
    }

    /// The engine has marked all that the wave changed.
    pub(super) fn gathered(&self, more: bool) -> Decision {
        let Some(revert) = self.gathering() else { return self.gathers_nothing() };
        let gathered = Revert { more, ..revert.clone() };
        self.to(
            gathered.at(revert.wave, RevertStage::Releasing),
            "what this wave changed is gathered",
        )
    }

    fn gathering(&self) -> Option<&Revert> {
        match &self.record.phase {
            Phase::Reverting(revert) if revert.stage == RevertStage::Gathering => Some(revert),
            _ => None,
        }
    }

    /// Aborted meanwhile, or reported twice.
    fn gathers_nothing(&self) -> Decision {
        self.stay(RolloutWake::Change(Wake::In(Duration::ZERO)), "nothing is gathered any more")
    }
}
