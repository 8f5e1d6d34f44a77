//! Approvals: a rollout whose plan requires them begins when enough people, other than its
//! submitter, have approved exactly what would run.
//!
//! Invariant: an approval counts only with the digest of this very plan and its targets; its
//! person's name is known; nobody counts twice, and the submitter never, whatever an earlier
//! version accepted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Decision, Phase, Record, Refusal, RolloutStep, message};
use crate::domain::id::Digest;
use crate::domain::person::Attribution;
use crate::domain::person::Person;

/// Who approved, and when. The reason stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// The operator's name, as the daemon knows it.
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// When it was acknowledged.
    pub at: Timestamp,
}

impl Approved {
    fn person(&self) -> Person {
        Person { name: self.by.clone(), uid: self.uid, via: None }
    }
}

impl Record {
    /// Approvals that count for a rollout that `submitter` submitted.
    pub fn approvals_given(&self, submitter: &Person) -> u16 {
        let mut people: Vec<Person> = Vec::new();
        for person in self.approvals.iter().map(Approved::person) {
            if person.is_named()
                && !person.is_same(submitter)
                && !people.iter().any(|known| known.is_same(&person))
            {
                people.push(person);
            }
        }
        u16::try_from(people.len()).unwrap_or(u16::MAX)
    }
}

impl RolloutStep<'_> {
    /// Approvals that the plan asks for and nobody has given yet.
    pub(super) fn approvals_missing(&self) -> u16 {
        match self.ctx.plan.approval.required {
            0 => 0,
            required => required.saturating_sub(self.record.approvals_given(self.ctx.by)),
        }
    }

    pub(super) fn approve(
        &self,
        digest: Digest,
        mark: &Attribution,
        uid: Option<u32>,
    ) -> Result<Decision, Refusal> {
        let approval = &self.ctx.plan.approval;
        if approval.required == 0 {
            return Err(Refusal::NoApprovalAsked);
        }
        let left = self.approvals_missing();
        if left == 0 || self.record.phase != Phase::Scheduled {
            let by: Vec<&str> =
                self.record.approvals.iter().map(|approved| approved.by.as_str()).collect();
            return Err(Refusal::ApprovedAlready {
                phase: self.record.phase.as_str(),
                by: by.join(", "),
            });
        }
        if digest != approval.digest {
            return Err(Refusal::OtherDigest { found: approval.digest, given: digest });
        }
        let person = Person { name: mark.by.clone(), uid, via: None };
        if !person.is_named() {
            return Err(Refusal::UnnamedApprover { by: mark.by.clone() });
        }
        if person.is_same(self.ctx.by) {
            return Err(Refusal::OwnRollout {
                by: mark.by.clone(),
                submitter: self.ctx.by.name.clone(),
            });
        }
        if self.record.approvals.iter().any(|approved| approved.person().is_same(&person)) {
            return Err(Refusal::SameApprover { by: mark.by.clone(), left });
        }
        let mut decision = self.to(Phase::Scheduled, message("approved", mark));
        decision.record.approvals.push(Approved { by: mark.by.clone(), uid, at: mark.at });
        Ok(decision)
    }
}
