//! A plan file and its target files, read, checked and resolved.
//!
//! Job: YAML in, [`Plan`] and targets out, or every mistake with its place.
//!
//! Invariant: what comes out is valid by construction and complete: nothing the file says was ignored. Reading is
//! bounded in bytes, nodes and targets; nothing outside the plan's folder is opened on the plan's word.
//!
//! Deliberately not here: whether lanes and proxies exist. The daemon's configuration knows the lanes
//! ([`check_lanes`]), the cloud the proxies.

mod calendar;
mod enforce;
mod formats;
mod meaning;
mod raw;
mod schema;
mod targets;
mod waves;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

pub use self::schema::schema;
pub use self::targets::{LANES_MAX, TARGET_FILE_BYTES_MAX, TARGETS_MAX, YAML_TARGET_FILE_BYTES_MAX};
pub use self::waves::MAX_FAILURES_DEFAULT;
pub use crate::document::diagnostic::render_warnings;
pub use crate::document::{Diagnostic, Diagnostics, Place};
use crate::document::{Document, Mistakes, open, quote, suggest};
use crate::domain::id::{Digest, Name};
use crate::domain::plan::Plan;
use crate::domain::target::Target;

/// Largest plan file: about 60,000 targets of its own; more belong into a target file.
pub const PLAN_BYTES_MAX: u64 = 8 << 20;

/// A plan that may be submitted.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The plan, resolved.
    pub plan: Plan,
    /// Its targets in their order; never empty, no proxy twice.
    pub targets: Arc<[Target]>,
    /// Whether a daemon that finds the file submits it by itself.
    pub autostart: bool,
    /// What the author may want to know.
    pub warnings: Vec<Diagnostic>,
    lanes: BTreeMap<Name, Place>,
}

/// Reads the plan at `path` with its target files. Symbolic links in `path` are followed; the plan's folder is that
/// of the file they end at.
///
/// # Errors
/// Every mistake found, at least one.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    let shown = path.display().to_string();
    let bytes = open::named(path, PLAN_BYTES_MAX).and_then(|mut file| open::read(&mut file, PLAN_BYTES_MAX));
    let bytes = bytes.map_err(|complaint| {
        let mut diagnostic = Diagnostic::error("file", format!("{} {}", quote(&shown), complaint.message));
        diagnostic.help = complaint.help;
        diagnostic
    })?;
    let digest = Digest::of(&bytes);
    let source = open::text(&shown, bytes)?;
    let mut mistakes = Mistakes::default();
    let read = Document::read(&source, &schema::PLAN, &mut mistakes).and_then(|document| {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folders = meaning::Folders { real: real.parent().unwrap_or(Path::new("/")), shown: path.parent().unwrap_or(Path::new("")) };
        meaning::understand(&document, &folders, digest, &mut mistakes)
    });
    let warnings = mistakes.finish(&shown)?;
    let (plan, set, autostart) = read.expect("without a mistake a plan comes out");
    Ok(Loaded { plan, targets: set.targets, autostart, warnings, lanes: set.lanes })
}

/// Checks that every lane of a plan is one of the daemon's.
///
/// # Errors
/// One mistake for each unknown lane, at its first target.
pub fn check_lanes(loaded: &Loaded, known: &BTreeSet<Name>) -> Result<(), Diagnostics> {
    let mut mistakes = Mistakes::default();
    for (lane, place) in loaded.lanes.iter().filter(|(lane, _)| !known.contains(*lane)) {
        let unknown = Diagnostic::error("unknown-lane", format!("the daemon has no lane {}", quote(lane.as_str()))).at(place.clone());
        mistakes.push(match suggest::nearest(lane.as_str(), known.iter().map(Name::as_str)) {
            Some(near) => unknown.help(format!("did you mean `{near}`?")).replace(near),
            None if known.is_empty() => unknown.help("add it to `lanes` of the daemon's configuration"),
            None => unknown.help(format!("it has {}", known.iter().map(Name::as_str).collect::<Vec<_>>().join(", "))),
        });
    }
    mistakes.finish("").map(drop)
}

#[cfg(test)]
mod tests;
