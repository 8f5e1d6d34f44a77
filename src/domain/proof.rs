//! What one look at a proxy's port showed, and what that proves.
//!
//! Job: carry what `probe` saw in a record that the journal and the API can keep, and judge it:
//! [`judge`] says whether the wire shows what a change wanted.
//!
//! Invariants: a proof holds facts, the verdict is a function of it, so the same proof can be
//! judged again under other demands; nothing seen is ever taken for the opposite of what is wanted:
//! what could not be seen is [`ProofVerdict::Unseen`]. Every text of the other side is one
//! printable line of bounded length before it gets here.
//!
//! Deliberately not here: sockets, TLS and certificates (`probe`).

mod judge;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::judge::{Demand, ProofVerdict, Refutation, judge};

use super::id::Digest;

/// Where a proxy listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// An address or a host name, without brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

/// A text that names no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address and a port: write 192.0.2.7:3306, db.example.com:3306 or [2001:db8::7]:3306"
)]
pub struct NotAnEndpoint(String);

/// Longest host name, as DNS has it.
const HOST_MAX: usize = 253;

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || NotAnEndpoint(text.chars().take(HOST_MAX).filter(|c| !c.is_control()).collect());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?.to_string(),
            None => host.to_owned(),
        };
        Self::new(&host, port).ok_or_else(wrong)
    }
}

impl Endpoint {
    /// An endpoint, if the host can be one: an address, or a name of letters, digits, `-`, `_` and
    /// dots.
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let plain = (1..=HOST_MAX).contains(&host.len()) && host.chars().all(named);
        // An address is written in one way only, so that what is kept and read back is the same
        // endpoint.
        let host = if plain {
            host.to_owned()
        } else {
            host.parse::<std::net::Ipv6Addr>().ok()?.to_string()
        };
        (port > 0).then_some(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = NotAnEndpoint;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

/// All that one probe saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub endpoint: Endpoint,
    /// When it began, by our wall clock; certificates are held against this instant.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The server's greeting; `None` if none came that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<Greeting>,
    /// The finished TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Handshake>,
    /// How the server answered the login that ends a probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// What kept the probe from seeing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

impl Proof {
    /// The value of SSL that the port shows; `None` when nothing certain came from it.
    pub fn shown(&self) -> Option<bool> {
        let greeting = self.greeting.as_ref()?;
        (!greeting.tls || self.tls.is_some()).then_some(greeting.tls)
    }

    /// Whether plain text is still accepted, as far as it showed itself on one connection.
    pub fn plaintext(&self) -> PlaintextLogin {
        match (&self.greeting, &self.login) {
            (_, Some(Login::Refused { insecure: true, .. })) => PlaintextLogin::Refused,
            (Some(greeting), _) if !greeting.tls => PlaintextLogin::Only,
            _ => PlaintextLogin::NotExcluded,
        }
    }
}

/// What is kept of a proof beside the change that it proved; the journal has the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofSummary {
    /// When the probe began.
    pub at: Timestamp,
    /// The TLS version agreed on; `None`: no TLS is spoken there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<TlsVersion>,
    /// The cipher suite, by its IANA name; empty without TLS.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cipher: String,
    /// The last second of the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// SHA-256 of the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Whether plain text is still accepted, as far as it showed itself.
    pub plaintext: PlaintextLogin,
}

impl Proof {
    /// The part that stays beside the change.
    pub fn summary(&self) -> ProofSummary {
        let leaf = self.tls.as_ref().and_then(|tls| tls.chain.first());
        ProofSummary {
            at: self.at,
            version: self.tls.as_ref().map(|tls| tls.version),
            cipher: self.tls.as_ref().map_or_else(String::new, |tls| tls.cipher.clone()),
            expires: leaf.and_then(|certificate| certificate.not_after),
            sha256: leaf.map(|certificate| certificate.sha256),
            plaintext: self.plaintext(),
        }
    }
}

/// Whether plain text is still accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaintextLogin {
    /// The greeting announces no TLS: nothing else is spoken there.
    Only,
    /// The greeting does not say; a server that takes only TLS greets like one that takes both.
    NotExcluded,
    /// The server said so to a login without TLS.
    Refused,
}

impl PlaintextLogin {
    /// One word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::NotExcluded => "not_excluded",
            Self::Refused => "refused",
        }
    }
}

