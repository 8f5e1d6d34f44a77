//! The rollouts in hand: one look or one verb at a time, each from a fresh read to a commit.
//!
//! Job: read a rollout, decide its first verb or its look, commit, release changes, and set the
//! timer of the next look.
//!
//! Invariant: one rollout has at most one read or commit out, so its own decisions never race each
//! other; what its changes commit meanwhile is met by the compare-and-swap. A verb is answered only
//! when its commit is durable and the fence knows it.
//!
//! Deliberately not here: which verbs wait (`verbs`), what is done to many stored changes (`bulk`),
//! a verb on one change (`by_hand`), and the phases (`domain::rollout`).

use std::time::Duration;

use super::Core;
use super::bulk::change_move;
use super::tickets::Owner;
use super::timers::Timer;
use super::tracked::{Broom, LookStage, Moving, STRETCH, Sweep, Tracked};
use crate::clock::Times;
use crate::domain::change::{State, Wake};
use crate::domain::id::{ChangeId, RolloutId};
use crate::domain::person::Attribution;
use crate::domain::rollout::{self, Decision, Effect as Act, Event, LOOK_AGAIN, RolloutWake};
use crate::domain::stop::Stop;
use crate::engine::effect::{Effect, StoreAnswer, StoreQuery};
use crate::engine::handle::{Acknowledged, CommandError};
use crate::store::{
    Candidates, ChangeMove, Commit, CommitError, Durability, Obstacle, Passed, Rollout, RolloutMove,
};

impl Core {
    /// What the scan brought: new rollouts are taken up, known ones renewed, gone ones forgotten.
    pub(super) fn rollouts_seen(&mut self, open: Vec<Rollout>, out: &mut Vec<Effect>) {
        let ids: Vec<_> = open.iter().map(|rollout| rollout.id).collect();
        for rollout in open {
            let id = rollout.id;
            self.rollout_seen(rollout);
            self.look(id, out);
        }
        let gone: Vec<_> = self
            .rollouts
            .keys()
            .copied()
            .filter(|id| !ids.contains(id) && self.may_forget(*id))
            .collect();
        for id in gone {
            if let Some(tracked) = self.rollouts.remove(&id) {
                self.timers.clear(Timer::Rollout(id), tracked.wakes_at());
                self.fence.forget_rollout(id);
            }
        }
    }

    fn may_forget(&self, id: RolloutId) -> bool {
        let idle = self
            .rollouts
            .get(&id)
            .is_some_and(|tracked| tracked.is_idle() && tracked.verbs().is_empty());
        let first = ChangeId { rollout: id, ordinal: 0 };
        let last = ChangeId { rollout: id, ordinal: u32::MAX };
        idle && self.work.range(first..=last).next().is_none()
    }

    /// Takes over what the store says of a rollout. An older view than the one in hand changes
    /// nothing: what the store is asked may be answered late.
    pub(super) fn rollout_seen(&mut self, view: Rollout) {
        let id = view.id;
        let now = self.now;
        let moved = match self.rollouts.get_mut(&id) {
            Some(tracked) if age(&view.record) < age(&tracked.view().record) => return,
            Some(tracked) => tracked.replace(view, self.shares_store),
            None => {
                self.rollouts.insert(id, Tracked::new(view, now));
                true
            }
        };
        if moved {
            self.gate_moved(id, self.now);
        }
    }

    /// Its record is another one, as decided then: a clock that was stepped while the commit was
    /// out must not shorten a wait.
    fn gate_moved(&mut self, id: RolloutId, decided: Times) {
        if let Some(tracked) = self.rollouts.get_mut(&id) {
            tracked.record_moved(decided);
            self.fence.set_rollout(id, &tracked.view().record);
            self.wake_ready(id);
        }
    }

    pub(super) fn rollout_woken(&mut self, id: RolloutId, out: &mut Vec<Effect>) {
        if let Some(tracked) = self.rollouts.get_mut(&id) {
            tracked.wake_at(None);
            tracked.look_again();
        }
        self.look(id, out);
    }

    /// One of its changes left our hands.
    pub(super) fn rollout_stirred(&mut self, id: RolloutId, settled: bool) {
        let now = self.now.boot;
        if let Some(tracked) = self.rollouts.get_mut(&id) {
            tracked.look_again();
            if settled {
                tracked.change_settled(self.now.wall);
            }
            let was = tracked.wake_at(Some(now));
            self.timers.set(Timer::Rollout(id), was, now);
        }
    }

