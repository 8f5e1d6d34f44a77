//! The text of a file, and the line and column of a byte in it.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;

use serde::Serialize;

/// Longest piece of a line kept for a diagnostic, in bytes: enough to see, whatever a machine
/// wrote.
pub const LINE_SHOWN_MAX: usize = 4096;

/// A stretch of a source, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSpan {
    start: u32,
    end: u32,
}

impl ByteSpan {
    /// From a range; texts are bounded far below 4 GiB.
    pub fn of(range: Range<usize>) -> Self {
        let cut = |at| u32::try_from(at).expect("a document is bounded to a few MiB");
        Self { start: cut(range.start), end: cut(range.end.max(range.start)) }
    }

    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether `other` lies within.
    pub fn holds(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether there is no text in it: a value that was left out.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A stretch of one line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as shown to the user.
    pub file: String,
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line, or the piece of it around the place, with a dot for each of the control characters
    /// that take two bytes: some terminals obey them, and the renderer, which draws all others,
    /// lets them through.
    pub text: String,
    /// The marked bytes of `text`.
    #[serde(skip)]
    pub span: Range<usize>,
}

impl Place {
    /// The place of the bytes `marked` of a line; a very long line is cut around them.
    pub fn of_line(file: &str, line: usize, text: &str, marked: Range<usize>) -> Self {
        let start = text.floor_char_boundary(marked.start);
        let end = text.ceil_char_boundary(marked.end).max(start);
        let column = text[..start].chars().count() + 1;
        let from = text.floor_char_boundary(start.saturating_sub(LINE_SHOWN_MAX / 2));
        let to = text.floor_char_boundary((start + LINE_SHOWN_MAX / 2).min(text.len())).max(start);
        let span = start - from..end.min(to) - from;
        // The dot takes two bytes as well, so that the marked bytes stay where they are.
        let text = text[from..to].replace(|c| matches!(c, '\u{80}'..='\u{9f}'), "·");
        Self { file: file.to_owned(), line, column, text, span }
    }
}

/// A file's name as shown, and its text.
pub struct SourceText {
    name: String,
    text: String,
    lines: OnceCell<Vec<usize>>,
    /// The number of its first line in the file.
    first_line: usize,
    starred: bool,
    hidden: RefCell<Vec<ByteSpan>>,
}

impl SourceText {
    /// A text that was read from `name`. At most 4 GiB, which the limits of [`super::open`] see to.
    pub fn new(name: impl Into<String>, text: String) -> Self {
        Self {
            name: name.into(),
            text,
            lines: OnceCell::new(),
            first_line: 1,
            starred: false,
            hidden: RefCell::default(),
        }
    }

    /// Of a text that stands on this line of the file, and on those that follow.
    pub fn starting_at(mut self, line: u32) -> Self {
        self.first_line = line as usize;
        self
    }

    /// Of a file that may hold a secret by mistake: a diagnostic shows stars in its place.
    pub fn starred(mut self) -> Self {
        self.starred = true;
        self
    }

    /// Whether values may be secrets.
    pub fn is_starred(&self) -> bool {
        self.starred
    }

    /// Shows stars in place of a stretch from now on. Does nothing in a file that holds no secrets.
    pub fn hide(&self, span: ByteSpan) {
        if self.starred {
            self.hidden.borrow_mut().push(span);
        }
    }

    /// The name as shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    fn starts(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let after = self
                .text
                .bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at + 1);
            std::iter::once(0).chain(after).collect()
        })
    }

    /// The line on which a stretch begins, from 1.
    pub fn line(&self, span: ByteSpan) -> usize {
        self.index(span) + self.first_line
    }

    /// The place among its lines of that on which a stretch begins.
    fn index(&self, span: ByteSpan) -> usize {
        self.starts().partition_point(|line| *line <= span.range().start) - 1
    }

    /// Line, column and line text of a stretch; of one over several lines only what stands on the
    /// first is marked.
    pub fn place(&self, span: ByteSpan) -> Place {
        let starts = self.starts();
        let Range { start, end } = span.range();
        let index = self.index(span);
        let line_start = starts[index];
        let line_end = starts.get(index + 1).map_or(self.text.len(), |next| next - 1);
        let line = self.text[line_start..line_end].trim_end_matches('\r');
        let marked =
            (start - line_start).min(line.len())..(end.max(start) - line_start).min(line.len());
        if !self.starred {
            return Place::of_line(&self.name, index + self.first_line, line, marked);
        }
        let mut shown = stars(line);
        for hidden in self.hidden.borrow().iter() {
            let cut = |at: usize| at.clamp(line_start, line_start + line.len()) - line_start;
            let hidden = cut(hidden.range().start)..cut(hidden.range().end);
            let replacement = "*".repeat(hidden.len());
            shown.replace_range(hidden, &replacement);
        }
        Place::of_line(&self.name, index + self.first_line, &shown, marked)
    }
}

/// Words in a key that announce a secret.
const SECRET_WORDS: [&str; 5] = ["token", "secret", "password", "access_key", "private_key"];

/// The line with stars in place of whatever follows a key that announces a secret, unless that is a
/// reference (`{file: …}`). Byte offsets stay: each character gives way to as many stars as it has
/// bytes.
fn stars(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let mut shown = line.to_owned();
    for word in SECRET_WORDS {
        let mut from = 0;
        while let Some(at) = lower[from..].find(word) {
            let after = from + at + word.len();
            from = after;
            let Some(colon) = lower[after..].find(':').filter(|gap| *gap <= 12) else { continue };
            let value = after + colon + 1;
            let text = &line[value..];
            let lead = text.len() - text.trim_start().len();
            let text = text.trim_start();
            if text.is_empty() || text.starts_with(['{', '#']) {
                continue;
            }
            let end = match text.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    text[1..].find(quote).map_or(text.len(), |end| end + 2)
                }
                _ => text.find([',', '}']).unwrap_or(text.len()),
            };
            let hidden = value + lead..value + lead + end;
            let stars = "*".repeat(hidden.len());
            shown.replace_range(hidden, &stars);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_starred_and_a_reference_is_not() {
        assert_eq!(
            stars("  credentials: {token: MIIabc, quota: 3}"),
            "  credentials: {token: ******, quota: 3}"
        );
        assert_eq!(stars("  secret_key: \"a b\" # mine"), "  secret_key: ***** # mine");
        assert_eq!(stars("  token: {file: /run/token}"), "  token: {file: /run/token}");
        assert_eq!(stars("  token: größe"), format!("  token: {}", "*".repeat("größe".len())));
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let source = SourceText::new("x.yaml", "ä: 1\r\nbé: 2\n".into());
        let at = source.text().find('2').expect("it stands there");
        let place = source.place(ByteSpan::of(at..at + 1));
        assert_eq!((place.line, place.column, place.text.as_str()), (2, 5, "bé: 2"));
        let end = source.place(ByteSpan::of(source.text().len()..source.text().len()));
        assert_eq!((end.line, end.column), (3, 1));
    }
}
