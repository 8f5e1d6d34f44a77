//! What the verbs on a rollout say, and what they are answered.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Begin nothing new.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it ends by itself; absent: when somebody resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// Take the pause back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Let the next wave begin.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Let it begin at all.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Also what is in doubt, after a person looked at the proxies.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// The one change of this proxy, whether it failed or is in doubt; a unique beginning of its id
    /// is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

/// Say what becomes of one change that is in doubt: either its job, or that it is given up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Put back what it changed and nobody changed since.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// Changes whose call may still be on its way or whose job still runs; they are followed to
    /// their end.
    pub in_flight: u32,
    /// The journal's entry of it; absent where it was not found soon among what was written since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// What can be done to a rollout now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerbsDoc {
    /// The rollout's id.
    pub id: String,
    /// The tag of the record that this was decided on: sent as `If-Match`, a verb does what is told
    /// here or nothing.
    pub tag: String,
    /// Every verb, in the order in which they are shown.
    pub verbs: Vec<VerbDoc>,
}

/// One verb.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerbDoc {
    /// As it is typed, and as its route ends.
    pub verb: String,
    /// Only of `retry`, which stands here twice: with `in_doubt` in its body.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// It means something in this state, and this caller may.
    pub possible: bool,
    /// Why it is not possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// What it would do at once; absent where it means nothing in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<EffectDoc>,
    /// What it asks before.
    pub asks: AsksDoc,
}

/// What a verb would do at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EffectDoc {
    /// Phase word after it.
    pub phase: String,
    /// Place in `waves` of the wave it is in then, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<u16>,
    /// Changes that would be cancelled for good.
    pub cancelled: u32,
    /// Changes that would be queued again.
    pub requeued: u32,
    /// Changes that would be put back, at most.
    pub put_back: u32,
    /// Changes in flight, which are followed to their end in any case.
    pub in_flight: u32,
    /// The same for people.
    pub text: String,
}

/// What a verb asks before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AsksDoc {
    /// Roles that it takes: of `operate`, `approve` and `off`.
    pub roles: Vec<String>,
    /// Whether a person must say why; they may in any case.
    pub reason_required: bool,
    /// The plan's name, to be typed back in `confirm`: it switches SSL off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// The digest that an approval names, of what would run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}
