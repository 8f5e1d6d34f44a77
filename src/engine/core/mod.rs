//! The engine's core: one synchronous function from times and an input to effects.
//!
//! Job: hold the work in hand, fire timers, give permits, decide, and return the effects that must
//! be performed. The runtime performs them and returns the answers as inputs; rehearsal and
//! simulation do the same with a cloud of their own. This file holds the state and dispatches
//! inputs; the files beside it are its chapters.
//!
//! Invariants: a call is asked for only after its commit was acknowledged; one change has at most
//! one effect out; memory is bounded by what is in flight, plus one entry an open rollout. A core
//! that is lost loses nothing: every entry can be read again from the store. Only chapters of this
//! module read or change its fields.
//!
//! Deliberately not here: I/O, clocks, randomness, and the tables themselves (`domain`).

mod away;
mod bulk;
mod by_hand;
mod changes;
mod clocks;
mod follow;
mod held;
mod job_search;
mod keeping;
mod marks;
mod permit;
pub(super) mod probes;
mod queries;
mod rollouts;
mod running_jobs;
mod spared_looks;
mod tickets;
mod timers;
mod tracked;
mod unserved;
mod verbs;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use self::probes::Probes;
use self::queries::Inquiry;
use self::tickets::{Owner, Tickets};
use self::timers::{Timer, Timers};
use self::tracked::Tracked;
use self::work::Work;
use super::effect::{Effect, Input, Ticket};
use super::fence::{self, Fence};
use super::handle::{LaneSnapshot, Snapshot};
use super::lane::{LaneState, Level};
use super::tallies::EngineTallies;
use crate::clock::Times;
use crate::domain::call::Reply;
use crate::domain::hold::Pause;
use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::domain::keeper::Fellows;
use crate::domain::lane::{self, Lane};
use crate::domain::quota::Boot;
use crate::domain::stop::Stop;
use crate::store::Away;

/// How often the store is asked for rollouts and for changes that nobody works on.
const SCAN_EVERY: Duration = Duration::from_secs(1);

/// Changes taken over in one scan, so that a scan after a crash stays short; the next one follows.
pub const TAKE_OVER_MAX: usize = 4096;

/// What a core needs to know at its start.
#[derive(Debug, Clone)]
pub struct Options {
    pub lanes: Vec<Lane>,
    /// Whether calls may have been made within the last interval by somebody before us.
    pub quota_spent: bool,
    /// What the process before us has left; one that is whole only on the same machine and since
    /// the same boot.
    pub levels: Vec<Level>,
}

pub struct Core {
    /// When it began, by the wall clock then.
    started: Timestamp,
    now: Times,
    lanes: BTreeMap<Name, LaneState>,
    work: BTreeMap<ChangeId, Work>,
    rollouts: BTreeMap<RolloutId, Tracked>,
    fence: Arc<Fence>,
    stop: Stop,
    draining: bool,
    /// Since when the store is away, while it is.
    away: Option<Away>,
    /// Other daemons work over the same store.
    shares_store: bool,
    /// Who they are, once that is known.
    fellows: Option<Fellows>,
    tickets: Tickets,
    next_place: u64,
    timers: Timers,
    scanning: bool,
    /// What the scan that is out asks for: all that is active, or what is due by then.
    scan_until: Timestamp,
    /// Something happened that the scan that is out may not show.
    scan_again: bool,
    /// Changes that left our hands since that scan was asked for: it may show them as they were.
    left: BTreeSet<ChangeId>,
    scan_at: Option<Boot>,
    scans: u64,
    failed: bool,
    /// Lanes that may have become able to send.
    stirred: BTreeSet<Name>,
    /// What is kept of the lanes' levels must be written anew before anything leaves.
    marks_due: bool,
    counters: BTreeMap<&'static str, u64>,
    tallies: Arc<EngineTallies>,
    /// Verbs on rollouts that are not in hand, while the store is asked; `None`: its asker has
    /// gone.
    strangers: BTreeMap<u64, Option<super::handle::Command>>,
    /// Questions of people that wait for a permit, an answer or their next try.
    asks: BTreeMap<u64, Inquiry>,
    /// Looks at the wire.
    probes: Probes,
    /// Changes in hand whose lane does not serve them, by rollout and lane.
    unserved: BTreeMap<(RolloutId, Name), u32>,
}

