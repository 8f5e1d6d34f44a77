//! Where the values of one lane are written: in its own entry, else in `lane_defaults`.
//!
//! Invariant: a key of the lane's own stands above the same key of `lane_defaults`, and that above
//! the default; whatever a listing or a mistake says of a value names the one place that it came
//! from.
//!
//! Deliberately not here: which keys there are, and what they mean (`config::lanes`).

use std::collections::BTreeSet;

use super::setting::{Origin, Settings, ShownValue};
use crate::domain::id::Name;
use crate::yaml::{Diagnostic, Document, Mistakes, Place};

/// One place with keys of a lane.
#[derive(Clone, Copy)]
pub struct Layer<'l> {
    document: &'l Document<'l>,
    /// Of the map that holds the keys.
    path: &'l str,
    defaults: bool,
}

impl<'l> Layer<'l> {
    /// A lane's own entry.
    pub fn own(document: &'l Document<'l>, path: &'l str) -> Self {
        Self { document, path, defaults: false }
    }

    /// `lane_defaults` of the configuration.
    pub fn defaults(document: &'l Document<'l>) -> Self {
        Self { document, path: "lane_defaults", defaults: true }
    }

    /// Whether it holds for lanes that say nothing of their own.
    pub fn is_defaults(&self) -> bool {
        self.defaults
    }

    /// The place of a key's value; of the whole entry where the key is not written.
    pub fn place(&self, key: &str) -> Place {
        self.document.place(&format!("{}.{key}", self.path))
    }

    fn origin(&self, key: &str) -> Origin {
        let source = self.document.source();
        let node = self.document.nearest(&format!("{}.{key}", self.path));
        let (path, line) = (source.name().to_owned(), source.line(node.span));
        if self.defaults {
            Origin::LaneDefaults { path, line }
        } else {
            Origin::File { path, line }
        }
    }
}

/// A value with the place where it is written.
pub struct WrittenValue<'l, T> {
    pub value: T,
    pub at: Layer<'l>,
}

/// What the reading of one lane notes: its values for the listing, and its mistakes.
pub struct LaneNotes<'r, 'l, 'd> {
    pub name: &'r Name,
    pub own: Layer<'l>,
    pub defaults: Option<Layer<'l>>,
    pub settings: &'r mut Settings<'d>,
    pub mistakes: &'r mut Mistakes,
    /// Mistakes of `lane_defaults` that were told for a lane before: once is enough for all lanes.
    pub told: &'r mut BTreeSet<String>,
    /// Whether a mistake was found, told or not.
    pub failed: bool,
}

impl<'l> LaneNotes<'_, 'l, '_> {
    /// The lane's own value, else that of `lane_defaults`.
    pub fn pick<T>(&self, own: Option<T>, default: Option<T>) -> Option<WrittenValue<'l, T>> {
        match (own, default, self.defaults) {
            (Some(value), ..) => Some(WrittenValue { value, at: self.own }),
            (None, Some(value), Some(at)) => Some(WrittenValue { value, at }),
            (None, ..) => None,
        }
    }

    /// Notes a value for the listing and gives it back.
    pub fn note<T: ShownValue>(&mut self, key: &str, written: WrittenValue<'_, T>) -> T {
        let origin = written.at.origin(key);
        self.note_from(key, written.value, origin)
    }

    /// The same, of one that may be left out.
    pub fn note_or<T: ShownValue>(
        &mut self,
        key: &str,
        written: Option<WrittenValue<'_, T>>,
        default: T,
    ) -> T {
        match written {
            Some(written) => self.note(key, written),
            None => self.note_from(key, default, Origin::Default),
        }
    }

    /// Notes a value that is not written itself.
    pub fn note_from<T: ShownValue>(&mut self, key: &str, value: T, origin: Origin) -> T {
        self.settings.push(&format!("lanes.{}.{key}", self.name), value, Some(origin))
    }

    /// Tells a mistake about a key.
    pub fn report(&mut self, at: Layer<'_>, key: &str, mistake: Diagnostic) {
        self.failed = true;
        if !at.is_defaults() || self.told.insert(format!("{key}: {}", mistake.message)) {
            self.mistakes.push_with(|| mistake.at(at.place(key)));
        }
    }
}
