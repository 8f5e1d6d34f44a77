//! The fence: the state that the last check reads when bytes are about to leave.
//!
//! Job: keep what forbids a call (verbs, stops, paused lanes, clocks, a store that is away, a lane
//! that another daemon keeps), and check each call against it at the last instant.
//!
//! Invariant: an operator's verb is acknowledged only after the fence has it, and every write asks
//! the fence while its request is still incomplete; both take the same lock. So after an
//! acknowledged pause or abort, after a halt, while a person has stopped everything and while the
//! kill-switch file is there, no PUT becomes complete. The check looks for the file itself, because
//! its watcher reports it a moment later. Where daemons share a store, no call at all leaves over a
//! lane whose lease is over or never was ours.
//!
//! Deliberately not here: quota and decisions. A process frozen between this check and the kernel's
//! write cannot be stopped from our side; README says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::cloud_time::{ClockStanding, Clocks};
use crate::clock::Times;
use crate::cloud::Withheld;
use crate::domain::change::Clearance;
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::{Name, RolloutId};
use crate::domain::keeper::KeptLane;
use crate::domain::lane::Lane;
use crate::domain::person::Attribution;
use crate::domain::plan::Plan;
use crate::domain::quota::Boot;
use crate::domain::rollout;
use crate::domain::stop::{Stop, StopFile};
use crate::domain::window::Opening;

/// How far the two clocks may drift apart between decision and wire, or between two looks; less
/// than what others wait before a take-over.
pub(super) const STEP_MAX: Duration = Duration::from_secs(5);

/// A rollout's frozen plan, shared.
pub type PlanRef = Arc<Plan>;

/// What a call must still satisfy at its wire instant.
#[derive(Debug, Clone)]
pub struct CheckSpec {
    /// Whether the call changes anything; a read needs only its deadline.
    pub write: bool,
    /// Boot time from which on the call must not leave: others may take the change over after it.
    pub deadline: Duration,
    pub rollout: RolloutId,
    /// The lane that the call uses.
    pub lane: Name,
    pub wave: u16,
    /// Whether the change is put back.
    pub undo: bool,
    /// Both clocks at the decision.
    pub decided: Times,
    /// What the calendar said then. Spares reading the calendar again.
    pub open: OpenWithin,
    /// The calendar, for when the clock stands outside what was decided.
    pub plan: PlanRef,
}

/// Looks for the kill-switch file. Asked at the wire instant of every write: a look at a name.
pub type StopLook = Box<dyn Fn() -> Option<StopFile> + Send + Sync>;

/// A stretch in which the window is known to be open.
#[derive(Debug, Clone, Copy)]
pub struct OpenWithin {
    pub from: Timestamp,
    /// Until then; `None`: for ever.
    pub until: Option<Timestamp>,
    /// By the boot clock it is shut from then on, whatever the wall clock says.
    pub ends: Option<Boot>,
}

impl OpenWithin {
    fn contains(&self, at: Timestamp) -> bool {
        at >= self.from && self.until.is_none_or(|until| at < until)
    }
}

/// Shared by the core, which writes, and by calls on their way out, which read.
#[derive(Default)]
pub struct Fence {
    inner: Mutex<FenceState>,
    stop_look: OnceLock<StopLook>,
}

#[derive(Debug, Default)]
struct FenceState {
    stop: Stop,
    draining: bool,
    /// The store is away.
    away: bool,
    rollouts: BTreeMap<RolloutId, rollout::Record>,
    clocks: Clocks,
    /// Lanes that a person paused.
    lanes: BTreeMap<Name, Attribution>,
    /// The lanes that are ours, each until then; `None`: we share the store with nobody, and all
    /// are ours for ever.
    leases: Option<BTreeMap<Name, Boot>>,
}

impl Fence {
    /// A fence for these lanes.
    pub(super) fn new(lanes: &[Lane]) -> Self {
        Self {
            inner: Mutex::new(FenceState { clocks: Clocks::of(lanes), ..FenceState::default() }),
            ..Self::default()
        }
    }

    /// An answer to a call of this lane, which was out between these two instants, told the cloud's
    /// time.
    pub(super) fn hear(&self, lane: &Name, date: Timestamp, sent: Boot, now: Times) {
        self.lock().clocks.hear(lane, date, sent, now);
    }

    /// The cloud tells when it made a job whose PUT was out between these two instants.
    pub(super) fn hear_job(&self, lane: &Name, created: Timestamp, out: (Boot, Boot)) {
        self.lock().clocks.hear_job(lane, created, out);
    }

    /// What the clock of this lane's cloud shows now, wherever jobs are sought.
    pub(super) fn cloud(&self, lane: &Name, now: Boot) -> Option<TimeSpan> {
        self.lock().clocks.cloud(lane, now)
    }

    /// How the clock of this lane's cloud stands to ours.
    pub(super) fn clock(&self, lane: &Name, now: Times) -> Option<ClockStanding> {
        self.lock().clocks.standing(lane, now)
    }

