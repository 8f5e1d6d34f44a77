//! What holds of every file that is read: for the fuzzer in `fuzz/`, and for the tests, which
//! replay its corpus.

use std::path::Path;

use super::{Diagnostic, Diagnostics, Place, SECOND_READER};

/// Every mistake is told in words that are safe to print, and with a place that is there in its
/// file. `folder` is where the files lie.
pub(crate) fn assert_reported(diagnostics: &Diagnostics, folder: &Path) {
    assert!(!diagnostics.list.is_empty(), "refused without a reason");
    diagnostics.list.iter().for_each(|diagnostic| one(diagnostic, folder));
    printable(&diagnostics.render(false));
}

/// The same of warnings.
pub(crate) fn warned(warnings: &[Diagnostic], folder: &Path) {
    warnings.iter().for_each(|warning| one(warning, folder));
    printable(&super::diagnostic::render_warnings(warnings, false));
}

fn one(diagnostic: &Diagnostic, folder: &Path) {
    assert_ne!(diagnostic.code, SECOND_READER, "the two readers disagree: {}", diagnostic.message);
    for place in diagnostic.place.iter().chain(diagnostic.also.as_ref().map(|(place, _)| place)) {
        there(place, folder);
    }
    let texts = [
        Some(&diagnostic.message),
        diagnostic.help.as_ref(),
        diagnostic.also.as_ref().map(|(_, what)| what),
    ];
    texts.into_iter().flatten().for_each(|text| printable(text));
}

/// The place names a file of the folder, a line of it, and a stretch of that line.
fn there(place: &Place, folder: &Path) {
    let path = Path::new(&place.file);
    assert!(path.starts_with(folder), "{} is not among the files that were read", place.file);
    let bytes = std::fs::read(path).expect("it was read a moment ago");
    let text = String::from_utf8_lossy(&bytes);
    // After a last line feed there is an empty line, where a file ends too early.
    let lines = text.split('\n').count();
    assert!((1..=lines).contains(&place.line), "line {} of {lines}", place.line);
    let line = text.split('\n').nth(place.line - 1).expect("counted above");
    assert!(
        (1..=line.chars().count() + 1).contains(&place.column),
        "column {} of {line:?}",
        place.column
    );
    assert!(
        place.text.get(place.span.clone()).is_some(),
        "{:?} is no stretch of {:?}",
        place.span,
        place.text
    );
}

/// Nothing in it acts on a terminal.
pub(crate) fn printable(text: &str) {
    let acts = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(acts, None, "{text:?}");
}
