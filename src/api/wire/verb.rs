//! What the verbs on a rollout say, and what they are answered.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Begin nothing new.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it ends by itself; absent: when somebody resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Take the pause back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Let the next wave begin.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Let it begin at all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The digest that was looked at, 64 hex digits; it must be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Put back into the queue what failed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Also what is in doubt, after a person looked at the proxies.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// The one change of this proxy, whether it failed or is in doubt; a unique beginning of its id is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

/// Say what becomes of one change that is in doubt: either its job, or that it is given up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The proxy of the change; a unique beginning of its id is enough. It must be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The id of the job that did the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The change counts as failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub give_up: bool,
}

/// Begin nothing new for ever.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbortRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Put back what it changed and nobody changed since.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevertRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The plan's name, typed back: needed where the revert switches SSL off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// A verb was carried out and is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerbAnswer {
    pub id: String,
    pub name: String,
    pub verb: String,
    /// Who, as the daemon knows them.
    pub by: String,
    /// Phase word after the verb.
    pub phase: String,
    /// The wave it is in then, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<u16>,
    /// How many waves its plan has.
    #[serde(default)]
    pub waves: u16,
    /// Changes whose call may still be on its way or whose job still runs; they are followed to their end.
    pub in_flight: u32,
    /// The journal's entry of it; absent where it was not found soon among what was written since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}
