//! Where the daemon is spoken to: its socket, or an address of the network with what tells there
//! who asks.
//!
//! Invariants: a token is read from a file that nobody else may read, and leaves this machine by
//! TLS alone; on the socket neither an authority nor a proxy is looked for.
//!
//! Deliberately not here: the requests (`client`).

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, ClientBuilder, Identity, Url};

use super::exit::{Exit, ExitFailure};
use crate::authorities::CA_FILE_BYTES_MAX;

/// Time to connect; a socket on this machine answers at once or never.
const SOCKET_CONNECT: Duration = Duration::from_secs(3);

/// Time to connect by the network, with its TLS.
const NETWORK_CONNECT: Duration = Duration::from_secs(10);

/// Where a daemon is.
#[derive(Debug, Clone)]
pub enum DaemonPlace {
    Socket(PathBuf),
    Network {
        /// Scheme, host and perhaps a port.
        base: String,
        files: ClientFiles,
    },
}

/// Files that tell a daemon elsewhere who asks, and us that it is the daemon.
#[derive(Debug, Clone, Default)]
pub struct ClientFiles {
    token: Option<PathBuf>,
    authorities: Option<PathBuf>,
    /// Our certificate and its key.
    certificate: Option<(PathBuf, PathBuf)>,
}

impl ClientFiles {
    /// Those that the environment names.
    pub fn of(env: &dyn Fn(&str) -> Option<PathBuf>) -> Self {
        let certificate = env("SEALIFT_CERT_FILE").zip(env("SEALIFT_KEY_FILE"));
        Self { token: env("SEALIFT_TOKEN_FILE"), authorities: env("SEALIFT_CA_FILE"), certificate }
    }
}

impl fmt::Display for DaemonPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Network { base, .. } => f.write_str(base),
        }
    }
}

fn failed(message: String) -> ExitFailure {
    ExitFailure::new(Exit::Error, message)
}

impl DaemonPlace {
    /// Whether an address is one of the network.
    pub fn names_network(addr: &str) -> bool {
        addr.starts_with("https://") || addr.starts_with("http://")
    }

    /// The daemon at this address of the network.
    pub fn network(addr: &str, files: ClientFiles) -> Result<Self, ExitFailure> {
        let url = Url::parse(addr).ok().filter(|url| {
            url.has_host() && url.path() == "/" && url.query().is_none() && url.fragment().is_none()
        });
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        let Some(url) = url else {
            return Err(failed(format!(
                "the address {addr:?} is none of a daemon; write scheme, host and port, as https://sealift.example.net:7633"
            )));
        };
        if url.scheme() == "http" && !is_here(&url) {
            let message = format!(
                "{addr:?} would send all in plain text, the token too; write https://, for `http://` is taken to this machine only"
            );
            return Err(failed(message));
        }
        Ok(Self::Network { base: url.origin().ascii_serialization(), files })
    }

    pub fn is_network(&self) -> bool {
        matches!(self, Self::Network { .. })
    }

    /// Whether it is worth asking: a socket that is not there belongs to nobody.
    pub fn may_answer(&self) -> bool {
        match self {
            Self::Socket(path) => path.exists(),
            Self::Network { .. } => true,
        }
    }

    /// What stands before every path.
    pub fn base(&self) -> &str {
        match self {
            Self::Socket(_) => "http://sealift",
            Self::Network { base, .. } => base,
        }
    }

