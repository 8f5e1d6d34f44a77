//! The configuration as it is written: nothing but shape. The doc comments are what an editor
//! shows.

mod notify;

pub use self::notify::{RawReceiver, RawShape};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::domain::id::Name;
use crate::domain::notify::RECEIVERS_MAX;
use crate::yaml::length::Length;
use crate::yaml::share::CountOrShare;

/// The configuration of the Sealift daemon. Paths are relative to this file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename = "Config", deny_unknown_fields)]
pub struct RawConfig {
    /// Folder of plans. A new or changed plan is checked at once, one with `autostart: true` is
    /// submitted. Default: `/etc/sealift/plans.d`. The environment variable `SEALIFT_PLANS` stands
    /// above it.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub plans: Option<String>,
    /// The daemon's name among those over the same database, of it alone: 1 to 63 of the characters
    /// a-z, 0-9 and `-`. Default: the machine's name.
    #[schemars(schema_with = "lane_name")]
    #[serde(default)]
    pub daemon: Option<Name>,
    /// Where the queue is kept.
    pub store: Option<RawStore>,
    /// How the daemon is spoken to.
    pub api: Option<RawApi>,
    /// Traces of changes, for a receiver of OpenTelemetry. Off unless it is written.
    pub traces: Option<RawTraces>,
    /// What holds for every lane that does not say otherwise: any keys of a lane but `name` and
    /// `project_id`.
    #[schemars(schema_with = "lane_defaults")]
    #[serde(default)]
    pub lane_defaults: Option<RawLane>,
    /// Files of lanes, beside `lanes`: CSV, JSON Lines or YAML by their ending.
    #[schemars(schema_with = "lane_files")]
    #[serde(default)]
    pub lane_files: Option<Vec<String>>,
    /// The ways to the cloud: one for each account and project whose proxies are changed. With
    /// those of `lane_files` 5,000 at most.
    pub lanes: Option<Vec<RawLane>>,
    /// Who is told what happens, one entry a receiver.
    #[schemars(length(max = RECEIVERS_MAX))]
    pub notify: Option<Vec<RawReceiver>>,
}

/// Where the queue is kept: on this machine, or in a database.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename = "Store", deny_unknown_fields)]
pub struct RawStore {
    /// Folder of journal and queue, for one daemon. Default: `/var/lib/sealift/queue`. The
    /// environment variable `SEALIFT_STORE` stands above it.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub sled: Option<String>,
    /// Journal and queue in PostgreSQL, instead of in a folder.
    pub postgres: Option<RawPostgres>,
}

/// A store in PostgreSQL, 15 or newer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Postgres", deny_unknown_fields)]
#[schemars(extend(
    "x-instead" = "must be a map: write `postgres: {url: \"host=db1,db2 dbname=sealift user=sealift\", password: {file: PATH}}`"
))]
pub struct RawPostgres {
    /// The database, as a URL or a list such as `host=db1,db2 dbname=sealift user=sealift`, without
    /// a password. Of several hosts the one that takes writes is worked with. Over a network TLS is
    /// spoken, and the server's name verified.
    #[schemars(schema_with = "database_url")]
    pub url: String,
    /// Where the role's password is found.
    #[serde(default)]
    pub password: Option<RawSecret>,
    /// File of the authorities (PEM) that are trusted instead of this machine's. Read when the
    /// daemon starts.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub ca_file: Option<String>,
    /// The schema of its tables: small letters, digits and `_`. Default: `sealift`.
    #[schemars(schema_with = "schema_name")]
    #[serde(default)]
    pub schema: Option<String>,
    /// Folder of this daemon alone: what it has seen of the store, and copies of what was
    /// submitted; what else it keeps is beside it. Default: `/var/lib/sealift/database`.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub folder: Option<String>,
    /// Take a server that runs with `fsync` or `full_page_writes` off, and so loses at a power cut
    /// what was acknowledged: for tests. Default: false.
    #[serde(default)]
    pub allow_no_fsync: Option<bool>,
}

