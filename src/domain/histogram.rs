//! How often something took how long, in a fixed number of buckets.
//!
//! Invariant: a histogram has [`BUCKETS`] bounds and one bucket above them, however much it counts;
//! its counts only grow.
//!
//! Deliberately not here: what is measured, and the name under which it is shown (`metrics`).

use std::time::Duration;

/// Bounds of a histogram.
pub const BUCKETS: usize = 12;

/// Upper bounds, in ascending order.
pub type Bounds = [Duration; BUCKETS];

/// Counted durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Histogram {
    bounds: &'static Bounds,
    counts: [u64; BUCKETS],
    above: u64,
    sum: Duration,
}

impl Histogram {
    /// One that has counted nothing.
    pub const fn new(bounds: &'static Bounds) -> Self {
        Self { bounds, counts: [0; BUCKETS], above: 0, sum: Duration::ZERO }
    }

    /// Counts one more.
    pub fn add(&mut self, took: Duration) {
        let place = self.bounds.partition_point(|bound| *bound < took);
        *self.counts.get_mut(place).unwrap_or(&mut self.above) += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// Each bound with how many lay between it and the bound before.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.bounds.iter().copied().zip(self.counts)
    }

    /// How many lay above the last bound.
    pub fn above(&self) -> u64 {
        self.above
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.above
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

/// Bounds from numbers of microseconds.
pub const fn microseconds(bounds: [u64; BUCKETS]) -> Bounds {
    let mut lengths = [Duration::ZERO; BUCKETS];
    let mut place = 0;
    while place < BUCKETS {
        lengths[place] = Duration::from_micros(bounds[place]);
        place += 1;
    }
    lengths
}

/// Bounds from numbers of milliseconds.
pub const fn milliseconds(mut bounds: [u64; BUCKETS]) -> Bounds {
    let mut place = 0;
    while place < BUCKETS {
        bounds[place] *= 1_000;
        place += 1;
    }
    microseconds(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    static BOUNDS: Bounds = milliseconds([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000]);

    #[test]
    fn a_duration_lies_in_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::new(&BOUNDS);
        for took in [0, 1, 2, 3, 5_000, 5_001, 90_000] {
            histogram.add(Duration::from_millis(took));
        }
        let counts: Vec<u64> = histogram.buckets().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((histogram.above(), histogram.count()), (2, 7));
        assert_eq!(histogram.sum(), Duration::from_millis(100_007));
    }
}
