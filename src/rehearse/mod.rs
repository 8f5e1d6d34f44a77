//! The rehearsal: a whole rollout in virtual time, by the shipped engine against the simulated
//! cloud.
//!
//! Job: a [`Scenario`] in, a [`RehearsalRun`] out: what happened, the journal of it, and whether
//! every promise held. The forecast is the same run several times over with other throws of the
//! dice; the search is many runs with drawn faults.
//!
//! Invariants: nothing here decides what a rollout does, that is [`crate::engine::Core`] as it
//! ships; nothing reads a clock, waits or rolls a die that does not follow from the scenario's
//! seed, so the same scenario gives the same journal.
//!
//! Deliberately not here: printing (`cli`), and what a rehearsal cannot know: how long the
//! account's real jobs take, and who else uses its quota. What is assumed instead is told by
//! [`assumed`].

pub mod assumed;
mod clouds;
mod cores;
pub mod event;
pub mod forecast;
pub mod invariants;
pub mod measured;
pub mod observation;
mod remainder;
pub mod repro;
pub mod scenario;
pub mod search;
mod trace;
pub mod verdict;
mod world;

pub use self::forecast::{Forecast, ForecastWave};
pub use self::remainder::remainder;
pub use self::scenario::{Scenario, SceneError};
pub use self::verdict::{Ending, RehearsalVerdict};
pub use self::world::{RehearsalRun, run};
