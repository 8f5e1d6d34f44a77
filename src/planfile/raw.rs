//! The plan as it is written: one type per map, and nothing but shape. The doc comments are what an
//! editor shows.
//!
//! Invariant: `deny_unknown_fields` everywhere, and neither `flatten` nor `tag`, with which readers
//! lose places.
//!
//! Deliberately not here: what only several keys together say (`meaning`, `waves`, `calendar`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::selector::Pattern;
use crate::domain::cron::Expression;
use crate::domain::group::{GROUP_LIMITS_MAX, GroupBy};
use crate::domain::id::{InstanceId, Name, ProxyId};
use crate::domain::notify::RECEIVERS_MAX;
use crate::domain::plan::{APPROVALS_MAX, WAVES_MAX};
use crate::domain::window::{FREEZES_MAX, WINDOWS_MAX};
use crate::domain::zone::Zone;
use crate::yaml::length::Length;
use crate::yaml::share::{CountOrShare, WaveSize};

/// Most entries of `targets.discover`.
const DISCOVER_MAX: u32 = 100;

/// Most entries of `targets.exclude`: each is held against every target.
const EXCLUDE_MAX: u32 = 1_000;

/// Most changes in flight of one plan.
const MAX_IN_FLIGHT_MAX: u32 = 10_000;

/// A plan: which proxies get SSL switched on or off, when, and in which steps.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPlan {
    /// Version of the plan's form: 1.
    #[schemars(range(min = 1, max = 1))]
    #[serde(rename = "version")]
    pub _version: u32,
    /// The plan's name: 1 to 63 of the characters a-z, 0-9 and `-`. Name, revision, wanted value
    /// and targets make the rollout's identity.
    #[schemars(schema_with = "plan_name")]
    pub name: Name,
    /// Raise it to run the same plan again on purpose. Default: 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub revision: Option<u32>,
    /// Free text.
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// Change ticket, carried into journal and evidence.
    #[schemars(length(max = 200))]
    pub change_ref: Option<String>,
    /// Who answers for it.
    #[schemars(length(max = 200))]
    pub owner: Option<String>,
    /// The wanted value: `true` switches SSL on, `false` off.
    pub ssl_option: bool,
    /// A daemon that finds this plan in its folder of plans submits it by itself. Default: false.
    pub autostart: Option<bool>,
    /// The proxies. `list`, `files` and `discover` together are one set; a proxy named twice is an
    /// error.
    pub targets: RawTargets,
    /// When changes may begin: the union of all windows. Without any: at any time.
    #[schemars(length(min = 1, max = WINDOWS_MAX))]
    pub windows: Option<Vec<RawWindow>>,
    /// When no change may begin, whatever the windows say.
    #[schemars(length(min = 1, max = FREEZES_MAX))]
    pub freezes: Option<Vec<RawFreeze>>,
    /// No change begins earlier: an instant with its offset, such as `2026-12-01T00:00:00+08:00`.
    #[schemars(schema_with = "instant")]
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Pace, waves and guards.
    pub strategy: Option<RawStrategy>,
    /// How often one change is tried and how long is waited between.
    pub retry: Option<Retry>,
    /// When a change counts as effective.
    pub verify: Option<RawVerify>,
    /// Who must say yes before the rollout begins. Default: nobody.
    pub approval: Option<RawApproval>,
    /// Receivers of notifications, as the daemon's configuration names them, that alone are told of
    /// this plan's rollouts. Default: all of them.
    #[schemars(schema_with = "receivers")]
    #[serde(default)]
    pub notify: Option<Vec<Name>>,
    /// Once its rollout has completed, the plan runs again at each tick: it looks at every target,
    /// and reports or puts right what drifted.
    pub enforce: Option<RawEnforce>,
}

/// The proxies of a plan.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Targets", deny_unknown_fields)]
pub struct RawTargets {
    /// Proxies written here.
    #[schemars(length(min = 1))]
    pub list: Option<Vec<RawTarget>>,
    /// Files of proxies: CSV with the columns `lane,instance_id,proxy_id`, where known `ssl_option`
    /// and `instance_name`, and any number of `tag:NAME`, JSON Lines or YAML with the same keys.
    /// Relative to the plan, never outside its folder.
    #[schemars(length(min = 1, max = 100))]
    pub files: Option<Vec<String>>,
    /// Proxies that are found when the plan is previewed or submitted: all of the instances that
    /// match one of these. They run after those of `list` and `files`, by lane, instance name and
    /// id.
    #[schemars(length(min = 1, max = DISCOVER_MAX))]
    pub discover: Option<Vec<Discover>>,
    /// Proxies that are left out although they are listed, in a file or found. The preview tells
    /// them with the reason.
    #[schemars(length(min = 1, max = EXCLUDE_MAX))]
    pub exclude: Option<Vec<RawExclude>>,
    /// A larger set is refused. Default: 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: Option<u32>,
}

