//! What a plan would do: shown by `plan`, shown again by `apply` before it asks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EnforcePreview, ForecastDoc, OpposingRow, WirePreview};

/// The preview of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    pub name: String,
    pub revision: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub change_ref: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// The id that the rollout will have.
    pub rollout: String,
    pub ssl_option: bool,
    pub targets: u32,
    /// Number of instances that they belong to; each has at most one change in flight.
    pub instances: u32,
    /// What they showed when the list was made; a proxy that shows another value when its change
    /// begins is skipped.
    #[serde(default)]
    pub seen: SeenRow,
    /// When the proxies were looked at for this preview; absent: what `seen` tells is the list's
    /// word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub looked_at: Option<Timestamp>,
    /// When the targets were discovered; absent: the plan lists them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub discovered_at: Option<Timestamp>,
    /// What `targets.exclude` leaves out, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<ExcludedRow>,
    /// The lanes used, with the number of targets of each.
    pub lanes: Vec<(String, u32)>,
    /// Its waves in their order.
    pub waves: Vec<PreviewWave>,
    /// Changes in flight at most.
    pub max_in_flight: u32,
    /// Of any one lane (`lane`) or of any one value of a tag (`tag:NAME`) at most so many of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub max_in_flight_per: BTreeMap<String, u32>,
    /// Failures at which the rollout halts.
    pub max_failures: u32,
    /// PUTs that one change may spend; looks spend none.
    pub max_attempts: u16,
    /// Looks before a switch that may fail in a row before their change fails.
    #[serde(default)]
    pub looks_max: u16,
    /// Open-window time without a change ending after which the rollout halts, in seconds.
    pub progress_deadline_seconds: u64,
    /// How long a proxy may take to show the value after its job completed, in seconds.
    pub verify_timeout_seconds: u64,
    /// What the wire must show; absent: the API's word is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<WirePreview>,
    /// What follows when a failure budget is spent: `halt`, or `revert`.
    #[serde(default)]
    pub on_failure: String,
    /// Whether a revert keeps to the windows; if not, it may run at any time but for freezes.
    #[serde(default)]
    pub revert_in_window: bool,
    /// Approvers, other than the submitter, that must say yes before it begins.
    #[serde(default)]
    pub approvals: u16,
    /// How it is enforced once its rollout has completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce: Option<EnforcePreview>,
    /// Enforcements that keep some of the targets at the other value, where the daemon was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opposing: Vec<OpposingRow>,
    /// Whether new work may begin at the time of the preview.
    pub open_now: bool,
    /// The next instants at which it may begin, soonest first.
    pub openings: Vec<OpeningRow>,
    /// The zone of the plan's first window, for times read by people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What a person should know before saying yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Which wave ends when, by the engine in virtual time; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastDoc>,
    /// SHA-256 over plan file, ordered targets and `ca_file`: what an approval is bound to.
    pub digest: String,
}

/// One stretch in which new work may begin, freezes applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OpeningRow {
    /// From when on new work may begin.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// From when on it may not (the cutoff, or a freeze), if there is an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// When the window itself closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub close: Option<Timestamp>,
}

/// One wave of a preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewWave {
    pub name: String,
    /// Number of its targets.
    pub size: u32,
    /// Failures at which it halts the rollout.
    pub max_failures: u32,
    /// Its changes in flight at most: `max_in_flight`, or less where a failure budget bounds the
    /// pace.
    #[serde(default)]
    pub max_in_flight: u32,
    /// Wait after its last change, in seconds.
    pub soak_seconds: u64,
    /// `auto` or `manual`.
    pub promote: String,
    /// Its targets in their order; only the first ones where the preview was bounded.
    pub targets: Vec<PreviewTarget>,
}

/// One target of a preview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewTarget {
    /// Its place in the target list.
    pub ordinal: u32,
    pub lane: String,
    pub instance_id: String,
    pub proxy_id: String,
    /// What it showed when the list was made, where the list says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_option: Option<bool>,
}

/// What the list of targets says of the values that its proxies showed when it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeenRow {
    /// They showed the other value: to be switched.
    pub other: u32,
    /// They showed the wanted value already.
    pub right: u32,
    /// The list does not say.
    pub unknown: u32,
}

/// Targets that a plan leaves out for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExcludedRow {
    /// The reason, as the plan says it.
    pub reason: String,
    /// How many they are.
    pub targets: u32,
    /// The first of them.
    pub first: Vec<ExcludedTarget>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExcludedTarget {
    pub lane: String,
    pub instance_id: String,
    /// The instance's name, of one that was discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    pub proxy_id: String,
}
