//! Words, times and lengths for people, and what keeps a hostile text from acting on a terminal or a spreadsheet.
//!
//! Invariant: whatever came from the network, a plan or the cloud passes [`clean`] before it is printed for people.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use crate::domain::count::count;
use crate::domain::group::GroupLimits;

/// How texts are made: what now is, whose clock people read, and whether colours are welcome.
#[derive(Debug, Clone)]
pub struct Style {
    pub now: Timestamp,
    /// The zone that times are shown in.
    pub zone: TimeZone,
}

impl Style {
    /// The machine's zone, at this instant.
    pub fn at(now: Timestamp) -> Self {
        Self { now, zone: TimeZone::system() }
    }

    /// The same instant, in the plan's zone where it has one.
    pub fn in_zone(&self, name: Option<&str>) -> Self {
        let zone = name.and_then(|name| TimeZone::get(name).ok());
        Self { now: self.now, zone: zone.unwrap_or_else(|| self.zone.clone()) }
    }

    /// `2026-11-24 01:00 +08`.
    pub fn time(&self, at: Timestamp) -> String {
        let local = at.to_zoned_datetime(self.zone.clone());
        if self.zone == TimeZone::UTC {
            local.strftime("%Y-%m-%d %H:%MZ").to_string()
        } else {
            local.strftime("%Y-%m-%d %H:%M %:::z").to_string()
        }
    }

    /// `2026-11-24 01:00:07 +08`.
    pub fn second(&self, at: Timestamp) -> String {
        let local = at.to_zoned_datetime(self.zone.clone());
        let format = if self.zone == TimeZone::UTC { "%Y-%m-%d %H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%S %:::z" };
        local.strftime(format).to_string()
    }

    /// `01:00:07`.
    pub fn clock(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }

    /// `2026-11-24 01:00 +08 (in 3h 20m)`.
    pub fn until(&self, at: Timestamp) -> String {
        let left = at.duration_since(self.now);
        if left.is_positive() { format!("{} (in {})", self.time(at), length(left)) } else { self.time(at) }
    }

    /// `3h 20m ago`.
    pub fn ago(&self, at: Timestamp) -> String {
        let past = self.now.duration_since(at);
        if past < SignedDuration::from_secs(1) { "just now".into() } else { format!("{} ago", length(past)) }
    }
}

/// `3d 4h`, `3h 20m`, `4m 10s`, `12s`: the two largest units that say something.
pub fn length(length: SignedDuration) -> String {
    let seconds = length.as_secs().unsigned_abs();
    let (days, hours, minutes, seconds) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let pair = |big: u64, unit: &str, small: u64, sub: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit} {small}{sub}") }
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => pair(minutes, "m", seconds, "s"),
        (0, _, _) => pair(hours, "h", minutes, "m"),
        (_, _, _) => pair(days, "d", hours, "h"),
    }
}

/// Seconds as [`length`].
pub fn seconds(seconds: u64) -> String {
    length(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

/// The text without characters that act on a terminal: control characters, and marks that reorder what is shown.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !acts(*c)).collect()
}

/// As [`clean`], but line ends stay: for texts of several lines that we drew ourselves.
pub fn clean_lines(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !acts(*c)).collect()
}

fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// The cell, so that no spreadsheet takes it for a formula.
pub fn cell(text: &str) -> String {
    let text = clean(text);
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

/// JSON whose strings hold no character that acts on a terminal: such a character is written as its escape, which
/// means the same to every reader.
pub fn json(document: &str) -> String {
    let mut safe = String::with_capacity(document.len());
    for c in document.chars() {
        if c != '\n' && acts(c) { safe.push_str(&format!("\\u{:04x}", u32::from(c))) } else { safe.push(c) }
    }
    safe
}

/// Breaks a line into lines of at most `width` visible characters, so that nothing of it is cut: where two spaces part
/// it, and inside a part that is longer than a line, at its spaces; a command in backticks stays whole where it can.
/// What follows the first line is indented by two more.
pub fn wrap(line: &str, width: usize) -> String {
    if visible(line) <= width {
        return line.to_owned();
    }
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let lead = " ".repeat(indent + 2);
    let mut wrapped = Wrapped { text: " ".repeat(indent), column: indent, begun: false, lead, width };
    for part in line.trim_start().split("  ").filter(|part| !part.is_empty()) {
        if wrapped.fits(part, 2) || wrapped.lead.len() + visible(part) <= width {
            wrapped.add(part, 2);
            continue;
        }
        for (place, words) in whole_commands(part).into_iter().enumerate() {
            let gap = if place == 0 { 2 } else { 1 };
            if wrapped.fits(&words, gap) || wrapped.lead.len() + visible(&words) <= width {
                wrapped.add(&words, gap);
            } else {
                words.split(' ').enumerate().for_each(|(inner, word)| wrapped.add(word, if inner == 0 { gap } else { 1 }));
            }
        }
    }
    wrapped.text
}

/// Every line of a text, broken as [`wrap`] does.
pub fn wrap_all(text: &str, width: usize) -> String {
    text.lines().map(|line| wrap(line, width) + "\n").collect()
}

struct Wrapped {
    text: String,
    column: usize,
    /// Something is on the present line.
    begun: bool,
    lead: String,
    width: usize,
}

impl Wrapped {
    fn fits(&self, text: &str, gap: usize) -> bool {
        self.column + if self.begun { gap } else { 0 } + visible(text) <= self.width
    }

    /// Adds it to the present line, or begins the next one.
    fn add(&mut self, text: &str, gap: usize) {
        if self.begun && !self.fits(text, gap) {
            self.text.push('\n');
            self.text.push_str(&self.lead);
            self.column = self.lead.len();
        } else if self.begun {
            self.text.push_str(&" ".repeat(gap));
            self.column += gap;
        }
        self.text.push_str(text);
        self.column += visible(text);
        self.begun = true;
    }
}

/// The words of a text; what stands in backticks is one word.
fn whole_commands(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for word in text.split(' ') {
        match words.last_mut().filter(|_| open) {
            Some(last) => last.extend([" ", word]),
            None => words.push(word.to_owned()),
        }
        open ^= word.matches('`').count() % 2 == 1;
    }
    words
}

/// Characters that a terminal shows of a text with colours in it.
fn visible(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

/// Cuts to `width` characters, with `…` where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// What comes after a wave.
pub fn then(soak_seconds: u64, promote: &str) -> String {
    let soak = (soak_seconds > 0).then(|| format!("soak {}", seconds(soak_seconds)));
    let promotion = (promote == "manual").then(|| "promotion by a person".to_owned());
    let parts: Vec<String> = soak.into_iter().chain(promotion).collect();
    if parts.is_empty() { "-".into() } else { parts.join(", ") }
}

/// Group limits in words; `None` without any.
pub fn limits(limits: &BTreeMap<String, u32>) -> Option<String> {
    let limits: GroupLimits = limits.iter().filter_map(|(by, most)| Some((by.parse().ok()?, *most))).collect();
    (!limits.is_empty()).then(|| limits.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_name_their_two_largest_units() {
        for (seconds_, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (61, "1m 1s"), (3600, "1h"), (12_000, "3h 20m"), (90_000, "1d 1h")] {
            assert_eq!(seconds(seconds_), text);
        }
    }

    #[test]
    fn nothing_acts_on_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\u{9b}c\u{202e}d\r\n"), "a[31mbcd");
        let document = serde_json::to_string("x\u{9b}31m\u{202e}\x1b").expect("a string");
        let safe = json(&document);
        assert!(!safe.chars().any(acts));
        assert_eq!(serde_json::from_str::<String>(&safe).expect("still JSON"), "x\u{9b}31m\u{202e}\x1b");
    }

    #[test]
    fn a_line_is_wrapped_and_nothing_of_it_is_cut() {
        assert_eq!(wrap("  one  two", 80), "  one  two");
        assert_eq!(wrap("  one  two three  four", 14), "  one\n    two three\n    four");
        assert_eq!(
            wrap("  paused by ada: a long reason; `sealift resume x`, until 6", 24),
            "  paused by ada: a long\n    reason;\n    `sealift resume x`,\n    until 6"
        );
        // Longer than a line: it is broken at its spaces, and a word that has none stands alone.
        assert_eq!(
            wrap("  `sealift approve plan --digest 0123456789abcdef`", 20),
            "  `sealift approve\n    plan --digest\n    0123456789abcdef`"
        );
        let red = "  in flight 2  \u{1b}[31mfailed 2\u{1b}[0m";
        assert_eq!(wrap(red, 23), red, "colours take no room");
        assert_eq!(wrap("  a      1    2", 15), "  a      1    2", "columns stay where they are");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@x", "\t=1"] {
            assert!(cell(text).starts_with('\''), "{text:?}");
        }
        assert_eq!(cell("a=b"), "a=b");
    }
}
