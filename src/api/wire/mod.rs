//! What the API says, on the socket and to every client: one set of JSON shapes.
//!
//! Invariant: these types are the contract and belong to nobody else. A change of a stored record
//! or of a domain type does not bend them, a field is never renamed or given another meaning, and a
//! new field is optional to readers. Times are RFC 3339 in UTC, ids are written in full, words are
//! those of the domain (`advancing`, `in_doubt`).
//!
//! Deliberately not here: how a document is made (`api::describe`) and how it is shown (`cli`).

mod attention;
mod calendar;
mod change;
mod change_csv;
mod enforcement;
mod forecast;
mod found;
mod journal;
mod lane;
mod look;
mod moved;
mod notify;
mod preflight;
mod preview;
mod problem;
mod proof;
mod report;
mod rollout;
mod timeline;
mod verb;

pub use attention::{AttentionDoc, AttentionRow};
pub use calendar::{
    CalendarDoc, ClockChangeRow, FreezeRow, LaneHours, OpeningDoc, RolloutWindows, TickRow,
};
pub use change::{AnswerDoc, ChangeRow, SavedJob};
pub use enforcement::{
    EnforcePreview, EnforcementDoc, EnforcementRunDoc, HeldTarget, OpposingRow, ReleaseRequest,
};
pub use forecast::{ForecastDoc, ForecastWaveDoc};
pub use found::{FoundDoc, FoundRow};
pub use journal::{ChangeJournal, JournalRow};
pub use lane::LaneRow;
pub use look::{
    InstancePage, InstanceRow, LOOK_INSTANCES_MAX, LookInstance, LookProxy, LookRequest, LookRow,
};
pub use moved::{Beat, Moved};
pub use notify::{NotifyTestAnswer, ReceiverDoc};
pub use preflight::{CheckRow, PORTS_WITHIN, PreflightInstance, PreflightRequest};
pub use preview::{
    ExcludedRow, ExcludedTarget, OpeningRow, Preview, PreviewTarget, PreviewWave, SeenRow,
};
pub use problem::{Problem, ProblemCode};
pub use proof::{
    CertificateDoc, FullProofDoc, GreetingDoc, HandshakeDoc, LoginDoc, ProofDoc, WireDoc,
    WirePreview, WordedDoc,
};
pub use rollout::{
    ApprovalDoc, Budget, Counters, HaltDoc, HoldView, MarkDoc, MissedDoc, PlanDoc, RevertDoc,
    RolloutDoc, RolloutRow, TallyDoc, WaveDoc,
};

pub use report::{
    ReadTo, ReportCounts, ReportDecision, ReportDoc, ReportEntries, ReportNight, ReportWave,
    StoodThen, UnplannedRow,
};
pub use timeline::{PauseSpan, TimelineBin, TimelineDoc, TonightDoc, WaveSpan};
pub use verb::{
    AbortRequest, ApproveRequest, AsksDoc, EffectDoc, PauseRequest, PromoteRequest, ResolveRequest,
    ResumeRequest, RetryRequest, RevertRequest, VerbAnswer, VerbDoc, VerbsDoc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who calls, as the daemon knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// The one name, whatever the door: what stands in the journal and beside approvals.
    pub name: String,
    /// The user's number on the daemon's host, where the door tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Of `read`, `operate`, `approve` and `off`; none for somebody whom the configuration does not
    /// list.
    pub may: Vec<String>,
    /// `socket`.
    pub via: String,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Listing<T> {
    /// The rows, in the listing's order.
    pub rows: Vec<T>,
    /// Pass as `after` to get the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Body of a verb on a lane.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LaneRequest {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A lane was paused or resumed, and that is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LaneAnswer {
    pub lane: String,
    /// `pause` or `resume`.
    pub verb: String,
    /// Who, as the daemon knows them.
    pub by: String,
}

/// Body of `stop` and `start`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Everything was stopped or started, and that is durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StopAnswer {
    /// `stop` or `start`.
    pub verb: String,
    /// Who, as the daemon knows them.
    pub by: String,
    /// Changes whose call may still be on its way or whose job still runs; they are followed to
    /// their end.
    pub in_flight: u32,
    /// Full path of the kill-switch file, while it is there: it stops everything, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_file: Option<String>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubmitAnswer {
    pub id: String,
    pub name: String,
    pub revision: u32,
    /// Number of its changes.
    pub targets: u32,
    /// False when the very same rollout was there already.
    pub new: bool,
    /// What the submitter should know beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Enforcements that keep some of the targets at the other value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opposing: Vec<OpposingRow>,
}

