//! Folding the journal from its first entry gives the stored state.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use sealift::domain::id::RolloutId;
use sealift::domain::journal::JournalEvent;
use sealift::store::Store;

use super::WorldInvariant;
use crate::oracle::{Fact, OracleSetting};

pub struct FoldGivesState {
    rollout: RolloutId,
}

impl FoldGivesState {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { rollout: setting.rollout }
    }
}

impl WorldInvariant for FoldGivesState {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::End { store, entries, .. } = fact else { return Ok(()) };
        let mut changes = BTreeMap::new();
        let mut rollout = None;
        for (entry, seq) in entries.iter().zip(1..) {
            if entry.seq != seq {
                return Err(format!("entry {seq} has the sequence {}", entry.seq));
            }
            match &entry.what {
                JournalEvent::Submitted { .. } if seq == 1 => {}
                JournalEvent::Submitted { .. } => {
                    return Err(format!(
                        "entry {seq} is a submission, and the one acknowledged stands first"
                    ));
                }
                _ if seq == 1 => return Err("the submission that was acknowledged is gone".into()),
                JournalEvent::Change { ordinal, record, .. } => {
                    changes.insert(*ordinal, record.clone());
                }
                JournalEvent::Rollout { record, .. } => rollout = Some(record.clone()),
                // One plan that runs once: nobody enforces it here.
                JournalEvent::Enforcement { .. } => {
                    return Err(format!("entry {seq} is about an enforcement"));
                }
            }
        }
        let stored = store
            .rollout(self.rollout)
            .now_or_never()
            .expect("ready")
            .expect("memory")
            .expect("submitted");
        if rollout.is_some_and(|folded| folded != stored.record) {
            return Err("the folded rollout is not the stored one".into());
        }
        let page = store
            .page(self.rollout, Vec::new(), None, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        for active in page.changes {
            if let Some(folded) = changes.get(&active.change.id.ordinal)
                && *folded != active.change.record
            {
                return Err(format!(
                    "{}: folded {folded:?}, stored {:?}",
                    active.change.id, active.change.record
                ));
            }
        }
        Ok(())
    }
}
