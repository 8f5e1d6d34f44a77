//! What the stream of moves says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moved {
    /// Sequence of the journal up to which this tells.
    pub seq: u64,
    /// Ids of the rollouts that moved.
    pub rollouts: Vec<String>,
    /// More moved than was looked through: others may have, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// Nothing moved, and the daemon is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Beat {
    /// The daemon's clock.
    #[schema(value_type = String, format = DateTime)]
    pub now: Timestamp,
    /// Sequence of the last journal entry.
    pub seq: u64,
}
