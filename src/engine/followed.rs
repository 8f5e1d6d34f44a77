//! The followed jobs of one lane: who follows one, who waits for the next list of them, and which
//! list is under way.
//!
//! Job: remember each followed job from its PUT on, say when the next list is due and for what it
//! asks, and note what each page said.
//!
//! Invariants: only jobs that this process has followed from their PUT on are in a list's window;
//! one list is under way at a time, and it has at most [`PAGES_MAX`] pages. A list of which a page
//! failed goes on with that page, unless the page was refused for good.
//!
//! Deliberately not here: permits, calls, and what a change makes of an answer
//! (`engine::core::follow`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::job_times::JobTimes;
use super::paged_list::{ListStep, Missing, PagedList};
use crate::domain::call::{Call, CallError, Disposition, JobListed, JobsPage};
use crate::domain::change::Timing;
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::{ChangeId, JobId, Name};
use crate::domain::job_match::{ASKED_AFTER_MAX, JUDGED_AROUND};
use crate::domain::paging::FIRST;
use crate::domain::quota::Boot;

/// Pages of one question at most: 500 jobs. A lane with more jobs than that since its oldest one
/// began asks for the rest one by one.
const PAGES_MAX: u32 = 10;

/// Lists in a row that cannot be read, or are refused, after which a lane asks for each job alone
/// until the next start.
const FAILURES_MAX: u32 = 3;

/// While a rollout that has a lane for itself has other work waiting for permits, a page of a list
/// is one of so many calls at most: lists then take 2 % of the quota, and whose job has ended waits
/// for the next one instead of what is yet to begin. Where several share the lane, one with few
/// changes in flight would lose its share by that.
const CALLS_A_PAGE: u32 = 50;

/// A job is in a list's window for so long after its PUT; older ones are asked for alone.
const IN_WINDOW: Duration = Duration::from_secs(ASKED_AFTER_MAX.as_secs() / 2);

/// What is followed on one lane.
#[derive(Default)]
pub(super) struct Followed {
    /// Every change that this process follows from its PUT on.
    jobs: BTreeMap<ChangeId, Since>,
    /// Those that wait for the next list.
    due: BTreeSet<ChangeId>,
    list: ListProgress,
    /// A list of which a page failed: the next one goes on with that page.
    broken_off: Option<ListRequest>,
    listed_at: Option<Boot>,
    /// The last list was read to its end.
    told: bool,
    /// Pages of the last list.
    pages: u32,
    failures: u32,
    times: JobTimes,
}

/// How far the list is that is under way.
#[derive(Default)]
#[expect(clippy::large_enum_variant, reason = "there is one a lane")]
enum ListProgress {
    /// None is.
    #[default]
    Idle,
    /// It waits for its permit or its answer.
    Waits(ListRequest),
    /// A page of it is being read: the list is with whoever delivers what the page says.
    Read,
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
    /// When the latest look at it was due and could be paid. What this host's lateness, or a slow
    /// answer, adds to it says nothing of the job: learnt as its time, it would make every later
    /// look later still.
    looked: Boot,
    /// How long it took, as the cloud tells it.
    took: Option<Duration>,
}

/// A list that waits for its permit or its answer.
pub(super) struct ListRequest {
    list: PagedList,
    /// Changes that no page has told of yet.
    open: BTreeSet<ChangeId>,
}

impl ListRequest {
    /// The call for the page that is read next.
    pub(super) fn call(&self) -> Call {
        self.list.call()
    }

    /// A page has told of this change.
    pub(super) fn found(&mut self, id: &ChangeId) {
        self.open.remove(id);
    }
}

/// What a job that is done tells.
pub(super) struct EndedJob {
    pub(super) took: Duration,
    /// The others that are followed, where enough is known only now of how long jobs take here.
    pub(super) others: Vec<ChangeId>,
}

/// When the cloud made a job, and between which two instants its PUT was out.
pub(super) type DatedJob = (Timestamp, (Boot, Boot));

