//! The question for a lost job id: page after page of the job list, then the jobs that are explained.
//!
//! Invariant: only a whole list is an answer; "no job of ours" is never concluded from a part of one.

use super::core::{Core, Owner};
use super::effect::{Effect, Query};
use super::work::Stage;
use crate::domain::call::{Call, CallError, Disposition, JobSeen};
use crate::domain::change::{Event, State};
use crate::domain::doubt::{Doubt, unexplained};
use crate::domain::id::{ChangeId, JobId};

/// Pages of the job list read for one question: 10,000 jobs. Longer lists are given up until the next try.
const JOB_PAGES_MAX: u32 = 200;

impl Core {
    /// One page of the job list: asks for the next, or, at the end, for the jobs that are explained.
    pub(super) fn gather(&mut self, id: ChangeId, call: &Call, jobs: Vec<JobSeen>, more: bool, out: &mut Vec<Effect>) {
        let Call::FindJobs { target, within, page } = call else { return };
        let Some(work) = self.work.get_mut(&id) else { return };
        let instance = work.change.target.instance_id;
        work.gathered.extend(jobs.into_iter().filter(|seen| seen.instance_id == instance));
        if more && *page >= JOB_PAGES_MAX {
            let message = format!("the job list is longer than {JOB_PAGES_MAX} pages");
            let error = CallError { disposition: Disposition::Unknown, retry_after: None, status: None, code: None, message };
            return self.decide_with(id, Event::Error(error), out);
        }
        if more {
            work.next_page = Some(Call::FindJobs { target: target.clone(), within: *within, page: page + 1 });
            return self.consider(id, out);
        }
        work.asked = Some(*within);
        let ticket = self.ticket(Owner::Change(id));
        self.set_stage(id, Stage::Reading);
        out.push(Effect::Read { ticket, query: Query::KnownJobs(instance) });
    }

    pub(super) fn questioned(&mut self, id: ChangeId, known: &[JobId], out: &mut Vec<Effect>) {
        let (cloud_now, _) = self.cloud_time(id);
        let now = self.now.wall;
        let Some(work) = self.work.get_mut(&id) else { return };
        let (seen, asked) = (std::mem::take(&mut work.gathered), work.asked.take());
        let (Some(asked), State::Recovering { sent, cloud, .. }) = (asked, &work.change.record.state) else {
            return self.stale(id);
        };
        let doubt = Doubt { sent: *sent, cloud: *cloud, now, cloud_now };
        let explained = |job: &JobId| known.contains(job) || work.change.record.jobs.contains(job);
        let jobs = unexplained(seen, explained, doubt.judged());
        self.decide_with(id, Event::Found { jobs, asked }, out);
    }
}
