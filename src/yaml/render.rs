//! Draws diagnostics as `rustc` does, with its own renderer.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Place, Severity};

/// All of them, an empty line between two.
pub fn all(list: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
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
    let mut first = Group::with_title(level.primary_title(diagnostic.message.as_str()).id(diagnostic.code));
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
            groups.push(Group::with_title(Level::HELP.secondary_title(help.as_str())).element(snippet));
        }
        (Some(help), ..) => groups.push(first.element(Level::HELP.message(help.as_str()))),
        (None, ..) => groups.push(first),
    }
    groups
}

fn marked<'d>(group: Group<'d>, place: &'d Place, kind: AnnotationKind, label: Option<&'d String>) -> Group<'d> {
    let mut annotation = kind.span(place.span.clone());
    if let Some(label) = label {
        annotation = annotation.label(label.as_str());
    }
    let snippet = Snippet::source(place.text.as_str()).line_start(place.line).annotation(annotation);
    // On a line that was cut the renderer would count columns from the cut.
    if place.text[..place.span.start].chars().count() + 1 == place.column {
        group.element(snippet.path(place.file.as_str()))
    } else {
        group.element(Origin::path(place.file.as_str()).line(place.line).char_column(place.column)).element(snippet)
    }
}
