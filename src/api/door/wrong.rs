//! Counts wrong tokens, codes and other refusals, so that guessing and the log both have an end.
//!
//! Invariants: one address is told [`ADDRESS_WRONG_MAX`] times a minute that it was wrong, all
//! together [`ALL_WRONG_MAX`] times, and from then on to wait; what is right is never counted and
//! never waits. At most [`ALL_WRONG_MAX`] addresses are kept.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::api::address::AddressBlock;

/// Wrong tokens of one address a minute: somebody who mistypes needs fewer.
pub const ADDRESS_WRONG_MAX: u32 = 10;

/// Wrong tokens a minute of all addresses together.
pub const ALL_WRONG_MAX: u32 = 60;

const WINDOW: Duration = Duration::from_secs(60);

/// What was wrong within the minute.
#[derive(Debug, Default)]
pub struct WrongCount(Mutex<WrongMinute>);

#[derive(Debug, Default)]
struct WrongMinute {
    /// Since boot.
    began: Duration,
    all: u32,
    /// Those of the socket stand under `None`.
    by_address: BTreeMap<Option<AddressBlock>, u32>,
}

impl WrongCount {
    /// Counts one more at `now`, since boot.
    ///
    /// # Errors
    /// With the time until it is counted again, once there were too many.
    pub fn count(&self, from: Option<AddressBlock>, now: Duration) -> Result<(), Duration> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(minute.began) >= WINDOW || minute.all == 0 {
            *minute = WrongMinute { began: now, ..WrongMinute::default() };
        }
        let wait = WINDOW.saturating_sub(now.saturating_sub(minute.began));
        if minute.all >= ALL_WRONG_MAX
            || minute.by_address.get(&from).is_some_and(|count| *count >= ADDRESS_WRONG_MAX)
        {
            return Err(wait);
        }
        minute.all += 1;
        *minute.by_address.entry(from).or_default() += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(last: u8) -> Option<AddressBlock> {
        Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)).into())
    }

    #[test]
    fn an_address_and_all_together_have_their_bounds_and_a_minute_ends() {
        let (wrong, second) = (WrongCount::default(), Duration::from_secs);
        let told = |from: u8, now: u64| {
            (0..20).filter(|_| wrong.count(address(from), second(now)).is_ok()).count()
        };
        assert_eq!(told(1, 1000), 10);
        assert_eq!(told(2, 1001), 10, "another address is told as often");
        assert_eq!((3..10).map(|from| told(from, 1002)).sum::<usize>(), 40, "sixty in all");
        assert_eq!(wrong.count(address(1), second(1059)), Err(second(1)));
        assert_eq!(told(1, 1060), 10);
    }
}
