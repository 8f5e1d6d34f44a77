//! Following the jobs of a lane together: one page of the job list tells of all of them at once.
//!
//! Job: changes whose job is to be looked at wait for the next list of their lane instead of asking one by one; lists
//! keep a distance, which follows from how long the lane's jobs take. A job that a list does not tell of is asked for alone.
//!
//! Invariants: what a list tells reaches a change as if it had asked itself; only changes that this process has followed
//! from their PUT on are in a list's window; one list of a lane is out at a time, and one question has at most
//! [`PAGES_MAX`] pages.
//!
//! Deliberately not here: what a job's end means (`domain::change`).

mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

pub(super) use self::pace::JobTimes;
use super::changes::{SEND_WITHIN, WorkStage};
use super::core::Core;
use super::effect::Effect;
use super::lane::{Rank, Waiter};
use super::permit::trace;
use super::tickets::Owner;
use super::timers::Timer;
use crate::cloud::wire_format::JOBS_PAGE;
use crate::domain::call::{Answer, Call, CallError, Disposition, JobListed, JobView, Reply};
use crate::domain::change::{AnswerEvent, Event, State};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::{ChangeId, JobId, Name};
use crate::domain::job_match::{ASKED_AFTER_MAX, JUDGED_AROUND};
use crate::domain::paging::{NextPage, Paging};
use crate::domain::quota::Boot;

/// Pages of one question at most: 500 jobs. A lane with more jobs than that since its oldest one began asks for the
/// rest one by one.
const PAGES_MAX: u32 = 10;

/// Lists in a row that cannot be read, or are refused, after which a lane asks for each job alone until the next start.
const FAILURES_MAX: u32 = 3;

/// While a rollout that has a lane for itself has other work waiting for permits, a page of a list is one of so many calls
/// at most: lists then take 2 % of the quota, and whose job has ended waits for the next one instead of what is yet to
/// begin. Where several share the lane, one with few changes in flight would lose its share by that.
const CALLS_A_PAGE: u32 = 50;

/// A list does not wait longer for its share, however few calls the account lets out.
const SHARE_WITHIN: Duration = Duration::from_secs(120);

/// Calls that begin a change: the look before, and the switch.
const CALLS_TO_BEGIN: u32 = 2;

/// A job is in a list's window for so long after its PUT; older ones are asked for alone.
const IN_WINDOW: Duration = Duration::from_secs(ASKED_AFTER_MAX.as_secs() / 2);

/// What is followed on one lane.
#[derive(Default)]
pub(super) struct Followed {
    /// Every change that this process follows from its PUT on.
    jobs: BTreeMap<ChangeId, Since>,
    /// Those that wait for the next list.
    due: BTreeSet<ChangeId>,
    question: Option<ListRequest>,
    /// A list of which a page failed: the next one goes on with that page.
    broken_off: Option<ListRequest>,
    listed_at: Option<Boot>,
    /// The last list was read to its end.
    told: bool,
    /// Pages of the last list.
    pages: u32,
    failures: u32,
    pub(super) times: JobTimes,
}

struct Since {
    job: JobId,
    boot: Boot,
    /// Between which two instants its PUT was out.
    put: Option<(Boot, Boot)>,
    /// The cloud has told when it made the job.
    dated: bool,
    /// When it was last seen to run; at first the PUT.
    running: Boot,
    /// When the latest look at it was due and could be paid. What this host's lateness, or a slow answer, adds to it says
    /// nothing of the job: learnt as its time, it would make every later look later still.
    looked: Boot,
    /// How long it took, as the cloud tells it.
    took: Option<Duration>,
}

/// A list that waits for its permit or its answer.
struct ListRequest {
    within: TimeSpan,
    paging: Paging,
    /// Changes that no page has told of yet.
    open: BTreeSet<ChangeId>,
}

