//! One lane's traffic: who waits, when the next call may leave, and what holds the lane.
//!
//! Invariants: at most the lane's quota in any interval (`domain::quota`, the promise); calls are spread evenly before
//! that (`governor`, the spacing); a pause asked for by the cloud stops the whole lane and costs no change an attempt.
//!
//! Deliberately not here: which call a change makes.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};

use super::follow::Followed;
use super::fresh::Fresh;
use crate::domain::call::{CallError, Disposition};
use crate::domain::id::ChangeId;
use crate::domain::lane::Lane;
use crate::domain::quota::{Boot, Quota, SlidingCount};

/// How much lateness of a busy host is made up for, so that late timers do not eat the quota; the sliding count keeps
/// the promise meanwhile.
const LATENESS_MADE_UP: Duration = Duration::from_millis(25);

/// First and longest pause when the cloud throttles without saying for how long, or cannot be reached.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Pause after refused credentials: an access key is locked after five refusals in a row, so we stay far below.
const PAUSE_CREDENTIALS: Duration = Duration::from_secs(60);

/// What goes first when calls wait for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The look before has just been made: the PUT follows while it is fresh.
    Switch,
    /// Work in flight: questions, jobs, looks after.
    InFlight,
    /// New work.
    Start,
    /// What a person asked to be looked at: never before work.
    Ask,
}

/// Who waits for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waiter {
    /// A change, with a call that its state asks for.
    Change(ChangeId),
    /// A person's question, by its number.
    Ask(u64),
    /// The list of the jobs that are followed.
    List,
}

/// A lane at work.
pub(super) struct LaneState {
    pub(super) lane: Lane,
    queue: BTreeSet<(Rank, u64, Waiter)>,
    /// How many of them are questions.
    asks: usize,
    count: Option<SlidingCount>,
    pace: Option<Pace>,
    out: u32,
    /// Changes past `Ready` and not settled.
    pub(super) in_flight: u32,
    paused: Option<Paused>,
    /// What lists of proxies told of late.
    pub(super) fresh: Fresh,
    /// The jobs that are followed.
    pub(super) followed: Followed,
    /// Pauses in a row, for growing waits.
    pauses: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Paused {
    pub(super) until: Boot,
    pub(super) why: String,
}

/// Why no call may leave now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotYet {
    /// Not before this instant.
    Until(Boot),
    /// Not before an answer is in.
    Answer,
}

impl LaneState {
    pub(super) fn new(lane: Lane, spent: bool, now: Boot) -> Self {
        // What somebody sent before us may still be landing.
        let gone = now + lane.timing.settle;
        let count = lane.quota.map(|quota| if spent { SlidingCount::spent(quota, gone) } else { SlidingCount::fresh(quota) });
        let pace = lane.quota.map(Pace::new);
        Self {
            lane,
            queue: BTreeSet::new(),
            asks: 0,
            count,
            pace,
            out: 0,
            in_flight: 0,
            paused: None,
            fresh: Fresh::default(),
            followed: Followed::default(),
            pauses: 0,
        }
    }

    pub(super) fn enqueue(&mut self, rank: Rank, place: u64, who: Waiter) {
        if self.queue.insert((rank, place, who)) && rank == Rank::Ask {
            self.asks += 1;
        }
    }

    pub(super) fn remove(&mut self, rank: Rank, place: u64, who: Waiter) {
        if self.queue.remove(&(rank, place, who)) && rank == Rank::Ask {
            self.asks -= 1;
        }
    }

    /// The first of those waiting; without `new_work`, of those that need no place in flight.
    pub(super) fn first_waiting(&self, new_work: bool) -> Option<(Rank, u64, Waiter)> {
        match self.queue.first() {
            // However long the line of new work is, the questions behind it are found in one step.
            Some((Rank::Start, ..)) if !new_work => self.queue.range((Rank::Ask, 0, Waiter::Ask(0))..).next().copied(),
            first => first.copied(),
        }
    }

