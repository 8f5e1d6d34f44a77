//! What is looked at before a window: one line for each thing that a rollout needs.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest time that the ports of a preflight may take together: thousands that answer take
/// seconds, a few dozen that do not take it all.
pub const PORTS_WITHIN: Duration = Duration::from_secs(60);

/// Body of `POST /v1/preflight`. What is left out is not looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreflightRequest {
    /// Look at the daemon itself, its store and its disk.
    #[serde(default)]
    pub daemon: bool,
    /// Lanes to look at.
    #[serde(default)]
    pub lanes: Vec<String>,
    /// Instances with those of their proxies that are targets; at most
    /// [`super::LOOK_INSTANCES_MAX`].
    #[serde(default)]
    pub instances: Vec<PreflightInstance>,
    pub ssl_option: bool,
    /// Look at each target's port too, one connection each.
    #[serde(default)]
    pub ports: bool,
    /// Milliseconds that all ports together may take; at most, and if left out, [`PORTS_WITHIN`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports_within_ms: Option<u64>,
    /// The plan asks for a proof on the wire: a port that cannot be reached stands in the way.
    #[serde(default)]
    pub wire: bool,
}

/// One instance and its targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreflightInstance {
    /// The lane that reaches it.
    pub lane: String,
    pub instance_id: String,
    /// The proxies that are targets.
    pub proxies: Vec<String>,
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckRow {
    /// `go`: as it must be; `note`: worth knowing, or not told by a look; `no_go`: stands in the
    /// way.
    pub verdict: String,
    /// What was looked at: `daemon`, `store`, `lane`, `permission`, `beta`, `proxy` or `port`.
    pub what: String,
    /// Which one: a lane's name, a proxy's id; empty where there is but one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A stable word for what was found.
    pub word: String,
    /// The same for people, with the next step where something stands in the way.
    pub text: String,
}

impl CheckRow {
    /// As it must be.
    pub const GO: &'static str = "go";
    pub const NOTE: &'static str = "note";
    /// Stands in the way.
    pub const NO_GO: &'static str = "no_go";
}
