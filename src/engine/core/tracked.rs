//! One rollout in hand: its latest view, the stage of its look or verb, and what is remembered
//! between two looks.
//!
//! Invariant: one rollout has at most one read or commit out; its [`LookStage`] says which.
//!
//! Deliberately not here: what moves it from one stage to the next (`rollouts`, `bulk` and
//! `by_hand` beside this file), and its phases (`domain::rollout`).

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::verbs::VerbLine;
use crate::clock::Times;
use crate::domain::change::{self, Change};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::Name;
use crate::domain::plan::WireRules;
use crate::domain::quota::Boot;
use crate::domain::rollout::{self, Context, Decision, Effect as Act, Phase, RolloutWake, Slowest};
use crate::domain::window::Opening;
use crate::domain::window_log::Gap;
use crate::engine::fence::OpenWithin;
use crate::engine::opening::LastOpening;
use crate::engine::slowest::Waits;
use crate::engine::stall::Stall;
use crate::engine::watch::Watch;
use crate::store::Rollout;

/// Changes released or put back in one commit.
pub(super) const STRETCH: u32 = 128;

/// One rollout in hand.
pub(super) struct Tracked {
    view: Rollout,
    opening: LastOpening,
    stage: LookStage,
    /// Something happened since the last look began.
    again: bool,
    verbs: VerbLine,
    /// When its timer wakes it.
    wake: Option<Boot>,
    /// Open-window time since a change last ended.
    stall: Stall,
    /// When a change settled last, since it is in hand.
    settled_at: Option<Timestamp>,
    watch: Watch,
    waits: Waits,
    /// The lanes of its changes that were in hand.
    lanes: BTreeSet<Name>,
}

/// What one rollout waits for.
pub(super) enum LookStage {
    Idle,
    /// The fresh read for a look, or for the first verb in line.
    Reading,
    /// Candidates for a release are read.
    Picking(Box<Decision>),
    /// Changes to put back, or to cancel, are read.
    Gathering(Sweep),
    /// The one change is read that a verb names.
    Choosing(Box<Decision>),
    /// A commit is out, which was decided then.
    Committing(Box<Moving>, Times),
}

/// What a commit in flight will have done.
pub(super) struct Moving {
    pub(super) record: Option<rollout::Record>,
    pub(super) released: Vec<Change>,
    pub(super) act: Act,
    pub(super) wake: RolloutWake,
    pub(super) verb: bool,
    pub(super) sweep: Option<Sweep>,
    /// It writes down what came of a window, as of then.
    pub(super) noted: Option<Times>,
}

impl Moving {
    /// A commit after which nothing is left to do but to look again.
    pub(super) fn then(wake: RolloutWake) -> Self {
        Self {
            record: None,
            released: Vec::new(),
            act: Act::None,
            wake,
            verb: false,
            sweep: None,
            noted: None,
        }
    }
}

/// What is done to stored changes one stretch after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sweep {
    pub(super) what: Broom,
    /// The places that are still to be swept.
    pub(super) from: u32,
    pub(super) end: u32,
    /// How many it has moved.
    pub(super) moved: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broom {
    Requeue,
    Withdraw,
    Gather,
}

impl Sweep {
    pub(super) fn all(what: Broom) -> Self {
        Self { what, from: 0, end: u32::MAX, moved: 0 }
    }
}

impl Tracked {
    /// One that was never looked at.
    pub(super) fn new(view: Rollout, now: Times) -> Self {
        let opening = LastOpening::ask(&view.plan, view.record.revert().is_some(), now);
        Self {
            view,
            opening,
            stage: LookStage::Idle,
            again: true,
            verbs: VerbLine::default(),
            wake: None,
            stall: Stall::default(),
            settled_at: None,
            watch: Watch::default(),
            waits: Waits::default(),
            lanes: BTreeSet::new(),
        }
    }

    /// What the store said of it last.
    pub(super) fn view(&self) -> &Rollout {
        &self.view
    }

