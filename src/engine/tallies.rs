//! What the engine counts for metrics: changes that settled, and how long jobs took.
//!
//! Invariants: counts only grow, from zero at the start of the process; no decision reads them.
//!
//! Deliberately not here: counts of where changes stand (`domain::tally`, from the store), and
//! calls, which are counted where they are made (`metrics`).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::histogram::{Bounds, Histogram, milliseconds};

/// From a job that is over at once to one that takes as long as a lane waits for it.
static JOB_BOUNDS: Bounds = milliseconds([
    1_000, 2_500, 5_000, 10_000, 20_000, 40_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
    3_600_000,
]);

/// What was counted since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineTallies {
    /// Changes that a decision settled, by the word of the outcome and by whether SSL was wanted
    /// on. What was withdrawn before it was released is not among them.
    pub settled: BTreeMap<(&'static str, bool), u64>,
    /// Jobs that were followed from their switch on and were seen to be done.
    pub jobs: Histogram,
}

impl Default for EngineTallies {
    fn default() -> Self {
        Self { settled: BTreeMap::new(), jobs: Histogram::new(&JOB_BOUNDS) }
    }
}

impl EngineTallies {
    pub(super) fn settle(&mut self, outcome: &'static str, on: bool) {
        *self.settled.entry((outcome, on)).or_default() += 1;
    }

    pub(super) fn job_took(&mut self, took: Duration) {
        self.jobs.add(took);
    }
}
