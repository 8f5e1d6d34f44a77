//! Counts the calls to the cloud where they are made: by lane, call and outcome, and how long they
//! took.
//!
//! Invariants: a call that our own last check withheld is none; only combinations that occurred
//! have a count, at most [`COMBINATIONS_MAX`] of them, beyond which a lane is counted as
//! [`OTHER_LANES`]. Counting changes nothing about a call.
//!
//! Deliberately not here: what a call is and what its answer means (`cloud`, `domain::call`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::clock::Clock;
use crate::cloud::{Cloud, LastCheck};
use crate::domain::call::{Call, Disposition, Reply};
use crate::domain::histogram::{Bounds, Histogram, milliseconds};

/// Combinations of lane, call and outcome that are counted apart: a thousand lanes with twenty
/// each.
pub const COMBINATIONS_MAX: usize = 20_000;

/// The lane under which the others are counted; no lane may have this name.
pub const OTHER_LANES: &str = "(others)";

/// From an answer at once to the longest call timeout that makes sense.
static CALL_BOUNDS: Bounds =
    milliseconds([10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000]);

/// What came of a call, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallOutcome {
    Ok,
    /// The cloud said no, for whatever reason but its quota.
    Refused,
    /// The cloud's quota is spent.
    Throttled,
    /// It may have been executed.
    Unknown,
    /// No answer, and surely not executed.
    Failed,
}

impl CallOutcome {
    /// `None`: it never left.
    fn of(reply: &Reply) -> Option<Self> {
        let error = match &reply.outcome {
            Ok(_) => return Some(Self::Ok),
            Err(error) => error,
        };
        match error.disposition {
            Disposition::Withheld => None,
            Disposition::Throttled => Some(Self::Throttled),
            Disposition::Unknown => Some(Self::Unknown),
            Disposition::NotDone if error.status.is_none() => Some(Self::Failed),
            Disposition::NotDone
            | Disposition::Busy
            | Disposition::Unauthorised
            | Disposition::Misdated
            | Disposition::NotFound
            | Disposition::Fatal => Some(Self::Refused),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

/// Calls of one lane, of one kind, that came to the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKey {
    pub lane: String,
    pub call: &'static str,
    pub outcome: CallOutcome,
}

/// All that was counted since the start.
#[derive(Debug, Clone, Default)]
pub struct CallCounts {
    pub calls: BTreeMap<CallKey, u64>,
    /// How long calls of each kind took.
    pub took: BTreeMap<&'static str, Histogram>,
}

/// The counts, shared between the cloud and whoever shows them.
#[derive(Debug, Default)]
pub struct CallTallies(Mutex<CallCounts>);

impl CallTallies {
    fn lock(&self) -> MutexGuard<'_, CallCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted by now.
    pub fn counts(&self) -> CallCounts {
        self.lock().clone()
    }

    fn add(&self, key: CallKey, took: Duration) {
        let mut counts = self.lock();
        counts.took.entry(key.call).or_insert(Histogram::new(&CALL_BOUNDS)).add(took);
        let full = counts.calls.len() >= COMBINATIONS_MAX && !counts.calls.contains_key(&key);
        let key = if full { CallKey { lane: OTHER_LANES.to_owned(), ..key } } else { key };
        *counts.calls.entry(key).or_default() += 1;
    }
}

/// A cloud whose calls are counted.
pub struct CountedCloud {
    cloud: Arc<dyn Cloud>,
    clock: Arc<dyn Clock>,
    tallies: Arc<CallTallies>,
}

impl CountedCloud {
    /// Counts the calls of `cloud` in `tallies`.
    pub fn new(cloud: Arc<dyn Cloud>, clock: Arc<dyn Clock>, tallies: Arc<CallTallies>) -> Self {
        Self { cloud, clock, tallies }
    }
}

impl Cloud for CountedCloud {
    fn perform(&self, call: Call, check: LastCheck) -> BoxFuture<'_, Reply> {
        let (lane, word) = (call.lane().to_string(), call.as_str());
        Box::pin(async move {
            let began = self.clock.times().boot;
            let reply = self.cloud.perform(call, check).await;
            if let Some(outcome) = CallOutcome::of(&reply) {
                let took = self.clock.times().boot.saturating_sub(began);
                self.tallies.add(CallKey { lane, call: word, outcome }, took);
            }
            reply
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(lane: usize) -> CallKey {
        CallKey { lane: format!("lane-{lane}"), call: "inspect", outcome: CallOutcome::Ok }
    }

    #[test]
    fn combinations_are_bounded_and_no_call_is_lost() {
        let tallies = CallTallies::default();
        for lane in 0..COMBINATIONS_MAX + 10 {
            tallies.add(key(lane), Duration::ZERO);
        }
        tallies.add(key(0), Duration::ZERO);
        let counts = tallies.counts();
        assert_eq!(counts.calls.len(), COMBINATIONS_MAX + 1, "one for all the others");
        assert_eq!(counts.calls[&key(0)], 2, "one that was counted before is counted on");
        assert_eq!(counts.calls[&CallKey { lane: OTHER_LANES.into(), ..key(0) }], 10);
        assert_eq!(counts.took["inspect"].count(), COMBINATIONS_MAX as u64 + 11);
    }
}
