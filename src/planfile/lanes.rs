//! The lanes that a plan names.

use std::collections::BTreeMap;

use super::{Diagnostic, Diagnostics, Place};
use crate::domain::id::Name;
use crate::yaml::{Mistakes, quote, suggest};

/// Lanes, each with the place where the plan or a file of targets names it first.
#[derive(Debug, Clone)]
pub struct Lanes(BTreeMap<Name, Place>);

impl Lanes {
    pub(super) fn new(lanes: BTreeMap<Name, Place>) -> Self {
        Self(lanes)
    }

    /// Checks that each is one of the daemon's, and reaches a project of its own: `known` has them
    /// all, each with the lane before it that reaches the same project.
    ///
    /// # Errors
    /// One mistake for each that is not.
    pub fn check(&self, known: &BTreeMap<Name, Option<Name>>) -> Result<(), Diagnostics> {
        let mut mistakes = Mistakes::default();
        for (lane, place) in &self.0 {
            if let Some(Some(first)) = known.get(lane) {
                let what = format!(
                    "lane {} reaches the same project as lane {}, which goes first",
                    quote(lane.as_str()),
                    quote(first.as_str())
                );
                let shared = Diagnostic::error("shared-project", what).at(place.clone());
                mistakes.push(shared.help(format!("write `{first}`")).replace(first.as_str()));
            }
        }
        for (lane, place) in self.0.iter().filter(|(lane, _)| !known.contains_key(*lane)) {
            let unknown = Diagnostic::error(
                "unknown-lane",
                format!("the daemon has no lane {}", quote(lane.as_str())),
            )
            .at(place.clone());
            mistakes.push(match suggest::nearest(lane.as_str(), known.keys().map(Name::as_str)) {
                Some(near) => unknown.help(format!("did you mean `{near}`?")).replace(near),
                None if known.is_empty() => {
                    unknown.help("add it to `lanes` of the daemon's configuration")
                }
                None => unknown.help(format!(
                    "it has {}",
                    known.keys().map(Name::as_str).collect::<Vec<_>>().join(", ")
                )),
            });
        }
        mistakes.finish("").map(drop)
    }
}
