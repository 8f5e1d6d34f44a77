//! A store's directory, locked against a daemon's start and otherwise left as it is.
//!
//! Invariant: nothing is created or written, so it works on a read-only file system too. The lock's
//! file and the journal's folder are locked, as a daemon locks them, if they are there; without
//! either no daemon has ever worked there.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::store::error::OpenError;
use crate::store::files::read_small;
use crate::store::home::{IDENTITY, JOURNAL, LOCK, MARK, StoreIdentity, UNKNOWN, read_identity};
use crate::store::record::Mark;

/// Who works on a directory.
#[derive(Debug)]
pub(crate) enum Holder {
    /// Nobody, and nobody can begin to while this is kept.
    Nobody(Vec<File>),
    /// A daemon with this pid, as far as it said.
    Daemon(String),
}

/// A directory that nobody works on.
#[derive(Debug)]
pub(crate) struct OfflineDirectory {
    identity: StoreIdentity,
    /// Held, never read: the locks go with the files.
    _lock: Vec<File>,
}

impl OfflineDirectory {
    /// Holds the directory of a store.
    pub fn hold(dir: &Path) -> Result<Self, OpenError> {
        let lock = match holder(dir)? {
            Holder::Nobody(lock) => lock,
            Holder::Daemon(pid) => return Err(OpenError::Taken { path: dir.join(LOCK), pid }),
        };
        let identity = known_identity(dir)?;
        Ok(Self { identity, _lock: lock })
    }

    /// What it says of itself.
    pub fn identity(&self) -> &StoreIdentity {
        &self.identity
    }
}

/// Who works on a directory; holds it if nobody does.
pub(crate) fn holder(dir: &Path) -> Result<Holder, OpenError> {
    let mut locks = Vec::new();
    for name in [LOCK, JOURNAL] {
        let path = dir.join(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => {
                return Err(OpenError::Directory { what: "open the lock", path, source });
            }
        };
        match file.try_lock() {
            Ok(()) => locks.push(file),
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The pid is for people; without it the answer stands just the same.
                let _ = file.read_to_string(&mut pid);
                return Ok(Holder::Daemon(if pid.trim().is_empty() {
                    UNKNOWN.into()
                } else {
                    pid.trim().into()
                }));
            }
            Err(TryLockError::Error(source)) => {
                return Err(OpenError::Directory { what: "lock", path, source });
            }
        }
    }
    Ok(Holder::Nobody(locks))
}

/// What a directory says of itself; one that this program may not read is refused.
pub(crate) fn known_identity(dir: &Path) -> Result<StoreIdentity, OpenError> {
    let identity =
        read_identity(dir)?.ok_or_else(|| OpenError::NoStore { path: dir.to_owned() })?;
    identity.known(dir.join(IDENTITY))
}

/// The mark, if one was ever written.
pub(crate) fn mark(dir: &Path) -> Result<Option<Mark>, OpenError> {
    read_small(dir, MARK)
}

/// Where the journal's segments lie.
pub(crate) fn journal(dir: &Path) -> PathBuf {
    dir.join(JOURNAL)
}

pub(crate) fn submissions(dir: &Path) -> PathBuf {
    dir.join("submissions")
}

pub(crate) fn queue(dir: &Path) -> PathBuf {
    dir.join("queue")
}
