//! The store of the daemon: its start, with word to the supervisor on how far it is.
//!
//! Invariant: what another start would find just the same ends with an exit code of its own, so
//! that a person is asked and not the supervisor.
//!
//! Deliberately not here: what an opened store does, and its end (`store`).

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::supervisor;
use crate::cli::{Exit, ExitFailure};
use crate::store::error::OpenError;
use crate::store::running::RunningStore;
use crate::store::sled::{SledOptions, SledStore};

/// Which store a daemon works on, and how it is opened.
pub struct StoreSetup {
    /// Its folder.
    pub folder: PathBuf,
    pub options: SledOptions,
}

/// A store that has just been opened.
pub struct StartedStore {
    pub store: Arc<dyn RunningStore>,
    /// There was none before, so nobody has made calls for it.
    pub new: bool,
}

impl StoreSetup {
    /// Opens the store, and creates it where there is none.
    pub async fn start(self) -> Result<StartedStore> {
        let Self { folder, options } = self;
        let new = !SledStore::is_at(&folder);
        let (dir, headway) = (folder.clone(), options.headway.subscribe());
        let opening = tokio::task::spawn_blocking(move || SledStore::open(&dir, options));
        let opened = tokio::select! {
            // What there is to tell is told before the end of it is seen.
            biased;
            () = supervisor::starting(headway) => unreachable!("it ends with the start"),
            opened = opening => opened.context("opening the store broke")?,
        };
        let place = || format!("cannot open the store in {}", folder.display());
        match opened {
            Ok(store) => Ok(StartedStore { store: Arc::new(store), new }),
            // Another start finds the same: it is for a person.
            Err(
                error @ (OpenError::Lost { .. }
                | OpenError::Nameless { .. }
                | OpenError::Other { .. }
                | OpenError::Schema { .. }),
            ) => {
                let message = format!("{}: {error}", place());
                Err(ExitFailure::new(Exit::StoreRefused, message).into())
            }
            Err(error) => Err(error).with_context(place),
        }
    }
}
