//! The engine's core: one synchronous function from times and an input to effects.
//!
//! Job: hold the work in hand, fire timers, hand out permits, decide, and say what must be done outside. The shell
//! performs the effects and feeds the answers back; the simulation does the same with its own cloud and store.
//!
//! Invariants: a call is asked for only after its commit was acknowledged; one change has at most one effect out;
//! what is kept in memory is bounded by what is in flight, plus one entry an open rollout. Losing all of it loses
//! nothing: every entry can be read again from the store.
//!
//! Deliberately not here: I/O, clocks, randomness, and the tables themselves (`domain`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::changes::Work;
use super::effect::{Effect, Input, Ticket};
use super::fence::{self, Fence};
use super::handle::{LaneSnapshot, Snapshot};
use super::lane::{LaneState, Level};
use super::probes::Probes;
use super::queries::Inquiry;
use super::rollouts::Tracked;
use crate::clock::Times;
use crate::domain::call::Reply;
use crate::domain::hold::Pause;
use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::domain::lane::{self, Lane};
use crate::domain::quota::Boot;
use crate::domain::stop::Stop;

/// How often the store is asked for rollouts and for changes that nobody works on.
const SCAN_EVERY: Duration = Duration::from_secs(1);

/// Changes taken over in one scan, so that a scan after a crash stays short.
pub(super) const TAKE_OVER_MAX: usize = 4096;

/// What a core needs to know at its start.
#[derive(Debug, Clone)]
pub struct Options {
    pub lanes: Vec<Lane>,
    /// Whether calls may have been made within the last interval by somebody before us.
    pub quota_spent: bool,
    /// What the process before us has left; one that is whole only on the same machine and since the same boot.
    pub levels: Vec<Level>,
}

/// Who a ticket belongs to.
#[derive(Debug, Clone)]
pub(super) enum Owner {
    Change(ChangeId),
    Rollout(RolloutId),
    /// A verb on a rollout that is not in hand.
    Stranger(u64),
    Ask(u64),
    /// The list of the jobs that are followed on a lane.
    List(Name),
    /// The list of the jobs that run on a lane.
    Running(Name),
}

/// What a timer wakes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Change(ChangeId),
    Rollout(RolloutId),
    Lane(Name),
    List(Name),
    /// A question is put again.
    Ask(u64),
    Scan,
}

pub struct Core {
    /// When it began, by the wall clock then.
    started: Timestamp,
    pub(super) now: Times,
    pub(super) lanes: BTreeMap<Name, LaneState>,
    pub(super) work: BTreeMap<ChangeId, Work>,
    pub(super) rollouts: BTreeMap<RolloutId, Tracked>,
    pub(super) fence: Arc<Fence>,
    pub(super) stop: Stop,
    pub(super) draining: bool,
    /// Whose they are, and since when they are out.
    tickets: BTreeMap<Ticket, (Owner, Boot)>,
    next_ticket: Ticket,
    pub(super) next_place: u64,
    timers: BTreeSet<(Boot, Timer)>,
    scanning: bool,
    scan_at: Option<Boot>,
    scans: u64,
    failed: bool,
    /// Lanes that may have become able to send.
    pub(super) stirred: BTreeSet<Name>,
    /// What is kept of the lanes' levels must be written anew before anything leaves.
    pub(super) marks_due: bool,
    counters: BTreeMap<&'static str, u64>,
    /// Verbs on rollouts that are not in hand, while the store is asked.
    pub(super) strangers: BTreeMap<u64, super::handle::Command>,
    /// Questions of people that wait for a permit, an answer or their next try.
    pub(super) asks: BTreeMap<u64, Inquiry>,
    /// Looks at the wire.
    pub(super) probes: Probes,
    /// Changes in hand whose lane does not serve them, by rollout and lane.
    pub(super) unserved: BTreeMap<(RolloutId, Name), u32>,
}

impl Core {
    /// A core that knows nothing yet; its first step scans the store.
    pub fn new(options: Options, now: Times) -> Self {
        let shared = lane::reached(&options.lanes);
        let fence = Arc::new(Fence::new(&options.lanes));
        let lanes = options.lanes.into_iter();
        let mut lanes: BTreeMap<_, _> =
            lanes.map(|lane| (lane.name.clone(), LaneState::new(lane, options.quota_spent, now.boot))).collect();
        for (name, first) in shared {
            if let Some(lane) = lanes.get_mut(&name) {
                lane.shares = first;
            }
        }
        for level in options.levels {
            if let Some(lane) = lanes.get_mut(&level.lane) {
                lane.resume(level, now.boot);
            }
        }
        Self {
            started: now.wall,
            now,
            lanes,
            work: BTreeMap::new(),
            rollouts: BTreeMap::new(),
            fence,
            stop: Stop::default(),
            draining: false,
            tickets: BTreeMap::new(),
            next_ticket: 1,
            next_place: 1,
            timers: BTreeSet::from([(now.boot, Timer::Scan)]),
            scanning: false,
            scan_at: Some(now.boot),
            scans: 0,
            failed: false,
            stirred: BTreeSet::new(),
            marks_due: true,
            counters: BTreeMap::new(),
            strangers: BTreeMap::new(),
            asks: BTreeMap::new(),
            probes: Probes::default(),
            unserved: BTreeMap::new(),
        }
    }

