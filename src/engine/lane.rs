//! One lane's traffic: its queue, its permits, and what holds it.
//!
//! Job: give a permit or say when the next may be had, count what is in flight, pause, and learn
//! the account's ceiling.
//!
//! Invariants: at most the lane's quota leaves in any interval, and no more of it than its account
//! was seen to give (`domain::quota`, the promise; `domain::ceiling`, what was learnt); calls are
//! spread evenly before that (`governor`, the spacing); a pause that the cloud asks for stops the
//! whole lane and costs no change an attempt.
//!
//! Deliberately not here: which call a change makes (`domain::change`), and who goes first
//! (`engine::fair_queue`).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};

use serde::{Deserialize, Serialize};

use super::busy_instances::BusyInstances;
use super::fair_queue::FairQueue;
use super::followed::Followed;
use super::keeping::Keeping;
use super::proxy_cache::ProxyCache;
use crate::domain::call::{CallError, Disposition};
use crate::domain::ceiling::Ceiling;
use crate::domain::id::Name;
use crate::domain::lane::Lane;
use crate::domain::person::Attribution;
use crate::domain::quota::{Boot, Quota, SlidingCount};

/// How much lateness of a busy host is made up for, so that late timers do not eat the quota; the
/// sliding count keeps the promise meanwhile.
const LATENESS_MADE_UP: Duration = Duration::from_millis(25);

/// First and longest pause when the cloud throttles without saying for how long, or cannot be
/// reached.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Pause after refused credentials: an access key is locked after five refusals in a row, so we
/// stay far below.
const PAUSE_CREDENTIALS: Duration = Duration::from_secs(60);

/// A lane that was out of reach so often in a row is down.
const OUT_OF_REACH_MAX: u32 = 3;

/// A mark is raised by a quarter of what is unsettled, and by so many calls at least: a lane that
/// fills up to a thousand calls writes it some twenty times in its life, and what a kill costs is
/// at most a quarter too much.
const MARK_STEP_MIN: u32 = 4;

/// A lane at work.
pub(super) struct LaneState {
    pub(super) lane: Lane,
    /// A lane before it reaches the same project: its PUTs are held.
    shares: Option<Name>,
    pub(super) line: FairQueue,
    count: SlidingCount,
    ceiling: Option<Ceiling>,
    pace: Option<Pace>,
    /// Changes past `Ready` and not settled.
    in_flight: u32,
    paused: Option<Paused>,
    /// Until then calls of the process before us may fill the quota: it left no count.
    assumed: Boot,
    /// Calls that may be unsettled at once, as the mark on disk has it (`engine::core::marks`).
    marked: u32,
    /// When the lane, refused a permit, may have the next.
    free_at: Option<Boot>,
    /// What lists of proxies told of late.
    pub(super) fresh: ProxyCache,
    /// The jobs that are followed.
    pub(super) followed: Followed,
    /// What its instances are busy with.
    pub(super) occupied: BusyInstances,
    /// Pauses in a row, for growing waits.
    pauses: u32,
    /// Paused by a person, until one resumes it.
    paused_by: Option<Attribution>,
    /// When a call last went through.
    good_at: Option<Boot>,
    /// Whether its calls are ours to make.
    pub(super) keeping: Keeping,
}

#[derive(Debug, Clone)]
pub(super) struct Paused {
    pub(super) since: Boot,
    pub(super) until: Boot,
    pub(super) why: String,
    /// The credentials were refused.
    pub(super) refused: bool,
    /// No answer came at all.
    pub(super) out_of_reach: bool,
}

/// Why no call may leave now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotYet {
    /// Not before this instant.
    Until(Boot),
    /// Not before an answer is in.
    Answer,
}

/// What one process leaves to the next one of a lane's quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    pub lane: Name,
    endpoint: String,
    project_id: String,
    #[serde(flatten)]
    past: Past,
}

/// How much is known of the calls before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Past {
    /// All: it ended in peace.
    Whole { count: Box<SlidingCount>, ceiling: Option<Ceiling> },
    /// It may have been killed at any moment: no more than so many of its calls may still arrive.
    Marked { out: u32 },
}

impl Level {
    /// Whether it has the count of a process that ended in peace, good on the same machine since
    /// the same boot.
    pub fn is_whole(&self) -> bool {
        matches!(self.past, Past::Whole { .. })
    }
}

/// How a lane stands to its quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaStanding {
    /// The configured quota, headroom taken off.
    pub quota: Quota,
    /// Calls in one interval that the account was seen to give; the quota's `requests` while
    /// nothing else was learnt.
    pub ceiling: u32,
    /// Calls of the last interval, with those that are out.
    pub used: u32,
    /// Calls of the last interval that the cloud refused for its quota.
    pub refused: u32,
}

