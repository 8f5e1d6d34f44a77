//! The frames of `top`.
//!
//! Invariant: pure; the same desk gives the same frame. Every state has a shape and a word beside
//! its colour.

mod now;
mod overlay;
mod rollout;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::board::Board;
use super::desk::{Desk, Live, Overlay};
use super::section::{Ink, Section, apart, beside, broken, cut, span_width, stack};
use crate::cli::wire::{DaemonDoc, JournalRow, LaneDoc, TallyDoc};
use crate::domain::count::count;
use crate::page::moment::ViewClock;
use crate::page::state::{grouped, of_change, spoken, upper};
use crate::words::text::length;

/// From so many columns on, what stands beside the rest has a column of its own.
const WIDE: u16 = 120;

/// Less than this shows nothing.
const LEAST: (u16, u16) = (40, 10);

/// Width of a small bar.
const BAR: usize = 20;

/// Leading characters of an id that are shown where the whole does not fit.
const HEAD: usize = 8;

/// What every part of a frame is drawn with.
#[derive(Clone)]
struct Brush {
    ink: Ink,
    clock: ViewClock,
    width: usize,
    /// What stands beside the rest has a column of its own.
    wide: bool,
}

/// Draws all of it.
pub fn draw(desk: &Desk, frame: &mut Frame<'_>) {
    let area = frame.area();
    let Some(board) = &desk.board else { return };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("too small: {}×{}; 80×24 is enough", area.width, area.height);
        return frame.render_widget(Paragraph::new(cut(&text, area.width.into())), area);
    }
    let zone = board
        .rollout
        .as_ref()
        .and_then(|shown| shown.document.time_zone.clone())
        .or_else(|| desk.zone.clone());
    let clock = ViewClock::new(desk.now(), zone.as_deref());
    let lost = matches!(desk.live, Live::Lost { .. });
    let ink = Ink { colour: desk.colour, faded: lost };
    let brush = Brush { ink, clock, width: area.width.into(), wide: false };
    let [top, body, bottom] =
        Layout::vertical([Constraint::Length(3), Constraint::Fill(1), Constraint::Length(1)])
            .areas(area);
    frame.render_widget(Paragraph::new(brush.top(desk, board)), top);
    if board.place == desk.place {
        match &board.rollout {
            Some(shown) => {
                brush.columns(frame, body, |brush| rollout::sections(brush, desk, board, shown))
            }
            None => brush.columns(frame, body, |brush| now::sections(brush, desk, board)),
        }
    } else {
        frame.render_widget(
            Paragraph::new(Line::styled("being read …", brush.ink.tone("soft"))),
            body,
        );
    }
    if lost {
        frame.buffer_mut().set_style(body, Style::new().add_modifier(Modifier::DIM));
    }
    frame.render_widget(Paragraph::new(brush.bottom(desk)), bottom);
    overlay::draw(
        &Brush { ink: Ink { faded: false, ..brush.ink }, ..brush },
        desk,
        board,
        frame,
        body,
    );
}

/// What stands in the first column, and what stands beside it or, on a narrow screen, below it.
type Columns = (Vec<Section>, Vec<Section>);

impl Brush {
    fn columns(&self, frame: &mut Frame<'_>, area: Rect, sections: impl Fn(&Self) -> Columns) {
        if area.width < WIDE {
            let (first, second) = sections(self);
            let all: Vec<Section> = first.into_iter().chain(second).collect();
            return stack(frame, area, &all);
        }
        let areas =
            Layout::horizontal([Constraint::Fill(3), Constraint::Length(2), Constraint::Fill(2)])
                .areas(area);
        let [left, _, right] = areas;
        // Each column is drawn for its own width.
        let of =
            |area: Rect| sections(&Self { width: area.width.into(), wide: true, ..self.clone() });
        stack(frame, left, &of(left).0);
        stack(frame, right, &of(right).1);
    }

