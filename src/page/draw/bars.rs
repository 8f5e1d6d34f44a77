//! What settled when, as bars.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::page::escape::text;

/// Size of the drawing in its own units.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 46.0;

/// Height of the line of instants below.
const AXIS: f64 = 18.0;

/// Bars of a short night are no wider.
const WIDEST: f64 = 22.0;

/// Stretches of one length, one bar each.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    pub from: Timestamp,
    pub to: Timestamp,
    /// Length of a stretch.
    pub seconds: i64,
    /// What came out well, failed and is in doubt; of a stretch that is missing, nothing.
    pub bars: Vec<(Timestamp, [u32; 3])>,
    /// What stands below the first and the last bar.
    pub ends: [String; 2],
}

/// Draws them; `says` is the same in a sentence.
pub fn bars(drawn: &Bars, says: &str) -> String {
    let whole = drawn.to.duration_since(drawn.from).as_secs_f64().max(drawn.seconds as f64);
    let step = drawn.seconds as f64 / whole * WIDTH;
    let width = (step * 0.82).clamp(1.0, WIDEST);
    let most = drawn.bars.iter().map(|(_, counts)| counts.iter().sum::<u32>()).max();
    let most = f64::from(most.unwrap_or(0).max(1));
    let mut svg = format!(
        r#"<svg class="drawing bars" viewBox="0 0 {WIDTH} {}" role="img" aria-label="{}"><line class="axis" x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/>"#,
        HEIGHT + AXIS,
        text(says)
    );
    for (at, counts) in &drawn.bars {
        let left = (at.duration_since(drawn.from).as_secs_f64() / whole * WIDTH).max(0.0);
        let mut base = HEIGHT;
        for (count, tone) in counts.iter().zip(["green", "red", "violet"]) {
            if *count == 0 {
                continue;
            }
            let height = (f64::from(*count) / most * (HEIGHT - 2.0)).max(2.0);
            base -= height;
            write!(
                svg,
                r#"<rect class="fill-{tone}" x="{left:.1}" y="{base:.1}" width="{width:.1}" height="{height:.1}"/>"#
            )
            .expect("a string");
        }
    }
    for (end, (x, anchor)) in drawn.ends.iter().zip([(0.0, "start"), (WIDTH, "end")]) {
        write!(
            svg,
            r#"<text x="{x}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
            HEIGHT + 14.0,
            text(end)
        )
        .expect("a string");
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_stands_at_its_time_with_what_is_wrong_on_top() {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let drawn = bars(
            &Bars {
                from: at("2026-11-28T01:00:00Z"),
                to: at("2026-11-28T02:00:00Z"),
                seconds: 300,
                bars: vec![(at("2026-11-28T01:30:00Z"), [3, 1, 0])],
                ends: ["01:00".into(), "now <02:00>".into()],
            },
            "4 changes settled",
        );
        for part in [
            r#"<rect class="fill-green" x="150.0" y="13.0" width="20.5" height="33.0"/>"#,
            r#"<rect class="fill-red" x="150.0" y="2.0" width="20.5" height="11.0"/>"#,
            "now &#60;02:00&#62;",
            r#"aria-label="4 changes settled""#,
        ] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
    }
}
