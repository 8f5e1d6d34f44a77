//! What is done to a rollout's stored changes one stretch after the other: put back into the queue, or withdrawn.
//!
//! Invariant: a stretch is one commit, and doing it again after a crash changes nothing. Deliberately not here: what
//! becomes of one change (`domain::change`), and what follows when all is swept (`domain::rollout`).

use super::*;

impl Core {
    pub(super) fn gather_sweep(&mut self, id: RolloutId, sweep: Sweep, out: &mut Vec<Effect>) {
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        let words: &'static [&'static str] = match (sweep, tracked.view.record.requeue) {
            (Sweep::Withdraw, _) => &["queued"],
            (Sweep::Requeue, Some(rollout::Requeue::FailedAndInDoubt)) => &["failed", "in_doubt"],
            (Sweep::Requeue, Some(rollout::Requeue::Failed) | None) => &["failed"],
        };
        tracked.stage = Stage::Gathering(sweep);
        let ticket = self.ticket(Owner::Rollout(id));
        out.push(Effect::Read { ticket, query: Query::Stored { rollout: id, words, limit: STRETCH as usize } });
    }

    /// Puts a stretch of failed changes back, or cancels a stretch of queued ones; with none left, says so.
    pub(super) fn sweep(&mut self, id: RolloutId, sweep: Sweep, changes: Vec<Change>, out: &mut Vec<Effect>) {
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        if changes.is_empty() {
            if sweep == Sweep::Withdraw {
                return self.rest(id, RolloutWake::Change(Wake::Never));
            }
            let ctx = Context {
                now: self.now.wall,
                plan: &tracked.view.plan,
                tallies: &tracked.view.tallies,
                window: tracked.opening.clone(),
                stalled: tracked.stalled,
                since: tracked.view.submitted_at,
                gap: Gap::None,
            };
            if let Ok(decision) = rollout::decide(&tracked.view.record, &Event::Requeued, &ctx) {
                tracked.goes_on();
                let moves = RolloutMove { record: decision.record.clone(), why: decision.why, by: None };
                let moving = Moving { record: Some(decision.record), ..Moving::then(decision.wake) };
                self.commit_rollout(id, Some(moves), Vec::new(), moving, Durability::Synced, out);
            }
            return;
        }
        let event = if sweep == Sweep::Withdraw { change::Event::Cancel } else { change::Event::Requeue };
        let moves = changes.iter().filter_map(|change| self.swept(change, &event)).collect();
        let moving = Moving { sweep: Some(sweep), ..Moving::then(RolloutWake::Change(Wake::Never)) };
        self.commit_rollout(id, None, moves, moving, Durability::Ordered, out);
    }

    fn swept(&self, change: &Change, event: &change::Event) -> Option<ChangeMove> {
        let tracked = self.rollouts.get(&change.id.rollout)?;
        let lane = self.lanes.get(&change.target.lane)?;
        let ctx = change::Context {
            now: self.now.wall,
            gate: tracked.view.record.gate(change.wave),
            window: tracked.opening.clone(),
            timing: &lane.lane.timing,
            retry: &tracked.view.plan.retry,
            verify_timeout: tracked.view.plan.verify_timeout(),
            waited: Duration::ZERO,
            looks: 0,
        };
        let decision = change::decide(change, event, &ctx).ok()?;
        Some(change_move(change, decision.record, None, &decision.why, None))
    }
}
