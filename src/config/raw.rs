//! The configuration as it is written: nothing but shape. The doc comments are what an editor shows.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::document::length::Length;
use crate::document::share::Share;
use crate::domain::id::Name;

/// The configuration of the Sealift daemon. Paths are relative to this file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of plans. A new or changed plan is checked at once, one with `autostart: true` is submitted. Default:
    /// `/etc/sealift/plans.d`. The environment variable `SEALIFT_PLANS` stands above it.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub plans: Option<String>,
    /// Where the queue is kept.
    pub store: Option<Store>,
    /// How the daemon is spoken to.
    pub api: Option<Api>,
    /// The ways to the cloud: one for each account and project whose proxies are changed.
    #[schemars(length(max = 1000))]
    pub lanes: Option<Vec<Lane>>,
}

/// Where the queue is kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Folder of journal and queue, for one daemon. Default: `/var/lib/sealift/queue`. The environment variable
    /// `SEALIFT_STORE` stands above it.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub sled: Option<String>,
}

/// How the daemon is spoken to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Unix socket; who may open it may act. Default: `/run/sealift/api.sock`. The environment variable
    /// `SEALIFT_SOCKET` stands above it.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub socket: Option<String>,
}

/// One account's access to one project in one region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lane {
    /// Its name, as targets write it: 1 to 63 of the characters a-z, 0-9 and `-`.
    #[schemars(schema_with = "lane_name")]
    pub name: Name,
    /// Base of the service's URLs, such as `https://gaussdb.ap-southeast-3.myhuaweicloud.com`. `http://` is taken for
    /// this machine only.
    #[schemars(schema_with = "endpoint")]
    pub endpoint: String,
    /// The project: 32 letters and digits.
    #[schemars(schema_with = "project_id")]
    pub project_id: String,
    /// Who we are there.
    pub credentials: Credentials,
    /// What all calls of the lane together may use. Default: no limit of ours.
    pub quota: Option<Quota>,
    /// Changes in flight on the lane, over all rollouts, at most. Default: 50.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_in_flight: Option<u32>,
    /// How long an answer may take. Default: 30s.
    pub call_timeout: Option<Length>,
    /// Wait after a call without an answer before its fate is looked up. Default: 15s.
    pub settle: Option<Length>,
    /// First wait between two looks at a job. Default: 2s.
    pub poll: Option<Length>,
    /// Longest wait between two looks at a job. Default: 30s.
    pub poll_max: Option<Length>,
    /// How long a job may run before its change is given to a person. Default: 1h.
    pub job_limit: Option<Length>,
    /// How long the fate of a call without an answer may stay unclear before its change is given to a person.
    /// Default: 30m.
    pub recover_limit: Option<Length>,
}

/// Who we are at the cloud.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-instead" = "must say where a secret is found: write `credentials: {token: {file: PATH}}`"))]
pub struct Credentials {
    /// Where the IAM token (`X-Auth-Token`) is found.
    pub token: Secret,
}

/// Where a secret is found; exactly one of the three.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "x-instead" = "must not stand in the configuration itself: put the secret into a file that only the daemon may read and write `{file: PATH}`, \
                   or `{credential: NAME}` for a systemd credential, or `{env: NAME}`"
))]
pub struct Secret {
    /// A file that holds it. It is read again when it changes.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub file: Option<String>,
    /// An environment variable of the daemon.
    #[schemars(schema_with = "env_name")]
    #[serde(default)]
    pub env: Option<String>,
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    #[schemars(schema_with = "credential")]
    #[serde(default)]
    pub credential: Option<String>,
}

/// What all calls of a lane together may use, in any interval of the given length.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Calls in one interval.
    #[schemars(range(min = 1, max = 100_000))]
    pub requests: u32,
    /// The interval, such as `5m`.
    pub per: Length,
    /// The share left to colleagues. Default: 20%.
    #[schemars(schema_with = "headroom")]
    #[serde(default)]
    pub headroom: Option<Share>,
}

fn text(format: &str) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "format": format })
}

fn path(_: &mut SchemaGenerator) -> Schema {
    text("path")
}

fn lane_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "lane", "pattern": "^[a-z0-9-]{1,63}$" })
}

fn endpoint(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "endpoint", "pattern": "^https?://[^/@?#]+/?$" })
}

fn project_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "project-id", "pattern": "^[0-9A-Za-z]{32}$" })
}

fn env_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "env-name", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
}

fn credential(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "credential", "pattern": "^[^/]+$" })
}

fn headroom(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "headroom", "pattern": r"^[0-9]{1,2}(\.[0-9]{1,2})?%$" })
}
