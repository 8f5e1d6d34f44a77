//! Finds the daemon: flag, environment, configuration.
//!
//! Invariant: the client verbs and the daemon read the same configuration, so what one listens on
//! the other finds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Exit, ExitFailure};
use super::place::{ClientFiles, DaemonPlace};
use super::term;
use crate::config::{self, Config};
use crate::domain::id::Name;
use crate::domain::lane::{Lane, reached};
use crate::words::moment;
use crate::yaml::length::Length;

/// Place in a help text of what many verbs have: behind their own.
pub const LAST: usize = 900;

/// Where the daemon and its configuration are found.
#[derive(Debug, Clone, Default, Args)]
pub struct Reach {
    /// The daemon's configuration [default: /etc/sealift/sealift.yaml]
    #[arg(long, global = true, display_order = LAST + 1, env = "SEALIFT_CONFIG", value_name = "FILE", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// The daemon, if not the configuration's: its socket's PATH or unix:PATH, where `serve`
    /// listens; or https://HOST:PORT
    #[arg(long, global = true, display_order = LAST + 2, env = "SEALIFT_ADDR", value_name = "ADDRESS", hide_env_values = true)]
    pub addr: Option<String>,
    /// How long a daemon that does not answer, as while it starts anew, is waited for; 0s asks once
    /// [default: 30s]
    #[arg(long, global = true, display_order = LAST + 3, env = "SEALIFT_WAIT", value_name = "DURATION", hide_env_values = true, value_parser = moment::length)]
    pub wait: Option<Length>,
}

/// What is known of the daemon without asking it.
#[derive(Debug)]
pub struct DaemonAddress {
    place: DaemonPlace,
    stop_file: Option<PathBuf>,
    lanes: Option<BTreeMap<Name, Option<Name>>>,
    configured: Vec<Lane>,
}

impl DaemonAddress {
    /// Where it is spoken to.
    pub fn place(&self) -> &DaemonPlace {
        &self.place
    }

    /// Full path of the file that stops everything, if its configuration is at hand.
    pub fn stop_file(&self) -> Option<&Path> {
        self.stop_file.as_deref()
    }

    /// Its lanes, as a plan is checked against them, if its configuration is at hand; without one
    /// the daemon itself tells which it has not.
    pub fn lanes(&self) -> Option<&BTreeMap<Name, Option<Name>>> {
        self.lanes.as_ref()
    }

    /// What its lanes may use, as far as its configuration is at hand.
    pub fn configured(&self) -> &[Lane] {
        &self.configured
    }

    /// A daemon that is known by its place alone.
    fn at(place: DaemonPlace) -> Self {
        Self { place, stop_file: None, lanes: None, configured: Vec::new() }
    }
}

/// The configuration that flag, environment and default name; an address stands above its socket.
/// One of the network is another host's, and changes nothing here.
pub fn config(reach: &Reach) -> Result<Config, ExitFailure> {
    let config = Config::load(reach.config.as_deref(), &|name| std::env::var(name).ok()).map_err(
        |mistakes| ExitFailure::new(Exit::Error, mistakes.render(term::colour()).trim_end()),
    )?;
    match &reach.addr {
        Some(addr) if !DaemonPlace::names_network(addr) => Ok(config.at(socket(addr)?)),
        Some(_) | None => Ok(config),
    }
}

/// As [`config`], for a daemon: it listens on the network where `api.listen` says.
pub fn serving(reach: &Reach) -> Result<Config, ExitFailure> {
    match &reach.addr {
        Some(addr) if DaemonPlace::names_network(addr) => {
            let message = format!(
                "the daemon cannot listen on {addr:?}: --addr and SEALIFT_ADDR name its socket, `api.listen` its address on the network"
            );
            Err(ExitFailure::new(Exit::Error, message))
        }
        Some(_) | None => config(reach),
    }
}

/// Finds the daemon. An address wins over a configuration, which then need not be readable.
pub fn find(reach: &Reach) -> Result<DaemonAddress, ExitFailure> {
    if let Some(addr) = &reach.addr {
        let env = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        return Ok(DaemonAddress::at(match DaemonPlace::names_network(addr) {
            true => DaemonPlace::network(addr, ClientFiles::of(&env))?,
            false => DaemonPlace::Socket(socket(addr)?),
        }));
    }
    let config = self::config(reach)?;
    let lanes = config.file.is_some().then(|| reached(&config.lanes));
    let stop_file = Some(config::stop_file(config.store.folder()));
    Ok(DaemonAddress {
        place: DaemonPlace::Socket(config.socket),
        stop_file,
        lanes,
        configured: config.lanes,
    })
}

/// Finds the daemon for a verb that works without one: a configuration that cannot be read costs it
/// the check of the lanes, no more.
pub fn find_offline(reach: &Reach) -> Result<DaemonAddress, ExitFailure> {
    match find(reach) {
        // Somebody named that file: then its mistakes are told.
        Err(failure) if reach.config.is_some() => Err(failure),
        Err(_) => Ok(DaemonAddress::at(DaemonPlace::Socket(PathBuf::new()))),
        Ok(daemon) => Ok(daemon),
    }
}

fn socket(addr: &str) -> Result<PathBuf, ExitFailure> {
    let path = addr.strip_prefix("unix://").or_else(|| addr.strip_prefix("unix:")).unwrap_or(addr);
    if path.is_empty() || path.contains("://") {
        let message = format!(
            "the address {addr:?} is none of a daemon; write its socket's path, as /run/sealift/api.sock or unix:/run/sealift/api.sock, or an address \
             of the network, as https://sealift.example.net:7633"
        );
        return Err(ExitFailure::new(Exit::Error, message));
    }
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_with_or_without_its_scheme() {
        for addr in ["/run/x.sock", "unix:/run/x.sock", "unix:///run/x.sock"] {
            assert_eq!(socket(addr).expect("a socket"), Path::new("/run/x.sock"));
        }
        for addr in ["ftp://localhost:1", "", "unix:"] {
            assert_eq!(socket(addr).expect_err("no socket").exit, Exit::Error);
        }
    }
}
