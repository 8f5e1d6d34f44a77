//! The changes in hand: from a timer or an answer through a decision and its commit to the next
//! call.
//!
//! Job: take changes over, decide, queue for permits, commit, send, and let go of what is settled
//! or was moved by another.
//!
//! Invariants: a decision that makes a call is taken only with a permit in hand, because its commit
//! starts the call's deadline; an event is dropped only when the table says that it is stale.
//!
//! Deliberately not here: the table itself (`domain::change`), how permits are given (`permit`),
//! lists of jobs (`follow`, `job_search`) and probes (`probes`).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Core;
use super::permit::trace;
use super::tickets::Owner;
use super::timers::Timer;
use super::work::{SEND_WITHIN, Work, WorkStage};
use crate::clock::Times;
use crate::domain::call::{Answer, Call, Disposition, JobView, Reply};
use crate::domain::change::{
    self, AnswerEvent, Change, Clearance, Context, Decision, Event, Stale, State, StateKind, Wake,
};
use crate::domain::id::ChangeId;
use crate::domain::quota::Boot;
use crate::engine::effect::{Effect, StoreAnswer, StoreQuery};
use crate::engine::fair_queue::{Rank, Waiter};
use crate::engine::fence::CheckSpec;
use crate::store::{Active, ChangeMove, Commit, CommitError, Durability};

/// What a scan waits beyond a call's longest life, or beyond a planned wake, before it takes a
/// change into hand.
pub(super) const GRACE: Duration = Duration::from_secs(10);

impl Core {
    /// Takes a change into hand that nobody works on.
    pub(super) fn take_over(&mut self, active: Active) {
        let id = active.change.id;
        if self.work.contains_key(&id)
            || active.change.record.state.is_settled()
            || active.change.record.state == State::Queued
        {
            return;
        }
        if !self.is_ours(&active.change.target.lane) {
            return;
        }
        self.count("taken_over");
        let rest = self.rests_first(&active);
        self.begin(active.change, rest);
    }

    /// Takes an active change into hand; it acts when it has rested so long, in this very step
    /// without a rest. One that is in hand already stays as it is: a release that landed long ago
    /// may be acknowledged after a scan has found what it released. One of a lane that is not ours
    /// is another daemon's.
    pub(super) fn begin(&mut self, change: Change, rest: Duration) {
        let id = change.id;
        if self.work.contains_key(&id) || !self.is_ours(&change.target.lane) {
            return;
        }
        let now = self.now.boot + rest;
        self.count_unserved(id, &change.target.lane);
        let mut work = Work::new(change, now);
        work.recount(&mut self.lanes, &mut self.stirred);
        if let Some(tracked) = self.rollouts.get_mut(&id.rollout) {
            tracked.works_on(work.lane().clone());
        }
        self.work.insert(id, work);
        self.timers.set(Timer::Change(id), None, now);
    }

    /// Its rollout's gate has changed: what is ready decides anew.
    pub(super) fn wake_ready(&mut self, rollout: crate::domain::id::RolloutId) {
        let first = ChangeId { rollout, ordinal: 0 };
        let last = ChangeId { rollout, ordinal: u32::MAX };
        let ready: Vec<_> = self
            .work
            .range(first..=last)
            .filter(|(_, work)| {
                *work.state() == State::Ready
                    && matches!(work.stage(), WorkStage::Asleep | WorkStage::Waiting { .. })
            })
            .map(|(id, _)| *id)
            .collect();
        for id in ready {
            self.sleep(id, Duration::ZERO);
        }
    }

