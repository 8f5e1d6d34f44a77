//! A rollout begins only with the approvals that its plan asks for, each by somebody else than the
//! submitter and for exactly what runs; and a pause with an end holds until then, and no longer. No
//! step of a clock ends a pause or a soak before its time has really passed, as far as one process
//! saw it from its beginning.

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::id::RolloutId;
use sealift::domain::person::Person;
use sealift::domain::plan::Approval;
use sealift::domain::rollout::{Phase, Record, Verb};
use sealift::rehearse::observation::Observation;
use sealift::store::{Commit, Rollout, Store};

use super::WorldInvariant;
use crate::oracle::{Around, Fact, OracleSetting, SeenFact};
use crate::world::{Nanos, S};

/// From a commit that begins a wait to the look at which its process sees it, with a step of the
/// clock between the two.
const SEEN_WITHIN: Nanos = 2 * S;
/// From the end of a pause to its going: a look, and commits that are slow.
const LIFTED_WITHIN: Nanos = 4 * S;
/// After a crash or a standstill nobody looks for a while.
const SETTLED_AFTER: Nanos = 60 * S;

/// A pause or a soak that is waited out.
#[derive(Clone, Copy, Default)]
struct WaitedOut {
    until: Option<Timestamp>,
    /// When it is over in virtual time, where no process began since.
    due: Option<Nanos>,
}

pub struct Gates {
    rollout: RolloutId,
    approval: Approval,
    by: Person,
    /// Commits may take long, or the clock by which a pause ends is stepped.
    unsure: bool,
    /// A commit may take long, and a wait counts from when it was decided, which the oracle does
    /// not see.
    late: bool,
    stopped: bool,
    quiet_from: Nanos,
    running: bool,
    /// The end of the pause that the store has.
    until: Option<Timestamp>,
    over_since: Option<Nanos>,
    /// The pause, and the soak.
    waits: [WaitedOut; 2],
}

impl Gates {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        let scenario = setting.scenario;
        Self {
            rollout: setting.rollout,
            approval: setting.submission.plan.approval,
            by: setting.submission.by.clone(),
            unsure: scenario.stuck_store > 0.0
                || scenario.wall_jumps > 0
                || scenario.clock_ahead != 0
                || !scenario.clock_steps.is_empty(),
            late: scenario.stuck_store > 0.0,
            stopped: false,
            quiet_from: 0,
            running: false,
            until: None,
            over_since: None,
            waits: [WaitedOut::default(); 2],
        }
    }

    /// A wait that began with this commit, one that goes on, or one that is over by itself and must
    /// be so in virtual time.
    fn waited(&mut self, commit: &Commit, record: &Record, now: Nanos) -> Result<(), String> {
        let soak = match record.phase {
            Phase::Soaking { until, .. } => Some(until),
            _ => None,
        };
        let pause = record.paused.as_ref().and(record.paused_until);
        // A retry of one change leaves a soak too, and has its person's name at the change.
        let by_itself = commit.moves.as_ref().is_some_and(|moves| moves.by.is_none())
            && commit.changes.iter().all(|change| change.by.is_none());
        for (wait, until) in self.waits.iter_mut().zip([pause, soak]) {
            if wait.until == until {
                continue;
            }
            let early = wait.due.filter(|due| {
                !self.late && by_itself && until.is_none() && now + SEEN_WITHIN < *due
            });
            let left = until.map(|until| {
                u64::try_from(commit.at.duration_until(until).as_nanos()).unwrap_or(0)
            });
            *wait = WaitedOut { until, due: left.map(|left| now + left) };
            if let Some(due) = early {
                return Err(format!("a wait ended by itself {} s early", (due - now) / S));
            }
        }
        Ok(())
    }

    fn moved(&mut self, commit: &Commit, rollout: &Rollout) -> Result<(), String> {
        let Some(moves) = &commit.moves else { return Ok(()) };
        let record = &rollout.record;
        let people: Vec<Person> =
            record.approvals.iter().map(|approved| approved.by.as_str().into()).collect();
        let twice = people
            .iter()
            .enumerate()
            .any(|(at, one)| people[..at].iter().any(|other| other.is_same(one)));
        if twice || people.iter().any(|one| one.is_same(&self.by)) {
            return Err(format!("approved by {:?}, submitted by {}", record.approvals, self.by));
        }
        let begun = !matches!(record.phase, Phase::Scheduled | Phase::Aborted { .. });
        if begun && people.len() < usize::from(self.approval.required) {
            return Err(format!(
                "{} of {} approvals are given, and the rollout is {}",
                people.len(),
                self.approval.required,
                record.phase.as_str()
            ));
        }
        let was = self.until.take();
        self.until = record.paused.as_ref().and(record.paused_until);
        match was
            .filter(|until| record.paused.is_none() && moves.by.is_none() && commit.at < *until)
        {
            Some(until) => Err(format!("the pause until {until} ended at {} by itself", commit.at)),
            None => Ok(()),
        }
    }
}

impl WorldInvariant for Gates {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(SeenFact::Acknowledged { verb: Verb::Approve { digest } })
                if *digest != self.approval.digest =>
            {
                Err(format!(
                    "an approval of {digest} was taken, what runs is {}",
                    self.approval.digest
                ))
            }
            Fact::Seen(SeenFact::Stopped { stands }) => {
                self.stopped = *stands;
                Ok(())
            }
            Fact::Observed(Observation::Started { .. }, Around { now, .. }) => {
                // It sees what is waited for with the wall clock as it stands now.
                self.waits.iter_mut().for_each(|wait| wait.due = None);
                self.running = true;
                self.quiet_from = self.quiet_from.max(*now + SETTLED_AFTER);
                Ok(())
            }
            Fact::Observed(Observation::Died, Around { now, .. }) => {
                self.running = false;
                self.quiet_from = self.quiet_from.max(*now + SETTLED_AFTER);
                Ok(())
            }
            Fact::Seen(SeenFact::Disturbed { now }) => {
                self.quiet_from = self.quiet_from.max(*now + SETTLED_AFTER);
                Ok(())
            }
            Fact::Seen(SeenFact::Rebuilt) => {
                self.until = None;
                Ok(())
            }
            Fact::Observed(Observation::Committed { commit, rollout }, Around { now, .. }) => {
                self.waited(commit, &rollout.record, *now)?;
                self.moved(commit, rollout)
            }
            Fact::Instant { now, wall, store } if !self.unsure => {
                let rollout = store
                    .rollout(self.rollout)
                    .now_or_never()
                    .expect("ready")
                    .expect("memory")
                    .expect("submitted");
                let record = &rollout.record;
                let over = record.paused.is_some()
                    && !record.phase.is_final()
                    && record.paused_until.is_some_and(|until| until <= *wall);
                if !over || self.stopped || !self.running || *now < self.quiet_from {
                    self.over_since = None;
                    return Ok(());
                }
                let since = *self.over_since.get_or_insert(*now);
                if *now > since + LIFTED_WITHIN {
                    return Err(format!(
                        "the pause until {:?} still holds at {wall}",
                        record.paused_until
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
