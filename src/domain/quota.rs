//! The promise "never more than N calls in *any* interval", as a value.
//!
//! Invariant: at every instant, permits out plus permits returned within the last interval are at
//! most N. A permit is returned when the call's answer is in, or, when none came, when it can no
//! longer arrive; so the promise holds at our socket and also where the calls arrive (two requests
//! arriving within one interval would hold permits at once). The allowance may change at any time:
//! what was sent before counts under the new one, and the old one stays in force beside it until an
//! interval of it has passed.
//!
//! Deliberately not here: spacing (`engine::lane` spreads the calls; this module only refuses the
//! one too many), and how much of the allowance is used (`domain::ceiling`).

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A lane's allowance: `requests` in any interval of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Calls allowed in one interval, at least 1.
    pub requests: u32,
    pub per: Duration,
}

impl Quota {
    /// An allowance that keeps both.
    fn strictest(self, other: Self) -> Self {
        Self { requests: self.requests.min(other.requests), per: self.per.max(other.per) }
    }
}

/// Instants in here are boot time: since the machine started, suspend counted, immune to a stepped
/// wall clock.
pub type Boot = Duration;

/// An allowance that is no longer the lane's, and still holds for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Leaving {
    quota: Quota,
    until: Boot,
}

/// Calls that have left the longest interval that was watched: how many, and when the last of them
/// came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Forgotten {
    calls: u32,
    last: Boot,
}

/// The sliding count of one lane. Written down, it is the lane's level: good for a process on the
/// same machine, since the same boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlidingCount {
    quota: Option<Quota>,
    leaving: Option<Leaving>,
    out: u32,
    returned: VecDeque<Boot>,
    forgotten: Option<Forgotten>,
}

impl SlidingCount {
    /// Starts as if the whole allowance had just been used: the process that ran before us may have
    /// done just that, and a crash loop must not become a flood. At most `out` of its calls may
    /// still arrive, until `gone` (`None`: all of them); the others arrived by `now`. Whatever it
    /// is changed to later counts the same.
    pub fn spent(quota: Option<Quota>, out: Option<u32>, now: Boot, gone: Boot) -> Self {
        let requests = quota.map_or(0, |quota| quota.requests);
        let late = out.map_or(requests, |out| out.min(requests));
        let returned = std::iter::repeat_n(now, (requests - late) as usize)
            .chain(std::iter::repeat_n(gone, late as usize))
            .collect();
        let last = if quota.is_some() && out.is_some() { now } else { gone };
        Self {
            quota,
            leaving: None,
            out: 0,
            returned,
            forgotten: Some(Forgotten { calls: u32::MAX, last }),
        }
    }

    /// The same, with so many permits out.
    #[must_use]
    pub fn with_out(self, out: u32) -> Self {
        Self { out, ..self }
    }

    /// Starts with the whole allowance free: only where it is known that nobody called before.
    pub fn fresh(quota: Option<Quota>) -> Self {
        Self { quota, leaving: None, out: 0, returned: VecDeque::new(), forgotten: None }
    }

    /// Another allowance is in force; `None`: none. It holds at once, also over what was sent
    /// before, and the one until now holds on for one interval of its own.
    pub fn change(&mut self, quota: Option<Quota>, now: Boot) {
        if quota == self.quota {
            return;
        }
        self.leaving.take_if(|leaving| leaving.until <= now);
        if let Some(old) = self.quota.take() {
            let leaving = Leaving { quota: old, until: now + old.per };
            self.leaving = Some(match self.leaving {
                // Several changes within an interval: what keeps all of them.
                Some(before) => Leaving {
                    quota: before.quota.strictest(old),
                    until: before.until.max(leaving.until),
                },
                None => leaving,
            });
        }
        self.quota = quota;
        if let (Some(quota), Some(forgotten)) = (quota, &mut self.forgotten)
            && now < forgotten.last + quota.per
        {
            // What a longer interval than those until now has in it is not known one by one: all at
            // its latest moment.
            let calls = forgotten.calls.min(quota.requests);
            forgotten.calls -= calls;
            let later =
                self.returned.split_off(self.returned.partition_point(|at| *at <= forgotten.last));
            self.returned.extend(std::iter::repeat_n(forgotten.last, calls as usize));
            self.returned.extend(later);
        }
    }