    /// What calls on their way out must ask.
    pub fn fence(&self) -> Arc<Fence> {
        Arc::clone(&self.fence)
    }

    /// Takes one input and appends what must be done to `out`.
    pub fn step(&mut self, now: Times, input: Input, out: &mut Vec<Effect>) {
        self.step_all(now, std::iter::once(input), out);
    }

    /// Takes inputs that came together, in their order, and only then looks at timers and permits: what several answers
    /// stir is looked at once.
    pub fn step_all(&mut self, now: Times, inputs: impl IntoIterator<Item = Input>, out: &mut Vec<Effect>) {
        let stepped = fence::stepped(self.now, now);
        self.now = now;
        if stepped {
            self.look_at_all(out);
        }
        for input in inputs {
            if self.failed {
                return;
            }
            self.take(input, out);
        }
        self.fire(out);
        self.pump(out);
        self.pump_probes(out);
    }

    fn take(&mut self, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Tick => {}
            Input::Scanned { open, due } => self.scanned(open, due, out),
            Input::Read { ticket, found } => match self.redeem(ticket) {
                Some(Owner::Change(id)) => self.work_read(id, *found, out),
                Some(Owner::Rollout(id)) => self.rollout_read(id, *found, out),
                Some(Owner::Stranger(id)) => self.stranger(id, *found, out),
                Some(Owner::Ask(_) | Owner::List(_) | Owner::Running(_)) | None => self.count("unknown_ticket"),
            },
            Input::Committed { ticket, result } => match self.redeem(ticket) {
                Some(Owner::Change(id)) => self.work_committed(id, result, out),
                Some(Owner::Rollout(id)) => self.rollout_committed(id, result, out),
                Some(Owner::Stranger(_) | Owner::Ask(_) | Owner::List(_) | Owner::Running(_)) | None => self.count("unknown_ticket"),
            },
            Input::Answered { ticket, reply } => self.answered(ticket, reply, out),
            Input::Probed { ticket, proof } => match self.redeem(ticket) {
                Some(Owner::Change(id)) => self.work_probed(id, proof, out),
                Some(Owner::Rollout(_) | Owner::Stranger(_) | Owner::Ask(_) | Owner::List(_) | Owner::Running(_)) | None => {
                    self.count("unknown_ticket")
                }
            },
            Input::Command { id, command } => self.command(id, command, out),
            Input::Asked { id, call } => self.asked(id, call, out),
            Input::Submitted(_) => self.scan_in(Duration::ZERO),
            Input::StopFile(file) => self.stop(Stop { file, ..self.stop.clone() }, out),
            Input::Stopped(by) => self.stop(Stop { by, ..self.stop.clone() }, out),
            Input::Quotas(quotas) => self.change_quotas(quotas),
            Input::Lanes(lanes) => self.switch_lanes(lanes),
            Input::Drain => {
                self.draining = true;
                self.fence.set_draining();
                self.dismiss_asks(out);
            }
            Input::StoreFailed(why) => self.fail(why, out),
        }
    }

    fn answered(&mut self, ticket: Ticket, reply: Reply, out: &mut Vec<Effect>) {
        let Some((owner, since)) = self.tickets.remove(&ticket) else { return self.count("unknown_ticket") };
        self.hear(&owner, since, &reply);
        match owner {
            Owner::Change(id) => self.work_answered(id, since, reply, out),
            Owner::Ask(id) => self.ask_answered(id, reply, out),
            Owner::List(lane) => self.list_answered(&lane, reply, out),
            Owner::Running(lane) => self.running_answered(&lane, reply),
            Owner::Rollout(_) | Owner::Stranger(_) => self.count("unknown_ticket"),
        }
    }

    /// When the core wants its next [`Input::Tick`], in boot time.
    pub fn next_wake(&self) -> Option<Boot> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether nothing is out: neither a call nor a commit nor a read.
    pub fn is_quiet(&self) -> bool {
        self.tickets.is_empty() && !self.scanning
    }

    /// Whether the first scan is done.
    pub fn is_ready(&self) -> bool {
        self.scans > 0
    }

    /// How often each thing worth counting happened, by its word.
    pub fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }

    /// The state beside the store, for people.
    pub fn snapshot(&self, passes: u64) -> Snapshot {
        let lanes = self.lanes.values().map(|lane| LaneSnapshot {
            lane: lane.lane.name.clone(),
            shares: lane.shares.clone(),
            out: lane.out(),
            waiting: u32::try_from(lane.line.waiting()).unwrap_or(u32::MAX),
            paused: lane.paused(self.now.boot).map(|paused| Pause {
                since: self.wall_at(paused.since),
                until: self.wall_at(paused.until),
                why: paused.why.clone(),
                refused: paused.refused,
            }),
            quota: lane.standing(self.now.boot),
            clock: self.fence.clock(&lane.lane.name, self.now),
            free_at: lane.free_at.filter(|at| *at > self.now.boot).map(|at| self.wall_at(at)),
            assumed_until: lane.assumed(self.now.boot).map(|at| self.wall_at(at)),
            occupied: lane.occupied.known(self.now.boot),
            held: lane.paused_by.clone().map(|mark| (mark, self.needing(&lane.lane.name))),
        });
        Snapshot {
            passes,
            started: self.started,
            stop: self.stop.clone(),
            draining: self.draining,
            lanes: lanes.collect(),
            unserved: self.unserved(),
            overdue: self.rollouts.iter().filter_map(|(id, tracked)| Some((*id, tracked.overdue()?))).collect(),
            calls: self.counters.get("calls").copied().unwrap_or(0),
        }
    }

    /// What the lanes have used and learnt, for the process after this one; only when nothing is out.
    pub fn levels(&self) -> Vec<Level> {
        self.lanes.values().filter(|lane| lane.out() == 0).map(LaneState::level).collect()
    }

    pub(super) fn count(&mut self, word: &'static str) {
        *self.counters.entry(word).or_insert(0) += 1;
    }

    pub(super) fn wall_at(&self, boot: Boot) -> Timestamp {
        let (ahead, behind) = (boot.saturating_sub(self.now.boot), self.now.boot.saturating_sub(boot));
        self.now.wall.checked_sub(behind).unwrap_or(Timestamp::MIN).checked_add(ahead).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn ticket(&mut self, owner: Owner) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.tickets.insert(ticket, (owner, self.now.boot));
        ticket
    }

    fn redeem(&mut self, ticket: Ticket) -> Option<Owner> {
        self.tickets.remove(&ticket).map(|(owner, _)| owner)
    }

    /// Replaces the timer set at `was`, if any, by one at `at`.
    pub(super) fn set_timer(&mut self, timer: Timer, was: Option<Boot>, at: Boot) {
        if let Some(was) = was {
            self.timers.remove(&(was, timer.clone()));
        }
        self.timers.insert((at, timer));
    }

    pub(super) fn clear_timer(&mut self, timer: Timer, was: Option<Boot>) {
        if let Some(was) = was {
            self.timers.remove(&(was, timer));
        }
    }

    fn fire(&mut self, out: &mut Vec<Effect>) {
        while let Some((at, _)) = self.timers.first()
            && *at <= self.now.boot
        {
            let (due, timer) = self.timers.pop_first().expect("just seen");
            match timer {
                Timer::Change(id) => self.work_woken(id, due, out),
                Timer::Rollout(id) => self.rollout_woken(id, out),
                Timer::Lane(name) => {
                    self.stirred.insert(name);
                }
                Timer::List(name) => self.list_soon(&name),
                Timer::Ask(id) => self.ask_woken(id),
                Timer::Scan => self.scan(out),
            }
        }
    }

    fn scan_in(&mut self, wait: Duration) {
        let at = self.now.boot + wait;
        let was = self.scan_at.replace(at);
        self.set_timer(Timer::Scan, was, at);
    }

    fn scan(&mut self, out: &mut Vec<Effect>) {
        self.scan_at = None;
        if self.scanning || self.draining {
            return;
        }
        self.scanning = true;
        // At the start, whatever is active was left by the process before, whatever the clock says.
        let until = if self.scans == 0 { Timestamp::MAX } else { self.now.wall };
        out.push(Effect::Scan { until });
    }

    fn scanned(&mut self, open: Vec<crate::store::Rollout>, due: Vec<crate::store::Active>, out: &mut Vec<Effect>) {
        self.scanning = false;
        self.scans += 1;
        self.scan_in(SCAN_EVERY);
        self.rollouts_seen(open, out);
        for active in due {
            self.take_over(active);
        }
    }

    pub(super) fn fail(&mut self, why: crate::store::Unavailable, out: &mut Vec<Effect>) {
        if !self.failed {
            self.failed = true;
            out.push(Effect::Fail(why));
        }
    }
}
