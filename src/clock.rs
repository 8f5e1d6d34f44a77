//! The only reader of time.
//!
//! Windows and records use the wall clock; deadlines, timers and quota use boot time, which counts
//! suspend and is not moved by a stepped wall clock.

use std::time::Duration;

use jiff::Timestamp;

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    pub wall: Timestamp,
    /// Time since the machine started, suspend included.
    pub boot: Duration,
}

/// Reads time. The daemon uses [`SystemClock`]; rehearsal and simulation bring their own.
pub trait Clock: Send + Sync {
    fn times(&self) -> Times;
}

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn times(&self) -> Times {
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(boot.tv_nsec).unwrap_or(0);
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads the wall clock"
        )]
        let wall = Timestamp::now();
        Times { wall, boot: Duration::new(seconds, nanos) }
    }
}

/// Time that the processors spent on this process, user and system together.
pub fn processor_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(used.tv_nsec).unwrap_or(0))
}
