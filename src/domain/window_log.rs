//! Which of its plan's windows a rollout has opened and which it missed, each counted once.
//!
//! Invariants: a window is opened at most once and counted as missed at most once, whatever the
//! clock does; every window that ends while work is unfinished is one of the two.
//! [`WindowLog::upto`] never goes back: after a clock was stepped back, the windows it passes again
//! are accounted for already, and one that was counted as missed while the clock was ahead becomes
//! an opened one when it comes after all.
//!
//! Deliberately not here: whether work may begin (`window`, which depends on the instant alone),
//! and plans without windows: they miss nothing.

#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::window::{Calendar, Opening, Stretch};

/// Most windows counted in one look: after a month without a daemon one entry says how many, and
/// the count costs milliseconds. Beyond it the entry says "more than".
pub const COUNTED_MAX: u32 = 1_000;

/// What is known of a rollout's windows; part of its record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowLog {
    /// Every window that ended by then is accounted for; `None`: none since the submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upto: Option<Timestamp>,
    /// End of the last one that opened for new work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Timestamp>,
    /// How many were missed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u32,
    /// The last one that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_missed: Option<MissedWindows>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A window that came and went while nothing could begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissedWindows {
    pub open: Timestamp,
    /// From when on nothing new might begin.
    pub until: Timestamp,
}

/// Whether a reason in the journal tells of windows that were missed.
pub fn tells_of_a_miss(why: &str) -> bool {
    why.starts_with(MISSED) || why.contains(&format!("; {MISSED}"))
}

/// What such a reason, or its last part, begins with.
const MISSED: &str = "missed ";

/// Why nobody looked since the last look, as far as the process knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gap {
    /// Nothing is out of order.
    #[default]
    None,
    /// This is the first look since the process started.
    Down,
    /// A person, or the kill-switch file, stopped everything.
    Stopped,
    /// The store was away.
    Away,
    /// The wall clock was stepped by so much; negative: back.
    Stepped(SignedDuration),
    /// The process stood still for so long.
    Still(SignedDuration),
}

/// What a note is made from.
#[derive(Debug, Clone, Copy)]
pub struct NoteInput<'a> {
    pub calendar: &'a Calendar,
    /// What it says now.
    pub opening: &'a Opening,
    pub now: Timestamp,
    /// When the rollout was submitted.
    pub since: Timestamp,
    /// Its phase and its pause let work begin.
    pub may_begin: bool,
    /// Some change has no outcome yet.
    pub wants: bool,
    /// Why nothing began, if a person or a guard holds it: since when, and in words.
    pub held: Option<(Option<Timestamp>, &'a str)>,
    pub gap: Gap,
}

/// What is to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What is known from now on.
    pub windows: WindowLog,
    /// Why, for the journal.
    pub why: String,
}

impl WindowLog {
    /// Whether nothing is known yet.
    pub fn is_new(&self) -> bool {
        *self == Self::default()
    }

    /// Windows that ended by `at` are nobody's miss: the plan itself let them pass, or no work
    /// waited for them.
    pub fn passed(&mut self, calendar: &Calendar, at: Timestamp) {
        if !calendar.windows().is_empty() {
            self.upto = Some(self.upto.map_or(at, |upto| upto.max(at)));
        }
    }

    /// The next thing to write down; `None` when all is.
    pub fn note(&self, facts: &NoteInput<'_>) -> Option<Note> {
        if facts.calendar.windows().is_empty() {
            return None;
        }
        let note = self.missed(facts).or_else(|| self.begun(facts));
        match (note, facts.gap) {
            (Some(note), Gap::Stepped(by)) => {
                Some(Note { why: format!("{}; {}", stepped(by, facts), note.why), ..note })
            }
            (None, Gap::Stepped(by)) => Some(Note {
                windows: self.clone(),
                why: format!("{}; {}", stepped(by, facts), stands(facts)),
            }),
            (note, Gap::None | Gap::Down | Gap::Stopped | Gap::Away | Gap::Still(_)) => note,
        }
    }

    /// What an operator's verb takes along into its own entry: what was missed until now, and the
    /// window that is open, which the verb may end for this rollout. What was missed is told in
    /// [`Note::why`]; empty when nothing was.
    pub fn caught_up(&self, facts: &NoteInput<'_>) -> Note {
        let Note { windows, why } = self
            .missed(facts)
            .unwrap_or_else(|| Note { windows: self.clone(), why: String::new() });
        let windows = windows.begun(facts).map_or(windows, |note| note.windows);
        Note { windows, why }
    }

