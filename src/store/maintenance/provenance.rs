//! What a directory is among the copies of its store: a backup, one that was imported, one that was
//! handed over.
//!
//! Invariant: a daemon works neither on a backup nor on what was handed over; a file that only the
//! verbs write and remove records either.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::id::Digest;
use crate::store::error::OpenError;
use crate::store::files::{read_small, sync_dir, write_whole};
use crate::store::record::Mark;

/// Says where a copy came from.
const ORIGIN: &str = "origin";

/// Says that the store goes on elsewhere.
const HANDED_OVER: &str = "handed-over";

/// Where a directory came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// How it came to be.
    pub kind: OriginKind,
    /// The last entry that was copied.
    pub seq: u64,
    pub head: Digest,
    /// When the copy was taken.
    pub at: Timestamp,
    /// The id of the original, where the directory has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
}

/// How a directory came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// A copy to keep.
    Backup,
    /// Imported from a copy whose original may have gone on.
    Copy,
    /// Imported from an original that was handed over, and goes on here.
    HandOver,
}

/// That the store goes on elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// The last entry that was handed over.
    pub seq: u64,
    pub head: Digest,
    pub at: Timestamp,
    pub to: String,
}

/// Where a directory came from; `None` for one that began here.
pub(crate) fn origin(dir: &Path) -> Result<Option<Provenance>, OpenError> {
    read_small(dir, ORIGIN)
}

/// Writes down where a directory came from.
pub(crate) fn write_origin(dir: &Path, origin: &Provenance) -> io::Result<()> {
    write_whole(dir, ORIGIN, &serde_json::to_vec(origin)?)
}

/// Whether, and where to, a directory was handed over.
pub(crate) fn handed_over(dir: &Path) -> Result<Option<HandedOver>, OpenError> {
    read_small(dir, HANDED_OVER)
}

/// Writes down that the store goes on elsewhere.
pub(crate) fn write_handed_over(dir: &Path, handed: &HandedOver) -> io::Result<()> {
    write_whole(dir, HANDED_OVER, &serde_json::to_vec(handed)?)
}

pub(crate) fn remove_handed_over(dir: &Path) -> io::Result<()> {
    std::fs::remove_file(dir.join(HANDED_OVER))?;
    sync_dir(dir)
}

/// What there is to know of a directory that was imported, as long as its journal is where the
/// import left it.
pub(crate) fn fresh_import(dir: &Path, end: Mark) -> Result<Option<String>, OpenError> {
    let imported = origin(dir)?.filter(|origin| (origin.seq, origin.head) == (end.seq, end.head));
    Ok(imported.and_then(|Provenance { kind, seq, at, .. }| match kind {
        OriginKind::Backup => None,
        OriginKind::Copy => Some(format!(
            "this store was imported from a copy up to entry {seq}, made at {at}: what its original did after that is not known here, and no \
             other daemon may work with it; the quotas are taken for spent"
        )),
        OriginKind::HandOver => Some(format!("this store was handed over at {at}, with entry {seq}, and goes on here; the quotas are taken for spent")),
    }))
}

/// Refuses a directory on which no daemon may work.
pub(crate) fn may_serve(dir: &Path) -> Result<(), OpenError> {
    if let Some(HandedOver { seq, at, to, .. }) = handed_over(dir)? {
        return Err(OpenError::HandedOver { path: dir.to_owned(), seq, at, to });
    }
    match origin(dir)? {
        Some(Provenance { kind: OriginKind::Backup, seq, at, .. }) => {
            Err(OpenError::Backup { path: dir.to_owned(), seq, at })
        }
        Some(_) | None => Ok(()),
    }
}