    /// This stops everything from now on, or nothing does.
    pub(super) fn stop(&mut self, stop: Stop, out: &mut Vec<Effect>) {
        if self.stop == stop {
            return;
        }
        self.fence.set_stop(stop.clone());
        self.stop = stop;
        let ids: Vec<_> = self.rollouts.keys().copied().collect();
        for id in ids {
            self.wake_ready(id);
            if let Some(tracked) = self.rollouts.get_mut(&id) {
                tracked.look_again();
                // Time in which everything is stopped is nobody's stall.
                tracked.stall_stops();
            }
            self.look(id, out);
        }
    }

    /// The wall clock was stepped: what every rollout waits for is looked at again.
    pub(super) fn look_at_all(&mut self, out: &mut Vec<Effect>) {
        let ids: Vec<_> = self.rollouts.keys().copied().collect();
        for id in ids {
            if let Some(tracked) = self.rollouts.get_mut(&id) {
                tracked.look_again();
            }
            self.look(id, out);
        }
    }

    /// Begins the next look or verb, if none is under way.
    pub(super) fn look(&mut self, id: RolloutId, out: &mut Vec<Effect>) {
        let held = self.stop.stands() || self.draining || self.away.is_some();
        let held = held || !self.looks_after(id);
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        if self.stop.stands() {
            tracked.not_looked_at();
        }
        if !tracked.begins_look(held) {
            return;
        }
        let ticket = self.ticket(Owner::Rollout(id));
        out.push(Effect::Read { ticket, query: StoreQuery::Rollout(id) });
    }

    pub(super) fn rollout_read(
        &mut self,
        id: RolloutId,
        found: StoreAnswer,
        out: &mut Vec<Effect>,
    ) {
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        match (tracked.take_stage(), found) {
            (LookStage::Reading, StoreAnswer::Rollout(Some(view))) => {
                let again = tracked.looks_again();
                self.rollout_seen(*view);
                // What this read shows is judged right now.
                if let Some(tracked) = self.rollouts.get_mut(&id) {
                    tracked.set_again(again);
                }
                self.judge(id, out);
            }
            (LookStage::Picking(decision), StoreAnswer::Candidates(candidates)) => {
                self.release(id, *decision, candidates, out)
            }
            (LookStage::Gathering(sweep), StoreAnswer::Stored(changes)) => {
                self.sweep(id, sweep, changes, out)
            }
            (LookStage::Choosing(decision), StoreAnswer::Change(found)) => {
                self.by_hand(id, *decision, found.map(|found| found.0.change), out);
            }
            (
                LookStage::Reading
                | LookStage::Picking(_)
                | LookStage::Gathering(_)
                | LookStage::Choosing(_)
                | LookStage::Idle
                | LookStage::Committing(..),
                _,
            ) => {
                self.count("unknown_ticket");
            }
        }
        self.look(id, out);
    }

    /// Decides: the first verb in line, or else the look.
    fn judge(&mut self, id: RolloutId, out: &mut Vec<Effect>) {
        let (now, held_by, cloud) = (self.now, self.waits_for_lanes(id), self.cloud_time_of(id));
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        tracked.renew_opening(now);
        tracked.time_passes(now.boot, held_by);
        let slowest = tracked.slowest(now, cloud);
        let late = tracked.is_stalled();
        let at_work = if late { self.at_work(id) } else { String::new() };
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        if tracked.verbs_mut().drop_gone() && tracked.verbs().is_empty() {
            // The read was for that verb; whether a look may follow is asked anew.
            tracked.look_again();
            return self.count("verb_dropped");
        }
        let first = tracked.verbs().first();
        let tag = first.and_then(|command| command.only_if);
        if tag.is_some_and(|tag| tag != tracked.view().record.tag(id))
            && let Some((waiting, _)) = tracked.verbs_mut().pop()
        {
            out.push(Effect::Reply { id: waiting, result: Err(CommandError::Moved) });
            tracked.look_again();
            return;
        }
        let event = match tracked.verbs().first() {
            Some(command) => {
                let mark = Attribution {
                    by: command.by.name.clone(),
                    reason: command.reason.clone(),
                    at: now.wall,
                };
                Event::Command { verb: command.verb.clone(), mark, uid: command.by.uid }
            }
            None => Event::Woken,
        };
        let ctx = tracked.context(now.wall, tracked.gap(now), slowest, at_work);
        match rollout::decide(&tracked.view().record, &event, &ctx) {
            Ok(decision) => self.carry_out_rollout(id, decision, out),
            Err(refusal) => {
                if let Some((waiting, _)) = tracked.verbs_mut().pop() {
                    out.push(Effect::Reply { id: waiting, result: Err(refusal.into()) });
                }
                tracked.look_again();
            }
        }
    }

