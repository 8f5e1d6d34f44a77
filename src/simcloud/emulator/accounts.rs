//! The accounts of the emulated cloud: access keys and users, read from a YAML file.
//!
//! Invariant: no secret of it is ever printed; none needs to be real, but people may paste a real
//! one.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};

use crate::yaml::plain;

/// Life of a token as IAM documents it.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The accounts file: every field may be left out. With neither keys nor users only a fixed token
/// is asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Accounts {
    /// How long an issued token is good.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub token_life: Duration,
    /// Access keys that may sign.
    pub keys: Vec<AccountKey>,
    /// Users that may ask for tokens.
    pub users: Vec<AccountUser>,
    /// Agencies by which users of other accounts may act.
    pub agencies: Vec<AccountAgency>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { token_life: TOKEN_LIFE, keys: Vec::new(), users: Vec::new(), agencies: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountKey {
    pub access_key: String,
    pub secret_key: Hidden,
    /// Of a temporary key: what `X-Security-Token` must be.
    #[serde(default)]
    pub security_token: Option<Hidden>,
}

/// A user of IAM.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountUser {
    pub domain: String,
    pub user: String,
    pub password: Hidden,
    /// The projects in which the user has a role; left out: all.
    #[serde(default)]
    pub projects: Option<Vec<String>>,
    /// Whether the user may act by agencies: the vendor's policy `Agent Operator`.
    #[serde(default = "operates")]
    pub agent_operator: bool,
}

fn operates() -> bool {
    true
}

/// An agency: users of one account may act in another.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountAgency {
    /// The account that made it.
    pub domain: String,
    pub name: String,
    /// The account whose users may act by it.
    pub trusts: String,
    /// The projects in which it has a role; left out: all.
    #[serde(default)]
    pub projects: Option<Vec<String>>,
}

/// A text that is not printed.
#[derive(Clone)]
pub struct Hidden(SecretString);

impl Hidden {
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::from(text)))
    }
}

/// The accounts file cannot be read. What stands in it is not shown.
#[derive(Debug, thiserror::Error)]
#[error(
    "accounts file, at `{path}`{place}: not as expected; the fields are token_life, keys (access_key, secret_key, security_token), users (domain, user, password, projects, agent_operator) and agencies (domain, name, trusts, projects)"
)]
pub struct AccountsError {
    path: String,
    place: String,
}

impl Accounts {
    /// Reads an accounts file.
    ///
    /// # Errors
    /// With the path of the field, and line and column if they are known.
    pub fn from_yaml(text: &str) -> Result<Self, AccountsError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_path_to_error::deserialize(serde_yaml::Deserializer::from_str(text)).map_err(
            |error| {
                let place = error
                    .inner()
                    .location()
                    .map(|at| format!(", line {}, column {}", at.line(), at.column()))
                    .unwrap_or_default();
                AccountsError { path: plain(&error.path().to_string()), place }
            },
        )
    }
}
