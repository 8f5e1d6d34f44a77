//! The table: event → record, effect, wake; what a phase does by itself is `RolloutStep::woken`.
//!
//! Invariant: whatever a change's last check depends on moves the record's version.
//!
//! Deliberately not here: how a step is made (`steps`).

use jiff::Timestamp;

use super::{Context, Decision, Event, Record, Refusal, RolloutStep, RolloutWake};
use crate::domain::change::Wake;

/// The table: phase × event → record, effect, wake.
pub fn decide(record: &Record, event: &Event, ctx: &Context<'_>) -> Result<Decision, Refusal> {
    let step = RolloutStep { record, ctx };
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
        decision.wake =
            decision.wake.no_later_than(ctx.comes_at(until, ctx.slowest.pause), ctx.now);
    }
    if gates(next) != gates(record) {
        next.version += 1;
    }
    Ok(decision)
}

impl Context<'_> {
    /// When the slowest clock, which shows `clock` now, shows `until`: by our wall clock, if
    /// nothing is stepped meanwhile.
    pub(super) fn comes_at(&self, until: Timestamp, clock: Timestamp) -> Timestamp {
        self.now.saturating_add(clock.duration_until(until)).unwrap_or(Timestamp::MAX)
    }
}

/// All of a record that its version stands for.
fn gates(record: &Record) -> impl PartialEq + '_ {
    (&record.phase, &record.paused, record.paused_until, record.requeue, &record.approvals)
}

impl RolloutWake {
    /// The earlier of the two.
    pub(super) fn no_later_than(self, at: Timestamp, now: Timestamp) -> Self {
        match self {
            Self::Change(Wake::In(wait)) if now.checked_add(wait).is_ok_and(|then| then <= at) => {
                self
            }
            Self::At(then) if then <= at => self,
            Self::Change(Wake::In(_) | Wake::Never) | Self::At(_) => Self::At(at),
        }
    }
}
