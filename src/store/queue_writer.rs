//! The thread that brings the queue after the journal.
//!
//! Invariants: the queue never has a line that the journal has not synced; a batch is synced in the queue before the
//! next one is applied; the first error is the last thing that the thread does, and it fails the whole store.
//!
//! Deliberately not here: anybody who waits for durability. The journal alone answers them, see docs/decisions/0002.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use super::applied::Closed;
use super::error::QueueError;
use super::shared::StoreShared;

/// What the thread owns.
pub(crate) struct QueueWriter {
    pub shared: Arc<StoreShared>,
    /// How long lines are gathered, at most.
    pub gather: Duration,
    /// Is told what is over; and its thread, which ends before this one.
    pub over: Sender<Closed>,
    pub packer: Option<JoinHandle<()>>,
}

impl QueueWriter {
    /// Writes until the journal's thread has ended and nothing is left, or something fails.
    pub fn run(self) {
        self.shared.guarded("write the queue", || self.write_all());
        self.shared.end_packing();
        let Self { over, packer, .. } = self;
        drop(over);
        if let Some(packer) = packer {
            // A panic there is caught there and has failed the store.
            let _ = packer.join();
        }
    }

    fn write_all(&self) -> Result<(), QueueError> {
        while let Some((steps, reached)) = self.shared.behind.take(self.gather) {
            self.shared.absorb(&steps, reached)?;
            self.shared.queue.sync()?;
            self.shared.count_sync();
            self.shared.behind.done();
            for closed in self.shared.take_closed() {
                // It is gone only after a failure, which ends this thread too.
                let _ = self.over.send(closed);
            }
        }
        Ok(())
    }
}
