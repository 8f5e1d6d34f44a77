//! The morning's report: what came of a rollout in one night, or in all.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ChangeRow, JournalRow, PauseSpan};

/// What was done, what was not, who decided what, and which entries of the journal prove it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReportDoc {
    /// The rollout's id.
    pub id: String,
    pub name: String,
    pub revision: u32,
    /// The date of the night, by the plan's zone; absent: the whole rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub night: Option<String>,
    /// The first sentence.
    pub text: String,
    pub counts: ReportCounts,
    /// What is not as planned, failures first.
    pub unplanned: Vec<UnplannedRow>,
    /// Words of the states of which there are more: `GET /v1/rollouts/R/changes?state=` has all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<String>,
    pub waves: Vec<ReportWave>,
    /// What people and guards did, oldest first.
    pub decisions: Vec<ReportDecision>,
    /// Pauses, oldest first.
    pub pauses: Vec<PauseSpan>,
    /// The entries that were read; absent: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<ReportEntries>,
    /// Where the reading of the journal ended, if that was before the end of the stretch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_to: Option<ReadTo>,
    /// What is missing because of that, and how to get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// All nights of the rollout so far, oldest first.
    pub nights: Vec<ReportNight>,
    /// When this document was made.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
}

/// Changes by how they came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportCounts {
    /// They show the wanted value, or the one from before where they were put back.
    pub well: u32,
    pub failed: u32,
    pub in_doubt: u32,
    /// Skipped, or withdrawn before anything was sent.
    pub left: u32,
    /// On their way.
    pub moving: u32,
}

impl ReportCounts {
    /// Changes that began.
    pub fn begun(self) -> u32 {
        self.well + self.failed + self.in_doubt + self.left + self.moving
    }
}

/// A change that did not come out as planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnplannedRow {
    /// As it stands now.
    pub change: ChangeRow,
    /// As it stood at the end of the stretch, where it has moved since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<StoodThen>,
}

/// How a change stood at the end of a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoodThen {
    /// The word of its state.
    pub state: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The journal's words.
    pub why: String,
}

/// What one wave did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportWave {
    /// From 1.
    pub number: u16,
    pub name: String,
    pub size: u32,
    pub counts: ReportCounts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub began: Option<Timestamp>,
    /// When it did something last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Timestamp>,
}

/// What somebody decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReportDecision {
    pub entry: JournalRow,
    /// To how many more changes they did the same at once.
    #[serde(default, skip_serializing_if = "is_none")]
    pub more: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// The entries of the rollout in the stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportEntries {
    pub first: u64,
    pub last: u64,
    pub count: u64,
}

/// An entry of the journal, and its instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadTo {
    pub entry: u64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// One night of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportNight {
    /// The date on which its windows open, by the plan's zone.
    pub date: String,
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Exclusive.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Changes that came out well in it; absent: it was not asked for, and not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub well: Option<u32>,
    /// Changes that failed or came to be in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<u32>,
}
