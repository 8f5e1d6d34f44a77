//! Compaction: a queue rebuilt from the journal in place of the old one, because sled's file never
//! shrinks.
//!
//! Invariants: the store is opened first, with all checks of a start; the old queue is removed only
//! when the new one is whole and synced. A crash at any instant leaves the old queue, the new one,
//! or none, which the next start rebuilds from the journal.

use std::fs;
use std::io;
use std::path::Path;

use tokio::sync::watch;

use super::extent::Extent;
use super::offline::{journal, queue};
use super::rebuild;
use super::refusal::CopyError;
use crate::store::failpoint::Failpoint;
use crate::store::files::sync_dir;
use crate::store::home::{Home, QUEUE_NEW, QUEUE_OLD};
use crate::store::open::{OpenSettings, OpenedStore, open};

/// Segment size while nothing is appended: never reached.
const SEGMENT_BYTES: u64 = u64::MAX;

/// What a compaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the queue before.
    pub before: u64,
    /// Bytes of the queue after.
    pub after: u64,
    /// The last entry that it shows.
    pub seq: u64,
    /// What the start repaired or cut off, if anything.
    pub mended: Vec<String>,
}

/// Compacts the queue of a store that nobody works on.
pub fn compact(dir: &Path) -> Result<Compacted, CopyError> {
    // A directory without a store is not made one.
    super::offline::known_identity(dir)?;
    let settings = OpenSettings {
        segment_bytes: SEGMENT_BYTES,
        cache_bytes: super::witness::CACHE,
        id_beside: false,
        headway: watch::Sender::default(),
        failpoint: Failpoint::default(),
    };
    let OpenedStore { home, journal: opened, queue: old, rebuilt, torn, .. } =
        open(dir, &settings)?;
    let seq = opened.mark().seq;
    drop((old, opened));
    let before = size(&queue(dir)).map_err(CopyError::system("measure", queue(dir)))?;
    let new = dir.join(QUEUE_NEW);
    let extent = Extent::of_journal(&journal(dir))?;
    drop(rebuild::build(dir, home.id(), &extent, u64::MAX, &new)?);
    let after = size(&new).map_err(CopyError::system("measure", &new))?;
    swap(&home).map_err(CopyError::system("put the new queue into", dir))?;
    Ok(Compacted { before, after, seq, mended: rebuilt.into_iter().chain(torn).collect() })
}

fn swap(home: &Home) -> io::Result<()> {
    let (new, old) = (home.dir().join(QUEUE_NEW), home.dir().join(QUEUE_OLD));
    sync_dir(&new)?;
    fs::rename(home.queue(), &old)?;
    fs::rename(new, home.queue())?;
    sync_dir(home.dir())?;
    fs::remove_dir_all(old)
}

/// Bytes of the files in a directory.
fn size(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for file in fs::read_dir(dir)? {
        let file = file?;
        match file.metadata() {
            Ok(meta) if meta.is_file() => bytes += meta.len(),
            Ok(meta) if meta.is_dir() => bytes += size(&file.path())?,
            // sled removes its snapshots at any time.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(bytes)
}