/// One proxy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Target", deny_unknown_fields)]
pub struct RawTarget {
    /// The lane that reaches it, as the daemon's configuration names it.
    #[schemars(schema_with = "lane_name")]
    pub lane: Name,
    /// The instance: 36 letters and digits ending in `in07`.
    #[schemars(schema_with = "instance_id")]
    pub instance_id: InstanceId,
    /// The proxy, `pool_id` in the proxy list: 36 letters and digits ending in `po01`.
    #[schemars(schema_with = "proxy_id")]
    pub proxy_id: ProxyId,
    /// Free labels.
    pub tags: Option<BTreeMap<String, String>>,
    /// What the proxy showed when the list was made. `sealift plan` tells it, and a proxy that
    /// shows another value when its change begins is skipped and named. Default: not known.
    pub ssl_option: Option<bool>,
    /// The instance's name, for people: `changes` tells it. Default: not known.
    #[schemars(length(max = 200))]
    pub instance_name: Option<String>,
}

/// Instances whose proxies are found. What is left out matches anything.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Discover {
    /// The lane that is searched, as the daemon's configuration names it.
    #[schemars(schema_with = "lane_name")]
    pub lane: Name,
    /// Its name; `*` stands for anything, as in `prod-*`.
    #[schemars(length(min = 1, max = 200))]
    pub instance_name: Option<Pattern>,
    /// Tags that it has, each with this value.
    #[schemars(length(min = 1))]
    pub tags: Option<BTreeMap<String, String>>,
    /// Its status in the cloud's word, such as `ACTIVE`.
    #[schemars(length(min = 1, max = 50))]
    pub state: Option<String>,
}

/// Proxies that are left out: those that match all of what is said here, which is one thing at
/// least.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Exclude", deny_unknown_fields)]
pub struct RawExclude {
    /// Its lane.
    #[schemars(schema_with = "lane_name")]
    #[serde(default)]
    pub lane: Option<Name>,
    /// Its instance's name; `*` stands for anything. Known of targets that were discovered.
    #[schemars(length(min = 1, max = 200))]
    pub instance_name: Option<Pattern>,
    /// Its instance.
    #[schemars(schema_with = "instance_id")]
    #[serde(default)]
    pub instance_id: Option<InstanceId>,
    /// The proxy.
    #[schemars(schema_with = "proxy_id")]
    #[serde(default)]
    pub proxy_id: Option<ProxyId>,
    /// Tags that it has, each with this value.
    #[schemars(length(min = 1))]
    pub tags: Option<BTreeMap<String, String>>,
    /// Why; the preview tells it.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,
}

/// A recurring stretch of time in which changes may begin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Window", deny_unknown_fields)]
pub struct RawWindow {
    /// When it opens: minute, hour, day of month, month, day of week as in crontab, or `@daily` and
    /// its like. Sunday is 0 or 7; with both day fields restricted it opens on days that match
    /// either.
    #[schemars(schema_with = "cron")]
    pub cron: Expression,
    /// How long it stays open, in elapsed time, past midnight too.
    pub duration: Length,
    /// The zone of the cron expression, such as `Asia/Singapore`. A local hour that is skipped
    /// opens the window at the next minute that exists, one that comes twice opens it once; a
    /// minute or hour that begins with `*` opens it whenever the clock matches. `sealift windows`
    /// shows both nights.
    #[schemars(schema_with = "time_zone")]
    pub time_zone: Zone,
    /// So long before it closes nothing new begins.
    pub cutoff: Option<Length>,
}

