//! Changes that their lane does not serve: the configuration has no such lane any more, or a lane
//! before it reaches the same project.
//!
//! Job: count such changes by rollout and lane, as they come into hand and leave it.
//!
//! Invariant: only changes in hand are counted, so the counts are bounded by what is in flight.
//!
//! Deliberately not here: which lanes share a project (`domain::lane`), what becomes of their
//! changes (`engine::lane`), and how people are informed (`domain::hold`).

use super::Core;
use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::engine::handle::UnservedLane;

impl Core {
    /// A change was taken into hand.
    pub(super) fn count_unserved(&mut self, id: ChangeId, lane: &Name) {
        if self.lanes.get(lane).is_none_or(|lane| lane.shares().is_some()) {
            *self.unserved.entry((id.rollout, lane.clone())).or_default() += 1;
        }
    }

    /// It is in hand no more.
    pub(super) fn uncount_unserved(&mut self, id: ChangeId, lane: &Name) {
        let key: (RolloutId, Name) = (id.rollout, lane.clone());
        if let Some(count) = self.unserved.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.unserved.remove(&key);
            }
        }
    }

    /// The lanes that do not serve changes in hand, for people.
    pub(super) fn unserved(&self) -> Vec<UnservedLane> {
        let of = |(rollout, lane): &(RolloutId, Name)| UnservedLane {
            rollout: *rollout,
            lane: lane.clone(),
            shares: self.lanes.get(lane).and_then(|lane| lane.shares().cloned()),
        };
        self.unserved.keys().map(of).collect()
    }
}
