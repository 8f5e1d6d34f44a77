//! The lanes that a plan names.

use std::collections::{BTreeMap, BTreeSet};

use super::{Diagnostic, Diagnostics, Place};
use crate::document::{Mistakes, quote, suggest};
use crate::domain::id::Name;

/// Lanes, each with the place where the plan or a file of targets names it first.
#[derive(Debug, Clone)]
pub struct Lanes(BTreeMap<Name, Place>);

impl Lanes {
    pub(super) fn new(lanes: BTreeMap<Name, Place>) -> Self {
        Self(lanes)
    }

    /// Checks that each is one of the daemon's.
    ///
    /// # Errors
    /// One mistake for each that is unknown.
    pub fn check(&self, known: &BTreeSet<Name>) -> Result<(), Diagnostics> {
        let mut mistakes = Mistakes::default();
        for (lane, place) in self.0.iter().filter(|(lane, _)| !known.contains(*lane)) {
            let unknown = Diagnostic::error("unknown-lane", format!("the daemon has no lane {}", quote(lane.as_str()))).at(place.clone());
            mistakes.push(match suggest::nearest(lane.as_str(), known.iter().map(Name::as_str)) {
                Some(near) => unknown.help(format!("did you mean `{near}`?")).replace(near),
                None if known.is_empty() => unknown.help("add it to `lanes` of the daemon's configuration"),
                None => unknown.help(format!("it has {}", known.iter().map(Name::as_str).collect::<Vec<_>>().join(", "))),
            });
        }
        mistakes.finish("").map(drop)
    }
}
