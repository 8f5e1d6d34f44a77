//! The journal, read once for all receivers as it grows.
//!
//! Invariants: what is handed out survives a power cut; every entry that may tell something comes,
//! in order, however far behind a receiver is. The latest ones are kept in memory, so that many
//! receivers read the disk once.
//!
//! Deliberately not here: what an entry tells.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::journal::Entry;
use crate::store::{Milestones, Store, Unavailable};

/// Entries kept in memory; a receiver that is further behind reads the disk.
const KEPT: usize = 500;

/// Entries handed out at once.
const BATCH: usize = 200;

/// The journal as receivers read it.
pub struct Feed {
    store: Arc<dyn Store>,
    latest: Mutex<LatestEntries>,
    upto: watch::Sender<u64>,
}

/// The latest entries.
struct LatestEntries {
    /// All that may tell something after this one is here.
    from: u64,
    entries: VecDeque<Arc<Entry>>,
}

/// A stretch of the journal.
#[derive(Debug, Default)]
pub struct FeedStretch {
    /// Entries that may tell something.
    pub entries: Vec<Arc<Entry>>,
    /// Everything up to this one was looked at.
    pub upto: u64,
}

impl Feed {
    /// Reads on from here.
    pub fn new(store: Arc<dyn Store>, from: u64) -> Self {
        let latest = Mutex::new(LatestEntries { from, entries: VecDeque::new() });
        Self { store, latest, upto: watch::Sender::new(from) }
    }

    fn latest(&self) -> MutexGuard<'_, LatestEntries> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything up to this entry was read along.
    pub fn upto(&self) -> u64 {
        *self.upto.borrow()
    }

    /// Tells when there is more.
    pub fn grows(&self) -> watch::Receiver<u64> {
        self.upto.subscribe()
    }

    /// Reads what became durable since.
    pub async fn read_along(&self) -> Result<(), Unavailable> {
        loop {
            let before = self.upto();
            let Milestones { entries, upto } = self.store.milestones(before, BATCH).await?;
            if upto <= before {
                return Ok(());
            }
            {
                let mut latest = self.latest();
                latest.entries.extend(entries.into_iter().map(Arc::new));
                while latest.entries.len() > KEPT {
                    latest.from = latest.entries.pop_front().map_or(latest.from, |gone| gone.seq);
                }
            }
            self.upto.send_replace(upto);
        }
    }

    /// What comes after an entry; empty where nothing does yet.
    pub async fn after(&self, seq: u64) -> Result<FeedStretch, Unavailable> {
        let upto = self.upto();
        if seq >= upto {
            return Ok(FeedStretch { entries: Vec::new(), upto: seq });
        }
        {
            let latest = self.latest();
            if seq >= latest.from {
                // What is read along at this moment is the next stretch's.
                let later =
                    latest.entries.iter().filter(|entry| (seq + 1..=upto).contains(&entry.seq));
                let entries: Vec<_> = later.take(BATCH).cloned().collect();
                let upto =
                    entries.last().filter(|_| entries.len() == BATCH).map_or(upto, |last| last.seq);
                return Ok(FeedStretch { entries, upto });
            }
        }
        let Milestones { entries, upto } = self.store.milestones(seq, BATCH).await?;
        Ok(FeedStretch { entries: entries.into_iter().map(Arc::new).collect(), upto })
    }
}
