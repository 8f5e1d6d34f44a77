//! Sealift switches SSL on or off across a fleet of GaussDB(for MySQL) proxies, durably, and proves
//! it.
//!
//! The modules below stand in the order in which they may import: each one only what stands under
//! it. `tests/library/tidy.rs` keeps that order by reading the `crate::` paths; ARCHITECTURE.md
//! tells what each is for.

#![forbid(unsafe_code)]

// The daemon: wires everything below, speaks to systemd.
pub mod daemon;

// The client verbs.
pub mod cli;

// The operator's page: views in HTML.
pub mod page;

// Traces of changes for OpenTelemetry, drawn from the journal.
pub mod traces;

// For Prometheus: what the daemon does and how it stands.
pub mod metrics;

// The daemon's API on its socket, and its wire types.
pub mod api;

// Notifications: what happened, told to receivers elsewhere.
pub mod notify;

// Words for people, the same in every room.
pub mod words;

// Whole rollouts in virtual time: rehearsal, forecast, search.
pub mod rehearse;

// Turns due work, answers and verbs into commits and calls.
pub mod engine;

// The simulated cloud: its model, and the emulator that serves it.
pub mod simcloud;

// One look at a proxy's port, over the wire.
pub mod probe;

// The cloud as the engine calls it: the real client.
pub mod cloud;

// The only shared state: journal and queue.
pub mod store;

// The daemon's configuration.
pub mod config;

// Plan files and target files.
pub mod planfile;

// Any YAML file that a person wrote: bounds, places, diagnostics.
pub mod yaml;

// Authorities of certificates, as PEM text.
pub mod authorities;

// Which database the store is in: its URL and schema.
pub mod database;

// The only reader of time.
pub mod clock;

// Pure: what a plan, a rollout and a change are, and what each does next.
pub mod domain;

// For the tests: the fuzzer's corpus.
#[cfg(test)]
mod tests {
    pub(crate) mod corpus;
}
