//! The thread that writes the journal: group commit.
//!
//! Order of a batch: all its lines to the journal in one write, one sync, acknowledge every commit
//! in it (the journal is the truth, see docs/decisions/0002), then pass it to the queue's thread.
//! The next batch gathers while a sync runs; there is no timer.
//!
//! Invariants: no commit is acknowledged before the journal is synced and confirmed to be where the
//! next start looks for it; after the first error of a write or a sync the thread ends; it ends
//! after the queue's thread, so that a store whose threads are gone is written out or failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::clock::{Clock as _, SystemClock};

use super::Unavailable;
use super::error::WriterFailure;
use super::error::panic_message;
use super::failpoint::{Failpoint, Point};
use super::journal::Journal;
use super::pending::PendingRecord;
use super::record::Mark;
use super::shared::{Item, StoreShared, SyncedUpTo};

/// What the writer owns.
pub(crate) struct JournalWriter {
    pub shared: Arc<StoreShared>,
    pub journal: Journal,
    pub failpoint: Failpoint,
    /// Lines between two marks.
    pub mark_every: u64,
    /// Sequence of the mark.
    pub marked: u64,
    /// Whether each batch waits until the queue has it, too.
    pub in_step: bool,
    pub queue_writer: Option<JoinHandle<()>>,
}

impl JournalWriter {
    /// Writes until the store closes or something fails.
    pub fn run(mut self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.write_all()));
        let reason = match ended {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => Some(fault.to_string()),
            Err(panic) => Some(format!("the journal's thread {}", panic_message(panic.as_ref()))),
        };
        match reason {
            Some(reason) => drop(self.shared.fail(&reason)),
            None => self.shared.backlog.end(),
        }
        if let Some(queue_writer) = self.queue_writer.take() {
            // A panic there is caught there and has failed the store.
            let _ = queue_writer.join();
        }
        self.shared.closed();
    }

    fn write_all(&mut self) -> Result<(), WriterFailure> {
        while let Some(batch) = self.shared.next_batch() {
            let records = self.journal_batch(batch)?;
            self.failpoint.at(Point::Acknowledged).map_err(WriterFailure::Journal)?;
            self.shared.backlog.push(records, self.journal.mark());
            if self.in_step {
                self.shared.backlog.wait_done();
            }
        }
        self.mark()
    }

    fn journal_batch(&mut self, mut batch: Vec<Item>) -> Result<Vec<PendingRecord>, WriterFailure> {
        let begins = self.journal.is_full();
        let lines = batch.iter().flat_map(|item| &item.records).map(|pending| &pending.record);
        let began = SystemClock.times().boot;
        let written = self.journal.append(lines).and_then(|()| self.journal.sync());
        let took = SystemClock.times().boot.saturating_sub(began);
        let sure = match (self.shared.home.confirm(), written) {
            (Ok(()), written) => written.map_err(WriterFailure::Journal),
            // Why the write failed, if it did.
            (Err(error), _) => Err(WriterFailure::Gone(error)),
        };
        if let Err(fault) = sure {
            let unavailable = Unavailable(fault.to_string());
            for waits in batch.into_iter().filter_map(|item| item.waits) {
                // Who committed may have gone away.
                let _ = waits.send(Err(unavailable.clone()));
            }
            return Err(fault);
        }
        self.shared.count_sync();
        self.shared.time_sync(took);
        self.shared.set_synced(synced(&self.journal));
        for item in &mut batch {
            if let Some(waits) = item.waits.take() {
                // As above: what is durable stays so, even if nobody hears of it.
                let _ = waits.send(Ok(()));
            }
        }
        if begins || self.journal.mark().seq - self.marked >= self.mark_every {
            self.mark()?;
        }
        Ok(batch.into_iter().flat_map(|item| item.records).collect())
    }

    fn mark(&mut self) -> Result<(), WriterFailure> {
        let mark: Mark = self.journal.mark();
        if mark.seq == self.marked {
            return Ok(());
        }
        self.shared.home.write_mark(mark).map_err(WriterFailure::Mark)?;
        self.marked = mark.seq;
        self.failpoint.at(Point::MarkWritten).map_err(WriterFailure::Mark)
    }
}

/// What readers may see of a journal that was just synced.
pub(crate) fn synced(journal: &Journal) -> SyncedUpTo {
    SyncedUpTo {
        mark: journal.mark(),
        reader: journal.reader(),
        journal_bytes: journal.total_bytes(),
    }
}