impl Followed {
    /// A list of what is followed now, while the cloud's clock stands in this span.
    fn new_question(&self, now: Boot, cloud: TimeSpan) -> ListRequest {
        // One that is older asks alone, and must not push the window of the others into the past.
        let told_of = self.jobs.iter().filter(|(_, since)| now < since.boot + IN_WINDOW);
        let open: BTreeSet<ChangeId> = told_of.clone().map(|(id, _)| *id).collect();
        let oldest = told_of.map(|(_, since)| since.put.map_or(since.boot, |put| put.0)).min().unwrap_or(now);
        let from = cloud.from.checked_sub(now.saturating_sub(oldest)).unwrap_or(Timestamp::MIN);
        let within = TimeSpan::lasting(from, ASKED_AFTER_MAX).hull(cloud).widened(JUDGED_AROUND);
        ListRequest { within, paging: Paging::new(JOBS_PAGE), open }
    }
}

impl ListRequest {
    /// The call for the page that is read next.
    fn call(&self, lane: &Name) -> Call {
        Call::Jobs { lane: lane.clone(), within: self.within, offset: self.paging.offset() }
    }
}

impl Core {
    /// A change has come to follow its job, right after its own PUT.
    pub(super) fn follows(&mut self, id: ChangeId) {
        let Some(work) = self.work.get(&id) else { return };
        let State::Following { job } = &work.change.record.state else { return };
        let (now, put, job) = (self.now.boot, work.put, job.clone());
        let since = Since { job, boot: now, put, dated: false, running: now, looked: now, took: None };
        if let Some(lane) = self.lanes.get_mut(&work.change.target.lane) {
            lane.followed.jobs.insert(id, since);
        }
    }

    /// A look at a change's job is due, and its lane lets it go. With an answer in hand the change waits for something else.
    pub(super) fn look_due(&mut self, id: ChangeId, due: Boot) {
        let Some(work) = self.work.get(&id).filter(|work| work.event == Event::Woken) else { return };
        let lane = self.lanes.get_mut(&work.change.target.lane);
        if let Some(since) = lane.and_then(|lane| lane.followed.jobs.get_mut(&id)) {
            since.looked = due.max(since.looked);
        }
    }

    /// A change's job was seen to run.
    pub(super) fn still_runs(&mut self, id: ChangeId) {
        let Some(work) = self.work.get(&id) else { return };
        let lane = self.lanes.get_mut(&work.change.target.lane);
        if let Some(since) = lane.and_then(|lane| lane.followed.jobs.get_mut(&id)) {
            since.running = since.looked;
        }
    }

