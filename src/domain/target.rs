//! The target: one proxy, with the lane it is reached by.
//!
//! Invariant: a target never changes after submission; its place in the rollout's list is half of a change's id.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    pub tags: Option<Tags>,
}

/// Free labels. Cheap to clone and shared between targets that carry the same: a map of its own would cost each of a
/// hundred thousand targets more than all the rest of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tags(Arc<BTreeMap<String, String>>);

impl From<BTreeMap<String, String>> for Tags {
    fn from(tags: BTreeMap<String, String>) -> Self {
        Self(Arc::new(tags))
    }
}

impl Deref for Tags {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
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
