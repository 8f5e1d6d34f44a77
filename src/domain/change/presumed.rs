//! Presumed jobs: a job that was adopted for a PUT in doubt because it was the only unexplained one
//! of its instance.
//!
//! Invariants: a presumed job only decides what its change asks next: it ends in the proxy's wanted
//! value, in the doubt from which it was adopted, or in a person's hands, never in a PUT and never
//! in a failure; a job that is set aside is not adopted again, and stays listed as presumed.
//!
//! Deliberately not here: which jobs may be the one that is sought (`domain::job_match`), and the
//! names that rule a job out (`cloud::job_names`).

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{ChangeStep, Decision, How, JOBS_MAX, ReasonWord, Record, State};
use crate::domain::call::JobSeen;
use crate::domain::id::JobId;

/// Presumed jobs that one change holds; when as many were set aside, a person decides. A record
/// stays small by it.
pub const PRESUMED_MAX: usize = 8;

/// What is kept of jobs that may be other people's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presumed {
    /// The doubt in which the latest was adopted: [`State::Recovering`] as it was, to go back to.
    pub doubt: State,
    /// The jobs, oldest first; each is in [`Record::jobs`] too.
    pub jobs: Vec<JobId>,
    /// Whether the latest is called the switch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named: bool,
}

/// Whether a job's name says that it switches SSL. The vendor publishes no name for the switch of a
/// proxy; the one that it has for an instance, and no other one, speaks of SSL.
fn is_switch(name: &str) -> bool {
    name.to_ascii_lowercase().contains("ssl")
}

impl Record {
    /// Whether this job of the change may be somebody else's.
    pub fn presumes(&self, job: &JobId) -> bool {
        self.presumed.as_ref().is_some_and(|presumed| presumed.jobs.contains(job))
    }

    /// The job is the change's own, or no longer among its jobs.
    pub(super) fn not_presumed(&mut self, job: &JobId) {
        if let Some(presumed) = &mut self.presumed {
            presumed.jobs.retain(|other| other != job);
            if presumed.jobs.is_empty() {
                self.presumed = None;
            }
        }
    }

    /// Adds a job id, and lets the oldest go where there are too many.
    pub(super) fn add_job(&mut self, job: &JobId) {
        if self.jobs.len() == JOBS_MAX {
            let oldest = self.jobs.remove(0);
            self.not_presumed(&oldest);
        }
        self.jobs.push(job.clone());
    }

    fn presume(&mut self, doubt: State, seen: &JobSeen) {
        let mut jobs = self.presumed.take().map(|presumed| presumed.jobs).unwrap_or_default();
        jobs.retain(|job| *job != seen.job);
        if jobs.len() == PRESUMED_MAX {
            let oldest = jobs.remove(0);
            self.jobs.retain(|job| *job != oldest);
        }
        jobs.push(seen.job.clone());
        self.presumed = Some(Box::new(Presumed { doubt, jobs, named: is_switch(&seen.name) }));
    }
}

impl ChangeStep<'_> {
    /// The one unexplained job of the instance is followed as if it were the change's own.
    pub(super) fn adopt_only(&self, seen: &JobSeen) -> Decision {
        let mut doubt = self.change.record.state.clone();
        if let State::Recovering { candidates, .. } = &mut doubt {
            *candidates = None;
        }
        let mut decision = self.follow(
            &seen.job,
            &format!("presumed, the one unexplained job of the instance: {seen}"),
        );
        decision.record.presume(doubt, seen);
        decision
    }

    /// Whether the job that the change follows, or whose end it verifies, may be somebody else's.
    pub(super) fn presumes(&self) -> bool {
        let record = &self.change.record;
        match &record.state {
            State::Following { job } | State::Verifying { job: Some(job) } => record.presumes(job),
            // Of a presumed job that failed, nothing is verified.
            State::Verifying { job: None } => record.presumed.is_some(),
            _ => false,
        }
    }

    /// The proxy shows the wanted value after a job's end: how the change came to it, and what that
    /// makes of a presumed job.
    pub(super) fn met(&self, shows: impl Fn(How) -> Decision) -> Decision {
        let record = &self.change.record;
        let (State::Verifying { job }, true) = (&record.state, self.presumes()) else {
            return shows(How::Switched);
        };
        match (job, &record.presumed) {
            (Some(job), Some(presumed)) if presumed.named && presumed.jobs.last() == Some(job) => {
                let mut decision = shows(How::Switched);
                decision.record.not_presumed(job);
                decision
            }
            _ => shows(How::SwitchedJobUnknown),
        }
    }

    /// The presumed job is over and the proxy does not show the wanted value: it was not the job
    /// that is sought.
    pub(super) fn set_aside(&self, what: &str) -> Option<Decision> {
        let presumed = self.change.record.presumed.as_ref().filter(|_| self.presumes())?;
        let count = presumed.jobs.len();
        if count >= PRESUMED_MAX {
            let message = format!("{what}, after {count} jobs that were presumed to be its own");
            return Some(self.quarantine(ReasonWord::Unreadable, message));
        }
        let back = self.to(presumed.doubt.clone());
        Some(back.after(self.ctx.timing.settle, format!("the presumed job is set aside: {what}")))
    }
}
