//! How the database that holds the store is reached.
//!
//! Invariants: over a network the server's name is verified; the password is read for each
//! connection, so that one that was changed works without a restart.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::tls::DatabaseTls;
use crate::authorities::Authorities;
use crate::database::{DatabaseUrl, SchemaName};
use crate::domain::keeper::DaemonRun;

/// Gives the password as it stands now, or says why there is none.
pub type PasswordReader = Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// How a store in PostgreSQL is opened.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) config: tokio_postgres::Config,
    pub(super) password: Option<PasswordReader>,
    pub(super) tls: DatabaseTls,
    pub schema: SchemaName,
    /// Folder of this daemon for copies of submissions, and for what it has seen.
    pub folder: PathBuf,
    /// A server that would lose what it acknowledged is good enough.
    pub allow_no_fsync: bool,
    /// The run of a daemon that works beside others: what it commits counts while its row stands.
    pub daemon: Option<DaemonRun>,
    /// Host and database, for people.
    pub(super) place: String,
}

impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions").field("place", &self.place).finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// Of a database without a password, trusting the authorities of this machine.
    pub fn new(url: &DatabaseUrl, folder: PathBuf) -> Self {
        Self {
            config: url.client_config().clone(),
            password: None,
            tls: DatabaseTls::trusting(None),
            schema: SchemaName::default(),
            folder,
            allow_no_fsync: false,
            daemon: None,
            place: url.place().to_owned(),
        }
    }

    /// With the password that is read at each connect.
    #[must_use]
    pub fn with_password(mut self, read: PasswordReader) -> Self {
        self.password = Some(read);
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

    /// What the next connection is made by.
    pub(super) fn connecting(&self) -> Result<tokio_postgres::Config, String> {
        let mut config = self.config.clone();
        if let Some(read) = &self.password {
            let password = read()?;
            config.password(password.expose_secret());
        }
        Ok(config)
    }
}
