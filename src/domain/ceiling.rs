//! How much of its allowance a lane uses, as its account lets it: the configured quota may be more
//! than the account has, or others may use the account too.
//!
//! Invariants: the ceiling is never above the quota and never below `FLOOR_SHARE` of it; it falls
//! with a refusal and rises only with calls that went through. Calls that were out together and are
//! refused together are one refusal.
//!
//! Deliberately not here: the promise that follows from a ceiling (`domain::quota`), and how long
//! nothing is sent after a refusal (`engine::lane`).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::quota::{Boot, Quota};

/// A refusal takes a fifth of the ceiling. More would make a stray one dear, less would take many
/// refusals to come down to a quota that is far below the configured one.
const FALL_SHARE: u32 = 5;

/// One step up is a twentieth of the quota: an account that really has the whole is found out
/// within an hour at five minutes an interval, and the step too far costs no more than what is sent
/// until the refusal.
const CLIMB_SHARE: u32 = 20;

/// However often it is refused, a lane keeps asking for a twentieth of its quota; the growing
/// pauses do the rest.
const FLOOR_SHARE: u32 = 20;

/// A step up waits until this many whole ceilings of calls went through, at most; it begins with
/// one and doubles with each refusal, so that an account that will not give more is not asked in
/// every interval.
const PATIENCE_MAX: u32 = 16;

/// What a lane has learnt of its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling {
    quota: Quota,
    allowed: u32,
    /// Calls that went through since it moved last.
    through: u32,
    /// Whole ceilings of calls that must go through before the next step up.
    patience: u32,
    /// It rose, and was not refused since.
    climbing: bool,
    /// Answers still to come of calls that were out when it fell: their refusal says nothing new.
    stale: u32,
    /// When calls were refused, within the last interval.
    refused: VecDeque<Boot>,
}

impl Ceiling {
    /// Begins with the whole quota.
    pub fn new(quota: Quota) -> Self {
        Self {
            quota,
            allowed: quota.requests,
            through: 0,
            patience: 1,
            climbing: false,
            stale: 0,
            refused: VecDeque::new(),
        }
    }

    /// Calls allowed in one interval, from 1 to the quota's `requests`.
    pub fn allowed(&self) -> u32 {
        self.allowed
    }

    /// The quota that it is a part of.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Calls that were refused within the last interval.
    pub fn refused_of_late(&self, now: Boot) -> u32 {
        let gone = self.refused.partition_point(|at| *at + self.quota.per <= now);
        u32::try_from(self.refused.len() - gone).unwrap_or(u32::MAX)
    }

    /// A call was refused because the account's quota is used up. `back` calls of the last interval
    /// are back, this one and others that were refused among them; `out` are on their way. Tells
    /// whether the ceiling fell.
    ///
    /// It falls by a fifth, but not below what the account has just let through in one interval:
    /// that much it gives, and a stray refusal of a busy lane costs next to nothing.
    pub fn on_refused(&mut self, now: Boot, back: u32, out: u32) -> bool {
        while self.refused.pop_front_if(|at| *at + self.quota.per <= now).is_some() {}
        let before = self.refused_of_late(now);
        self.refused.push_back(now);
        if self.stale > 0 {
            self.stale -= 1;
            return false;
        }
        let given = back.saturating_sub(before + 1);
        let fallen = self.allowed - self.allowed.div_ceil(FALL_SHARE);
        self.allowed = fallen.max(given.min(self.allowed - 1)).max(self.floor()).min(self.allowed);
        self.through = 0;
        self.patience = (self.patience * 2).min(PATIENCE_MAX);
        self.climbing = false;
        self.stale = out;
        true
    }

    /// A call went through. Tells whether the ceiling rose.
    pub fn on_success(&mut self) -> bool {
        self.on_other();
        self.through = self.through.saturating_add(1);
        if self.allowed == self.quota.requests
            || self.through < self.allowed.saturating_mul(self.patience)
        {
            return false;
        }
        self.through = 0;
        if std::mem::replace(&mut self.climbing, true) {
            // The step before was borne: reason to ask sooner.
            self.patience = (self.patience / 2).max(1);
        }
        self.allowed =
            (self.allowed + self.quota.requests.div_ceil(CLIMB_SHARE)).min(self.quota.requests);
        true
    }

    /// A call came back with anything else, or was given up: it tells nothing of the quota.
    pub fn on_other(&mut self) {
        self.stale = self.stale.saturating_sub(1);
    }

    /// Another quota is in force: what was learnt of the account stays learnt, in proportion to the
    /// interval.
    pub fn change(&mut self, quota: Quota) {
        let learnt = self.allowed < self.quota.requests;
        let share =
            u128::from(self.allowed) * quota.per.as_nanos() / self.quota.per.as_nanos().max(1);
        self.quota = quota;
        self.refused.clear();
        self.through = 0;
        let allowed = u32::try_from(share).unwrap_or(u32::MAX).clamp(self.floor(), quota.requests);
        self.allowed = if learnt { allowed } else { quota.requests };
    }

    fn floor(&self) -> u32 {
        self.quota.requests.div_ceil(FLOOR_SHARE).max(1)
    }
}

#[cfg(test)]
mod tests;