    /// Takes over what the store says of it; gives whether its record is another one. A store that
    /// is shared tells of what ended in another daemon's hands, which is no stall.
    pub(super) fn replace(&mut self, view: Rollout, shared: bool) -> bool {
        let moved = view.record.version != self.view.record.version;
        // A change may have ended in other hands: its place is free.
        if view.tallies != self.view.tallies {
            self.again = true;
            if shared {
                self.goes_on();
            }
        }
        self.view = view;
        moved
    }

    /// Takes over what was committed; gives whether its record is another one. With a new phase the
    /// stall begins anew.
    pub(super) fn replace_record(&mut self, record: rollout::Record) -> bool {
        let moved = record.version != self.view.record.version;
        if record.phase != self.view.record.phase {
            self.goes_on();
        }
        self.view.record = record;
        moved
    }

    /// Something happened: another look follows the one that may be under way.
    pub(super) fn look_again(&mut self) {
        self.again = true;
    }

    /// Whether another look is to follow.
    pub(super) fn looks_again(&self) -> bool {
        self.again
    }

    /// Whether another look is to follow, as it was before a read that is judged right now.
    pub(super) fn set_again(&mut self, again: bool) {
        self.again = again;
    }

    /// The verbs that wait, in the order in which they came.
    pub(super) fn verbs(&self) -> &VerbLine {
        &self.verbs
    }

    pub(super) fn verbs_mut(&mut self) -> &mut VerbLine {
        &mut self.verbs
    }

