//! A bar of shares.

use std::fmt::Write as _;

use crate::page::escape::text;

/// Width of a bar in its own units.
const WIDTH: f64 = 1000.0;

/// A share narrower than this would not be seen.
const SEEN: f64 = 6.0;

/// One share of a bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// `green`, `blue`, `amber`, `red` or `violet`.
    pub tone: &'static str,
    /// How much of the whole.
    pub count: u64,
}

/// A bar of these shares of `whole`; what is left is empty. `says`: the same in words.
pub fn meter(shares: &[Share], whole: u64, says: &str) -> String {
    let mut drawn = format!(
        r#"<svg class="meter" viewBox="0 0 1000 8" preserveAspectRatio="none" role="img" aria-label="{}">"#,
        text(says)
    );
    drawn.push_str(r#"<rect class="rest" width="1000" height="8"/>"#);
    let mut from = 0.0;
    for share in shares.iter().filter(|share| share.count > 0) {
        let exact = share.count as f64 / whole.max(1) as f64 * WIDTH;
        let width = exact.max(SEEN).min(WIDTH - from);
        write!(
            drawn,
            r#"<rect class="fill-{}" x="{from:.1}" width="{width:.1}" height="8"/>"#,
            share.tone
        )
        .expect("a string");
        from += width;
    }
    drawn.push_str("</svg>");
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_lie_side_by_side_and_none_is_lost_from_sight() {
        let drawn = meter(
            &[Share { tone: "green", count: 76 }, Share { tone: "red", count: 1 }],
            2400,
            "79 of 2,400 <settled>",
        );
        assert!(
            drawn.contains(r#"<rect class="fill-green" x="0.0" width="31.7" height="8"/>"#),
            "{drawn}"
        );
        assert!(
            drawn.contains(r#"<rect class="fill-red" x="31.7" width="6.0" height="8"/>"#),
            "{drawn}"
        );
        assert!(drawn.contains("79 of 2,400 &#60;settled&#62;"), "{drawn}");
    }

    #[test]
    fn a_bar_never_runs_over() {
        let drawn = meter(
            &[Share { tone: "green", count: 12 }, Share { tone: "blue", count: 1 }],
            12,
            "all",
        );
        assert!(drawn.contains(r#"x="1000.0" width="0.0""#), "{drawn}");
    }
}
