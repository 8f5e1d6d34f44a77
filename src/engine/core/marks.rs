//! Marks: how many calls of each lane may still arrive, written down before there are so many.
//!
//! Job: a killed process leaves no count of its calls, so the next one takes the whole quota for
//! used. Of these calls most had arrived at the kill and come back after one interval; the others
//! may arrive for as long as `settle`, and the mark bounds how many these are.
//!
//! Invariant: no call leaves that would bring a lane's unsettled calls above its mark on disk.
//!
//! Deliberately not here: by how much a mark is raised (`engine::lane`), and where the marks are
//! kept (`daemon::levels`).

use super::Core;
use crate::engine::lane::{LaneState, Level};

impl Core {
    /// What the lanes have used and learnt, for the process after this one; only when nothing is
    /// out.
    pub fn levels(&self) -> Vec<Level> {
        self.lanes.values().filter(|lane| lane.out() == 0).map(LaneState::level).collect()
    }

    /// What must be kept before the effects of the latest step are performed; `None`: what was kept
    /// before still holds. The first of a process replaces what it has gone on from.
    pub fn levels_to_keep(&mut self) -> Option<Vec<Level>> {
        if !std::mem::take(&mut self.marks_due) {
            return None;
        }
        for lane in self.lanes.values_mut() {
            lane.raise_mark(self.now.boot);
        }
        // Without a quota nothing is counted: one that is set later knows nothing of what was sent.
        Some(
            self.lanes
                .values()
                .filter(|lane| lane.lane.quota.is_some())
                .map(|lane| lane.mark())
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests;
