//! At most `max_in_flight` changes are active, and at most one per instance.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::id::RolloutId;
use sealift::store::Store;

use super::Invariant;
use crate::oracle::{Fact, Setting};

pub struct InFlight {
    rollout: RolloutId,
    most: u32,
}

impl InFlight {
    pub fn new(setting: &Setting<'_>) -> Self {
        Self { rollout: setting.rollout, most: setting.scenario.max_in_flight }
    }
}

impl Invariant for InFlight {
    fn check(&mut self, fact: &mut Fact<'_>) -> Result<(), String> {
        let Fact::Committed { store, .. } = fact else { return Ok(()) };
        let rollout = store.rollout(self.rollout).now_or_never().expect("ready").expect("memory").expect("submitted");
        let active = store.due(Timestamp::MAX, usize::MAX).now_or_never().expect("ready").expect("memory");
        if rollout.total().active > self.most {
            return Err(format!("{} changes are active, allowed are {}", rollout.total().active, self.most));
        }
        let mut instances = BTreeSet::new();
        match active.iter().find(|one| !instances.insert(one.change.target.instance())) {
            Some(one) => Err(format!("instance {} has two active changes", one.change.target.instance_id)),
            None => Ok(()),
        }
    }
}