/// How the daemon is spoken to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Api", deny_unknown_fields)]
pub struct RawApi {
    /// Unix socket; who may open it may act. Default: `/run/sealift/api.sock`. The environment
    /// variable `SEALIFT_SOCKET` stands above it.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub socket: Option<String>,
    /// Who may do what, one entry a person or group. Without it, whoever may open the socket may do
    /// all.
    #[schemars(length(min = 1, max = 1000))]
    pub people: Option<Vec<RawPerson>>,
    /// Address and port on which the API listens beside the socket, such as `127.0.0.1:7633`. Plain
    /// HTTP is taken on this machine alone; any other address needs `tls`. Off unless it is set.
    #[schemars(schema_with = "listen")]
    #[serde(default)]
    pub listen: Option<String>,
    /// How browsers and clients elsewhere name the daemon, such as
    /// `https://sealift.example.net:7633`. Default: that of `listen`.
    #[schemars(schema_with = "origin")]
    #[serde(default)]
    pub origin: Option<String>,
    /// TLS of `listen`, with HTTP/2.
    pub tls: Option<RawTls>,
    /// File of the tokens that clients show, as `sealift token` writes it: hashes alone. Read again
    /// when it changes.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub tokens_file: Option<String>,
    /// The key that signs the sessions of browsers. Default: a file of the state directory, made at
    /// the first start.
    pub session_key: Option<RawSessionKey>,
}

/// Where traces of changes are sent, and of how many.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Traces", deny_unknown_fields)]
pub struct RawTraces {
    /// The receiver of OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`. Plain HTTP is
    /// taken on this machine alone.
    #[schemars(schema_with = "receiver")]
    pub url: String,
    /// Share of the changes, such as `5%`. What failed or is in doubt is sent always. Default:
    /// `5%`.
    #[schemars(schema_with = "trace_share")]
    #[serde(default)]
    pub share: Option<CountOrShare>,
}

/// What the API's door on the network shows and asks for. The files are read again when they
/// change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "ApiTls", deny_unknown_fields)]
pub struct RawTls {
    /// File of the certificate (PEM, its chain behind it).
    #[schemars(schema_with = "path")]
    pub cert_file: String,
    /// File of that certificate's key (PEM, without a passphrase).
    #[schemars(schema_with = "path")]
    pub key_file: String,
    /// File of the authorities (PEM) of clients' certificates, which `certificate` of `people`
    /// names. Without it none is asked for.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub client_ca_file: Option<String>,
}

/// Where the key of sessions is found.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "SessionKey", deny_unknown_fields)]
pub struct RawSessionKey {
    /// A file with 32 random bytes or more, which the daemon alone may read; several daemons may
    /// share it. Read when the daemon starts.
    #[schemars(schema_with = "path")]
    pub file: String,
}

/// A person, with one name whatever the door; or all members of a group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "Person", deny_unknown_fields)]
pub struct RawPerson {
    /// The name in the journal and beside approvals, of this person alone; a token names it.
    /// Default: that of `unix`.
    #[schemars(schema_with = "person_name")]
    #[serde(default)]
    pub name: Option<String>,
    /// The user of the daemon's host who this person is on the socket.
    #[schemars(schema_with = "user")]
    #[serde(default)]
    pub unix: Option<String>,
    /// The subject of the certificate that this person's client shows, such as `CN=ada`.
    #[schemars(schema_with = "subject")]
    #[serde(default)]
    pub certificate: Option<String>,
    /// A group of the daemon's host: what its members may on the socket, beside their own entries.
    /// It stands alone.
    #[schemars(schema_with = "user")]
    #[serde(default)]
    pub group: Option<String>,
    /// What they may do.
    #[schemars(length(min = 1, max = 4))]
    pub may: Vec<RawRole>,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "Role", rename_all = "snake_case")]
pub enum RawRole {
    /// See everything.
    Read,
    /// All verbs and submissions, and looks and preflight, which spend quota.
    Operate,
    /// Approve a rollout.
    Approve,
    /// In addition to `operate`: what switches SSL off.
    Off,
}

