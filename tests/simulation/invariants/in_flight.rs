//! At most `max_in_flight` changes are active, and at most one per instance of the real fleet.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::id::{InstanceId, ProxyId};
use sealift::store::Store;

use super::SimInvariant;
use crate::oracle::{Fact, OracleSetting};

pub struct InFlight {
    most: u32,
    instances: BTreeMap<ProxyId, InstanceId>,
}

impl InFlight {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        let instances = setting.fleet.proxies().iter().map(|proxy| (proxy.proxy_id, proxy.instance_id)).collect();
        Self { most: setting.scenario.max_in_flight, instances }
    }
}

impl SimInvariant for InFlight {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Committed { store, rollout, .. } = fact else { return Ok(()) };
        let active = store.due(Timestamp::MAX, usize::MAX).now_or_never().expect("ready").expect("memory");
        if rollout.total().active > self.most {
            return Err(format!("{} changes are active, allowed are {}", rollout.total().active, self.most));
        }
        let mut instances = BTreeSet::new();
        match active.iter().map(|one| self.instances[&one.change.target.proxy_id]).find(|instance| !instances.insert(*instance)) {
            Some(instance) => Err(format!("instance {instance} has two active changes")),
            None => Ok(()),
        }
    }
}
