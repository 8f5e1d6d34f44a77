//! Lines at the width of a terminal, and what keeps a hostile text from acting on a terminal or a
//! spreadsheet.

pub use crate::domain::count::count;
use crate::words::text::{acts, clean};

/// The cell, so that no spreadsheet takes it for a formula.
pub fn cell(text: &str) -> String {
    let text = clean(text);
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
}

/// JSON whose strings hold no character that acts on a terminal: such a character is written as its
/// escape, which means the same to every reader.
pub fn json(document: &str) -> String {
    let mut safe = String::with_capacity(document.len());
    for c in document.chars() {
        if c != '\n' && acts(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)))
        } else {
            safe.push(c)
        }
    }
    safe
}

/// Breaks a line into lines of at most `width` visible characters, so that nothing of it is cut:
/// where two spaces part it, and inside a part that is longer than a line, at its spaces; a command
/// in backticks stays whole where it can. What follows the first line is indented by two more.
pub fn wrap(line: &str, width: usize) -> String {
    if visible(line) <= width {
        return line.to_owned();
    }
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let lead = " ".repeat(indent + 2);
    let mut wrapped =
        Wrapped { text: " ".repeat(indent), column: indent, begun: false, lead, width };
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
                words
                    .split(' ')
                    .enumerate()
                    .for_each(|(inner, word)| wrapped.add(word, if inner == 0 { gap } else { 1 }));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_string_of_a_document_acts_on_the_terminal() {
        let document = serde_json::to_string("x\u{9b}31m\u{202e}\x1b").expect("a string");
        let safe = json(&document);
        assert!(!safe.chars().any(acts));
        assert_eq!(
            serde_json::from_str::<String>(&safe).expect("still JSON"),
            "x\u{9b}31m\u{202e}\x1b"
        );
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