    fn carry_out_rollout(&mut self, id: RolloutId, decision: Decision, out: &mut Vec<Effect>) {
        let now = self.now;
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        let verb = !tracked.verbs().is_empty();
        if let Act::Release { wave, count } = decision.effect {
            let limit = count.min(STRETCH) as usize;
            tracked.looked(now);
            tracked.wait_for(LookStage::Picking(Box::new(decision)));
            let ticket = self.ticket(Owner::Rollout(id));
            return out.push(Effect::Read {
                ticket,
                query: StoreQuery::Candidates { rollout: id, wave, limit },
            });
        }
        if let Act::ByHand { ordinal, .. } = decision.effect {
            tracked.wait_for(LookStage::Choosing(Box::new(decision)));
            let ticket = self.ticket(Owner::Rollout(id));
            return out.push(Effect::Read {
                ticket,
                query: StoreQuery::Change(ChangeId { rollout: id, ordinal }),
            });
        }
        let note = decision.record.version == tracked.view().record.version
            && decision.record != tracked.view().record;
        if note && !verb {
            let moves =
                RolloutMove { record: decision.record.clone(), why: decision.why, by: None };
            let moving = Moving {
                record: Some(decision.record),
                noted: Some(now),
                ..Moving::then(decision.wake)
            };
            self.count("noted");
            // A note that a crash loses is made again.
            return self.commit_rollout(
                id,
                Some(moves),
                Vec::new(),
                moving,
                Durability::Ordered,
                out,
            );
        }
        if !verb {
            tracked.looked(now);
        }
        if decision.record.version == tracked.view().record.version {
            return match decision.effect {
                Act::Requeue => self.gather_sweep(id, Sweep::all(Broom::Requeue), out),
                Act::Withdraw => self.gather_sweep(id, Sweep::all(Broom::Withdraw), out),
                Act::Gather { wave } => self.gather_wave(id, wave, out),
                Act::None | Act::Release { .. } | Act::ByHand { .. } => {
                    self.rest(id, decision.wake)
                }
            };
        }
        let by = tracked.verbs().first().map(|command| command.by.clone());
        let moves = RolloutMove { record: decision.record.clone(), why: decision.why, by };
        let moving = Moving {
            record: Some(decision.record),
            act: decision.effect,
            verb,
            ..Moving::then(decision.wake)
        };
        self.commit_rollout(id, Some(moves), Vec::new(), moving, Durability::Synced, out);
    }

    pub(super) fn commit_rollout(
        &mut self,
        id: RolloutId,
        moves: Option<RolloutMove>,
        changes: Vec<ChangeMove>,
        moving: Moving,
        durability: Durability,
        out: &mut Vec<Effect>,
    ) {
        let at = self.now.wall;
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        let record = &tracked.view().record;
        let commit = Commit {
            at,
            rollout: id,
            version: record.version,
            releases: Some(record.releases),
            moves,
            changes,
            durability,
        };
        tracked.wait_for(LookStage::Committing(Box::new(moving), self.now));
        let ticket = self.ticket(Owner::Rollout(id));
        out.push(Effect::Commit { ticket, commit: Box::new(commit) });
    }

    /// Releases what was picked, and moves the cursor past it.
    fn release(
        &mut self,
        id: RolloutId,
        decision: Decision,
        candidates: Candidates,
        out: &mut Vec<Effect>,
    ) {
        let Candidates { free, passed, cursor, more: unseen } = candidates;
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        let (decided, seen) = (&decision.record, &tracked.view().record);
        if (decided.version, decided.releases) != (seen.version, seen.releases + 1) {
            // A scan has shown another release since: these places may be taken, and the commit
            // would compare with what it did not decide on.
            tracked.look_again();
            return;
        }
        if free.is_empty() && cursor == tracked.view().record.cursor {
            // Every queued change waits for its instance or for a place of its group, and one that
            // ends will stir the rollout; or the list was not looked through yet.
            let wake =
                if unseen { RolloutWake::Change(Wake::In(Duration::ZERO)) } else { decision.wake };
            return self.rest(id, wake);
        }
        let Act::Release { count, .. } = decision.effect else { return };
        let stretch = count.min(STRETCH) as usize;
        // A stretch that ended early, for its length or because all that it passed must wait, is
        // followed by the next.
        let more = free.len() < count as usize
            && (unseen || free.len() == stretch || passed.len() == stretch);
        let wake = if more { RolloutWake::Change(Wake::In(Duration::ZERO)) } else { decision.wake };
        // No call of theirs is out: whoever finds them may take them into hand at once.
        let due = self.now.wall;
        let mut record = decision.record;
        record.cursor = cursor;
        let mut moves: Vec<ChangeMove> = Vec::with_capacity(free.len() + passed.len());
        let mut released = Vec::with_capacity(free.len());
        for mut change in free {
            let mut next = change.record.clone();
            next.state = State::Ready;
            next.version += 1;
            moves.push(change_move(&change, next.clone(), Some(due), "released", None));
            change.record = next;
            released.push(change);
        }
        for Passed { change, obstacle } in passed {
            let mut next = change.record.clone();
            next.version += 1;
            let why = match obstacle {
                Obstacle::Instance => "its instance is taken by another change",
                Obstacle::Group => "all places of its group are taken",
            };
            moves.push(change_move(&change, next, None, why, None));
        }
        let moving = Moving { record: Some(record.clone()), released, ..Moving::then(wake) };
        let own = RolloutMove { record, why: decision.why, by: None };
        self.commit_rollout(id, Some(own), moves, moving, Durability::Ordered, out);
    }

