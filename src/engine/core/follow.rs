//! Following the jobs of a lane together: one page of the job list reports all of them at once.
//!
//! Job: a change whose job is to be looked at waits for the next list of its lane instead of asking
//! alone; lists keep a distance, which follows from how long the lane's jobs take. A job that a
//! list does not contain is asked for alone.
//!
//! Invariant: what a list reports reaches a change as if the change had asked itself.
//!
//! Deliberately not here: what is remembered of the jobs and of the list under way
//! (`engine::followed`), and what a job's end means (`domain::change`).

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::permit::trace;
use super::tickets::Owner;
use super::timers::Timer;
use super::work::{SEND_WITHIN, WorkStage};
use crate::domain::call::{Answer, CallError, Disposition, JobListed, JobView, Reply};
use crate::domain::change::{AnswerEvent, Event, State};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::{ChangeId, Name};
use crate::domain::journal::Trace;
use crate::domain::quota::Boot;
use crate::engine::effect::Effect;
use crate::engine::fair_queue::{Rank, Waiter};
use crate::engine::followed::ListRequest;

/// A list does not wait longer for its share, however few calls the account lets out.
const SHARE_WITHIN: Duration = Duration::from_secs(120);

/// Calls that begin a change: the look before, and the switch.
const CALLS_TO_BEGIN: u32 = 2;

impl Core {
    /// A change has come to follow its job, right after its own PUT.
    pub(super) fn follows(&mut self, id: ChangeId) {
        let Some(work) = self.work.get(&id) else { return };
        let State::Following { job } = work.state() else { return };
        if let Some(lane) = self.lanes.get_mut(work.lane()) {
            lane.followed.follow(id, job.clone(), work.put(), self.now.boot);
        }
    }

    /// A look at a change's job is due, and its lane lets it go. With an answer in hand the change
    /// waits for something else.
    pub(super) fn look_due(&mut self, id: ChangeId, due: Boot) {
        let Some(work) = self.work.get(&id).filter(|work| *work.event() == Event::Woken) else {
            return;
        };
        if let Some(lane) = self.lanes.get_mut(work.lane()) {
            lane.followed.look_due(id, due);
        }
    }

    /// A change's job was seen to run.
    pub(super) fn still_runs(&mut self, id: ChangeId) {
        let Some(work) = self.work.get(&id) else { return };
        if let Some(lane) = self.lanes.get_mut(work.lane()) {
            lane.followed.still_runs(id);
        }
    }