/// What `GET /v1/events` answers: the rollouts asked for, as they stand now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Events {
    /// Pass as `after` to be answered when something has moved since.
    pub seq: u64,
    /// The rollouts asked for.
    pub rollouts: Vec<RolloutDoc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DaemonDoc {
    pub version: String,
    pub pid: u32,
    /// Since when it runs.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// Passes of the engine since then.
    pub passes: u64,
    /// Calls to the cloud since then.
    pub calls: u64,
    /// Text of the kill-switch file, while it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    /// Full path of that file, whether it is there or not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stop_file: String,
    /// Who stopped everything, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<MarkDoc>,
    /// It begins nothing new because it ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    pub store: StoreDoc,
    pub lanes: Vec<LaneDoc>,
    /// Files of the plans folder that were not taken, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<PlanFault>,
    /// Receivers of notifications.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<ReceiverDoc>,
}

/// A file of the plans folder that was not taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanFault {
    /// The file, or the folder itself.
    pub file: String,
    /// The plan's name, as far as the file could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Why, and what to do.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoreDoc {
    /// `memory` or `sled`.
    pub kind: String,
    /// Sequence of the last journal entry.
    pub seq: u64,
    /// Hash of the last journal line, 64 hex digits.
    pub head: String,
    /// Why nothing new is accepted, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusing: Option<String>,
    /// Bytes of the journal on disk.
    pub journal_bytes: u64,
    /// Bytes of the queue on disk.
    pub queue_bytes: u64,
    /// How fast the store grows; absent while it is too young to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<GrowthDoc>,
    /// What was set aside and rebuilt at start, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<String>,
}

/// How fast the store grows, and for how long the disk lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrowthDoc {
    /// Since when it was counted.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    pub bytes_per_day: u64,
    /// Bytes that are free on its disk.
    pub free_bytes: u64,
    /// Days until nothing new is accepted, at this pace.
    pub days_left: u64,
}

/// A disk that lasts for more years than this is not counted in days.
const YEARS_MANY: u64 = 10;

impl GrowthDoc {
    pub fn message(&self) -> String {
        let since = self.since.strftime("%Y-%m-%d");
        let (grows, free) = (size(self.bytes_per_day), size(self.free_bytes));
        let lasts = match self.days_left {
            1 => "1 day".to_owned(),
            days if days < YEARS_MANY * 365 => format!("{days} days"),
            _ => format!("more than {YEARS_MANY} years"),
        };
        format!("it grows {grows} a day since {since}; {free} are free and last for {lasts}")
    }
}

fn size(bytes: u64) -> String {
    let (kib, mib, gib) =
        (bytes as f64 / 1024.0, bytes as f64 / 1_048_576.0, bytes as f64 / 1_073_741_824.0);
    match bytes {
        0x4000_0000.. => format!("{gib:.1} GiB"),
        0x10_0000.. => format!("{mib:.1} MiB"),
        _ => format!("{kib:.1} KiB"),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LaneDoc {
    pub lane: String,
    /// Calls that are out.
    pub out: u32,
    /// Changes that wait for a permit of this lane.
    pub waiting: u32,
    /// Paused by the cloud until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub paused_until: Option<Timestamp>,
    /// Why it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_why: Option<String>,
    /// How the cloud's clock stands to this machine's; missing: the cloud told no time of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<LaneClockDoc>,
    /// Paused by a person, for every rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<MarkDoc>,
    /// How it stands to its quota; missing: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<LaneQuotaDoc>,
}

/// How the clock of a lane's cloud stands to this machine's. Milliseconds; negative: the cloud's is
/// behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaneClockDoc {
    /// The cloud's clock is at least so far ahead.
    pub ahead_least_ms: i64,
    /// The cloud's clock is at most so far ahead.
    pub ahead_most_ms: i64,
    /// Further apart the two may not be.
    pub tolerance_ms: u64,
    /// They may be: no switch is sent.
    pub held: bool,
    /// How far the creation times of jobs lie from the time of the answers, where that is more than
    /// these explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs_apart_ms: Option<i64>,
    /// The same for people.
    pub text: String,
}

/// How a lane stands to its quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaneQuotaDoc {
    /// Calls allowed in one interval by the configuration, headroom taken off.
    pub requests: u32,
    /// The interval, in milliseconds.
    pub per_ms: u64,
    /// Calls in one interval that the account was seen to give: below `requests` after refusals
    /// (429), and back up slowly.
    pub ceiling: u32,
    /// Calls of the last interval, with those that are out.
    pub used: u32,
    /// Calls of the last interval that the cloud refused for its quota.
    pub refused: u32,
}
