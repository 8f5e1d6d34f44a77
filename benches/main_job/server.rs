//! The servers that all contestants call.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::emulator::{Emulator, JOB_TIME};
use crate::nginx::Nginx;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Stock nginx, which costs next to nothing.
    Nginx,
    /// The emulated cloud, which knows what it answers.
    Emulator,
}

impl Kind {
    /// Its name in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Emulator => "emulator",
        }
    }
}

/// A running server.
pub enum Server {
    /// Stock nginx.
    Nginx(Nginx),
    /// The emulated cloud.
    Emulator(Emulator),
}

impl Server {
    /// Starts a fresh one for a fleet of `proxies`, with what it writes below `dir`.
    pub fn start(kind: Kind, proxies: u32, dir: &Path) -> Result<Self, Failure> {
        Ok(match kind {
            Kind::Nginx => Self::Nginx(Nginx::start(dir)?),
            Kind::Emulator => Self::Emulator(Emulator::start(proxies, JOB_TIME)?),
        })
    }

    /// The base of its URLs.
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Nginx(nginx) => &nginx.endpoint,
            Self::Emulator(emulator) => &emulator.endpoint,
        }
    }

    /// A job to ask for.
    pub fn first_job(&self) -> Result<String, Failure> {
        match self {
            Self::Nginx(nginx) => Ok(nginx.first_job()),
            Self::Emulator(emulator) => emulator.first_job(),
        }
    }

    /// That the server saw what was told. A run that did not do its work is no measurement.
    pub fn agrees(&self, changes: u32, succeeded: u32, calls: u64) -> Result<(), Failure> {
        match self {
            Self::Nginx(nginx) => nginx.agrees(changes, succeeded, calls),
            Self::Emulator(emulator) => emulator.agrees(changes, succeeded, calls),
        }
    }
}
