//! A mistake that a person can mend: what, where, and what to write instead.
//!
//! Invariant: a diagnostic owns the one line it speaks about, so it outlives the file, and a file's size does not
//! matter. At most [`DIAGNOSTICS_MAX`] are kept, the rest is counted.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::source::{LINE_SHOWN_MAX, SourceText};
use super::tree::ByteSpan;

/// Diagnostics kept of one load: beyond that nobody reads on, and a file of junk must not become a log of junk.
pub const DIAGNOSTICS_MAX: usize = 100;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken; the reader may want to know.
    Warning,
}

/// A stretch of one line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as shown to the user.
    pub file: String,
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line, or the piece of it around the place, with a dot for each of the control characters that take two bytes:
    /// some terminals obey them, and the renderer, which draws all others, lets them through.
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

/// One mistake or warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A short stable word for programs, such as `unknown-key`.
    pub code: &'static str,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// A second place that belongs to it, and what that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also: Option<(Place, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What to write at the place instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), place: None, also: None, help: None, replacement: None }
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// A second place, with what it is.
    pub fn also(mut self, place: Place, what: impl Into<String>) -> Self {
        self.also = Some((place, what.into()));
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What to write at the place instead; the help should name it too.
    pub fn replace(mut self, replacement: impl Into<String>) -> Self {
        self.replacement = Some(replacement.into());
        self
    }
}

/// Collects what one load finds.
#[derive(Default)]
pub struct Mistakes {
    list: Vec<Diagnostic>,
    more: usize,
    warnings: Vec<Diagnostic>,
    /// File and bytes of each mistake in a tree, so that a spoilt part is not read any further.
    touched: Vec<(*const SourceText, ByteSpan)>,
    all_touched: bool,
}

impl Mistakes {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Warning if self.warnings.len() < DIAGNOSTICS_MAX => self.warnings.push(diagnostic),
            Severity::Warning => {}
            Severity::Error => self.push_with(|| diagnostic),
        }
    }

    /// Adds an error, which is only made while there is room for it.
    pub fn push_with(&mut self, make: impl FnOnce() -> Diagnostic) {
        if self.is_full() { self.more += 1 } else { self.list.push(make()) }
    }

    /// Adds an error about a node of a tree.
    pub fn push_node(&mut self, source: &SourceText, span: ByteSpan, diagnostic: Diagnostic) {
        self.spoil(source, span);
        self.push_with(|| diagnostic.at(source.place(span)));
    }

    /// Remembers that a node cannot be read any further.
    pub fn spoil(&mut self, source: &SourceText, span: ByteSpan) {
        // Beyond the bound nothing more can be shown anyway, so nothing more need be read.
        if self.touched.len() < DIAGNOSTICS_MAX { self.touched.push((source, span)) } else { self.all_touched = true }
    }

    /// Nothing can be read any further.
    pub fn spoil_all(&mut self) {
        self.all_touched = true;
    }

    /// Whether a mistake was found within `span` of `source`.
    pub fn touch(&self, source: &SourceText, span: ByteSpan) -> bool {
        self.all_touched || self.touched.iter().any(|(of, at)| std::ptr::eq(*of, source) && span.holds(*at))
    }

    /// Whether further errors are only counted.
    pub fn is_full(&self) -> bool {
        self.list.len() >= DIAGNOSTICS_MAX
    }

    /// Errors found so far.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// Ends the collection: the warnings, or, when there was an error, everything in the order of the places.
    pub fn finish(self, main_file: &str) -> Result<Vec<Diagnostic>, Diagnostics> {
        if self.list.is_empty() {
            return Ok(self.warnings);
        }
        let mut list = self.list;
        list.sort_by(|a, b| place_key(a, main_file).cmp(&place_key(b, main_file)));
        Err(Diagnostics { list, more: self.more })
    }
}

fn place_key<'d>(diagnostic: &'d Diagnostic, main_file: &str) -> (bool, &'d str, usize, usize) {
    match &diagnostic.place {
        Some(place) => (place.file != main_file, &place.file, place.line, place.column),
        None => (false, "", 0, 0),
    }
}

/// All mistakes of one load, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    /// In the order of their places; at most [`DIAGNOSTICS_MAX`].
    #[serde(rename = "diagnostics")]
    pub list: Vec<Diagnostic>,
    /// How many more there were.
    pub more: usize,
}

impl Diagnostics {
    /// As text for people; `color` adds terminal styles.
    pub fn render(&self, color: bool) -> String {
        let mut text = super::render::all(&self.list, color);
        let count = self.list.len() + self.more;
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        let rest = if self.more == 0 { String::new() } else { format!(", the first {} are shown", self.list.len()) };
        text.push_str(&format!("\n{count} {noun}{rest}\n"));
        text
    }
}

/// Warnings as text for people; empty for none.
pub fn render_warnings(warnings: &[Diagnostic], color: bool) -> String {
    super::render::all(warnings, color)
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self { list: vec![one], more: 0 }
    }
}

impl From<Box<Diagnostic>> for Diagnostics {
    fn from(one: Box<Diagnostic>) -> Self {
        Self::from(*one)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}
