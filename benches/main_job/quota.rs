//! A run at a quota, judged by what arrived at the server.

use serde::Serialize;

/// Calls a second that the lane may make.
pub const LIMIT: u32 = 100;

/// One second in the server's log.
const SECOND: u64 = 1_000_000_000;

/// How the quota was used.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Used {
    /// Calls allowed in a second.
    pub limit: u32,
    /// Seconds looked at, from the first call on.
    pub seconds: u32,
    /// Calls that arrived in them, as a share of what was allowed.
    pub utilisation: f64,
    /// Most calls that arrived in any half-open second.
    pub worst_second: usize,
}

/// Judges arrivals, in nanoseconds and in order, over the first `seconds`.
pub fn judge(arrivals: &[u64], seconds: u32) -> Used {
    let first = arrivals.first().copied().unwrap_or(0);
    let until = first + u64::from(seconds) * SECOND;
    let within = arrivals.partition_point(|at| *at < until);
    let worst = arrivals.iter().enumerate().map(|(place, at)| {
        let end = arrivals.partition_point(|other| *other < at + SECOND);
        end - place
    });
    Used { limit: LIMIT, seconds, utilisation: within as f64 / f64::from(LIMIT * seconds), worst_second: worst.max().unwrap_or(0) }
}

/// Changes enough to keep the lane busy for so long, at four calls each.
pub fn changes(seconds: u32) -> u32 {
    LIMIT * (seconds + 2) / 4
}
