//! What a calendar will do: its next openings, what freezes take of them, and the nights when
//! clocks change.
//!
//! Invariant: every window that would open is listed, also one that a freeze covers whole; the
//! stretches listed as open are exactly those of [`Calendar::openings`]. Pure: it depends on the
//! calendar and the instants given.
//!
//! Deliberately not here: deciding (`window`), and how any of it is printed (`cli`).

#[cfg(test)]
mod tests;

use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::window::{Calendar, Freeze, Stretch};
use super::zone::Zone;

/// Most openings told at once; each costs a few questions to every window.
pub const SIGHTS_MAX: usize = 1_000;

/// What was seen of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Openings<'a> {
    /// The openings, in their order.
    pub sights: Vec<ForeseenOpening<'a>>,
    /// Whether more of them begin before the end asked for.
    pub more: bool,
}

/// One opening, or one that a freeze swallowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeseenOpening<'a> {
    /// From when to when; of one that is frozen, when it would have been.
    pub stretch: Stretch,
    /// Nothing may begin in it: a freeze covers it whole.
    pub frozen: bool,
    /// It was open before the instant from which was looked.
    pub open_already: bool,
    /// `not_before` cut its beginning.
    pub begins_late: bool,
    /// The freezes that take something of it.
    pub freezes: Vec<&'a Freeze>,
    /// The zone of the window that opens it; `None` where the plan has no windows.
    pub zone: Option<&'a Zone>,
    /// Changes of clocks in it, in its zone.
    pub clocks: Vec<ClockChange>,
}

impl ForeseenOpening<'_> {
    /// How long new work may begin in it; `None`: without end.
    pub fn new_work(&self) -> Option<SignedDuration> {
        if self.frozen {
            return Some(SignedDuration::ZERO);
        }
        self.stretch.cutoff.map(|cutoff| cutoff.duration_since(self.stretch.open))
    }
}

/// A change of clocks that an opening meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    pub at: Timestamp,
    /// The offset until then.
    pub before: Offset,
    /// The offset from then on.
    pub after: Offset,
    /// How the opening meets it.
    pub how: Meets,
}

/// How an opening meets a change of clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    /// The clock skips the time at which it was to open: it opens at the first instant after.
    StartSkipped,
    /// The clock shows the time at which it opens twice: it opens at the first.
    StartTwice,
    /// Clocks change while it is open.
    Inside,
}

