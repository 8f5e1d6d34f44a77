//! What lies over the rest: the keys, the verbs as commands, the question before a pause.

use ratatui::Frame;
use ratatui::layout::{Constraint, Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph};

use super::{Board, Brush, Desk, Overlay, broken, cut, span_width};
use crate::cli::top::desk::{KEYS, PauseQuestion};
use crate::cli::wire::VerbDoc;

/// Width of a box at most.
const WIDTH: u16 = 92;

pub fn draw(brush: &Brush, desk: &Desk, board: &Board, frame: &mut Frame<'_>, area: Rect) {
    match &desk.overlay {
        Overlay::None => {}
        Overlay::Keys => {
            let key = |(key, what): &(&str, &str)| {
                let bold = Style::new().add_modifier(Modifier::BOLD);
                Line::from(vec![
                    Span::styled(format!("{key:<20}"), bold),
                    Span::raw((*what).to_owned()),
                ])
            };
            let mut lines: Vec<Line<'static>> = KEYS.iter().map(key).collect();
            lines.push(Line::default());
            lines.push(Line::raw("█ well  ▒ in flight  ! failed  ? in doubt  · not begun"));
            show(frame, area, " Keys ", lines);
        }
        Overlay::Verbs => {
            let Some(shown) = &board.rollout else { return };
            let verbs = shown.verbs.verbs.iter();
            let lines = verbs
                .flat_map(|verb| brush.verb(verb, &shown.document.name, inner(area)))
                .collect();
            show(frame, area, " What can be done, as the commands that do it ", lines);
        }
        Overlay::Pause(question) => brush.question(question, board, frame, area),
    }
}

/// Columns inside a box.
fn inner(area: Rect) -> usize {
    usize::from(area.width.min(WIDTH).saturating_sub(4)).max(1)
}

/// A box in the middle, as high as its lines; gives what is inside of it.
fn show(frame: &mut Frame<'_>, area: Rect, title: &'static str, lines: Vec<Line<'static>>) -> Rect {
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let place =
        area.centered(Constraint::Length(area.width.min(WIDTH)), Constraint::Length(height));
    let block = Block::bordered().title(title).padding(Padding::horizontal(1));
    let inside = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(block), place);
    inside
}

impl Brush {
    /// A verb: the command and what it would do, or why it is none now.
    fn verb(&self, verb: &VerbDoc, name: &str, width: usize) -> Vec<Line<'static>> {
        let styled = |text: String, style: Style| {
            broken(&text, width).into_iter().map(move |line| Line::styled(line, style))
        };
        match (&verb.why_not, &verb.effect) {
            (Some(why), _) => {
                let also = if verb.in_doubt { " --in-doubt" } else { "" };
                styled(format!("– {}{also}: {why}", verb.verb), self.ink.tone("soft")).collect()
            }
            (None, effect) => {
                let bold = Style::new().add_modifier(Modifier::BOLD);
                let does = effect.as_ref().map(|effect| effect.text.clone()).unwrap_or_default();
                styled(command(verb, name), bold)
                    .chain(styled(format!("  {does}"), Style::new()))
                    .collect()
            }
        }
    }

    fn question(&self, question: &PauseQuestion, board: &Board, frame: &mut Frame<'_>, area: Rect) {
        let width = inner(area);
        let verbs = board.rollout.iter().flat_map(|shown| &shown.verbs.verbs);
        let effect =
            verbs.filter(|verb| verb.verb == "pause").find_map(|verb| verb.effect.as_ref());
        let does = effect
            .map_or("nothing new begins until somebody resumes it", |effect| effect.text.as_str());
        let asked = broken(&format!("Pause {}? {does}", question.name), width);
        // Of a long reason the end is shown, where it is typed.
        let typed = tail(&question.reason, width.saturating_sub(WHY.len() + 1));
        let (said, tone) = match (&question.refused, question.sent) {
            (Some(why), _) => (format!("✗ {why}"), "red"),
            (None, true) => ("being done …".to_owned(), "soft"),
            (None, false) => ("Enter pauses it, Esc does nothing".to_owned(), "soft"),
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut lines: Vec<Line<'static>> =
            asked.into_iter().map(|line| Line::styled(line, bold)).collect();
        let (down, right) = (lines.len() + 1, WHY.len() + span_width(&typed));
        lines.extend([Line::default(), Line::raw(format!("{WHY}{typed}")), Line::default()]);
        lines.extend(
            broken(&said, width).into_iter().map(|line| Line::styled(line, self.ink.tone(tone))),
        );
        let inside = show(frame, area, " Pause ", lines);
        let at =
            |from: u16, more: usize| from.saturating_add(u16::try_from(more).unwrap_or(u16::MAX));
        let place = Position::new(at(inside.x, right), at(inside.y, down));
        if inside.contains(place) {
            frame.set_cursor_position(place);
        }
    }
}

/// Before what is typed.
const WHY: &str = "Why: ";

/// The end of a text that fits into so many columns.
fn tail(text: &str, width: usize) -> String {
    let mut shown = text;
    while span_width(shown) > width {
        let mut rest = shown.chars();
        rest.next();
        shown = rest.as_str();
    }
    shown.to_owned()
}

/// The command that does it.
fn command(verb: &VerbDoc, name: &str) -> String {
    let mut command = format!("sealift {} {}", verb.verb, cut(name, usize::MAX));
    if verb.in_doubt {
        command.push_str(" --in-doubt");
    }
    if verb.verb == "resolve" {
        command.push_str(" --proxy PROXY --give-up");
    }
    if let Some(digest) = &verb.asks.digest {
        command.push_str(&format!(" --digest {digest}"));
    }
    if verb.asks.reason_required {
        command.push_str(" --reason TEXT");
    }
    command
}
