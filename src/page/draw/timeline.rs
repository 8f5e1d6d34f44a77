//! One night on a line: windows, what waves did and will do, pauses, what settled.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::page::escape::text;

/// Width of the drawing in its own units.
const WIDTH: f64 = 720.0;

/// Where time begins; names stand to the left of it.
const LEFT: f64 = 110.0;

/// Height of the head, with the label of now.
const HEAD: f64 = 40.0;

/// Height of one wave.
const ROW: f64 = 22.0;

/// Height of the bins, and of the axis below.
const BINS: f64 = 46.0;
const AXIS: f64 = 18.0;

/// Instants and stretches of one drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Where now is, with its label; `None`: it lies elsewhere.
    pub now: Option<(Timestamp, String)>,
    /// Instants of the axis with their texts.
    pub ticks: Vec<(Timestamp, String)>,
    /// When new work may begin.
    pub open: Vec<(Timestamp, Timestamp)>,
    pub rows: Vec<TimelineRow>,
    /// What settled, by stretches of `bin_seconds`: well, failed, in doubt. Empty: not known.
    pub bins: Vec<(Timestamp, [u32; 3])>,
    pub bin_seconds: i64,
}

/// One wave.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineRow {
    pub name: String,
    pub spans: Vec<TimelineSpan>,
}

/// A stretch of a wave.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineSpan {
    pub from: Timestamp,
    pub to: Timestamp,
    /// `done`, `paused`, `expected` or `forecast`.
    pub kind: &'static str,
    /// What stands behind it; may be empty.
    pub label: String,
}

/// Draws it; `says` is the same in a sentence.
pub fn timeline(line: &Timeline, says: &str) -> String {
    let whole = line.to.duration_since(line.from).as_secs_f64().max(1.0);
    let x = |at: Timestamp| {
        LEFT + (at.duration_since(line.from).as_secs_f64() / whole).clamp(0.0, 1.0)
            * (WIDTH - LEFT - 8.0)
    };
    let bottom =
        HEAD + ROW * line.rows.len() as f64 + if line.bins.is_empty() { 6.0 } else { BINS };
    let mut drawn = format!(
        r#"<svg class="drawing" viewBox="0 0 {WIDTH} {}" role="img" aria-label="{}">"#,
        bottom + AXIS,
        text(says)
    );
    for (from, to) in &line.open {
        let (left, right) = (x(*from), x(*to));
        write!(
            drawn,
            r#"<rect class="open" x="{left:.1}" y="22" width="{:.1}" height="{:.1}"/>"#,
            right - left,
            bottom - 22.0
        )
        .expect("a string");
    }
    for (at, label) in &line.ticks {
        let left = x(*at);
        write!(
            drawn,
            r#"<line class="grid" x1="{left:.1}" x2="{left:.1}" y1="22" y2="{bottom}"/>"#
        )
        .expect("a string");
        write!(
            drawn,
            r#"<text x="{left:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            bottom + 13.0,
            text(label)
        )
        .expect("a string");
    }
    for (place, row) in line.rows.iter().enumerate() {
        let top = HEAD + ROW * place as f64;
        write!(
            drawn,
            r#"<text class="strong" x="0" y="{:.1}">{}</text>"#,
            top + 11.0,
            text(&row.name)
        )
        .expect("a string");
        let mut end = 0.0;
        for span in &row.spans {
            let (left, right) = (x(span.from), x(span.to));
            let class = match span.kind {
                "done" => "fill-green",
                kind => kind,
            };
            write!(
                drawn,
                r#"<rect class="{class}" x="{left:.1}" y="{:.1}" width="{:.1}" height="13" rx="3"/>"#,
                top + 1.0,
                (right - left).max(2.0)
            )
            .expect("a string");
            end = f64::max(end, right);
            if !span.label.is_empty() {
                // Behind it where there is room, else before it.
                let room = WIDTH - right > 130.0;
                let (at, anchor) = if room { (right + 6.0, "start") } else { (left - 6.0, "end") };
                write!(
                    drawn,
                    r#"<text class="blue" x="{at:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
                    top + 11.0,
                    text(&span.label)
                )
                .expect("a string");
            }
        }
    }
    let most =
        line.bins.iter().map(|(_, counts)| counts.iter().sum::<u32>()).max().unwrap_or(0).max(1);
    for (at, counts) in &line.bins {
        let left = x(*at);
        let width = (line.bin_seconds as f64 / whole * (WIDTH - LEFT - 8.0) - 1.5).max(1.0);
        let mut base = bottom;
        for (count, tone) in counts.iter().zip(["green", "red", "violet"]) {
            let height = f64::from(*count) / f64::from(most) * (BINS - 12.0);
            base -= height;
            if *count > 0 {
                write!(drawn, r#"<rect class="fill-{tone}" x="{left:.1}" y="{base:.1}" width="{width:.1}" height="{height:.1}"/>"#)
                    .expect("a string");
            }
        }
    }
    write!(drawn, r#"<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{bottom}" y2="{bottom}"/>"#)
        .expect("a string");
    if let Some((now, label)) = &line.now {
        let now = x(*now);
        let box_left = (now - 38.0).clamp(0.0, WIDTH - 76.0);
        write!(
            drawn,
            r#"<line class="now-line" x1="{now:.1}" x2="{now:.1}" y1="18" y2="{bottom}"/><rect class="now-box" x="{box_left:.1}" y="0" width="76" height="19" rx="3"/><text class="now" x="{:.1}" y="13" text-anchor="middle">{}</text>"#,
            box_left + 38.0,
            text(label)
        )
        .expect("a string");
    }
    drawn.push_str("</svg>");
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn what_was_done_and_what_is_expected_stand_at_their_times() {
        let line = Timeline {
            from: at("2026-11-28T01:00:00Z"),
            to: at("2026-11-28T05:00:00Z"),
            now: Some((at("2026-11-28T02:00:00Z"), "now 02:00".into())),
            ticks: vec![(at("2026-11-28T03:00:00Z"), "03:00".into())],
            open: vec![(at("2026-11-28T01:00:00Z"), at("2026-11-28T04:40:00Z"))],
            rows: vec![TimelineRow {
                name: "early <1>".into(),
                spans: vec![
                    TimelineSpan {
                        from: at("2026-11-28T01:00:00Z"),
                        to: at("2026-11-28T02:00:00Z"),
                        kind: "done",
                        label: String::new(),
                    },
                    TimelineSpan {
                        from: at("2026-11-28T02:00:00Z"),
                        to: at("2026-11-28T03:00:00Z"),
                        kind: "forecast",
                        label: "03:00".into(),
                    },
                ],
            }],
            bins: vec![(at("2026-11-28T01:00:00Z"), [3, 1, 0])],
            bin_seconds: 300,
        };
        let drawn = timeline(&line, "a night");
        assert!(
            drawn.contains(
                r#"<rect class="fill-green" x="110.0" y="41.0" width="150.5" height="13" rx="3"/>"#
            ),
            "{drawn}"
        );
        assert!(
            drawn.contains(r#"<rect class="forecast" x="260.5""#)
                && drawn.contains("early &#60;1&#62;"),
            "{drawn}"
        );
        assert!(
            drawn.contains(r#"<rect class="fill-red""#) && drawn.contains("now 02:00"),
            "{drawn}"
        );
    }
}
