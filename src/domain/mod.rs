//! The pure ground: what a plan, a rollout and a change are, and what each of them does next.
//!
//! Job: decide. Given a state, an event and the time, these modules return the next state and at
//! most one call.
//!
//! Invariant: nothing in here reads a clock, rolls a die, touches a disk or a socket, or depends on
//! the order of a hash map. The same inputs give the same outputs on every machine, which is what
//! lets a rehearsal, a simulation and the daemon share one engine.
//!
//! Deliberately not here: YAML and JSON of the outside world (`planfile`, `api::wire`), storage
//! (`store`), the cloud's HTTP (`cloud`). Serde on the types below serves the store's own records
//! only.

pub mod call;
pub mod ceiling;
pub mod change;
pub mod cloud_clock;
pub mod count;
pub mod cron;
pub mod enforce;
pub mod group;
pub mod histogram;
pub mod hold;
pub mod id;
pub mod job_match;
pub mod journal;
pub mod keeper;
pub mod lane;
pub mod nights;
pub mod notify;
pub mod openings;
pub mod paging;
pub mod people;
pub mod person;
pub mod plan;
pub mod proof;
pub mod quota;
pub mod retry;
pub mod rollout;
pub mod stop;
pub mod tally;
pub mod target;
pub mod window;
pub mod window_log;
pub mod written;
pub mod zone;