/// A stretch of time in which no change may begin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Freeze", deny_unknown_fields)]
pub struct RawFreeze {
    /// First local time of it, such as `2026-12-24T00:00`; of one that comes twice, the first.
    #[schemars(schema_with = "local_time")]
    pub from: DateTime,
    /// First local time after it; of one that comes twice, the second.
    #[schemars(schema_with = "local_time")]
    pub to: DateTime,
    /// The zone of both, such as `Asia/Singapore`.
    #[schemars(schema_with = "time_zone")]
    pub time_zone: Zone,
    /// Shown to whoever waits.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,
}

/// Pace, waves and guards.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename = "Strategy", deny_unknown_fields)]
pub struct RawStrategy {
    /// Changes whose job has not ended, at most. On one instance it is always 1. Default: 20.
    #[schemars(range(min = 1, max = MAX_IN_FLIGHT_MAX))]
    pub max_in_flight: Option<u32>,
    /// At most so many of them of any one lane, or of any one value of a tag: `{lane: 10,
    /// "tag:tier": 2}`. A target without the tag is not limited by it. Default: no such limit.
    #[serde(default)]
    #[schemars(schema_with = "group_limits")]
    pub max_in_flight_per: Option<BTreeMap<GroupBy, u32>>,
    /// Steps, one after the other. Default: one wave `all` of all targets.
    #[schemars(length(min = 1, max = WAVES_MAX))]
    pub waves: Option<Vec<RawWave>>,
    /// Reached, the rollout halts. Failures and changes in flight together never exceed it, so it
    /// also bounds the pace. A number or a share of the targets for the whole rollout, or the
    /// limits of a wave and of the rollout apart. A share rounds down; 0 means that the first
    /// failure halts. Whatever its budget, a wave that ends with half or more of it failed or in
    /// doubt halts the rollout. Default: 20.
    pub max_failures: Option<MaxFailures>,
    /// Time with an open window without a change ending, after which the rollout halts. What is
    /// waited for lanes that are paused, refused, out of reach or held by their clock does not
    /// count. Default: 20m.
    pub progress_deadline: Option<Length>,
    /// What follows when a failure budget is spent. Default: halt.
    pub on_failure: Option<RawOnFailure>,
    /// Whether a revert keeps to the windows. A freeze holds it in any case. Default: false.
    pub revert_in_window: Option<bool>,
}

/// One step of a rollout.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Wave", deny_unknown_fields)]
pub struct RawWave {
    /// Its name: 1 to 63 of the characters a-z, 0-9 and `-`.
    #[schemars(schema_with = "wave_name")]
    pub name: Name,
    /// A count, a share of all targets such as `5%` (rounded up), or `rest`.
    pub size: WaveSize,
    /// Wait after its last change, before the next wave. Default: none.
    pub soak: Option<Length>,
    /// Who lets the next wave begin. Default: auto.
    pub promote: Option<RawPromote>,
}

/// Who lets the next wave begin.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename = "Promote", rename_all = "snake_case")]
pub enum RawPromote {
    /// The soak's end.
    Auto,
    /// A person, with `sealift promote`.
    Manual,
}

/// A failure budget for the rollout, or one per wave and one for the rollout.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MaxFailures {
    /// One budget.
    One(CountOrShare),
    /// Two budgets.
    Two(Budgets),
}

/// Two failure budgets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Of each wave; a share is one of the wave's targets. Default: half of the wave, at least 1,
    /// never above `rollout`.
    pub wave: Option<CountOrShare>,
    /// Of the whole rollout. Default: 20.
    pub rollout: Option<CountOrShare>,
}

/// What follows when a failure budget is spent.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename = "OnFailure", rename_all = "snake_case")]
pub enum RawOnFailure {
    /// The rollout halts; a person decides.
    Halt,
    /// The rollout puts back what it changed and nobody changed since, the newest wave first.
    Revert,
}

/// Who must say yes before a rollout begins.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename = "Approval", deny_unknown_fields)]
pub struct RawApproval {
    /// Approvers other than the submitter, each with `sealift approve`. 0: none.
    #[schemars(range(min = 0, max = APPROVALS_MAX))]
    pub required: u16,
}

/// When the plan runs again, and what it does about drift.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Enforce", deny_unknown_fields)]
pub struct RawEnforce {
    /// When it runs: minute, hour, day of month, month, day of week as in crontab, or `@daily` and
    /// its like.
    #[schemars(schema_with = "cron")]
    pub cron: Expression,
    /// The zone of the cron expression, such as `Asia/Shanghai`.
    #[schemars(schema_with = "time_zone")]
    pub time_zone: Zone,
    /// Whether drift is only reported or put right. Default: inform.
    pub mode: Option<RawMode>,
    /// More drift than that holds the enforcement, and nothing is put right until a person releases
    /// it. A number, or a share of all targets that rounds down, but to 1 at least. Default: 5%.
    pub max_drift: Option<CountOrShare>,
}