    fn lock(&self) -> MutexGuard<'_, FenceState> {
        // Every critical section below is a few assignments: a poisoned lock still guards a whole
        // value.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The core knows this of the rollout.
    pub(super) fn set_rollout(&self, id: RolloutId, record: &rollout::Record) {
        self.lock().rollouts.insert(id, record.clone());
    }

    /// The core has forgotten the rollout: nothing of it may leave.
    pub(super) fn forget_rollout(&self, id: RolloutId) {
        self.lock().rollouts.remove(&id);
    }

    /// What stops everything from now on.
    pub(super) fn set_stop(&self, stop: Stop) {
        self.lock().stop = stop;
    }

    /// Has every last check look for the kill-switch file itself; the first look that is given
    /// stays.
    pub fn look_for_stop(&self, look: StopLook) {
        // There is one file, and one place that knows where it is.
        let _ = self.stop_look.set(look);
    }

    /// A person paused the lane, or resumed it.
    pub(super) fn set_lane(&self, lane: &Name, mark: Option<Attribution>) {
        let mut inner = self.lock();
        match mark {
            Some(mark) => drop(inner.lanes.insert(lane.clone(), mark)),
            None => drop(inner.lanes.remove(lane)),
        }
    }

    /// These lanes are ours, each until its lease is over; no other one is.
    pub(super) fn set_leases(&self, kept: &BTreeMap<Name, KeptLane>) {
        let leases = kept.iter().map(|(lane, kept)| (lane.clone(), kept.until));
        self.lock().leases = Some(leases.collect());
    }

    /// The store is away, or it is back.
    pub(super) fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    pub(super) fn set_draining(&self) {
        self.lock().draining = true;
    }

    /// The last check of a read over this lane, at its wire instant.
    pub fn check_read(&self, lane: &Name, deadline: Boot, times: Times) -> Result<(), Withheld> {
        if times.boot >= deadline {
            return Err(Withheld("the call's deadline has passed".to_owned()));
        }
        let inner = self.lock();
        if inner.away {
            // What it would tell could not be saved.
            return Err(Withheld("the store is away".to_owned()));
        }
        let Some(leases) = &inner.leases else { return Ok(()) };
        if leases.get(lane).is_none_or(|until| times.boot >= *until) {
            return Err(Withheld(format!("lane {lane} is another daemon's by now")));
        }
        Ok(())
    }

    /// The last check of a change's call, at its wire instant.
    pub fn check(&self, spec: &CheckSpec, times: Times) -> Result<(), Withheld> {
        let withheld = |why: &str| Err(Withheld(why.to_owned()));
        self.check_read(&spec.lane, spec.deadline, times)?;
        if !spec.write {
            return Ok(());
        }
        // Outside the lock: it may wait for the disk.
        let found = self.stop_look.get().and_then(|look| look());
        let inner = self.lock();
        let stop =
            Stop { by: inner.stop.by.clone(), file: found.or_else(|| inner.stop.file.clone()) };
        if stop.stands() {
            return Err(Withheld(stop.to_string()));
        }
        if inner.draining {
            return withheld("the daemon is stopping");
        }
        if let Some(mark) = inner.lanes.get(&spec.lane) {
            return Err(Withheld(format!("lane {} is paused by {}", spec.lane, mark.by)));
        }
        match inner.rollouts.get(&spec.rollout).map(|record| record.gate(spec.wave, spec.undo)) {
            Some(Clearance::Open) => {}
            Some(Clearance::Held | Clearance::Withdrawn) | None => {
                return withheld("the rollout was held meanwhile");
            }
        }
        if stepped(spec.decided, times) {
            // It was decided by the clock as it stood then.
            return withheld("the wall clock was stepped meanwhile");
        }
        let open = |at| {
            spec.open.contains(at)
                || matches!(spec.plan.opening(at, spec.undo), Opening::Open { .. })
        };
        if let Some(standing) = inner.clocks.standing(&spec.lane, times) {
            if standing.holds() {
                return withheld("the cloud's clock and this machine's are too far apart");
            }
            let cloud = standing.ahead.of(times.wall);
            if !open(cloud.from) && !open(cloud.to) {
                return withheld("the window is shut by now, by the cloud's clock");
            }
        }
        if !open(times.wall) || spec.open.ends.is_some_and(|ends| ends <= times.boot) {
            return withheld("the window is shut by now");
        }
        Ok(())
    }
}

/// Whether the wall clock went another way than the boot clock between the two.
pub(super) fn stepped(then: Times, now: Times) -> bool {
    let wall = now.wall.duration_since(then.wall).as_nanos();
    let boot = i128::try_from(now.boot.saturating_sub(then.boot).as_nanos()).unwrap_or(i128::MAX);
    wall.abs_diff(boot) > STEP_MAX.as_nanos()
}

#[cfg(test)]
mod tests;
