//! The simulated cloud: a fleet, its jobs and the faults that it shows, behind the same calls as
//! the real one.
//!
//! `model` answers requests and is pure; `sim` is the model as a [`Cloud`](crate::cloud::Cloud)
//! without HTTP, for simulation and rehearsal; `emulator` is the model as an HTTP server, for the
//! demo, the tests and other clients.
//!
//! Invariant: what happened is in the `ledger`, whatever the answers said; the same seed gives the
//! same fleet, ids and faults.
//!
//! Deliberately not here: any knowledge of the engine, and the client's reading of answers
//! (`cloud::answer`).

mod addresses;
pub mod emulator;
pub mod faults;
pub mod fleet;
pub mod ledger;
mod mix;
pub mod model;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod sim;
mod vendor_json;
