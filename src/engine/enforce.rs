//! Carries out enforcements: begins them when their rollouts complete, submits the rollouts of each
//! run, and reads what those found and did.
//!
//! Job: [`Enforcer::pass`], over and over: read, ask the table (`domain::enforce`), commit, and
//! only then submit what the committed stage names. A crash at any point leads to the same
//! rollouts, for a submission is idempotent by its content.
//!
//! Invariants: nothing is sent from here; a commit is refused when somebody moved the enforcement
//! meanwhile, and the next pass reads it anew; a store that is out of order ends the loop.
//!
//! Deliberately not here: windows, quota, retries, revert: a run is a rollout, and the engine runs
//! it.

mod found;
mod opposing;
mod verbs;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use self::opposing::{Opposing, note, opposing};
pub use self::verbs::{EnforceError, EnforcementVerb, command};

use super::handle::{Command, Handle};
use crate::clock::Clock;
use crate::domain::enforce::{
    Context, Decision, EnforcementStage, Event, Record, applying_plan, chosen, decide,
    surveying_plan,
};
use crate::domain::hold::halt_text;
use crate::domain::id::{Name, RolloutId};
use crate::domain::plan::Plan;
use crate::domain::rollout::{Phase, Verb};
use crate::domain::target::{self, Target, TargetList};
use crate::store::{
    CommitError, Enforcement, EnforcementCommit, Rollout, Store, Submission, SubmitError,
    Unavailable,
};

/// Between two passes: a tick is a minute at the closest, and a pass without news reads one number.
const PASS_EVERY: Duration = Duration::from_secs(1);

/// Rollouts read at once while looking for those that are new.
const BATCH: usize = 200;

/// Moves of one enforcement in one pass, at most: a run's end, the next tick, and room.
const MOVES_MAX: usize = 4;

/// Who submits the rollouts of a run.
pub const SUBMITTER: &str = "enforcement";

/// Carries out the enforcements of one store; one of them runs in a daemon.
pub struct Enforcer {
    store: Arc<dyn Store>,
    handle: Handle,
    clock: Arc<dyn Clock>,
    /// The newest rollout that was seen.
    newest: Option<RolloutId>,
    /// Rollouts whose end is waited for.
    awaited: BTreeSet<RolloutId>,
    /// The journal's end at the last pass: nothing has happened while it stays.
    seq: Option<u64>,
    /// What the clock showed then; one that shows less has been stepped back, and the next tick may
    /// be nearer.
    looked: Timestamp,
    /// The next tick of all.
    wake: Option<Timestamp>,
    /// Something is to be tried again although nothing happens.
    again: bool,
}

