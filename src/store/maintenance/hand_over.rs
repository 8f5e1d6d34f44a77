//! Hands a store over: an export after which the directory refuses to be worked on; and takes that
//! back.
//!
//! Invariant: the directory is marked as handed over before the first byte of the export is
//! written, so at no instant is there a whole export beside a directory that a daemon would start
//! on. An export that fails removes the mark.

use std::path::Path;

use jiff::Timestamp;

use super::export::Export;
use super::manifest::Manifest;
use super::offline::{Holder, holder};
use super::provenance::{HandedOver, handed_over, remove_handed_over, write_handed_over};
use super::refusal::CopyError;
use crate::store::error::OpenError;
use crate::store::home::LOCK;

/// Marks the directory and makes the export with `write`; `to` is what the export is called.
pub fn hand_over(
    dir: &Path,
    at: Timestamp,
    to: &str,
    export: &Export,
    write: impl FnOnce(&Export) -> Result<Manifest, CopyError>,
) -> Result<Manifest, CopyError> {
    let handed = HandedOver { seq: export.seq(), head: export.head(), at, to: to.to_owned() };
    write_handed_over(dir, &handed).map_err(CopyError::system("write", dir))?;
    let written = write(export);
    if written.is_err() {
        // Nothing whole was written, so the store goes on here. What cannot be removed is told by
        // the refused start.
        let _ = remove_handed_over(dir);
    }
    written
}

/// Lets a daemon work on a directory again that was handed over; says what was.
pub fn take_back(dir: &Path) -> Result<HandedOver, CopyError> {
    let _lock = match holder(dir)? {
        Holder::Nobody(lock) => lock,
        Holder::Daemon(pid) => return Err(OpenError::Taken { path: dir.join(LOCK), pid }.into()),
    };
    let Some(handed) = handed_over(dir)? else {
        return Err(CopyError::BeyondRepair(format!(
            "{} was not handed over: there is nothing to take back",
            dir.display()
        )));
    };
    remove_handed_over(dir).map_err(CopyError::system("take back", dir))?;
    Ok(handed)
}

/// What the directory says of having been handed over.
pub fn read(dir: &Path) -> Result<Option<HandedOver>, CopyError> {
    Ok(handed_over(dir)?)
}
