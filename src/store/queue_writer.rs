//! The thread that applies the journal to the queue.
//!
//! Invariants: the queue never has a record that the journal has not synced; a batch is synced in
//! the queue before the next one is applied; after its first error the thread ends, and the whole
//! store fails.
//!
//! Deliberately not here: anybody who waits for durability. The journal alone answers them, see
//! docs/decisions/0002.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::QueueError;
use super::shared::StoreShared;

/// What the thread owns.
pub(crate) struct QueueWriter {
    pub shared: Arc<StoreShared>,
    /// How long lines are gathered, at most.
    pub gather: Duration,
    /// Ends before this thread.
    pub packer: Option<JoinHandle<()>>,
}

impl QueueWriter {
    /// Writes until the journal's thread has ended and nothing is left, or something fails.
    pub fn run(self) {
        self.shared.guarded("write the queue", || self.write_all());
        self.shared.packing.end();
        if let Some(packer) = self.packer {
            // A panic there is caught there and has failed the store.
            let _ = packer.join();
        }
    }

    fn write_all(&self) -> Result<(), QueueError> {
        while let Some((records, reached)) = self.shared.backlog.take(self.gather) {
            self.shared.absorb(&records, reached)?;
            self.shared.queue.sync()?;
            self.shared.count_sync();
            self.shared.backlog.done();
            for closed in self.shared.take_closed() {
                self.shared.packing.push(closed);
            }
        }
        Ok(())
    }
}
