//! Never more changes of one group in flight than the plan's `max_in_flight_per`.

use std::collections::{BTreeMap, BTreeSet};

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::change::State;
use crate::domain::group::GroupLimits;
use crate::domain::tally::Standing;
use crate::domain::target::TargetList;

pub(super) struct GroupLimitsKept {
    limits: GroupLimits,
    targets: TargetList,
    /// What is in flight, by the limit's place and the lane or the tag's value.
    active: BTreeMap<(usize, String), BTreeSet<u32>>,
}

impl GroupLimitsKept {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            limits: scenario.plan.strategy.max_in_flight_per.clone(),
            targets: scenario.targets.clone(),
            active: BTreeMap::new(),
        }
    }

    fn moves(&mut self, ordinal: u32, state: &State) {
        for (place, (by, _)) in self.limits.iter().enumerate() {
            let Some(value) = by.value(&self.targets[ordinal as usize]) else { continue };
            let active = self.active.entry((place, value.to_owned())).or_default();
            if Standing::of(state) == Standing::Active {
                active.insert(ordinal);
            } else {
                active.remove(&ordinal);
            }
        }
    }
}

impl Invariant for GroupLimitsKept {
    fn promise(&self) -> &'static str {
        "never more changes of a lane or a tag in flight than max_in_flight_per"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        match fact {
            Observation::Committed { commit, .. } => commit
                .changes
                .iter()
                .for_each(|change| self.moves(change.ordinal, &change.record.state)),
            // A store that lost what was not synced begins with other changes in flight.
            Observation::Started { active, .. } => {
                self.active.clear();
                active
                    .iter()
                    .for_each(|one| self.moves(one.change.id.ordinal, &one.change.record.state));
            }
            _ => return Ok(()),
        }
        // A commit that hands a place on holds it once, so it is counted when all of it is seen.
        for (place, (by, most)) in self.limits.iter().enumerate() {
            let mine = self.active.iter().filter(|((of, _), _)| *of == place);
            if let Some(((_, value), active)) =
                mine.into_iter().find(|(_, active)| active.len() > most as usize)
            {
                return Err(format!(
                    "{} changes of {by} {value} are in flight, at most {most} may be",
                    active.len()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::How;
    use crate::domain::group::GroupBy;
    use crate::domain::target::Target;
    use crate::rehearse::invariants::staged::StagedRun;

    #[test]
    fn one_too_many_of_a_group_is_seen() {
        let mut stage = StagedRun::new();
        stage.scenario.plan.strategy.max_in_flight_per =
            [(GroupBy::Tag("tier".into()), 1)].into_iter().collect();
        let gold = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
        let tagged = |(place, target): (usize, &Target)| Target {
            tags: (place < 2).then(|| gold.clone().into()),
            ..target.clone()
        };
        stage.scenario.targets = stage.scenario.targets.iter().enumerate().map(tagged).collect();
        let mut promise = GroupLimitsKept::new(&stage.scenario);
        let mut moves = |ordinal, state| stage.commits(&mut promise, ordinal, state);
        assert_eq!(moves(0, State::Ready), Ok(()));
        assert_eq!(moves(2, State::Ready), Ok(()), "without the tag");
        assert_eq!(moves(0, State::Succeeded { how: How::Switched }), Ok(()));
        assert_eq!(moves(1, State::Ready), Ok(()));
        assert!(
            moves(0, State::Ready).expect_err("two at once").contains("2 changes of tag:tier gold")
        );
    }
}