    /// What to do where nobody answers.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Socket(_) => {
                "start it with `sealift serve`, or name its socket with --config FILE or SEALIFT_ADDR=PATH"
            }
            Self::Network { .. } => {
                "look there whether it runs with `api.listen`, and here whether SEALIFT_ADDR names its host and port"
            }
        }
    }

    /// What was shown of ourselves, and what to do where it was not taken.
    pub fn credentials(&self) -> String {
        match self {
            Self::Network { files: ClientFiles { token: Some(path), .. }, .. } => format!(
                "the token in {} is none there: it is over, was revoked or was cut; `sealift token list` on its host shows which there are",
                path.display()
            ),
            Self::Network { files: ClientFiles { certificate: Some((path, _)), .. }, .. } => {
                format!("it takes no certificate, or not that of {}; its `api.tls.client_ca_file` names whose it takes", path.display())
            }
            Self::Network { .. } => {
                "name the file of your token with SEALIFT_TOKEN_FILE=FILE; `sealift token new` on its host makes one".to_owned()
            }
            Self::Socket(_) => "its socket tells who you are".to_owned(),
        }
    }

    /// Why there can be no client for it.
    pub(super) fn unprepared(&self, error: &reqwest::Error) -> String {
        let why =
            std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
                error.source()
            })
            .last();
        let why = why.map_or_else(String::new, ToString::to_string);
        match self {
            Self::Network { files: ClientFiles { authorities: None, .. }, .. } => format!(
                "cannot speak TLS to {self}: {why}; does this machine trust any authority? Name that of the daemon with SEALIFT_CA_FILE=FILE"
            ),
            Self::Network { .. } | Self::Socket(_) => format!("cannot make an HTTP client: {why}"),
        }
    }

    /// Prepares a client for this place.
    pub(super) fn prepare(&self, builder: ClientBuilder) -> Result<ClientBuilder, ExitFailure> {
        let (base, files) = match self {
            // Nothing is encrypted there, and to look for this machine's authorities would fail
            // where it has none; an idle connection would only take a place.
            Self::Socket(path) => {
                let builder = builder
                    .unix_socket(path.as_path())
                    .tls_certs_only([])
                    .pool_max_idle_per_host(0);
                return Ok(builder.connect_timeout(SOCKET_CONNECT));
            }
            Self::Network { base, files } => (base, files),
        };
        let mut builder = builder.connect_timeout(NETWORK_CONNECT).pool_max_idle_per_host(1);
        if base.starts_with("http://") {
            builder = builder.no_proxy().tls_certs_only([]);
        } else if let Some(path) = &files.authorities {
            let pem = read(path, "SEALIFT_CA_FILE", false)?;
            let authorities =
                Certificate::from_pem_bundle(&pem).ok().filter(|found| !found.is_empty());
            let unusable = || {
                failed(format!("SEALIFT_CA_FILE: {} holds no authorities as PEM", path.display()))
            };
            builder = builder.tls_certs_only(authorities.ok_or_else(unusable)?);
        }
        if let Some((certificate, key)) = &files.certificate {
            let mut pem = read(certificate, "SEALIFT_CERT_FILE", false)?;
            pem.push(b'\n');
            pem.extend(read(key, "SEALIFT_KEY_FILE", true)?);
            let wrong = |error| {
                failed(format!(
                    "SEALIFT_CERT_FILE and SEALIFT_KEY_FILE are no certificate and key as PEM: {error}"
                ))
            };
            builder = builder.identity(Identity::from_pem(&pem).map_err(wrong)?);
        }
        if let Some(path) = &files.token {
            let text = read(path, "SEALIFT_TOKEN_FILE", true)?;
            let text = String::from_utf8_lossy(&text);
            let value = HeaderValue::try_from(format!("Bearer {}", text.trim()))
                .ok()
                .filter(|_| !text.trim().is_empty());
            let mut value = value.ok_or_else(|| {
                failed(format!("SEALIFT_TOKEN_FILE: {} holds no token", path.display()))
            })?;
            value.set_sensitive(true);
            builder = builder.default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]));
        }
        Ok(builder)
    }
}

fn is_here(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address =
            host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        matches!(host, "localhost" | "sealift.localhost")
            || address.is_ok_and(|address| address.is_loopback())
    })
}

/// What a file holds that a variable names; of a secret only where nobody else may read it.
fn read(path: &Path, variable: &str, secret: bool) -> Result<Vec<u8>, ExitFailure> {
    let unreadable =
        |error: io::Error| failed(format!("{variable}: cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    if secret && mode & 0o077 != 0 {
        let message = format!(
            "{variable}: others may read {} (mode {:04o}); type `chmod 600 {}`",
            path.display(),
            mode & 0o7777,
            path.display()
        );
        return Err(failed(message));
    }
    let mut bytes = Vec::new();
    file.take(CA_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Whether a connection failed for the other side's certificate.
pub(super) fn is_unknown_certificate(error: &reqwest::Error) -> bool {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
        .any(is_of_certificate)
}

/// An error of I/O skips what it wraps when it is asked for its source, so that is looked at here.
fn is_of_certificate(cause: &(dyn std::error::Error + 'static)) -> bool {
    match (
        cause.downcast_ref::<rustls::Error>(),
        cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref),
    ) {
        (Some(error), _) => matches!(error, rustls::Error::InvalidCertificate(_)),
        (None, Some(wrapped)) => is_of_certificate(wrapped),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn plain_http_goes_to_this_machine_alone() {
        let base = |addr: &str| {
            DaemonPlace::network(addr, ClientFiles::default())
                .map(|place| place.to_string())
                .map_err(|failure| failure.exit)
        };
        for (addr, place) in [
            ("https://sealift.example.net:7633", "https://sealift.example.net:7633"),
            ("https://sealift.example.net/", "https://sealift.example.net"),
            ("http://127.0.0.1:7633", "http://127.0.0.1:7633"),
            ("http://[::1]:7633", "http://[::1]:7633"),
            ("http://localhost:7633", "http://localhost:7633"),
        ] {
            assert_eq!(base(addr).as_deref(), Ok(place), "{addr}");
        }
        for addr in [
            "http://sealift.example.net:7633",
            "http://127.0.0.1.example.net:7633",
            "http://192.0.2.1:7633",
            "https://ada@sealift.example.net",
            "https://sealift.example.net/v1",
            "https://",
        ] {
            assert_eq!(base(addr), Err(Exit::Error), "{addr}");
        }
    }

    #[test]
    fn a_token_that_others_may_read_is_not_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let prepared = || {
            let files = ClientFiles { token: Some(path.clone()), ..ClientFiles::default() };
            let place = DaemonPlace::network("http://127.0.0.1:7633", files).expect("a place");
            place
                .prepare(reqwest::Client::builder())
                .map(drop)
                .map_err(|failure| failure.to_string())
        };
        assert!(prepared().is_err_and(|told| told.contains("cannot read")));
        std::fs::write(&path, "sealift_1_2\n").expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("our file");
        assert!(prepared().is_err_and(|told| told.contains("chmod 600")));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("our file");
        assert_eq!(prepared(), Ok(()));
        std::fs::write(&path, "\n").expect("a file");
        assert!(prepared().is_err_and(|told| told.contains("holds no token")));
    }
}