impl LaneState {
    pub(super) fn new(lane: Lane, spent: bool, now: Boot) -> Self {
        let mut state = Self {
            ceiling: lane.quota.map(Ceiling::new),
            pace: lane.quota.map(|quota| Pace::new(period(quota, quota.requests))),
            lane,
            shares: None,
            line: FairQueue::default(),
            count: SlidingCount::fresh(None),
            in_flight: 0,
            paused: None,
            assumed: Duration::ZERO,
            marked: 0,
            free_at: None,
            fresh: ProxyCache::default(),
            followed: Followed::default(),
            occupied: BusyInstances::default(),
            pauses: 0,
            paused_by: None,
            good_at: None,
            keeping: Keeping::alone(),
        };
        if spent {
            state.spend(None, now + state.lane.timing.settle, now);
        } else {
            state.count = SlidingCount::fresh(state.lane.quota);
        }
        state
    }

    /// Takes the quota for used by whoever made the calls before us, of which at most `out` may
    /// still arrive, until `gone`. Calls of ours that are out stay so.
    fn spend(&mut self, out: Option<u32>, gone: Boot, now: Boot) {
        let quota = self.lane.quota;
        let ours = self.count.out();
        self.count = SlidingCount::spent(quota, out, now, gone).with_out(ours);
        self.marked = self.count.unsettled(now);
        self.assumed = match (quota, self.count.clone().take(now, u32::MAX)) {
            (Some(_), Err(Some(free))) => free,
            _ => now,
        };
    }

    /// Goes on from what the process before us has left: on this machine and since this boot, where
    /// it is whole.
    pub(super) fn resume(&mut self, level: Level, now: Boot) {
        let (quota, access) = (self.lane.quota, &self.lane.access);
        if level.endpoint != access.endpoint || level.project_id != access.project_id.to_string() {
            // The name went to another account.
            return;
        }
        match level.past {
            // What it sent may be landing for as long as what we give up.
            Past::Marked { out } => self.spend(Some(out), now + self.lane.timing.settle, now),
            Past::Whole { count, ceiling } => {
                self.count = *count;
                self.ceiling = ceiling;
                self.assumed = now;
                self.change_quota(quota, now);
                self.marked = self.count.unsettled(now);
                self.respace();
            }
        }
    }

    /// What there is to go on from. Nothing may be out.
    pub(super) fn level(&self) -> Level {
        self.left(Past::Whole {
            count: Box::new(self.count.clone()),
            ceiling: self.ceiling.clone(),
        })
    }

    /// What there is to go on from after a kill.
    pub(super) fn mark(&self) -> Level {
        self.left(Past::Marked { out: self.marked })
    }

    fn left(&self, past: Past) -> Level {
        let Lane { name, access, .. } = &self.lane;
        Level {
            lane: name.clone(),
            endpoint: access.endpoint.clone(),
            project_id: access.project_id.to_string(),
            past,
        }
    }

    /// Whether more calls may still arrive than the mark on disk says. Without a quota nothing is
    /// counted.
    pub(super) fn exceeds_mark(&self, now: Boot) -> bool {
        self.lane.quota.is_some() && self.count.unsettled(now) > self.marked
    }

    /// Raises the mark above the calls that may still arrive, and by some more, so that it is
    /// seldom written.
    pub(super) fn raise_mark(&mut self, now: Boot) {
        let unsettled = self.count.unsettled(now);
        if unsettled > self.marked {
            self.marked = unsettled.saturating_add((unsettled / 4).max(MARK_STEP_MIN));
        }
    }

    /// The lane is ours from now on. What its keeper before us sent is not known; if that one did
    /// not give the lane up, calls of it may be out.
    pub(super) fn inherit(&mut self, killed: bool, now: Boot) {
        let out = if killed { None } else { Some(0) };
        self.spend(out, now + self.lane.call_timeout + self.lane.timing.settle, now);
    }

    /// Until when the lane sends nothing because of what the process before us may have sent.
    pub(super) fn assumed(&self, now: Boot) -> Option<Boot> {
        Some(self.assumed).filter(|until| now < *until)
    }

    /// Another quota is in force, over what was sent before, too.
    pub(super) fn change_quota(&mut self, quota: Option<Quota>, now: Boot) {
        self.lane.quota = quota;
        self.count.change(quota, now);
        match (&mut self.ceiling, quota) {
            (Some(ceiling), Some(quota)) if ceiling.quota() != quota => ceiling.change(quota),
            (Some(_), Some(_)) => {}
            (ceiling, quota) => *ceiling = quota.map(Ceiling::new),
        }
        self.respace();
    }

