//! Why not now, since when and until when: one reason for a rollout or a change that waits.
//!
//! Job: turn the facts into [`Hold`]s, the one that an operator should read first before the
//! others. What a person must lift comes before what time lifts, and what holds everything before
//! what holds one change.
//!
//! Invariants: the same facts give the same hold; where nothing holds there is none, and work that
//! is on its way is not held. Instants are in `since` and `until` only, so that every screen can
//! show them in its own zone.
//!
//! Deliberately not here: deciding. A hold explains what `rollout`, `change`, the store and the
//! engine do; it moves nothing.

mod lane;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use self::lane::{LaneStanding, Pause, Unserved};

use super::call::JobSeen;
use super::change::{Change, LOOKS_MAX, State};
use super::cloud_clock::Offset;
use super::count::count;
use super::group::FullGroup;
use super::id::{ChangeId, Name};
use super::person::Attribution;
use super::person::Person;
use super::plan::Plan;
use super::rollout::{Halt, Phase, Record, ReleaseRoom, Revert, RevertStage};
use super::stop::Stop;
use super::tally::Tally;
use super::window::{Opening, ShutBy};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// One of [`Hold::WORDS`], for filters and metrics.
    pub word: &'static str,
    /// The same for people; neither who it was nor which verb lifts it.
    pub text: String,
    /// The person who did it, and why.
    pub mark: Option<Attribution>,
    /// The verb that lifts it, if one does.
    pub lift: Option<Lift>,
    /// Since when it holds; `None`: that is not known.
    pub since: Option<Timestamp>,
    /// When it ends by itself; `None`: not by time, or nobody knows when.
    pub until: Option<Timestamp>,
}

/// What a person may do about a hold; `words::hold` has the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lift {
    Start,
    Resume,
    ResumeLane(Name),
    Approve,
    /// The next wave begins.
    Promote,
    /// It need not soak to its end.
    PromoteEarly,
    Retry,
    /// Either; a promotion leaves behind what failed.
    RetryOrPromote,
    /// No window opens any more.
    Abort,
}

impl Hold {
    /// The word of a rollout whose approvals are not complete; an exit code depends on it.
    pub const AWAITING_APPROVAL: &'static str = "awaiting_approval";

    /// Every word, in the order of precedence.
    pub const WORDS: [&'static str; 26] = [
        "halted",
        "stopped",
        "stop_file",
        "paused",
        Self::AWAITING_APPROVAL,
        "awaiting_promotion",
        "overdue",
        "lane_held",
        "draining",
        "soaking",
        "not_before",
        "freeze",
        "cutoff",
        "window",
        "wave",
        "settling",
        "lane_missing",
        "lane_shared",
        "clock",
        "instance_busy",
        "backoff",
        "lane_paused",
        "quota",
        "group_limit",
        "failure_budget",
        "in_flight_limit",
    ];

    fn new(word: &'static str, until: Option<Timestamp>, text: String) -> Self {
        debug_assert!(Self::WORDS.contains(&word), "{word} is not listed");
        Self { word, text, mark: None, lift: None, since: None, until }
    }

    fn by(self, mark: &Attribution) -> Self {
        Self { mark: Some(mark.clone()), ..self }
    }

    fn lifted(self, lift: Lift) -> Self {
        Self { lift: Some(lift), ..self }
    }

    fn since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }

    /// What is older than the rollout holds the rollout since its submission; what the
    /// configuration lacks, since it was read.
    fn dated(self, situation: &Situation<'_>) -> Self {
        let since = if matches!(self.word, "lane_missing" | "lane_shared") {
            Some(situation.started)
        } else {
            self.since
        };
        Self { since: since.map(|since| since.max(situation.submitted_at)), ..self }
    }
}

/// What is known of a rollout and of what it runs in.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    pub plan: &'a Plan,
    pub by: &'a Person,
    /// When: nothing held it before.
    pub submitted_at: Timestamp,
    /// When this daemon began with its configuration.
    pub started: Timestamp,
    /// When anything of it moved last: what counts alone hold has held since then at the latest.
    pub moved_at: Timestamp,
    /// Wall clock, to tell since when the calendar is shut.
    pub now: Timestamp,
    pub record: &'a Record,
    pub tallies: &'a [Tally],
    /// What its calendar says now.
    pub window: &'a Opening,
    /// What stops everything, whatever its rollout.
    pub stop: &'a Stop,
    /// The daemon is ending and begins nothing new.
    pub draining: bool,
    /// Why all it has in hand has waited for held lanes for as long as `progress_deadline`.
    pub overdue: Option<&'a str>,
    /// Under the plan's group limits no queued change may begin, whatever places the rollout has
    /// left.
    pub groups_full: bool,
    /// Lanes that do not serve changes of the rollout that are in hand.
    pub unserved: &'a [Unserved<'a>],
}

