//! Marks: how many calls of each lane may still arrive, written down before there are so many.
//!
//! Job: a killed process leaves no count of its calls, so the next one takes the whole quota for used. Of these calls most had
//! arrived at the kill and come back after one interval; the others may arrive for as long as `settle`, and the mark bounds
//! how many these are.
//!
//! Invariant: no call leaves that would bring a lane's unsettled calls above its mark on disk.
//!
//! Deliberately not here: where the marks are kept (`daemon::levels`).

use std::future::ready;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::core::Core;
use super::lane::Level;
use crate::store::Unavailable;

/// A mark is raised by a quarter of what is unsettled, and by so many calls at least: a lane that fills up to a thousand
/// calls writes it some twenty times in its life, and what a kill costs is at most a quarter too much.
const STEP_MIN: u32 = 4;

/// Keeps what a process that is killed leaves to the next one.
pub trait KeepLevels: Send + Sync {
    /// Keeps these in place of what was kept before; durable when the future is done.
    fn keep(&self, levels: Vec<Level>) -> BoxFuture<'_, Result<(), Unavailable>>;
}

/// Keeps nothing: after a kill nothing is known of any lane.
impl KeepLevels for () {
    fn keep(&self, _levels: Vec<Level>) -> BoxFuture<'_, Result<(), Unavailable>> {
        ready(Ok(())).boxed()
    }
}

impl Core {
    /// What must be kept before the effects of the latest step are performed; `None`: what was kept before still holds.
    /// The first of a process replaces what it has gone on from.
    pub fn levels_to_keep(&mut self) -> Option<Vec<Level>> {
        if !std::mem::take(&mut self.marks_due) {
            return None;
        }
        let now = self.now.boot;
        for lane in self.lanes.values_mut() {
            let unsettled = lane.unsettled(now);
            if unsettled > lane.marked {
                lane.marked = unsettled.saturating_add((unsettled / 4).max(STEP_MIN));
            }
        }
        // Without a quota nothing is counted: one that is set later knows nothing of what was sent.
        Some(self.lanes.values().filter(|lane| lane.lane.quota.is_some()).map(|lane| lane.mark()).collect())
    }
}

#[cfg(test)]
mod tests;