    /// Spreads calls over the interval as the ceiling now is.
    fn respace(&mut self) {
        let Some(ceiling) = &self.ceiling else {
            self.pace = None;
            return;
        };
        let period = period(ceiling.quota(), ceiling.allowed());
        match &mut self.pace {
            Some(pace) => pace.respace(period),
            None => self.pace = Some(Pace::new(period)),
        }
    }

    /// How the lane stands to its quota; `None` without one.
    pub(super) fn standing(&self, now: Boot) -> Option<QuotaStanding> {
        let ceiling = self.ceiling.as_ref()?;
        let used = self.count.back_of_late(now).saturating_add(self.count.out());
        Some(QuotaStanding {
            quota: ceiling.quota(),
            ceiling: ceiling.allowed(),
            used,
            refused: ceiling.refused_of_late(now),
        })
    }

    /// How long so many calls take at the lane's pace; nothing without a quota.
    pub(super) fn time_for(&self, calls: u32) -> Duration {
        self.pace.as_ref().map_or(Duration::ZERO, |pace| pace.period.saturating_mul(calls))
    }

    /// When a call last went through, since the start.
    pub(super) fn good_at(&self) -> Option<Boot> {
        self.good_at
    }

    pub(super) fn out(&self) -> u32 {
        self.count.out()
    }

    pub(super) fn paused(&self, now: Boot) -> Option<&Paused> {
        self.paused.as_ref().filter(|paused| now < paused.until)
    }

    /// Why no PUT leaves over this lane, and no look that would lead to one, until a person does
    /// something: in a few words. All that is out is followed.
    pub(super) fn takes_no_put(&self) -> Option<&'static str> {
        if self.paused_by.is_some() {
            return Some("its lane is paused");
        }
        self.shares.as_ref().map(|_| "its lane shares its project with another one")
    }

    /// Why the lane sends no new work now, its quota apart; `None`: it may. One that was refused or
    /// out of reach is held until a call goes through, also while the next one tries.
    pub(super) fn held(&self, now: Boot) -> Option<String> {
        if let Some(mark) = &self.paused_by {
            return Some(format!("is paused by {mark}"));
        }
        if let Some(first) = &self.shares {
            return Some(format!("reaches the same project as lane {first}"));
        }
        let paused = self.paused.as_ref().filter(|paused| self.pauses > 0 || now < paused.until)?;
        Some(format!("is paused: {}", paused.why))
    }

    /// The lane before this one that reaches the same project.
    pub(super) fn shares(&self) -> Option<&Name> {
        self.shares.as_ref()
    }

    /// The lane before this one that reaches the same project, if one does: then no PUT leaves over
    /// this one.
    pub(super) fn share_with(&mut self, first: Option<Name>) {
        self.shares = first;
    }

    /// The person who paused the lane, until one resumes it.
    pub(super) fn paused_by(&self) -> Option<&Attribution> {
        self.paused_by.as_ref()
    }

    /// A person pauses the lane, or resumes it.
    pub(super) fn pause_by(&mut self, mark: Option<Attribution>) {
        self.paused_by = mark;
    }

    /// Whether it was out of reach so often in a row that it is taken for down.
    pub(super) fn is_down(&self) -> bool {
        self.pauses >= OUT_OF_REACH_MAX
    }

    /// Whether one more change may be in flight.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.lane.max_in_flight
    }

    /// Changes in flight.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// One more change is in flight.
    pub(super) fn add_in_flight(&mut self) {
        self.in_flight += 1;
    }

    /// A change is in flight no more.
    pub(super) fn remove_in_flight(&mut self) {
        self.in_flight -= 1;
    }

    /// When the lane, refused a permit, may have the next.
    pub(super) fn free_at(&self, now: Boot) -> Option<Boot> {
        self.free_at.filter(|at| *at > now)
    }

    /// Takes a permit, to be handed back by [`Self::over`] or [`Self::unused`].
    pub(super) fn take(&mut self, now: Boot) -> Result<(), NotYet> {
        let taken = self.try_take(now);
        self.free_at = match taken {
            Err(NotYet::Until(at)) => Some(at),
            Ok(()) | Err(NotYet::Answer) => None,
        };
        taken
    }

    fn try_take(&mut self, now: Boot) -> Result<(), NotYet> {
        if let Some(paused) = self.paused(now) {
            return Err(NotYet::Until(paused.until));
        }
        let ceiling = self.ceiling.as_ref().map_or(u32::MAX, Ceiling::allowed);
        self.count
            .take(now, ceiling)
            .map_err(|until| until.map_or(NotYet::Answer, NotYet::Until))?;
        if let Some(pace) = &mut self.pace
            && let Err(until) = pace.take(now)
        {
            self.count.unused();
            return Err(NotYet::Until(until));
        }
        Ok(())
    }

    /// The call never left.
    pub(super) fn unused(&mut self) {
        self.count.unused();
    }

    /// The call is over: the cloud answered, or it was given up and may still arrive for as long as
    /// `settle`.
    pub(super) fn over(&mut self, answered: bool, now: Boot) {
        self.count.give_back(if answered { now } else { now + self.lane.timing.settle });
    }

    /// A call that is over went through: the cloud is well.
    pub(super) fn well(&mut self, now: Boot) {
        self.pauses = 0;
        self.good_at = Some(now);
        if self.ceiling.as_mut().is_some_and(Ceiling::on_success) {
            self.respace();
        }
    }

    /// A call that left and is over failed: what it tells of the account's quota. Tells whether the
    /// ceiling fell.
    pub(super) fn learn(&mut self, error: &CallError, now: Boot) -> bool {
        let (back, out) = (self.count.back_of_late(now), self.count.out());
        let Some(ceiling) = &mut self.ceiling else { return false };
        if error.disposition != Disposition::Throttled || error.status.is_none() {
            ceiling.on_other();
            return false;
        }
        let fell = ceiling.on_refused(now, back, out);
        self.respace();
        fell
    }

    /// Pauses the lane if the error asks for it; tells whether it did.
    pub(super) fn pause_for(&mut self, error: &CallError, now: Boot) -> bool {
        let first = match error.disposition {
            Disposition::Throttled => PAUSE_FIRST,
            Disposition::Unauthorised => PAUSE_CREDENTIALS,
            // No answer at all: the endpoint is out of reach, for every change alike.
            Disposition::NotDone if error.status.is_none() => PAUSE_FIRST,
            Disposition::Withheld
            | Disposition::NotDone
            | Disposition::Misdated
            | Disposition::Busy
            | Disposition::Unknown
            | Disposition::NotFound
            | Disposition::Fatal => return false,
        };
        let since = self.paused(now).map_or(now, |paused| paused.since);
        if self.paused(now).is_none() {
            // Calls that were out together are refused together: one pause, one step of growth.
            self.pauses += 1;
        }
        let grown = first
            .saturating_mul(1 << self.pauses.saturating_sub(1).min(10))
            .min(PAUSE_MAX.max(first));
        let wait =
            error.retry_after.map_or(grown, |seconds| Duration::from_secs(u64::from(seconds)));
        let until =
            (now + wait).max(self.paused.as_ref().map_or(Duration::ZERO, |paused| paused.until));
        let refused = error.disposition == Disposition::Unauthorised;
        let out_of_reach = error.disposition == Disposition::NotDone;
        self.paused =
            Some(Paused { since, until, why: error.message.clone(), refused, out_of_reach });
        true
    }
}

