//! One line of the journal as clients see it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::FullProofDoc;

/// The journal's entries of one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeJournal {
    /// Its entries, newest first.
    pub rows: Vec<JournalRow>,
    /// Pass as `after` to get the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Down to which entry was looked: an earlier version wrote what lies before it, and the change
    /// may have entries there. Absent: all were found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_to: Option<u64>,
}

/// Who moved from what to what, when and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JournalRow {
    /// Dense over all rollouts, from 1.
    pub seq: u64,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Which rollout it belongs to.
    pub rollout: String,
    /// `submitted`, `change`, `rollout` or `enforcement`.
    pub kind: String,
    /// Place of the change in the target list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_id: Option<String>,
    /// The word it left; absent for a submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The word it entered.
    pub to: String,
    pub why: String,
    /// The call that followed this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The cloud's `X-Request-Id` of the answer that led here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// HTTP status of the answer that led here, if it was a refusal or a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `error_code` of that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What a look at the wire saw that led here, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Box<FullProofDoc>>,
    /// The change's latest job id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The operator, if one did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The door that they came through: `socket`, `token` with its label, `certificate`, or
    /// `session` for a browser; absent in what an earlier version wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}
