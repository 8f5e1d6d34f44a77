//! Refusals in a row, and how long nothing is sent after them.
//!
//! Invariant: the cloud locks an access key for five minutes after more than five failures in a
//! row. After the third the waits are as long as that lock, and before the sixth there is an hour.

use std::time::Duration;

/// Refusals in a row that are borne with the engine's own pause only.
const BORNE: u32 = 2;

/// Nothing is sent for this long after one more: as long as the cloud's lock. Source: gateway FAQ
/// of the vendor.
pub(super) const HOLD: Duration = Duration::from_secs(5 * 60);

/// From this many in a row on the wait is [`HOLD_LONG`]: one more may lock the key, if nobody else
/// used it with success in all that time.
const NEAR_LOCK: u32 = 5;

/// Long enough for somebody to be awake, short enough that a key that is good again is noticed the
/// same night.
pub(super) const HOLD_LONG: Duration = Duration::from_secs(60 * 60);

/// Refusals in a row of one and the same secret.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    in_row: u32,
    until: Duration,
}

impl Refusals {
    /// One more, at this boot time.
    pub(super) fn add(&mut self, now: Duration) {
        self.in_row = self.in_row.saturating_add(1);
        let hold = match self.in_row {
            ..=BORNE => Duration::ZERO,
            count if count < NEAR_LOCK => HOLD,
            _ => HOLD_LONG,
        };
        self.until = now + hold;
    }

    /// How many there were, and how long nothing is to be sent yet.
    pub(super) fn held(&self, now: Duration) -> Option<(u32, Duration)> {
        let left = self.until.saturating_sub(now);
        (!left.is_zero()).then_some((self.in_row, left))
    }

    /// Something has changed that is worth a try, though the cloud counts on.
    pub(super) fn lift(&mut self) {
        self.until = Duration::ZERO;
    }
}

/// A wait in whole minutes, for people, rounded up.
pub(super) fn minutes(left: Duration) -> String {
    match left.as_secs().div_ceil(60) {
        1 => "1 minute".into(),
        count => format!("{count} minutes"),
    }
}
