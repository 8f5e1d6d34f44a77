//! Which database the store is in: a URL that a configuration may hold, and a schema's name.
//!
//! Invariants: a URL holds no password, and names host, database and user; over a network everything
//! is encrypted; of several hosts the one that takes writes is found.
//!
//! Deliberately not here: speaking to it (`store::postgres`).

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// Bytes of a schema's name: what the server keeps of one.
const NAME_MAX: usize = 63;

/// A database's URL, or a list of `key=value`, that was found sound.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    text: String,
    config: tokio_postgres::Config,
    place: String,
}

/// Why a text is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Configurations are shown, and stand in version control.
    #[error("it holds a password")]
    Password,
    #[error("it names no host")]
    NoHost,
    #[error("it names no database")]
    NoDatabase,
    #[error("it names no user")]
    NoUser,
    /// What is sent over a network is encrypted, and the server's name verified.
    #[error("its `sslmode` turns TLS off, which goes on this machine only")]
    NoTls,
}

impl DatabaseUrl {
    /// Reads a URL or a list of `key=value`.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let mut config: tokio_postgres::Config =
            text.parse().map_err(|error: tokio_postgres::Error| {
                let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                UrlError::Unreadable(why)
            })?;
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
                name == "localhost" || name.parse::<IpAddr>().is_ok_and(|at| at.is_loopback())
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
        Ok(Self { text: text.to_owned(), config, place })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and database, for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The role that the daemon has there.
    pub fn user(&self) -> &str {
        self.config.get_user().expect("a URL without one is refused")
    }

    /// As the client takes it.
    pub fn client_config(&self) -> &tokio_postgres::Config {
        &self.config
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DatabaseUrl").field(&self.place).finish()
    }
}

/// A schema's name that needs no quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(Box<str>);

impl SchemaName {
    /// Where nothing else is said.
    pub const DEFAULT: &'static str = "sealift";

    /// Small letters, digits and `_`, a letter first.
    pub fn parse(text: &str) -> Option<Self> {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let fits = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
            && text.len() <= NAME_MAX
            && text.bytes().all(letters)
            && !text.starts_with("pg_");
        fits.then(|| Self(text.into()))
    }

    /// The statement with the schema's name in the place of each `@`.
    pub fn sql(&self, statement: &str) -> String {
        statement.replace('@', &self.0)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SchemaName {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_a_plain_word() {
        for good in ["sealift", "s", "night_2"] {
            assert_eq!(SchemaName::parse(good).expect("plain").as_str(), good);
        }
        for bad in ["", "Sealift", "2night", "pg_night", "a b", "a\"b", "a;b", &"x".repeat(64)] {
            assert_eq!(SchemaName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_url_is_complete_and_holds_no_secret() {
        let of = |url: &str| DatabaseUrl::parse(url).map(|url| url.place().to_owned());
        assert_eq!(of("host=db1,db2 dbname=night user=sealift"), Ok("db1,db2/night".into()));
        assert_eq!(of("postgresql://sealift@db1:5433/night"), Ok("db1/night".into()));
        assert_eq!(of("postgresql://sealift:hunter2@db1/night"), Err(UrlError::Password));
        assert_eq!(of("host=db1 dbname=night user=a password=hunter2"), Err(UrlError::Password));
        assert_eq!(of("dbname=night user=a"), Err(UrlError::NoHost));
        assert_eq!(of("host=db1 user=a"), Err(UrlError::NoDatabase));
        assert_eq!(of("host=db1 dbname=night"), Err(UrlError::NoUser));
        assert_eq!(of("host=db1 dbname=night user=a sslmode=disable"), Err(UrlError::NoTls));
        assert!(matches!(of("host"), Err(UrlError::Unreadable(_))));
    }
}
