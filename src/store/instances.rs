//! What the store keeps of an instance: which change holds it, and the latest job ids that are
//! explained.
//!
//! Invariants: an instance is one, whatever the lane that reaches it, and at most one change is let
//! in. A store that was written before that rule may have several holders on one instance, each by
//! another lane: all of them are held here, and no further change is let in until the last has
//! left. A job id occurs once in a list, oldest first, and a list has never more than
//! [`JOBS_KEPT`].

use std::collections::{BTreeSet, HashMap};

use crate::domain::id::{ChangeId, InstanceId, JobId, RolloutId};

/// The locks of all rollouts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locks {
    held: HashMap<InstanceId, ChangeId>,
    /// Those that hold an instance beside another one.
    beside: BTreeSet<(InstanceId, ChangeId)>,
}

/// Before all changes, so that a walk over the holders of an instance begins there.
fn first() -> ChangeId {
    ChangeId { rollout: RolloutId::from_bytes([0; 16]), ordinal: 0 }
}

impl Locks {
    /// A change that holds this instance.
    pub fn holder(&self, instance: &InstanceId) -> Option<ChangeId> {
        self.held.get(instance).copied()
    }

    /// All that hold this instance.
    pub fn holders(&self, instance: &InstanceId) -> impl Iterator<Item = ChangeId> {
        let (holder, instance) = (self.holder(instance), *instance);
        let rest = holder.map(|_| self.beside.range((instance, first())..));
        holder.into_iter().chain(
            rest.into_iter()
                .flatten()
                .take_while(move |(of, _)| *of == instance)
                .map(|(_, id)| *id),
        )
    }

    /// This change holds the instance from now on.
    pub fn take(&mut self, instance: InstanceId, id: ChangeId) {
        match self.held.get(&instance) {
            Some(other) if *other != id => drop(self.beside.insert((instance, id))),
            Some(_) => {}
            None => drop(self.held.insert(instance, id)),
        }
    }

    /// It holds the instance no more.
    pub fn free(&mut self, instance: &InstanceId, id: ChangeId) {
        if self.held.get(instance) != Some(&id) {
            self.beside.remove(&(*instance, id));
            return;
        }
        self.held.remove(instance);
        if let Some(next) = self
            .beside
            .range((*instance, first())..)
            .next()
            .filter(|(of, _)| of == instance)
            .copied()
        {
            self.beside.remove(&next);
            self.held.insert(*instance, next.1);
        }
    }
}

/// Job ids kept an instance. Of an instance one change is active, and what the cloud made before a
/// job that is explained is none that is sought (`domain::job_match`), so one would do; the rest is
/// for dates that are close, or missing.
pub(crate) const JOBS_KEPT: usize = 8;

/// Adds a job id to a list.
pub(crate) fn remember(list: &mut Vec<JobId>, job: &JobId) {
    if list.contains(job) {
        return;
    }
    if list.len() == JOBS_KEPT {
        list.remove(0);
    }
    list.push(job.clone());
}

#[cfg(test)]
impl Locks {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.held.len() + self.beside.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::target;

    #[test]
    fn several_from_before_leave_one_by_one() {
        let id = |n| ChangeId { rollout: RolloutId::from_bytes([n; 16]), ordinal: 0 };
        let (instance, other) = (target(1, 1).instance_id, target(2, 2).instance_id);
        let mut locks = Locks::default();
        for n in [3, 1, 2] {
            locks.take(instance, id(n));
            locks.take(instance, id(n));
        }
        locks.take(other, id(9));
        let held = |locks: &Locks| locks.holders(&instance).collect::<Vec<_>>();
        assert_eq!(held(&locks), [id(3), id(1), id(2)]);
        locks.free(&instance, id(1));
        locks.free(&instance, id(7));
        assert_eq!(held(&locks), [id(3), id(2)]);
        locks.free(&instance, id(3));
        assert_eq!((held(&locks), locks.holder(&instance)), (vec![id(2)], Some(id(2))));
        locks.free(&instance, id(2));
        assert_eq!(
            (held(&locks), locks.holder(&instance), locks.holder(&other)),
            (vec![], None, Some(id(9)))
        );
    }
}
