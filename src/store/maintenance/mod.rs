//! What is done to a store's directory beside the daemon's work: check, copies, hand-over,
//! compaction and repair.
//!
//! Invariants: a check changes nothing; a copy is whole, verified and in its place, or not there;
//! nothing that was acknowledged is thrown away, what is replaced is kept beside; no two daemons
//! are led to work on one store.
//!
//! Deliberately not here: when any of it is done, and how it is reported (`cli`, `api`).

mod archive;
pub mod begin;
pub mod check;
mod check_journal;
mod check_queue;
mod check_submissions;
pub mod compact;
pub mod export;
mod extent;
pub mod finding;
pub mod hand_over;
pub mod import;
pub mod manifest;
mod offline;
mod one_byte;
pub mod provenance;
mod rebuild;
pub mod refusal;
pub mod repair;
pub mod stream;
#[cfg(test)]
mod tests;
mod unpack;
mod witness;

use std::path::Path;

use super::error::OpenError;

/// Refuses where the store in a directory was written by a newer program. No store, or one that may
/// not be read by whoever asks, is no reason.
///
/// # Errors
/// [`OpenError::Schema`].
pub fn known(dir: &Path) -> Result<(), OpenError> {
    match offline::known_identity(dir) {
        Err(newer @ OpenError::Schema { .. }) => Err(newer),
        Ok(_) | Err(_) => Ok(()),
    }
}