/// What is known of one change beside its rollout.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    pub change: &'a Change,
    /// Wall clock, to tell a wait that is over.
    pub now: Timestamp,
    /// When it wants to be woken, if it waits for an instant.
    pub wake: Option<Timestamp>,
    /// Another change that is active on the same instance.
    pub instance_taken: Option<ChangeId>,
    /// A job of somebody else that runs on its instance.
    pub occupied: Option<&'a JobSeen>,
    /// A group of it all of whose places are taken.
    pub group_full: Option<&'a FullGroup>,
    /// Its lane; `None`: the configuration has no lane of that name.
    pub lane: Option<LaneStanding<'a>>,
}

/// Why this rollout begins nothing new now, what to read first before the rest; empty when it does,
/// or when it is over. Neither the lane's pace nor full places hold a rollout, nor a budget that
/// all in flight would fill while none failed: that is how it moves.
pub fn of_rollout(situation: &Situation<'_>, lanes: &[LaneStanding<'_>]) -> Vec<Hold> {
    reasons(situation, lanes).into_iter().map(|hold| hold.dated(situation)).collect()
}

fn reasons(situation: &Situation<'_>, lanes: &[LaneStanding<'_>]) -> Vec<Hold> {
    let mut holds = situation.held_as_a_whole();
    if matches!(situation.record.phase, Phase::Advancing { .. } | Phase::Reverting(_)) {
        holds.extend(situation.late());
        holds.extend(lanes.iter().filter_map(LaneStanding::held));
    }
    if let Phase::Reverting(revert) = &situation.record.phase {
        holds.extend(situation.settles(revert));
        holds.extend(situation.unserved.iter().map(Unserved::hold));
        holds.extend(lanes.iter().filter_map(LaneStanding::clock));
        holds.extend(lanes.iter().filter_map(LaneStanding::stands));
        let queued: u32 = situation.tallies.iter().map(|tally| tally.queued).sum();
        let waits =
            revert.stage == RevertStage::Releasing && queued > 0 && situation.no_place().is_none();
        holds.extend(situation.groups().filter(|_| waits));
        return holds;
    }
    // Also of one that is over: what is in flight is followed to its end.
    holds.extend(situation.unserved.iter().map(Unserved::hold));
    let Phase::Advancing { wave } = situation.record.phase else { return holds };
    let queued: u32 =
        situation.tallies.iter().take(usize::from(wave) + 1).map(|tally| tally.queued).sum();
    if queued > 0 {
        holds.extend(lanes.iter().filter_map(LaneStanding::clock));
        holds.extend(lanes.iter().filter_map(LaneStanding::stands));
        let failures: u32 = situation.tallies.iter().map(Tally::failures).sum();
        let no_room = situation.no_room(wave);
        // With places left, and none for what is queued, people see a rollout that seems to idle.
        holds.extend(situation.groups().filter(|_| no_room.is_none()));
        holds.extend(no_room.filter(|hold| hold.word == "failure_budget" && failures > 0));
    }
    holds
}

/// Why this change does not begin, or go on, now; `None` when it does, when it is next in line, or
/// when it is settled.
pub fn of_change(situation: &Situation<'_>, waiting: &Waiting<'_>) -> Option<Hold> {
    reason(situation, waiting).map(|hold| hold.dated(situation))
}

fn reason(situation: &Situation<'_>, waiting: &Waiting<'_>) -> Option<Hold> {
    let change = waiting.change;
    let as_a_whole = || situation.held_as_a_whole().into_iter().next();
    match &change.record.state {
        State::Queued => as_a_whole().or_else(|| situation.queued(waiting)),
        State::Ready => as_a_whole()
            .or_else(|| waiting.shared())
            .or_else(|| waiting.clock())
            .or_else(|| waiting.pausing(situation.plan))
            .or_else(|| waiting.lane_holds()),
        // A question or an intent is on its way; only the lane can hold it up.
        State::Inspecting
        | State::Submitting { .. }
        | State::Recovering { .. }
        | State::Following { .. }
        | State::Verifying { .. } => waiting.lane_holds(),
        State::Succeeded { .. }
        | State::Failed { .. }
        | State::InDoubt { .. }
        | State::Cancelled
        | State::Reverted { .. }
        | State::Skipped { .. } => None,
    }
}

