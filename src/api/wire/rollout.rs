//! The status document of a rollout, and its row in the list.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ForecastDoc, WireDoc};
use crate::domain::hold;
use crate::domain::person::Attribution;
use crate::domain::tally::Tally;
use crate::words::hold::joined;

/// A rollout in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RolloutRow {
    /// Its id, 32 hex digits.
    pub id: String,
    /// Of the record, whatever is counted meanwhile: sent as `If-Match`, a verb is for what was
    /// seen here or does nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    pub name: String,
    pub revision: u32,
    pub ssl_option: bool,
    /// One lower-case word of the rollout table.
    pub phase: String,
    /// Held by an operator.
    pub paused: bool,
    /// It puts back what it changed, or did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reverting: bool,
    /// Name of the wave it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<String>,
    /// Counts over all changes.
    pub tally: TallyDoc,
    /// Ticket of the plan.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub change_ref: String,
    pub by: String,
    #[schema(value_type = String, format = DateTime)]
    pub submitted_at: Timestamp,
    /// When its latest transition was committed.
    #[schema(value_type = String, format = DateTime)]
    pub moved_at: Timestamp,
}

/// How one rollout stands: the one document that CLI, socket and page read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RolloutDoc {
    /// Its id, 32 hex digits.
    pub id: String,
    /// Of the record, whatever is counted meanwhile: sent as `If-Match`, a verb is for what was
    /// seen here or does nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    pub name: String,
    pub revision: u32,
    /// Free text of the plan.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Ticket of the plan.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub change_ref: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    pub ssl_option: bool,
    /// One lower-case word of the rollout table.
    pub phase: String,
    /// Nothing moves its phase any more.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Why a guard stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<HaltDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<MarkDoc>,
    /// When the pause ends by itself; absent: when somebody resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub paused_until: Option<Timestamp>,
    /// Who must approve it before it begins, and who did; absent while the plan asks for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalDoc>,
    /// The revert that is under way or halted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<RevertDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<MarkDoc>,
    /// Place in `waves` of the wave it is in, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<u16>,
    /// Its waves in their order.
    pub waves: Vec<WaveDoc>,
    /// Counts over all changes; they add up to the targets.
    pub tally: TallyDoc,
    /// What the cloud confirmed so far.
    pub counters: Counters,
    /// What the wire must show and showed; absent while the plan asks for no proof on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<WireDoc>,
    /// Changes whose job has not ended, at most.
    pub max_in_flight: u32,
    /// Of any one lane (`lane`) or of any one value of a tag (`tag:NAME`) at most so many of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub max_in_flight_per: BTreeMap<String, u32>,
    /// What is left before the rollout halts.
    pub budget: Budget,
    /// Why nothing new begins now; empty while it does.
    pub holds: Vec<HoldView>,
    /// Changes that settled per minute, over the last minutes; absent while nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_minute: Option<f64>,
    /// When it ends: by the forecast (half of its runs) where there is one, else at this rate.
    /// Absent when a promotion or an approval stands between, and without a forecast also when a
    /// soak or a window does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub eta: Option<Timestamp>,
    /// Which wave ends when, by the engine in virtual time; absent while only a person can move the
    /// rollout, where too much is left to forecast, and for the moment in which it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastDoc>,
    /// The enforcement that began when it completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Box<super::EnforcementDoc>>,
    /// When new work may begin again; absent while it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_opening: Option<Timestamp>,
    /// Until when new work may begin in the window that is open now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub open_until: Option<Timestamp>,
    /// Windows that came and went while nothing could begin; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_windows: Option<MissedDoc>,
    /// The zone of the plan's first window, for times read by people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    pub by: String,
    #[schema(value_type = String, format = DateTime)]
    pub submitted_at: Timestamp,
    /// When its latest transition was committed.
    #[schema(value_type = String, format = DateTime)]
    pub moved_at: Timestamp,
    /// When this document was made.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
}

/// What a rollout's plan file said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanDoc {
    /// Its keys, such as `windows[0].cron`, each with its text; `targets.list` left out. Empty for
    /// a rollout that an earlier version took.
    pub written: BTreeMap<String, String>,
}

/// Windows that a rollout missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissedDoc {
    pub count: u32,
    /// When the last of them opened.
    #[schema(value_type = String, format = DateTime)]
    pub last_open: Timestamp,
    /// From when on nothing new might begin in it.
    #[schema(value_type = String, format = DateTime)]
    pub last_until: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaveDoc {
    pub name: String,
    /// Number of its targets.
    pub size: u32,
    /// `waiting`, `current` or `done`.
    pub state: String,
    /// Counts of its changes.
    pub tally: TallyDoc,
    /// What is left before the rollout halts because of this wave.
    pub budget: Budget,
    /// Wait after its last change, in seconds.
    pub soak_seconds: u64,
    /// `auto` or `manual`.
    pub promote: String,
}

