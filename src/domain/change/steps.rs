//! The steps that the table names: each makes the next record, the call and the wake.
//!
//! Invariant: a step that changes the record gives it the next version; a PUT is made by
//! `inspected` alone.
//!
//! Deliberately not here: which step an event leads to (`table`).

use std::time::Duration;

use jiff::Timestamp;

use super::{
    BUSY_WAITS_MAX, Change, Clearance, Context, Decision, Event, HELD_LOOK, How, LOOKS_MAX, Reason,
    ReasonWord, Record, Setbacks, Stale, State, Wake,
};
use crate::domain::call::{Call, CallError, Disposition, JobSeen, JobView, ProxyStatus, ProxyView};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::count::count;
use crate::domain::id::JobId;
use crate::domain::job_match::JobSearchBounds;
use crate::domain::proof::Endpoint;
use crate::domain::window::Opening;

/// What a look showed, for people.
fn what(view: Option<&ProxyView>) -> String {
    match view {
        Some(view) => {
            format!(
                "the proxy is {}, ssl_option {}",
                view.word,
                view.ssl_option.map_or("unknown".to_owned(), |on| on.to_string())
            )
        }
        None => "the proxy is not listed".to_owned(),
    }
}

/// One decision in the making.
pub(super) struct ChangeStep<'a> {
    pub(super) change: &'a Change,
    pub(super) ctx: &'a Context<'a>,
    /// Those of the next record.
    pub(super) setbacks: Option<Box<Setbacks>>,
}

/// A record in the making; finished by saying what comes next.
pub(super) struct NextRecord<'a> {
    pub(super) was: &'a Record,
    pub(super) record: Record,
}

impl NextRecord<'_> {
    pub(super) fn finish(mut self, call: Option<Call>, wake: Wake, why: String) -> Decision {
        if self.record != *self.was {
            self.record.version += 1;
        }
        Decision { record: self.record, call, probe: None, wake, why }
    }
    pub(super) fn call(self, call: Call, why: &str) -> Decision {
        self.finish(Some(call), Wake::Never, why.into())
    }
    pub(super) fn now(self, why: &str) -> Decision {
        self.finish(None, Wake::In(Duration::ZERO), why.into())
    }
    pub(super) fn probe(self, endpoint: &Endpoint, why: &str) -> Decision {
        Decision { probe: Some(endpoint.clone()), ..self.finish(None, Wake::Never, why.into()) }
    }
    pub(super) fn after(self, wait: Duration, why: impl Into<String>) -> Decision {
        self.finish(None, Wake::In(wait), why.into())
    }
    pub(super) fn never(self, why: impl Into<String>) -> Decision {
        self.finish(None, Wake::Never, why.into())
    }
}

impl<'a> ChangeStep<'a> {
    pub(super) fn new(change: &'a Change, event: &Event, ctx: &'a Context<'a>) -> Self {
        Self { change, ctx, setbacks: Setbacks::after(change, event) }
    }

