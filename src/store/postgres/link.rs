//! Connections to the database that come back by themselves, and whether it is away.
//!
//! Invariants: a connection is used for one thing and has a name; one that does not answer in time
//! is dropped; the store is away from the first failure of any of them until that one has done
//! something again, and a change of that is logged once.
//!
//! Deliberately not here: what is asked over them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::client::DatabaseClient;
use super::options::PostgresOptions;
use super::refusal::OpenRefused;
use super::schema;
use crate::clock::{Clock as _, SystemClock};
use crate::store::Away;

/// Milliseconds between two attempts to connect: the shortest and the longest pause. All daemons lose
/// their connections in the same instant, and shall not come back in one.
const PAUSE: (u64, u64) = (100, 1_000);

/// Before the first attempt, which most often succeeds.
const FIRST_PAUSE: (u64, u64) = (5, 50);

/// Which connections are down, and since when that is so.
#[derive(Debug)]
pub(super) struct AwayBoard {
    down: Mutex<BTreeMap<&'static str, String>>,
    away: watch::Sender<Option<Away>>,
}

impl Default for AwayBoard {
    fn default() -> Self {
        Self { down: Mutex::default(), away: watch::channel(None).0 }
    }
}

impl AwayBoard {
    pub fn watch(&self) -> watch::Receiver<Option<Away>> {
        self.away.subscribe()
    }

    /// This connection does not do what it is for.
    pub fn lost(&self, name: &'static str, why: &str) {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).insert(name, why.to_owned());
        self.away.send_if_modified(|away| {
            let changed = away.is_none();
            if changed {
                let since = SystemClock.times().wall;
                tracing::error!(why, "the database is away: nothing is sent until it is back");
                *away = Some(Away { since, why: why.to_owned() });
            }
            changed
        });
    }

    /// This connection has done something.
    pub fn back(&self, name: &'static str) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if down.remove(name).is_some() && down.is_empty() {
            drop(down);
            tracing::info!("the database is back");
            self.away.send_replace(None);
        }
    }
}

/// What all connections of a store have in common.
#[derive(Debug, Clone)]
pub(super) struct LinkKeeper {
    pub options: Arc<PostgresOptions>,
    /// The store's id.
    pub id: Arc<str>,
    pub board: Arc<AwayBoard>,
    pub end: CancellationToken,
}

/// A connection that is made anew whenever it ends.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub name: &'static str,
    current: watch::Receiver<Option<Arc<DatabaseClient>>>,
    board: Arc<AwayBoard>,
    /// Nobody asks anything over it for long: it works as soon as it is there.
    idle: bool,
}

impl Link {
    /// Keeps a connection from now on, until `end`.
    pub fn keep(name: &'static str, idle: bool, first: DatabaseClient, keeper: LinkKeeper) -> Self {
        let LinkKeeper { options, id, board, end } = keeper;
        let (current, watched) = watch::channel(Some(Arc::new(first)));
        let link = Self { name, current: watched, board, idle };
        let kept = link.clone();
        tokio::spawn(async move {
            let keeping = kept.make_anew(&current, &options, &id);
            tokio::select! {
                () = keeping => {}
                () = end.cancelled() => {}
            }
            current.send_replace(None);
        });
        link
    }

    async fn make_anew(
        &self,
        current: &watch::Sender<Option<Arc<DatabaseClient>>>,
        options: &PostgresOptions,
        id: &str,
    ) {
        loop {
            let connected = current.borrow().clone();
            let mut pause = PAUSE;
            if let Some(connected) = connected {
                connected.ended().await;
                current.send_replace(None);
                self.board.lost(self.name, "the connection has ended");
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(pause.0..pause.1))).await;
            let made = async {
                let made = DatabaseClient::open(options).await?;
                schema::confirm(&made, options, Some(id)).await?;
                Ok::<_, OpenRefused>(made)
            };
            match made.await {
                Ok(made) => {
                    current.send_replace(Some(Arc::new(made)));
                    if self.idle {
                        self.works();
                    }
                }
                Err(error) => self.board.lost(self.name, &error.to_string()),
            }
        }
    }

    /// The connection; waits until there is one. `None`: the store is closed.
    pub async fn connected(&self) -> Option<Arc<DatabaseClient>> {
        let mut current = self.current.clone();
        let found = current.wait_for(Option::is_some).await.ok()?;
        found.clone()
    }

    /// The connection, if there is one now.
    pub fn at_once(&self) -> Option<Arc<DatabaseClient>> {
        self.current.borrow().clone()
    }

    /// Waits until there is another connection than this one, or the store is closed.
    pub async fn another(&self, than: &Arc<DatabaseClient>) {
        let mut current = self.current.clone();
        let other = |found: &Option<Arc<DatabaseClient>>| {
            found.as_ref().is_some_and(|found| !Arc::ptr_eq(found, than))
        };
        // Who asks for the connection next hears that it is closed.
        let _ = current.wait_for(other).await;
    }

    /// It does not do what it is for, although it may be connected.
    pub fn lost(&self, why: &str) {
        self.board.lost(self.name, why);
    }

    /// It has done what it is for.
    pub fn works(&self) {
        self.board.back(self.name);
    }
}
