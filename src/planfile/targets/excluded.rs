//! Targets that the plan leaves out.
//!
//! Invariant: each is counted for the first entry of `targets.exclude` that matches it, and an
//! entry that matches nothing is reported: it is likely a slip, and then a proxy is changed that
//! should not be.

use std::collections::BTreeMap;

use super::TargetEntry;
use crate::domain::id::{InstanceId, Name, ProxyId};
use crate::planfile::selector::Exclusion;
use crate::yaml::{Diagnostic, Document, Mistakes, quote};

/// Targets of one entry that are remembered by their ids; the others are counted.
const KEPT_MAX: usize = 1_000;

/// What one entry of `targets.exclude` left out.
#[derive(Debug, Clone)]
pub struct Excluded {
    pub reason: String,
    pub targets: u32,
    /// The first thousand of them.
    pub first: Vec<LeftOut>,
}

/// One target that was left out.
#[derive(Debug, Clone)]
pub struct LeftOut {
    pub lane: Name,
    pub instance_id: InstanceId,
    /// The instance's name, of one that was discovered.
    pub instance_name: Option<String>,
    pub proxy_id: ProxyId,
}

/// The entries, each with what it left out so far.
#[derive(Default)]
pub struct ExcludeEntry(Vec<(usize, Exclusion, Excluded)>);

impl ExcludeEntry {
    /// Of these entries, each with its place in the plan's list.
    pub fn new(exclusions: Vec<(usize, Exclusion)>) -> Self {
        let empty = |exclusion: &Exclusion| Excluded {
            reason: exclusion.reason.clone(),
            targets: 0,
            first: Vec::new(),
        };
        Self(
            exclusions
                .into_iter()
                .map(|(index, exclusion)| (index, exclusion.clone(), empty(&exclusion)))
                .collect(),
        )
    }

    /// Whether the target is left out; then it is counted.
    pub fn takes(&mut self, entry: &TargetEntry<'_>) -> bool {
        let Some((_, _, excluded)) =
            self.0.iter_mut().find(|(_, exclusion, _)| matches(exclusion, entry))
        else {
            return false;
        };
        excluded.targets = excluded.targets.saturating_add(1);
        if excluded.first.len() < KEPT_MAX {
            let TargetEntry { lane, instance_id, instance_name, proxy_id, .. } = entry;
            let instance_name = instance_name.map(str::to_owned);
            excluded.first.push(LeftOut {
                lane: (*lane).clone(),
                instance_id: *instance_id,
                instance_name,
                proxy_id: *proxy_id,
            });
        }
        true
    }

    /// How many are left out so far.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, _, excluded)| u64::from(excluded.targets)).sum()
    }

    /// What was left out, once every target was seen.
    pub fn finish(self, document: &Document<'_>, mistakes: &mut Mistakes) -> Vec<Excluded> {
        for (index, _, excluded) in self.0.iter().filter(|(_, _, excluded)| excluded.targets == 0) {
            let none = format!("no target is left out by this ({})", quote(&excluded.reason));
            let none = Diagnostic::warning("exclude", none)
                .at(document.place(&format!("targets.exclude[{index}]")));
            mistakes.push(
                none.help("`sealift discover -o json` shows names and tags as the cloud has them"),
            );
        }
        self.0
            .into_iter()
            .map(|(_, _, excluded)| excluded)
            .filter(|excluded| excluded.targets > 0)
            .collect()
    }
}

fn matches(exclusion: &Exclusion, entry: &TargetEntry<'_>) -> bool {
    let tag = |name: &String, value: &String| {
        entry.tags.as_ref().is_some_and(|tags: &BTreeMap<_, _>| tags.get(name) == Some(value))
    };
    exclusion.lane.as_ref().is_none_or(|lane| lane == entry.lane)
        && exclusion
            .instance_name
            .as_ref()
            .is_none_or(|pattern| entry.instance_name.is_some_and(|name| pattern.matches(name)))
        && exclusion.instance_id.is_none_or(|id| id == entry.instance_id)
        && exclusion.proxy_id.is_none_or(|id| id == entry.proxy_id)
        && exclusion.tags.iter().all(|(name, value)| tag(name, value))
}
