//! A mistake that a person can correct: what, where, and what to write instead; drawn as `rustc`
//! does.
//!
//! Invariant: a diagnostic owns the one line it speaks about, so it outlives the file, and a file's
//! size does not matter. At most [`DIAGNOSTICS_MAX`] are kept, the rest is counted.

use std::fmt;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};
use serde::Serialize;

use super::source::{ByteSpan, Place, SourceText};

/// Diagnostics kept of one load: beyond that nobody reads on, and a file of junk must not become a
/// log of junk.
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
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            place: None,
            also: None,
            help: None,
            replacement: None,
        }
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
            Severity::Warning if self.warnings.len() < DIAGNOSTICS_MAX => {
                self.warnings.push(diagnostic)
            }
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
        if self.touched.len() < DIAGNOSTICS_MAX {
            self.touched.push((source, span))
        } else {
            self.all_touched = true
        }
    }

    /// Nothing can be read any further.
    pub fn spoil_all(&mut self) {
        self.all_touched = true;
    }

    /// Whether a mistake was found within `span` of `source`.
    pub fn touch(&self, source: &SourceText, span: ByteSpan) -> bool {
        self.all_touched
            || self.touched.iter().any(|(of, at)| std::ptr::eq(*of, source) && span.holds(*at))
    }

    /// Whether further errors are only counted.
    pub fn is_full(&self) -> bool {
        self.list.len() >= DIAGNOSTICS_MAX
    }

    /// Errors found so far.
    pub fn count(&self) -> usize {
        self.list.len() + self.more
    }

    /// Ends the collection: the warnings, or, when there was an error, everything in the order of
    /// the places.
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
        let mut text = render_all(&self.list, color);
        let count = self.list.len() + self.more;
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        let rest = if self.more == 0 {
            String::new()
        } else {
            format!(", the first {} are shown", self.list.len())
        };
        text.push_str(&format!("\n{count} {noun}{rest}\n"));
        text
    }
}

/// Warnings as text for people; empty for none.
pub fn render_warnings(warnings: &[Diagnostic], color: bool) -> String {
    render_all(warnings, color)
}

/// Draws diagnostics as `rustc` does, an empty line between two.
fn render_all(list: &[Diagnostic], color: bool) -> String {
    let renderer =
        if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for diagnostic in list {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&renderer.render(&groups(diagnostic)));
        text.push('\n');
    }
    text
}

fn groups(diagnostic: &Diagnostic) -> Vec<Group<'_>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut first =
        Group::with_title(level.primary_title(diagnostic.message.as_str()).id(diagnostic.code));
    if let Some(place) = &diagnostic.place {
        first = marked(first, place, AnnotationKind::Primary, None);
    }
    if let Some((place, what)) = &diagnostic.also {
        first = marked(first, place, AnnotationKind::Context, Some(what));
    }
    let mut groups = Vec::with_capacity(2);
    match (&diagnostic.help, &diagnostic.replacement, &diagnostic.place) {
        (Some(help), Some(replacement), Some(place)) => {
            groups.push(first);
            let patch = Patch::new(place.span.clone(), replacement.as_str());
            let snippet = Snippet::source(place.text.as_str()).line_start(place.line).patch(patch);
            groups.push(
                Group::with_title(Level::HELP.secondary_title(help.as_str())).element(snippet),
            );
        }
        (Some(help), ..) => groups.push(first.element(Level::HELP.message(help.as_str()))),
        (None, ..) => groups.push(first),
    }
    groups
}

fn marked<'d>(
    group: Group<'d>,
    place: &'d Place,
    kind: AnnotationKind,
    label: Option<&'d String>,
) -> Group<'d> {
    let mut annotation = kind.span(place.span.clone());
    if let Some(label) = label {
        annotation = annotation.label(label.as_str());
    }
    let snippet =
        Snippet::source(place.text.as_str()).line_start(place.line).annotation(annotation);
    // On a line that was cut the renderer would count columns from the cut.
    if place.text[..place.span.start].chars().count() + 1 == place.column {
        group.element(snippet.path(place.file.as_str()))
    } else {
        group
            .element(Origin::path(place.file.as_str()).line(place.line).char_column(place.column))
            .element(snippet)
    }
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
