//! The fixes that the plan reader proposes, applied to the text of a plan.
//!
//! Invariant: a fix changes the piece of text that it was proposed for, or nothing.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::yaml::Diagnostic;

/// One fix: on this line, from this column on, the new text in place of the old.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mend {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    old: String,
    new: String,
}

impl Mend {
    /// The fix that comes with this mistake.
    pub fn of(mistake: &Diagnostic) -> Option<Self> {
        let (place, new) = (mistake.place.as_ref()?, mistake.replacement.clone()?);
        let old = place.text.get(place.span.clone())?.to_owned();
        Some(Self { line: place.line, column: place.column, old, new })
    }

    /// The bytes of `line` that this mistake is about.
    pub fn marked(mistake: &Diagnostic, line: &str) -> Option<Range<usize>> {
        let place = mistake.place.as_ref()?;
        let old = place.text.get(place.span.clone())?;
        range(line, place.column, old)
    }

    /// Fixes as a form sends them.
    pub fn spell(mends: &[Self]) -> String {
        serde_json::to_string(mends).expect("texts and numbers")
    }

    /// The text with these fixes, which a form sent; those that no longer fit are left out.
    pub fn apply(text: &str, spelled: &str) -> String {
        let mut mends: Vec<Self> = serde_json::from_str(spelled).unwrap_or_default();
        // From the end on, so that none moves the place of another.
        mends.sort_by_key(|mend| std::cmp::Reverse((mend.line, mend.column)));
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        for mend in mends {
            let line = mend.line.checked_sub(1).and_then(|place| lines.get_mut(place));
            if let Some(line) = line
                && let Some(found) = range(line, mend.column, &mend.old)
                // A form that is sent twice finds its own text there.
                && range(line, mend.column, &mend.new).is_none_or(|new| new.len() < found.len())
            {
                line.replace_range(found, &mend.new);
            }
        }
        lines.concat()
    }
}

fn range(line: &str, column: usize, old: &str) -> Option<Range<usize>> {
    let (from, _) = line.char_indices().chain([(line.len(), '\n')]).nth(column.checked_sub(1)?)?;
    line[from..].starts_with(old).then(|| from..from + old.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mend(line: usize, column: usize, old: &str, new: &str) -> Mend {
        Mend { line, column, old: old.into(), new: new.into() }
    }

    #[test]
    fn every_fix_lands_where_it_was_proposed_or_nowhere() {
        let text = "name: é22-2\nmax_inflight: 20\n";
        let fixes = [mend(1, 8, "22-2", "22-23,0-2"), mend(2, 1, "max_inflight", "max_in_flight")];
        let mended = Mend::apply(text, &Mend::spell(&fixes));
        assert_eq!(mended, "name: é22-23,0-2\nmax_in_flight: 20\n");
        assert_eq!(Mend::apply(&mended, &Mend::spell(&fixes)), mended, "none fits twice");
        let wrong =
            [mend(0, 1, "", "x"), mend(9, 1, "", "x"), mend(1, 0, "", "x"), mend(1, 99, "n", "x")];
        assert_eq!(Mend::apply(text, &Mend::spell(&wrong)), text);
        assert_eq!(Mend::apply(text, "junk"), text);
    }

    #[test]
    fn two_fixes_on_one_line_do_not_move_each_other() {
        let fixes = [mend(1, 1, "a", "longer"), mend(1, 3, "b", "x")];
        assert_eq!(Mend::apply("a b", &Mend::spell(&fixes)), "longer x");
    }
}
