//! The instants at which a crash makes a difference: where tests stop the store, copy it, or let a
//! write fail.
//!
//! Invariant: in the shipped program, a failpoint costs no more than one comparison.

use std::io;
use std::sync::Arc;

/// A boundary that the writer, or a submission, has just reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// The submission's file is written under its temporary name, not synced.
    SubmissionWritten,
    /// It has its name, and both are synced; no journal entry names it yet.
    SubmissionNamed,
    /// A new segment is about to be begun.
    SegmentBegins,
    /// A batch is written to the journal, not synced.
    JournalWritten,
    /// The batch is synced, nothing is acknowledged yet.
    JournalSynced,
    /// All of it is acknowledged; the queue does not have the batch yet.
    Acknowledged,
    /// The queue has the batch in memory.
    QueueApplied,
    /// The queue has written the batch, not synced.
    QueueFlushed,
    /// The batch is everywhere.
    QueueSynced,
    /// The mark was renewed.
    MarkWritten,
}

impl Point {
    #[cfg(test)]
    pub const ALL: [Self; 10] = [
        Self::SubmissionWritten,
        Self::SubmissionNamed,
        Self::SegmentBegins,
        Self::JournalWritten,
        Self::JournalSynced,
        Self::Acknowledged,
        Self::QueueApplied,
        Self::QueueFlushed,
        Self::QueueSynced,
        Self::MarkWritten,
    ];
}

type Hook = dyn Fn(Point) -> io::Result<()> + Send + Sync;

/// Is called at every boundary; an error stands for a write or sync that failed there.
#[derive(Clone, Default)]
pub(crate) struct Failpoint(Option<Arc<Hook>>);

impl Failpoint {
    /// A failpoint that calls `hook`.
    #[cfg(test)]
    pub fn new(hook: impl Fn(Point) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Says that a boundary is reached.
    pub fn at(&self, point: Point) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |hook| hook(point))
    }
}

impl std::fmt::Debug for Failpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Probe(set)" } else { "Probe" })
    }
}
