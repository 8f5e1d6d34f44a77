//! A store that runs, of whichever kind it is.
//!
//! Job: name what the process that runs a store needs of it beside [`Store`]: its failure, what a
//! start must know of its past, its copies and its end.
//!
//! Deliberately not here: opening one. Each kind has a start of its own, with its own options.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use super::maintenance::export::Export;
use super::{Pending, Store, Unavailable};
use crate::domain::id::Name;
use crate::domain::keeper::{DaemonNote, Heartbeat, KeeperTables};

/// A store that can be copied while it works.
pub trait Exporter: Send + Sync {
    /// A copy of what survives a power cut now.
    fn export(&self) -> Result<Export, Unavailable>;
}

/// A store that runs; it is closed once, by whoever opened it.
pub trait RunningStore: Store + Exporter {
    /// What the store is called, drawn when it was made.
    fn id(&self) -> &str;

    /// Becomes `Some` with the reason when the store has failed for good: the process must end with
    /// an error, so that it is started again.
    fn failed(&self) -> watch::Receiver<Option<String>>;

    /// Where daemons that share the store write for each other; `None`: this one is alone.
    fn daemon_rows(&self) -> Option<&dyn DaemonRows>;

    /// What there is to know of a store that was imported and has not moved since: calls that its
    /// original made are in no journal of ours.
    fn fresh_import(&self) -> Option<&str>;

    /// Writes all that waits and ends. Blocks. Later calls are refused.
    fn close(&self) -> Result<(), Unavailable>;
}

/// The rows in which daemons over one store tell each other that they live.
pub trait DaemonRows: Send + Sync {
    /// Carries out a heartbeat and reads all rows, in one transaction. Fails at once where the store
    /// cannot be reached: what the answer shows is trusted from when the heartbeat was sent.
    fn beat(
        &self,
        beat: Heartbeat,
        note: DaemonNote,
    ) -> Pending<'_, Result<KeeperAnswer, Unavailable>>;
}

/// What a heartbeat's answer shows.
#[derive(Debug, Clone)]
pub struct KeeperAnswer {
    pub tables: KeeperTables,
    /// What each daemon says of itself to people, and how long ago it did, by the store's clock.
    pub notes: BTreeMap<Name, (DaemonNote, Duration)>,
}
