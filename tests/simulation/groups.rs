//! Group limits of a scenario, and the tags that make the groups.
//!
//! Drawn from a sequence of its own, so that a seed without any of it is the run that it was
//! before.

use std::collections::BTreeMap;

use fastrand::Rng;
use sealift::domain::group::{GroupBy, GroupLimits};
use sealift::domain::target::Tags;

/// The tag of the simulation.
const TAG: &str = "tier";

/// Places for which a tier is drawn: as many as a scenario has proxies.
const PLACES: usize = 16;

/// What one run has of it.
#[derive(Debug, Clone, Default)]
pub struct GroupTally {
    /// At most so many of the only lane.
    pub lane: Option<u32>,
    /// At most so many of each tier.
    pub tier: Option<u32>,
    /// The tier of each proxy; some have none.
    tiers: Vec<Option<u8>>,
}

impl GroupTally {
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x9b0a_1150_0000_0001);
        if rng.f64() >= 0.4 {
            return Self::default();
        }
        let kinds = rng.u8(1..=3);
        let tiers = (0..PLACES).map(|_| (rng.f64() < 0.85).then(|| rng.u8(0..kinds))).collect();
        let tier = (rng.f64() < 0.9).then(|| if rng.f64() < 0.7 { 1 } else { 2 });
        let lane = (tier.is_none() || rng.f64() < 0.3).then(|| rng.u32(1..=3));
        Self { lane, tier, tiers }
    }

    /// Of every four small worlds one has two tiers with one place each.
    pub fn small(world: u64) -> Self {
        if world % 4 != 1 {
            return Self::default();
        }
        Self { lane: None, tier: Some(1), tiers: vec![Some(0), Some(0), Some(1), None] }
    }

    /// The tags of the proxy at this place.
    pub fn tags(&self, place: usize) -> Option<Tags> {
        let tier = self.tiers.get(place).copied().flatten()?;
        Some(BTreeMap::from([(TAG.to_owned(), format!("t{tier}"))]).into())
    }

    /// As the plan has them.
    pub fn limits(&self) -> GroupLimits {
        let lane = self.lane.map(|most| (GroupBy::Lane, most));
        lane.into_iter().chain(self.tier.map(|most| (GroupBy::Tag(TAG.into()), most))).collect()
    }
}