    /// Changes of a rollout past `Ready`: their call or job goes on whatever the operator says.
    pub(super) fn in_flight_of(&self, rollout: crate::domain::id::RolloutId) -> Vec<ChangeId> {
        let first = ChangeId { rollout, ordinal: 0 };
        let last = ChangeId { rollout, ordinal: u32::MAX };
        self.work
            .range(first..=last)
            .filter(|(_, work)| *work.state() != State::Ready)
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn work_woken(&mut self, id: ChangeId, due: Boot, out: &mut Vec<Effect>) {
        if let Some(work) = self.work.get_mut(&id) {
            work.wake_at(None);
            self.look_due(id, due);
            self.consider(id, out);
        }
    }

    /// Decides with the waiting event, as far as that needs no permit; else queues for one.
    pub(super) fn consider(&mut self, id: ChangeId, out: &mut Vec<Effect>) {
        let Some(work) = self.work.get(&id) else { return };
        if !matches!(work.stage(), WorkStage::Asleep | WorkStage::Waiting { .. }) {
            return;
        }
        match self.decide(id) {
            // Only what an answer told is still offered to the store.
            Some(Ok(decision))
                if !self.is_ours(work.lane())
                    && (decision.call.is_some()
                        || decision.probe.is_some()
                        || decision.record.version == work.change().record.version) =>
            {
                self.let_go(id)
            }
            Some(Ok(decision))
                if matches!(decision.call, Some(Call::Follow { .. })) && self.joins(id) =>
            {
                self.join(id)
            }
            Some(Ok(decision)) if decision.call.is_some() => self.queue(id, &decision),
            Some(Ok(decision))
                if decision.probe.is_some()
                    && decision.record.version == work.change().record.version =>
            {
                self.line_up(id)
            }
            Some(Ok(decision)) => {
                self.leave_queue(id);
                self.carry_out(id, decision, out);
            }
            Some(Err(Stale)) => self.stale(id),
            // Without its rollout nothing can be decided; the next scan brings it.
            None => self.sleep(id, Duration::from_secs(1)),
        }
    }

    pub(super) fn decide(&self, id: ChangeId) -> Option<Result<Decision, Stale>> {
        let work = self.work.get(&id)?;
        let tracked = self.rollouts.get(&id.rollout)?;
        let lane = self.lanes.get(work.lane())?;
        let ctx = tracked.change_context(work.change(), &lane.lane.timing, self.now);
        let gate = match ctx.gate {
            // While everything is stopped or the process ends, nothing new begins anywhere.
            Clearance::Open if self.stop.stands() || self.draining => Clearance::Held,
            gate => gate,
        };
        let occupied = lane.occupied.on(&work.change().target.instance_id, self.now.boot);
        let (cloud, clock_holds) = self.cloud_time(id);
        let lane_held = lane.takes_no_put().or(clock_holds);
        let waited = work.waited(self.now.boot);
        let ctx = Context { cloud, lane_held, gate, waited, looks: work.looks(), occupied, ..ctx };
        let decided = change::decide(work.change(), work.event(), &ctx);
        let asked = work.question_call();
        Some(decided.map(|decision| match asked {
            Some(call) if matches!(decision.call, Some(Call::FindJobs { .. })) => {
                Decision { call: Some(call), ..decision }
            }
            _ => decision,
        }))
    }

    fn queue(&mut self, id: ChangeId, decision: &Decision) {
        let verifies = matches!(decision.record.state, State::Verifying { .. });
        let may_wait = if verifies { self.may_wait(id) } else { None };
        let rank = match (&decision.call, self.work[&id].state()) {
            (Some(call), _) if call.is_write() => Rank::Switch,
            (_, State::Ready) => Rank::Start,
            // The state that the decision leads to: that the job has ended is committed with the
            // look's permit in hand.
            _ if may_wait.is_some() => Rank::LookAfter,
            _ => Rank::InFlight,
        };
        let place = self.next_place;
        let Some(work) = self.work.get_mut(&id) else { return };
        let lane = work.lane().clone();
        match *work.stage() {
            WorkStage::Waiting { rank: was, .. } if was == rank => {}
            WorkStage::Waiting { .. } | WorkStage::Asleep => {
                self.next_place += 1;
                let was = work.take_stage();
                work.set_stage(WorkStage::Waiting { rank, place });
                let state = self.lanes.get_mut(&lane).expect("decided with its lane");
                if let WorkStage::Waiting { rank, place } = was {
                    state.line.remove(rank, place, Waiter::Change(id));
                }
                state.line.enqueue(rank, place, Waiter::Change(id));
            }
            WorkStage::Listed
            | WorkStage::Lined { .. }
            | WorkStage::Committing(..)
            | WorkStage::Out(_)
            | WorkStage::Probing
            | WorkStage::Reading => return,
        }
        self.stirred.insert(lane);
        if rank == Rank::LookAfter
            && let Some(long) = may_wait
        {
            // The lane may send less by then than it was taken to: whether it may go on waiting is
            // looked at again.
            self.wake_in(id, long);
        }
    }

    fn leave_queue(&mut self, id: ChangeId) {
        let Some(work) = self.work.get_mut(&id) else { return };
        match *work.stage() {
            WorkStage::Waiting { rank, place } => {
                work.set_stage(WorkStage::Asleep);
                if let Some(lane) = self.lanes.get_mut(work.lane()) {
                    lane.line.remove(rank, place, Waiter::Change(id));
                }
            }
            WorkStage::Lined { place } => {
                work.set_stage(WorkStage::Asleep);
                self.probes.leave(place);
            }
            _ => {}
        }
    }

    /// Commits what the decision changes; then, or at once when it changes nothing, makes its call
    /// or sleeps.
    pub(super) fn carry_out(&mut self, id: ChangeId, decision: Decision, out: &mut Vec<Effect>) {
        let Some(work) = self.work.get(&id) else { return };
        if decision.record.version != work.change().record.version {
            let Some(tracked) = self.rollouts.get(&id.rollout) else { return };
            let synced =
                matches!(decision.record.state, State::Submitting { .. } | State::Following { .. });
            let change = ChangeMove {
                ordinal: id.ordinal,
                version: work.change().record.version,
                record: decision.record.clone(),
                due: self.due_after(work, &decision),
                why: decision.why.clone(),
                call: decision.call.as_ref().map(Call::as_str),
                answer: work.trace().cloned(),
                by: None,
            };
            let commit = Commit {
                at: self.now.wall,
                rollout: id.rollout,
                version: tracked.view().record.version,
                releases: None,
                moves: None,
                changes: vec![change],
                durability: if synced { Durability::Synced } else { Durability::Ordered },
            };
            self.set_stage(id, WorkStage::Committing(Box::new(decision), self.now));
            self.count_in_flight(id);
            let ticket = self.ticket(Owner::Change(id));
            out.push(Effect::Commit { ticket, commit: Box::new(commit) });
            return;
        }
        self.done_with_event(id);
        match (decision.call, decision.wake) {
            _ if decision.probe.is_some() => self.line_up(id),
            (Some(call), _) => self.send(id, call, self.now, out),
            (None, Wake::In(wait)) => self.sleep(id, self.patience(id, wait)),
            (None, Wake::Never) => self.set_stage(id, WorkStage::Asleep),
        }
    }

    /// From when on a scan may take the change into hand again, after this decision, if nothing has
    /// moved it by then.
    fn due_after(&self, work: &Work, decision: &Decision) -> Option<Timestamp> {
        if decision.record.state.is_settled() || decision.record.state == State::Queued {
            return None;
        }
        let lane = self.lanes.get(work.lane())?;
        let ahead = match (&decision.call, decision.wake) {
            (Some(_), _) => SEND_WITHIN + lane.lane.call_timeout,
            (None, Wake::In(wait)) => wait,
            (None, Wake::Never) => Duration::ZERO,
        };
        Some(self.wall_at(self.now.boot + ahead + GRACE))
    }

    pub(super) fn set_stage(&mut self, id: ChangeId, stage: WorkStage) {
        if let Some(work) = self.work.get_mut(&id) {
            work.set_stage(stage);
        }
    }

    fn done_with_event(&mut self, id: ChangeId) {
        if let Some(work) = self.work.get_mut(&id) {
            work.done_with_event();
        }
    }

    pub(super) fn stale(&mut self, id: ChangeId) {
        self.count("stale");
        self.leave_queue(id);
        self.done_with_event(id);
        let poll = self
            .work
            .get(&id)
            .and_then(|work| self.lanes.get(work.lane()))
            .map(|lane| lane.lane.timing.poll);
        self.sleep(id, poll.unwrap_or(SEND_WITHIN));
    }

    pub(super) fn sleep(&mut self, id: ChangeId, wait: Duration) {
        if self.work.get(&id).is_some_and(|work| !self.is_ours(work.lane())) {
            return self.let_go(id);
        }
        self.leave_queue(id);
        self.leave_list(id);
        self.set_stage(id, WorkStage::Asleep);
        self.wake_in(id, wait);
    }

    /// Its timer wakes it after this wait; an earlier one no longer does.
    fn wake_in(&mut self, id: ChangeId, wait: Duration) {
        let at = self.now.boot + wait;
        if let Some(work) = self.work.get_mut(&id) {
            let was = work.wake_at(Some(at));
            self.timers.set(Timer::Change(id), was, at);
        }
    }

    /// Lets a call go that was decided then. Its deadline counts from the decision: a commit that
    /// took long has used the time up.
    pub(super) fn send(&mut self, id: ChangeId, call: Call, decided: Times, out: &mut Vec<Effect>) {
        if let (Call::Inspect { .. }, Some(view)) = (&call, self.seen_of_late(id)) {
            return self.decide_by(id, view, out);
        }
        if let Call::Submit { target, .. } = &call {
            self.no_longer_fresh(&target.lane, &target.instance_id);
        }
        let Some(tracked) = self.rollouts.get(&id.rollout) else { return };
        let Some(work) = self.work.get_mut(&id) else { return };
        work.set_stage(WorkStage::Out(Box::new(call.clone())));
        let check = CheckSpec {
            write: call.is_write(),
            deadline: decided.boot + SEND_WITHIN,
            rollout: id.rollout,
            lane: work.lane().clone(),
            wave: work.change().wave,
            undo: work.change().record.undo.is_some(),
            decided,
            open: tracked.open_within(decided),
            plan: tracked.view().plan.clone(),
        };
        let ticket = self.ticket(Owner::Change(id));
        self.count("calls");
        out.push(Effect::Call { ticket, call, check });
    }

    pub(super) fn work_committed(
        &mut self,
        id: ChangeId,
        result: Result<(), CommitError>,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.work.get_mut(&id) else { return };
        let WorkStage::Committing(decision, decided) = work.take_stage() else {
            return;
        };
        let lane = work.lane().clone();
        match result {
            Ok(()) => self.moved(id, *decision, decided, out),
            Err(CommitError::Conflict | CommitError::InstanceTaken { .. }) => {
                self.count("conflict");
                if decision.call.is_some() {
                    self.permit_unused(&lane);
                    self.stirred.insert(lane);
                }
                self.reread(id, out);
            }
            Err(CommitError::Unavailable(why)) => self.fail(why, out),
        }
    }

    fn moved(&mut self, id: ChangeId, decision: Decision, decided: Times, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        let Some(work) = self.work.get_mut(&id) else { return };
        let (was, is) = (work.state().kind(), decision.record.state.kind());
        let completed = *work.event() == Event::Answer(AnswerEvent::Job(JobView::Completed));
        let waits = decision.record.waits > work.change().record.waits;
        work.move_to(decision.record, now);
        let lane = work.lane().clone();
        if work.state().is_settled() {
            let outcome = work.state().as_str();
            Arc::make_mut(&mut self.tallies).settle(outcome, work.change().desired);
        }
        match (was, is) {
            (StateKind::Submitting, StateKind::Following) => self.follows(id),
            (StateKind::Verifying, StateKind::Recovering) => self.count("presumed_set_aside"),
            (StateKind::Following, other) if other != StateKind::Following => {
                self.follows_no_more(id, &lane, completed)
            }
            _ => {}
        }
        if waits {
            self.ask_what_runs(&lane);
        }
        self.done_with_event(id);
        if self.count_in_flight(id) {
            return self.let_go(id);
        }
        match (decision.call, decision.wake) {
            _ if decision.probe.is_some() => self.line_up(id),
            (Some(call), _) => self.send(id, call, decided, out),
            (None, Wake::In(wait)) => self.sleep(id, self.patience(id, wait)),
            (None, Wake::Never) => {}
        }
    }

    /// Keeps the lane's count right; true when the change is no longer active.
    fn count_in_flight(&mut self, id: ChangeId) -> bool {
        let Some(work) = self.work.get_mut(&id) else { return true };
        work.recount(&mut self.lanes, &mut self.stirred);
        work.state().is_settled() || *work.state() == State::Queued
    }

    /// The change is settled, queued again, or somebody else's: it is no longer in hand.
    pub(super) fn let_go(&mut self, id: ChangeId) {
        self.leave_queue(id);
        self.leave_list(id);
        if let Some(mut work) = self.work.remove(&id) {
            let lane = work.lane().clone();
            self.uncount_unserved(id, &lane);
            self.follows_no_more(id, &lane, false);
            self.timers.clear(Timer::Change(id), work.wakes_at());
            if self.scanning {
                self.left.insert(id);
            }
            let settled = work.state().is_settled();
            // Settled, or somebody else's now: it no longer uses our lane's places.
            work.leave_lane(&mut self.lanes, &mut self.stirred);
            self.rollout_stirred(id.rollout, settled);
        }
    }

    pub(super) fn reread(&mut self, id: ChangeId, out: &mut Vec<Effect>) {
        let ticket = self.ticket(Owner::Change(id));
        self.set_stage(id, WorkStage::Reading);
        out.push(Effect::Read { ticket, query: StoreQuery::Change(id) });
    }

    pub(super) fn work_read(&mut self, id: ChangeId, found: StoreAnswer, out: &mut Vec<Effect>) {
        self.set_stage(id, WorkStage::Asleep);
        match found {
            StoreAnswer::Change(Some(found)) => {
                let (active, rollout) = *found;
                self.rollout_seen(rollout);
                self.reconcile(id, active, out);
            }
            StoreAnswer::Change(None) => self.let_go(id),
            StoreAnswer::KnownJobs(known) => self.questioned(id, &known, out),
            StoreAnswer::Rollout(_) | StoreAnswer::Candidates(_) | StoreAnswer::Stored(_) => {
                self.count("unknown_ticket")
            }
        }
    }

    /// After a conflict: take what the store has, and decide again with the same event.
    fn reconcile(&mut self, id: ChangeId, active: Active, out: &mut Vec<Effect>) {
        let Some(work) = self.work.get_mut(&id) else { return };
        let moved = work.replace(active.change, self.now.boot);
        if self.count_in_flight(id) {
            return self.let_go(id);
        }
        // An answer belongs to the state in which its call was made. A job id alone is worth
        // telling in whatever state the change is by now, unless the change has it: then it is of
        // an earlier PUT than the one that the state speaks of. Everything else is the business of
        // whoever moved it.
        let work = &self.work[&id];
        let named = if let Event::Answer(AnswerEvent::Accepted(job)) = work.event() {
            job.as_ref()
        } else {
            None
        };
        let told_before = named.is_some_and(|job| work.change().record.jobs.contains(job));
        let news = named.is_some() && !told_before;
        if moved && !news {
            if told_before {
                self.count("job_told_before");
            }
            return self.let_go(id);
        }
        match self.decide(id) {
            Some(Ok(_)) => self.consider(id, out),
            Some(Err(Stale)) if moved => {
                self.count("stale");
                self.let_go(id);
            }
            Some(Err(Stale)) | None => self.stale(id),
        }
    }

    /// The cloud answered a call that was out since then.
    pub(super) fn work_answered(
        &mut self,
        id: ChangeId,
        since: Boot,
        reply: Reply,
        out: &mut Vec<Effect>,
    ) {
        let Some(work) = self.work.get_mut(&id) else { return };
        let WorkStage::Out(call) = work.take_stage() else {
            return;
        };
        let name = work.lane().clone();
        work.looked(trace(&call, &reply));
        if call.is_write() {
            work.put_was_out(since, self.now.boot);
        }
        self.keep_fresh(&call, &reply);
        let mut outcome = reply.outcome;
        let paused = self.permit_back(&name, reply.sent, &outcome);
        if let Err(error) = &mut outcome
            && paused
            && error.disposition == Disposition::NotDone
        {
            // Out of reach: the lane waits, and no change pays for it with an attempt.
            error.disposition = Disposition::Throttled;
        }
        match outcome {
            Ok(Answer::Jobs { jobs, page }) => self.gather(id, &call, jobs, &page, out),
            other => {
                if matches!(&other, Err(error) if matches!(error.disposition, Disposition::NotFound | Disposition::Fatal))
                    && let Some(work) = self.work.get_mut(&id)
                {
                    // A page that is refused for good may be so because of its offset: the next
                    // question begins anew.
                    *work.question() = None;
                }
                let Some(event) = Event::of(other) else { return };
                self.decide_with(id, event, out);
            }
        }
    }

    pub(super) fn decide_with(&mut self, id: ChangeId, event: Event, out: &mut Vec<Effect>) {
        if matches!(event, Event::Answer(AnswerEvent::Job(JobView::Running { .. }))) {
            self.still_runs(id);
        }
        if let Some(work) = self.work.get_mut(&id) {
            work.set_event(event);
            self.consider(id, out);
        }
    }
}