/// From one call to the next. Rounded up: the sum never comes to more than the interval allows.
fn period(quota: Quota, requests: u32) -> Duration {
    let nanos = quota.per.as_nanos().div_ceil(u128::from(requests.max(1)));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).max(1))
}

/// Even spacing by `governor`, on a clock that we set.
struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, SetClock, NoOpMiddleware<Nanos>>,
    clock: SetClock,
    period: Duration,
    /// The slot that was taken last.
    last: Option<Boot>,
}

impl Pace {
    fn new(period: Duration) -> Self {
        let spacing = governor::Quota::with_period(period).expect("the period is not zero");
        // Burst 1: the default burst would let 2N-1 calls into one interval.
        let spacing = spacing.allow_burst(NonZeroU32::MIN);
        let clock = SetClock::default();
        Self {
            limiter: RateLimiter::direct_with_clock(spacing, clock.clone()),
            clock,
            period,
            last: None,
        }
    }

    /// Another distance, counted from the slot that was taken last.
    fn respace(&mut self, period: Duration) {
        if period == self.period {
            return;
        }
        let last = self.last;
        *self = Self::new(period);
        if let Some(last) = last {
            self.clock.set(last);
            self.limiter.check().expect("the first slot of a limiter is free");
            self.last = Some(last);
        }
    }

    fn take(&mut self, now: Boot) -> Result<(), Boot> {
        // A slot taken a little late counts from when it was due, so that lateness does not add up.
        let due = self.last.map_or(Duration::ZERO, |last| last + self.period);
        self.clock.set(now.saturating_sub(LATENESS_MADE_UP).max(due.min(now)));
        match self.limiter.check() {
            Ok(()) => {
                self.last = Some(self.clock.get());
                Ok(())
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now());
                Err(self.clock.get() + wait)
            }
        }
    }
}

/// Time as the core last said.
#[derive(Debug, Clone, Default)]
struct SetClock(Arc<AtomicU64>);

impl SetClock {
    fn set(&self, now: Boot) {
        self.0.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    fn get(&self) -> Boot {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}
impl Clock for SetClock {
    type Instant = Nanos;
    fn now(&self) -> Nanos {
        Nanos::from(self.get())
    }
}

#[cfg(test)]
mod tests;
