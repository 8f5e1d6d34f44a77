//! The turns of one user's requests for the tokens of agencies.
//!
//! Invariant: the requests of one user leave no faster than [`APART`] and no more than [`OUT_MAX`]
//! are out, so that hundreds of lanes that begin together do not run into IAM's own limits.
//!
//! Deliberately not here: the requests (`agency`).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

/// Least time between the starts of two requests of one user: twenty a second. IAM does not publish
/// its limit; three hundred lanes have their tokens within a quarter of a minute.
const APART: Duration = Duration::from_millis(50);

/// Requests of one user that are out together.
const OUT_MAX: usize = 8;

/// A lane that would wait longer for its turn is told to come again instead: its calls have a
/// timeout.
const TURN_MAX: Duration = Duration::from_secs(10);

/// The turns of one user's requests.
pub(super) struct Turns {
    /// Boot time of the next one that is free.
    next: Mutex<Duration>,
    pub(super) out: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self { next: Mutex::default(), out: Semaphore::new(OUT_MAX) }
    }
}

impl Turns {
    /// How long to wait for one's turn; an error tells after how long it is worth coming again.
    pub(super) fn take(&self, now: Duration) -> Result<Duration, Duration> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now);
        if turn - now > TURN_MAX {
            return Err(turn - now);
        }
        *next = turn + APART;
        Ok(turn - now)
    }
}
