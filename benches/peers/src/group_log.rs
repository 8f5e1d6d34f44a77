//! A log that is appended to and synced by one thread: whatever came while it synced shares the
//! next sync.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::Failure;

/// Lines of one write at most.
const BATCH_MAX: usize = 1024;

type Line = (String, Option<oneshot::Sender<()>>);

#[derive(Debug)]
pub struct Log {
    lines: Sender<Line>,
    syncs: Arc<AtomicU64>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Log {
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create_new(path)?;
        let (lines, received) = channel();
        let syncs = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&syncs);
        let thread = std::thread::spawn(move || write(file, &received, &counter));
        Ok(Self { lines, syncs, thread })
    }

    /// Appends a line, and waits until it is on disk.
    pub async fn synced(&self, line: String) -> Result<(), Failure> {
        let (told, synced) = oneshot::channel();
        self.lines.send((line, Some(told)))?;
        Ok(synced.await?)
    }

    /// Appends a line, which is synced with the next that is waited for.
    pub fn ordered(&self, line: String) -> Result<(), Failure> {
        Ok(self.lines.send((line, None))?)
    }

    /// Writes what is left; tells how often it was synced.
    pub fn close(self) -> Result<u64, Failure> {
        drop(self.lines);
        self.thread.join().map_err(|_| "the log's thread panicked")??;
        Ok(self.syncs.load(Ordering::Relaxed))
    }
}

fn write(mut file: File, lines: &Receiver<Line>, syncs: &AtomicU64) -> std::io::Result<()> {
    let (mut text, mut waiting) = (String::new(), Vec::new());
    while let Ok(first) = lines.recv() {
        for (line, told) in std::iter::once(first).chain(lines.try_iter().take(BATCH_MAX - 1)) {
            text.push_str(&line);
            text.push('\n');
            waiting.extend(told);
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        syncs.fetch_add(1, Ordering::Relaxed);
        text.clear();
        for told in waiting.drain(..) {
            // Whoever waited may be gone, because the time was over.
            let _ = told.send(());
        }
    }
    Ok(())
}