    pub(super) fn stay(&self) -> NextRecord<'a> {
        NextRecord { was: &self.change.record, record: self.change.record.clone() }
    }

    pub(super) fn to(&self, state: State) -> NextRecord<'a> {
        let setbacks = self.setbacks.clone();
        NextRecord {
            was: &self.change.record,
            record: Record { state, setbacks, ..self.change.record.clone() },
        }
    }

    pub(super) fn inspect(&self) -> Call {
        Call::Inspect { target: self.change.target.clone() }
    }

    pub(super) fn show_job(&self, job: &JobId) -> Call {
        Call::Follow { target: self.change.target.clone(), job: job.clone() }
    }

    pub(super) fn doubt(&self, sent: Timestamp, cloud: Option<TimeSpan>) -> JobSearchBounds {
        JobSearchBounds { sent, cloud, now: self.ctx.now, cloud_now: self.ctx.cloud }
    }

    pub(super) fn desired(&self, view: &ProxyView) -> bool {
        view.status == ProxyStatus::Idle && view.ssl_option == Some(self.change.desired)
    }

    /// Waits that grow by half with every look, from `poll` to `poll_max`.
    pub(super) fn poll(&self, looks: u32) -> Duration {
        let mut wait = self.ctx.timing.poll;
        for _ in 0..looks.min(32) {
            wait = (wait + wait / 2).min(self.ctx.timing.poll_max);
        }
        wait.min(self.ctx.timing.poll_max)
    }

    pub(super) fn next_poll(&self, why: impl Into<String>) -> Decision {
        self.stay().after(self.poll(self.ctx.looks), why)
    }

    pub(super) fn ready(&self) -> Decision {
        match self.ctx.gate {
            Clearance::Withdrawn => return self.withdrawn(),
            Clearance::Held => return self.to(State::Queued).never("held by the rollout"),
            Clearance::Open => {}
        }
        match &self.ctx.window {
            // Its place in flight is kept, as by one that waits for its lane's quota.
            Opening::Open { .. } if let Some(why) = self.held_by_lane() => {
                self.stay().after(HELD_LOOK, why)
            }
            Opening::Open { .. } => match &self.change.record.adopted {
                Some(job) => self.follow(job, "the job that a person named"),
                None => {
                    self.to(State::Inspecting).call(self.inspect(), "the check before the switch")
                }
            },
            // A place in flight and an instance are not kept over a closed window; the rollout
            // releases it again.
            Opening::Shut { .. } => self.to(State::Queued).never("the window is shut"),
        }
    }

    /// What begins here may lead to a PUT, and its lane takes none.
    pub(super) fn held_by_lane(&self) -> Option<&'static str> {
        self.ctx.lane_held.filter(|_| !self.ctx.survey && self.change.record.adopted.is_none())
    }

    pub(super) fn inspected(&self, view: Option<&ProxyView>) -> Decision {
        if let Some(left) = self.left_alone(view) {
            return left;
        }
        let Some(view) = view else {
            return self.fail(ReasonWord::NotFound, "the instance has no such proxy".into());
        };
        if self.desired(view) {
            // No job of ours was seen to complete, or it would have been found in `Verifying`.
            let how = if self.sent_any() { How::SwitchedJobUnknown } else { How::AlreadyRight };
            return self.shows(view, how, "the proxy shows the wanted value");
        }
        if let Some(skipped) = self.not_as_seen(view) {
            return skipped;
        }
        let mut ready = self.to(State::Ready);
        ready.record.misses = 0;
        match view.status {
            ProxyStatus::Faulty => {
                return self.fail(ReasonWord::Faulty, format!("the proxy is {}", view.word));
            }
            ProxyStatus::Busy => return self.busy(ready, format!("the proxy is {}", view.word)),
            ProxyStatus::Idle => {}
        }
        if self.ctx.survey {
            return self.surveyed(view);
        }
        if self.ctx.gate != Clearance::Open || matches!(self.ctx.window, Opening::Shut { .. }) {
            return ready.now("gate or window shut meanwhile");
        }
        if let Some(why) = self.held_by_lane() {
            return ready.after(HELD_LOOK, why);
        }
        let attempts = self.change.record.attempts;
        if attempts >= self.ctx.retry.max_attempts {
            // No way leads here; yet this is the last place that can keep a record from
            // overspending.
            return self.fail(
                ReasonWord::AttemptsSpent,
                format!("{} spent", count(attempts, "attempt is", "attempts are")),
            );
        }
        let mut next = self.to(State::Submitting {
            sent: self.ctx.now,
            cloud: self.ctx.cloud.map(TimeSpan::whole_seconds),
        });
        match &mut next.record.undo {
            Some(undo) => undo.puts = undo.puts.saturating_add(1),
            None if attempts == 0 => next.record.before = view.ssl_option,
            None => {}
        }
        next.record.attempts = attempts + 1;
        next.record.misses = 0;
        next.record.shown = None;
        next.call(
            Call::Submit { target: self.change.target.clone(), ssl_option: self.change.desired },
            "switch",
        )
    }

    /// Compare, then set: a proxy that is not as whoever said yes to the plan saw it is left to a
    /// person. Once a PUT of ours was sent, the comparison was made; and the wanted value, shown
    /// while other work is on, only needs a wait.
    pub(super) fn not_as_seen(&self, view: &ProxyView) -> Option<Decision> {
        let record = &self.change.record;
        let fresh = record.undo.is_none()
            && record.attempts == 0
            && view.ssl_option != Some(self.change.desired);
        let seen =
            self.change.target.seen.filter(|seen| fresh && view.ssl_option != Some(*seen))?;
        let shows = view
            .ssl_option
            .map_or_else(|| "does not tell it".to_owned(), |value| format!("shows {value}"));
        let why = format!(
            "the list of targets was made when ssl_option was {seen}, and now the proxy {shows}: somebody changed it since"
        );
        Some(self.skip(ReasonWord::NotAsSeen, why))
    }

    /// Its plan only looks, and the proxy is idle without the wanted value: nothing is ever sent.
    pub(super) fn surveyed(&self, view: &ProxyView) -> Decision {
        match view.ssl_option {
            Some(value) => self
                .skip(ReasonWord::Drifted, format!("drifted: the proxy shows ssl_option {value}")),
            None => self.fail(
                ReasonWord::Unreadable,
                "the cloud does not tell ssl_option: whether it drifted is not known".into(),
            ),
        }
    }

    pub(super) fn inspect_failed(&self, error: &CallError) -> Decision {
        match error.disposition {
            Disposition::Withheld
            | Disposition::Throttled
            | Disposition::Unauthorised
            | Disposition::Misdated => self.to(State::Ready).now(&error.message),
            Disposition::Busy => self.busy(self.to(State::Ready), error.message.clone()),
            Disposition::NotDone | Disposition::Unknown => {
                let mut next = self.to(State::Ready);
                next.record.misses = next.record.misses.saturating_add(1);
                let misses = next.record.misses;
                if misses >= LOOKS_MAX {
                    let what = format!(
                        "the check before the switch failed {misses} times in a row, the last: {}",
                        error.message
                    );
                    return self.fail(ReasonWord::Unreadable, what);
                }
                let wait = self.ctx.retry.delay(u32::from(misses), self.change.id);
                next.after(wait, error.message.clone())
            }
            Disposition::NotFound => self.fail(ReasonWord::NotFound, error.message.clone()),
            Disposition::Fatal => self.fail(ReasonWord::Refused, error.message.clone()),
        }
    }

    pub(super) fn submit_failed(
        &self,
        sent: Timestamp,
        cloud: Option<TimeSpan>,
        error: &CallError,
    ) -> Decision {
        match error.disposition {
            Disposition::Withheld
            | Disposition::Throttled
            | Disposition::Unauthorised
            | Disposition::Misdated => self.unspent().now(&error.message),
            Disposition::Busy => self.busy(self.unspent(), error.message.clone()),
            Disposition::NotDone => self.again(&error.message),
            Disposition::Unknown => self.in_doubt(sent, cloud, error.message.clone()),
            Disposition::NotFound => self.fail(ReasonWord::NotFound, error.message.clone()),
            Disposition::Fatal => self.fail(ReasonWord::Refused, error.message.clone()),
        }
    }

    /// Back to `Ready` with the attempt given back: the PUT surely was not executed and it was not
    /// its fault.
    pub(super) fn unspent(&self) -> NextRecord<'a> {
        let mut next = self.to(State::Ready);
        next.record.attempts = next.record.attempts.saturating_sub(1);
        if let Some(undo) = &mut next.record.undo {
            undo.puts = undo.puts.saturating_sub(1);
        } else if next.record.attempts == 0 && next.record.jobs.is_empty() {
            // Nothing of ours reached the proxy: what stands there next is not our doing.
            next.record.before = None;
        }
        next
    }

    /// Whether a PUT of ours may ever have reached the proxy, in this life of the change or before
    /// a requeue.
    pub(super) fn sent_any(&self) -> bool {
        let record = &self.change.record;
        if let Some(undo) = &record.undo {
            return undo.puts > 0;
        }
        record.attempts > 0 || !record.jobs.is_empty() || record.before.is_some()
    }

    /// Other work is waited out, and named where the cloud tells its name.
    pub(super) fn busy(&self, mut next: NextRecord<'a>, what: String) -> Decision {
        let what = match self.ctx.occupied {
            Some(job) => format!("{what}; {job} runs on its instance"),
            None => what,
        };
        next.record.waits = next.record.waits.saturating_add(1);
        let waits = next.record.waits;
        if waits >= BUSY_WAITS_MAX {
            return self.fail(ReasonWord::Busy, format!("still busy after {waits} waits: {what}"));
        }
        next.after(self.poll(u32::from(waits)), what)
    }

    pub(super) fn again(&self, what: &str) -> Decision {
        let attempts = self.change.record.attempts;
        if attempts >= self.ctx.retry.max_attempts {
            let attempts = if attempts == 1 {
                "the only attempt".to_owned()
            } else {
                format!("{attempts} attempts, the last")
            };
            return self.fail(ReasonWord::AttemptsSpent, format!("{attempts}: {what}"));
        }
        let mut next = self.to(State::Ready);
        next.record.waits = 0;
        next.after(self.ctx.retry.delay(u32::from(attempts), self.change.id), what)
    }

    pub(super) fn in_doubt(
        &self,
        sent: Timestamp,
        cloud: Option<TimeSpan>,
        why: String,
    ) -> Decision {
        self.to(State::Recovering { sent, cloud, candidates: None, covered: false })
            .after(self.ctx.timing.settle, why)
    }

    /// The first question, never before `settle` has passed: a daemon that has just taken the
    /// change over cannot know when its PUT left, and waits from its own start.
    pub(super) fn question(&self, doubt: &JobSearchBounds) -> Decision {
        match self.ctx.timing.settle.checked_sub(self.ctx.waited) {
            Some(left) if !left.is_zero() => {
                self.stay().after(left, "what was sent may still be landing")
            }
            Some(_) | None => {
                let call = Call::FindJobs {
                    target: self.change.target.clone(),
                    within: doubt.asked(),
                    offset: 1,
                };
                self.stay().call(call, "the list of jobs is read")
            }
        }
    }

    pub(super) fn follow(&self, job: &JobId, why: &str) -> Decision {
        let mut next = self.to(State::Following { job: job.clone() });
        // The job that a person names may be one that was read before.
        let known = next.record.adopted.take().is_some() && next.record.jobs.contains(job);
        if known {
            next.record.not_presumed(job);
        } else {
            next.record.add_job(job);
        }
        next.record.waits = 0;
        next.after(self.ctx.timing.poll, why)
    }

    pub(super) fn found(
        &self,
        doubt: &JobSearchBounds,
        jobs: &[JobSeen],
        asked: TimeSpan,
    ) -> Decision {
        if let [seen] = jobs {
            return self.adopt_only(seen);
        }
        let (sent, cloud, candidates) =
            (doubt.sent, doubt.cloud, u16::try_from(jobs.len()).unwrap_or(u16::MAX));
        let covered = doubt.is_covered_by(asked);
        let next =
            self.to(State::Recovering { sent, cloud, candidates: Some(candidates), covered });
        next.call(self.inspect(), "the job list does not settle it")
    }

    pub(super) fn recovered(&self, view: Option<&ProxyView>) -> Decision {
        let State::Recovering { sent, cloud, candidates, covered } = self.change.record.state
        else {
            unreachable!("only a change in doubt is recovered");
        };
        if let Some(view) = view {
            if self.desired(view) && (covered || candidates != Some(0) || !self.may_be_covered()) {
                return self.shows(
                    view,
                    How::SwitchedJobUnknown,
                    "the proxy shows the wanted value; job id not recovered",
                );
            }
            let unchanged = view.status == ProxyStatus::Idle && view.ssl_option.is_some();
            if unchanged && candidates == Some(0) && covered {
                let why =
                    "not executed: the proxy is unchanged and the instance has no job of ours";
                return self.again(&self.with_cause(why));
            }
        }
        let what = what(view);
        if self.ctx.waited >= self.ctx.timing.recover_limit {
            let jobs = match candidates {
                Some(0) if !covered => {
                    "no unexplained job, but the cloud tells no time, so its list may miss ours"
                        .to_owned()
                }
                candidates => format!("{} unexplained jobs", candidates.unwrap_or(0)),
            };
            return self
                .quarantine(ReasonWord::Unreadable, self.with_cause(&format!("{what}; {jobs}")));
        }
        // Ask for the job again first: it may have become visible, and its id is worth having.
        self.to(State::Recovering { sent, cloud, candidates: None, covered: false })
            .after(self.poll(self.ctx.looks), what)
    }

    /// Whether a list that is asked for now is known to tell of the job, as the one before was not:
    /// the cloud's clock was set in between, and tells its time.
    fn may_be_covered(&self) -> bool {
        self.ctx.cloud.is_some() && self.ctx.waited < self.ctx.timing.recover_limit
    }

    pub(super) fn question_failed(&self, error: &CallError) -> Decision {
        if self.ctx.waited >= self.ctx.timing.recover_limit {
            let why = format!("the cloud could not be asked: {}", error.message);
            return self.quarantine(ReasonWord::Unreadable, self.with_cause(&why));
        }
        self.next_poll(error.message.clone())
    }

    pub(super) fn followed(&self, job: &JobId, view: &JobView) -> Decision {
        match view {
            JobView::Completed => self
                .to(State::Verifying { job: Some(job.clone()) })
                .call(self.inspect(), "the job completed"),
            JobView::Broken { reason } if self.presumes() => self
                .to(State::Verifying { job: None })
                .call(self.inspect(), &format!("the presumed job failed: {reason}")),
            JobView::Broken { reason } => self.again(&format!("the job failed: {reason}")),
            JobView::Running { .. } if self.ctx.waited >= self.ctx.timing.job_limit => self
                .quarantine(
                    ReasonWord::JobLimit,
                    format!("job {job} still runs after {} s", self.ctx.waited.as_secs()),
                ),
            JobView::Running { process } => self.next_poll(format!("running {process}")),
        }
    }

    pub(super) fn follow_failed(&self, job: &JobId, error: &CallError) -> Decision {
        // A new job stays invisible for several seconds, and one older than a month is forgotten.
        if error.disposition == Disposition::NotFound && self.ctx.waited >= self.ctx.timing.settle {
            return self
                .to(State::Verifying { job: Some(job.clone()) })
                .call(self.inspect(), "the cloud does not know the job any more");
        }
        if self.ctx.waited >= self.ctx.timing.job_limit {
            return self.quarantine(
                ReasonWord::JobLimit,
                format!("job {job} could not be read: {}", error.message),
            );
        }
        self.next_poll(error.message.clone())
    }

    pub(super) fn verified(&self, view: Option<&ProxyView>) -> Decision {
        let late = self.ctx.waited >= self.ctx.verify_timeout;
        if let Some(view) = view.filter(|view| self.desired(view)) {
            return self.met(|how| self.shows(view, how, "the proxy shows the wanted value"));
        }
        if late && let Some(set_aside) = self.set_aside(&what(view)) {
            return set_aside;
        }
        match view {
            Some(view) if late && view.ssl_option.is_none() => self.quarantine(
                ReasonWord::Unreadable,
                "the job completed, and the cloud does not tell ssl_option".into(),
            ),
            Some(view) if late => {
                let value =
                    if view.ssl_option == Some(self.change.desired) { "wanted" } else { "other" };
                self.fail(
                    ReasonWord::Unverified,
                    format!(
                        "the job completed, and the proxy is {} with the {value} value",
                        view.word
                    ),
                )
            }
            None if late => self.fail(
                ReasonWord::NotFound,
                "the job completed, and the proxy is not listed".into(),
            ),
            Some(view) => self.next_poll(format!("the proxy is {}", view.word)),
            None => self.next_poll("the proxy is not listed"),
        }
    }

    pub(super) fn verify_failed(&self, error: &CallError) -> Decision {
        if self.ctx.waited >= self.ctx.timing.recover_limit.max(self.ctx.verify_timeout) {
            return self.quarantine(
                ReasonWord::Unreadable,
                format!("the proxy could not be looked at: {}", error.message),
            );
        }
        self.next_poll(error.message.clone())
    }

    /// Its rollout is being put back, and it is not: it goes no way any more.
    pub(super) fn left_behind(&self) -> bool {
        self.ctx.gate == Clearance::Withdrawn && self.change.record.undo.is_none()
    }

    pub(super) fn give_up(&self, why: &str) -> Result<Decision, Stale> {
        // What failed before a revert began is counted as it stood then.
        if self.left_behind() {
            Err(Stale)
        } else {
            Ok(self.fail(ReasonWord::GivenUp, why.to_owned()))
        }
    }

    pub(super) fn requeue(&self) -> Result<Decision, Stale> {
        if self.left_behind() {
            return Err(Stale);
        }
        let mut next = self.to(State::Queued);
        next.record.attempts = 0;
        next.record.waits = 0;
        next.record.misses = 0;
        next.record.setbacks = None;
        Ok(next.never("tried again on request"))
    }

    /// As a retry, but the job is followed first, before anything is sent again. It waits for its
    /// release as all do, so that no limit is passed by.
    pub(super) fn adopt(&self, job: &JobId) -> Result<Decision, Stale> {
        let mut decision = self.requeue()?;
        // One PUT is known to have been taken.
        decision.record.attempts = self.change.record.attempts.min(1);
        decision.record.setbacks = self.setbacks.clone();
        decision.record.adopted = Some(job.clone());
        decision.why = format!("a person named job {job}");
        Ok(decision)
    }

    pub(super) fn done(&self, how: How, why: &str) -> Decision {
        let state = if self.change.record.undo.is_some() {
            State::Reverted { how }
        } else {
            State::Succeeded { how }
        };
        self.to(state).never(why)
    }

    pub(super) fn fail(&self, word: ReasonWord, message: String) -> Decision {
        let why = message.clone();
        self.to(State::Failed { reason: Reason { word, message } }).never(why)
    }

    pub(super) fn quarantine(&self, word: ReasonWord, message: String) -> Decision {
        let why = message.clone();
        self.to(State::InDoubt { reason: Reason { word, message } }).never(why)
    }
}
