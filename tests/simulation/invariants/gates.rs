//! A rollout begins only with the approvals that its plan asks for, each by somebody else than the submitter and for
//! exactly what runs; and a pause with an end holds until then, and no longer.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::id::RolloutId;
use sealift::domain::plan::Approval;
use sealift::domain::rollout::{Phase, Verb};
use sealift::store::{Commit, Rollout, Store};

use super::Invariant;
use crate::oracle::{Fact, Seen, Setting};
use crate::world::{Nanos, S};

/// From the end of a pause to its going: a look, and commits that are slow.
const LIFTED_WITHIN: Nanos = 4 * S;
/// After a crash or a standstill nobody looks for a while.
const SETTLED_AFTER: Nanos = 60 * S;

pub struct Gates {
    rollout: RolloutId,
    approval: Approval,
    by: String,
    /// Commits may take long, or the clock by which a pause ends is stepped.
    unsure: bool,
    stopped: bool,
    quiet_from: Nanos,
    running: BTreeSet<usize>,
    /// The end of the pause that the store has.
    until: Option<Timestamp>,
    over_since: Option<Nanos>,
}

impl Gates {
    pub fn new(setting: &Setting<'_>) -> Self {
        let scenario = setting.scenario;
        Self {
            rollout: setting.rollout,
            approval: setting.submission.plan.approval,
            by: setting.submission.by.clone(),
            unsure: scenario.stuck_store > 0.0 || scenario.wall_jumps > 0,
            stopped: false,
            quiet_from: 0,
            running: BTreeSet::new(),
            until: None,
            over_since: None,
        }
    }

    fn moved(&mut self, commit: &Commit, rollout: &Rollout) -> Result<(), String> {
        let Some(moves) = &commit.moves else { return Ok(()) };
        let record = &rollout.record;
        let people: BTreeSet<&str> = record.approvals.iter().map(|approved| approved.by.as_str()).collect();
        if people.len() < record.approvals.len() || people.contains(self.by.as_str()) {
            return Err(format!("approved by {:?}, submitted by {}", record.approvals, self.by));
        }
        let begun = !matches!(record.phase, Phase::Scheduled | Phase::Aborted { .. });
        if begun && people.len() < usize::from(self.approval.required) {
            return Err(format!(
                "{} of {} approvals are given, and the rollout is {}",
                people.len(),
                self.approval.required,
                record.phase.word()
            ));
        }
        let was = self.until.take();
        self.until = record.paused.as_ref().and(record.paused_until);
        match was.filter(|until| record.paused.is_none() && moves.by.is_none() && commit.at < *until) {
            Some(until) => Err(format!("the pause until {until} ended at {} by itself", commit.at)),
            None => Ok(()),
        }
    }
}

impl Invariant for Gates {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(Seen::Acknowledged { verb: Verb::Approve { digest } }) if *digest != self.approval.digest => {
                Err(format!("an approval of {digest} was taken, what runs is {}", self.approval.digest))
            }
            Fact::Seen(Seen::StopFile { stands }) => {
                self.stopped = *stands;
                Ok(())
            }
            Fact::Seen(Seen::Started { daemon, now }) => {
                self.running.insert(*daemon);
                self.quiet_from = self.quiet_from.max(*now + SETTLED_AFTER);
                Ok(())
            }
            Fact::Seen(Seen::Crashed { daemon, now }) => {
                self.running.remove(daemon);
                self.quiet_from = self.quiet_from.max(*now + SETTLED_AFTER);
                Ok(())
            }
            Fact::Seen(Seen::Disturbed { now }) => {
                self.quiet_from = self.quiet_from.max(*now + SETTLED_AFTER);
                Ok(())
            }
            Fact::Seen(Seen::Rebuilt) => {
                self.until = None;
                Ok(())
            }
            Fact::Committed { commit, rollout, .. } => self.moved(commit, rollout),
            Fact::Instant { now, wall, store } if !self.unsure => {
                let rollout = store.rollout(self.rollout).now_or_never().expect("ready").expect("memory").expect("submitted");
                let record = &rollout.record;
                let over = record.paused.is_some() && !record.phase.is_final() && record.paused_until.is_some_and(|until| until <= *wall);
                if !over || self.stopped || self.running.is_empty() || *now < self.quiet_from {
                    self.over_since = None;
                    return Ok(());
                }
                let since = *self.over_since.get_or_insert(*now);
                if *now > since + LIFTED_WITHIN {
                    return Err(format!("the pause until {:?} still holds at {wall}", record.paused_until));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
