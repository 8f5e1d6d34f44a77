//! Which jobs of the cloud's list may be the one whose id was lost.
//!
//! Job: say for which span the list is asked, whether that span is known to hold the job, and which
//! of the jobs that the list names for an instance the PUT in doubt may have made.
//!
//! Invariants: a job that it may have made is never left out. The cloud dates and filters jobs by
//! its own clock, so every span here is in cloud time. "No job of ours" is concluded only from a
//! list whose span is known to cover the time at which the cloud would have dated it
//! ([`JobSearchBounds::is_covered_by`]). Jobs that are explained, whose ids we hold, are not it;
//! and of one instance one change is active at a time, whose PUT leaves only after every PUT before
//! it has its job id or is known to have made no job. So what the cloud made before a job that is
//! explained is older than the PUT in doubt, whoever made it, and need not be explained itself: of
//! an instance with many proxies only the latest job ids are kept.
//!
//! Deliberately not here: reading the list to its end (`engine::core::job_search`), and what one
//! candidate, none or many lead to (`domain::change`).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::call::JobSeen;
use super::cloud_clock::TimeSpan;
use super::id::JobId;

/// How far apart the cloud may date two jobs in the wrong order: it dates by the second, and on
/// more than one machine. Far less than two switches of one instance one after the other take.
pub const DATED_WITHIN: Duration = Duration::from_secs(5);

/// The list is asked for so much more before the PUT and after the present: far more than the
/// clocks of one cloud differ.
pub const ASKED_AROUND: Duration = Duration::from_secs(20 * 60);

/// A job dated so far outside the time of the PUT may still be its job; one further away is not.
pub const JUDGED_AROUND: Duration = Duration::from_secs(60);

/// Longest span after the PUT for which the list is asked. A call in doubt lands within minutes;
/// the wide end keeps a daemon that was down for days from reading days of jobs. It also covers a
/// cloud whose filter means the end of a job: no job of this kind is known to take longer.
pub const ASKED_AFTER_MAX: Duration = Duration::from_secs(2 * 60 * 60);

/// What is known of a PUT in doubt and of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobSearchBounds {
    /// When the intent was committed, by our wall clock then.
    pub sent: Timestamp,
    /// The same by the cloud's clock, as it was known then.
    pub cloud: Option<TimeSpan>,
    /// Our wall clock now.
    pub now: Timestamp,
    /// The cloud's clock now; `None`: its answers do not tell it.
    pub cloud_now: Option<TimeSpan>,
}

impl JobSearchBounds {
    /// When the intent was committed by the cloud's clock: as recorded then, and as both clocks
    /// stand now. The two differ if one of the clocks was set in between, and then both are held.
    /// Without a record (an older daemon made none) our own reading counts too. `None`: nobody
    /// knows, because the cloud tells no time.
    pub fn dated(&self) -> Option<TimeSpan> {
        // Where our own clock was set back in between, it does not tell how long ago that was: not
        // later than now.
        let since = self.now.duration_until(self.sent).min(SignedDuration::ZERO);
        let by_now = self.cloud_now?.shifted(since);
        Some(by_now.hull(self.cloud.unwrap_or(TimeSpan::at(self.sent))))
    }

    /// For which span the list of jobs is asked.
    pub fn asked(&self) -> TimeSpan {
        let sent = self.dated().unwrap_or_else(|| {
            TimeSpan::at(self.sent).hull(self.cloud.unwrap_or(TimeSpan::at(self.sent)))
        });
        let now = self.cloud_now.map_or(self.now, |now| now.to).max(sent.to);
        let latest = sent.to.saturating_add(signed(ASKED_AFTER_MAX)).unwrap_or(Timestamp::MAX);
        let around = TimeSpan { from: sent.from, to: now }.widened(ASKED_AROUND);
        TimeSpan { from: around.from, to: around.to.min(latest) }.whole_seconds()
    }

    /// Whether a list of this span is known to hold the job, if there is one.
    pub fn is_covered_by(&self, asked: TimeSpan) -> bool {
        self.dated().is_some_and(|dated| {
            let needed = dated.widened(JUDGED_AROUND);
            asked.from <= needed.from && needed.to <= asked.to
        })
    }

    /// The span in which the cloud dated the job, if there is one; `None`: any.
    pub fn judged(&self) -> Option<TimeSpan> {
        let (dated, now) = (self.dated()?, self.cloud_now?);
        Some(TimeSpan { from: dated.from, to: dated.to.max(now.to) }.widened(JUDGED_AROUND))
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// The jobs of these that may be the one that is sought, each once and in the order of their ids;
/// `explained` tells which are known to be of another PUT.
pub fn unexplained(
    seen: Vec<JobSeen>,
    explained: impl Fn(&JobId) -> bool,
    doubt: &JobSearchBounds,
) -> Vec<JobSeen> {
    let (ours, others): (Vec<JobSeen>, Vec<JobSeen>) =
        seen.into_iter().partition(|seen| explained(&seen.job));
    let judged = doubt.judged();
    // Where the cloud's clock was set back before the PUT, an explained job is dated after it: then
    // only what is dated before the PUT itself is older.
    let sent = doubt.dated().map(|dated| dated.from);
    let newest = ours
        .iter()
        .filter_map(|seen| seen.created)
        .max()
        .map(|newest| sent.map_or(newest, |sent| newest.min(sent)));
    let from = newest.and_then(|newest| newest.checked_sub(DATED_WITHIN).ok());
    let older = |created: Timestamp| from.is_some_and(|from| created < from);
    let outside = |created: Timestamp| judged.is_some_and(|judged| !judged.contains(created));
    let may_be =
        |seen: &JobSeen| seen.created.is_none_or(|created| !older(created) && !outside(created));
    let mut jobs: Vec<JobSeen> = others.into_iter().filter(may_be).collect();
    jobs.sort_by(|one, other| one.job.cmp(&other.job));
    jobs.dedup_by(|one, other| one.job == other.job);
    jobs
}

#[cfg(test)]
mod tests;
