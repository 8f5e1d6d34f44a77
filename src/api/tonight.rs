//! What all rollouts did tonight: the sum of their bins since the windows opened.
//!
//! Invariant: nothing of the journal is read, and what was not counted is never told as zero.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Api;
use super::fault::ApiError;
use super::timeline::zone;
use super::wire::{TimelineBin, TonightDoc};
use crate::domain::nights::nights;
use crate::store::Rollout;
use crate::store::bins::{BIN, BinCounts};

/// Tonight began this long ago at the earliest.
const LONGEST: SignedDuration = SignedDuration::from_hours(12);

/// Rollouts that are looked at, the newest.
const ROLLOUTS_MAX: usize = 100;

impl Api {
    /// What the rollouts did that are open, or were tonight.
    pub async fn tonight(&self) -> Result<TonightDoc, ApiError> {
        let now = self.now();
        let earliest = now.checked_sub(LONGEST).unwrap_or(Timestamp::MIN);
        let mut rollouts = self.store.rollouts(None, ROLLOUTS_MAX).await?;
        self.store.durable().await?;
        rollouts.retain(|one| !one.record.phase.is_final() || one.moved_at >= earliest);
        let begun = rollouts.iter().filter_map(|rollout| opened(rollout, earliest, now)).min();
        let mut doc = TonightDoc {
            since: begun,
            partly: false,
            bin_seconds: u32::try_from(BIN.as_secs()).unwrap_or(u32::MAX),
            bins: Vec::new(),
            as_of: now,
        };
        let Some(begun) = begun else { return Ok(doc) };
        let mut bins: BTreeMap<Timestamp, BinCounts> = BTreeMap::new();
        for rollout in &rollouts {
            let activity = self.store.activity(rollout.id, begun, now).await?;
            if let Some(since) = activity.since.filter(|since| *since > begun) {
                doc.since = doc.since.max(Some(since));
                doc.partly = true;
            }
            for bin in activity.bins {
                *bins.entry(bin.at).or_default() += bin.counts;
            }
        }
        doc.bins = bins.into_iter().map(|(at, counts)| TimelineBin::of(at, counts)).collect();
        Ok(doc)
    }
}

/// When the windows opened of the night that a rollout is in; `None`: they have not yet.
fn opened(rollout: &Rollout, earliest: Timestamp, now: Timestamp) -> Option<Timestamp> {
    // The day before is looked at too: a night that is long may have begun then.
    let from = earliest.checked_sub(LONGEST).unwrap_or(earliest).max(rollout.submitted_at);
    let nights = nights(&rollout.plan.calendar, &zone(&rollout.plan), from, now);
    let begun = nights.into_iter().rev().map(|night| night.opens()).find(|opens| *opens <= now);
    begun.map(|begun| begun.max(earliest))
}