    /// Takes a question out of the line without a permit.
    pub(super) fn pop_ask(&mut self) -> Option<u64> {
        let (rank, place, who) = self.queue.range((Rank::Ask, 0, Waiter::Ask(0))..).next().copied()?;
        self.remove(rank, place, who);
        match who {
            Waiter::Ask(id) => Some(id),
            Waiter::Change(_) | Waiter::List => None,
        }
    }

    /// Changes in the line.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() - self.asks
    }

    pub(super) fn out(&self) -> u32 {
        self.out
    }

    pub(super) fn paused(&self, now: Boot) -> Option<&Paused> {
        self.paused.as_ref().filter(|paused| now < paused.until)
    }

    /// Takes a permit, to be handed back by [`Self::over`] or [`Self::unused`].
    pub(super) fn take(&mut self, now: Boot) -> Result<(), NotYet> {
        if let Some(paused) = self.paused(now) {
            return Err(NotYet::Until(paused.until));
        }
        if let Some(count) = &mut self.count {
            count.take(now).map_err(|until| until.map_or(NotYet::Answer, NotYet::Until))?;
        }
        if let Some(pace) = &mut self.pace
            && let Err(until) = pace.take(now)
        {
            if let Some(count) = &mut self.count {
                count.unused();
            }
            return Err(NotYet::Until(until));
        }
        self.out += 1;
        Ok(())
    }

    /// The call never left.
    pub(super) fn unused(&mut self) {
        self.out = self.out.checked_sub(1).expect("a permit is handed back once");
        if let Some(count) = &mut self.count {
            count.unused();
        }
    }

    /// The call is over: the cloud answered, or it was given up and may still arrive for as long as `settle`.
    pub(super) fn over(&mut self, answered: bool, now: Boot) {
        self.out = self.out.checked_sub(1).expect("a permit is handed back once");
        if let Some(count) = &mut self.count {
            count.give_back(if answered { now } else { now + self.lane.timing.settle });
        }
    }

    /// A call went through: the cloud is well.
    pub(super) fn well(&mut self) {
        self.pauses = 0;
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
            | Disposition::Busy
            | Disposition::Unknown
            | Disposition::NotFound
            | Disposition::Fatal => return false,
        };
        if self.paused(now).is_none() {
            // Calls that were out together are refused together: one pause, one step of growth.
            self.pauses += 1;
        }
        let grown = first.saturating_mul(1 << self.pauses.saturating_sub(1).min(10)).min(PAUSE_MAX.max(first));
        let wait = error.retry_after.map_or(grown, |seconds| Duration::from_secs(u64::from(seconds)));
        let until = (now + wait).max(self.paused.as_ref().map_or(Duration::ZERO, |paused| paused.until));
        self.paused = Some(Paused { until, why: error.message.clone() });
        true
    }
}

/// Even spacing by `governor`, on a clock that we set.
struct Pace {
    limiter: RateLimiter<NotKeyed, InMemoryState, SetClock, NoOpMiddleware<Nanos>>,
    clock: SetClock,
    period: Duration,
    next: Boot,
}

impl Pace {
    fn new(quota: Quota) -> Self {
        let requests = u128::from(quota.requests.max(1));
        // Rounded up, burst 1: the default burst would let 2N-1 calls into one interval.
        let nanos = u64::try_from(quota.per.as_nanos().div_ceil(requests)).unwrap_or(u64::MAX);
        let period = Duration::from_nanos(nanos.max(1));
        let spacing = governor::Quota::with_period(period).expect("the period is not zero");
        let spacing = spacing.allow_burst(NonZeroU32::MIN);
        let clock = SetClock::default();
        Self { limiter: RateLimiter::direct_with_clock(spacing, clock.clone()), clock, period, next: Duration::ZERO }
    }

    fn take(&mut self, now: Boot) -> Result<(), Boot> {
        // A slot taken a little late counts from when it was due, so that lateness does not add up.
        self.clock.set(now.saturating_sub(LATENESS_MADE_UP).max(self.next.min(now)));
        match self.limiter.check() {
            Ok(()) => {
                self.next = self.clock.get() + self.period;
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
