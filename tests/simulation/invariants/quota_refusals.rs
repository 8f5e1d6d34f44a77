//! The cloud, which counts for itself with the same quota, refuses no call for it.

use super::WorldInvariant;
use crate::oracle::{Fact, OracleSetting};

pub struct QuotaRefusals {
    limited: bool,
}

impl QuotaRefusals {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { limited: setting.scenario.quota.is_some() }
    }
}

impl WorldInvariant for QuotaRefusals {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::End { cloud, .. } if self.limited && cloud.fired()["quota"] > 0 => {
                Err(format!("the cloud refused {} calls for its quota", cloud.fired()["quota"]))
            }
            _ => Ok(()),
        }
    }
}