/// What the server's greeting says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The version text as sent; MariaDB's begins with `5.5.5-`.
    pub version: String,
    /// Whether TLS is announced: the capability bit CLIENT_SSL.
    pub tls: bool,
    /// All capability bits, for those who want to look closer.
    pub capabilities: u32,
}

/// A TLS version that is spoken today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "1.3")]
    V13,
}

impl TlsVersion {
    /// The number alone: `1.2`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V12 => "1.2",
            Self::V13 => "1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS {}", self.as_str())
    }
}

impl FromStr for TlsVersion {
    type Err = NotATlsVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::V12, Self::V13]
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or(NotATlsVersion)
    }
}

/// A text that names no TLS version which can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a TLS version that can be asked for: write 1.2 or 1.3")]
pub struct NotATlsVersion;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The version agreed on.
    pub version: TlsVersion,
    /// The cipher suite, by its IANA name.
    pub cipher: String,
    /// What the server sent, its own certificate first; never empty.
    pub chain: Vec<Certificate>,
    /// What the chain was held against.
    pub anchors: Anchors,
    /// All that a strict client would object to; empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objections: Vec<Objection>,
}

/// One certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whom it names; empty when it cannot be read.
    pub subject: String,
    /// Who signed it; empty when it cannot be read.
    pub issuer: String,
    /// The alternative names: hosts and addresses, [`NAMES_MAX`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Valid from; `None` when it cannot be read.
    pub not_before: Option<Timestamp>,
    /// Valid until, that second included; `None` when it cannot be read.
    pub not_after: Option<Timestamp>,
    /// SHA-256 of its DER bytes: the fingerprint that `openssl x509 -fingerprint -sha256` prints.
    pub sha256: Digest,
}

/// Alternative names kept of one certificate: shared ones name hundreds of hosts, and a record
/// stays small.
pub const NAMES_MAX: usize = 16;

/// What a chain is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchors {
    /// The authorities of a `ca_file`.
    CaFile,
    /// The authorities that this machine trusts.
    Platform,
}

/// What a strict client would object to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objection {
    pub word: ObjectionWord,
    pub message: String,
}

/// Stable words for [`Objection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectionWord {
    /// No way leads from the certificate to an authority that is trusted.
    UnknownIssuer,
    /// A certificate of the chain is past its end.
    Expired,
    /// A certificate of the chain is before its beginning.
    NotYetValid,
    /// The certificate is for other names than the one that was connected to.
    WrongName,
    /// The certificate breaks another rule.
    Invalid,
    /// The server did not prove that the certificate's key is its own.
    KeyNotProven,
}

impl ObjectionWord {
    /// One word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "unknown_issuer",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongName => "wrong_name",
            Self::Invalid => "invalid",
            Self::KeyNotProven => "key_not_proven",
        }
    }
}

/// How the server answered the login that ends a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Login {
    /// As it must be.
    Refused {
        /// The server's error number.
        code: u16,
        message: String,
        /// It was refused because it came without TLS.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        insecure: bool,
    },
    /// The server lets an unknown user in: it has an account for everybody.
    Accepted,
    /// The connection ended in another way; the server may count it as broken.
    Unanswered { message: String },
}

/// What kept a probe from seeing more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub word: TroubleWord,
    pub message: String,
}

/// Stable words for [`Trouble`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleWord {
    /// No connection: refused, no route, no such name.
    Unreachable,
    /// The time was over first.
    TimedOut,
    /// The other side closed or reset the connection.
    Closed,
    /// What answers does not speak MySQL.
    NotMysql,
    /// More bytes came than a greeting and a handshake have.
    TooMuch,
    /// Error 1129: the server has blocked our host after too many broken connections.
    HostBlocked,
    /// Error 1130: the server has no account for our host, so it does not greet.
    HostRefused,
    /// Error 1040 or 1203: the server is full.
    TooManyConnections,
    /// The server sent another error in place of its greeting.
    Refused,
    /// The server announces TLS and speaks no version from 1.2 on.
    TlsTooOld,
    /// The server announces TLS and the handshake failed.
    HandshakeFailed,
}

impl TroubleWord {
    /// One word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::NotMysql => "not_mysql",
            Self::TooMuch => "too_much",
            Self::HostBlocked => "host_blocked",
            Self::HostRefused => "host_refused",
            Self::TooManyConnections => "too_many_connections",
            Self::Refused => "refused",
            Self::TlsTooOld => "tls_too_old",
            Self::HandshakeFailed => "handshake_failed",
        }
    }
}