    /// The first sentence, how live it is, and who looks at what.
    fn top(&self, desk: &Desk, board: &Board) -> Vec<Line<'static>> {
        let loud = Ink { faded: false, ..self.ink };
        let time = format!("{} {}", self.clock.second(self.clock.now).shown, self.clock.name);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let until =
            board.attention.until.map(|until| format!(" until {}", self.clock.short(until).shown));
        let sentence = upper(&board.attention.headline) + &until.unwrap_or_default();
        let (shape, word, tone) = match &desk.live {
            Live::Waits => ("○", "connecting", "soft"),
            Live::Connected => ("●", "Live", "green"),
            Live::Lost { .. } => ("✗", "Not live", "red"),
        };
        let mut first = apart(
            vec![Span::styled(sentence, bold)],
            &format!("{shape} {word}  {time}"),
            self.width,
        );
        if let Some(right) = first.spans.pop() {
            let rest = right
                .content
                .chars()
                .skip(span_width(&format!("{shape} {word}")))
                .collect::<String>();
            first.spans.extend([
                Span::styled(format!("{shape} {word}"), loud.tone(tone)),
                Span::raw(rest),
            ]);
        }
        let second = match &desk.live {
            Live::Lost { since, why } => {
                let since = self.clock.second(*since).shown;
                let text =
                    format!("Not live since {since}; this is how it was. Trying again: {why}");
                Line::styled(
                    cut(&text, self.width),
                    loud.tone("amber").add_modifier(Modifier::BOLD),
                )
            }
            Live::Waits | Live::Connected => {
                Line::styled(cut(&about(board), self.width), loud.tone("soft"))
            }
        };
        vec![first, second, Line::default()]
    }

    /// What was done or refused, else the keys.
    fn bottom(&self, desk: &Desk) -> Line<'static> {
        if let Some((good, text)) = &desk.message {
            let (shape, tone) = if *good { ("✓", "green") } else { ("✗", "red") };
            return Line::styled(
                cut(&format!("{shape} {text}"), self.width),
                Ink { faded: false, ..self.ink }.tone(tone),
            );
        }
        let keys =
            match (&desk.overlay, desk.board.as_ref().and_then(|board| board.rollout.as_ref())) {
                (Overlay::Pause(_), _) => "Enter pause   Esc do nothing",
                (Overlay::Keys | Overlay::Verbs, _) => "any key goes back",
                (Overlay::None, Some(_)) => {
                    "? keys   ↑↓ changes   p pause   v other verbs   Esc back   q leave"
                }
                (Overlay::None, None) => {
                    "? keys   ↑↓ choose   Enter look   p pause   v other verbs   q leave"
                }
            };
        Line::styled(cut(keys, self.width), self.ink.tone("soft"))
    }

    fn when(&self, at: Timestamp) -> String {
        self.clock.short(at).shown
    }

    /// A bar of a tally: what is well, in flight, wrong, in doubt, and what is left.
    fn meter(&self, tally: &TallyDoc, width: usize) -> Vec<Span<'static>> {
        let well = tally.succeeded + tally.reverted;
        let shares = [
            ("█", "green", well),
            ("!", "red", tally.failed),
            ("?", "violet", tally.in_doubt),
            ("▒", "blue", tally.active),
        ];
        self.bar(&shares, tally.total, width)
    }

    /// A bar of shares of a whole, each in its shape and tone; none that there is is lost from
    /// sight.
    fn bar(
        &self,
        shares: &[(&'static str, &'static str, u32)],
        whole: u32,
        width: usize,
    ) -> Vec<Span<'static>> {
        let (mut spans, mut used) = (Vec::new(), 0);
        for (shape, tone, part) in shares.iter().filter(|(_, _, part)| *part > 0) {
            let exact = (u64::from(*part) * width as u64 / u64::from(whole.max(1))) as usize;
            let wide = exact.max(1).min(width - used);
            spans.push(Span::styled(shape.repeat(wide), self.ink.tone(tone)));
            used += wide;
        }
        spans.push(Span::styled("·".repeat(width - used), self.ink.tone("soft")));
        spans
    }

    /// A state of a change: its shape and its word.
    fn state(&self, word: &str) -> Span<'static> {
        let (icon, tone) = of_change(word);
        Span::styled(format!("{} {}", shape(icon), spoken(word)), self.ink.tone(tone))
    }

    /// What a lane uses, and what holds it.
    fn lane(&self, lane: &LaneDoc) -> Line<'static> {
        let paused = lane.paused_until.map(|until| format!("paused to {}", self.when(until)));
        let held = lane.held.as_ref().map(|mark| format!("paused by {}", mark.by));
        let apart_clocks =
            lane.clock.as_ref().filter(|clock| clock.held).map(|clock| clock.text.clone());
        let tag = held.or(apart_clocks).or(paused);
        let waits = (lane.waiting > 0).then(|| {
            format!("{} for a place", count(lane.waiting, "change waits", "changes wait"))
        });
        let mut spans = vec![Span::raw(cut(&lane.lane, BAR)), Span::raw("  ")];
        match &lane.quota {
            None => spans.push(Span::raw(format!("{} out, no quota", lane.out))),
            Some(quota) => {
                let per = length(jiff::SignedDuration::from_millis(
                    i64::try_from(quota.per_ms).unwrap_or(i64::MAX),
                ));
                spans.extend(self.bar(&[("█", "blue", quota.used)], quota.requests, BAR));
                spans.push(Span::raw(format!(
                    "  {} of {} in {per}",
                    grouped(&quota.used),
                    grouped(&quota.requests)
                )));
                if quota.ceiling < quota.requests {
                    spans.push(Span::styled(
                        format!(", it gives {}", grouped(&quota.ceiling)),
                        self.ink.tone("amber"),
                    ));
                }
            }
        }
        spans.extend(waits.map(|waits| Span::styled(format!("  {waits}"), self.ink.tone("soft"))));
        spans.extend(tag.map(|tag| Span::styled(format!("  {tag}"), self.ink.tone("amber"))));
        apart(spans, "", self.width)
    }

    /// The latest entries of a rollout.
    fn journal(&self, name: &str, entries: &[JournalRow]) -> Section {
        let mut lines: Vec<Line<'static>> = entries.iter().map(|entry| self.entry(entry)).collect();
        if lines.is_empty() {
            let looked = super::board::LOOKED_THROUGH;
            let text = format!(
                "nothing among the last {looked} entries; `sealift journal {name}` has the whole"
            );
            lines.push(Line::styled(cut(&text, self.width), self.ink.tone("soft")));
        }
        Section::new("Journal", name, lines).keeping(1)
    }

    fn entry(&self, entry: &JournalRow) -> Line<'static> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let proxy = entry
            .proxy_id
            .as_deref()
            .map(|proxy| proxy.chars().take(HEAD).collect::<String>() + " ");
        let by = entry.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let time =
            Span::styled(format!("{}  ", self.clock.second(entry.at).shown), self.ink.tone("soft"));
        let what = Span::styled(format!("{} ", spoken(&entry.to)), bold);
        let text = format!("{}{}{by}", proxy.unwrap_or_default(), entry.why);
        apart(vec![time, what, Span::raw(text)], "", self.width)
    }
}

/// Who looks, at which daemon.
fn about(board: &Board) -> String {
    let DaemonDoc { version, store, draining, .. } = &board.daemon;
    let wants = match board.attention.rows.len() {
        0 => String::new(),
        n => format!(
            "{} a person · ",
            count(u32::try_from(n).unwrap_or(u32::MAX), "thing wants", "things want")
        ),
    };
    let ending = if *draining { "it is ending · " } else { "" };
    let may = if board.whoami.may.is_empty() {
        "nothing".to_owned()
    } else {
        board.whoami.may.join(", ")
    };
    format!(
        "{wants}{ending}sealift {version} · entry {} · {}: {may}",
        grouped(&store.seq),
        board.whoami.name
    )
}

/// The shape of one of the page's icons.
fn shape(icon: &str) -> &'static str {
    match icon {
        "done" => "✓",
        "failed" | "abort" => "✗",
        "doubt" => "?",
        "back" => "↶",
        "skipped" => "–",
        "queued" => "○",
        "moving" => "●",
        "stop" => "■",
        "pause" | "hold" => "‖",
        "up" | "person" => "▲",
        "shield" => "◇",
        _ => "!",
    }
}
