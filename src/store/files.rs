//! Files and directories of the store, created and replaced durably.
//!
//! Invariants: others can read nothing of it (0700, files 0600); a small file is there whole or not
//! at all; a name that was synced survives a power cut.
//!
//! Deliberately not here: what the files mean.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::OpenError;

/// Reads a small file of one JSON document; `None` when it is not there.
pub(crate) fn read_small<T: DeserializeOwned>(
    dir: &Path,
    name: &str,
) -> Result<Option<T>, OpenError> {
    let path = dir.join(name);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenError::Directory { what: "read", path, source }),
    };
    let document = serde_json::from_slice(&bytes);
    document.map(Some).map_err(|source| OpenError::Unreadable {
        path,
        line: 1,
        what: source.to_string(),
    })
}

/// Makes a directory that nobody else may look into, and its name durable.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    path.parent().map_or(Ok(()), |parent| {
        if parent.as_os_str().is_empty() { Ok(()) } else { sync_dir(parent) }
    })
}

/// Opens a file of ours for writing; it must not be there yet.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces a small file whole: written aside, synced, renamed, the directory synced.
pub(crate) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = dir.join(format!("{name}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&aside, dir.join(name))?;
    sync_dir(dir)
}