    /// Takes a permit while at most `ceiling` calls are in the interval, or says when the next may
    /// be free; `None` when that depends on an answer still out. A ceiling above the allowance
    /// changes nothing.
    pub fn take(&mut self, now: Boot, ceiling: u32) -> Result<(), Option<Boot>> {
        self.prune(now);
        let own = self.quota.map(|quota| {
            self.free_at(Quota { requests: quota.requests.min(ceiling).max(1), ..quota }, now)
        });
        let leaving = self.leaving.map(|leaving| {
            self.free_at(leaving.quota, now).map_or(leaving.until, |free| free.min(leaving.until))
        });
        let free = own.unwrap_or(Some(now)).ok_or(None)?.max(leaving.unwrap_or(now));
        if free > now {
            return Err(Some(free));
        }
        self.out += 1;
        Ok(())
    }

    /// From when on the rule lets one more leave; `None` when that depends on an answer still out.
    fn free_at(&self, rule: Quota, now: Boot) -> Option<Boot> {
        let live = self.returned.partition_point(|at| *at + rule.per <= now);
        let used = self.out as usize + self.returned.len() - live;
        match used.checked_sub(rule.requests as usize) {
            None => Some(now),
            Some(over) => self.returned.get(live + over).map(|at| *at + rule.per),
        }
    }

    fn prune(&mut self, now: Boot) {
        self.leaving.take_if(|leaving| leaving.until <= now);
        let watched = self
            .quota
            .into_iter()
            .chain(self.leaving.map(|leaving| leaving.quota))
            .map(|quota| quota.per)
            .max();
        let watched = watched.unwrap_or(Duration::ZERO);
        while let Some(at) = self.returned.pop_front_if(|at| *at + watched <= now) {
            self.forget(at);
        }
    }

    fn forget(&mut self, at: Boot) {
        let before = self.forgotten.unwrap_or(Forgotten { calls: 0, last: Boot::ZERO });
        self.forgotten =
            Some(Forgotten { calls: before.calls.saturating_add(1), last: before.last.max(at) });
    }

