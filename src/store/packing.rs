//! Rollouts that are over and wait to be packed: the line between the queue's writer and the
//! packer.
//!
//! Job: let the packer lag behind, but not without end. sled never shrinks its table of pages, so
//! the most rows that ever lay in its trees cost memory for as long as the queue lives, some 40
//! bytes each.
//!
//! Invariant: a rollout joins only while the rows that wait are no more than `rows_max`, so that
//! beside the one in hand at most so many and one rollout wait. Whoever brings it waits till then,
//! and the journal behind it; rollouts that end at the pace of a cloud never come near.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::applied::Closed;

#[derive(Debug)]
pub(crate) struct PackingLine {
    rows_max: u64,
    inner: Mutex<PackingState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PackingState {
    waiting: VecDeque<Closed>,
    /// Rows of those that wait.
    rows: u64,
    ended: bool,
    /// Nothing is taken out.
    #[cfg(test)]
    held: bool,
    /// Somebody waits for room.
    #[cfg(test)]
    full: bool,
}

impl PackingLine {
    /// An empty line, which nobody joins while more than so many rows wait.
    pub fn new(rows_max: u64) -> Self {
        Self { rows_max, inner: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, PackingState> {
        // Every critical section is a few moves of whole values.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        inner: MutexGuard<'a, PackingState>,
        until: impl Fn(&mut PackingState) -> bool,
    ) -> MutexGuard<'a, PackingState> {
        self.changed
            .wait_while(inner, |inner| !inner.ended && !until(inner))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a rollout in; waits for room.
    pub fn push(&self, closed: Closed) {
        let mut inner = self.wait(self.lock(), |inner| {
            let room = inner.rows <= self.rows_max;
            #[cfg(test)]
            {
                inner.full = !room;
            }
            room
        });
        inner.rows += u64::from(closed.rows);
        inner.waiting.push_back(closed);
        drop(inner);
        self.changed.notify_all();
    }

    /// The one that has waited longest; `None` when nothing more is packed.
    pub fn next(&self) -> Option<Closed> {
        let mut inner = self.wait(self.lock(), |inner| {
            #[cfg(test)]
            if inner.held {
                return false;
            }
            !inner.waiting.is_empty()
        });
        if inner.ended {
            return None;
        }
        let closed = inner.waiting.pop_front()?;
        inner.rows -= u64::from(closed.rows);
        drop(inner);
        self.changed.notify_all();
        Some(closed)
    }

    /// Nothing more is packed: what waits is left to the next start, and nobody waits for it.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Whether nothing more is packed.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }
}

#[cfg(test)]
impl PackingLine {
    /// Keeps the packer from taking anything, or lets it go on.
    pub fn hold(&self, held: bool) {
        self.lock().held = held;
        self.changed.notify_all();
    }

    /// Waits until somebody waits for room; `false`: nobody ever did.
    pub fn fills(&self) -> bool {
        for _ in 0..1_000 {
            if self.lock().full {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        false
    }
}
