//! A lane of the configuration with how it stands.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::LaneDoc;

/// One lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LaneRow {
    #[serde(flatten)]
    pub state: LaneDoc,
    /// Base of the service's URLs.
    pub endpoint: String,
    pub project_id: String,
    /// Who the lane is to the cloud, in words; of what is secret the place where it is found.
    pub identity: String,
    /// The lane before it that reaches the same project: no switch is sent over this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<String>,
    /// When a call last went through, since the daemon started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_good: Option<Timestamp>,
}
