//! The search for a lost job id: the pages of the job list, then the jobs that other changes
//! explain.
//!
//! Job: collect the jobs of the change's instance page by page, read from the store which of them
//! are explained, and decide with those that remain.
//!
//! Invariant: only a whole list is an answer; "no job of ours" is never concluded from a part of
//! one. A page that failed is asked for again, and what was read before it is kept.
//!
//! Deliberately not here: how pages follow one another (`engine::paged_list`), and which of the
//! jobs is the lost one (`domain::job_match`).

use super::Core;
use super::tickets::Owner;
use super::work::{JobSearch, WorkStage};
use crate::domain::call::{Call, CallError, Disposition, JobSeen, JobsPage};
use crate::domain::change::{AnswerEvent, Event, State};
use crate::domain::id::{ChangeId, JobId};
use crate::domain::job_match::{JobSearchBounds, unexplained};
use crate::engine::effect::{Effect, StoreQuery};
use crate::engine::paged_list::ListStep;

impl Core {
    /// One page of the job list: asks for the next, or, when the list is whole, for the jobs that
    /// are explained.
    pub(super) fn gather(
        &mut self,
        id: ChangeId,
        call: &Call,
        jobs: Vec<JobSeen>,
        page: &JobsPage,
        out: &mut Vec<Effect>,
    ) {
        if !matches!(call, Call::FindJobs { .. }) {
            return;
        }
        let Some(work) = self.work.get_mut(&id) else { return };
        let instance = work.change().target.instance_id;
        let question = work.question().get_or_insert_with(|| JobSearch::new(call.clone()));
        question.jobs.extend(jobs.into_iter().filter(|seen| seen.instance_id == instance));
        match question.list.read(page) {
            ListStep::Whole => {
                let ticket = self.ticket(Owner::Change(id));
                self.set_stage(id, WorkStage::Reading);
                return out.push(Effect::Read { ticket, query: StoreQuery::KnownJobs(instance) });
            }
            ListStep::More => return self.consider(id, out),
            ListStep::Part => {}
        }
        let message = question.list.to_string();
        *work.question() = None;
        self.count("list_not_whole");
        let error = CallError {
            disposition: Disposition::Unknown,
            retry_after: None,
            status: None,
            code: None,
            request_id: None,
            message,
        };
        self.decide_with(id, Event::Answer(AnswerEvent::Error(error)), out);
    }

    pub(super) fn questioned(&mut self, id: ChangeId, known: &[JobId], out: &mut Vec<Effect>) {
        let (cloud_now, _) = self.cloud_time(id);
        let now = self.now.wall;
        let Some(work) = self.work.get_mut(&id) else { return };
        let question = work.question().take();
        let (Some(JobSearch { list, jobs }), State::Recovering { sent, cloud, .. }) =
            (question, work.state())
        else {
            return self.stale(id);
        };
        let Call::FindJobs { within, .. } = list.call() else { return self.stale(id) };
        // What was set aside is not sought again; nor does it date what is sought, for it may be
        // the younger one.
        let jobs =
            jobs.into_iter().filter(|seen| !work.change().record.presumes(&seen.job)).collect();
        let doubt = JobSearchBounds { sent: *sent, cloud: *cloud, now, cloud_now };
        let explained =
            |job: &JobId| known.contains(job) || work.change().record.jobs.contains(job);
        let jobs = unexplained(jobs, explained, &doubt);
        self.decide_with(id, Event::Answer(AnswerEvent::Found { jobs, asked: within }), out);
    }
}

#[cfg(test)]
mod tests;
