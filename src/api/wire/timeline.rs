//! One rollout on a time line: what happened in bins of five minutes, and what is expected.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::OpeningRow;
use crate::store::bins::BinCounts;

/// What happened to a rollout, and what is expected of it, in one stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimelineDoc {
    /// The rollout's id.
    pub id: String,
    pub name: String,
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Length of a bin, in seconds.
    pub bin_seconds: u32,
    /// From then on it was counted: what happened earlier is not known here. Absent: all of it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub known_since: Option<Timestamp>,
    /// Bins in which something happened, oldest first.
    pub bins: Vec<TimelineBin>,
    /// The waves in their order.
    pub waves: Vec<WaveSpan>,
    /// Pauses, oldest first.
    pub pauses: Vec<PauseSpan>,
    /// When new work may begin, soonest first, by the plan's windows and freezes.
    pub openings: Vec<OpeningRow>,
    /// The zone of the plan's first window, for times read by people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When this document was made.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
}

/// What all rollouts did since tonight began: since the first window opened that is open or was
/// last, twelve hours ago at the earliest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TonightDoc {
    /// When it began, or from when on it was counted if that is later; absent: nothing has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Something of tonight happened before `since` and was not counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partly: bool,
    /// Length of a bin, in seconds.
    pub bin_seconds: u32,
    /// Bins in which something happened, oldest first, of all rollouts together.
    pub bins: Vec<TimelineBin>,
    /// When this document was made.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
}

impl TonightDoc {
    /// Everything since it began, in one.
    pub fn sum(&self) -> BinCounts {
        let mut sum = BinCounts::default();
        for bin in &self.bins {
            sum += bin.counts();
        }
        sum
    }
}

/// What happened in one bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimelineBin {
    /// Its first instant.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Changes that settled in it, by their outcome; one that was put back into the queue later
    /// counts again.
    pub succeeded: u32,
    pub failed: u32,
    pub in_doubt: u32,
    pub cancelled: u32,
    pub reverted: u32,
    pub skipped: u32,
    /// Calls that changes asked for; lists of jobs, which serve many changes at once, are not among
    /// them.
    pub calls: u32,
    /// Answers of the cloud that refused a call for its quota.
    pub refused: u32,
}

impl TimelineBin {
    /// The bin that begins then.
    pub fn of(at: Timestamp, counts: BinCounts) -> Self {
        let BinCounts { succeeded, failed, in_doubt, cancelled, reverted, skipped, calls, refused } =
            counts;
        Self { at, succeeded, failed, in_doubt, cancelled, reverted, skipped, calls, refused }
    }

    /// What it counts.
    pub fn counts(&self) -> BinCounts {
        let Self {
            at: _,
            succeeded,
            failed,
            in_doubt,
            cancelled,
            reverted,
            skipped,
            calls,
            refused,
        } = *self;
        BinCounts { succeeded, failed, in_doubt, cancelled, reverted, skipped, calls, refused }
    }
}

/// When one wave was worked on, and when it is expected to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaveSpan {
    pub name: String,
    /// First instant of the first bin in which something of it happened, in the stretch asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub worked_from: Option<Timestamp>,
    /// Last instant of the last such bin, or now if that is earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub worked_to: Option<Timestamp>,
    /// When it is expected to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub begins: Option<Timestamp>,
    /// When half of the forecast's runs have ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub p50: Option<Timestamp>,
    /// When nine of ten have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub p90: Option<Timestamp>,
}

/// A stretch in which a person held the rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseSpan {
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// When it ended, or will by itself; absent: when somebody resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// Who paused it; told of the pause that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What they said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