    /// Returns the permit of a call that arrived, or can no longer arrive, by `gone` (an answer in:
    /// now; no answer: when its landing bound is over). It frees one interval later.
    ///
    /// # Panics
    /// When no permit is out: a permit returned twice would let one call too many leave.
    pub fn give_back(&mut self, gone: Boot) {
        self.out = self.out.checked_sub(1).expect("a permit is returned once");
        if self.quota.is_none() && self.leaving.is_none() {
            return self.forget(gone);
        }
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
    pub fn quota(&self) -> Option<Quota> {
        self.quota
    }

    pub fn out(&self) -> u32 {
        self.out
    }

    /// Calls that may still arrive: permits out, and those of calls that were given up a moment
    /// ago.
    pub fn unsettled(&self, now: Boot) -> u32 {
        let landed = self.returned.partition_point(|at| *at <= now);
        self.out.saturating_add(u32::try_from(self.returned.len() - landed).unwrap_or(u32::MAX))
    }

    /// Calls that came back within the last interval of the allowance, or still may.
    pub fn back_of_late(&self, now: Boot) -> u32 {
        let Some(quota) = self.quota else { return 0 };
        let live = self.returned.partition_point(|at| *at + quota.per <= now);
        u32::try_from(self.returned.len() - live).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUOTA: Quota = Quota { requests: 3, per: Duration::from_secs(1) };
    const ALL: u32 = u32::MAX;

    #[test]
    fn a_permit_frees_one_interval_after_the_answer() {
        let mut count = SlidingCount::fresh(Some(QUOTA));
        let at = Duration::from_millis;
        for _ in 0..3 {
            assert_eq!(count.take(at(0), ALL), Ok(()));
        }
        assert_eq!(count.take(at(900), ALL), Err(None));
        count.give_back(at(400));
        assert_eq!(count.take(at(1399), ALL), Err(Some(at(1400))));
        assert_eq!(count.take(at(1400), ALL), Ok(()));
    }

    #[test]
    fn a_start_after_an_unknown_past_waits_a_whole_interval() {
        let at = Duration::from_secs;
        let mut count = SlidingCount::spent(Some(QUOTA), None, at(5), at(20));
        assert_eq!(
            count.take(at(5), ALL),
            Err(Some(at(21))),
            "all of them may still be on their way"
        );
        assert_eq!(count.take(at(21), ALL), Ok(()));
    }

    #[test]
    fn what_was_not_out_at_a_kill_comes_back_after_an_interval() {
        let at = Duration::from_secs;
        let mut count = SlidingCount::spent(every(5, 1), Some(2), at(5), at(20));
        assert_eq!((count.unsettled(at(5)), count.unsettled(at(20))), (2, 0));
        assert_eq!(count.take(at(5), ALL), Err(Some(at(6))));
        assert_eq!(burst(&mut count, at(6)), 3, "two may still arrive");
        assert_eq!(burst(&mut count, at(20)), 3);
        assert_eq!(burst(&mut count, at(21)), 5);
        // More than the allowance of today: another one was in force, or there was none.
        let mut all = SlidingCount::spent(every(5, 1), Some(9), at(5), at(20));
        assert_eq!(all.take(at(6), ALL), Err(Some(at(21))));
        let mut none = SlidingCount::spent(None, Some(1), at(5), at(20));
        none.change(every(5, 1), at(6));
        assert_eq!(
            none.take(at(7), ALL),
            Err(Some(at(21))),
            "without an allowance nobody has counted"
        );
    }

    #[test]
    fn a_longer_interval_after_a_kill_counts_all_of_it() {
        let at = Duration::from_secs;
        let mut count = SlidingCount::spent(every(5, 1), Some(2), at(5), at(20));
        count.change(every(8, 60), at(7));
        assert_eq!(count.take(at(30), ALL), Err(Some(at(65))));
        assert_eq!(burst(&mut count, at(65)), 6, "two may have arrived at 20 s");
    }

    #[test]
    fn a_call_that_was_given_up_is_unsettled_until_it_can_no_longer_arrive() {
        let mut count = SlidingCount::fresh(Some(QUOTA));
        let at = Duration::from_secs;
        assert_eq!(
            (count.take(at(0), ALL), count.take(at(0), ALL), count.unsettled(at(0))),
            (Ok(()), Ok(()), 2)
        );
        count.give_back(at(9));
        count.give_back(at(1));
        assert_eq!([at(0), at(1), at(8), at(9)].map(|now| count.unsettled(now)), [2, 1, 1, 0]);
    }

    #[test]
    fn a_withheld_call_costs_nothing() {
        let mut count = SlidingCount::fresh(Some(QUOTA));
        for _ in 0..10 {
            assert_eq!(count.take(Duration::ZERO, ALL), Ok(()));
            count.unused();
        }
    }

    const fn every(requests: u32, seconds: u64) -> Option<Quota> {
        Some(Quota { requests, per: Duration::from_secs(seconds) })
    }

    /// Takes as many permits as there are, each answered at once.
    fn burst(count: &mut SlidingCount, now: Duration) -> u32 {
        let mut sent = 0;
        while count.take(now, ALL).is_ok() {
            count.give_back(now);
            sent += 1;
        }
        sent
    }

    #[test]
    fn a_ceiling_below_the_allowance_holds_in_any_interval() {
        let mut count = SlidingCount::fresh(every(10, 1));
        let at = Duration::from_millis;
        for turn in 0..8 {
            assert_eq!(count.take(at(turn), ALL), Ok(()));
            count.give_back(at(turn));
        }
        // Of the eight the interval must lose five before there is room for a fourth.
        assert_eq!(count.take(at(10), 4), Err(Some(at(1_004))));
        assert_eq!(count.take(at(1_004), 4), Ok(()));
        count.give_back(at(1_004));
        assert_eq!(
            count.take(at(1_005), 0),
            Err(Some(at(2_004))),
            "a ceiling is at least one call"
        );
    }

    #[test]
    fn a_lower_allowance_counts_what_was_sent_before() {
        let mut count = SlidingCount::fresh(every(5, 10));
        assert_eq!(burst(&mut count, Duration::from_secs(1)), 5);
        count.change(every(2, 10), Duration::from_secs(2));
        assert_eq!(count.take(Duration::from_secs(10), ALL), Err(Some(Duration::from_secs(11))));
        assert_eq!(burst(&mut count, Duration::from_secs(11)), 2);
    }

    #[test]
    fn a_higher_allowance_waits_until_an_interval_of_the_old_one_is_over() {
        let mut count = SlidingCount::fresh(every(2, 10));
        assert_eq!(burst(&mut count, Duration::from_secs(1)), 2);
        count.change(every(5, 10), Duration::from_secs(2));
        assert_eq!(
            count.take(Duration::from_secs(2), ALL),
            Err(Some(Duration::from_secs(11))),
            "the old interval still has two"
        );
        assert_eq!(burst(&mut count, Duration::from_secs(11)), 2, "the old one holds on");
        assert_eq!(burst(&mut count, Duration::from_secs(12)), 3, "from here on the new one alone");
    }

    #[test]
    fn a_longer_interval_counts_what_the_shorter_one_forgot_at_its_latest() {
        let mut count = SlidingCount::fresh(every(2, 1));
        for second in [0, 1, 2] {
            assert_eq!(burst(&mut count, Duration::from_secs(second)), 2);
        }
        count.change(every(5, 60), Duration::from_secs(3));
        // Four were forgotten, the last of them at 1 s; two more are of 2 s. None of the six may be
        // counted too early.
        assert_eq!(count.take(Duration::from_secs(10), ALL), Err(Some(Duration::from_secs(61))));
        let mut idle = SlidingCount::fresh(every(2, 1));
        assert_eq!(burst(&mut idle, Duration::ZERO), 2);
        assert_eq!(burst(&mut idle, Duration::from_secs(70)), 2);
        idle.change(every(5, 60), Duration::from_secs(72));
        assert_eq!(
            burst(&mut idle, Duration::from_secs(73)),
            3,
            "what is longer ago than the new interval is nothing to it"
        );
    }

    #[test]
    fn an_allowance_after_none_counts_what_was_sent_without_one() {
        let mut count = SlidingCount::fresh(None);
        for second in 0..7 {
            assert_eq!(count.take(Duration::from_secs(second), ALL), Ok(()));
            count.give_back(Duration::from_secs(second));
        }
        count.change(every(5, 10), Duration::from_secs(7));
        assert_eq!(count.take(Duration::from_secs(7), ALL), Err(Some(Duration::from_secs(16))));
        let mut unknown = SlidingCount::spent(None, None, Duration::ZERO, Duration::from_secs(3));
        unknown.change(every(5, 10), Duration::from_secs(4));
        assert_eq!(unknown.take(Duration::from_secs(4), ALL), Err(Some(Duration::from_secs(13))));
    }

    #[test]
    fn what_is_written_down_is_the_whole_level() {
        let mut count = SlidingCount::fresh(every(4, 10));
        assert_eq!(burst(&mut count, Duration::from_secs(1)), 4);
        count.change(every(6, 10), Duration::from_secs(2));
        let written = serde_json::to_string(&count).expect("numbers");
        assert_eq!(serde_json::from_str::<SlidingCount>(&written).expect("own text"), count);
    }

    proptest! {
        /// However often the allowance changes, every interval that begins under one and ends
        /// within it keeps it, and one across a change keeps the higher of the two; across a rise
        /// it keeps the lower for an interval of the old.
        #[test]
        fn no_change_lets_too_many_leave(
            changes in prop::collection::vec((1u32..8, 1u64..6, 200u64..9_000), 1..6),
            steps in prop::collection::vec(1u64..900, 1..300),
        ) {
            let mut rules: Vec<(u64, Quota)> = vec![(0, QUOTA)];
            for (requests, seconds, after) in changes {
                let at = rules.last().map_or(0, |(at, _)| *at) + after;
                rules.push((at, Quota { requests, per: Duration::from_secs(seconds) }));
            }
            let mut count = SlidingCount::fresh(Some(QUOTA));
            let (mut now, mut next, mut sent) = (0, 1, Vec::new());
            for step in steps {
                now += step;
                while let Some((at, quota)) = rules.get(next).filter(|(at, _)| *at <= now) {
                    count.change(Some(*quota), Duration::from_millis(*at));
                    next += 1;
                }
                while count.take(Duration::from_millis(now), ALL).is_ok() {
                    count.give_back(Duration::from_millis(now));
                    sent.push(now);
                }
            }
            for (place, (from, quota)) in rules.iter().enumerate() {
                let per = u64::try_from(quota.per.as_millis()).expect("short");
                // In force from then until an interval after its successor came.
                let until = rules.get(place + 1).map_or(u64::MAX, |(at, _)| at + per);
                for last in sent.iter().filter(|at| (*from..until).contains(*at)) {
                    let within = sent.iter().filter(|at| **at <= *last && **at + per > *last).count();
                    prop_assert!(within <= quota.requests as usize, "{within} in the {per} ms up to {last} ms, allowed are {} since {from} ms", quota.requests);
                }
            }
        }

        /// Whatever the delays on the way there and back, no interval sees more than N arrivals.
        #[test]
        fn no_interval_sees_more_arrivals(delays in prop::collection::vec((0u64..400, 0u64..400, 0u64..50), 1..200)) {
            let mut count = SlidingCount::fresh(Some(QUOTA));
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
                    match count.take(now, ALL) {
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
