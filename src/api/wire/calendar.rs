//! What the calendars of all open rollouts will do.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MarkDoc, MissedDoc};

/// What opens, ticks and holds in the next days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CalendarDoc {
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Rollouts that are not over, newest first.
    pub rollouts: Vec<RolloutWindows>,
    /// More rollouts are open than are told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Ticks of enforcements, soonest first.
    pub ticks: Vec<TickRow>,
    /// Every lane of the configuration, and until when it is held.
    pub lanes: Vec<LaneHours>,
}

/// The windows of one rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RolloutWindows {
    /// The rollout's id.
    pub rollout: String,
    pub name: String,
    /// The zone of its first window, for times read by people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Its plan has no windows: it may work at any time but for freezes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
    /// Its openings in their order, also those that a freeze covers whole.
    pub windows: Vec<OpeningDoc>,
    /// More of them open than are told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Windows that came and went while nothing could begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<MissedDoc>,
}

/// One opening, or one that a freeze swallows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpeningDoc {
    /// From when on new work may begin; of one that is frozen, might have.
    #[schema(value_type = String, format = DateTime)]
    pub open: Timestamp,
    /// From when on nothing new begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub cutoff: Option<Timestamp>,
    /// When the window itself closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub close: Option<Timestamp>,
    /// Nothing may begin in it: a freeze covers it whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// It is open already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open_already: bool,
    /// `not_before` cuts its beginning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins_late: bool,
    /// The freezes that take something of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<FreezeRow>,
    /// Changes of clocks in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clocks: Vec<ClockChangeRow>,
}

/// A stretch in which nothing may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FreezeRow {
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    pub reason: String,
}

/// A change of clocks that an opening meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockChangeRow {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `start_skipped`: the clock skips the time at which it was to open; `start_twice`: it shows
    /// that time twice, and the first counts; `inside`: clocks change while it is open.
    pub meets: String,
}

/// The next tick of an enforcement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TickRow {
    /// The plan that is enforced.
    pub name: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The zone of its schedule, for times read by people.
    pub time_zone: String,
    /// Why it puts nothing right until a person releases it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// Until when a lane is held: all that a lane has of a calendar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LaneHours {
    pub lane: String,
    /// Paused by a person, for every rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<MarkDoc>,
    /// Paused by the cloud until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub paused_until: Option<Timestamp>,
    /// Why the cloud paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_why: Option<String>,
}
