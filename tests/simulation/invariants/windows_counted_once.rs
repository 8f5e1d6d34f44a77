//! Every window is accounted for once: opened, or counted as missed, never both at once, never
//! silently neither; and a clock that jumps opens none twice.
//!
//! The journal alone is asked, with the calendar beside it: nothing of how the core counts is
//! repeated here.

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::id::RolloutId;
use sealift::domain::journal::{Entry, JournalEvent};
use sealift::domain::rollout::Phase;
use sealift::domain::window::Calendar;
use sealift::domain::window_log::WindowLog;
use sealift::rehearse::observation::Observation;
use sealift::store::Store;

use super::WorldInvariant;
use crate::oracle::{Fact, OracleSetting, SeenFact};
use crate::world::{Nanos, S, start};

/// A look every half minute, a stuck commit and another: longer than that no window stays
/// unaccounted.
const UNTOLD_MAX: Nanos = 150 * S;
/// How often that is looked at.
const LOOK_EVERY: Nanos = 10 * S;

pub struct WindowsCountedOnce {
    rollout: RolloutId,
    calendar: Calendar,
    stopped: bool,
    up: bool,
    next_look: Nanos,
    /// What was accounted for when a window was first seen to be neither opened nor missed, and
    /// when that was.
    untold: Option<(Timestamp, Nanos)>,
}

impl WindowsCountedOnce {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        let calendar = setting.submission.plan.calendar.clone();
        Self {
            rollout: setting.rollout,
            calendar,
            stopped: false,
            up: false,
            next_look: 0,
            untold: None,
        }
    }

    /// How many windows end after `from` and by `to`.
    fn between(&self, from: Timestamp, to: Timestamp) -> u32 {
        let (mut at, mut count) = (from, 0);
        while let Some(end) = self
            .calendar
            .openings(at, 1)
            .pop()
            .and_then(|stretch| stretch.cutoff)
            .filter(|end| *end <= to)
        {
            (at, count) = (end, count + 1);
        }
        count
    }

    fn untold(&mut self, now: Nanos, wall: Timestamp, store: &impl Store) -> Result<(), String> {
        let rollout = store
            .rollout(self.rollout)
            .now_or_never()
            .expect("ready")
            .expect("memory")
            .expect("submitted");
        // A revert that halted is counted no windows, as one under way is not.
        let looks = matches!(
            rollout.record.phase,
            Phase::Advancing { .. } | Phase::Awaiting { .. } | Phase::Halted { revert: None, .. }
        );
        let from = rollout.record.windows.upto.unwrap_or_else(start);
        if self.stopped
            || !self.up
            || !looks
            || rollout.total().queued + rollout.total().active == 0
            || from >= wall
            || self.between(from, wall) == 0
        {
            self.untold = None;
            return Ok(());
        }
        // Where a window ends each minute and commits are slow, one more is always open; each is
        // told in its time.
        let told = self.untold.filter(|(upto, _)| *upto == from);
        let (_, since) = *self.untold.insert(told.unwrap_or((from, now)));
        if now > since + UNTOLD_MAX {
            return Err(format!(
                "a window that ended after {from} is neither opened nor missed at {wall}, {} s later",
                (now - since) / S
            ));
        }
        Ok(())
    }

    /// `next`: the entry after it. A verb about one change leaves its person's name with the
    /// change, in the same commit.
    fn follows(&self, entry: &Entry, next: Option<&Entry>, was: &WindowLog) -> Result<(), String> {
        let JournalEvent::Rollout { from, why, by, record, .. } = &entry.what else {
            return Ok(());
        };
        let by_hand = next.is_some_and(|next| {
            next.at == entry.at && matches!(next.what, JournalEvent::Change { by: Some(_), .. })
        });
        let is = &record.windows;
        let wrong =
            |what: &str| Err(format!("entry {}: {what}: {was:?}, then {is:?} ({why})", entry.seq));
        if is.upto < was.upto {
            return wrong("what is accounted for went back");
        }
        if is.opened < was.opened || (is.opened == was.opened && why.contains("a window opened")) {
            return wrong("a window was opened twice");
        }
        let begin = was.upto.unwrap_or_else(start);
        let end = is.upto.unwrap_or(begin);
        // The window that this entry opens is none of those that ended unused before.
        let opens_new = is.opened != was.opened && is.opened == is.upto && is.upto != was.upto;
        let ended = self.between(begin, end).saturating_sub(u32::from(opens_new));
        let passed = from == "soaking" || by.is_some() || by_hand;
        let after_all = is.opened != was.opened && !opens_new;
        match is.missed.checked_sub(was.missed) {
            Some(more) if more == ended || (passed && more <= ended) => Ok(()),
            Some(_) => wrong(&format!("{ended} windows ended unused")),
            None if after_all && is.missed + 1 == was.missed => Ok(()),
            None => wrong("a missed window is forgotten"),
        }
    }
}

impl WorldInvariant for WindowsCountedOnce {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if self.calendar.windows().is_empty() {
            return Ok(());
        }
        match fact {
            Fact::Seen(SeenFact::Stopped { stands }) => self.stopped = *stands,
            Fact::Seen(SeenFact::Disturbed { .. }) => self.untold = None,
            Fact::Observed(Observation::Started { .. }, _) => {
                self.up = true;
                self.untold = None;
            }
            Fact::Observed(Observation::Died, _) => {
                self.up = false;
                self.untold = None;
            }
            Fact::Instant { now, wall, store } if *now >= self.next_look => {
                self.next_look = *now + LOOK_EVERY;
                return self.untold(*now, *wall, *store);
            }
            Fact::End { entries, .. } => {
                let mut was = WindowLog::default();
                for (place, entry) in entries.iter().enumerate() {
                    self.follows(entry, entries.get(place + 1), &was)?;
                    if let JournalEvent::Rollout { record, .. } = &entry.what {
                        was.clone_from(&record.windows);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
