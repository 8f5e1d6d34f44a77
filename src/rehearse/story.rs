//! A story: the same plan with faults of its own, as few as they may be, and how to tell it again.
//!
//! Invariant: a story is told again by its command alone; [`Story::arguments`] and [`Story::scene`] say the same.

use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::scene::Scene;
use crate::cloud::faults::{Faults, FaultsError};
use crate::document::length::Length;

/// One fault of the fault file: its field and its value as YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The field.
    pub key: String,
    /// Its value, as it would stand in the file.
    pub value: String,
}

/// One story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Its seed.
    pub seed: u64,
    /// How many of the plan's targets take part.
    pub targets: u32,
    /// What goes wrong at the cloud.
    pub settings: Vec<Setting>,
    /// When the daemon is killed, counted from the start.
    pub crashes: Vec<Duration>,
}

/// The faults with single fields set anew.
///
/// # Errors
/// With the field and what is wrong with it.
pub fn with(faults: &Faults, settings: &[Setting]) -> Result<Faults, FaultsError> {
    if settings.is_empty() {
        return Ok(faults.clone());
    }
    let mut fields = match serde_yaml::to_value(faults) {
        Ok(Value::Mapping(fields)) => fields,
        Ok(_) | Err(_) => Mapping::new(),
    };
    for setting in settings {
        // A text that is no YAML is a wrong value of its field, and told as that.
        let value = serde_yaml::from_str(&setting.value).unwrap_or_else(|_| Value::String(setting.value.clone()));
        fields.insert(Value::String(setting.key.clone()), value);
    }
    Faults::from_yaml(&serde_yaml::to_string(&fields).unwrap_or_default())
}

impl Story {
    /// The scene that it tells.
    ///
    /// # Errors
    /// When a setting is no fault.
    pub fn scene(&self, base: &Scene) -> Result<Scene, FaultsError> {
        let mut scene = base.cut_to(self.targets);
        scene.seed = self.seed;
        scene.faults = with(&base.faults, &self.settings)?;
        scene.crashes.clone_from(&self.crashes);
        Ok(scene)
    }

    /// What must be written behind `sealift rehearse PLAN` to see it again.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = vec!["--seed".to_owned(), self.seed.to_string(), "--targets".to_owned(), self.targets.to_string()];
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
        let set = |key: &str, value: &str| Setting { key: key.into(), value: value.into() };
        let both = with(&file, &[set("busy", "0.1"), set("quota", "{requests: 5, per: 1s}")]).expect("fields of the file");
        assert_eq!(both.busy, Faults::from_yaml("busy: 0.1").expect("a fault file").busy);
        assert_eq!(both.job_time, file.job_time);
        assert_eq!(both.quota.map(|quota| quota.requests), Some(5));
        for (key, value, part) in [("bussy", "1", "bussy"), ("busy", "often", "busy"), ("job_time", "[", "job_time")] {
            let error = with(&file, &[set(key, value)]).expect_err("no fault").to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
