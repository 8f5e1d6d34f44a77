//! What wants a person, and the first sentence of the whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What wants a person now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttentionDoc {
    /// Whether work goes on, in one sentence without its instant.
    pub headline: String,
    /// Until when the sentence holds, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// What wants a person, the gravest first.
    pub rows: Vec<AttentionRow>,
    /// When this document was made.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
}

/// One thing that wants a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AttentionRow {
    /// `stopped`, `stop_file`, `store_refusing`, `halted`, `in_doubt`, `overdue`, `paused`,
    /// `awaiting_promotion`, `awaiting_approval`, `enforcement_held`, `lane_held`,
    /// `lane_credentials` `api_certificate_ends` or `certificate_ends`; what is a hold has the
    /// hold's word.
    pub word: String,
    /// The same for people; who, why and what lifts it stand apart.
    pub text: String,
    /// The rollout that it is about, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// The plan that it is about, of a rollout or an enforcement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The lane that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// The person who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What they said, or what the cloud or the store did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Since when, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Until when, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// The verb that lifts it; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// The same as a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}
