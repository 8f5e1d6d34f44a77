//! One change: its states, its events, and the table that says what happens next.
//!
//! Job: [`decide`]. It takes the change, an event and the context, and returns the change's next
//! record, at most one call, and when to wake it. Commit the record first, then make the call: the
//! caller's duty, on which everything rests.
//!
//! Invariants: a PUT is decided only from `Inspecting`, after a look at the proxy; a PUT whose
//! outcome is unknown leads to `Recovering`, which asks the cloud before anything else; a settled
//! change never moves except by a person's retry; a job id that was read is in the record of the
//! very next decision.
//!
//! A revert is no second machine: a change that is put back runs through the same states with the
//! value seen before as the wanted one ([`Undo`]).
//!
//! Deliberately not here: quota, places in flight and the failure budget (the engine's and the
//! rollout's business).

mod presumed;
mod setback;
mod steps;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod undo;
mod wire;

pub use self::presumed::{PRESUMED_MAX, Presumed};
pub use self::setback::{Asked, Setback, Setbacks};
pub use self::table::decide;
pub use self::types::{
    AnswerEvent, BUSY_WAITS_MAX, ByPerson, Change, Clearance, Context, Decision, Directive, Event,
    HELD_LOOK, How, JOBS_MAX, LOOKS_MAX, Reason, ReasonWord, Record, Stale, State, StateKind,
    Timing, Wake,
};
pub use self::undo::Undo;
pub use self::wire::ShownByApi;

use self::steps::ChangeStep;
use self::types::is_zero;
