//! Where the lanes' levels are kept for the next process.
//!
//! Job: the interface through which the runtime keeps levels; a whole level at a peaceful end, a
//! mark before a kill.
//!
//! Invariant: what [`KeepLevels::keep`] was given is durable when its future is done.
//!
//! Deliberately not here: what a level holds (`engine::lane`), when a mark is raised
//! (`engine::core::marks`), and the file (`daemon::levels`).

use std::future::ready;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::lane::Level;
use crate::store::Unavailable;

/// Keeps what a process that is killed leaves to the next one.
pub trait KeepLevels: Send + Sync {
    /// Keeps these in place of what was kept before; durable when the future is done.
    fn keep(&self, levels: Vec<Level>) -> BoxFuture<'_, Result<(), Unavailable>>;
}

/// Keeps nothing: after a kill nothing is known of any lane.
impl KeepLevels for () {
    fn keep(&self, _levels: Vec<Level>) -> BoxFuture<'_, Result<(), Unavailable>> {
        ready(Ok(())).boxed()
    }
}