impl Calendar {
    /// What opens from `from` on and before `until`, at most `limit` (and [`SIGHTS_MAX`]).
    pub fn outlook(&self, from: Timestamp, until: Option<Timestamp>, limit: usize) -> Openings<'_> {
        let limit = limit.min(SIGHTS_MAX);
        let bare = Self::new(self.windows().to_vec(), Vec::new(), self.not_before());
        let mut sights = Vec::new();
        let mut at = Some(from);
        while let Some(whole) = at.and_then(|at| bare.openings(at, 1).pop())
            && until.is_none_or(|until| whole.open < until)
        {
            if sights.len() > limit {
                break;
            }
            self.pieces(&whole, from, until, limit, &mut sights);
            at = whole.cutoff;
        }
        let more = sights.len() > limit;
        sights.truncate(limit);
        Openings { sights, more }
    }

    /// What freezes leave of one opening of the windows alone.
    fn pieces<'a>(
        &'a self,
        whole: &Stretch,
        from: Timestamp,
        until: Option<Timestamp>,
        limit: usize,
        sights: &mut Vec<ForeseenOpening<'a>>,
    ) {
        let before = sights.len();
        let mut at = Some(whole.open);
        while let Some(piece) = at.and_then(|at| self.openings(at, 1).pop())
            && whole.cutoff.is_none_or(|cutoff| piece.open < cutoff)
            && until.is_none_or(|until| piece.open < until)
            && sights.len() <= limit
        {
            let cuts = |freeze: &&Freeze| {
                freeze.end() == piece.open || Some(freeze.begin()) == piece.close
            };
            let freezes = self.freezes().iter().filter(cuts).collect();
            sights.push(self.sight(piece, false, from, freezes));
            at = piece.cutoff;
        }
        // Frozen is one that no piece is left of; one of which the first piece lies beyond `until`
        // is told when asked for.
        let untouched = self
            .openings(whole.open, 1)
            .first()
            .is_none_or(|piece| whole.cutoff.is_some_and(|cutoff| piece.open >= cutoff));
        if sights.len() == before && untouched {
            let covers = |freeze: &&Freeze| {
                freeze.end() > whole.open
                    && whole.cutoff.is_none_or(|cutoff| freeze.begin() < cutoff)
            };
            let freezes = self.freezes().iter().filter(covers).collect();
            sights.push(self.sight(*whole, true, from, freezes));
        }
    }

    fn sight<'a>(
        &'a self,
        stretch: Stretch,
        frozen: bool,
        from: Timestamp,
        freezes: Vec<&'a Freeze>,
    ) -> ForeseenOpening<'a> {
        let open = stretch.open;
        let starts = |at: Timestamp| {
            move |window: &&super::window::Window| {
                window.cron().previous_or_at(at, window.zone().rules()) == Some(at)
            }
        };
        let opened_by = self.windows().iter().find(starts(open));
        let window = opened_by
            .or_else(|| self.windows().iter().find(|window| window.covers(open)))
            .or_else(|| self.windows().first());
        let zone = window.map(super::window::Window::zone);
        let thawed = freezes.iter().any(|freeze| freeze.end() == open);
        let begins_late = opened_by.is_none() && !thawed && self.not_before() == Some(open);
        let mut clocks = Vec::new();
        if let Some(window) = window {
            let rules = window.zone().rules();
            let asked = opened_by.is_some_and(|window| window.cron().is_shown(open, rules));
            clocks.extend(at_start(open, rules, opened_by.is_some(), asked));
            clocks.extend(inside(&stretch, rules));
        }
        let open_already = open == from && opened_by.is_none() && !thawed && !begins_late;
        ForeseenOpening { stretch, frozen, open_already, begins_late, freezes, zone, clocks }
    }
}

/// The change of clocks that moves a start, or that makes its time come twice.
fn at_start(open: Timestamp, rules: &TimeZone, starts: bool, shown: bool) -> Option<ClockChange> {
    if !starts {
        return None;
    }
    let just_before = open.checked_sub(SignedDuration::from_nanos(1)).ok()?;
    let (before, after) = (rules.to_offset(just_before), rules.to_offset(open));
    if after > before && !shown {
        return Some(ClockChange { at: open, before, after, how: Meets::StartSkipped });
    }
    match rules.to_ambiguous_timestamp(after.to_datetime(open)).offset() {
        AmbiguousOffset::Fold { before, after: second } if before == after => {
            let change = rules.following(open).next()?;
            Some(ClockChange {
                at: change.timestamp(),
                before,
                after: second,
                how: Meets::StartTwice,
            })
        }
        AmbiguousOffset::Fold { .. }
        | AmbiguousOffset::Gap { .. }
        | AmbiguousOffset::Unambiguous { .. } => None,
    }
}

/// Changes of clocks after the opening and before the close; without a close none is looked for.
fn inside(stretch: &Stretch, rules: &TimeZone) -> Vec<ClockChange> {
    let Some(close) = stretch.close else { return Vec::new() };
    let mut offset = rules.to_offset(stretch.open);
    let mut changes = Vec::new();
    // A window lasts a year at most, and a zone changes its clocks a few times in it.
    for change in rules.following(stretch.open).take_while(|change| change.timestamp() < close) {
        if change.offset() != offset {
            changes.push(ClockChange {
                at: change.timestamp(),
                before: offset,
                after: change.offset(),
                how: Meets::Inside,
            });
        }
        offset = change.offset();
    }
    changes
}
