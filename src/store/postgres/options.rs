//! Which database holds the store, and how it is reached.
//!
//! Invariants: a URL holds no password; over a network everything is encrypted and the server's name
//! verified; of several hosts the one that takes writes is found.

use std::path::PathBuf;
use std::time::Duration;

use super::fault;
use super::schema::SchemaName;
use super::tls::DatabaseTls;
use crate::authorities::Authorities;

/// How a store in PostgreSQL is opened.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: DatabaseTls,
    pub schema: SchemaName,
    /// Folder of this daemon for copies of submissions, and for what it has seen.
    pub folder: PathBuf,
    /// A server that would lose what it acknowledged is good enough.
    pub allow_no_fsync: bool,
    /// Host and database, for people.
    pub(super) place: String,
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Why a `store.postgres.url` is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Configurations are shown, and stand in version control.
    #[error("it holds a password")]
    Password,
    #[error("it names no host")]
    NoHost,
    #[error("it names no database: add `dbname=…`")]
    NoDatabase,
    #[error("it names no user: add `user=…`")]
    NoUser,
    /// What is sent over a network is encrypted, and the server's name verified.
    #[error("its `sslmode` turns TLS off, which goes on this machine only")]
    NoTls,
}

impl PostgresOptions {
    /// Reads a URL or a list of `key=value`.
    pub fn parse(url: &str, folder: PathBuf) -> Result<Self, UrlError> {
        use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
        let mut config: tokio_postgres::Config = url
            .parse()
            .map_err(|error: tokio_postgres::Error| UrlError::Unreadable(fault::message(&error)))?;
        if config.get_password().is_some() {
            return Err(UrlError::Password);
        }
        if config.get_hosts().is_empty() {
            return Err(UrlError::NoHost);
        }
        let Some(database) = config.get_dbname().map(str::to_owned) else {
            return Err(UrlError::NoDatabase);
        };
        if config.get_user().is_none() {
            return Err(UrlError::NoUser);
        }
        let here = |host: &Host| match host {
            Host::Tcp(name) => {
                name == "localhost"
                    || name.parse::<std::net::IpAddr>().is_ok_and(|at| at.is_loopback())
            }
            Host::Unix(_) => true,
        };
        let local = config.get_hosts().iter().all(here);
        match config.get_ssl_mode() {
            SslMode::Disable if !local => return Err(UrlError::NoTls),
            // On this machine TLS is spoken only where it is asked for.
            SslMode::Disable | SslMode::Prefer if local => {
                config.ssl_mode(SslMode::Disable);
            }
            _ => {
                config.ssl_mode(SslMode::Require);
            }
        }
        config
            .application_name("sealift")
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(Duration::from_secs(3))
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(10));
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let place = format!("{}/{database}", hosts.collect::<Vec<_>>().join(","));
        Ok(Self {
            config,
            tls: DatabaseTls::trusting(None),
            schema: SchemaName::default(),
            folder,
            allow_no_fsync: false,
            place,
        })
    }

    /// With this password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// Trusting these authorities alone.
    #[must_use]
    pub fn trusting(mut self, authorities: &Authorities) -> Self {
        self.tls = DatabaseTls::trusting(Some(authorities));
        self
    }

    /// Host and database, for people.
    pub fn place(&self) -> &str {
        &self.place
    }
}
