//! A rollout's counts for the plan's group limits: what is in flight of each group, which queued
//! changes wait behind which limits, and what lies ahead of the cursor.
//!
//! Invariants: `active` and `waiting` are a fold of the rows in memory and of nothing else, so they
//! are right after a restart; `ahead` counts exactly the targets from the cursor to where it was
//! surveyed.
//!
//! Deliberately not here: which candidates are picked (`candidates`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::group::{FullGroup, GroupLimits};
use crate::domain::tally::Standing;
use crate::domain::target::Target;

use super::row::StoredChange;

/// The groups that a target is in: one place for each limit of the plan, empty where it lacks the
/// tag. Changes of one class wait for the same places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class(Box<[Option<Box<str>>]>);

impl Class {
    /// The class of this target.
    pub fn of(limits: &GroupLimits, target: &Target) -> Self {
        Self(limits.iter().map(|(by, _)| by.value(target).map(Box::from)).collect())
    }
}

/// The groups of one rollout.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    limits: GroupLimits,
    /// Changes in flight by value, one map for each limit.
    active: Vec<HashMap<Box<str>, u32>>,
    /// Places in the list of the queued changes that have a row, by class.
    waiting: BTreeMap<Class, BTreeSet<u32>>,
    ahead: GroupOutlook,
}

/// What lies ahead of the cursor, as far as it was looked at.
#[derive(Debug, Clone, Default)]
struct GroupOutlook {
    /// Targets from the cursor up to `known`, by class; none with 0.
    left: HashMap<Class, u32>,
    /// Place after the last one that was counted.
    known: u32,
}

impl Groups {
    /// Of a rollout with these limits, when nothing of it has a row.
    pub fn new(limits: &GroupLimits) -> Self {
        Self {
            limits: limits.clone(),
            active: vec![HashMap::new(); limits.len()],
            ..Self::default()
        }
    }

    /// Whether the plan limits anything.
    pub fn limited(&self) -> bool {
        !self.limits.is_empty()
    }

    /// The class of this target.
    pub fn class(&self, target: &Target) -> Class {
        Class::of(&self.limits, target)
    }

    /// A row was added to the state.
    pub fn enter(&mut self, ordinal: u32, row: &StoredChange) {
        match row.standing() {
            Standing::Active => self.count(&row.target, |count| count + 1),
            Standing::Queued => {
                let class = self.class(&row.target);
                self.waiting.entry(class).or_default().insert(ordinal);
            }
            Standing::Succeeded
            | Standing::Failed
            | Standing::InDoubt
            | Standing::Cancelled
            | Standing::Reverted
            | Standing::Skipped => {}
        }
    }

    /// A row was removed from the state, or will be replaced.
    pub fn leave(&mut self, ordinal: u32, row: &StoredChange) {
        match row.standing() {
            Standing::Active => self.count(&row.target, |count| count.saturating_sub(1)),
            Standing::Queued => {
                let class = self.class(&row.target);
                if let Some(places) = self.waiting.get_mut(&class) {
                    places.remove(&ordinal);
                    if places.is_empty() {
                        self.waiting.remove(&class);
                    }
                }
            }
            Standing::Succeeded
            | Standing::Failed
            | Standing::InDoubt
            | Standing::Cancelled
            | Standing::Reverted
            | Standing::Skipped => {}
        }
    }

    fn count(&mut self, target: &Target, next: impl Fn(u32) -> u32) {
        for ((by, _), active) in self.limits.iter().zip(&mut self.active) {
            let Some(value) = by.value(target) else { continue };
            let count = next(active.get(value).copied().unwrap_or(0));
            match (count, active.get_mut(value)) {
                (0, _) => drop(active.remove(value)),
                (_, Some(known)) => *known = count,
                (_, None) => drop(active.insert(value.into(), count)),
            }
        }
    }

    /// The first limit all of whose places are taken for this target.
    pub fn full(&self, target: &Target) -> Option<FullGroup> {
        self.limits.iter().zip(&self.active).find_map(|((by, most), active)| {
            let value = by.value(target)?;
            let active = active.get(value).copied().unwrap_or(0);
            (active >= most).then(|| FullGroup {
                by: by.clone(),
                value: value.to_owned(),
                active,
                most,
            })
        })
    }

    /// The queued changes that have a row, by what they wait for.
    pub fn waiting(&self) -> impl Iterator<Item = (&Class, &BTreeSet<u32>)> {
        self.waiting.iter()
    }

    /// The places that are free, to be taken one after the other.
    pub fn room(&self) -> GroupRoom<'_> {
        GroupRoom { groups: self, taken: vec![HashMap::new(); self.limits.len()] }
    }

    /// Makes the count one from the cursor on and no further than `end`; says up to where it goes.
    pub fn known(&mut self, cursor: u32, end: u32) -> u32 {
        if self.ahead.known > end {
            self.ahead = GroupOutlook::default();
        }
        if self.ahead.known < cursor {
            self.ahead = GroupOutlook { left: HashMap::new(), known: cursor };
        }
        self.ahead.known
    }

    /// Up to where the list is counted.
    pub fn surveyed(&self) -> u32 {
        self.ahead.known
    }

    /// Counts the next target of the list.
    pub fn survey(&mut self, target: &Target) {
        let class = self.class(target);
        *self.ahead.left.entry(class).or_default() += 1;
        self.ahead.known += 1;
    }

    /// The cursor has passed this target.
    pub fn passed(&mut self, ordinal: u32, target: &Target) {
        if ordinal >= self.ahead.known {
            return;
        }
        let class = self.class(target);
        if let Some(left) = self.ahead.left.get_mut(&class) {
            *left -= 1;
            if *left == 0 {
                self.ahead.left.remove(&class);
            }
        }
    }
}

/// The free places of every group, while candidates are picked.
pub(crate) struct GroupRoom<'g> {
    groups: &'g Groups,
    /// What was picked so far, one map for each limit.
    taken: Vec<HashMap<Box<str>, u32>>,
}

impl GroupRoom<'_> {
    /// Whether one more of this class may be in flight.
    pub fn has(&self, class: &Class) -> bool {
        let limits =
            self.groups.limits.iter().zip(&self.groups.active).zip(&self.taken).zip(&class.0);
        limits.into_iter().all(|((((_, most), active), taken), value)| {
            let count = |of: &HashMap<Box<str>, u32>| {
                value.as_ref().and_then(|value| of.get(value).copied()).unwrap_or(0)
            };
            value.is_none() || count(active) + count(taken) < most
        })
    }

    /// One more of this class is picked.
    pub fn take(&mut self, class: &Class) {
        for (taken, value) in self.taken.iter_mut().zip(&class.0) {
            if let Some(value) = value {
                *taken.entry(value.clone()).or_default() += 1;
            }
        }
    }

    /// Whether a target ahead of the cursor, beyond those `met` so far, may find a place.
    pub fn ahead(&self, met: &HashMap<Class, u32>) -> bool {
        self.groups
            .ahead
            .left
            .iter()
            .any(|(class, left)| *left > met.get(class).copied().unwrap_or(0) && self.has(class))
    }
}
