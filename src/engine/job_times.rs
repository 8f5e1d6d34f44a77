//! How long recent jobs of a lane took, and how often a look at one pays.
//!
//! Job: remember the durations of the last [`KEPT`] jobs, and derive from them the distance of
//! lists and the sleep of a change.
//!
//! Invariants: nothing is concluded from fewer than [`TOLD_BY`] jobs; a wait is never shorter than
//! the lane's `poll`, and between two lists never longer than its `poll_max`. Where the cloud does
//! not report durations, they are off by at most half of the time between two looks; that jobs
//! became shorter is noticed by the lists of the others, and where there is no list by looks that
//! find them ended at once.
//!
//! Deliberately not here: which jobs are followed, and when a list is made (`engine::followed`).

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::change::Timing;

/// Jobs remembered: a few lists' worth.
const KEPT: usize = 32;

/// Jobs that must have ended before anything is concluded from them.
const TOLD_BY: usize = 5;

/// A list is made so many times during a job: an eighth of a job's time is what its end waits at
/// most.
const STEPS: u32 = 8;

/// How long the lane's latest jobs took.
#[derive(Debug, Clone, Default)]
pub(super) struct JobTimes(VecDeque<Duration>);

impl JobTimes {
    /// One more has ended: it was seen to run at the first of these ages (zero: nobody had looked)
    /// and to have ended at the second. In between lies what the cloud says that it took; where it
    /// does not say, the middle is remembered. With the second age every look would wait for the
    /// one before it, and nobody would notice that jobs are shorter than the time between two
    /// looks. Tells how long it took as it is remembered, and whether enough is known only now.
    pub(super) fn add(
        &mut self,
        running: Duration,
        ended: Duration,
        told: Option<Duration>,
    ) -> (Duration, bool) {
        let ended = ended.max(running);
        let took = told.map_or(running + (ended - running) / 2, |told| told.clamp(running, ended));
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(took);
        (took, self.0.len() == TOLD_BY)
    }

    /// The shortest and the middle one.
    fn known(&self) -> Option<(Duration, Duration)> {
        if self.0.len() < TOLD_BY {
            return None;
        }
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        Some((sorted[0], sorted[sorted.len() / 2]))
    }

    /// The middle one, once enough is known.
    pub(super) fn middle(&self) -> Option<Duration> {
        self.known().map(|(_, middle)| middle)
    }

    pub(super) fn step(&self, timing: &Timing) -> Duration {
        let step = self.known().map_or(timing.poll, |(_, middle)| middle / STEPS);
        step.clamp(timing.poll, timing.poll_max.max(timing.poll))
    }

    /// How long a job of this age is left alone; `wait` is what would be without any knowledge.
    pub(super) fn patience(&self, age: Duration, wait: Duration, timing: &Timing) -> Duration {
        let Some((shortest, middle)) = self.known() else { return wait };
        let begin = shortest - shortest / 10;
        let step = self.step(timing);
        if age < begin {
            (begin - age).max(timing.poll)
        } else if age < middle * 4 {
            step
        } else {
            wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn timing() -> Timing {
        Timing {
            settle: s(15),
            poll: s(2),
            poll_max: s(30),
            job_limit: s(3600),
            recover_limit: s(1800),
        }
    }

    fn times(seconds: &[u64]) -> JobTimes {
        let mut times = JobTimes::default();
        for took in seconds {
            times.add(s(*took), s(*took), None);
        }
        times
    }

    #[test]
    fn a_few_jobs_tell_nothing() {
        let few = times(&[60; 4]);
        assert_eq!((few.step(&timing()), few.patience(s(1), s(7), &timing())), (s(2), s(7)));
    }

    #[test]
    fn jobs_are_left_alone_until_they_may_end_and_then_looked_at_in_steps() {
        let known = times(&[60, 64, 62, 80, 61]);
        assert_eq!(known.step(&timing()), s(62) / 8);
        assert_eq!(known.patience(s(0), s(2), &timing()), s(54));
        assert_eq!(known.patience(s(53), s(2), &timing()), s(2), "never shorter than poll");
        assert_eq!(known.patience(s(60), s(2), &timing()), s(62) / 8);
        assert_eq!(
            known.patience(s(300), s(30), &timing()),
            s(30),
            "one that takes for ever is asked for as the lane says"
        );
    }

    #[test]
    fn steps_keep_to_the_lane() {
        assert_eq!(times(&[4; 9]).step(&timing()), s(2));
        assert_eq!(times(&[3600; 9]).step(&timing()), s(30));
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut changed = times(&[600; 40]);
        for _ in 0..KEPT {
            changed.add(s(16), s(16), None);
        }
        assert_eq!(changed.step(&timing()), s(2));
    }

    #[test]
    fn a_look_that_finds_jobs_ended_comes_sooner_the_next_time() {
        let mut known = times(&[60; KEPT]);
        let mut age = Duration::ZERO;
        for _ in 0..10 * KEPT {
            // The first look at a job that takes no time at all.
            age = known.patience(Duration::ZERO, s(2), &timing());
            known.add(Duration::ZERO, age, None);
        }
        assert_eq!(age, s(2));
    }
}