    pub(super) fn rollout_committed(
        &mut self,
        id: RolloutId,
        result: Result<(), CommitError>,
        out: &mut Vec<Effect>,
    ) {
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        let LookStage::Committing(moving, decided) = tracked.take_stage() else {
            return;
        };
        match result {
            Ok(()) => self.rollout_moved(id, *moving, decided, out),
            Err(CommitError::Conflict | CommitError::InstanceTaken { .. }) => {
                // Read again, decide again: the verb is still first in line, the look is still
                // wanted.
                tracked.look_again();
                self.count("conflict");
            }
            Err(CommitError::Unavailable(why)) => self.fail(why, out),
        }
        self.look(id, out);
    }

    fn rollout_moved(
        &mut self,
        id: RolloutId,
        moving: Moving,
        decided: Times,
        out: &mut Vec<Effect>,
    ) {
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        if let Some(at) = moving.noted {
            tracked.looked(at);
        }
        if let Some(record) = moving.record
            && tracked.replace_record(record)
        {
            self.gate_moved(id, decided);
        }
        for change in moving.released {
            self.count("released");
            self.begin(change, Duration::ZERO);
        }
        if moving.verb {
            let in_flight = self.in_flight_of(id);
            if let Some(tracked) = self.rollouts.get_mut(&id)
                && let Some((waiting, command)) = tracked.verbs_mut().pop()
            {
                self.count(command.verb.as_str());
                let phase = &self.rollouts[&id].view().record.phase;
                let (phase, wave) = (phase.as_str(), phase.wave());
                out.push(Effect::Reply {
                    id: waiting,
                    result: Ok(Acknowledged { phase, wave, in_flight }),
                });
            }
        }
        match (moving.act, moving.sweep) {
            (_, Some(sweep)) => self.gather_sweep(id, sweep, out),
            (Act::Requeue, None) => self.gather_sweep(id, Sweep::all(Broom::Requeue), out),
            (Act::Withdraw, None) => {
                // A revert goes on as soon as what waited is withdrawn, also when nothing did.
                if let Some(tracked) = self.rollouts.get_mut(&id) {
                    tracked.look_again();
                }
                self.gather_sweep(id, Sweep::all(Broom::Withdraw), out);
            }
            (Act::Gather { wave }, None) => self.gather_wave(id, wave, out),
            (Act::None | Act::Release { .. } | Act::ByHand { .. }, None) => {
                self.rest(id, moving.wake)
            }
        }
    }

    /// Nothing more to do now: sets the timer for the next look, never further away than a stepped
    /// clock may hide.
    pub(super) fn rest(&mut self, id: RolloutId, wake: RolloutWake) {
        let wait = match wake {
            RolloutWake::Change(Wake::In(wait)) => wait.min(LOOK_AGAIN),
            RolloutWake::Change(Wake::Never) => LOOK_AGAIN,
            RolloutWake::At(at) => Duration::try_from(at.duration_since(self.now.wall))
                .unwrap_or(Duration::ZERO)
                .min(LOOK_AGAIN),
        };
        let at = self.now.boot + wait;
        if let Some(tracked) = self.rollouts.get_mut(&id) {
            let was = tracked.wake_at(Some(at));
            self.timers.set(Timer::Rollout(id), was, at);
        }
    }
}

/// What only grows in a rollout's record.
fn age(record: &rollout::Record) -> (u64, u64) {
    (record.version, record.releases)
}

#[cfg(test)]
mod tests;
