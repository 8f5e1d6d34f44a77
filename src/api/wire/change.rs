//! One line per change, and one line per saved job id.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{HoldView, ProofDoc};
use crate::words::change::{ChangeFacts, ProofFacts};

/// One change of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeRow {
    /// Its place in the rollout's target list, from 0.
    pub ordinal: u32,
    /// The lane that reaches it.
    pub lane: String,
    pub instance_id: String,
    /// The instance's name, where the list of targets tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    pub proxy_id: String,
    /// Name of its wave.
    pub wave: String,
    /// Its labels, of the plan or the target file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// One word of the change table.
    pub state: String,
    /// How it came to succeed: `switched`, `already_right` or `switched_job_unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// PUTs spent, forward or, once it is put back, on that.
    pub attempts: u16,
    /// `ssl_option` as seen before our first PUT; absent while unseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<bool>,
    /// Whether it is put back: then the wanted value is `before`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo: bool,
    /// The latest job id saved for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Every job id saved for it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<String>,
    /// Of `jobs`, those that may be somebody else's: each was the only unexplained one of its
    /// instance after an answer was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub presumed: Vec<String>,
    /// Stable word for why it failed, stays in doubt or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_word: Option<String>,
    /// Why it failed, stays in doubt or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the cloud answered to the first attempt that did not succeed, since the change was
    /// queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_answer: Option<AnswerDoc>,
    /// The same of the latest one, which may be the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer: Option<AnswerDoc>,
    /// Where the cloud says that clients reach the proxy; absent unless the plan asks for a proof
    /// on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// What the wire showed that proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofDoc>,
    /// When its latest transition was committed; absent while it never moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub moved_at: Option<Timestamp>,
    /// Why it waits; absent while it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldView>,
}

impl ChangeRow {
    /// What is said of it; `hold` is why it waits, in one line with its end.
    pub fn facts<'a>(&'a self, hold: Option<&'a str>) -> ChangeFacts<'a> {
        ChangeFacts {
            state: &self.state,
            how: self.how.as_deref(),
            before: self.before,
            undo: self.undo,
            reason: self.reason.as_deref(),
            request_id: self.last_answer.as_ref().and_then(|answer| answer.request_id.as_deref()),
            proof: self
                .proof
                .as_ref()
                .map(|proof| ProofFacts { tls: proof.tls.as_deref(), expires: proof.expires }),
            hold,
        }
    }
}

/// An answer of the cloud to an attempt that did not succeed, as its support is sent it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswerDoc {
    /// What was answered: `look` (before a switch), `switch`, or `job` (it ended without effect).
    pub to: String,
    /// Switches sent by then, this one included.
    pub attempt: u16,
    /// HTTP status; absent where no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The cloud's `error_code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The cloud's request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What it said, in one line.
    pub message: String,
}

/// One saved job id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SavedJob {
    /// The job, as the cloud named it.
    pub job_id: String,
    /// Place of its change in the rollout's target list, from 0.
    pub ordinal: u32,
    pub lane: String,
    /// The instance it worked on.
    pub instance_id: String,
    /// The proxy it switched.
    pub proxy_id: String,
    /// Name of the change's wave.
    pub wave: String,
    /// Which of the change's jobs it is, from 1.
    pub number: u16,
    /// Whether it is the change's latest job; an earlier one ended without effect and was followed
    /// by this one.
    pub latest: bool,
    /// Whether it may be somebody else's: it was the only unexplained one of its instance after an
    /// answer was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub presumed: bool,
    /// State of its change.
    pub state: String,
    /// When the change's latest transition was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub moved_at: Option<Timestamp>,
}
