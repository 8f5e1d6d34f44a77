//! Bulk moves: a rollout's stored changes are put back into the queue, withdrawn, or marked for a
//! revert, stretch by stretch.
//!
//! Job: read a stretch of at most [`STRETCH`] changes, move them in one commit, and go on until
//! none is left.
//!
//! Invariant: a stretch is one commit, and repeating it after a crash changes nothing; a verb that
//! waits is carried out between two stretches.
//!
//! Deliberately not here: what becomes of one change (`domain::change`), and what follows when all
//! are moved (`domain::rollout`).

use std::time::Duration;

use jiff::Timestamp;

use super::Core;
use super::tickets::Owner;
use super::tracked::{Broom, LookStage, Moving, STRETCH, Sweep};
use crate::domain::change::{self, Change, Wake};
use crate::domain::id::RolloutId;
use crate::domain::person::Person;
use crate::domain::rollout::{self, Decision, Event, RolloutWake, Slowest};
use crate::domain::tally::Standing;
use crate::domain::window_log::Gap;
use crate::engine::effect::{Effect, StoreQuery};
use crate::store::{ChangeMove, Durability, RolloutMove};

/// Changes marked to be put back in one go; the rest of a wave follows when these are done, so that
/// a revert of a million changes is never held in memory as a whole.
const GATHER_MAX: u32 = 4096;

impl Core {
    pub(super) fn gather_sweep(&mut self, id: RolloutId, sweep: Sweep, out: &mut Vec<Effect>) {
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        if !tracked.verbs().is_empty() && sweep.moved > 0 {
            // Somebody waits for an answer; what is left is swept by the look that follows.
            return self.rest(id, RolloutWake::Change(Wake::In(Duration::ZERO)));
        }
        let words: &'static [&'static str] = match (sweep.what, tracked.view().record.requeue) {
            (Broom::Withdraw, _) => &["queued"],
            // Of those that failed, the ones that the wire did not prove.
            (Broom::Gather, _) => &["succeeded", "failed"],
            (Broom::Requeue, Some(rollout::Requeue::FailedAndInDoubt)) => &["failed", "in_doubt"],
            (Broom::Requeue, Some(rollout::Requeue::Failed) | None) => &["failed"],
        };
        tracked.wait_for(LookStage::Gathering(sweep));
        let ticket = self.ticket(Owner::Rollout(id));
        let query = StoreQuery::Stored {
            rollout: id,
            words,
            places: sweep.from..sweep.end,
            limit: STRETCH as usize,
        };
        out.push(Effect::Read { ticket, query });
    }

    pub(super) fn gather_wave(&mut self, id: RolloutId, wave: u16, out: &mut Vec<Effect>) {
        let Some(tracked) = self.rollouts.get(&id) else { return };
        let Some(wave) = tracked.view().plan.strategy.waves.get(usize::from(wave)) else { return };
        let sweep = Sweep { what: Broom::Gather, from: wave.first, end: wave.end(), moved: 0 };
        self.gather_sweep(id, sweep, out);
    }

    /// Puts a stretch of failed changes back into the queue, cancels a stretch of queued ones, or
    /// marks a stretch of those that succeeded; with none left, says so.
    pub(super) fn sweep(
        &mut self,
        id: RolloutId,
        mut sweep: Sweep,
        changes: Vec<Change>,
        out: &mut Vec<Effect>,
    ) {
        let Some(last) = changes.last() else { return self.swept_all(id, sweep, false, out) };
        if sweep.what == Broom::Gather && sweep.moved >= GATHER_MAX {
            return self.swept_all(id, sweep, true, out);
        }
        let event = match sweep.what {
            Broom::Withdraw => change::Event::Rollout(change::Directive::Cancel),
            Broom::Requeue => change::Event::Verb(change::ByPerson::Requeue),
            Broom::Gather => change::Event::Rollout(change::Directive::Undo),
        };
        let swept = changes.iter().filter_map(|change| {
            Some((Standing::of(&change.record.state), self.swept(change, &event)?))
        });
        let (had, moves): (Vec<Standing>, Vec<ChangeMove>) = swept.unzip();
        if moves.len() < changes.len() {
            // Some of them stay where they are, and must not be found again.
            sweep.from = last.id.ordinal.saturating_add(1);
        }
        if moves.is_empty() {
            return self.gather_sweep(id, sweep, out);
        }
        sweep.moved += u32::try_from(moves.len()).unwrap_or(u32::MAX);
        let failed = u32::try_from(had.iter().filter(|had| **had == Standing::Failed).count())
            .unwrap_or(u32::MAX);
        let marking = sweep.what == Broom::Gather && failed > 0;
        let decision = if marking { self.swept_on(id, &Event::Marking { failed }) } else { None };
        let record = decision.as_ref().map(|decision| decision.record.clone());
        let own =
            decision.map(|Decision { record, why, .. }| RolloutMove { record, why, by: None });
        let moving =
            Moving { record, sweep: Some(sweep), ..Moving::then(RolloutWake::Change(Wake::Never)) };
        self.commit_rollout(id, own, moves, moving, Durability::Ordered, out);
    }

    fn swept_all(&mut self, id: RolloutId, sweep: Sweep, more: bool, out: &mut Vec<Effect>) {
        let event = match sweep.what {
            // A revert goes on as soon as what waited is withdrawn.
            Broom::Withdraw if sweep.moved > 0 => {
                return self.rest(id, RolloutWake::Change(Wake::In(Duration::ZERO)));
            }
            Broom::Withdraw => return self.rest(id, RolloutWake::Change(Wake::Never)),
            Broom::Requeue => Event::Requeued,
            Broom::Gather => Event::Gathered { more },
        };
        let Some(decision) = self.swept_on(id, &event) else { return };
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        tracked.goes_on();
        if decision.record.version == tracked.view().record.version {
            return self.rest(id, decision.wake);
        }
        let moves = RolloutMove { record: decision.record.clone(), why: decision.why, by: None };
        let moving = Moving { record: Some(decision.record), ..Moving::then(decision.wake) };
        self.commit_rollout(id, Some(moves), Vec::new(), moving, Durability::Synced, out);
    }

    /// What the rollout makes of a sweep's step.
    fn swept_on(&self, id: RolloutId, event: &Event) -> Option<Decision> {
        let tracked = self.rollouts.get(&id)?;
        let ctx =
            tracked.context(self.now.wall, Gap::None, Slowest::all(self.now.wall), String::new());
        rollout::decide(&tracked.view().record, event, &ctx).ok()
    }

    pub(super) fn swept(&self, change: &Change, event: &change::Event) -> Option<ChangeMove> {
        let tracked = self.rollouts.get(&change.id.rollout)?;
        let lane = self.lanes.get(&change.target.lane)?;
        let ctx = tracked.change_context(change, &lane.lane.timing, self.now);
        let decision = change::decide(change, event, &ctx).ok()?;
        Some(change_move(change, decision.record, None, &decision.why, None))
    }
}

/// The move of a change to this record, by no call.
pub(super) fn change_move(
    change: &Change,
    record: change::Record,
    due: Option<Timestamp>,
    why: &str,
    by: Option<Person>,
) -> ChangeMove {
    ChangeMove {
        ordinal: change.id.ordinal,
        version: change.record.version,
        record,
        due,
        why: why.to_owned(),
        call: None,
        answer: None,
        by,
    }
}
