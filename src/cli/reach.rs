//! Finds the daemon: flag, environment, configuration.
//!
//! Invariant: the client verbs and the daemon read the same configuration, so what one listens on the other finds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::args::Reach;
use super::exit::{Exit, Failure};
use crate::domain::id::Name;

/// Where the daemon listens when nothing says otherwise.
pub const SOCKET_DEFAULT: &str = "/run/sealift/api.sock";

/// Where its configuration is when nothing says otherwise.
pub const CONFIG_DEFAULT: &str = "/etc/sealift/sealift.yaml";

/// What is known of the daemon without asking it.
#[derive(Debug)]
pub struct Daemon {
    socket: PathBuf,
    lanes: Option<BTreeSet<Name>>,
}

impl Daemon {
    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its lanes, if its configuration is at hand.
    pub fn lanes(&self) -> Option<&BTreeSet<Name>> {
        self.lanes.as_ref()
    }

    /// A daemon that is known by its socket alone.
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), lanes: None }
    }
}

/// Finds the daemon.
pub fn find(reach: &Reach) -> Result<Daemon, Failure> {
    if let Some(addr) = &reach.addr {
        return Ok(Daemon::at(&socket(addr)?));
    }
    Ok(Daemon::at(Path::new(SOCKET_DEFAULT)))
}

fn socket(addr: &str) -> Result<PathBuf, Failure> {
    let path = addr.strip_prefix("unix://").or_else(|| addr.strip_prefix("unix:")).unwrap_or(addr);
    if path.is_empty() || path.contains("://") {
        return Err(Failure::new(Exit::Error, format!("SEALIFT_ADDR is {addr:?}; it names a socket: /run/sealift/api.sock or unix:/run/sealift/api.sock")));
    }
    Ok(path.into())
}
