//! What an enforcement is, what can happen to it, and what is decided.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Flips;
use crate::domain::id::{Digest, RolloutId};
use crate::domain::person::Attribution;
use crate::domain::plan::Plan;
use crate::domain::target::Target;

/// The part of an enforcement that moves: this is what is stored, and what the journal carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The completed rollout whose frozen plan and targets are enforced.
    pub origin: RolloutId,
    /// Revision of its plan.
    pub revision: u32,
    /// Digest of its targets: half of a survey's identity.
    pub targets: Digest,
    /// Runs begun so far, over all revisions: the revision of the next run's rollouts is one more.
    pub runs: u32,
    /// Ticks up to this one are dealt with and never looked at again.
    pub handled: Timestamp,
    /// Ticks that began no run since the latest run began.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u32,
    pub stage: EnforcementStage,
    /// The latest run, at hand or over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<EnforcementRun>,
    /// Why nothing is put right until a person releases it: a run that put right was halted and
    /// never went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// Targets that were put right of late, in the list's order; at most [`super::FLIPS_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flips: Vec<Flips>,
    /// Raised by one with every committed move; a commit names the version it read.
    pub version: u64,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The result of a run that was at hand when its enforcement was stopped.
pub const STOPPED: &str = "the enforcement was stopped";

/// Where an enforcement stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum EnforcementStage {
    /// Waits for its next tick.
    Idle,
    /// A run looks at every target.
    Surveying {
        /// The rollout that does.
        rollout: RolloutId,
    },
    /// A run puts right what it found drifted.
    Applying {
        /// The rollout that does.
        rollout: RolloutId,
        /// Places of drifted targets that are held and therefore not in it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out: Vec<u32>,
    },
    /// More drifted than the plan lets pass: nothing is put right until a person releases it.
    Held {
        /// Targets that would have been put right.
        drifted: u32,
        /// `max_drift`, as a count.
        allowed: u32,
    },
    Ended {
        end: EnforcementEnd,
    },
}

/// Why an enforcement is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum EnforcementEnd {
    /// A person stopped it.
    Stopped { mark: Attribution },
    /// A newer revision of the plan completed, and it has no `enforce`.
    Superseded { revision: u32 },
}

impl EnforcementStage {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Surveying { .. } => "surveying",
            Self::Applying { .. } => "applying",
            Self::Held { .. } => "held",
            Self::Ended { .. } => "ended",
        }
    }

    /// The rollout of the run at hand.
    pub fn rollout(&self) -> Option<RolloutId> {
        match self {
            Self::Surveying { rollout } | Self::Applying { rollout, .. } => Some(*rollout),
            Self::Idle | Self::Held { .. } | Self::Ended { .. } => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnforcementRun {
    /// Its number, from 1: the revision of its rollouts.
    pub number: u32,
    /// The tick that began it.
    pub tick: Timestamp,
    pub began: Timestamp,
    /// The rollout that looked at every target.
    pub survey: RolloutId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<SurveyResult>,
    /// The rollout that put right, and what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedRun>,
    /// Why its rollout is halted, or was when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// How it ended, in words; `None` while it is at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// What a survey found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurveyResult {
    /// Targets that show the wanted value.
    pub right: u32,
    /// Targets that show the other one.
    pub drifted: u32,
    /// Of these, the held ones.
    pub left_out: u32,
    /// Targets of which it is not known.
    pub unseen: u32,
}

/// What was put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedRun {
    pub rollout: RolloutId,
    /// Targets that it switched.
    #[serde(default)]
    pub switched: u32,
    /// Targets that it could not put right.
    #[serde(default)]
    pub failed: u32,
}

/// A target that a survey found drifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drifted {
    /// Its place in the origin's list.
    pub ordinal: u32,
    pub target: Target,
}

/// What can happen to an enforcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its time may have come.
    Looked,
    /// The rollout of the run at hand was not taken.
    Refused { why: String },
    /// The rollout of the run at hand is halted, or was when it was aborted; `why: None`: it goes
    /// on.
    Halted {
        /// Why, beginning with `halted`.
        why: Option<String>,
    },
    /// The survey is over.
    Surveyed {
        /// What it found drifted, in the list's order.
        drifted: Vec<Drifted>,
        /// Targets that show the wanted value.
        right: u32,
        /// Targets of which it is not known.
        unseen: u32,
        /// The phase it ended in.
        phase: &'static str,
    },
    /// The run that puts right is over.
    Applied {
        /// Places, in the origin's list, of what it switched.
        switched: Vec<u32>,
        /// Targets that it could not put right.
        failed: u32,
        /// The phase it ended in.
        phase: &'static str,
    },
    /// A newer revision of the plan completed.
    Renewed {
        origin: RolloutId,
        revision: u32,
        /// Digest of its targets; `None`: it has no `enforce`.
        targets: Option<Digest>,
    },
    /// A person ends it.
    Stop { mark: Attribution },
    /// A person lets go on what is held.
    Release {
        /// Only this target, by its place; `None`: everything.
        only: Option<u32>,
        /// What the latest survey found drifted; needed only while the enforcement is held.
        drifted: Vec<Drifted>,
        mark: Attribution,
    },
}

/// All that a decision may know beside record and event.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    pub now: Timestamp,
    /// The origin's frozen plan.
    pub plan: &'a Plan,
}

/// What a decision says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The next record, its version one higher.
    pub record: Record,
    /// Why, for the journal.
    pub why: String,
}

/// Why a verb means nothing now; shown to the operator word for word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerbRefusal {
    #[error("the enforcement has ended; submit a newer revision of the plan to begin it again")]
    Ended,
    /// There is nothing to release.
    #[error("nothing to release: the enforcement is {stage}, and none of its targets is held")]
    NothingHeld { stage: &'static str },
    /// That target is not held.
    #[error("that target is not held; `sealift enforce NAME` lists those that are")]
    NotHeld,
}