    /// Whether no read and no commit is out.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.stage, LookStage::Idle)
    }

    /// Begins a look or the first verb, if one is wanted and nothing is out; gives whether it did.
    /// While it is `held` only a verb is a reason.
    pub(super) fn begins_look(&mut self, held: bool) -> bool {
        let wanted = !self.verbs.is_empty() || (self.again && !held);
        let begins = wanted && self.is_idle();
        if begins {
            self.again = false;
            self.stage = LookStage::Reading;
        }
        begins
    }

    /// A read or a commit goes out.
    pub(super) fn wait_for(&mut self, stage: LookStage) {
        self.stage = stage;
    }

    /// What was out came back: nothing is out any more.
    pub(super) fn take_stage(&mut self) -> LookStage {
        std::mem::replace(&mut self.stage, LookStage::Idle)
    }

    /// Whether the commit that is out carries out the first verb.
    pub(super) fn commits_verb(&self) -> bool {
        matches!(&self.stage, LookStage::Committing(moving, _) if moving.verb)
    }

    /// A change of it has settled: the stall begins anew.
    pub(super) fn change_settled(&mut self, now: Timestamp) {
        self.goes_on();
        self.settled_at = Some(now);
    }

    /// When a change settled last, since it is in hand.
    pub(super) fn settled_at(&self) -> Option<Timestamp> {
        self.settled_at
    }

    pub(super) fn wakes_at(&self) -> Option<Boot> {
        self.wake
    }

    /// Its timer wakes it then; gives when it would have been woken before.
    pub(super) fn wake_at(&mut self, at: Option<Boot>) -> Option<Boot> {
        std::mem::replace(&mut self.wake, at)
    }

    /// A change for this lane is in hand.
    pub(super) fn works_on(&mut self, lane: Name) {
        self.lanes.insert(lane);
    }

    /// The lanes of its changes that were in hand.
    pub(super) fn lanes(&self) -> &BTreeSet<Name> {
        &self.lanes
    }

    /// Its record, as decided then, is another one: what it waits for counts from there.
    pub(super) fn record_moved(&mut self, decided: Times) {
        self.waits.seen(&self.view.record, decided);
    }

    /// What is known of its windows is written down, as of then.
    pub(super) fn looked(&mut self, at: Times) {
        self.watch.seen(at);
    }

    /// Why nobody looked since the last look.
    pub(super) fn gap(&self, now: Times) -> Gap {
        self.watch.gap(now)
    }

    /// Everything is stopped, so nobody looks.
    pub(super) fn not_looked_at(&mut self) {
        self.watch.stopped();
    }

    /// What passes until the next look is nobody's stall.
    pub(super) fn stall_stops(&mut self) {
        self.stall.stops();
    }

    /// The store is away, so nobody can look, and nothing stalls.
    pub(super) fn store_away(&mut self) {
        self.stall.stops();
        self.watch.away();
    }

    /// Whether nothing has ended for as long as its plan allows.
    pub(super) fn is_stalled(&self) -> bool {
        self.stall.counted() >= self.view.plan.strategy.progress_deadline()
    }

    /// What it waits for, by the slowest of the clocks.
    pub(super) fn slowest(&mut self, now: Times, cloud: Option<TimeSpan>) -> Slowest {
        self.waits.slowest(&self.view.record, now, cloud)
    }

    /// What the calendar says now.
    fn opening(&self, now: Times) -> Opening {
        self.opening.now(&self.view.plan, self.reverts(), now)
    }

    /// Takes over what the calendar says now.
    pub(super) fn renew_opening(&mut self, now: Times) {
        let reverts = self.reverts();
        self.opening.renew(&self.view.plan, reverts, now);
    }

    /// Whether the window is shut by the cloud's clock, wherever in this span it stands.
    pub(super) fn is_shut_by(&self, cloud: TimeSpan) -> bool {
        self.opening.is_shut_by(&self.view.plan, self.reverts(), cloud)
    }

    /// What a decision about it may know; `gap`: why nobody looked since the last look, `at_work`:
    /// why nothing ended.
    pub(super) fn context(
        &self,
        now: Timestamp,
        gap: Gap,
        slowest: Slowest,
        at_work: String,
    ) -> Context<'_> {
        Context {
            now,
            slowest,
            plan: &self.view.plan,
            by: &self.view.by,
            tallies: &self.view.tallies,
            window: self.opening.said().clone(),
            stalled: self.stall.counted(),
            at_work,
            since: self.view.submitted_at,
            gap,
        }
    }

    /// What a decision about one of its changes may know, as if the change had just entered its
    /// state.
    pub(super) fn change_context<'a>(
        &'a self,
        change: &Change,
        timing: &'a change::Timing,
        now: Times,
    ) -> change::Context<'a> {
        change::Context {
            now: now.wall,
            cloud: None,
            lane_held: None,
            gate: self.view.record.gate(change.wave, change.record.undo.is_some()),
            window: self.opening(now),
            timing,
            retry: &self.view.plan.retry,
            verify_timeout: self.view.plan.verify_timeout(),
            waited: Duration::ZERO,
            looks: 0,
            survey: self.view.plan.survey,
            wire: self.view.plan.wire.as_ref().map(WireRules::demand),
            occupied: None,
        }
    }

    fn reverts(&self) -> bool {
        self.view.record.revert().is_some()
    }

    /// Between which instants the window is known to be open.
    pub(super) fn open_within(&self, now: Times) -> OpenWithin {
        self.opening.within(&self.view.plan, self.reverts(), now)
    }

    /// Counts open-window time in which work was on and nothing ended. A shut window or a pause
    /// stops the count and keeps it, so that many short windows add up; what ended, or a new phase,
    /// starts it anew. What passes while all that is in hand waits for its lanes (`held_by` says
    /// why) is counted apart.
    pub(super) fn time_passes(&mut self, boot: Boot, held_by: Option<String>) {
        let counts =
            matches!(self.view.record.phase, Phase::Advancing { .. } | Phase::Reverting(_))
                && self.view.record.paused.is_none()
                && matches!(self.opening.said(), Opening::Open { .. });
        self.stall.passes(boot, counts, held_by);
    }

    /// Why it has waited for its lanes for so long that a person should know.
    pub(super) fn overdue(&self) -> Option<String> {
        self.stall.overdue(self.view.plan.strategy.progress_deadline())
    }

    /// Something ended, or a new phase began.
    pub(super) fn goes_on(&mut self) {
        self.stall = Stall::default();
    }
}
