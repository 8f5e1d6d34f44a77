//! Approvals: a rollout whose plan asks for them begins when enough people, other than who submitted it, have said yes
//! to exactly what would run.
//!
//! Invariant: an approval counts only with the digest of this very plan and its targets; nobody counts twice, and the
//! submitter never.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Decision, Digest, Mark, Phase, Refusal, Step, told};

/// Who approved, and when. The reason stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// The operator, as the daemon knows them.
    pub by: String,
    /// When it was acknowledged.
    pub at: Timestamp,
}

impl Step<'_> {
    /// Approvals that the plan asks for and nobody has given yet.
    pub(super) fn approvals_missing(&self) -> u16 {
        let given = u16::try_from(self.record.approvals.len()).unwrap_or(u16::MAX);
        self.ctx.plan.approval.required.saturating_sub(given)
    }

    pub(super) fn approve(&self, digest: Digest, mark: &Mark) -> Result<Decision, Refusal> {
        let approval = &self.ctx.plan.approval;
        if approval.required == 0 {
            return Err(Refusal::NoApprovalAsked);
        }
        let left = self.approvals_missing();
        if left == 0 || self.record.phase != Phase::Scheduled {
            let by: Vec<&str> = self.record.approvals.iter().map(|approved| approved.by.as_str()).collect();
            return Err(Refusal::ApprovedAlready { phase: self.record.phase.word(), by: by.join(", ") });
        }
        if digest != approval.digest {
            return Err(Refusal::OtherDigest { found: approval.digest, given: digest });
        }
        if mark.by == self.ctx.by {
            return Err(Refusal::OwnRollout { by: mark.by.clone() });
        }
        if self.record.approvals.iter().any(|approved| approved.by == mark.by) {
            return Err(Refusal::SameApprover { by: mark.by.clone(), left });
        }
        let mut decision = self.to(Phase::Scheduled, told("approved", mark));
        decision.record.approvals.push(Approved { by: mark.by.clone(), at: mark.at });
        Ok(decision)
    }
}