/// What an enforcement does about drift.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename = "Mode", rename_all = "snake_case")]
pub enum RawMode {
    /// It reports which targets drifted.
    Inform,
    /// It puts them right, in the plan's windows.
    Apply,
}

/// How often one change is tried and how long is waited between. A check before a switch that fails
/// is repeated with the same waits and is no attempt; 10 that fail in a row fail the change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Switch calls that one change may spend; reads spend none. Default: 6.
    #[schemars(range(min = 1, max = 20))]
    pub max_attempts: Option<u16>,
    /// Wait after the first failed attempt; it doubles with each. Default: 2s.
    pub initial: Option<Length>,
    /// Longest wait. Default: 5m.
    pub max: Option<Length>,
}

/// When a change counts as effective.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Verify", deny_unknown_fields)]
pub struct RawVerify {
    /// How long the proxy may take to show the new value after its job completed. Default: 3m.
    pub timeout: Option<Length>,
    /// The proxy's port must show it too: a probe reads the greeting and does the TLS handshake.
    /// Default: the API's word is enough.
    pub wire: Option<RawWire>,
}

/// What the wire must show.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename = "Wire", deny_unknown_fields)]
pub struct RawWire {
    /// The oldest TLS version that counts. Default: "1.2".
    pub min_tls: Option<MinTls>,
    /// Authorities in PEM, one of which must have signed the proxy's certificate, and every
    /// certificate must be valid now. Relative to the plan, never outside its folder. Default: the
    /// chain is recorded and not judged.
    pub ca_file: Option<String>,
    /// What is done about plain text that is still accepted. It is told as far as the greeting
    /// does. Default: report.
    #[serde(rename = "plaintext")]
    pub _plaintext: Option<RawPlaintext>,
}

/// A TLS version that can be asked for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum MinTls {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// What is done about plain text that is still accepted.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename = "Plaintext", rename_all = "snake_case")]
pub enum RawPlaintext {
    /// It is recorded.
    Report,
}

fn group_limits(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "format": "group", "pattern": "^(lane|tag:.+)$" },
        "additionalProperties": { "type": "integer", "minimum": 1, "maximum": MAX_IN_FLIGHT_MAX },
        "minProperties": 1,
        "maxProperties": GROUP_LIMITS_MAX,
    })
}

fn text(format: &str, pattern: &str) -> Schema {
    json_schema!({ "type": "string", "format": format, "pattern": pattern })
}

fn plan_name(_: &mut SchemaGenerator) -> Schema {
    text("plan-name", "^[a-z0-9-]{1,63}$")
}

fn lane_name(_: &mut SchemaGenerator) -> Schema {
    text("lane", "^[a-z0-9-]{1,63}$")
}

fn receivers(_: &mut SchemaGenerator) -> Schema {
    let name = text("receiver", "^[a-z0-9-]{1,63}$");
    json_schema!({ "type": "array", "minItems": 1, "maxItems": RECEIVERS_MAX, "items": name })
}

fn wave_name(_: &mut SchemaGenerator) -> Schema {
    text("wave", "^[a-z0-9-]{1,63}$")
}

fn instance_id(_: &mut SchemaGenerator) -> Schema {
    text("instance-id", "^[0-9A-Za-z]{32}in07$")
}

fn proxy_id(_: &mut SchemaGenerator) -> Schema {
    text("proxy-id", "^[0-9A-Za-z]{32}po01$")
}

fn cron(_: &mut SchemaGenerator) -> Schema {
    text("cron", r"^(@[a-z]+|(\S+\s+){4}\S+)$")
}

fn time_zone(_: &mut SchemaGenerator) -> Schema {
    text("time-zone", "^[A-Za-z0-9_+/-]+$")
}

fn local_time(_: &mut SchemaGenerator) -> Schema {
    text("local-time", r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$")
}

fn instant(_: &mut SchemaGenerator) -> Schema {
    text("instant", r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?([Zz]|[+-]\d{2}:\d{2})$")
}
