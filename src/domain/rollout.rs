//! One rollout: its phases, the operator's commands, and the table that says what happens next.
//!
//! Job: [`decide`]. It takes the rollout's record, a snapshot of its tallies, an event and the
//! context, and returns the next record and what to do to the rollout's own changes.
//!
//! Invariants: failures plus changes in flight never exceed a budget, because a release counts
//! both; no change of a later wave is released before its wave advances; a wave half of which
//! failed is left by a person alone; a halt and an abort are sticky until a person's verb; nothing
//! leads from a revert back to going on.
//!
//! `paused` is a flag beside the phase, so resuming needs no memory of where it was. Deliberately
//! not here: calls to the cloud, and which targets are released (the engine picks them in the
//! list's order).

mod approval;
mod revert;
mod steps;
mod table;
mod tag;
#[cfg(test)]
mod tests;
mod types;
#[cfg(test)]
mod windows;

pub use self::approval::Approved;
pub use self::revert::{Cause, Revert, RevertStage};
pub use self::steps::{LOOK_AGAIN, wave_is_done};
pub use self::table::decide;
pub use self::types::{
    ByHand, Context, Decision, Effect, Event, Halt, Phase, Record, Refusal, ReleaseRoom, Requeue,
    RolloutWake, Slowest, Verb,
};

use self::steps::{RolloutStep, because, message};
