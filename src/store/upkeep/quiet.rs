//! A store's directory, held against a daemon's start and otherwise left as it is.
//!
//! Invariant: nothing is created or written, so it works on a read-only file system too. A directory without a lock file
//! cannot be held; no daemon has ever worked there.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::store::home::{IDENTITY, Identity, LOCK, MARK, Mark, SCHEMA, read_small};
use crate::store::open::OpenError;

/// Who works on a directory.
#[derive(Debug)]
pub(crate) enum Holder {
    /// Nobody, and nobody can begin to while this is kept.
    Nobody(Option<File>),
    /// A daemon with this pid, as far as it said.
    Daemon(String),
}

/// A directory that nobody works on.
#[derive(Debug)]
pub(crate) struct Quiet {
    identity: Identity,
    /// Held, never read: the lock goes with the file.
    _lock: Option<File>,
}

impl Quiet {
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
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Who works on a directory; holds it if nobody does.
pub(crate) fn holder(dir: &Path) -> Result<Holder, OpenError> {
    let path = dir.join(LOCK);
    let fail = |what: &'static str| {
        let path = path.clone();
        move |source| OpenError::Directory { what, path, source }
    };
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody(None)),
        Err(source) => return Err(fail("open the lock")(source)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Holder::Nobody(Some(file))),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The pid is for people; without it the answer stands just the same.
            let _ = file.read_to_string(&mut pid);
            Ok(Holder::Daemon(if pid.trim().is_empty() { "unknown".into() } else { pid.trim().into() }))
        }
        Err(TryLockError::Error(source)) => Err(fail("lock")(source)),
    }
}

/// What a directory says of itself; one that this program may not read is refused.
pub(crate) fn known_identity(dir: &Path) -> Result<Identity, OpenError> {
    let identity: Identity = read_small(dir, IDENTITY)?.ok_or_else(|| OpenError::NoStore { path: dir.to_owned() })?;
    if identity.schema > SCHEMA {
        return Err(OpenError::Schema { path: dir.join(IDENTITY), found: identity.schema, known: SCHEMA });
    }
    Ok(identity)
}

/// The mark, if one was ever written.
pub(crate) fn mark(dir: &Path) -> Result<Option<Mark>, OpenError> {
    read_small(dir, MARK)
}

/// Where the journal's segments lie.
pub(crate) fn journal(dir: &Path) -> PathBuf {
    dir.join("journal")
}

/// Where submissions lie.
pub(crate) fn submissions(dir: &Path) -> PathBuf {
    dir.join("submissions")
}

/// Where sled works.
pub(crate) fn queue(dir: &Path) -> PathBuf {
    dir.join("queue")
}
