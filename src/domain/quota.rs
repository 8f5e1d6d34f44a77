//! The promise "never more than N calls in *any* interval", as a value.
//!
//! Invariant: at every instant, permits out plus permits returned within the last interval are at most N. A permit is
//! returned when the call's answer is in, or, when none came, when it can no longer arrive; so the promise holds at
//! our socket and also where the calls arrive (two requests arriving within one interval would hold permits at once).
//!
//! Deliberately not here: spacing. `engine::pace` spreads the calls; this module only refuses the one too many.

use std::collections::VecDeque;
use std::time::Duration;

/// A lane's allowance: `requests` in any interval of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Calls allowed in one interval, at least 1.
    pub requests: u32,
    /// The interval.
    pub per: Duration,
}

/// Instants in here are boot time: since the machine started, suspend counted, immune to a stepped wall clock.
pub type Boot = Duration;

/// The sliding count of one lane.
#[derive(Debug, Clone)]
pub struct SlidingCount {
    quota: Quota,
    out: u32,
    returned: VecDeque<Boot>,
}

impl SlidingCount {
    /// Starts as if the whole allowance were still on its way and gone by `gone`: the process that ran before us may
    /// have done just that, and a crash loop must not become a flood.
    pub fn spent(quota: Quota, gone: Boot) -> Self {
        Self { quota, out: 0, returned: std::iter::repeat_n(gone, quota.requests as usize).collect() }
    }

    /// Starts with the whole allowance free: only where it is known that nobody called before.
    pub fn fresh(quota: Quota) -> Self {
        Self { quota, out: 0, returned: VecDeque::new() }
    }

    /// Takes a permit, or says when the next may be free; `None` when that depends on an answer still out.
    pub fn take(&mut self, now: Boot) -> Result<(), Option<Boot>> {
        while self.returned.front().is_some_and(|at| *at + self.quota.per <= now) {
            self.returned.pop_front();
        }
        let used = self.out as usize + self.returned.len();
        if used < self.quota.requests as usize {
            self.out += 1;
            return Ok(());
        }
        Err(self.returned.front().map(|at| *at + self.quota.per))
    }

    /// Returns the permit of a call that arrived, or can no longer arrive, by `gone` (an answer in: now; no answer: when
    /// its landing bound is over). It frees one interval later.
    ///
    /// # Panics
    /// When no permit is out: a permit returned twice would let one call too many leave.
    pub fn give_back(&mut self, gone: Boot) {
        self.out = self.out.checked_sub(1).expect("a permit is returned once");
        let place = self.returned.partition_point(|at| *at <= gone);
        self.returned.insert(place, gone);
    }

    /// Returns the permit of a call that never left: it is free at once.
    ///
    /// # Panics
    /// As [`Self::give_back`].
    pub fn unused(&mut self) {
        self.out = self.out.checked_sub(1).expect("a permit is returned once");
    }

    /// The allowance in force.
    pub fn quota(&self) -> Quota {
        self.quota
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUOTA: Quota = Quota { requests: 3, per: Duration::from_secs(1) };

    #[test]
    fn a_permit_frees_one_interval_after_the_answer() {
        let mut count = SlidingCount::fresh(QUOTA);
        let at = Duration::from_millis;
        for _ in 0..3 {
            assert_eq!(count.take(at(0)), Ok(()));
        }
        assert_eq!(count.take(at(900)), Err(None));
        count.give_back(at(400));
        assert_eq!(count.take(at(1399)), Err(Some(at(1400))));
        assert_eq!(count.take(at(1400)), Ok(()));
    }

    #[test]
    fn a_start_after_an_unknown_past_waits_a_whole_interval() {
        let mut count = SlidingCount::spent(QUOTA, Duration::from_secs(5));
        assert_eq!(count.take(Duration::from_secs(5)), Err(Some(Duration::from_secs(6))));
        assert_eq!(count.take(Duration::from_secs(6)), Ok(()));
    }

    #[test]
    fn a_withheld_call_costs_nothing() {
        let mut count = SlidingCount::fresh(QUOTA);
        for _ in 0..10 {
            assert_eq!(count.take(Duration::ZERO), Ok(()));
            count.unused();
        }
    }

    proptest! {
        /// Whatever the delays on the way there and back, no interval sees more than N arrivals.
        #[test]
        fn no_interval_sees_more_arrivals(delays in prop::collection::vec((0u64..400, 0u64..400, 0u64..50), 1..200)) {
            let mut count = SlidingCount::fresh(QUOTA);
            let mut now = Duration::ZERO;
            let mut answers: Vec<Duration> = Vec::new();
            let mut arrivals: Vec<Duration> = Vec::new();
            for (there, back, idle) in delays {
                now += Duration::from_millis(idle);
                loop {
                    answers.sort();
                    while answers.first().is_some_and(|a| *a <= now) {
                        count.give_back(answers.remove(0));
                    }
                    match count.take(now) {
                        Ok(()) => break,
                        Err(Some(until)) => now = answers.first().copied().unwrap_or(until).min(until),
                        Err(None) => now = answers[0],
                    }
                }
                arrivals.push(now + Duration::from_millis(there));
                answers.push(now + Duration::from_millis(there + back));
            }
            arrivals.sort();
            for (i, start) in arrivals.iter().enumerate() {
                let within = arrivals[i..].iter().take_while(|a| **a < *start + QUOTA.per).count();
                prop_assert!(within <= QUOTA.requests as usize, "{within} arrivals within one interval");
            }
        }
    }
}