impl Enforcer {
    /// Knows nothing yet; its first pass looks at every rollout.
    pub fn new(store: Arc<dyn Store>, handle: Handle, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            handle,
            clock,
            newest: None,
            awaited: BTreeSet::new(),
            seq: None,
            looked: Timestamp::MIN,
            wake: None,
            again: false,
        }
    }

    /// Passes until stopped. Dropping it in the middle loses nothing.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Unavailable> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                passed = self.pass() => passed?,
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(PASS_EVERY) => {}
            }
        }
    }

    /// Looks at everything once.
    pub async fn pass(&mut self) -> Result<(), Unavailable> {
        if self.store.away().borrow().is_some() {
            return Ok(());
        }
        let seq = self.store.health().seq;
        let now = self.clock.times().wall;
        let stepped_back = std::mem::replace(&mut self.looked, now) > now;
        let quiet = self.seq == Some(seq)
            && !self.again
            && !stepped_back
            && self.wake.is_none_or(|wake| now < wake);
        if quiet {
            return Ok(());
        }
        (self.again, self.wake) = (false, None);
        self.look_for_new().await?;
        self.look_for_ends(now).await?;
        for enforcement in self.store.enforcements().await? {
            self.carry_on(enforcement, now).await?;
        }
        // Read before the work: whatever happened during it is looked at by the next pass.
        self.seq = Some(seq);
        Ok(())
    }

    /// Every rollout that was submitted since the last pass is waited for.
    async fn look_for_new(&mut self) -> Result<(), Unavailable> {
        let (mut after, mut newest) = (None, None);
        loop {
            let batch = self.store.rollouts(after, BATCH).await?;
            for rollout in &batch {
                if Some(rollout.id) == self.newest {
                    self.newest = newest.or(self.newest);
                    return Ok(());
                }
                newest.get_or_insert(rollout.id);
                if !rollout.plan.survey {
                    self.awaited.insert(rollout.id);
                }
            }
            let Some(last) = batch.last().filter(|_| batch.len() == BATCH) else {
                self.newest = newest.or(self.newest);
                return Ok(());
            };
            after = Some(last.id);
        }
    }

    async fn look_for_ends(&mut self, now: Timestamp) -> Result<(), Unavailable> {
        for id in self.awaited.clone() {
            let Some(rollout) = self.store.rollout(id).await? else { continue };
            if is_over(&rollout) && self.ended(&rollout, now).await? {
                self.awaited.remove(&id);
            }
        }
        Ok(())
    }

    /// A rollout is over. `false`: it is to be looked at again.
    async fn ended(&mut self, rollout: &Rollout, now: Timestamp) -> Result<bool, Unavailable> {
        let plan = &rollout.plan;
        if rollout.record.phase != Phase::Completed {
            return Ok(true);
        }
        let known = self.store.enforcement(&plan.name).await?;
        let newer = known.as_ref().is_none_or(|known| plan.revision > known.record.revision);
        if !newer || (known.is_none() && plan.enforce.is_none()) {
            return Ok(true);
        }
        let targets = match &plan.enforce {
            Some(_) => self.targets(rollout.id).await?.map(|targets| target::digest(&targets)),
            None => None,
        };
        let (version, decision) = match (known, targets) {
            (Some(known), targets) => {
                let event = Event::Renewed { origin: rollout.id, revision: plan.revision, targets };
                match decide(&known.record, &event, &Context { now, plan }) {
                    Ok(Some(decision)) => (known.record.version, decision),
                    // A run at hand comes to its end first.
                    Ok(None) | Err(_) => return Ok(known.record.stage.rollout().is_none()),
                }
            }
            (None, Some(targets)) => {
                let record = Record::begun(rollout.id, plan.revision, targets, now);
                (
                    0,
                    Decision {
                        record,
                        why: format!(
                            "revision {} of the plan completed: it is enforced from now on",
                            plan.revision
                        ),
                    },
                )
            }
            (None, None) => return Ok(true),
        };
        Ok(self.commit(&plan.name, version, decision, now).await?.is_some())
    }

    /// One enforcement, as far as it goes now.
    async fn carry_on(
        &mut self,
        mut enforcement: Enforcement,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let name = enforcement.name.clone();
        if matches!(enforcement.record.stage, EnforcementStage::Ended { .. }) {
            return Ok(());
        }
        let Some(origin) = self.store.rollout(enforcement.record.origin).await? else {
            return Ok(());
        };
        for _ in 0..MOVES_MAX {
            let record = &enforcement.record;
            let event =
                self.happened(&name, record, &origin.plan, now).await?.unwrap_or(Event::Looked);
            let decided = decide(record, &event, &Context { now, plan: &origin.plan });
            let looked_for_nothing = matches!(event, Event::Looked | Event::Halted { .. });
            match decided {
                Ok(Some(decision)) => {
                    match self.commit(&name, record.version, decision, now).await? {
                        Some(record) => enforcement.record = record,
                        None => return Ok(()),
                    }
                }
                Ok(None) | Err(_) if looked_for_nothing => break,
                Ok(None) | Err(_) => {}
            }
        }
        let next = origin
            .plan
            .enforce
            .as_ref()
            .and_then(|enforce| enforcement.record.next_tick(enforce, now));
        self.wake = self.wake.into_iter().chain(next).min();
        Ok(())
    }

    /// What became of the rollout of the run at hand; submits it where it is not there yet.
    async fn happened(
        &mut self,
        name: &Name,
        record: &Record,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Option<Event>, Unavailable> {
        let Some(id) = record.stage.rollout() else { return Ok(None) };
        match self.store.rollout(id).await? {
            None => self.submit(name, record, plan, id, now).await,
            Some(rollout) if !is_over(&rollout) => {
                Ok(self.under_way(name, record, plan, &rollout, now).await)
            }
            Some(rollout) => found::of(&*self.store, record, &rollout).await.map(Some),
        }
    }

    /// The rollout of the run at hand may be halted. That is said, and when the next tick has come
    /// it is aborted, so that a person who sleeps does not keep the next survey from beginning;
    /// until then the tick is left for that.
    async fn under_way(
        &mut self,
        name: &Name,
        record: &Record,
        plan: &Plan,
        rollout: &Rollout,
        now: Timestamp,
    ) -> Option<Event> {
        let known = record.last.as_ref().and_then(|run| run.halted.clone());
        let why = match &rollout.record.phase {
            Phase::Halted { reason, .. } => Some(halt_text(reason)),
            phase if phase.is_final() => known.clone(),
            Phase::Scheduled
            | Phase::Advancing { .. }
            | Phase::Soaking { .. }
            | Phase::Awaiting { .. }
            | Phase::Reverting(_)
            | Phase::Completed
            | Phase::Aborted { .. }
            | Phase::Reverted => None,
        };
        let due = plan.enforce.as_ref().is_some_and(|enforce| record.is_due(enforce, now));
        // Said first, aborted after: the reason is in the record when the rollout is over.
        if due && why.is_some() && why == known && !rollout.record.phase.is_final() {
            let reason = "it is halted, and the next run of the enforcement is due".into();
            let command = Command {
                rollout: rollout.id,
                verb: Verb::Abort,
                by: SUBMITTER.into(),
                reason,
                only_if: None,
            };
            if let Err(error) = self.handle.command(command).await {
                tracing::warn!(plan = %name, id = %rollout.id.short(), "the halted run of the enforcement was not ended: {error}");
            }
            self.again = true;
        }
        (why.is_some() || known.is_some()).then_some(Event::Halted { why })
    }

    /// The frozen targets of the rollout that is enforced. What its list said of their values was
    /// of that day, and is compared no more.
    async fn targets(&self, origin: RolloutId) -> Result<Option<Vec<Target>>, Unavailable> {
        let unseen = |target: &Target| Target { seen: None, ..target.clone() };
        Ok(self.store.targets(origin).await?.map(|targets| targets.iter().map(unseen).collect()))
    }

    async fn submit(
        &mut self,
        name: &Name,
        record: &Record,
        plan: &Plan,
        id: RolloutId,
        now: Timestamp,
    ) -> Result<Option<Event>, Unavailable> {
        let Some(run) = &record.last else { return Ok(None) };
        let targets: Vec<Target> = match &record.stage {
            EnforcementStage::Applying { left_out, .. } => {
                chosen(&found::drifted(&*self.store, run.survey).await?, left_out)
            }
            EnforcementStage::Surveying { .. }
            | EnforcementStage::Idle
            | EnforcementStage::Held { .. }
            | EnforcementStage::Ended { .. } => {
                self.targets(record.origin).await?.unwrap_or_default()
            }
        };
        let count = u32::try_from(targets.len()).unwrap_or(u32::MAX);
        let surveying = matches!(record.stage, EnforcementStage::Surveying { .. });
        let plan = if surveying {
            surveying_plan(plan, run.number, count)
        } else {
            applying_plan(plan, run.number, count)
        };
        let targets: TargetList = targets.into();
        // What only looks is opposed by nothing.
        let opposing = if surveying {
            Vec::new()
        } else {
            opposing(&*self.store, &plan, &targets, now).await?
        };
        let note = note(&opposing);
        let submission = Submission { plan, targets, by: SUBMITTER.into(), at: now, note };
        if submission.id() != id {
            // The frozen targets never change, so only a defect leads here; what was not decided is
            // not sent.
            return Ok(Some(Event::Refused {
                why: "its targets are not those that were decided on".into(),
            }));
        }
        match self.handle.submit(submission).await {
            Ok(_) => {
                tracing::info!(plan = %name, run = run.number, id = %id.short(), stage = record.stage.as_str(), "a run of the enforcement was submitted");
                Ok(None)
            }
            Err(error @ (SubmitError::Overlap { .. } | SubmitError::Changed { .. })) => {
                Ok(Some(Event::Refused { why: error.to_string() }))
            }
            Err(SubmitError::Away(_)) => {
                self.again = true;
                Ok(None)
            }
            Err(SubmitError::Refusing(why)) => {
                tracing::warn!(plan = %name, run = run.number, why, "a run of the enforcement is not taken yet; it is tried again");
                self.again = true;
                Ok(None)
            }
            Err(SubmitError::Unavailable(error)) => Err(error),
        }
    }

    /// The committed record; `None` when somebody else moved it first.
    async fn commit(
        &mut self,
        name: &Name,
        version: u64,
        decision: Decision,
        now: Timestamp,
    ) -> Result<Option<Record>, Unavailable> {
        let Decision { record, why } = decision;
        let commit = EnforcementCommit {
            at: now,
            name: name.clone(),
            version,
            record: record.clone(),
            why: why.clone(),
            by: None,
        };
        match self.store.enforce(commit).await {
            Ok(()) => {
                tracing::info!(plan = %name, stage = record.stage.as_str(), "enforcement: {why}");
                Ok(Some(record))
            }
            Err(CommitError::Conflict | CommitError::InstanceTaken { .. }) => {
                self.again = true;
                Ok(None)
            }
            Err(CommitError::Unavailable(error)) => Err(error),
        }
    }
}

/// Whether nothing of a rollout moves any more.
fn is_over(rollout: &Rollout) -> bool {
    let total = rollout.total();
    rollout.record.phase.is_final() && total.active == 0 && total.queued == 0
}
