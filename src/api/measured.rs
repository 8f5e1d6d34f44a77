//! What metrics show of rollouts and enforcements, read at each scrape.
//!
//! Invariant: every list is bounded, and what was left out is counted.
//!
//! Deliberately not here: names, labels and the format (`metrics`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::fault::ApiError;
use super::{Api, find, hold};
use crate::domain::enforce::EnforcementStage;
use crate::domain::id::Name;
use crate::domain::window::Opening;
use crate::engine::Snapshot;
use crate::store::{Health, Rollout};

/// Rollouts whose certificates are looked at, the newest: what is older was renewed or is told by
/// its enforcement.
const CERTIFICATES_OF: usize = 20;

/// Time that a scrape spends on the certificates of rollouts whose rows are not read yet; the meter
/// reads on beside it, and a later scrape has them.
const CERTIFICATES_WITHIN: Duration = Duration::from_millis(50);

/// A rollout that is not over, as metrics show it.
#[derive(Debug)]
pub struct MeasuredRollout {
    pub rollout: Rollout,
    /// The words of what holds it.
    pub holds: BTreeSet<String>,
    /// Whether its calendar lets new work begin.
    pub window_open: bool,
}

impl Api {
    /// How the engine stands.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.engine()
    }

    /// How the store stands.
    pub fn store_health(&self) -> Health {
        self.store.health()
    }

    /// The rollouts that are not over, the newest first, at most so many; and how many there are.
    pub async fn measured(&self, most: usize) -> Result<(Vec<MeasuredRollout>, usize), ApiError> {
        let (now, engine) = (self.now(), self.engine());
        let open = find::open_rollouts(&*self.store).await?;
        let mut measured = Vec::with_capacity(most.min(open.len()));
        for rollout in open.iter().rev().take(most) {
            let groups_full = hold::groups_full(rollout, &*self.store).await?;
            let holds = hold::of_rollout(rollout, &engine, groups_full, now);
            measured.push(MeasuredRollout {
                rollout: rollout.clone(),
                holds: holds.into_iter().map(|hold| hold.word).collect(),
                window_open: matches!(hold::opening(rollout, now), Opening::Open { .. }),
            });
        }
        Ok((measured, open.len()))
    }

    /// Of the newest rollouts with a proof on the wire, the end of the certificate that ends first.
    pub(super) async fn certificate_ends(&self) -> Result<Vec<(Rollout, Timestamp)>, ApiError> {
        let (now, mut ends) = (self.now(), Vec::new());
        for rollout in self.store.rollouts(None, CERTIFICATES_OF).await? {
            if rollout.plan.wire.is_none() {
                continue;
            }
            if let Some(end) = self.meter.measure(&rollout, now).await?.first_expiry {
                ends.push((rollout, end));
            }
        }
        Ok(ends)
    }

    /// The same, as far as it is known soon.
    pub async fn known_certificate_ends(&self) -> Result<Vec<(Rollout, Timestamp)>, ApiError> {
        tokio::time::timeout(CERTIFICATES_WITHIN, self.certificate_ends())
            .await
            .unwrap_or(Ok(Vec::new()))
    }

    /// How many targets the latest run of each enforcement found drifted, of at most so many of
    /// them.
    pub async fn drifted(&self, most: usize) -> Result<Vec<(Name, u32)>, ApiError> {
        let known = self.store.enforcements().await?.into_iter();
        let going_on =
            known.filter(|one| !matches!(one.record.stage, EnforcementStage::Ended { .. }));
        let found = going_on.filter_map(|one| Some((one.name, one.record.last?.found?.drifted)));
        Ok(found.take(most).collect())
    }

    /// When the daemon last gave out a whole copy of the store.
    pub fn copied_at(&self) -> Option<Timestamp> {
        self.last_copy.at()
    }
}
