//! The engine: turns due work and answers into commits and calls.

mod handle;

pub use handle::{Acknowledged, Command, CommandError, Handle, LaneSnapshot, Snapshot};
