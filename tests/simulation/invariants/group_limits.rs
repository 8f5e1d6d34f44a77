//! Never more changes of one lane, or of one value of a tag, are active than the scenario's limits say, over all
//! restarts.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::group::GroupLimits;
use sealift::domain::target::Target;
use sealift::store::Store;

use super::SimInvariant;
use crate::oracle::{Fact, OracleSetting};

/// A group: the limit's place, and the lane or the tag's value.
pub type Group = (usize, String);

pub struct SimGroupLimitsKept {
    limits: GroupLimits,
}

impl SimGroupLimitsKept {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { limits: setting.scenario.groups.limits() }
    }

    /// The groups of this target.
    pub fn of<'s>(&'s self, target: &'s Target) -> impl Iterator<Item = Group> + 's {
        let values = self.limits.iter().enumerate().map(|(place, (by, _))| (place, by.value(target)));
        values.filter_map(|(place, value)| Some((place, value?.to_owned())))
    }

    fn most(&self, group: &Group) -> u32 {
        self.limits.iter().nth(group.0).map_or(u32::MAX, |(_, most)| most)
    }

    fn active(&self, store: &impl Store) -> BTreeMap<Group, u32> {
        let mut count = BTreeMap::new();
        for active in store.due(Timestamp::MAX, usize::MAX).now_or_never().expect("ready").expect("memory") {
            for group in self.of(&active.change.target) {
                *count.entry(group).or_default() += 1;
            }
        }
        count
    }

    /// The groups of which nothing more may begin.
    pub fn full(&self, store: &impl Store) -> BTreeSet<Group> {
        self.active(store).into_iter().filter(|(group, count)| *count >= self.most(group)).map(|(group, _)| group).collect()
    }
}

impl SimInvariant for SimGroupLimitsKept {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Committed { store, .. } = fact else { return Ok(()) };
        if self.limits.is_empty() {
            return Ok(());
        }
        match self.active(*store).into_iter().find(|(group, count)| *count > self.most(group)) {
            Some((group, count)) => Err(format!("{count} changes of {} are active, allowed are {}", group.1, self.most(&group))),
            None => Ok(()),
        }
    }
}
