//! Lines under a head, and how sections share the height of a screen.
//!
//! Invariant: no line is wider than its place, and what does not fit is counted, not lost from
//! sight.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::cli::text::wrap;
use crate::words::text::clean;

/// From so many lines on, sections stand a line apart.
const ROOMY: u16 = 30;

/// Colours, or none where they are not welcome. A tone is never all that tells two things apart.
#[derive(Debug, Clone, Copy)]
pub struct Ink {
    pub colour: bool,
    /// What is shown is past.
    pub faded: bool,
}

impl Ink {
    /// How text of this tone of the page looks.
    pub fn tone(self, tone: &str) -> Style {
        let colour = match tone {
            "green" => Color::Green,
            "red" => Color::Red,
            "amber" => Color::Yellow,
            "violet" => Color::Magenta,
            "blue" => Color::Cyan,
            "soft" => return Style::new().add_modifier(Modifier::DIM),
            _ => return Style::new(),
        };
        if self.colour && !self.faded { Style::new().fg(colour) } else { Style::new() }
    }
}

/// Lines under a head.
pub struct Section {
    pub head: String,
    /// Beside the head.
    pub note: String,
    pub lines: Vec<Line<'static>>,
    /// Lines that it keeps while others below it give theirs up.
    pub least: usize,
    /// A line that is to be seen.
    pub at: usize,
}

impl Section {
    pub fn new(
        head: impl Into<String>,
        note: impl Into<String>,
        lines: Vec<Line<'static>>,
    ) -> Self {
        let least = lines.len();
        Self { head: head.into(), note: note.into(), lines, least, at: 0 }
    }

    /// It may be cut to so many lines.
    pub fn keeping(self, least: usize) -> Self {
        Self { least: least.min(self.lines.len()), ..self }
    }

    /// This line is to be seen.
    pub fn showing(self, at: usize) -> Self {
        Self { at, ..self }
    }

    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        if area.height == 0 {
            return;
        }
        let (width, room) = (usize::from(area.width), usize::from(area.height) - 1);
        let hidden = self.lines.len().saturating_sub(room);
        let note = match (hidden, self.note.as_str()) {
            (0, note) => note.to_owned(),
            (hidden, "") => format!("{hidden} more"),
            (hidden, note) => format!("{note} · {hidden} more"),
        };
        let head = Span::styled(clean(&self.head), Style::new().add_modifier(Modifier::BOLD));
        let note = cut(&note, width.saturating_sub(head.width() + 5));
        let around = head.width() + span_width(&note) + 1 + usize::from(!note.is_empty());
        let rule = Span::styled(
            "─".repeat(width.saturating_sub(around)),
            Style::new().add_modifier(Modifier::DIM),
        );
        let mut lines =
            vec![Line::from(vec![head, Span::raw(" "), rule, Span::raw(" "), Span::raw(note)])];
        let first = (self.at + 1).saturating_sub(room).min(hidden);
        lines.extend(self.lines.iter().skip(first).take(room).cloned());
        frame.render_widget(Paragraph::new(lines), area);
    }
}

/// Draws sections below each other, a line apart where there is room for that. The last ones go
/// without first.
pub fn stack(frame: &mut Frame<'_>, area: Rect, sections: &[Section]) {
    let gap = usize::from(area.height >= ROOMY);
    let (mut top, bottom) = (area.y, area.y + area.height);
    for (section, height) in sections.iter().zip(heights(sections, area.height.into(), gap)) {
        let height = u16::try_from(height).unwrap_or(u16::MAX).min(bottom.saturating_sub(top));
        section.draw(frame, Rect { y: top, height, ..area });
        top += if height > 0 { height + u16::try_from(gap).unwrap_or(0) } else { 0 };
    }
}

