//! What the simulated cloud saw: the witness against which a run is judged.
//!
//! Invariants: every request is counted on arrival, whatever becomes of it; the worst count in any
//! sliding interval is exact for the intervals watched from the start, however long the run (up to
//! a bound that is reported when it is reached); lists that grow with the run have a bound and say
//! when they have reached it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

/// Arrivals kept one by one: the latest quarter of a million, 2 MiB, enough for minutes at full
/// speed.
pub const ARRIVALS_KEPT: usize = 1 << 18;

/// Switch calls kept one by one: four million, the whole of a million-change run with its
/// repetitions.
pub const SWITCHES_KEPT: usize = 4_000_000;

/// Arrivals kept for one sliding interval: a million, 8 MiB; five minutes at the quota of a large
/// account are less.
const RECENT_MAX: usize = 1 << 20;

/// What became of a switch call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Executed: it made the job of this index.
    Executed(u32),
    NotExecuted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SwitchSeen {
    /// Arrival, nanoseconds after the start.
    pub at_ns: u64,
    /// Index of the proxy; `None`: no proxy of the fleet.
    pub proxy: Option<u32>,
    pub ssl_option: bool,
    /// What became of it.
    pub fate: Fate,
    /// Status of the answer; 0 when the connection was dropped.
    pub status: u16,
}

/// The largest number of arrivals in any interval of one length.
#[derive(Debug, Clone)]
pub(super) struct Sliding {
    interval: u64,
    recent: VecDeque<u64>,
    worst: usize,
    worst_at: u64,
    saturated: bool,
}

/// The worst count of one sliding interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WorstInterval {
    /// Length of the interval in milliseconds.
    pub interval_ms: u64,
    /// Most arrivals in any half-open interval of this length.
    pub arrivals: usize,
    /// End of that interval, milliseconds after the start.
    pub at_ms: u64,
    /// More arrived in one interval than are kept: the true number is larger.
    pub saturated: bool,
}

impl Sliding {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval: nanos(interval),
            recent: VecDeque::new(),
            worst: 0,
            worst_at: 0,
            saturated: false,
        }
    }

    /// Arrivals in the interval that ends at `at`.
    pub(super) fn count(&mut self, at: u64) -> usize {
        while self.recent.front().is_some_and(|first| first.saturating_add(self.interval) <= at) {
            self.recent.pop_front();
        }
        self.recent.len()
    }

    pub(super) fn add(&mut self, at: u64) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
            self.saturated = true;
        }
        self.recent.push_back(at);
        let count = self.count(at);
        if count > self.worst {
            (self.worst, self.worst_at) = (count, at);
        }
    }

    /// When the oldest arrival in the interval leaves it.
    pub(super) fn frees_at(&self) -> Option<u64> {
        self.recent.front().map(|first| first.saturating_add(self.interval))
    }

    fn report(&self) -> WorstInterval {
        WorstInterval {
            interval_ms: self.interval / 1_000_000,
            arrivals: self.worst,
            at_ms: self.worst_at / 1_000_000,
            saturated: self.saturated,
        }
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    // 584 years; no run is longer.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Debug, Clone)]
pub struct Ledger {
    arrivals: VecDeque<u64>,
    arrivals_total: u64,
    sliding: Vec<Sliding>,
    switches: Vec<SwitchSeen>,
    switches_total: u64,
    executed_total: u64,
}

impl Ledger {
    pub(super) fn new(watched: &[Duration]) -> Self {
        Self {
            arrivals: VecDeque::new(),
            arrivals_total: 0,
            sliding: watched.iter().copied().map(Sliding::new).collect(),
            switches: Vec::new(),
            switches_total: 0,
            executed_total: 0,
        }
    }

    pub(super) fn watch(&mut self, interval: Duration) {
        if self.sliding.iter().all(|sliding| sliding.interval != nanos(interval)) {
            self.sliding.push(Sliding::new(interval));
        }
    }

    pub(super) fn arrived(&mut self, at: u64) {
        self.arrivals_total += 1;
        if self.arrivals.len() == ARRIVALS_KEPT {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(at);
        for sliding in &mut self.sliding {
            sliding.add(at);
        }
    }

    pub(super) fn switched(&mut self, seen: SwitchSeen) {
        self.switches_total += 1;
        self.executed_total += u64::from(matches!(seen.fate, Fate::Executed(_)));
        if self.switches.len() < SWITCHES_KEPT {
            self.switches.push(seen);
        }
    }

    /// Requests that arrived, of any kind.
    pub fn arrivals_total(&self) -> u64 {
        self.arrivals_total
    }

    /// Nanoseconds after the start of the latest [`ARRIVALS_KEPT`] arrivals, oldest first.
    pub fn arrivals(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.arrivals.iter().copied()
    }

    /// The worst count for each watched interval.
    pub fn worst(&self) -> Vec<WorstInterval> {
        self.sliding.iter().map(Sliding::report).collect()
    }

    /// The first [`SWITCHES_KEPT`] switch calls, in order of arrival.
    pub fn switches(&self) -> &[SwitchSeen] {
        &self.switches
    }

    /// Switch calls that arrived.
    pub fn switches_total(&self) -> u64 {
        self.switches_total
    }

    /// Switch calls that were executed: each made a job.
    pub fn executed_total(&self) -> u64 {
        self.executed_total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_interval_is_half_open() {
        let mut ledger = Ledger::new(&[Duration::from_nanos(10)]);
        for at in [0, 5, 9, 10, 11, 30] {
            ledger.arrived(at);
        }
        // At 10 the arrival at 0 is a whole interval away; at 11 there are 5, 9, 10 and 11.
        assert_eq!(
            ledger.worst(),
            [WorstInterval { interval_ms: 0, arrivals: 4, at_ms: 0, saturated: false }]
        );
        assert_eq!(ledger.arrivals_total(), 6);
        assert_eq!(ledger.arrivals().last(), Some(30));
    }

    #[test]
    fn the_worst_interval_is_that_of_a_direct_count() {
        let mut rng = fastrand::Rng::with_seed(9);
        let mut at = 0;
        let times: Vec<u64> = (0..500)
            .map(|_| {
                at += rng.u64(0..8);
                at
            })
            .collect();
        let mut ledger = Ledger::new(&[Duration::from_nanos(20)]);
        times.iter().for_each(|at| ledger.arrived(*at));
        let direct = times
            .iter()
            .map(|end| times.iter().filter(|t| **t <= *end && **t + 20 > *end).count())
            .max();
        assert_eq!(Some(ledger.worst()[0].arrivals), direct);
    }
}
