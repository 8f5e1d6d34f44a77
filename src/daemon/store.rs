//! The store of the daemon: its start, with word to the supervisor on how far it is.
//!
//! Invariant: a folder that another start would find just the same ends with an exit code of its
//! own, so that a person is asked and not the supervisor.
//!
//! Deliberately not here: what an opened store does, and its end (`store`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::supervisor;
use crate::cli::{Exit, ExitFailure, database};
use crate::config::StoreConfig;
use crate::domain::id::Name;
use crate::domain::keeper::DaemonRun;
use crate::store::error::OpenError;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::options::PostgresOptions;
use crate::store::running::RunningStore;
use crate::store::sled::{SledOptions, SledStore};

/// Which store a daemon works on, and how it is opened.
pub enum StoreSetup {
    /// The one in this folder.
    Sled {
        folder: PathBuf,
        options: SledOptions,
    },
    Postgres(Box<PostgresOptions>),
}

/// A store that has just been opened.
pub struct StartedStore {
    pub store: Arc<dyn RunningStore>,
    /// There was none before, so nobody has made calls for it.
    pub new: bool,
    /// This run of the daemon, where others may share the store.
    pub run: Option<DaemonRun>,
}

/// The name of this machine.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The name of a daemon that has none of its own: its machine's, as far as that is one.
fn named_as(host: &str) -> Result<Name, ExitFailure> {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let name: String = host.to_ascii_lowercase().chars().map(plain).take(Name::LEN_MAX).collect();
    Name::parse(&name, "daemon").map_err(|_| {
        let message = "this machine has no name for the daemon to take; give it one with `daemon: NAME` in the configuration";
        ExitFailure::new(Exit::Error, message)
    })
}

impl StoreSetup {
    /// The store that a configuration names.
    pub fn of(config: &StoreConfig, daemon: Option<&Name>) -> Result<Self, ExitFailure> {
        Ok(match config {
            StoreConfig::Sled(folder) => Self::Sled {
                folder: folder.clone(),
                options: SledOptions { id_beside: true, ..SledOptions::default() },
            },
            StoreConfig::Postgres(config) => {
                let mut options = database::options(config)?;
                let name = match daemon {
                    Some(name) => name.clone(),
                    None => named_as(&host())?,
                };
                options.daemon = Some(DaemonRun { name, run: fastrand::u64(..) });
                Self::Postgres(Box::new(options))
            }
        })
    }

    /// Opens the store, and creates it where there is none.
    pub async fn start(self) -> Result<StartedStore> {
        match self {
            Self::Sled { folder, options } => start_sled(&folder, options).await,
            Self::Postgres(options) => {
                let run = options.daemon.clone();
                let store = PostgresStore::open(*options).await?;
                let new = store.is_new();
                Ok(StartedStore { store: Arc::new(store), new, run })
            }
        }
    }
}

async fn start_sled(folder: &Path, options: SledOptions) -> Result<StartedStore> {
    let new = !SledStore::is_at(folder);
    let (dir, headway) = (folder.to_owned(), options.headway.subscribe());
    let opening = tokio::task::spawn_blocking(move || SledStore::open(&dir, options));
    let opened = tokio::select! {
        // What there is to tell is told before the end of it is seen.
        biased;
        () = supervisor::starting(headway) => unreachable!("it ends with the start"),
        opened = opening => opened.context("opening the store broke")?,
    };
    let place = || format!("cannot open the store in {}", folder.display());
    match opened {
        Ok(store) => Ok(StartedStore { store: Arc::new(store), new, run: None }),
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
