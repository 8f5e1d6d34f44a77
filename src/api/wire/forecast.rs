//! Which wave of a rollout ends when, as clients read it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rehearse::{Forecast, ForecastWave};

/// When a rollout ends, by several runs of the engine in virtual time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForecastDoc {
    /// Runs of the engine that it rests on.
    pub runs: usize,
    /// From when on it counts.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// Half of the runs have ended by then; absent: they did not within the time looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub p50: Option<Timestamp>,
    /// Nine of ten have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub p90: Option<Timestamp>,
    /// The waves that are not done, in their order.
    pub waves: Vec<ForecastWaveDoc>,
    /// What it rests on: measured, given or assumed.
    pub basis: Vec<String>,
    /// What a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// When one wave ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForecastWaveDoc {
    pub name: String,
    /// Number of its targets that are left.
    pub size: u32,
    /// When it begins in half of the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub begins: Option<Timestamp>,
    /// When it has ended in half of the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub p50: Option<Timestamp>,
    /// When it has ended in nine of ten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub p90: Option<Timestamp>,
    /// Number of the window in which it begins, from 1, counted from now on; absent without
    /// windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins_in: Option<usize>,
    /// Number of the window in which half of the runs end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_in: Option<usize>,
    /// Number of the window in which nine of ten do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_in: Option<usize>,
    /// Share of the runs in which it ends in the window in which it begins; absent without windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lands: Option<f64>,
    /// What a person does before it begins, such as `the promotion of wave canary`; its instants
    /// are those of one that does so at once. Absent: it begins by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl ForecastDoc {
    /// What a person does before it ends; `None`: it ends by itself.
    pub fn ends_after(&self) -> Option<&str> {
        self.waves.last()?.after.as_deref()
    }
}

impl From<Forecast> for ForecastDoc {
    fn from(forecast: Forecast) -> Self {
        let Forecast { runs, as_of, p50, p90, waves, basis, warnings } = forecast;
        let waves = waves.into_iter().map(ForecastWaveDoc::from).collect();
        Self { runs, as_of, p50, p90, waves, basis, warnings }
    }
}

impl From<ForecastWave> for ForecastWaveDoc {
    fn from(wave: ForecastWave) -> Self {
        let ForecastWave { name, size, begins, p50, p90, begins_in, p50_in, p90_in, lands, after } =
            wave;
        Self { name, size, begins, p50, p90, begins_in, p50_in, p90_in, lands, after }
    }
}
