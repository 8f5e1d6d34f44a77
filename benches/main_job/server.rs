//! The servers that all contestants call.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::BenchFailure;
use crate::emulator::{BenchEmulator, JOB_TIME};
use crate::nginx::Nginx;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ServerKind {
    /// Stock nginx, which costs next to nothing.
    Nginx,
    /// The emulated cloud, which knows what it answers.
    Emulator,
}

impl ServerKind {
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
    Emulator(BenchEmulator),
}

impl Server {
    /// Starts a fresh one for a fleet of `proxies`, with what it writes below `dir`.
    pub fn start(kind: ServerKind, proxies: u32, dir: &Path) -> Result<Self, BenchFailure> {
        Ok(match kind {
            ServerKind::Nginx => Self::Nginx(Nginx::start(dir)?),
            ServerKind::Emulator => Self::Emulator(BenchEmulator::start(proxies, JOB_TIME)?),
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
    pub fn first_job(&self) -> Result<String, BenchFailure> {
        match self {
            Self::Nginx(nginx) => Ok(nginx.first_job()),
            Self::Emulator(emulator) => emulator.first_job(),
        }
    }

    /// That the server saw what was told. A run that did not do its work is no measurement.
    pub fn agrees(&self, changes: u32, succeeded: u32, calls: u64) -> Result<(), BenchFailure> {
        match self {
            Self::Nginx(nginx) => nginx.agrees(changes, succeeded, calls),
            Self::Emulator(emulator) => emulator.agrees(changes, succeeded, calls),
        }
    }
}
