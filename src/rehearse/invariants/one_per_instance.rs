//! At most one change in flight on one instance.

use std::collections::BTreeMap;

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::id::InstanceId;
use crate::domain::tally::Standing;
use crate::domain::target::TargetList;

pub(super) struct OnePerInstance {
    targets: TargetList,
    active: BTreeMap<InstanceId, u32>,
}

impl OnePerInstance {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { targets: scenario.targets.clone(), active: BTreeMap::new() }
    }
}

impl Invariant for OnePerInstance {
    fn promise(&self) -> &'static str {
        "one change in flight on an instance"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let commit = match fact {
            Observation::Committed { commit, .. } => commit,
            // A store that lost what was not synced begins with other changes in flight.
            Observation::Started { active, .. } => {
                let ordinals = active.iter().map(|one| one.change.id.ordinal);
                self.active = ordinals
                    .map(|ordinal| (self.targets[ordinal as usize].instance_id, ordinal))
                    .collect();
                return Ok(());
            }
            _ => return Ok(()),
        };
        for change in &commit.changes {
            let instance = self.targets[change.ordinal as usize].instance_id;
            if Standing::of(&change.record.state) != Standing::Active {
                if self.active.get(&instance) == Some(&change.ordinal) {
                    self.active.remove(&instance);
                }
                continue;
            }
            match self.active.insert(instance, change.ordinal) {
                Some(other) if other != change.ordinal => {
                    return Err(format!(
                        "targets {other} and {} of one instance are in flight at once",
                        change.ordinal
                    ));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::{How, State};
    use crate::rehearse::invariants::staged::StagedRun;

    #[test]
    fn two_at_once_on_one_instance_are_seen() {
        let stage = StagedRun::new();
        let mut promise = OnePerInstance::new(&stage.scenario);
        let mut moves = |ordinal, state| stage.commits(&mut promise, ordinal, state);
        assert_eq!(moves(0, State::Ready), Ok(()));
        assert_eq!(moves(2, State::Ready), Ok(()), "another instance");
        assert_eq!(moves(0, State::Succeeded { how: How::Switched }), Ok(()));
        assert_eq!(moves(1, State::Ready), Ok(()));
        assert!(moves(0, State::Ready).expect_err("two at once").contains("targets 1 and 0"));
    }
}
