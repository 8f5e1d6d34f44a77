//! The simulated cloud's fleet: which proxies there are.
//!
//! Invariant: every id has the documented form, no proxy occurs twice, and no instance has more
//! proxies than the vendor allows; so whatever is read or generated here can be written into a
//! plan.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::{Deserialize, Serialize};

use super::mix::mix;
use crate::domain::id::{InstanceId, Name, ProxyId};
use crate::domain::target::Target;

/// Proxies that one instance may have, at most. Source: vendor guide taurusdb_03_0033 of
/// 2026-06-04.
pub const PROXIES_PER_INSTANCE_MAX: usize = 4;

/// Longest fleet: two million proxies are about half a gigabyte of model.
pub const FLEET_MAX: usize = 2_000_000;

/// One proxy as the cloud has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetProxy {
    pub instance_id: InstanceId,
    pub proxy_id: ProxyId,
    /// The value it starts with; left out of a file: off.
    #[serde(default)]
    pub ssl_option: bool,
}

impl FleetProxy {
    /// The proxy as a plan names it that says nothing else of it.
    pub fn target(&self, lane: &Name) -> Target {
        Target {
            lane: lane.clone(),
            instance_id: self.instance_id,
            proxy_id: self.proxy_id,
            tags: None,
            seen: None,
            instance_name: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet(Vec<FleetProxy>);

/// Why there is no such fleet.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The file is no CSV of the expected columns; the message has the line.
    #[error("fleet file: {0} (columns are instance_id, proxy_id and, if you like, ssl_option)")]
    Csv(#[from] csv::Error),
    /// A proxy stands twice.
    #[error("fleet: proxy {0} stands twice")]
    Twice(ProxyId),
    /// Too many proxies for one instance.
    #[error(
        "fleet: instance {0} has more than {PROXIES_PER_INSTANCE_MAX} proxies, which the vendor does not allow"
    )]
    Crowded(InstanceId),
    #[error("fleet: more than {FLEET_MAX} proxies")]
    TooLarge,
    /// Numbers that do not fit together.
    #[error(
        "fleet: {proxies} proxies over {instances} instances is not possible: an instance has 1 to {PROXIES_PER_INSTANCE_MAX} proxies"
    )]
    Shape { proxies: usize, instances: usize },
}

impl Fleet {
    /// Checks and takes over a list.
    ///
    /// # Errors
    /// When the list breaks the module's invariant.
    pub fn new(proxies: Vec<FleetProxy>) -> Result<Self, FleetError> {
        if proxies.len() > FLEET_MAX {
            return Err(FleetError::TooLarge);
        }
        let mut seen = BTreeSet::new();
        let mut counts: BTreeMap<InstanceId, usize> = BTreeMap::new();
        for proxy in &proxies {
            if !seen.insert(proxy.proxy_id) {
                return Err(FleetError::Twice(proxy.proxy_id));
            }
            let count = counts.entry(proxy.instance_id).or_default();
            *count += 1;
            if *count > PROXIES_PER_INSTANCE_MAX {
                return Err(FleetError::Crowded(proxy.instance_id));
            }
        }
        Ok(Self(proxies))
    }

    /// Makes a fleet with SSL off: the same numbers and seed give the same ids. Each id ends in its
    /// number, from 1, as eight decimal digits before the suffix, so that a fault rule can name it.
    ///
    /// # Errors
    /// [`FleetError::Shape`] when there are fewer proxies than instances or too many for them.
    pub fn generate(proxies: usize, instances: usize, seed: u64) -> Result<Self, FleetError> {
        if proxies > FLEET_MAX {
            return Err(FleetError::TooLarge);
        }
        if proxies < instances || proxies > instances.saturating_mul(PROXIES_PER_INSTANCE_MAX) {
            return Err(FleetError::Shape { proxies, instances });
        }
        let id = |salt: u64, n: usize, suffix: &str| {
            let (a, b) = (mix(seed ^ salt, n as u64), mix(seed ^ !salt, n as u64));
            format!("{a:016x}{:08x}{:08}{suffix}", b >> 32, n + 1)
        };
        let made = (0..proxies)
            .map(|n| FleetProxy {
                instance_id: id(0x1a57, n * instances / proxies, "in07")
                    .parse()
                    .expect("made of 32 digits and the suffix"),
                proxy_id: id(0x9809, n, "po01").parse().expect("made of 32 digits and the suffix"),
                ssl_option: false,
            })
            .collect();
        Self::new(made)
    }

