//! *One rollout*: why nothing begins now, its waves, its room, what is proven, its changes and its
//! journal.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{Board, Brush, Columns, Desk, HEAD, Section, apart, broken, cut, grouped};
use crate::cli::status::on_the_wire;
use crate::cli::top::board::RolloutBoard;
use crate::cli::top::section::fit;
use crate::cli::wire::{ChangeRow, HoldView, RolloutDoc, WaveDoc};
use crate::page::state::{of_phase, said};
use crate::page::view::rollout::held;
use crate::words::change::explain;
use crate::words::rollout::{phase, ssl};
use crate::words::text::{Style as Times, limits, seconds};

/// Least width of a wave, with two columns to the next one.
const WAVE: usize = 24;

/// From so many columns on, ids are shown whole.
const WHOLE_IDS: usize = 150;

pub fn sections(brush: &Brush, desk: &Desk, board: &Board, shown: &RolloutBoard) -> Columns {
    let document = &shown.document;
    let mut first = vec![head(brush, document)];
    first.extend(holds(brush, document));
    first.push(progress(brush, document));
    let changes = changes(brush, desk, shown);
    let second = vec![room(brush, board, document), brush.journal(&document.name, &board.entries)];
    if !brush.wide {
        let mut rest = second.into_iter();
        first.extend(rest.next());
        first.push(changes);
        return (first, rest.collect());
    }
    first.push(changes);
    (first, second)
}

fn head(brush: &Brush, document: &RolloutDoc) -> Section {
    let tally = &document.tally;
    let tone =
        of_phase(&document.phase, document.paused.is_some(), tally.failed + tally.in_doubt > 0);
    let value = if document.ssl_option { ssl(true).to_owned() } else { ssl(false).to_uppercase() };
    let off = if document.ssl_option {
        Style::new()
    } else {
        brush.ink.tone("red").add_modifier(Modifier::BOLD)
    };
    let soft = brush.ink.tone("soft");
    let facts = [document.change_ref.clone(), document.owner.clone(), document.description.clone()];
    let facts: Vec<String> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
    let submitted = brush.clock.ago(document.submitted_at).shown;
    let line = vec![
        Span::styled(value, off),
        Span::raw("  "),
        Span::styled(phase(&document.phase, document.paused.is_some()), brush.ink.tone(tone)),
        Span::styled(format!("  submitted {submitted} by {}", document.by), soft),
    ];
    let mut lines = vec![apart(line, "", brush.width)];
    if !facts.is_empty() {
        lines.push(Line::styled(cut(&facts.join(" · "), brush.width), soft));
    }
    Section::new(
        format!("{} revision {}", document.name, document.revision),
        document.id.clone(),
        lines,
    )
}

/// The first hold large, the others below it.
fn holds(brush: &Brush, document: &RolloutDoc) -> Option<Section> {
    let first = document.holds.first()?;
    let tone = if matches!(first.word.as_str(), "halted" | "stopped" | "stop_file") {
        "red"
    } else {
        "amber"
    };
    let bold = brush.ink.tone(tone).add_modifier(Modifier::BOLD);
    let text =
        format!("‖ Nothing new begins: {}", said(&first.text, first.by.as_deref(), &first.why));
    let mut lines = broken(&text, brush.width)
        .into_iter()
        .map(|text| Line::styled(text, bold))
        .collect::<Vec<_>>();
    let until = first.until.map(|until| {
        format!("until {}, by itself in {}", brush.when(until), brush.clock.apart(until))
    });
    let since = first.since.map(|since| format!("since {}", brush.when(since)));
    let parts: Vec<String> = since.into_iter().chain(until).chain(first.command.clone()).collect();
    if !parts.is_empty() {
        lines.push(Line::raw(cut(&format!("  {}", parts.join(" · ")), brush.width)));
    }
    let others = document
        .holds
        .iter()
        .skip(1)
        .map(|hold: &HoldView| format!("  then also: {}", held(hold, &brush.clock)));
    lines.extend(others.map(|text| Line::styled(cut(&text, brush.width), brush.ink.tone("soft"))));
    Some(Section::new("Why not now", "", lines).keeping(2))
}