impl Followed {
    /// A change follows this job from now on, right after its PUT.
    pub(super) fn follow(
        &mut self,
        id: ChangeId,
        job: JobId,
        put: Option<(Boot, Boot)>,
        now: Boot,
    ) {
        let since =
            Since { job, boot: now, put, dated: false, running: now, looked: now, took: None };
        self.jobs.insert(id, since);
    }

    /// A look at the change's job is due since then, and can be paid.
    pub(super) fn look_due(&mut self, id: ChangeId, due: Boot) {
        if let Some(since) = self.jobs.get_mut(&id) {
            since.looked = due.max(since.looked);
        }
    }

    /// The change's job was seen to run.
    pub(super) fn still_runs(&mut self, id: ChangeId) {
        if let Some(since) = self.jobs.get_mut(&id) {
            since.running = since.looked;
        }
    }

    /// The change follows its job no longer; `completed`: because that was seen to be done, and
    /// then it is told what is known by that.
    pub(super) fn follow_no_more(&mut self, id: ChangeId, completed: bool) -> Option<EndedJob> {
        self.due.remove(&id);
        let since = self.jobs.remove(&id).filter(|_| completed)?;
        let (running, ended) =
            (since.running.saturating_sub(since.boot), since.looked.saturating_sub(since.boot));
        let (took, enough) = self.times.add(running, ended, since.took);
        let others = if enough { self.jobs.keys().copied().collect() } else { Vec::new() };
        Some(EndedJob { took, others })
    }

    /// Whether the next list will tell of the change's job, and sooner than a call of its own.
    pub(super) fn takes(&self, id: ChangeId, now: Boot) -> bool {
        let in_window = self.jobs.get(&id).is_some_and(|since| now < since.boot + IN_WINDOW);
        in_window && self.failures < FAILURES_MAX && self.jobs.len() > 1
    }

    /// The change waits for the next list.
    pub(super) fn join(&mut self, id: ChangeId) {
        self.due.insert(id);
    }

    /// The change waits for no list any more.
    pub(super) fn leave(&mut self, id: ChangeId) {
        self.due.remove(&id);
    }

    /// Whether a list is wanted and none is under way.
    pub(super) fn wants_list(&self) -> bool {
        matches!(self.list, ListProgress::Idle) && !self.due.is_empty()
    }

    /// Calls that are to leave before the next list where other work waits. One that failed told
    /// nothing: what it would have told has waited long enough.
    pub(super) fn calls_between(&self) -> u32 {
        if self.told { self.pages * CALLS_A_PAGE } else { 0 }
    }

    /// When the next list may be made, at least this long after the last one.
    pub(super) fn next_at(&self, now: Boot, apart: Duration, timing: &Timing) -> Boot {
        self.listed_at.map_or(now, |at| at + self.times.step(timing).max(apart))
    }

    /// Begins a list of what is followed now, while the cloud's clock stands in this span; or goes
    /// on with the page that failed.
    pub(super) fn begin_list(&mut self, lane: &Name, now: Boot, cloud: TimeSpan) {
        let begun = self.broken_off.take();
        self.list = ListProgress::Waits(begun.unwrap_or_else(|| self.new_list(lane, now, cloud)));
    }

    fn new_list(&self, lane: &Name, now: Boot, cloud: TimeSpan) -> ListRequest {
        // One that is older asks alone, and must not push the window of the others into the past.
        let told_of = self.jobs.iter().filter(|(_, since)| now < since.boot + IN_WINDOW);
        let open: BTreeSet<ChangeId> = told_of.clone().map(|(id, _)| *id).collect();
        let oldest = told_of
            .map(|(_, since)| since.put.map_or(since.boot, |put| put.0))
            .min()
            .unwrap_or(now);
        let from = cloud.from.checked_sub(now.saturating_sub(oldest)).unwrap_or(Timestamp::MIN);
        let within = TimeSpan::lasting(from, ASKED_AFTER_MAX).hull(cloud).widened(JUDGED_AROUND);
        let call = Call::Jobs { lane: lane.clone(), within, offset: FIRST };
        ListRequest { list: PagedList::new(call, Missing::LeftOut, PAGES_MAX), open }
    }

