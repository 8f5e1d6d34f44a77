//! Reads asked of the cloud through the daemon's lanes: the instances of a project, and a look at
//! what the proxies of some of them show now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Instances of one request at most; a client with more asks again.
pub const LOOK_INSTANCES_MAX: usize = 500;

/// Body of `POST /v1/looks`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookRequest {
    /// The instances, at most [`LOOK_INSTANCES_MAX`].
    pub instances: Vec<LookInstance>,
}

/// One instance to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookInstance {
    /// The lane that reaches it.
    pub lane: String,
    pub instance_id: String,
}

/// One line of the answer, in the order in which the cloud answered: the instance's proxies, or why
/// they are not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LookRow {
    pub lane: String,
    pub instance_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<Vec<LookProxy>>,
    /// Why they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One proxy as its instance's list shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LookProxy {
    pub proxy_id: String,
    /// Its `ssl_option`; absent where the cloud does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_option: Option<bool>,
    /// Its status, in the cloud's word.
    pub status: String,
}

/// One page of a project's instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstancePage {
    /// In the cloud's order.
    pub instances: Vec<InstanceRow>,
    /// How many there are in all.
    pub total: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstanceRow {
    pub instance_id: String,
    pub name: String,
    /// Its status, in the cloud's word.
    pub status: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Whether it has a proxy; absent where the cloud does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxied: Option<bool>,
}