impl Core {
    /// A core that knows nothing yet; its first step scans the store.
    pub fn new(options: Options, now: Times) -> Self {
        let shared = lane::reached(&options.lanes);
        let fence = Arc::new(Fence::new(&options.lanes));
        let lanes = options.lanes.into_iter();
        let mut lanes: BTreeMap<_, _> = lanes
            .map(|lane| (lane.name.clone(), LaneState::new(lane, options.quota_spent, now.boot)))
            .collect();
        for (name, first) in shared {
            if let Some(lane) = lanes.get_mut(&name) {
                lane.share_with(first);
            }
        }
        for level in options.levels {
            if let Some(lane) = lanes.get_mut(&level.lane) {
                lane.resume(level, now.boot);
            }
        }
        let mut timers = Timers::default();
        timers.set(Timer::Scan, None, now.boot);
        Self {
            started: now.wall,
            now,
            lanes,
            work: BTreeMap::new(),
            rollouts: BTreeMap::new(),
            fence,
            stop: Stop::default(),
            draining: false,
            away: None,
            shares_store: false,
            fellows: None,
            tickets: Tickets::new(),
            next_place: 1,
            timers,
            scanning: false,
            scan_until: Timestamp::MAX,
            scan_again: false,
            left: BTreeSet::new(),
            scan_at: Some(now.boot),
            scans: 0,
            failed: false,
            stirred: BTreeSet::new(),
            marks_due: true,
            counters: BTreeMap::new(),
            tallies: Arc::default(),
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

    /// Takes inputs that came together, in their order, and only then looks at timers and permits:
    /// what several answers stir is looked at once.
    pub fn step_all(
        &mut self,
        now: Times,
        inputs: impl IntoIterator<Item = Input>,
        out: &mut Vec<Effect>,
    ) {
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
                Some(Owner::Ask(_) | Owner::List(_) | Owner::Running(_)) | None => {
                    self.count("unknown_ticket")
                }
            },
            Input::Committed { ticket, result } => match self.redeem(ticket) {
                Some(Owner::Change(id)) => self.work_committed(id, result, out),
                Some(Owner::Rollout(id)) => self.rollout_committed(id, result, out),
                Some(Owner::Stranger(_) | Owner::Ask(_) | Owner::List(_) | Owner::Running(_))
                | None => self.count("unknown_ticket"),
            },
            Input::Answered { ticket, reply } => self.answered(ticket, reply, out),
            Input::Probed { ticket, proof } => match self.redeem(ticket) {
                Some(Owner::Change(id)) => self.work_probed(id, proof, out),
                Some(
                    Owner::Rollout(_)
                    | Owner::Stranger(_)
                    | Owner::Ask(_)
                    | Owner::List(_)
                    | Owner::Running(_),
                )
                | None => self.count("unknown_ticket"),
            },
            Input::Command { id, command } => self.command(id, command, out),
            Input::AskerGone(id) => self.asker_gone(id),
            Input::Asked { id, call } => self.asked(id, call, out),
            Input::Submitted(_) => self.scan_in(Duration::ZERO),
            Input::StopFile(file) => self.stop(Stop { file, ..self.stop.clone() }, out),
            Input::Stopped(by) => self.stop(Stop { by, ..self.stop.clone() }, out),
            Input::Quotas(quotas) => self.change_quotas(quotas),
            Input::Lanes(lanes) => self.switch_lanes(lanes),
            Input::Kept { lanes, fellows } => self.keep_lanes(&lanes, fellows, out),
            Input::Drain => {
                self.draining = true;
                self.fence.set_draining();
                self.dismiss_asks(out);
            }
            Input::StoreAway(away) => self.store_away(away, out),
            Input::StoreFailed(why) => self.fail(why, out),
        }
    }

    fn answered(&mut self, ticket: Ticket, reply: Reply, out: &mut Vec<Effect>) {
        let Some((owner, since)) = self.tickets.redeem(ticket) else {
            return self.count("unknown_ticket");
        };
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
        self.timers.next().filter(|_| self.away.is_none())
    }

    /// Whether nothing is out: neither a call nor a commit nor a read.
    pub fn is_quiet(&self) -> bool {
        self.tickets.is_empty() && !self.scanning
    }

