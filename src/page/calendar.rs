//! The windows of open rollouts and the ticks of enforcements, as rows to draw and to list.

use jiff::{SignedDuration, Timestamp};

use super::draw::{CalendarRow, CalendarSpan};
use super::moment::ViewClock;
use super::view::windows::{OpeningLine, WindowsOf};
use crate::api::OpenRollout;
use crate::api::wire::EnforcementDoc;
use crate::domain::openings::Meets;

/// Days that are drawn.
const DRAWN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How far openings are listed.
const LISTED: SignedDuration = SignedDuration::from_hours(61 * 24);

/// Rows that are drawn: more do not fit on a screen.
const ROWS_MAX: usize = 8;

/// Openings of one plan, at most.
const OPENINGS_MAX: usize = 70;

/// Rows of the next days.
pub fn rows(
    open: &[OpenRollout],
    enforcements: &[EnforcementDoc],
    clock: &ViewClock,
) -> Vec<CalendarRow> {
    let until = clock.now.saturating_add(DRAWN).unwrap_or(Timestamp::MAX);
    let rollouts = open.iter().filter(|open| !open.document.is_final).map(|open| {
        let openings = open.plan.calendar.outlook(clock.now, Some(until), OPENINGS_MAX);
        let spans = openings.sights.iter().map(|sight| CalendarSpan {
            from: sight.stretch.open.max(clock.now),
            to: Some(sight.stretch.close.unwrap_or(until)),
            frozen: sight.frozen,
            label: match (sight.frozen, sight.open_already, sight.stretch.cutoff) {
                (true, _, _) => "frozen".to_owned(),
                (false, true, Some(cutoff)) => format!("until {}", clock.minute(cutoff)),
                (false, _, _) => clock.minute(sight.stretch.open),
            },
        });
        CalendarRow { name: open.document.name.clone(), spans: spans.collect() }
    });
    let ticks = enforcements.iter().filter(|one| one.stage != "ended").filter_map(|one| {
        let tick = one.next_tick.filter(|tick| *tick < until)?;
        let label = if one.held.is_some() { "held".to_owned() } else { clock.minute(tick) };
        Some(CalendarRow {
            name: format!("{}, enforced", one.name),
            spans: vec![CalendarSpan { from: tick, to: None, frozen: false, label }],
        })
    });
    rollouts.chain(ticks).take(ROWS_MAX).collect()
}

/// The openings of the next two months.
pub fn listed(open: &[OpenRollout], clock: &ViewClock) -> Vec<WindowsOf> {
    let until = clock.now.saturating_add(LISTED).unwrap_or(Timestamp::MAX);
    let of = |OpenRollout { document: rollout, plan }: &OpenRollout| {
        let openings = plan.calendar.outlook(clock.now, Some(until), OPENINGS_MAX);
        let lines = openings.sights.iter().map(|sight| {
            let mut notes: Vec<String> = Vec::new();
            notes.extend(sight.open_already.then(|| "open now".to_owned()));
            notes.extend(sight.begins_late.then(|| "not before that".to_owned()));
            notes.extend(sight.freezes.iter().map(|freeze| format!("freeze: {}", freeze.reason())));
            notes.extend(sight.clocks.iter().map(|change| {
                let at = clock.long(change.at).shown;
                match change.how {
                    Meets::StartSkipped => format!("clocks change at {at}: its hour is skipped"),
                    Meets::StartTwice => {
                        format!("clocks change at {at}: its hour comes twice, the first counts")
                    }
                    Meets::Inside => format!("clocks change at {at}"),
                }
            }));
            OpeningLine {
                open: clock.long(sight.stretch.open),
                cutoff: sight.stretch.cutoff.map(|at| clock.long(at)),
                close: sight.stretch.close.map(|at| clock.long(at)),
                frozen: sight.frozen,
                notes,
            }
        });
        WindowsOf {
            id: rollout.id.clone(),
            name: rollout.name.clone(),
            always: plan.calendar.is_always_open(),
            openings: lines.collect(),
            missed: rollout
                .missed_windows
                .as_ref()
                .map(|missed| (missed.count, clock.long(missed.last_open))),
        }
    };
    open.iter().filter(|open| !open.document.is_final).map(of).collect()
}