    /// A change no longer follows its job; `completed`: because that was seen to be done.
    pub(super) fn follows_no_more(&mut self, id: ChangeId, lane: &Name, completed: bool) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        lane.followed.due.remove(&id);
        if let Some(since) = lane.followed.jobs.remove(&id)
            && completed
            && lane.followed.times.add(since.running.saturating_sub(since.boot), since.looked.saturating_sub(since.boot), since.took)
        {
            // Who sleeps as somebody who knows nothing is woken in time.
            let others: Vec<ChangeId> = lane.followed.jobs.keys().copied().collect();
            for id in others {
                self.rest_anew(id);
            }
        }
    }

    /// Whether the change waits for a list of its lane rather than asking alone.
    pub(super) fn joins(&self, id: ChangeId) -> bool {
        let Some(work) = self.work.get(&id) else { return false };
        let Some(lane) = self.lanes.get(&work.change.target.lane) else { return false };
        let followed = &lane.followed;
        let in_window = followed.jobs.get(&id).is_some_and(|since| self.now.boot < since.boot + IN_WINDOW);
        in_window && !work.asks_alone && followed.failures < FAILURES_MAX && followed.jobs.len() > 1
    }

    /// Its time has come: it waits for the next list.
    pub(super) fn join(&mut self, id: ChangeId) {
        self.set_stage(id, WorkStage::Listed);
        let name = self.work[&id].change.target.lane.clone();
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.followed.due.insert(id);
        }
        self.list_soon(&name);
    }

    /// The change waits for no list any more.
    pub(super) fn leave_list(&mut self, id: ChangeId) {
        if let Some(work) = self.work.get_mut(&id)
            && matches!(work.stage, WorkStage::Listed)
        {
            work.stage = WorkStage::Asleep;
            if let Some(lane) = self.lanes.get_mut(&work.change.target.lane) {
                lane.followed.due.remove(&id);
            }
        }
    }

    /// Lists the lane's jobs as soon as the last list is long enough ago.
    pub(super) fn list_soon(&mut self, name: &Name) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(name) else { return };
        let followed = &lane.followed;
        if followed.question.is_some() || followed.due.is_empty() {
            return;
        }
        let room = lane.in_flight < lane.lane.max_in_flight;
        // One that failed told nothing: what it would have told has waited long enough.
        let can_wait = room && followed.told && lane.line.one_has_work();
        let share = if can_wait { lane.time_for(followed.pages * CALLS_A_PAGE).min(SHARE_WITHIN) } else { Duration::ZERO };
        let from = followed.listed_at.map_or(now, |at| at + followed.times.step(&lane.lane.timing).max(share));
        if now < from {
            return self.timers.set(Timer::List(name.clone()), None, from);
        }
        let begun = lane.followed.broken_off.take();
        let cloud = self.fence.cloud(name, now).unwrap_or(TimeSpan::at(self.now.wall));
        lane.followed.question = Some(begun.unwrap_or_else(|| lane.followed.new_question(now, cloud)));
        self.line_up_at(name, Rank::InFlight, Waiter::List);
    }

    /// The list's turn has come; the permit is in hand.
    pub(super) fn list_out(&mut self, name: &Name, out: &mut Vec<Effect>) {
        let question = self.lanes.get(name).and_then(|lane| lane.followed.question.as_ref()).expect("who waits in line is known");
        let call = question.call(name);
        let ticket = self.ticket(Owner::List(name.clone()));
        self.count("calls");
        self.count("lists");
        out.push(Effect::Ask { ticket, call, deadline: self.now.boot + SEND_WITHIN });
    }

    /// A page of the list is there, or it failed.
    pub(super) fn list_answered(&mut self, name: &Name, reply: Reply, out: &mut Vec<Effect>) {
        self.permit_back(name, reply.sent, &reply.outcome);
        let Some(mut question) = self.lanes.get_mut(name).and_then(|lane| lane.followed.question.take()) else { return };
        let told = trace(&question.call(name), &reply);
        match reply.outcome {
            Ok(Answer::Listed { jobs, page }) => {
                let now = self.now.boot;
                let Some(lane) = self.lanes.get_mut(name) else { return };
                lane.followed.failures = 0;
                let by_job: BTreeMap<&JobId, ChangeId> = lane.followed.jobs.iter().map(|(id, since)| (&since.job, *id)).collect();
                let found: Vec<(ChangeId, JobListed)> = jobs.into_iter().filter_map(|row| Some((*by_job.get(&row.job)?, row))).collect();
                for (id, JobListed { view, created, took, .. }) in found {
                    question.open.remove(&id);
                    if let Some(since) = self.lanes.get_mut(name).and_then(|lane| lane.followed.jobs.get_mut(&id)) {
                        (since.took, since.looked) = (took, now);
                        if let (Some(created), Some(put), false) = (created, since.put, since.dated) {
                            since.dated = true;
                            self.fence.hear_job(name, created, put);
                        }
                    }
                    self.deliver(id, view, &told, out);
                }
                question.open.retain(|id| self.lanes[name].followed.jobs.contains_key(id));
                let next = question.paging.read(&page);
                if next == NextPage::Page && !question.open.is_empty() && question.paging.pages() < PAGES_MAX {
                    return self.next_page(name, question);
                }
                self.listed(name, &question, out);
            }
            Ok(_) => self.not_listed(name, question, &unexpected(), out),
            Err(error) => self.not_listed(name, question, &error, out),
        }
    }

    fn next_page(&mut self, name: &Name, question: ListRequest) {
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.followed.question = Some(question);
            self.line_up_at(name, Rank::InFlight, Waiter::List);
        }
    }

    /// One change is told what it would have asked.
    fn deliver(&mut self, id: ChangeId, view: JobView, told: &crate::domain::journal::Trace, out: &mut Vec<Effect>) {
        self.leave_list(id);
        let Some(work) = self.work.get_mut(&id) else { return };
        // One that has just asked for itself hears its own answer.
        if matches!(work.stage, WorkStage::Asleep) && matches!(work.change.record.state, State::Following { .. }) {
            work.looks = work.looks.saturating_add(1);
            work.trace = Some(told.clone());
            self.decide_with(id, Event::Answer(AnswerEvent::Job(view)), out);
        }
    }

    /// The list is read as far as it goes: whoever it does not tell of, and whose time has come, asks alone.
    fn listed(&mut self, name: &Name, question: &ListRequest, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(name) else { return };
        (lane.followed.listed_at, lane.followed.told) = (Some(now), true);
        lane.followed.pages = question.paging.pages();
        let alone: Vec<ChangeId> = question.open.intersection(&lane.followed.due).copied().collect();
        for id in alone {
            self.count("not_in_the_list");
            self.leave_list(id);
            if let Some(work) = self.work.get_mut(&id) {
                work.asks_alone = true;
            }
            self.consider(id, out);
        }
        self.list_soon(name);
    }

    /// There is no list: whoever waited for it hears why.
    fn not_listed(&mut self, name: &Name, question: ListRequest, error: &CallError, out: &mut Vec<Effect>) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(name) else { return };
        (lane.followed.listed_at, lane.followed.told) = (Some(now), false);
        let of_the_list = matches!(error.disposition, Disposition::NotFound | Disposition::Fatal | Disposition::Unknown);
        lane.followed.failures += u32::from(of_the_list);
        // A page that is refused for good may be so because of its offset: the next list begins anew.
        let refused = matches!(error.disposition, Disposition::NotFound | Disposition::Fatal);
        lane.followed.broken_off = (!refused && question.paging.pages() > 0).then_some(question);
        let waiting: Vec<ChangeId> = lane.followed.due.iter().copied().collect();
        for id in waiting {
            self.leave_list(id);
            if refused {
                // That there is no such list says nothing of the job.
                if let Some(work) = self.work.get_mut(&id) {
                    work.asks_alone = true;
                }
                self.consider(id, out);
            } else {
                self.decide_with(id, Event::Answer(AnswerEvent::Error(error.clone())), out);
            }
        }
    }

    /// Whether the look after a change may wait until what its wave has left to begin has begun. It may when that is soon:
    /// within two of the lane's jobs. In the time that the last of those jobs take there would be nothing else to do. Told is
    /// how long it may wait before that is asked again.
    pub(super) fn may_wait(&self, id: ChangeId) -> Option<Duration> {
        let work = self.work.get(&id)?;
        let (lane, tracked) = (self.lanes.get(&work.change.target.lane)?, self.rollouts.get(&id.rollout)?);
        let job = lane.lane.quota.and_then(|_| lane.followed.times.middle())?;
        let queued = tracked.view.tallies.get(work.change.wave as usize).map_or(0, |tally| tally.queued);
        let left = u32::try_from(lane.line.starts()).unwrap_or(u32::MAX).saturating_add(queued);
        (left > 0 && lane.time_for(left.saturating_mul(CALLS_TO_BEGIN)) <= job * 2).then_some(job * 2)
    }

    /// Lets a change that sleeps over its job sleep as long as is known now, if that is shorter.
    fn rest_anew(&mut self, id: ChangeId) {
        let asleep = self.work.get(&id).filter(|work| matches!(work.stage, WorkStage::Asleep)).and_then(|work| work.wake);
        let Some(wait) = asleep.map(|at| at.saturating_sub(self.now.boot)) else { return };
        let known = self.patience(id, wait);
        if known < wait {
            self.sleep(id, known);
        }
    }

    /// How long a change sleeps that the table lets sleep for `wait`: while it follows a job, by what jobs here take.
    pub(super) fn patience(&self, id: ChangeId, wait: Duration) -> Duration {
        let followed = self.work.get(&id).and_then(|work| {
            let lane = self.lanes.get(&work.change.target.lane)?;
            Some((lane.followed.jobs.get(&id)?, lane))
        });
        let Some((since, lane)) = followed else { return wait };
        lane.followed.times.patience(self.now.boot.saturating_sub(since.boot), wait, &lane.lane.timing)
    }
}

fn unexpected() -> CallError {
    let message = "the cloud answered something else".to_owned();
    CallError { disposition: Disposition::Unknown, retry_after: None, status: None, code: None, request_id: None, message }
}
