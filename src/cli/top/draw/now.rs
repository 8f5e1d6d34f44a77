//! *Now*: what wants a person, the rollouts, the lanes, and the journal of the rollout under the
//! cursor.

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{BAR, Board, Brush, Columns, Desk, Section, apart, beside, grouped, shape, upper};
use crate::cli::top::board::BoardRow;
use crate::cli::wire::{AttentionRow, RolloutDoc, RolloutRow, TallyDoc};
use crate::page::state::{of_phase, said};
use crate::page::view::rollout::held;
use crate::page::wants;
use crate::words::rollout::{phase, ssl};

/// Lines of what wants a person that stay while the rest gives way.
const WANTS: usize = 6;

/// Lines of a rollout in the list.
const LINES: usize = 2;

pub fn sections(brush: &Brush, desk: &Desk, board: &Board) -> Columns {
    let mut wants: Vec<Line<'static>> =
        board.attention.rows.iter().flat_map(|row| brush.want(row)).collect();
    if wants.is_empty() {
        let text = "Nothing: whatever is open moves, or goes on by itself.";
        wants.push(Line::styled(text, brush.ink.tone("soft")));
    }
    let lanes: Vec<Line<'static>> =
        board.daemon.lanes.iter().map(|lane| brush.lane(lane)).collect();
    let mut first = vec![
        Section::new("Wants a person", "the most urgent first", wants).keeping(WANTS),
        rollouts(brush, desk, board),
    ];
    let mut second = vec![Section::new("Lanes", "", lanes).keeping(1)];
    if let Some(chosen) = desk.chosen() {
        second.push(brush.journal(board.rollouts[chosen].name(), &board.entries));
    }
    // Narrow: lanes are less than the journal of what is looked at.
    if !brush.wide && second.len() == 2 {
        second.swap(0, 1);
        first.extend(second.drain(..1));
    }
    (first, second)
}

fn rollouts(brush: &Brush, desk: &Desk, board: &Board) -> Section {
    let open = board.rollouts.iter().filter(|row| matches!(row, BoardRow::Open(_))).count();
    let mut lines = Vec::new();
    for (place, row) in board.rollouts.iter().enumerate() {
        let chosen = desk.chosen() == Some(place);
        lines.extend(match row {
            BoardRow::Open(document) => brush.open(document, chosen),
            BoardRow::Over(row) => brush.over(row, chosen),
        });
    }
    if lines.is_empty() {
        let text = "None is open. The next one begins with `sealift plan` and `sealift apply`.";
        lines.push(Line::styled(text, brush.ink.tone("soft")));
    }
    let at = desk.chosen().map_or(0, |place| place * LINES + LINES - 1);
    Section::new("Rollouts", format!("{open} open"), lines).showing(at).keeping(2 * LINES)
}

impl Brush {
    /// Something that wants a person: what, since or until when, and below it the command that
    /// lifts it.
    fn want(&self, row: &AttentionRow) -> Vec<Line<'static>> {
        let (icon, tone) = wants::shape(&row.word);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let about = row.name.as_deref().or(row.lane.as_deref()).unwrap_or("Sealift");
        let when = match (row.until, row.since) {
            (Some(until), _) if row.word == "certificate_ends" => {
                format!("ends {}", self.clock.long(until).shown)
            }
            (Some(until), _) => format!("goes on by itself {}", self.when(until)),
            (None, Some(since)) => format!("since {}", self.clock.ago(since).shown),
            (None, None) => String::new(),
        };
        let left = vec![
            Span::styled(format!("{} ", shape(icon)), self.ink.tone(tone)),
            Span::styled(format!("{about}  "), bold),
            Span::raw(said(&row.text, row.by.as_deref(), &row.why)),
        ];
        let mut lines = vec![apart(left, &when, self.width)];
        let command = row
            .command
            .as_ref()
            .map(|command| Span::styled(format!("  {command}"), self.ink.tone("soft")));
        lines.extend(command.map(|command| apart(vec![command], "", self.width)));
        lines
    }

    fn named(
        &self,
        chosen: bool,
        name: &str,
        ssl_option: bool,
        phase: String,
        tone: &str,
    ) -> Vec<Span<'static>> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let (mark, name_style) =
            if chosen { ("▸ ", bold.add_modifier(Modifier::REVERSED)) } else { ("  ", bold) };
        // What switches off is told apart wherever it is named.
        let off = if ssl_option {
            Style::new()
        } else {
            self.ink.tone("red").add_modifier(Modifier::BOLD)
        };
        let what = if ssl_option { ssl(true).to_owned() } else { ssl(false).to_uppercase() };
        vec![
            Span::raw(mark),
            Span::styled(name.to_owned(), name_style),
            Span::raw("  "),
            Span::styled(what, off),
            Span::raw("  "),
            Span::styled(phase, self.ink.tone(tone)),
        ]
    }

    fn open(&self, document: &RolloutDoc, chosen: bool) -> [Line<'static>; LINES] {
        let tally = &document.tally;
        let tone =
            of_phase(&document.phase, document.paused.is_some(), tally.failed + tally.in_doubt > 0);
        let shown = phase(&document.phase, document.paused.is_some());
        let mut left = self.named(chosen, &document.name, document.ssl_option, shown, tone);
        if let Some(wave) = document.wave.map(usize::from)
            && let Some(current) = document.waves.get(wave)
            && document.waves.len() > 1
        {
            left.push(Span::raw(format!(
                "  {} of {}, {}",
                wave + 1,
                document.waves.len(),
                current.name
            )));
        }
        let first = apart(left, &settled(tally), self.width);
        let mut left = vec![Span::raw("  ")];
        left.extend(self.meter(tally, BAR));
        left.push(Span::raw(format!("  {} in flight", tally.active)));
        left.extend(self.wrong(tally));
        let when = match (document.eta, document.holds.first()) {
            (_, Some(hold)) => upper(&held(hold, &self.clock)),
            (Some(eta), None) => format!("ends {}", self.when(eta)),
            (None, None) => String::new(),
        };
        [first, beside(left, &when, self.width)]
    }

    fn over(&self, row: &RolloutRow, chosen: bool) -> [Line<'static>; LINES] {
        let tally = &row.tally;
        let tone = of_phase(&row.phase, row.paused, tally.failed + tally.in_doubt > 0);
        let first =
            self.named(chosen, &row.name, row.ssl_option, phase(&row.phase, row.paused), tone);
        let mut left = vec![Span::raw("  ")];
        left.extend(self.meter(tally, BAR));
        left.extend(self.wrong(tally));
        let ended = format!("ended {}", self.clock.ago(row.moved_at).shown);
        [apart(first, &settled(tally), self.width), beside(left, &ended, self.width)]
    }

    /// What failed and what is in doubt, where there is any.
    fn wrong(&self, tally: &TallyDoc) -> Vec<Span<'static>> {
        let parts =
            [("failed", "red", tally.failed), ("in doubt", "violet", tally.in_doubt)].into_iter();
        let parts = parts.filter(|(_, _, n)| *n > 0);
        parts
            .map(|(word, tone, n)| {
                Span::styled(format!("  {} {word}", grouped(&n)), self.ink.tone(tone))
            })
            .collect()
    }
}

fn settled(tally: &TallyDoc) -> String {
    format!("{} of {} settled", grouped(&tally.settled()), grouped(&tally.total))
}
