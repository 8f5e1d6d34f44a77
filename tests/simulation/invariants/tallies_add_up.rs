//! Counts add up to the targets at every instant, and at the end they are what counting the changes gives.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use sealift::domain::id::RolloutId;
use sealift::domain::tally::Standing;
use sealift::store::Store;

use super::SimInvariant;
use crate::oracle::{Fact, OracleSetting};

pub struct TalliesAddUp {
    rollout: RolloutId,
    targets: u32,
}

impl TalliesAddUp {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { rollout: setting.rollout, targets: setting.submission.targets.len() as u32 }
    }
}

impl SimInvariant for TalliesAddUp {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let (store, total) = match fact {
            Fact::Committed { rollout, .. } => (None, rollout.total()),
            Fact::End { store, .. } => {
                let rollout = store.rollout(self.rollout).now_or_never().expect("ready").expect("memory").expect("submitted");
                (Some(store), rollout.total())
            }
            _ => return Ok(()),
        };
        if total.total() != self.targets {
            return Err(format!("{total:?} does not add up to {}", self.targets));
        }
        if let Some(store) = store {
            let page = store.page(self.rollout, Vec::new(), None, usize::MAX).now_or_never().expect("ready").expect("memory");
            let mut counted: BTreeMap<Standing, u32> = BTreeMap::new();
            for active in &page.changes {
                *counted.entry(Standing::of(&active.change.record.state)).or_default() += 1;
            }
            let told = [
                (Standing::Queued, total.queued),
                (Standing::Active, total.active),
                (Standing::Succeeded, total.succeeded),
                (Standing::Failed, total.failed),
                (Standing::InDoubt, total.in_doubt),
                (Standing::Cancelled, total.cancelled),
                (Standing::Reverted, total.reverted),
                (Standing::Skipped, total.skipped),
            ];
            if let Some((standing, told)) = told.into_iter().find(|(standing, told)| counted.get(standing).copied().unwrap_or(0) != *told) {
                return Err(format!("{told} changes are told as {standing:?}, counted are {counted:?}"));
            }
        }
        Ok(())
    }
}
