//! The store's id beside its directory: what a start expects to find there.
//!
//! A directory that was removed, moved, or is on a disk that is not mounted looks like one that was
//! never begun. A new store in its place would lack every job id, and repeat what was done; so a
//! file in the state directory, which is another one, names the store that belongs there, and a
//! start that finds the file without that store is refused.
//!
//! Invariants: a store is begun before the file names it; only a start that finds no file, and the
//! verbs that put a store there on purpose (`store new`, `store import`), write it.

use std::io;
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::files::write_whole;
use super::home::{StoreIdentity, read_identity};
use super::segment;

/// The file that names the store in `dir`; `None`: a directory without a name has nothing beside
/// it.
pub(crate) fn path(dir: &Path) -> Option<PathBuf> {
    let mut name = dir.file_name()?.to_owned();
    name.push(".id");
    Some(dir.with_file_name(name))
}

/// The store that belongs in `dir`, if any is known to.
pub(crate) fn read(dir: &Path) -> Result<Option<String>, OpenError> {
    let Some(path) = path(dir) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Directory { what: "read", path, source }),
    }
}

/// Writes down that this store belongs in `dir`.
pub(crate) fn write(dir: &Path, id: &str) -> io::Result<()> {
    let (Some(path), Some(name)) = (path(dir), dir.file_name().and_then(|name| name.to_str()))
    else {
        return Ok(());
    };
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write_whole(folder, &format!("{name}.id"), id.as_bytes())
}

/// Refuses a directory that does not hold the store that belongs there. Nothing is created.
pub(crate) fn expect(dir: &Path) -> Result<(), OpenError> {
    let Some(id) = read(dir)? else { return Ok(()) };
    let beside = path(dir).unwrap_or_default();
    match read_identity(dir)? {
        Some(identity) if identity.id == id => Ok(()),
        Some(StoreIdentity { id: found, .. }) => {
            Err(OpenError::Other { path: dir.to_owned(), found, beside, id })
        }
        None => {
            let journal =
                segment::list(&dir.join("journal")).is_ok_and(|firsts| !firsts.is_empty());
            Err(if journal {
                OpenError::Nameless { path: dir.to_owned() }
            } else {
                OpenError::Lost { path: dir.to_owned(), beside, id }
            })
        }
    }
}
