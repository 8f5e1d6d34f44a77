//! *Rollouts*: open or all, one line each.

use askama::Template;

use crate::api::wire::{Listing, RolloutDoc, RolloutRow, TallyDoc};
use crate::domain::count::count;
use crate::page::draw::{Share, meter};
use crate::page::moment::{Moment, ViewClock};
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::{grouped, of_phase, spoken};
use crate::words::rollout::phase;

#[derive(Template)]
#[template(path = "rollouts.html")]
pub struct RolloutsView {
    shell: Shell,
    rollouts: Vec<RolloutLine>,
    /// Address of the next page.
    next: Option<String>,
}

/// A rollout in a table.
pub struct RolloutLine {
    pub id: String,
    pub name: String,
    pub ssl_option: bool,
    /// Ticket and owner.
    pub beside: String,
    pub phase: String,
    pub tone: &'static str,
    pub meter: String,
    /// Where it is.
    pub at: String,
    pub settled: String,
    pub active: u32,
    pub wrong: u32,
    /// When it ends, or ended.
    pub ends: Option<Moment>,
    pub ends_note: String,
}

impl RolloutsView {
    /// A page of all rollouts.
    pub fn new(around: &ViewSource, page: Listing<RolloutRow>, clock: ViewClock) -> Self {
        let rollouts = page.rows.iter().map(|row| {
            match around.open.iter().find(|open| open.document.id == row.id) {
                Some(open) => open_line(&open.document, &clock),
                None => line(row, &clock),
            }
        });
        let rollouts = rollouts.collect();
        let next = page.next.map(|next| format!("/rollouts?after={next}"));
        Self { rollouts, next, shell: Shell::new(around, "Rollouts", "Rollouts".into(), clock) }
    }
}

/// The shares of a tally: well, wrong, in doubt, moving.
pub fn shares(tally: &TallyDoc) -> [Share; 4] {
    let share = |tone, count: u32| Share { tone, count: count.into() };
    [
        share("green", tally.succeeded + tally.reverted),
        share("red", tally.failed),
        share("violet", tally.in_doubt),
        share("blue", tally.active),
    ]
}

fn tally_meter(tally: &TallyDoc) -> String {
    meter(
        &shares(tally),
        tally.total.into(),
        &format!("{} of {} settled, {} in flight", tally.settled(), tally.total, tally.active),
    )
}

/// An open rollout, with its outlook.
pub fn open_line(rollout: &RolloutDoc, clock: &ViewClock) -> RolloutLine {
    let tally = &rollout.tally;
    let beside: Vec<&str> = [rollout.change_ref.as_str(), rollout.owner.as_str()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    let wave =
        rollout.wave.and_then(|wave| Some((wave + 1, rollout.waves.get(usize::from(wave))?)));
    let at = match wave {
        Some((number, wave)) => format!("{number} of {}, {}", rollout.waves.len(), wave.name),
        None => format!("{}, none begun", count(rollout.waves.len() as u64, "wave", "waves")),
    };
    let late = rollout.forecast.as_ref().and_then(|forecast| forecast.p90);
    let note = match (late, rollout.is_final) {
        (_, true) => "over".to_owned(),
        (Some(late), false) => format!("9 of 10 by {}", clock.short(late).shown),
        (None, false) => rollout.holds.first().map(|hold| spoken(&hold.word)).unwrap_or_default(),
    };
    RolloutLine {
        id: rollout.id.clone(),
        name: rollout.name.clone(),
        ssl_option: rollout.ssl_option,
        beside: beside.join(" · "),
        phase: phase(&rollout.phase, rollout.paused.is_some()),
        tone: of_phase(
            &rollout.phase,
            !rollout.holds.is_empty() && rollout.paused.is_some(),
            tally.failed + tally.in_doubt > 0,
        ),
        meter: tally_meter(tally),
        at,
        settled: format!("{} / {}", grouped(&tally.settled()), grouped(&tally.total)),
        active: tally.active,
        wrong: tally.failed + tally.in_doubt,
        ends: if rollout.is_final {
            Some(clock.long(rollout.moved_at))
        } else {
            rollout.eta.map(|eta| clock.short(eta))
        },
        ends_note: note,
    }
}

fn line(row: &RolloutRow, clock: &ViewClock) -> RolloutLine {
    let tally = &row.tally;
    RolloutLine {
        id: row.id.clone(),
        name: row.name.clone(),
        ssl_option: row.ssl_option,
        beside: row.change_ref.clone(),
        phase: phase(&row.phase, row.paused),
        tone: of_phase(&row.phase, row.paused, tally.failed + tally.in_doubt > 0),
        meter: tally_meter(tally),
        at: row.wave.clone().unwrap_or_default(),
        settled: format!("{} / {}", grouped(&tally.settled()), grouped(&tally.total)),
        active: tally.active,
        wrong: tally.failed + tally.in_doubt,
        ends: Some(clock.long(row.moved_at)),
        ends_note: format!("revision {}, by {}", row.revision, row.by),
    }
}
