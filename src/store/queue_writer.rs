//! The thread that brings the queue after the journal.
//!
//! Invariants: the queue never has a line that the journal has not synced; a batch is synced in the queue before the
//! next one is applied; the first error is the last thing that the thread does, and it fails the whole store.
//!
//! Deliberately not here: anybody who waits for durability. The journal alone answers them, see docs/decisions/0002.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::open::told;
use super::queue::QueueError;
use super::shared::Shared;

/// What the thread owns.
pub(crate) struct QueueWriter {
    pub shared: Arc<Shared>,
    /// How long lines are gathered, at most.
    pub gather: Duration,
}

impl QueueWriter {
    /// Writes until the journal's thread has ended and nothing is left, or something fails.
    pub fn run(self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.write_all()));
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(QueueError::Damaged(reason))) => drop(self.shared.distrust(&reason)),
            Ok(Err(error)) => drop(self.shared.fail(&format!("cannot write the queue: {error}"))),
            // sled panics on much that it cannot read.
            Err(panic) => drop(self.shared.distrust(&told(panic.as_ref()))),
        }
    }

    fn write_all(&self) -> Result<(), QueueError> {
        while let Some((steps, reached)) = self.shared.behind.take(self.gather) {
            self.shared.absorb(&steps, reached)?;
            self.shared.queue.sync()?;
            self.shared.count_sync();
            self.shared.behind.done();
        }
        Ok(())
    }
}
