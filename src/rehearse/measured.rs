//! What a running rollout's journal tells of the cloud: how long its jobs take, and how long its
//! calls do.
//!
//! Invariant: only entries that stand side by side in one change's life are paired; what the
//! journal does not hold whole is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::change::Timing;
use crate::domain::journal::{Entry, JournalEvent};
use crate::simcloud::faults::Between;

/// Measurements below this say too little; what is assumed serves instead.
pub const ENOUGH: usize = 5;

/// Why a change is verified whose job the cloud no longer knows: its end was not seen.
const FORGOTTEN: &str = "the cloud does not know the job any more";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeasuredCloud {
    /// How long jobs took, as far as polling can tell.
    pub job_times: Vec<Duration>,
    /// How long switch calls took, commits included.
    pub calls: Vec<Duration>,
}

impl MeasuredCloud {
    /// Reads one rollout's entries, oldest first. `timing` says how its jobs were polled.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>, timing: &Timing) -> Self {
        let mut measured = Self::default();
        let mut before: BTreeMap<u32, (&str, Timestamp)> = BTreeMap::new();
        for entry in entries {
            let JournalEvent::Change { ordinal, to, why, .. } = &entry.what else { continue };
            if let Some((was, since)) = before.insert(*ordinal, (to, entry.at))
                && let Ok(took) = Duration::try_from(entry.at.duration_since(since))
            {
                match (was, &**to) {
                    ("submitting", "following") => measured.calls.push(took),
                    // A job that broke took its time too.
                    ("following", "verifying" | "ready") if why != FORGOTTEN => {
                        measured.job_times.push(unpolled(took, timing))
                    }
                    _ => {}
                }
            }
        }
        measured
    }

    /// The shortest and the longest job, to a tenth of a second.
    pub fn range(&self) -> (Duration, Duration) {
        let tenths = |length: &Duration| {
            Duration::from_millis(u64::try_from(length.as_millis() / 100 * 100).unwrap_or(u64::MAX))
        };
        let min = self.job_times.iter().min().map(tenths).unwrap_or_default();
        (min, self.job_times.iter().max().map(tenths).unwrap_or_default())
    }

    /// The calls' range without its tails, if enough were seen.
    pub fn latency(&self) -> Option<Between> {
        if self.calls.len() < ENOUGH {
            return None;
        }
        let mut sorted = self.calls.clone();
        sorted.sort_unstable();
        let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
        Some(Between { min: at(10), max: at(90) })
    }
}

/// When a job really ended lies between the look that found it over and the look before: the middle
/// is taken.
fn unpolled(seen: Duration, timing: &Timing) -> Duration {
    let (mut earlier, mut before, mut wait) = (Duration::ZERO, Duration::ZERO, timing.poll);
    while before + wait < seen && !wait.is_zero() {
        (earlier, before) = (before, before + wait);
        wait = (wait + wait / 2).min(timing.poll_max);
    }
    // The look that saw it comes a little late, so its own place is passed: then the one before it
    // counts.
    let last = if seen - before < wait / 2 { earlier } else { before };
    last + (seen - last) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        settle: Duration::from_secs(15),
        poll: Duration::from_secs(2),
        poll_max: Duration::from_secs(4),
        job_limit: Duration::from_secs(3600),
        recover_limit: Duration::from_secs(1800),
    };

    #[test]
    fn a_job_ended_between_two_looks() {
        // Looks after 2, 5, 9 and 13 seconds, each a little late.
        for (seen, least, most) in
            [(2.1, 0.0, 2.1), (5.2, 2.0, 5.2), (9.3, 5.0, 9.3), (13.4, 9.0, 13.4)]
        {
            let told = unpolled(Duration::from_secs_f64(seen), &TIMING).as_secs_f64();
            assert!(told > least && told < most, "seen at {seen}, told {told}");
            assert!((told - (least + most) / 2.0).abs() < 0.8, "seen at {seen}, told {told}");
        }
    }
}
