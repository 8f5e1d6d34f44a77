//! The lane: one account's access to one project in one region, and what it may use.
//!
//! Invariant: no secret stands in here, only where one is found; so a lane may be printed and logged.

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
    /// Intervals and limits of its calls.
    pub timing: Timing,
}

/// Where a lane's calls go and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Base of every URL, without a slash at its end: `https://gaussdb.ap-southeast-3.myhuaweicloud.com`.
    pub endpoint: String,
    /// The project.
    pub project_id: ProjectId,
    /// Where the `X-Auth-Token` is found.
    pub token: SecretSource,
}

/// Where a secret is found; it is read when it is needed and again when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, absolute or relative to the configuration file (already joined).
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential: the file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}
