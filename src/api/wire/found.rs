//! What a search for the beginning of an id found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What has an id that begins so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundDoc {
    /// The open ones first, then the newest.
    pub rows: Vec<FoundRow>,
    /// Whether everything was looked through; else the search ended when its time was over.
    pub whole: bool,
    /// Rollouts whose changes were looked through.
    pub rollouts: u32,
    /// Where nothing else had the id: the journal was looked through down to this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_from: Option<u64>,
}

/// One thing with that id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundRow {
    /// `rollout`, `proxy`, `instance`, `job` or `request`.
    pub what: String,
    /// The whole id.
    pub id: String,
    /// The rollout that it belongs to.
    pub rollout: String,
    /// Its plan's name.
    pub name: String,
    /// Place of the change in its targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<u32>,
    /// The journal's entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Phase or state word.
    pub state: String,
}