    /// The window that is open now, if its opening is not written down yet.
    fn begun(&self, facts: &NoteInput<'_>) -> Option<Note> {
        let Opening::Open { until } = facts.opening else { return None };
        if facts.calendar.windows().is_empty() || !facts.may_begin {
            return None;
        }
        let end = until.unwrap_or(Timestamp::MAX);
        let times = CalendarTimes(facts.calendar);
        let ahead = self.upto.filter(|upto| facts.now < *upto);
        if self.opened.is_some_and(|opened| end <= opened)
            || (ahead.is_some() && ahead == self.opened)
        {
            // Opened before: it goes on, or the clock was stepped back into it.
            return None;
        }
        let mut windows = self.clone();
        windows.opened = Some(end);
        let shown = until.map_or_else(
            || "without end".to_owned(),
            |until| format!("until {}", times.time(until)),
        );
        if ahead.is_some_and(|upto| end <= upto) {
            windows.missed = windows.missed.saturating_sub(1);
            windows.last_missed = windows.last_missed.filter(|missed| missed.until != end);
            return Some(Note {
                windows,
                why: format!(
                    "a window counted as missed is open after all, {shown}: the clock stood ahead"
                ),
            });
        }
        windows.upto = Some(end);
        Some(Note { windows, why: format!("a window opened, {shown}") })
    }

    /// Windows that ended since the last look, and none of them was opened.
    fn missed(&self, facts: &NoteInput<'_>) -> Option<Note> {
        if !facts.wants || facts.calendar.windows().is_empty() {
            return None;
        }
        let mut at = self.upto.unwrap_or(facts.since);
        let (mut first, mut last, mut count) = (None, None, 0);
        while let Some(Stretch { open, cutoff: Some(cutoff), .. }) =
            ended_by(facts.calendar, at, facts.now)
        {
            first = first.or(Some(open));
            last = Some(MissedWindows { open, until: cutoff });
            at = cutoff;
            count += 1;
            if count == COUNTED_MAX {
                break;
            }
        }
        let (first, last) = (first?, last?);
        let more = count == COUNTED_MAX && ended_by(facts.calendar, at, facts.now).is_some();
        let upto = if more { facts.now } else { last.until };
        let windows = WindowLog {
            upto: Some(upto),
            opened: self.opened,
            missed: self.missed.saturating_add(count),
            last_missed: Some(last),
        };
        let times = CalendarTimes(facts.calendar);
        let which = match count {
            1 => format!(
                "{MISSED}the window of {} until {}",
                times.time(last.open),
                times.time(last.until)
            ),
            _ if more => format!(
                "{MISSED}more than {count} windows from {} to {}",
                times.time(first),
                times.time(facts.now)
            ),
            _ => format!(
                "{MISSED}{count} windows from {} to {}",
                times.time(first),
                times.time(last.until)
            ),
        };
        Some(Note { windows, why: format!("{which}: {}", because(facts, last)) })
    }
}

/// The next window from `at` on, if it has ended by `now`.
fn ended_by(calendar: &Calendar, at: Timestamp, now: Timestamp) -> Option<Stretch> {
    if at >= now {
        return None;
    }
    calendar
        .openings(at, 1)
        .pop()
        .filter(|stretch| stretch.cutoff.is_some_and(|cutoff| cutoff <= now))
}

fn because(facts: &NoteInput<'_>, last: MissedWindows) -> String {
    if let Some((since, why)) = facts.held
        && since.is_none_or(|since| since < last.until)
    {
        return why.to_owned();
    }
    match facts.gap {
        Gap::Down => "no daemon ran".into(),
        Gap::Stopped => "everything was stopped".into(),
        Gap::Away => "the store was away".into(),
        Gap::Stepped(_) => "the clock went past it".into(),
        Gap::Still(long) => format!("the daemon stood still for {long:#}"),
        Gap::None => "it was over before anything could begin".into(),
    }
}

fn stepped(by: SignedDuration, facts: &NoteInput<'_>) -> String {
    let way = if by.is_negative() { "back" } else { "forward" };
    let long = SignedDuration::from_secs(by.as_secs().saturating_abs());
    format!(
        "the wall clock was stepped {way} by {long:#}, to {}",
        CalendarTimes(facts.calendar).time(facts.now)
    )
}

fn stands(facts: &NoteInput<'_>) -> String {
    let times = CalendarTimes(facts.calendar);
    match facts.opening {
        Opening::Open { until: Some(until) } => {
            format!("the window is open until {}", times.time(*until))
        }
        Opening::Open { until: None } => "the window is open".into(),
        Opening::Shut { next: Some(next), .. } => {
            format!("the next window opens {}", times.time(*next))
        }
        Opening::Shut { next: None, .. } => "no window opens any more".into(),
    }
}

/// Instants as the clock of the plan's first window shows them.
struct CalendarTimes<'a>(&'a Calendar);

impl CalendarTimes<'_> {
    /// `2026-12-05 01:00 +08`.
    fn time(&self, at: Timestamp) -> String {
        let zone = self
            .0
            .windows()
            .first()
            .map_or(jiff::tz::TimeZone::UTC, |window| window.zone().rules().clone());
        at.to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M %:::z").to_string()
    }
}
