//! A plan file and its target files, read, checked and resolved.
//!
//! Job: YAML in, [`Plan`] and targets out, or every mistake with its place.
//!
//! Invariant: what comes out is valid by construction and complete: nothing the file says was
//! ignored. Reading is bounded in bytes, nodes and targets; nothing outside the plan's folder is
//! opened on the plan's word.
//!
//! Deliberately not here: whether lanes and proxies exist. The daemon's configuration knows the
//! lanes ([`Lanes::check`]), the cloud the proxies. What a plan's `targets.discover` is to find
//! comes in as a file.

mod calendar;
mod discover;
pub mod discovery;
mod enforce;
mod lanes;
mod meaning;
mod mend;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod raw;
mod receivers;
mod schema;
pub mod selector;
mod targets;
mod waves;
mod wire;
mod written;

use std::path::Path;

use jiff::Timestamp;

pub use self::lanes::Lanes;
use self::meaning::CheckedPlan;
pub use self::mend::Mend;
pub use self::receivers::check_receivers;
pub use self::schema::schema;
use self::selector::Selector;
use self::targets::TargetSet;
pub use self::targets::{
    Excluded, LeftOut, PART, TARGET_FILE_BYTES_MAX, TARGETS_MAX, YAML_TARGET_FILE_BYTES_MAX,
};
pub use self::waves::MAX_FAILURES_DEFAULT;
use crate::domain::id::{Digest, Name};
use crate::domain::plan::Plan;
use crate::domain::target::TargetList;
use crate::domain::window::Calendar;
pub use crate::yaml::diagnostic::render_warnings;
pub use crate::yaml::{Diagnostic, Diagnostics, Place};
use crate::yaml::{Document, Mistakes, open, quote};

/// Largest plan file: about 60,000 targets of its own; more belong into a target file.
pub const PLAN_BYTES_MAX: u64 = 8 << 20;

/// A plan that may be submitted.
#[derive(Debug, Clone)]
pub struct LoadedPlan {
    pub plan: Plan,
    /// Its targets in their order; never empty, no proxy twice.
    pub targets: TargetList,
    /// Whether a daemon that finds the file submits it by itself.
    pub autostart: bool,
    /// What the author may want to know.
    pub warnings: Vec<Diagnostic>,
    /// What `targets.exclude` left out.
    pub excluded: Vec<Excluded>,
    /// When the discovery began that found some of the targets; `None` when the plan finds none.
    pub discovered_at: Option<Timestamp>,
    /// The lanes of its targets.
    pub lanes: Lanes,
}

/// A plan without mistakes whose targets are still to be discovered.
#[derive(Debug, Clone)]
pub struct Outline {
    pub name: Name,
    pub revision: u32,
    /// When changes may begin.
    pub calendar: Calendar,
    /// What is to be looked for; at least one.
    pub discover: Vec<Selector>,
    /// The lanes that are searched.
    pub lanes: Lanes,
    /// What the author may want to know.
    pub warnings: Vec<Diagnostic>,
}

/// A plan file that holds no mistake.
#[derive(Debug, Clone)]
pub enum ReadPlan {
    /// It may be submitted.
    Whole(Box<LoadedPlan>),
    /// It may once its targets are discovered; what depends on their number is not judged yet.
    Open(Box<Outline>),
}

impl ReadPlan {
    pub fn name(&self) -> &Name {
        match self {
            Self::Whole(loaded) => &loaded.plan.name,
            Self::Open(outline) => &outline.name,
        }
    }

    pub fn revision(&self) -> u32 {
        match self {
            Self::Whole(loaded) => loaded.plan.revision,
            Self::Open(outline) => outline.revision,
        }
    }

    /// When changes may begin.
    pub fn calendar(&self) -> &Calendar {
        match self {
            Self::Whole(loaded) => &loaded.plan.calendar,
            Self::Open(outline) => &outline.calendar,
        }
    }

    /// The lanes of its targets, or those that are searched for them.
    pub fn lanes(&self) -> &Lanes {
        match self {
            Self::Whole(loaded) => &loaded.lanes,
            Self::Open(outline) => &outline.lanes,
        }
    }

    /// What the author may want to know.
    pub fn warnings(&self) -> &[Diagnostic] {
        match self {
            Self::Whole(loaded) => &loaded.warnings,
            Self::Open(outline) => &outline.warnings,
        }
    }
}

/// Reads the plan at `path` with its target files. Symbolic links in `path` are followed; the
/// plan's folder is that of the file they end at.
///
/// # Errors
/// Every mistake found, at least one. That the plan's targets are to be discovered is one here; see
/// [`read`].
pub fn load(path: &Path) -> Result<LoadedPlan, Diagnostics> {
    match read(path, None)? {
        ReadPlan::Whole(loaded) => Ok(*loaded),
        ReadPlan::Open(_) => {
            let mut mistakes = Mistakes::default();
            let open = Diagnostic::error(
                "discovery",
                format!(
                    "the targets of {} are to be discovered",
                    quote(&path.display().to_string())
                ),
            );
            mistakes.push(open.help(
                "`sealift plan` and `sealift apply` discover them, and hand over what they found",
            ));
            Err(mistakes.finish("").expect_err("one was pushed"))
        }
    }
}

/// As [`load`], of a plan that may have targets to discover: `discovered` is the file of their
/// discovery, once there is one.
///
/// # Errors
/// Every mistake found, at least one.
pub fn read(path: &Path, discovered: Option<&Path>) -> Result<ReadPlan, Diagnostics> {
    let shown = path.display().to_string();
    let bytes = open::named(path, PLAN_BYTES_MAX)
        .and_then(|mut file| open::read(&mut file, PLAN_BYTES_MAX));
    let bytes = bytes.map_err(|complaint| {
        let mut diagnostic =
            Diagnostic::error("file", format!("{} {}", quote(&shown), complaint.message));
        diagnostic.help = complaint.help;
        diagnostic
    })?;
    let digest = Digest::of(&bytes);
    let source = open::text(&shown, bytes)?;
    let mut mistakes = Mistakes::default();
    let understood = Document::read(&source, &schema::PLAN, &mut mistakes).and_then(|document| {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folders = open::Folders {
            real: real.parent().unwrap_or(Path::new("/")),
            shown: path.parent().unwrap_or(Path::new("")),
        };
        meaning::understand(&document, &folders, digest, discovered, &mut mistakes)
    });
    let warnings = mistakes.finish(&shown)?;
    Ok(match understood.expect("without a mistake a plan comes out") {
        CheckedPlan::Whole(whole) => {
            let (plan, TargetSet { targets, lanes, excluded }, autostart, discovered_at) = *whole;
            ReadPlan::Whole(Box::new(LoadedPlan {
                plan,
                targets,
                autostart,
                warnings,
                excluded,
                discovered_at,
                lanes: Lanes::new(lanes),
            }))
        }
        CheckedPlan::Open(outline) => ReadPlan::Open(Box::new(Outline { warnings, ..*outline })),
    })
}

#[cfg(test)]
mod tests;