/// What was settled, by waves with their gates.
fn progress(brush: &Brush, document: &RolloutDoc) -> Section {
    let tally = &document.tally;
    let share = f64::from(tally.settled()) / f64::from(tally.total.max(1)) * 100.0;
    let title =
        format!("{} of {} settled, {share:.1} %", grouped(&tally.settled()), grouped(&tally.total));
    let mut lines = vec![Line::from(brush.meter(tally, brush.width))];
    if document.waves.len() > 1 {
        lines.extend(waves(brush, document));
    }
    let counted = [
        ("succeeded", tally.succeeded),
        ("put back", tally.reverted),
        ("in flight", tally.active),
        ("queued", tally.queued),
        ("failed", tally.failed),
        ("in doubt", tally.in_doubt),
        ("skipped", tally.skipped),
        ("cancelled", tally.cancelled),
    ];
    let counted: Vec<String> = counted
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(word, n)| format!("{} {word}", grouped(n)))
        .collect();
    lines.push(Line::raw(cut(&counted.join("  "), brush.width)));
    Section::new(title, ends(brush, document), lines)
}

fn ends(brush: &Brush, document: &RolloutDoc) -> String {
    if document.is_final {
        return format!("ended {}", brush.clock.long(document.moved_at).shown);
    }
    let late = document.forecast.as_ref().and_then(|forecast| forecast.p90);
    let parts = [
        document.rate_per_minute.map(|rate| format!("{rate:.1} a minute")),
        document.eta.map(|eta| format!("ends {}", brush.when(eta))),
        late.map(|late| format!("9 of 10 by {}", brush.when(late))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// The waves beside each other, each with what comes behind it; of many, those around the current
/// one.
fn waves(brush: &Brush, document: &RolloutDoc) -> Vec<Line<'static>> {
    let most = (brush.width / WAVE).max(1);
    let shown = document.waves.len().min(most);
    let current = document.wave.map_or(0, usize::from);
    let first = current.saturating_sub(shown / 2).min(document.waves.len() - shown);
    let width = (brush.width + 2) / shown - 2;
    let mut lines = vec![Line::default(); 4];
    for (place, wave) in document.waves.iter().enumerate().skip(first).take(shown) {
        let last = place + 1 == document.waves.len();
        for (line, part) in
            lines.iter_mut().zip(brush.wave(place, wave, document.paused.is_some(), last, width))
        {
            let gap = if place > first { "  " } else { "" };
            line.spans.push(Span::raw(gap));
            line.spans.extend(part.spans);
        }
    }
    let hidden = document.waves.len() - shown;
    if hidden > 0 {
        let count = crate::domain::count::count(
            u32::try_from(hidden).unwrap_or(u32::MAX),
            "wave more",
            "waves more",
        );
        lines.push(Line::styled(format!("and {count}"), brush.ink.tone("soft")));
    }
    lines
}

/// The budget with what is in flight inside it, the places, the lanes, and what is proven.
fn room(brush: &Brush, board: &Board, document: &RolloutDoc) -> Section {
    let (tally, budget) = (&document.tally, &document.budget);
    let spent = format!(
        "Failure budget  {} of {} left; {} failed, {} in doubt, {} in flight count",
        budget.left, budget.max_failures, tally.failed, tally.in_doubt, tally.active
    );
    let of_groups =
        limits(&document.max_in_flight_per).map(|limits| format!("; {limits}")).unwrap_or_default();
    let mut lines = vec![
        Line::raw(cut(&spent, brush.width)),
        Line::raw(cut(
            &format!("In flight  {} of {}{of_groups}", tally.active, document.max_in_flight),
            brush.width,
        )),
    ];
    let lanes = board.daemon.lanes.iter().take(4);
    lines.extend(lanes.map(|lane| brush.lane(lane)));
    let counted = |n: Option<u32>| n.map_or_else(|| "–".to_owned(), |n| grouped(&n));
    let counters = &document.counters;
    let verified = counters
        .verified
        .map_or_else(|| "by the API only".to_owned(), |n| format!("proven {}", grouped(&n)));
    let proven = format!(
        "Accepted {}  job done {}  effective {}  {verified}",
        counted(counters.accepted),
        counted(counters.completed),
        grouped(&counters.effective)
    );
    lines.push(Line::raw(cut(&proven, brush.width)));
    let times = Times { now: brush.clock.now, zone: brush.clock.zone().clone() };
    let seen = document.wire.iter().flat_map(|wire| on_the_wire(wire, &times));
    lines.extend(
        seen.map(|line| {
            Line::raw(cut(&anstream::adapter::strip_str(&line).to_string(), brush.width))
        }),
    );
    Section::new("Room and proof", "", lines).keeping(1)
}

/// What moves, what is wrong, what was left alone, what is next.
fn changes(brush: &Brush, desk: &Desk, shown: &RolloutBoard) -> Section {
    let whole = brush.width >= WHOLE_IDS;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = Vec::new();
    let mut skipped = 0;
    for (head, page) in &shown.changes {
        let rows: Vec<&ChangeRow> =
            page.rows.iter().skip(desk.scrolled.saturating_sub(skipped)).collect();
        skipped += page.rows.len();
        if rows.is_empty() {
            continue;
        }
        lines.push(Line::styled((*head).to_owned(), bold));
        lines.extend(rows.into_iter().map(|row| brush.change(row, whole)));
        if page.next.is_some() {
            lines.push(Line::styled("  more than these", brush.ink.tone("soft")));
        }
    }
    if lines.is_empty() {
        lines.push(Line::styled("Nothing moves and nothing is wrong.", brush.ink.tone("soft")));
    }
    let name = &shown.document.name;
    Section::new("Changes", format!("all of them: sealift changes {name}"), lines).keeping(3)
}

impl Brush {
    fn wave(
        &self,
        place: usize,
        wave: &WaveDoc,
        paused: bool,
        last: bool,
        width: usize,
    ) -> [Line<'static>; 4] {
        let (icon, tone, word) = match wave.state.as_str() {
            "done" => ("✓", "green", "done"),
            "current" if paused => ("‖", "amber", "now, paused"),
            "current" => ("●", "blue", "now"),
            _ => ("○", "soft", "waiting"),
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let name = format!("{} {}", place + 1, wave.name);
        let left = format!("{} of {}", grouped(&wave.tally.settled()), grouped(&wave.size));
        let budget = format!("{} of {} left", wave.budget.left, wave.budget.max_failures);
        let soak = if wave.soak_seconds > 0 {
            format!("soak {}, ", seconds(wave.soak_seconds))
        } else {
            String::new()
        };
        let gate = if wave.promote == "manual" { "then a person" } else { "then by itself" };
        let then = if last { String::new() } else { format!("{soak}{gate} →") };
        let padded = |mut line: Line<'static>| {
            let missing = width.saturating_sub(line.width());
            line.spans.push(Span::raw(" ".repeat(missing)));
            line
        };
        let head =
            vec![Span::styled(format!("{icon} "), self.ink.tone(tone)), Span::styled(name, bold)];
        [
            padded(apart(head, word, width)),
            padded(apart(vec![Span::raw(left)], &budget, width)),
            padded(Line::from(self.meter(&wave.tally, width))),
            Line::styled(fit(&then, width), self.ink.tone("soft")),
        ]
    }

    fn change(&self, row: &ChangeRow, whole: bool) -> Line<'static> {
        let id = |id: &str| if whole { id.to_owned() } else { id.chars().take(HEAD).collect() };
        let (proxy, job) =
            (id(&row.proxy_id), row.job_id.as_deref().map_or_else(|| "no job yet".to_owned(), id));
        let wide = if whole { 36 } else { 10 };
        let why = row.hold.as_ref().map(|hold| held(hold, &self.clock));
        let soft = self.ink.tone("soft");
        let state = self.state(&row.state);
        let gap = " ".repeat(14_usize.saturating_sub(state.width()));
        let spans = vec![
            Span::styled(format!("{:>7}  ", row.ordinal), soft),
            state,
            Span::raw(gap),
            Span::raw(format!("{}  ", fit(&proxy, if whole { 36 } else { HEAD }))),
            Span::styled(format!("{}  ", fit(&job, wide)), soft),
            Span::raw(explain(&row.facts(why.as_deref()))),
        ];
        let tries = if row.attempts > 1 { format!("try {}", row.attempts) } else { String::new() };
        apart(spans, &tries, self.width)
    }
}
