//! Begins a new, empty store on purpose, where a start would not: in the place of one that is gone.
//!
//! Invariant: a directory that has anything in it is refused; a crash at any instant leaves a
//! store, or a place where the same can be said again.

use std::path::Path;

use super::refusal::CopyError;
use super::unpack::free;
use crate::store::beside;
use crate::store::files::create_dir;
use crate::store::home::{Home, StoreIdentity, write_identity};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The new store's id.
    pub store: String,
    /// The store that belonged there before, if one is known to.
    pub before: Option<String>,
}

/// Begins a store in a directory that is empty or not there yet.
pub fn begin(dir: &Path) -> Result<Begun, CopyError> {
    free(dir)?;
    let before = beside::read(dir)?;
    let identity = StoreIdentity::drawn();
    create_dir(dir).map_err(CopyError::system("create", dir))?;
    // First what belongs there, then the store: in between a start says that it is missing, and
    // this can be said again.
    beside::write(dir, &identity.id)
        .map_err(CopyError::system("write", beside::path(dir).unwrap_or_default()))?;
    write_identity(dir, &identity)?;
    let home = Home::take(dir)?;
    Ok(Begun { store: home.id().to_owned(), before })
}