/// Counts; they add up to `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TallyDoc {
    pub total: u32,
    pub queued: u32,
    /// Released and not settled.
    pub active: u32,
    /// Seen with the wanted value.
    pub succeeded: u32,
    pub failed: u32,
    /// Waiting for a person.
    pub in_doubt: u32,
    /// Withdrawn before anything was sent.
    pub cancelled: u32,
    /// Put back: the proxy shows the value from before this rollout.
    #[serde(default)]
    pub reverted: u32,
    /// Left alone on purpose; each says why.
    #[serde(default)]
    pub skipped: u32,
}

impl RolloutDoc {
    /// With a forecast, which knows quota, windows and waits: where there is one, the rate's guess
    /// at the end is not told.
    #[must_use]
    pub fn with_forecast(self, forecast: Option<ForecastDoc>) -> Self {
        let eta = forecast
            .as_ref()
            .map_or(self.eta, |forecast| forecast.p50.filter(|_| forecast.ends_after().is_none()));
        Self { forecast, eta, ..self }
    }

    /// The hold of a rollout that waits for approvals.
    pub fn approval_hold(&self) -> Option<&HoldView> {
        self.holds.iter().find(|hold| hold.word == hold::Hold::AWAITING_APPROVAL)
    }

    /// Whether nothing moves until a person resumes it: paused without an end, and nothing is in
    /// flight any more.
    pub fn waits_for_resume(&self) -> bool {
        !self.is_final
            && self.paused.is_some()
            && self.paused_until.is_none()
            && self.tally.active == 0
    }
}

impl From<Tally> for TallyDoc {
    fn from(tally: Tally) -> Self {
        let Tally { queued, active, succeeded, failed, in_doubt, cancelled, reverted, skipped } =
            tally;
        Self {
            total: tally.total(),
            queued,
            active,
            succeeded,
            failed,
            in_doubt,
            cancelled,
            reverted,
            skipped,
        }
    }
}

impl TallyDoc {
    /// Changes that have their outcome.
    pub fn settled(&self) -> u32 {
        self.succeeded + self.failed + self.in_doubt + self.cancelled + self.reverted + self.skipped
    }
}

/// Four stages of a change at the cloud, each counted once per change; "applied" is not
/// "effective".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// The cloud took the switch and gave a job; absent while a large rollout is still being
    /// counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<u32>,
    /// That job ended well; absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<u32>,
    /// The cloud shows the wanted value.
    pub effective: u32,
    /// The wire showed it too; absent while the plan asks for no proof on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<u32>,
}

/// A failure budget: failed, in-doubt and in-flight changes together never exceed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    /// Failures at which the rollout halts.
    pub max_failures: u32,
    /// Failed and in-doubt changes so far.
    pub failures: u32,
    /// Failures that are left before it halts.
    pub left: u32,
}

impl Budget {
    /// The budget `max_failures` with the failures of this tally.
    pub fn of(max_failures: u32, tally: &Tally) -> Self {
        let failures = tally.failures();
        Self { max_failures, failures, left: max_failures.saturating_sub(failures) }
    }
}

/// Why nothing new begins, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldView {
    /// One of the words of `domain::hold`, such as `halted`, `paused` or `window`.
    pub word: String,
    /// The same for people; who, why and what lifts it stand apart.
    pub text: String,
    /// The person who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What they said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The verb that lifts it; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// The same as a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The command in backticks, with what it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Since when, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
    /// Until when, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

impl HoldView {
    /// All of it but its instants.
    pub fn line(&self) -> String {
        joined(&self.text, self.by.as_deref(), &self.why, self.help.as_deref())
    }
}

/// Who must approve a rollout before it begins, and who did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalDoc {
    /// Approvers that are needed, other than the submitter.
    pub required: u16,
    /// Who did, and when.
    #[serde(default)]
    pub given: Vec<MarkDoc>,
    /// The digest that an approval is bound to.
    pub digest: String,
}

/// A revert that is under way or halted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevertDoc {
    /// `settling`, `gathering` or `releasing`.
    pub stage: String,
    pub cause: String,
    /// Who wanted it; absent when a guard did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<MarkDoc>,
}

/// Which guard stopped a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HaltDoc {
    /// `failures`, `half`, `stalled` or `revert`.
    pub guard: String,
    /// The same for people.
    pub text: String,
}

/// Who did it, why and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MarkDoc {
    pub by: String,
    /// Why; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it was acknowledged.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl From<&Attribution> for MarkDoc {
    fn from(mark: &Attribution) -> Self {
        Self { by: mark.by.clone(), reason: mark.reason.clone(), at: mark.at }
    }
}