/// A guard's reason for people.
pub fn halt_text(reason: &Halt) -> String {
    match reason {
        Halt::Failures { failures, budget } => {
            format!(
                "halted: {} the budget of {budget}",
                count(*failures, "failure reaches", "failures reach")
            )
        }
        Halt::Half { failures, size } => {
            format!(
                "halted: {failures} of the wave's {} failed or in doubt",
                count(*size, "change", "changes")
            )
        }
        Halt::Stalled { seconds, why } if why.is_empty() => {
            format!("halted: no change ended for {seconds} s of open window")
        }
        Halt::Stalled { seconds, why } => {
            format!("halted: no change ended for {seconds} s of open window: {why}")
        }
        Halt::Revert { failures } => {
            format!("halted: {} could not be put back", count(*failures, "change", "changes"))
        }
    }
}

/// What to do about clocks that are apart.
pub const CLOCK_REMEDY: &str =
    "set this machine's clock right (`timedatectl set-ntp true`, `chronyc makestep`)";

/// Answers that lie further apart were not given by one clock: no call takes so long.
const DISAGREE: Duration = Duration::from_secs(150);

/// How the cloud's clock stands to ours, for people.
pub fn clock_text(ahead: Offset) -> String {
    let long = |apart: SignedDuration| {
        let seconds = apart.abs().as_secs();
        match seconds {
            0..120 => format!("{seconds} s"),
            120..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
            _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        }
    };
    let side = |apart: SignedDuration| if apart.is_negative() { "ahead of" } else { "behind" };
    let (least, most) = (ahead.least, ahead.most);
    if (most - least).unsigned_abs() > DISAGREE {
        return format!(
            "the cloud's answers disagree about the time: by them this machine's clock is from {} {} to {} {} the cloud's",
            long(least),
            side(least),
            long(most),
            side(most)
        );
    }
    let furthest = ahead.furthest();
    format!("this machine's clock is {} {} the cloud's", long(furthest), side(furthest))
}