    /// Whether the first scan is done, and all that was active is in hand.
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
            shares: lane.shares().cloned(),
            out: lane.out(),
            in_flight: lane.in_flight(),
            waiting: u32::try_from(lane.line.waiting()).unwrap_or(u32::MAX),
            paused: lane.paused(self.now.boot).map(|paused| Pause {
                since: self.wall_at(paused.since),
                until: self.wall_at(paused.until),
                why: paused.why.clone(),
                refused: paused.refused,
                out_of_reach: paused.out_of_reach,
            }),
            quota: lane.standing(self.now.boot),
            clock: self.fence.clock(&lane.lane.name, self.now),
            free_at: lane.free_at(self.now.boot).map(|at| self.wall_at(at)),
            assumed_until: lane.assumed(self.now.boot).map(|at| self.wall_at(at)),
            occupied: lane.occupied.known(self.now.boot),
            good_at: lane.good_at().map(|at| self.wall_at(at)),
            held: lane.paused_by().cloned().map(|mark| (mark, self.needing(&lane.lane.name))),
        });
        Snapshot {
            passes,
            started: self.started,
            stop: self.stop.clone(),
            draining: self.draining,
            lanes: lanes.collect(),
            unserved: self.unserved(),
            overdue: self
                .rollouts
                .iter()
                .filter_map(|(id, tracked)| Some((*id, tracked.overdue()?)))
                .collect(),
            calls: self.counters.get("calls").copied().unwrap_or(0),
            at: self.now,
            settled_at: self
                .rollouts
                .iter()
                .filter_map(|(id, tracked)| Some((*id, tracked.settled_at()?)))
                .collect(),
            tallies: Arc::clone(&self.tallies),
        }
    }

    fn count(&mut self, word: &'static str) {
        *self.counters.entry(word).or_insert(0) += 1;
    }

    fn wall_at(&self, boot: Boot) -> Timestamp {
        let (ahead, behind) =
            (boot.saturating_sub(self.now.boot), self.now.boot.saturating_sub(boot));
        self.now
            .wall
            .checked_sub(behind)
            .unwrap_or(Timestamp::MIN)
            .checked_add(ahead)
            .unwrap_or(Timestamp::MAX)
    }

    fn ticket(&mut self, owner: Owner) -> Ticket {
        self.tickets.hand_out(owner, self.now.boot)
    }

    fn redeem(&mut self, ticket: Ticket) -> Option<Owner> {
        self.tickets.redeem(ticket).map(|(owner, _)| owner)
    }

    fn fire(&mut self, out: &mut Vec<Effect>) {
        // Whatever a timer wakes wants to read or to commit: it waits until the store is back.
        while self.away.is_none()
            && let Some((due, timer)) = self.timers.pop_due(self.now.boot)
        {
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
        self.timers.set(Timer::Scan, was, at);
    }

    fn scan(&mut self, out: &mut Vec<Effect>) {
        self.scan_at = None;
        if self.scanning {
            self.scan_again = true;
            return;
        }
        if self.draining {
            return;
        }
        self.scanning = true;
        // At the start, whatever is active was left by the process before, whatever the clock says;
        // so it is on a lane that was another daemon's.
        let unread = self.lanes.values().any(|lane| lane.keeping.is_unread());
        let all = self.scans == 0 || unread;
        for lane in self.lanes.values_mut().filter(|_| all) {
            lane.keeping.scan_begins();
        }
        self.scan_until = if all { Timestamp::MAX } else { self.now.wall };
        out.push(Effect::Scan { until: self.scan_until, after: None });
    }

    fn scanned(
        &mut self,
        open: Vec<crate::store::Rollout>,
        due: Vec<crate::store::Active>,
        out: &mut Vec<Effect>,
    ) {
        // All that is active comes into hand before anything new begins. What another daemon has
        // must not stand before what is ours.
        let whole = self.scan_until == Timestamp::MAX || self.shares_store;
        let full = whole && due.len() >= TAKE_OVER_MAX;
        let after = due.last().filter(|_| full).and_then(crate::store::Active::due_place);
        if after.is_none() {
            self.scanning = false;
            self.scans += 1;
            let again = std::mem::take(&mut self.scan_again);
            self.scan_in(if again { Duration::ZERO } else { SCAN_EVERY });
        }
        self.rollouts_seen(open, out);
        let left = std::mem::take(&mut self.left);
        for active in due.into_iter().filter(|active| !left.contains(&active.change.id)) {
            self.take_over(active);
        }
        if after.is_some() {
            out.push(Effect::Scan { until: self.scan_until, after });
            return;
        }
        for (name, lane) in &mut self.lanes {
            lane.keeping.scan_ends();
            if self.shares_store {
                self.stirred.insert(name.clone());
            }
        }
    }

    fn fail(&mut self, why: crate::store::Unavailable, out: &mut Vec<Effect>) {
        if !self.failed {
            self.failed = true;
            out.push(Effect::Fail(why));
        }
    }
}
