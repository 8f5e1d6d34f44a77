//! How the enforcement of a plan stands, and what its last run found.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MarkDoc;

/// The enforcement of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnforcementDoc {
    pub name: String,
    /// The revision that is enforced.
    pub revision: u32,
    /// The completed rollout that it came from, 32 hex digits.
    pub rollout: String,
    pub ssl_option: bool,
    /// `idle`, `surveying`, `applying`, `held` or `ended`.
    pub stage: String,
    /// `inform` or `apply`.
    pub mode: String,
    pub cron: String,
    /// The zone of `cron`.
    pub time_zone: String,
    /// Targets that one run may put right without being held.
    pub max_drift: u32,
    /// Number of its targets.
    pub targets: u32,
    /// Runs begun so far.
    pub runs: u32,
    /// The next tick; absent when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_tick: Option<Timestamp>,
    /// Ticks that began no run since the latest run began.
    #[serde(default)]
    pub skipped_ticks: u32,
    /// The rollout of the run at hand, if it is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_hand: Option<String>,
    /// The latest run, at hand or over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<EnforcementRunDoc>,
    /// Why nothing is put right until a person releases it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Number of targets that are held because they flipped back again and again.
    #[serde(default)]
    pub held_targets: u32,
    /// These targets, the first thousand; only where one enforcement was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_list: Vec<HeldTarget>,
    /// Number of targets that drifted and are not put right until a person releases them, beside
    /// those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held_drift: u32,
    /// Who stopped it and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<MarkDoc>,
    /// The newer revision, without `enforce`, that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<u32>,
    /// When it last moved.
    #[schema(value_type = String, format = DateTime)]
    pub moved_at: Timestamp,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// One run of an enforcement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnforcementRunDoc {
    /// Its number, and the revision of its rollouts.
    pub number: u32,
    /// The tick that began it.
    #[schema(value_type = String, format = DateTime)]
    pub tick: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub began: Timestamp,
    /// Name of the rollout that looked at every target.
    pub survey: String,
    /// Targets that showed the wanted value; absent until all were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<u32>,
    /// Targets that showed the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted: Option<u32>,
    /// Of these, the held ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u32>,
    /// Targets of which it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<u32>,
    /// Name of the rollout that put right; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// Targets that it switched.
    #[serde(default)]
    pub switched: u32,
    /// Targets that it could not put right.
    #[serde(default)]
    pub failed: u32,
    /// Why its rollout is halted, or was when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// How it ended, in words; absent while it is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// A target that is left alone because it flipped back again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeldTarget {
    /// Its place in the target list.
    pub ordinal: u32,
    pub lane: String,
    pub instance_id: String,
    pub proxy_id: String,
    /// The latest runs that put it right in vain.
    pub runs: Vec<u32>,
}

/// Let an enforcement go on with what is held.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// Why; carried into the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The one proxy to release; absent: all that are held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// An enforcement that keeps targets of a plan at the other value: its next run puts them back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpposingRow {
    pub name: String,
    /// The revision that is enforced.
    pub revision: u32,
    /// The value that it keeps them at.
    pub ssl_option: bool,
    /// It puts nothing right until a person releases it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_tick: Option<Timestamp>,
    /// The zone of its ticks.
    pub time_zone: String,
    /// How many of the plan's targets it keeps so.
    pub targets: u32,
    /// The proxies of the first of them.
    pub first: Vec<String>,
}

/// The `enforce` of a plan that is previewed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnforcePreview {
    /// `inform` or `apply`.
    pub mode: String,
    /// When it runs, once the rollout has completed.
    pub cron: String,
    /// The zone of `cron`.
    pub time_zone: String,
    /// Targets that one run may put right without being held.
    pub max_drift: u32,
    /// The next tick from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next: Option<Timestamp>,
}