    /// The list that is under way.
    pub(super) fn list(&self) -> Option<&ListRequest> {
        match &self.list {
            ListProgress::Waits(list) => Some(list),
            ListProgress::Idle | ListProgress::Read => None,
        }
    }

    /// Takes the list that is under way, as a page of it is there. It stays under way until it goes
    /// on, ends or breaks off, so that whoever joins meanwhile begins no second one.
    pub(super) fn take_list(&mut self) -> Option<ListRequest> {
        match std::mem::replace(&mut self.list, ListProgress::Read) {
            ListProgress::Waits(list) => Some(list),
            other @ (ListProgress::Idle | ListProgress::Read) => {
                self.list = other;
                None
            }
        }
    }

    /// The list goes on with its next page.
    pub(super) fn go_on(&mut self, list: ListRequest) {
        self.list = ListProgress::Waits(list);
    }

    /// A page was read: the rows that tell of followed jobs, each with the change that follows it.
    pub(super) fn page_read(&mut self, rows: Vec<JobListed>) -> Vec<(ChangeId, JobListed)> {
        self.failures = 0;
        let by_job: BTreeMap<&JobId, ChangeId> =
            self.jobs.iter().map(|(id, since)| (&since.job, *id)).collect();
        rows.into_iter().filter_map(|row| Some((*by_job.get(&row.job)?, row))).collect()
    }

    /// A page told of the change's job; gives when the cloud made that job, the first time that it
    /// is told.
    pub(super) fn listed(
        &mut self,
        id: ChangeId,
        created: Option<Timestamp>,
        took: Option<Duration>,
        now: Boot,
    ) -> Option<DatedJob> {
        let since = self.jobs.get_mut(&id)?;
        (since.took, since.looked) = (took, now);
        let (created, put) = (created?, since.put?);
        (!std::mem::replace(&mut since.dated, true)).then_some((created, put))
    }

    /// Whether another page of the list is worth its call: there is one, and somebody was not told
    /// of yet.
    pub(super) fn needs_more(&self, list: &mut ListRequest, page: &JobsPage) -> bool {
        list.open.retain(|id| self.jobs.contains_key(id));
        list.list.read(page) == ListStep::More && !list.open.is_empty()
    }

    /// The list is read as far as it goes. Those who waited for it and were not told of.
    pub(super) fn end_list(&mut self, list: &ListRequest, now: Boot) -> Vec<ChangeId> {
        (self.list, self.listed_at, self.told) = (ListProgress::Idle, Some(now), true);
        self.pages = list.list.pages();
        list.open.intersection(&self.due).copied().collect()
    }

    /// A page of the list failed. Those who waited for it, and whether it is refused for good: then
    /// the next list begins anew, for the page may have been refused because of its offset.
    pub(super) fn break_off(
        &mut self,
        list: ListRequest,
        error: &CallError,
        now: Boot,
    ) -> (Vec<ChangeId>, bool) {
        (self.list, self.listed_at, self.told) = (ListProgress::Idle, Some(now), false);
        let refused = matches!(error.disposition, Disposition::NotFound | Disposition::Fatal);
        self.failures += u32::from(refused || error.disposition == Disposition::Unknown);
        self.broken_off = (!refused && list.list.pages() > 0).then_some(list);
        (self.due.iter().copied().collect(), refused)
    }

    /// How long the middle one of the latest jobs took, once enough is known.
    pub(super) fn middle_job(&self) -> Option<Duration> {
        self.times.middle()
    }

    /// How long a change sleeps that the table lets sleep for `wait`: while it follows a job, by
    /// what jobs here take.
    pub(super) fn patience(
        &self,
        id: ChangeId,
        wait: Duration,
        now: Boot,
        timing: &Timing,
    ) -> Duration {
        let Some(since) = self.jobs.get(&id) else { return wait };
        self.times.patience(now.saturating_sub(since.boot), wait, timing)
    }
}

#[cfg(test)]
mod tests;