/// Lines for each section with its head, so that with a gap between them they fill no more than
/// `room`.
fn heights(sections: &[Section], room: usize, gap: usize) -> Vec<usize> {
    let mut heights: Vec<usize> = sections.iter().map(|section| section.lines.len() + 1).collect();
    let over = |heights: &[usize]| {
        let shown = heights.iter().filter(|height| **height > 0);
        let gaps = shown.clone().count().saturating_sub(1) * gap;
        (shown.sum::<usize>() + gaps).saturating_sub(room)
    };
    for (place, section) in sections.iter().enumerate().rev() {
        let least = section.least.min(section.lines.len()) + 1;
        heights[place] = heights[place].saturating_sub(over(&heights)).max(least);
    }
    for place in (1..sections.len()).rev() {
        if over(&heights) > 0 {
            heights[place] = 0;
        }
    }
    if let Some(place) = heights.iter().rposition(|height| *height > 0) {
        // What the dropped ones leave.
        let spare = room.saturating_sub(heights.iter().sum::<usize>() + place * gap);
        heights[place] = (heights[place] + spare).min(sections[place].lines.len() + 1).min(room);
    }
    heights
}

/// Columns that a text takes.
pub fn span_width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text in at most so many columns, with `…` where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    let text = clean(text);
    if span_width(&text) <= width {
        return text;
    }
    let mut shown = String::new();
    for c in text.chars() {
        if span_width(&shown) + span_width(c.encode_utf8(&mut [0; 4])) + 1 > width {
            break;
        }
        shown.push(c);
    }
    if width > 0 {
        shown.push('…');
    }
    shown
}

/// The text in lines of so many columns.
pub fn broken(text: &str, width: usize) -> Vec<String> {
    wrap(&clean(text), width).lines().map(|line| cut(line, width)).collect()
}

/// The text in exactly so many columns.
pub fn fit(text: &str, width: usize) -> String {
    let shown = cut(text, width);
    let missing = width.saturating_sub(span_width(&shown));
    shown + &" ".repeat(missing)
}

/// As [`apart`], but it is the right part that is cut.
pub fn beside(left: Vec<Span<'static>>, right: &str, width: usize) -> Line<'static> {
    let used: usize = left.iter().map(Span::width).sum();
    let right = cut(right, width.saturating_sub(used + 2));
    apart(left, &right, width)
}

/// A line with one part at its left and one at its right; the left one is cut where both do not
/// fit.
pub fn apart(left: Vec<Span<'static>>, right: &str, width: usize) -> Line<'static> {
    let right = cut(right, width);
    let mut room = width.saturating_sub(span_width(&right) + usize::from(!right.is_empty()));
    let mut spans = Vec::new();
    for span in left {
        let shown = cut(&span.content, room);
        room -= span_width(&shown).min(room);
        spans.push(Span::styled(shown, span.style));
    }
    if !right.is_empty() {
        spans.push(Span::raw(" ".repeat(room + 1)));
        spans.push(Span::raw(right));
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(lines: usize, least: usize) -> Section {
        Section::new("head", "", vec![Line::raw("x"); lines]).keeping(least)
    }

    #[test]
    fn the_last_section_goes_without_first() {
        let sections = [section(4, 4), section(6, 2), section(30, 3)];
        for (room, wanted) in [
            (60, [5, 7, 31]),
            (20, [5, 7, 6]),
            (16, [5, 5, 4]),
            (14, [5, 3, 4]),
            (13, [5, 7, 0]),
            (8, [5, 0, 0]),
            (3, [3, 0, 0]),
        ] {
            assert_eq!(heights(&sections, room, 1), wanted, "in {room} lines");
        }
    }

    #[test]
    fn a_cut_text_is_as_wide_as_its_place_also_where_letters_are_wide() {
        for (text, width, wanted) in [
            ("abcdef", 4, "abc…"),
            ("数据库代理", 6, "数据… "),
            ("a\u{1b}[1mb", 9, "a[1mb    "),
            ("ab", 0, ""),
        ] {
            assert_eq!(fit(text, width), wanted, "{text}");
        }
        assert_eq!(
            apart(vec![Span::raw("a long left side")], "02:15", 12).to_string(),
            "a lon… 02:15"
        );
        assert_eq!(apart(vec![Span::raw("left")], "02:15", 12).to_string(), "left   02:15");
    }
}
