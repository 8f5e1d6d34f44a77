//! The only reader of time.
//!
//! Windows and records use the wall clock; deadlines, timers and quota use boot time, which counts suspend and is not
//! moved by a stepped wall clock.

use std::time::Duration;

use jiff::Timestamp;

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Wall clock.
    pub wall: Timestamp,
    /// Time since the machine started, suspend included.
    pub boot: Duration,
}

/// Reads time. The daemon uses [`SystemClock`]; rehearsal and simulation bring their own.
pub trait Clock: Send + Sync {
    /// Both clocks, now.
    fn times(&self) -> Times;
}
