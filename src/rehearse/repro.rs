//! A repro: the same plan with faults of its own, as few as they may be, and how to run it again.
//!
//! Invariant: a repro runs again by its command alone; [`Repro::arguments`] and
//! [`Repro::scenario`] say the same.

use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::scenario::Scenario;
use crate::simcloud::faults::{self, Faults};
use crate::yaml::length::Length;
use crate::yaml::suggest::nearest;

/// One fault of the fault file: its field and its value as YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultSetting {
    pub key: String,
    /// Its value, as it would stand in the file.
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repro {
    pub seed: u64,
    /// How many of the plan's targets take part.
    pub targets: u32,
    /// What goes wrong at the cloud.
    pub settings: Vec<FaultSetting>,
    /// When the daemon is killed, counted from the start.
    pub crashes: Vec<Duration>,
}

/// Why a setting is none.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// No field is called so.
    #[error("no fault is called `{key}`; {hint}")]
    Unknown {
        /// As it was written.
        key: String,
        /// The nearest one, or all of them.
        hint: String,
    },
    /// Its value is none of its kind. The text has the reason.
    #[error("{0}")]
    Value(String),
}

/// The faults with single fields set anew.
///
/// # Errors
/// With the field and what is wrong with it.
pub fn with(faults: &Faults, settings: &[FaultSetting]) -> Result<Faults, SettingError> {
    let mut fields = match serde_yaml::to_value(faults) {
        Ok(Value::Mapping(fields)) => fields,
        Ok(_) | Err(_) => Mapping::new(),
    };
    let schema = faults::schema();
    let known: Vec<&str> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    for FaultSetting { key, value } in settings {
        let name = Value::String(key.clone());
        if !known.contains(&key.as_str()) {
            let near =
                nearest(key, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let hint = near.unwrap_or_else(|| format!("there are {}", known.join(", ")));
            return Err(SettingError::Unknown { key: key.clone(), hint });
        }
        // Read by itself first, so that a mistake is told where it stands.
        let told = |error: &dyn std::fmt::Display| SettingError::Value(error.to_string());
        Faults::from_yaml(&format!("{key}: {value}")).map_err(|error| told(&error))?;
        fields.insert(name, serde_yaml::from_str(value).map_err(|error| told(&error))?);
    }
    serde_yaml::from_value(Value::Mapping(fields))
        .map_err(|error| SettingError::Value(error.to_string()))
}

impl Repro {
    /// The scenario that it tells.
    ///
    /// # Errors
    /// When a setting is no fault.
    pub fn scenario(&self, base: &Scenario) -> Result<Scenario, SettingError> {
        let mut scenario = base.cut_to(self.targets);
        scenario.seed = self.seed;
        scenario.faults = with(&base.faults, &self.settings)?;
        scenario.crashes.clone_from(&self.crashes);
        Ok(scenario)
    }

    /// What must be written behind `sealift rehearse PLAN` to see it again.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = vec![
            "--seed".to_owned(),
            self.seed.to_string(),
            "--targets".to_owned(),
            self.targets.to_string(),
        ];
        for setting in &self.settings {
            words.extend(["--fault".to_owned(), format!("{}={}", setting.key, setting.value)]);
        }
        for crash in &self.crashes {
            words.extend(["--crash".to_owned(), Length::from(*crash).to_string()]);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_win_over_the_file() {
        let file = Faults::from_yaml("busy: 0.5\njob_time: 9s\n").expect("a fault file");
        let set = |key: &str, value: &str| FaultSetting { key: key.into(), value: value.into() };
        let both = with(&file, &[set("busy", "0.1"), set("quota", "{requests: 5, per: 1s}")])
            .expect("fields of the file");
        assert_eq!(both.busy, Faults::from_yaml("busy: 0.1").expect("a fault file").busy);
        assert_eq!(both.job_time, file.job_time);
        assert_eq!(both.quota.map(|quota| quota.requests), Some(5));
        for (key, value, part) in [
            ("bussy", "1", "did you mean `busy`?"),
            ("busy", "often", "busy"),
            ("job_time", "[", "job_time"),
        ] {
            let error = with(&file, &[set(key, value)]).expect_err("no fault").to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
