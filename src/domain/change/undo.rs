//! Putting a change back: which ones, and what keeps one from it.
//!
//! Invariants: only what this rollout surely switched, from a value that it saw, is put back; a
//! proxy is looked at before every PUT, and one that no longer shows the value that this rollout
//! set is left alone and named with the reason.
//!
//! Deliberately not here: in which order (the rollout's business), and all that a change that is
//! put back shares with any other one (`change`). A switch by somebody else between the look and
//! the PUT cannot be noticed: the cloud has no conditional PUT.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{ChangeStep, Decision, How, Reason, ReasonWord, Stale, State};
use crate::domain::call::{ProxyStatus, ProxyView};

/// What is kept of a change that is put back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// PUTs that may have reached the proxy to put it back, over all its retries; one that surely
    /// never left is not counted. Above 0 the value from before may be our doing, at 0 it is
    /// somebody else's.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub puts: u16,
}

impl super::Record {
    /// The value that the change is to show, where its plan wants `planned`.
    pub fn desired(&self, planned: bool) -> bool {
        match (self.undo, self.before) {
            (Some(_), Some(before)) => before,
            (Some(_) | None, _) => planned,
        }
    }
}

impl ChangeStep<'_> {
    /// The rollout puts back what it changed; this change did succeed.
    pub(super) fn undo(&self, how: How) -> Result<Decision, Stale> {
        match (how, self.change.record.before) {
            // Nothing was switched, so nothing is put back.
            (How::AlreadyRight, _) => return Err(Stale),
            (How::SwitchedJobUnknown, _) => {
                let why = "a switch was sent and no job of it was seen to complete: whether this rollout changed the proxy cannot be told";
                return Ok(self.skip(ReasonWord::NotSurelyOurs, why.into()));
            }
            (How::Switched, None) => {
                return Ok(self.skip(
                    ReasonWord::BeforeUnknown,
                    "the cloud did not tell the value before the switch".into(),
                ));
            }
            (How::Switched, Some(before)) if before == self.change.desired => return Err(Stale),
            (How::Switched, Some(_)) => {}
        }
        let mut next = self.to(State::Queued);
        next.record.undo = Some(Undo::default());
        next.record.shown = None;
        next.record.proof = None;
        next.record.attempts = 0;
        next.record.waits = 0;
        next.record.misses = 0;
        next.record.setbacks = None;
        Ok(next.never("to be put back"))
    }

    /// The same of a change that the wire did not prove: the API showed the value that this rollout
    /// set, so it is as much this rollout's as one that succeeded, and the one that most wants to
    /// be put back.
    pub(super) fn undo_unproven(&self) -> Result<Decision, Stale> {
        let record = &self.change.record;
        let ours = record.undo.is_none()
            && record.shown.as_ref().is_some_and(|shown| shown.how == How::Switched);
        match record.before {
            Some(before) if ours && before != self.change.desired => self.undo(How::Switched),
            Some(_) | None => Err(Stale),
        }
    }

    /// The look before a PUT that puts back: what keeps the change from it, if anything does.
    pub(super) fn left_alone(&self, view: Option<&ProxyView>) -> Option<Decision> {
        self.change.record.undo?;
        let Some(view) = view else {
            return Some(
                self.skip(
                    ReasonWord::ChangedSince,
                    "the instance has no such proxy any more".into(),
                ),
            );
        };
        if view.status != ProxyStatus::Idle {
            // Busy or faulty: waits or fails as any other change does.
            return None;
        }
        match view.ssl_option {
            Some(value) if value != self.change.desired => None,
            Some(_) if self.sent_any() => None,
            Some(value) => {
                let why = format!(
                    "the proxy shows ssl_option {value}, which this rollout did not set: somebody changed it since"
                );
                Some(self.skip(ReasonWord::ChangedSince, why))
            }
            None => Some(self.fail(
                ReasonWord::Unreadable,
                "the cloud does not tell ssl_option: whether it is still ours is not known".into(),
            )),
        }
    }

    /// The rollout begins nothing more with it.
    pub(super) fn withdrawn(&self) -> Decision {
        if self.change.record.undo.is_some() {
            return self
                .skip(ReasonWord::RevertAborted, "not put back: the revert was aborted".into());
        }
        self.to(State::Cancelled).never("withdrawn by the rollout")
    }

    pub(super) fn skip(&self, word: ReasonWord, message: String) -> Decision {
        let why = message.clone();
        self.to(State::Skipped { reason: Reason { word, message } }).never(why)
    }
}
