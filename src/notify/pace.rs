//! When a receiver that did not take something is tried again.
//!
//! Invariants: the waits are those that Standard Webhooks publishes, counted from the newest thing
//! to tell, and an earlier one goes first; never sooner than a receiver asked for, within
//! [`RETRY_AFTER_MAX`]; given up is only what is older than [`GIVE_UP_AFTER`] by the wall clock
//! while the receiver has failed for as long by this process' own count, so that no stepped clock
//! gives anything up.
//!
//! Deliberately not here: a clock, and chance.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::quota::Boot;

/// The wait after each try in a row that failed; the last one is repeated.
pub const WAITS: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(5 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
];

/// A wait is longer by up to this share of it, so that receivers that went away together are not
/// all asked together.
pub const JITTER: f64 = 0.1;

/// How long a thing is tried.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest `Retry-After` that is kept.
pub const RETRY_AFTER_MAX: u32 = 60 * 60;

/// The tries of one receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tries {
    /// Tries that failed since the newest thing to tell, or the last success.
    failures: usize,
    /// Since when nothing was taken.
    failing_since: Option<Boot>,
    last: Boot,
    next: Boot,
    /// The receiver asked for no try before.
    asked: Boot,
}

impl Tries {
    /// It took something.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It did not. `chance` lies between 0 and 1.
    pub fn failed(&mut self, now: Boot, retry_after: Option<u32>, chance: f64) {
        let wait = WAITS[self.failures.min(WAITS.len() - 1)];
        self.failures += 1;
        self.failing_since = self.failing_since.or(Some(now));
        self.last = now;
        self.asked =
            now + Duration::from_secs(u64::from(retry_after.unwrap_or(0).min(RETRY_AFTER_MAX)));
        self.next = (now + wait + wait.mul_f64(JITTER * chance.clamp(0.0, 1.0))).max(self.asked);
    }

    /// There is something new to tell: it has its own first try.
    pub fn news(&mut self) {
        if self.failing_since.is_some() {
            self.failures = 0;
            self.next = self.next.min(self.last + WAITS[0]).max(self.asked);
        }
    }

    /// When it may be tried.
    pub fn next(&self) -> Boot {
        self.next
    }

    /// Since when nothing was taken; `None`: the last try was.
    pub fn failing_since(&self) -> Option<Boot> {
        self.failing_since
    }

    /// Whether something that happened then is given up.
    pub fn gives_up(&self, happened: Timestamp, wall: Timestamp, now: Boot) -> bool {
        let long = SignedDuration::try_from(GIVE_UP_AFTER).unwrap_or(SignedDuration::MAX);
        let failing =
            self.failing_since.is_some_and(|since| now.saturating_sub(since) >= GIVE_UP_AFTER);
        failing && wall.duration_since(happened) >= long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("an instant")
    }

    #[test]
    fn the_waits_are_those_that_are_published() {
        let mut pace = Tries::default();
        let mut now = s(100);
        let mut waits = Vec::new();
        for _ in 0..8 {
            pace.failed(now, None, 0.0);
            waits.push((pace.next() - now).as_secs());
            now = pace.next();
        }
        assert_eq!(waits, [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000, 36_000]);
        pace.succeeded();
        pace.failed(now, None, 1.0);
        assert_eq!(
            pace.next() - now,
            Duration::from_millis(5_500),
            "from the first wait on, a tenth longer at most"
        );
    }

    #[test]
    fn what_a_receiver_asks_for_is_kept_and_bounded() {
        for (asked, kept) in [(1, 5), (120, 120), (1_000_000, 3_600)] {
            let mut pace = Tries::default();
            pace.failed(s(0), Some(asked), 0.0);
            assert_eq!(pace.next(), s(kept), "{asked}");
            pace.news();
            assert_eq!(pace.next(), s(kept), "also by what is new");
        }
    }

    #[test]
    fn something_new_has_a_first_try_of_its_own() {
        let mut pace = Tries::default();
        for _ in 0..4 {
            pace.failed(pace.next(), None, 0.0);
        }
        let last = s(5 + 300 + 1_800);
        assert_eq!(pace.next(), last + s(7_200));
        pace.news();
        assert_eq!(pace.next(), last + s(5), "never sooner than the shortest wait");
        pace.failed(last + s(60), None, 0.0);
        assert_eq!(pace.next(), last + s(65), "and its own waits from there");
        assert_eq!(pace.failing_since(), Some(s(0)));
        let mut well = Tries::default();
        well.news();
        assert_eq!(well, Tries::default());
    }

    #[test]
    fn both_clocks_must_say_that_a_day_has_passed() {
        const DAY: i64 = 86_400;
        let mut pace = Tries::default();
        assert!(!pace.gives_up(at(0), at(9 * DAY), s(900_000)), "it was never tried");
        pace.failed(s(1_000), None, 0.0);
        assert!(!pace.gives_up(at(0), at(9 * DAY), s(2_000)), "the wall clock was stepped");
        assert!(!pace.gives_up(at(0), at(DAY - 1), s(1_000 + 86_400)), "it is younger than a day");
        assert!(pace.gives_up(at(0), at(DAY), s(1_000 + 86_400)));
    }
}