impl Situation<'_> {
    /// What holds every change of the rollout that has not begun.
    fn held_as_a_whole(&self) -> Vec<Hold> {
        if self.record.phase.is_final() {
            return Vec::new();
        }
        // Neither a soak nor what waits for a person is lifted by a window.
        let waits = matches!(
            self.record.phase,
            Phase::Halted { .. } | Phase::Awaiting { .. } | Phase::Soaking { .. }
        );
        let shut = if waits { None } else { self.shut() };
        let people = [
            self.halted(),
            self.stopped(),
            self.stop_file(),
            self.paused(),
            self.unapproved(),
            self.awaiting(),
        ];
        people.into_iter().chain([self.ending(), self.soaking(), shut]).flatten().collect()
    }

    fn halted(&self) -> Option<Hold> {
        let Phase::Halted { reason, .. } = &self.record.phase else { return None };
        let lift = if self.record.is_left_by_promotion(self.tallies) {
            Lift::RetryOrPromote
        } else {
            Lift::Retry
        };
        Some(
            Hold::new("halted", None, halt_text(reason))
                .lifted(lift)
                .since(self.record.phase_since),
        )
    }

    fn stopped(&self) -> Option<Hold> {
        let mark = self.stop.by.as_ref()?;
        let hold = Hold::new("stopped", None, "everything is stopped".into());
        Some(hold.by(mark).lifted(Lift::Start).since(Some(mark.at)))
    }

    fn stop_file(&self) -> Option<Hold> {
        let file = self.stop.file.as_ref()?;
        Some(
            Hold::new(
                "stop_file",
                None,
                format!("everything is stopped by {file}; remove it to go on"),
            )
            .since(file.since),
        )
    }

    fn paused(&self) -> Option<Hold> {
        let mark = self.record.paused.as_ref()?;
        let hold = Hold::new("paused", self.record.paused_until, "paused".into());
        Some(hold.by(mark).lifted(Lift::Resume).since(Some(mark.at)))
    }

    fn unapproved(&self) -> Option<Hold> {
        let (given, required) = (self.record.approvals_given(self.by), self.plan.approval.required);
        if self.record.phase != Phase::Scheduled || given >= required {
            return None;
        }
        let text = format!("{given} of {} given", count(required, "approval is", "approvals are"));
        Some(
            Hold::new(Hold::AWAITING_APPROVAL, None, text)
                .lifted(Lift::Approve)
                .since(Some(self.submitted_at)),
        )
    }

    fn awaiting(&self) -> Option<Hold> {
        let Phase::Awaiting { wave } = self.record.phase else { return None };
        let text = format!("wave {} is done and waits for a person", self.wave_name(wave));
        Some(
            Hold::new("awaiting_promotion", None, text)
                .lifted(Lift::Promote)
                .since(self.record.phase_since),
        )
    }

    /// Time spent waiting for held lanes halts nothing, and is too long all the same.
    fn late(&self) -> Option<Hold> {
        let (why, seconds) = (self.overdue?, self.plan.strategy.progress_deadline().as_secs());
        let text = format!(
            "no change ended within {seconds} s of open window, and a person must look: {why}"
        );
        Some(Hold::new("overdue", None, text).since(Some(self.moved_at)))
    }

    fn ending(&self) -> Option<Hold> {
        self.draining.then(|| {
            Hold::new(
                "draining",
                None,
                "the daemon is ending; it goes on after the next start".into(),
            )
        })
    }

    fn soaking(&self) -> Option<Hold> {
        let Phase::Soaking { wave, until } = self.record.phase else { return None };
        let text = format!("wave {} soaks", self.wave_name(wave));
        Some(
            Hold::new("soaking", Some(until), text)
                .lifted(Lift::PromoteEarly)
                .since(self.record.phase_since),
        )
    }

    fn shut(&self) -> Option<Hold> {
        let Opening::Shut { next, by } = self.window else { return None };
        let (word, mut text) = match by {
            ShutBy::NotBefore => ("not_before", "the plan's not_before lies ahead".to_owned()),
            ShutBy::Freeze(reason) if reason.is_empty() => ("freeze", "a freeze is on".to_owned()),
            ShutBy::Freeze(reason) => ("freeze", format!("a freeze is on: {reason}")),
            ShutBy::Cutoff => (
                "cutoff",
                "the window is past its cutoff; what is in flight is followed to its end"
                    .to_owned(),
            ),
            ShutBy::Window => ("window", "no window is open".to_owned()),
        };
        if next.is_none() {
            text.push_str(", and none opens any more");
        }
        let lift = next.is_none().then_some(Lift::Abort);
        Some(
            Hold { lift, ..Hold::new(word, *next, text) }
                .since(self.plan.calendar.shut_since(self.now)),
        )
    }

    /// What holds one change in the queue of a rollout that moves.
    fn queued(&self, waiting: &Waiting<'_>) -> Option<Hold> {
        let change = waiting.change;
        if let Phase::Reverting(revert) = &self.record.phase {
            return self
                .settles(revert)
                .or_else(|| waiting.shared())
                .or_else(|| waiting.taken())
                .or_else(|| waiting.clock())
                .or_else(|| waiting.lane_holds())
                .or_else(|| waiting.group())
                .or_else(|| self.no_place());
        }
        let current = self.record.phase.wave()?;
        if change.wave > current {
            let text = format!(
                "wave {} begins after wave {}",
                self.wave_name(change.wave),
                self.wave_name(current)
            );
            return Some(Hold::new("wave", None, text));
        }
        waiting
            .shared()
            .or_else(|| waiting.taken())
            .or_else(|| waiting.clock())
            .or_else(|| waiting.lane_holds())
            .or_else(|| waiting.group())
            .or_else(|| self.no_room(current))
    }

    /// What keeps a revert from putting back anything yet.
    fn settles(&self, revert: &Revert) -> Option<Hold> {
        let text = match revert.stage {
            RevertStage::Settling => {
                "what is on its way forward is followed to its end before anything is put back"
                    .to_owned()
            }
            RevertStage::Gathering => {
                format!("what wave {} changed is gathered", self.wave_name(revert.wave))
            }
            RevertStage::Releasing => return None,
        };
        Some(Hold::new("settling", None, text))
    }

    /// The limits that leave no place to any queued change.
    fn groups(&self) -> Option<Hold> {
        let limits = &self.plan.strategy.max_in_flight_per;
        (self.groups_full && !limits.is_empty()).then(|| {
            let text = format!("every queued change waits for a place of its group or for its instance: {limits} may be in flight");
            Hold::new("group_limit", None, text).since(Some(self.moved_at))
        })
    }

    /// A revert has no budget to wait for, only places.
    fn no_place(&self) -> Option<Hold> {
        let all: Tally = self.tallies.iter().copied().sum();
        let most = self.plan.strategy.max_in_flight;
        (all.queued > 0 && all.active >= most).then(|| {
            Hold::new(
                "in_flight_limit",
                None,
                format!("{} of {} in flight", all.active, count(most, "change is", "changes are")),
            )
        })
    }

    fn no_room(&self, wave: u16) -> Option<Hold> {
        let room = ReleaseRoom::of(self.plan, self.tallies, wave);
        let strategy = &self.plan.strategy;
        let all: Tally = self.tallies.iter().copied().sum();
        let (of, tally, budget) = match room {
            ReleaseRoom { rollout: 0, .. } => {
                ("the rollout".to_owned(), all, strategy.max_failures)
            }
            ReleaseRoom { wave: 0, .. } => {
                let place = usize::from(wave);
                (
                    format!("wave {}", self.wave_name(wave)),
                    self.tallies[place],
                    strategy.waves[place].max_failures,
                )
            }
            ReleaseRoom { in_flight: 0, .. } => {
                let text = format!(
                    "{} of {} in flight",
                    all.active,
                    count(strategy.max_in_flight, "change is", "changes are")
                );
                return Some(Hold::new("in_flight_limit", None, text));
            }
            ReleaseRoom { .. } => return None,
        };
        let (failures, active) = (tally.failures(), tally.active);
        let text = format!(
            "{failures} failed and {active} in flight fill the failure budget of {budget} of {of}; it goes on as they succeed"
        );
        Some(Hold::new("failure_budget", None, text).since(Some(self.moved_at)))
    }

    fn wave_name(&self, wave: u16) -> &str {
        self.plan.strategy.waves.get(usize::from(wave)).map_or("?", |wave| wave.name.as_str())
    }
}