/// One account's access to one project in one region.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename = "Lane", deny_unknown_fields)]
#[schemars(extend("required" = ["name", "project_id"]))]
pub struct RawLane {
    /// Its name, as targets write it: 1 to 63 of the characters a-z, 0-9 and `-`.
    #[schemars(schema_with = "lane_name")]
    #[serde(default)]
    pub name: Option<Name>,
    /// The vendor's region, such as `ap-southeast-3`: it gives `endpoint` and `iam_endpoint`, each
    /// unless it is written.
    #[schemars(schema_with = "region")]
    #[serde(default)]
    pub region: Option<String>,
    /// Base of the service's URLs, such as `https://gaussdb.ap-southeast-3.myhuaweicloud.com`;
    /// needed without a `region`. `http://` is taken for this machine only.
    #[schemars(schema_with = "endpoint")]
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Base of IAM's URLs, such as `https://iam.ap-southeast-3.myhuaweicloud.com`: where a user
    /// with a password gets tokens. Not needed with a token or an access key.
    #[schemars(schema_with = "endpoint")]
    #[serde(default)]
    pub iam_endpoint: Option<String>,
    /// The project: 32 letters and digits.
    #[schemars(schema_with = "project_id")]
    #[serde(default)]
    pub project_id: Option<String>,
    /// Who we are there; needed, here or in `lane_defaults`. Those of `lane_defaults` are taken
    /// over as a whole, to which `agency` may be added, or not at all.
    pub credentials: Option<RawCredentials>,
    /// In which language the cloud tells its errors (the API's `X-Language`). Default: `en-us`.
    pub language: Option<RawLanguage>,
    /// File of the authorities (PEM) that the lane trusts instead of this machine's, for `endpoint`
    /// and `iam_endpoint`: of a private endpoint behind a gateway of its own. Read when the daemon
    /// starts.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub ca_file: Option<String>,
    /// File of the certificate (PEM, its chain behind it) that the lane shows to a gateway that
    /// wants to know its clients. Read when the daemon starts.
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub client_cert_file: Option<String>,
    /// File of that certificate's key (PEM, without a passphrase).
    #[schemars(schema_with = "path")]
    #[serde(default)]
    pub client_key_file: Option<String>,
    /// What all calls of the lane together may use. Default: no limit of ours.
    pub quota: Option<RawQuota>,
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
    /// How long the fate of a call without an answer may stay unclear before its change is given to
    /// a person. Default: 30m.
    pub recover_limit: Option<Length>,
    /// No switch is sent while the cloud's clock, as its answers tell it, may be further from this
    /// machine's than this; the hold is called `clock`. Default: 5m.
    pub clock_tolerance: Option<Length>,
}

/// A language of the API.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename = "Language")]
pub enum RawLanguage {
    /// English.
    #[serde(rename = "en-us")]
    EnUs,
    /// Chinese.
    #[serde(rename = "zh-cn")]
    ZhCn,
}

/// Who we are at the cloud, in one of three ways: a finished token; an access key; a user with a
/// password.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename = "Credentials", deny_unknown_fields)]
#[schemars(extend("x-instead" = "must say where a secret is found: write `credentials: {token: {file: PATH}}`, or `access_key` and `secret_key`, or `user`, `password` and `domain`"))]
pub struct RawCredentials {
    /// Where a finished IAM token (`X-Auth-Token`) is found.
    #[serde(default)]
    pub token: Option<RawSecret>,
    /// Where the public half of an access key (AK) is found. Every request is signed with the key.
    #[serde(default)]
    pub access_key: Option<RawSecret>,
    /// Where the secret half of the access key (SK) is found.
    #[serde(default)]
    pub secret_key: Option<RawSecret>,
    /// Where the security token of a temporary access key is found.
    #[serde(default)]
    pub security_token: Option<RawSecret>,
    /// Name of the IAM user, or where it is found. Tokens are got from `iam_endpoint` and renewed
    /// in time.
    #[serde(default)]
    pub user: Option<RawName>,
    /// Where the user's password is found.
    #[serde(default)]
    pub password: Option<RawSecret>,
    /// Name of the account (domain) that the user belongs to, or where it is found.
    #[serde(default)]
    pub domain: Option<RawName>,
    /// The agency by which the user acts, where the lane's project is another account's.
    #[serde(default)]
    pub agency: Option<RawAgency>,
}