    /// Reads a CSV with a header; columns beyond the known ones are ignored, so a plan's target
    /// file will do.
    ///
    /// # Errors
    /// With the line of the mistake.
    pub fn from_csv(reader: impl io::Read) -> Result<Self, FleetError> {
        let mut proxies = Vec::new();
        for row in csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(reader).deserialize()
        {
            if proxies.len() == FLEET_MAX {
                return Err(FleetError::TooLarge);
            }
            proxies.push(row?);
        }
        Self::new(proxies)
    }

    /// Writes the fleet as [`Self::from_csv`] reads it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_csv(&self, writer: impl io::Write) -> Result<(), FleetError> {
        let mut csv = csv::Writer::from_writer(writer);
        for proxy in &self.0 {
            csv.serialize(proxy)?;
        }
        csv.flush().map_err(|error| FleetError::Csv(error.into()))
    }

    /// Writes the fleet as a plan's target file: lane, instance_id, proxy_id.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_targets(&self, lane: &Name, writer: impl io::Write) -> Result<(), FleetError> {
        let mut csv = csv::Writer::from_writer(writer);
        csv.write_record(["lane", "instance_id", "proxy_id"])?;
        for proxy in &self.0 {
            csv.write_record([lane.as_str(), proxy.instance_id.as_str(), proxy.proxy_id.as_str()])?;
        }
        csv.flush().map_err(|error| FleetError::Csv(error.into()))
    }

    /// The proxies, in the order given.
    pub fn proxies(&self) -> &[FleetProxy] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_fleet_is_spread_evenly_and_repeatable() {
        let fleet = Fleet::generate(24, 12, 7).expect("possible numbers");
        assert_eq!(fleet, Fleet::generate(24, 12, 7).expect("the same"));
        assert_ne!(fleet, Fleet::generate(24, 12, 8).expect("another seed"));
        let instances: BTreeSet<_> = fleet.proxies().iter().map(|p| p.instance_id).collect();
        assert_eq!(instances.len(), 12);
        assert!(fleet.proxies()[16].proxy_id.as_str().ends_with("00000017po01"));
        assert!(matches!(Fleet::generate(5, 1, 0), Err(FleetError::Shape { .. })));
        assert!(matches!(Fleet::generate(1, 2, 0), Err(FleetError::Shape { .. })));
    }

    #[test]
    fn csv_goes_there_and_back() {
        let fleet = Fleet::generate(5, 3, 1).expect("possible numbers");
        let mut text = Vec::new();
        fleet.write_csv(&mut text).expect("a vector takes all");
        assert_eq!(Fleet::from_csv(text.as_slice()).expect("own text"), fleet);

        let mut targets = Vec::new();
        fleet
            .write_targets(&Name::parse("demo", "lane").expect("a name"), &mut targets)
            .expect("a vector takes all");
        assert_eq!(Fleet::from_csv(targets.as_slice()).expect("a target file will do"), fleet);
    }

    #[test]
    fn a_bad_file_names_its_line() {
        let text = "instance_id,proxy_id\n096c0fc43e804757b59946b80dc27f8bin07,nonsense\n";
        let error = Fleet::from_csv(text.as_bytes()).expect_err("no proxy id").to_string();
        assert!(
            error.contains("line: 2") && error.contains("proxy_id has 36 characters"),
            "{error}"
        );
        let twice = "instance_id,proxy_id\n096c0fc43e804757b59946b80dc27f8bin07,2ec617ba62da4eafb921b69438beed3cpo01\n".to_owned()
            + "096c0fc43e804757b59946b80dc27f8bin07,2ec617ba62da4eafb921b69438beed3cpo01\n";
        assert!(matches!(Fleet::from_csv(twice.as_bytes()), Err(FleetError::Twice(_))));
    }
}
