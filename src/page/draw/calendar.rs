//! Windows of several days, one line a rollout.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::page::escape::text;

/// Width of the drawing in its own units.
const WIDTH: f64 = 900.0;

/// Where the days begin; names stand to the left of it.
const LEFT: f64 = 150.0;

/// Height of a line.
const LINE: f64 = 24.0;

/// Height of the heads of the days.
const HEAD: f64 = 20.0;

/// A stretch narrower than this would not be seen.
const SEEN: f64 = 5.0;

/// Room for a label: nothing is written where the next stretch is nearer.
const LABEL: f64 = 62.0;

/// One line of the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarRow {
    pub name: String,
    /// In their order.
    pub spans: Vec<CalendarSpan>,
}

/// A window, a freeze or a tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarSpan {
    pub from: Timestamp,
    /// `None`: an instant, such as the tick of an enforcement.
    pub to: Option<Timestamp>,
    /// Nothing may begin in it.
    pub frozen: bool,
    /// Short, such as `until 04:40`.
    pub label: String,
}

/// Draws the rows over days that begin at `days`, the last of which ends the drawing, with their
/// heads; `now` as a line.
pub fn calendar(
    days: &[(Timestamp, String)],
    rows: &[CalendarRow],
    now: Timestamp,
    says: &str,
) -> String {
    let (Some((first, _)), Some((last, _))) = (days.first(), days.last()) else {
        return String::new();
    };
    let whole = last.duration_since(*first).as_secs_f64().max(1.0);
    let x = |at: Timestamp| {
        LEFT + (at.duration_since(*first).as_secs_f64() / whole).clamp(0.0, 1.0) * (WIDTH - LEFT)
    };
    let height = HEAD + LINE * rows.len() as f64;
    let mut drawn = format!(
        r#"<svg class="drawing" viewBox="0 0 {WIDTH} {}" role="img" aria-label="{}">"#,
        height + 2.0,
        text(says)
    );
    for (at, head) in days {
        let left = x(*at);
        write!(
            drawn,
            r#"<line class="grid" x1="{left:.1}" x2="{left:.1}" y1="{HEAD}" y2="{height}"/>"#
        )
        .expect("a string");
        if at != last {
            let class = if *at <= now && now < *at + jiff::SignedDuration::from_hours(24) {
                " class=\"strong\""
            } else {
                ""
            };
            write!(drawn, r#"<text{class} x="{:.1}" y="12">{}</text>"#, left + 4.0, text(head))
                .expect("a string");
        }
    }
    for (place, row) in rows.iter().enumerate() {
        let top = HEAD + LINE * place as f64;
        let middle = top + LINE / 2.0;
        write!(
            drawn,
            r#"<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{0}" y2="{0}"/>"#,
            top + LINE
        )
        .expect("a string");
        write!(
            drawn,
            r#"<text class="strong" x="0" y="{:.1}">{}</text>"#,
            middle + 4.0,
            text(&row.name)
        )
        .expect("a string");
        for (number, span) in row.spans.iter().enumerate() {
            let from = x(span.from);
            let end = match span.to {
                Some(to) => {
                    let width = (x(to) - from).max(SEEN);
                    let class = if span.frozen { "frozen" } else { "window" };
                    write!(drawn, r#"<rect class="{class}" x="{from:.1}" y="{:.1}" width="{width:.1}" height="13" rx="3"/>"#, middle - 6.5)
                        .expect("a string");
                    from + width
                }
                None => {
                    write!(
                        drawn,
                        r#"<circle class="tick" cx="{from:.1}" cy="{middle:.1}" r="4"/>"#
                    )
                    .expect("a string");
                    from + 5.0
                }
            };
            let next = row.spans.get(number + 1).map_or(WIDTH, |next| x(next.from));
            if !span.label.is_empty() && next - end > LABEL {
                write!(
                    drawn,
                    r#"<text x="{:.1}" y="{:.1}">{}</text>"#,
                    end + 5.0,
                    middle + 4.0,
                    text(&span.label)
                )
                .expect("a string");
            }
        }
    }
    let line = x(now);
    write!(
        drawn,
        r#"<line class="now-line" x1="{line:.1}" x2="{line:.1}" y1="{HEAD}" y2="{height}"/></svg>"#
    )
    .expect("a string");
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn windows_stand_in_their_days_and_labels_only_where_there_is_room() {
        let days = [
            (at("2026-11-28T00:00:00Z"), "Sat 28".to_owned()),
            (at("2026-11-29T00:00:00Z"), "Sun 29".to_owned()),
            (at("2026-11-30T00:00:00Z"), String::new()),
        ];
        let span = |from: &str, to: &str, label: &str| CalendarSpan {
            from: at(from),
            to: Some(at(to)),
            frozen: false,
            label: label.into(),
        };
        let row = CalendarRow {
            name: "<edge>".into(),
            spans: vec![
                span("2026-11-28T06:00:00Z", "2026-11-28T08:00:00Z", "until 08:00"),
                span("2026-11-28T09:00:00Z", "2026-11-28T10:00:00Z", "no room"),
                CalendarSpan {
                    to: None,
                    ..span("2026-11-28T11:00:00Z", "2026-11-28T11:00:00Z", "")
                },
            ],
        };
        let drawn = calendar(&days, &[row], at("2026-11-28T12:00:00Z"), "windows of two days");
        assert!(
            drawn.contains(
                r#"<rect class="window" x="243.8" y="25.5" width="31.2" height="13" rx="3"/>"#
            ),
            "{drawn}"
        );
        assert!(
            drawn.contains("&#60;edge&#62;")
                && !drawn.contains("no room")
                && drawn.contains(r#"<circle class="tick""#),
            "{drawn}"
        );
        assert!(
            drawn.contains(r#"<line class="now-line" x1="337.5""#)
                && drawn.contains(r#"class="strong" x="154.0""#),
            "{drawn}"
        );
    }

    #[test]
    fn without_days_there_is_nothing_to_draw() {
        assert_eq!(calendar(&[], &[], at("2026-11-28T12:00:00Z"), ""), "");
    }
}