impl Waiting<'_> {
    /// What a change that holds its place in flight waits for.
    fn pausing(&self, plan: &Plan) -> Option<Hold> {
        let until = self.wake.filter(|wake| *wake > self.now)?;
        let record = &self.change.record;
        if record.misses > 0 {
            let times = count(record.misses, "time", "times");
            let text = format!(
                "the check before the switch failed {times} in a row; it is repeated, {LOOKS_MAX} times at most"
            );
            return Some(Hold::new("backoff", Some(until), text));
        }
        if record.waits > 0 {
            let work = self.occupied.map_or_else(|| "other work".to_owned(), ToString::to_string);
            let checks = count(record.waits, "check", "checks");
            let text = format!(
                "the instance is busy with {work}, for {checks} in a row; it is checked again"
            );
            return Some(Hold::new("instance_busy", Some(until), text));
        }
        let text = format!(
            "attempt {} of {} did not succeed; the next follows",
            record.attempts, plan.retry.max_attempts
        );
        (record.attempts > 0).then(|| Hold::new("backoff", Some(until), text))
    }

    fn taken(&self) -> Option<Hold> {
        let other = self.instance_taken.filter(|other| *other != self.change.id)?;
        let text = format!("change {other} works on the same instance, and one at a time may");
        Some(Hold::new("instance_busy", None, text))
    }

    fn group(&self) -> Option<Hold> {
        let full = self.group_full?;
        Some(Hold::new("group_limit", None, format!("{full}; it begins when one of them ends")))
    }

    /// No switch goes out on its lane; what is out is followed all the same.
    fn shared(&self) -> Option<Hold> {
        let LaneStanding { name, shares: Some(first), .. } = self.lane? else { return None };
        Some(Unserved { lane: name, shares: Some(first) }.hold())
    }

    fn clock(&self) -> Option<Hold> {
        self.lane.as_ref().and_then(LaneStanding::clock)
    }

    fn lane_holds(&self) -> Option<Hold> {
        let Some(lane) = &self.lane else {
            return Some(Unserved { lane: &self.change.target.lane, shares: None }.hold());
        };
        lane.held().or_else(|| lane.stands()).or_else(|| {
            lane.waits_for_quota.then(|| {
                let text = format!("lane {} has used its quota; the next call goes out as soon as the quota allows it", lane.name);
                Hold::new("quota", lane.free_at, text)
            })
        })
    }
}
