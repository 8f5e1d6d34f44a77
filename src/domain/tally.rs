//! Counts of a rollout's changes by where they stand, kept incrementally per wave.
//!
//! Invariant: the counts of a wave always add up to its size, so totals add up on every screen.

use serde::{Deserialize, Serialize};

use super::change::{State, StateKind};

/// Where a change stands, as far as counting goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Not released yet, or recalled.
    Queued,
    /// Released and not settled: counts against `max_in_flight` and against the failure budget.
    Active,
    /// Settled: the proxy was seen with the wanted value.
    Succeeded,
    /// Settled: refused, broken, attempts spent or not verified in time.
    Failed,
    /// Settled for the machine: a person must look. Counts as a failure against the budget.
    InDoubt,
    /// Settled: withdrawn before anything was sent.
    Cancelled,
    Reverted,
    /// Settled: left alone on purpose.
    Skipped,
}

impl Standing {
    /// The standing of a change in this state.
    pub fn of(state: &State) -> Self {
        Self::of_kind(state.kind())
    }

    /// The same, of a state of which only this is known.
    pub fn of_kind(kind: StateKind) -> Self {
        match kind {
            StateKind::Queued => Self::Queued,
            StateKind::Ready
            | StateKind::Inspecting
            | StateKind::Submitting
            | StateKind::Recovering
            | StateKind::Following
            | StateKind::Verifying => Self::Active,
            StateKind::Succeeded => Self::Succeeded,
            StateKind::Failed => Self::Failed,
            StateKind::InDoubt => Self::InDoubt,
            StateKind::Cancelled => Self::Cancelled,
            StateKind::Reverted => Self::Reverted,
            StateKind::Skipped => Self::Skipped,
        }
    }
}

/// Counts of one wave, or of a whole rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub queued: u32,
    /// Released and not settled.
    pub active: u32,
    /// Seen with the wanted value.
    pub succeeded: u32,
    pub failed: u32,
    /// Waiting for a person.
    pub in_doubt: u32,
    pub cancelled: u32,
    #[serde(default)]
    pub reverted: u32,
    /// Left alone on purpose.
    #[serde(default)]
    pub skipped: u32,
}

impl Tally {
    /// A wave of which nothing was released yet.
    pub fn queued(size: u32) -> Self {
        Self { queued: size, ..Self::default() }
    }

    pub fn total(&self) -> u32 {
        self.queued + self.active + self.settled()
    }

    /// Changes that have their outcome.
    pub fn settled(&self) -> u32 {
        self.succeeded + self.failed + self.in_doubt + self.cancelled + self.reverted + self.skipped
    }

    /// What counts against a failure budget: failed and in doubt.
    pub fn failures(&self) -> u32 {
        self.failed + self.in_doubt
    }

    fn slot(&mut self, standing: Standing) -> &mut u32 {
        match standing {
            Standing::Queued => &mut self.queued,
            Standing::Active => &mut self.active,
            Standing::Succeeded => &mut self.succeeded,
            Standing::Failed => &mut self.failed,
            Standing::InDoubt => &mut self.in_doubt,
            Standing::Cancelled => &mut self.cancelled,
            Standing::Reverted => &mut self.reverted,
            Standing::Skipped => &mut self.skipped,
        }
    }

    /// Moves `count` changes from one standing to another.
    ///
    /// # Panics
    /// When fewer than `count` changes stand at `from`: then the store's books are wrong, and going
    /// on would be worse.
    pub fn shift(&mut self, from: Standing, to: Standing, count: u32) {
        let source = self.slot(from);
        *source = source.checked_sub(count).expect("a change is counted where it stands");
        *self.slot(to) += count;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(waves: I) -> Self {
        waves.fold(Self::default(), |sum, wave| Self {
            queued: sum.queued + wave.queued,
            active: sum.active + wave.active,
            succeeded: sum.succeeded + wave.succeeded,
            failed: sum.failed + wave.failed,
            in_doubt: sum.in_doubt + wave.in_doubt,
            cancelled: sum.cancelled + wave.cancelled,
            reverted: sum.reverted + wave.reverted,
            skipped: sum.skipped + wave.skipped,
        })
    }
}