/// What lets users of one account act in another: made there, for the user's account.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename = "Agency", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct RawAgency {
    /// Its name; needed, here or in `lane_defaults`.
    #[schemars(schema_with = "account_name")]
    #[serde(default)]
    pub name: Option<String>,
    /// Name of the account (domain) that made it, to which the lane's project
    /// belongs; needed, here or in `lane_defaults`.
    #[schemars(schema_with = "account_name")]
    #[serde(default)]
    pub domain: Option<String>,
}

/// A name, or where it is found.
#[derive(Debug, Clone)]
pub enum RawName {
    Plain(String),
    Found(RawSecret),
}

impl JsonSchema for RawName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Naming".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let found = generator.subschema_for::<RawSecret>();
        json_schema!({ "anyOf": [{ "type": "string", "format": "account-name", "minLength": 1 }, found] })
    }
}

impl<'de> Deserialize<'de> for RawName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;
        impl<'de> Visitor<'de> for TextOrMap {
            type Value = RawName;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name or a map")
            }
            fn visit_str<E>(self, text: &str) -> Result<RawName, E> {
                Ok(RawName::Plain(text.to_owned()))
            }
            // A name of digits alone is a number to YAML.
            fn visit_u64<E>(self, number: u64) -> Result<RawName, E> {
                Ok(RawName::Plain(number.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawName, A::Error> {
                RawSecret::deserialize(MapAccessDeserializer::new(map)).map(RawName::Found)
            }
        }
        deserializer.deserialize_any(TextOrMap)
    }
}

/// Where a secret is found; exactly one of the three.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "x-instead" = "must not stand in the configuration itself: put the secret into a file that only the daemon may read and write `{file: PATH}`, \
                   or `{credential: NAME}` for a systemd credential, or `{env: NAME}`"
))]
pub struct RawSecret {
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
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename = "Quota", deny_unknown_fields)]
pub struct RawQuota {
    /// Calls in one interval; needed, here or in `lane_defaults`.
    #[schemars(range(min = 1, max = 100_000))]
    pub requests: Option<u32>,
    /// The interval, such as `5m`; needed, here or in `lane_defaults`.
    pub per: Option<Length>,
    /// The share left to colleagues. Default: 20%.
    #[schemars(schema_with = "headroom")]
    #[serde(default)]
    pub headroom: Option<CountOrShare>,
}

fn text(format: &str) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "format": format })
}

fn path(_: &mut SchemaGenerator) -> Schema {
    text("path")
}

fn database_url(_: &mut SchemaGenerator) -> Schema {
    text("database-url")
}

fn schema_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "schema-name", "pattern": "^[a-z][a-z0-9_]{0,62}$" })
}

fn person_name(_: &mut SchemaGenerator) -> Schema {
    text("person-name")
}

fn user(_: &mut SchemaGenerator) -> Schema {
    text("user")
}

fn subject(_: &mut SchemaGenerator) -> Schema {
    text("subject")
}

fn listen(_: &mut SchemaGenerator) -> Schema {
    text("listen")
}

fn origin(_: &mut SchemaGenerator) -> Schema {
    text("origin")
}

fn lane_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "lane", "pattern": "^[a-z0-9-]{1,63}$" })
}

/// A lane without what is its own.
fn lane_defaults(generator: &mut SchemaGenerator) -> Schema {
    let mut lane = RawLane::json_schema(generator);
    lane.remove("required");
    if let Some(properties) = lane.get_mut("properties").and_then(|keys| keys.as_object_mut()) {
        properties.retain(|key, _| !matches!(key.as_str(), "name" | "project_id"));
    }
    lane
}

fn lane_files(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": path(generator), "minItems": 1, "maxItems": 100 })
}

fn region(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "region", "pattern": "^[a-z0-9-]+$" })
}

fn endpoint(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "endpoint", "pattern": "^https?://[^/@?#]+/?$" })
}

fn project_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "project-id", "pattern": "^[0-9A-Za-z]{32}$" })
}

fn account_name(_: &mut SchemaGenerator) -> Schema {
    text("account-name")
}

fn env_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "env-name", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" })
}

fn credential(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "credential", "pattern": "^[^/]+$" })
}

fn receiver(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "receiver" })
}

fn trace_share(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "trace-share", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,2})?%$" })
}

fn headroom(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "headroom", "pattern": r"^[0-9]{1,2}(\.[0-9]{1,2})?%$" })
}
