//! Makes a directory of an export or a backup: one to keep, or one that a daemon works on.
//!
//! Invariants: a directory that has anything in it is refused; the new one appears whole, verified
//! and synced, or not at all; one that a daemon works on has its queue, built from the very journal
//! that was verified. What was handed over keeps its id; any other import gets an id of its own,
//! since its original may continue too, and records the original's, so that copies of that one
//! still repair what both have.
//!
//! What a copy cannot contain: what its original did after it was made. An import of a backup takes
//! its changes as they were then. The engine looks at a proxy before its PUT and asks for a call in
//! doubt, so nothing is switched a second time without need; but nothing keeps apart two daemons
//! that work at once, on original and copy.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;

use jiff::Timestamp;

use super::export::Export;
use super::manifest::Manifest;
use super::provenance::{OriginKind, Provenance};
use super::rebuild;
use super::refusal::CopyError;
use super::unpack::{Unpacked, free, unpack};
use crate::store::beside;
use crate::store::home::{StoreIdentity, write_identity};

/// Where a copy is read from.
pub enum CopySource<'s> {
    /// A stream: a file, standard input, a daemon's answer.
    Stream(Box<dyn Read + 's>),
    /// The directory of a backup, or of a store that nobody works on.
    Directory(&'s Path),
    /// The same, looked at already.
    Export(Box<Export>),
}

impl<'s> CopySource<'s> {
    /// What lies at this path.
    pub fn at(path: &'s Path) -> Result<Self, CopyError> {
        if path.is_dir() {
            return Ok(Self::Directory(path));
        }
        let file = File::open(path).map_err(CopyError::system("open", path))?;
        Ok(Self::Stream(Box::new(file)))
    }
}

/// Keeps a copy: a directory that can be checked, imported and repaired from, and that no daemon
/// works on.
pub fn keep(
    source: CopySource<'_>,
    name: &str,
    dir: &Path,
    now: Timestamp,
) -> Result<Manifest, CopyError> {
    let unpacked = take(source, name, dir, now)?;
    let Manifest { seq, head, at, .. } = unpacked.manifest;
    unpacked.appear(dir, &Provenance { kind: OriginKind::Backup, seq, head, at, original: None })
}

/// A directory that a daemon goes on with.
#[derive(Debug)]
pub struct Imported {
    /// What the copy held.
    pub manifest: Manifest,
    /// The id of the store that goes on here.
    pub store: String,
}

/// Makes a directory that a daemon goes on with.
pub fn import(
    source: CopySource<'_>,
    name: &str,
    dir: &Path,
    now: Timestamp,
) -> Result<Imported, CopyError> {
    let unpacked = take(source, name, dir, now)?;
    let Manifest { seq, head, at, hand_over, .. } = unpacked.manifest;
    let (path, original) = (unpacked.path().to_owned(), unpacked.manifest.store.clone());
    let (kind, store) = if hand_over {
        (OriginKind::HandOver, original.clone())
    } else {
        (OriginKind::Copy, StoreIdentity::drawn().id)
    };
    write_identity(&path, &StoreIdentity::of(store.clone()))?;
    drop(rebuild::build(&path, &store, &unpacked.extent, u64::MAX, &super::offline::queue(&path))?);
    // First what belongs there: in between a start says that it is missing, and this can be said
    // again.
    beside::write(dir, &store)
        .map_err(CopyError::system("write", beside::path(dir).unwrap_or_default()))?;
    let original = (original != store).then_some(original);
    let manifest = unpacked.appear(dir, &Provenance { kind, seq, head, at, original })?;
    Ok(Imported { manifest, store })
}

/// Reads a copy into a directory beside `dir`.
pub(super) fn take(
    source: CopySource<'_>,
    name: &str,
    dir: &Path,
    now: Timestamp,
) -> Result<Unpacked, CopyError> {
    free(dir)?;
    match source {
        CopySource::Stream(stream) => unpack(stream, name, dir),
        CopySource::Directory(from) => copy(&Export::of_directory(from)?, name, dir, now),
        CopySource::Export(export) => copy(&export, name, dir, now),
    }
}

fn copy(export: &Export, name: &str, dir: &Path, now: Timestamp) -> Result<Unpacked, CopyError> {
    // A backup is as old as what it holds.
    let at = export.origin_at().unwrap_or(now);
    through(export, at, |stream| unpack(stream, name, dir))
}

/// Copies a directory that nobody works on, as a stream.
pub fn through<T>(
    export: &Export,
    at: Timestamp,
    read: impl FnOnce(io::PipeReader) -> Result<T, CopyError>,
) -> Result<T, CopyError> {
    let (reader, mut writer) = io::pipe().map_err(CopyError::system("make", "a pipe"))?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let written = export.write(at, false, &mut writer);
            // The reader sees the end only when this is gone.
            let _ = writer.flush();
            drop(writer);
            written
        });
        let taken = read(reader);
        match writing.join() {
            Ok(Ok(_)) => taken,
            // The reader went away first, and knows why.
            Ok(Err(error @ CopyError::Unwritten { .. })) => Err(taken.err().unwrap_or(error)),
            Ok(Err(error)) => Err(error),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
