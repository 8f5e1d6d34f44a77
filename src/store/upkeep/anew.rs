//! Builds a queue anew from a journal, in a directory of its own.
//!
//! Invariant: the same code that folds and writes while a daemon runs folds and writes here, so the outcome is what the
//! queue must hold.

use std::path::Path;

use super::extent::Extent;
use super::quiet::{journal, submissions};
use super::witness::CACHE;
use crate::store::book::Book;
use crate::store::home::Mark;
use crate::store::landed::Landed;
use crate::store::open::{CHUNK, OpenError, Refused, fold, guarded};
use crate::store::packer::pack_alone;
use crate::store::probe::Probe;
use crate::store::queue::Queue;
use crate::store::step::Step;

/// Builds the queue of the store in `dir` as it is after the entry `until`, in the directory `queue`.
pub(super) fn build(dir: &Path, store: &str, extent: &Extent, until: u64, queue: &Path) -> Result<Queue, OpenError> {
    let built = guarded(|| fill(dir, store, extent, until, queue));
    built.map_err(|refused| match refused {
        Refused::Open(error) => error,
        Refused::Damaged(what) => {
            let what = format!("no queue can be built of it: {what}");
            OpenError::Damaged { path: journal(dir), line: 0, what }
        }
    })
}

fn fill(dir: &Path, store: &str, extent: &Extent, until: u64, queue: &Path) -> Result<Queue, Refused> {
    let folder = submissions(dir);
    let queue = Queue::open(queue, CACHE, store, true, Probe::default())?;
    let (mut book, mut landed) = (Book::default(), Landed::default());
    let mut steps: Vec<Step> = Vec::new();
    let mut absorb = |steps: &mut Vec<Step>, reached: Mark, book: &mut Book| {
        landed.absorb(steps, &queue, reached)?;
        let closed = landed.take_closed();
        if !closed.is_empty() {
            queue.sync()?;
            pack_alone(&queue, closed)?;
        }
        book.landed(reached.seq);
        steps.clear();
        Ok::<(), Refused>(())
    };
    let reached = extent.walk::<Refused>(until, &mut |walked| {
        let (whole, reached) = (walked.line.more == 0, Mark { seq: walked.line.entry.seq, head: walked.digest });
        steps.push(fold(&folder, &mut book, walked.line)?);
        if whole && steps.len() >= CHUNK {
            absorb(&mut steps, reached, &mut book)?;
        }
        Ok(())
    })?;
    if !steps.is_empty() {
        absorb(&mut steps, reached, &mut book)?;
    }
    book.adds_up().map_err(Refused::Damaged)?;
    queue.sync()?;
    Ok(queue)
}
