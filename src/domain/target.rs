//! The target: one proxy, with the lane it is reached by.
//!
//! Invariant: a target never changes after submission; its place in the rollout's list is half of a change's id.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::{InstanceId, Name, ProxyId};

/// One proxy of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The lane whose account, project, region and quota the calls use.
    pub lane: Name,
    /// The instance that the proxy belongs to; at most one change per instance is ever in flight.
    pub instance_id: InstanceId,
    /// The proxy; the proxy list calls it `pool_id`.
    pub proxy_id: ProxyId,
    /// Free labels from the plan or the target file (`tags`, or columns `tag:NAME`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Box<BTreeMap<String, String>>>,
}

/// Names one instance across every rollout: what the one-change-at-a-time rule is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceKey {
    /// The lane that reaches it.
    pub lane: Name,
    /// The instance.
    pub instance_id: InstanceId,
}

impl Target {
    /// The instance of this target.
    pub fn instance(&self) -> InstanceKey {
        InstanceKey { lane: self.lane.clone(), instance_id: self.instance_id }
    }
}