    /// A change no longer follows its job; `completed`: because that was seen to be done.
    pub(super) fn follows_no_more(&mut self, id: ChangeId, lane: &Name, completed: bool) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let Some(ended) = lane.followed.follow_no_more(id, completed) else { return };
        Arc::make_mut(&mut self.tallies).job_took(ended.took);
        // Who fell asleep before enough was known of the lane's jobs is woken in time.
        for id in ended.others {
            self.rest_anew(id);
        }
    }

    /// Whether the change waits for a list of its lane rather than asking alone.
    pub(super) fn joins(&self, id: ChangeId) -> bool {
        let Some(work) = self.work.get(&id) else { return false };
        let Some(lane) = self.lanes.get(work.lane()) else { return false };
        !work.asks_alone() && lane.followed.takes(id, self.now.boot)
    }

    /// Its time has come: it waits for the next list.
    pub(super) fn join(&mut self, id: ChangeId) {
        self.set_stage(id, WorkStage::Listed);
        let name = self.work[&id].lane().clone();
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.followed.join(id);
        }
        self.list_soon(&name);
    }

    /// The change waits for no list any more.
    pub(super) fn leave_list(&mut self, id: ChangeId) {
        if let Some(work) = self.work.get_mut(&id)
            && matches!(work.stage(), WorkStage::Listed)
        {
            work.set_stage(WorkStage::Asleep);
            if let Some(lane) = self.lanes.get_mut(work.lane()) {
                lane.followed.leave(id);
            }
        }
    }

    /// Lists the lane's jobs as soon as the last list is long enough ago.
    pub(super) fn list_soon(&mut self, name: &Name) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(name) else { return };
        if !lane.followed.wants_list() {
            return;
        }
        let can_wait = lane.has_room() && lane.line.one_has_work();
        let share = if can_wait {
            lane.time_for(lane.followed.calls_between()).min(SHARE_WITHIN)
        } else {
            Duration::ZERO
        };
        let from = lane.followed.next_at(now, share, &lane.lane.timing);
        if now < from {
            return self.timers.set(Timer::List(name.clone()), None, from);
        }
        let cloud = self.fence.cloud(name, now).unwrap_or(TimeSpan::at(self.now.wall));
        lane.followed.begin_list(name, now, cloud);
        self.line_up_at(name, Rank::InFlight, Waiter::List);
    }

    /// The list's turn has come; the permit is in hand.
    pub(super) fn list_out(&mut self, name: &Name, out: &mut Vec<Effect>) {
        let list = self
            .lanes
            .get(name)
            .and_then(|lane| lane.followed.list())
            .expect("a list that waits is under way");
        let call = list.call();
        let ticket = self.ticket(Owner::List(name.clone()));
        self.count("calls");
        self.count("lists");
        out.push(Effect::Ask { ticket, call, deadline: self.now.boot + SEND_WITHIN });
    }

    /// A page of the list is there, or it failed.
    pub(super) fn list_answered(&mut self, name: &Name, reply: Reply, out: &mut Vec<Effect>) {
        self.permit_back(name, reply.sent, &reply.outcome);
        let Some(mut list) = self.lanes.get_mut(name).and_then(|lane| lane.followed.take_list())
        else {
            return;
        };
        let told = trace(&list.call(), &reply);
        match reply.outcome {
            Ok(Answer::Listed { jobs, page }) => {
                let Some(lane) = self.lanes.get_mut(name) else { return };
                for (id, JobListed { view, created, took, .. }) in lane.followed.page_read(jobs) {
                    list.found(&id);
                    let dated = self
                        .lanes
                        .get_mut(name)
                        .and_then(|lane| lane.followed.listed(id, created, took, self.now.boot));
                    if let Some((created, put)) = dated {
                        self.fence.hear_job(name, created, put);
                    }
                    self.deliver(id, view, &told, out);
                }
                let Some(lane) = self.lanes.get_mut(name) else { return };
                if lane.followed.needs_more(&mut list, &page) {
                    lane.followed.go_on(list);
                    return self.line_up_at(name, Rank::InFlight, Waiter::List);
                }
                self.listed(name, &list, out);
            }
            Ok(_) => self.not_listed(name, list, &unexpected(), out),
            Err(error) => self.not_listed(name, list, &error, out),
        }
    }

    /// One change is told what it would have asked.
    fn deliver(&mut self, id: ChangeId, view: JobView, told: &Trace, out: &mut Vec<Effect>) {
        self.leave_list(id);
        let Some(work) = self.work.get_mut(&id) else { return };
        // One that has just asked for itself hears its own answer.
        if matches!(work.stage(), WorkStage::Asleep)
            && matches!(work.state(), State::Following { .. })
        {
            work.looked(told.clone());
            self.decide_with(id, Event::Answer(AnswerEvent::Job(view)), out);
        }
    }

    /// The list is read as far as it goes: whoever it does not tell of, and whose time has come,
    /// asks alone.
    fn listed(&mut self, name: &Name, list: &ListRequest, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(name) else { return };
        for id in lane.followed.end_list(list, now) {
            self.count("not_in_the_list");
            self.asks_alone(id, out);
        }
        self.list_soon(name);
    }

    /// There is no list: whoever waited for it hears why.
    fn not_listed(
        &mut self,
        name: &Name,
        list: ListRequest,
        error: &CallError,
        out: &mut Vec<Effect>,
    ) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(name) else { return };
        let (waiting, refused) = lane.followed.break_off(list, error, now);
        for id in waiting {
            if refused {
                // That there is no such list says nothing of the job.
                self.asks_alone(id, out);
            } else {
                self.leave_list(id);
                self.decide_with(id, Event::Answer(AnswerEvent::Error(error.clone())), out);
            }
        }
    }

    /// The change asks for its job alone, as long as it is in this state.
    fn asks_alone(&mut self, id: ChangeId, out: &mut Vec<Effect>) {
        self.leave_list(id);
        if let Some(work) = self.work.get_mut(&id) {
            work.ask_alone();
        }
        self.consider(id, out);
    }

    /// Whether the look after a change may wait until what its wave has left to begin has begun. It
    /// may when that is soon: within two of the lane's jobs. In the time that the last of those
    /// jobs take there would be nothing else to do. Told is how long it may wait before that is
    /// asked again.
    pub(super) fn may_wait(&self, id: ChangeId) -> Option<Duration> {
        let work = self.work.get(&id)?;
        let (lane, tracked) = (self.lanes.get(work.lane())?, self.rollouts.get(&id.rollout)?);
        let job = lane.lane.quota.and_then(|_| lane.followed.middle_job())?;
        let queued =
            tracked.view().tallies.get(work.change().wave as usize).map_or(0, |tally| tally.queued);
        let left = u32::try_from(lane.line.starts()).unwrap_or(u32::MAX).saturating_add(queued);
        (left > 0 && lane.time_for(left.saturating_mul(CALLS_TO_BEGIN)) <= job * 2)
            .then_some(job * 2)
    }

    /// Lets a change that sleeps over its job sleep as long as is known now, if that is shorter.
    fn rest_anew(&mut self, id: ChangeId) {
        let asleep = self
            .work
            .get(&id)
            .filter(|work| matches!(work.stage(), WorkStage::Asleep))
            .and_then(|work| work.wakes_at());
        let Some(wait) = asleep.map(|at| at.saturating_sub(self.now.boot)) else { return };
        let known = self.patience(id, wait);
        if known < wait {
            self.sleep(id, known);
        }
    }

    /// How long a change sleeps that the table lets sleep for `wait`: while it follows a job, by
    /// what jobs here take.
    pub(super) fn patience(&self, id: ChangeId, wait: Duration) -> Duration {
        let lane = self.work.get(&id).and_then(|work| self.lanes.get(work.lane()));
        lane.map_or(wait, |lane| lane.followed.patience(id, wait, self.now.boot, &lane.lane.timing))
    }
}

fn unexpected() -> CallError {
    let message = "the cloud answered something else".to_owned();
    CallError {
        disposition: Disposition::Unknown,
        retry_after: None,
        status: None,
        code: None,
        request_id: None,
        message,
    }
}
