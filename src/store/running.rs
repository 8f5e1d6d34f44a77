//! A store that runs, of whichever kind it is.
//!
//! Job: name what the process that runs a store needs of it beside [`Store`]: its failure, what a
//! start must know of its past, its copies and its end.
//!
//! Deliberately not here: opening one. Each kind has a start of its own, with its own options.

use tokio::sync::watch;

use super::maintenance::export::Exporter;
use super::{Store, Unavailable};

/// A store that runs; it is closed once, by whoever opened it.
pub trait RunningStore: Store + Exporter {
    /// What the store is called, drawn when it was made.
    fn id(&self) -> &str;

    /// Becomes `Some` with the reason when the store has failed for good: the process must end with
    /// an error, so that it is started again.
    fn failed(&self) -> watch::Receiver<Option<String>>;

    /// What there is to know of a store that was imported and has not moved since: calls that its
    /// original made are in no journal of ours.
    fn fresh_import(&self) -> Option<&str>;

    /// Writes all that waits and ends. Blocks. Later calls are refused.
    fn close(&self) -> Result<(), Unavailable>;
}
