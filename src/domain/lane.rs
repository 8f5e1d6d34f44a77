//! The lane: one account's access to one project in one region, and what it may use.
//!
//! Invariant: it holds no secret, only where one is found; so a lane may be printed and logged.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::change::Timing;
use super::id::{Name, ProjectId};
use super::quota::Quota;

/// One lane of the daemon's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Its name, as targets write it.
    pub name: Name,
    /// How it reaches the cloud.
    pub access: Access,
    /// What all its calls together may use, headroom already taken off; `None`: no limit of ours.
    pub quota: Option<Quota>,
    /// Changes in flight on this lane, over all rollouts, at most.
    pub max_in_flight: u32,
    /// From the wire instant to giving an answer up.
    pub call_timeout: Duration,
    /// While the cloud's clock may be further from ours than this, no switch is sent.
    pub clock_tolerance: Duration,
    /// Intervals and limits of its calls.
    pub timing: Timing,
}

/// Most lanes of one daemon, and so of a plan: every project of a large organisation's accounts, in
/// every region. The engine keeps a count of calls for each.
pub const LANES_MAX: usize = 5_000;

/// A lane's `clock_tolerance` unless it says otherwise: a third of what the cloud bears between its
/// clock and a signature.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The lanes by name, each with the first one before it that reaches the same project, if one does.
/// A project is one, whatever the endpoint: what one lane spends of its quota the other would not
/// see.
pub fn reached(lanes: &[Lane]) -> BTreeMap<Name, Option<Name>> {
    let mut first: BTreeMap<&ProjectId, &Name> = BTreeMap::new();
    let mut reached = BTreeMap::new();
    for lane in lanes {
        let before = first.get(&lane.access.project_id).map(|name| (*name).clone());
        if before.is_none() {
            first.insert(&lane.access.project_id, &lane.name);
        }
        reached.insert(lane.name.clone(), before);
    }
    reached
}

/// Where a lane's calls go and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Base of every URL, without a slash at its end:
    /// `https://gaussdb.ap-southeast-3.myhuaweicloud.com`.
    pub endpoint: String,
    pub project_id: ProjectId,
    pub credentials: Credentials,
    /// In which language errors are told.
    pub language: Language,
    /// What TLS does otherwise than usual.
    pub tls: LaneTls,
}

/// The languages of the API (`X-Language`). Codes, states and names of jobs are the same in both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    EnUs,
    ZhCn,
}

impl Language {
    /// As the API and the configuration write it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::EnUs => "en-us",
            Self::ZhCn => "zh-cn",
        }
    }
}

/// A lane's own TLS, for its endpoint and its IAM endpoint: private endpoints stand behind gateways
/// of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaneTls {
    /// PEM file of the only authorities that are trusted; `None`: those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// What is shown to a gateway that wants to know its clients.
    pub client: Option<ClientCertificate>,
}

impl LaneTls {
    /// Whether nothing is otherwise.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// The two PEM files of a client certificate. The key is a secret, of which only the place stands
/// here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, its chain behind it.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Who we are at the cloud. Of every secret only the place stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A finished IAM token, sent as `X-Auth-Token`; somebody else renews it.
    Token(SecretSource),
    /// An access key: every request is signed (SDK-HMAC-SHA256).
    AccessKey {
        /// The key's public half (AK).
        access_key: SecretSource,
        /// Its secret half (SK).
        secret_key: SecretSource,
        /// Of a temporary key: `X-Security-Token`.
        security_token: Option<SecretSource>,
    },
    /// A user of IAM, who gets tokens for a password.
    Password {
        /// Base of IAM's URLs, without a slash at its end:
        /// `https://iam.ap-southeast-3.myhuaweicloud.com`.
        iam_endpoint: String,
        user: NameSource,
        password: SecretSource,
        /// The account (domain) that the user belongs to.
        domain: NameSource,
        /// The lane is not the user's own account's: the user acts by this agency there.
        agency: Option<Agency>,
    },
}

impl Credentials {
    /// Who we are, for people: by the place of what is secret.
    pub fn identity(&self) -> String {
        match self {
            Self::Token(source) => format!("token in {source}"),
            Self::AccessKey { access_key, .. } => format!("access key in {access_key}"),
            Self::Password { user, domain, agency, .. } => {
                let by = agency.as_ref().map(|agency| format!(", by {agency}"));
                format!("user {user} of account {domain}{}", by.unwrap_or_default())
            }
        }
    }
}

/// What lets users of one account act in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agency {
    pub name: String,
    /// The account (domain) that made it, and whose project the lane reaches.
    pub domain: String,
}

impl fmt::Display for Agency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agency {} of account {}", self.name, self.domain)
    }
}

/// A name that is no secret, or the place where it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameSource {
    Plain(String),
    /// Found elsewhere, as a secret is.
    Found(SecretSource),
}

impl fmt::Display for NameSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::Found(source) => write!(f, "in {source}"),
        }
    }
}

/// Where a secret is found; it is read when it is needed and again when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, absolute or relative to the configuration file (already joined).
    File(PathBuf),
    Env(String),
    /// A systemd credential: the file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "${name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
        }
    }
}
