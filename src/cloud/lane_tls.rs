//! A lane's TLS: whose signature on a server's certificate it accepts, and the certificate that it
//! presents itself.
//!
//! Invariants: what the configuration names is read whole before the first call, and is right or an
//! error with its key, its file and what to do; the key goes into the client and into no message. A
//! certificate that has expired, or will soon, is a warning: only the other side decides whether it
//! still accepts it.
//!
//! A lane that names nothing accepts what this machine trusts, and presents no certificate.
//!
//! Deliberately not here: connections (`cloud::http`).

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::safe_text;
use super::secret::line_to_type;
use crate::authorities::{AUTHORITIES_MAX, CA_FILE_BYTES_MAX, of_this_machine};
use crate::domain::id::Name;
use crate::domain::lane::{ClientCertificate, Lane};

/// Certificates from the client's own up to its authority: real chains have two to four.
const CHAIN_MAX: usize = 16;

/// A certificate that ends within this time is warned of: long enough to get a new one.
const ENDS_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A file of a lane's TLS cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("lane {lane}: `{key}` {}: {what}; {remedy}", path.display())]
pub struct TlsError {
    pub lane: Name,
    /// The key of the configuration that names the file.
    pub key: &'static str,
    pub path: PathBuf,
    /// What is wrong with it, safe to print.
    pub what: String,
    pub remedy: Cow<'static, str>,
}

/// Nobody vouches for the servers of a lane that names no `ca_file`.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot speak TLS: this machine trusts no authority of certificates{}; install your system's `ca-certificates`, set SSL_CERT_FILE, or name a `ca_file`",
    .why.as_ref().map_or_else(String::new, |why| format!(" ({why})"))
)]
pub struct NoAuthorities {
    /// What was met while they were looked for.
    why: Option<rustls_native_certs::Error>,
}

/// What a lane's files hold, ready for its HTTP client.
pub struct OwnTls {
    authorities: Option<Arc<RootCertStore>>,
    identity: Option<Arc<SingleCertAndKey>>,
    /// What whoever runs the daemon should know.
    pub warnings: Vec<String>,
}

impl OwnTls {
    /// Reads what the lane names; `None` when it names nothing. `now` tells which certificates have
    /// ended.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn read(lane: &Lane, now: Timestamp) -> Result<Option<Self>, TlsError> {
        let tls = &lane.access.tls;
        if tls.is_usual() {
            return Ok(None);
        }
        let mut own = Self { authorities: None, identity: None, warnings: Vec::new() };
        if let Some(path) = &tls.ca_file {
            own.trust(&TlsFile { lane: &lane.name, key: "ca_file", path }, now)?;
        }
        if let Some(ClientCertificate { certificate, key }) = &tls.client {
            let certificate =
                TlsFile { lane: &lane.name, key: "client_cert_file", path: certificate };
            own.show(
                &certificate,
                &TlsFile { lane: &lane.name, key: "client_key_file", path: key },
                now,
            )?;
        }
        Ok(Some(own))
    }

    fn trust(&mut self, place: &TlsFile<'_>, now: Timestamp) -> Result<(), TlsError> {
        let certificates = place.certificates_of(&place.read()?, AUTHORITIES_MAX)?;
        let mut authorities = RootCertStore::empty();
        for (number, certificate) in (1..).zip(&certificates) {
            let unusable = |why| {
                place.wrong(
                    format!("certificate {number} cannot be used: {why}"),
                    "remove it, or get it anew",
                )
            };
            authorities.add(certificate.clone()).map_err(unusable)?;
        }
        self.authorities = Some(Arc::new(authorities));
        // One of several authorities that ended is usual while they change.
        let ends: Vec<Timestamp> =
            certificates.iter().filter_map(|der| Some(life(der)?.1)).collect();
        if ends.iter().all(|end| *end < now) {
            self.warnings.extend(ends.iter().max().map(|end| {
                place.warning(&format!("its last authority has ended on {}", day(*end)))
            }));
        }
        Ok(())
    }

    fn show(
        &mut self,
        certificate: &TlsFile<'_>,
        key: &TlsFile<'_>,
        now: Timestamp,
    ) -> Result<(), TlsError> {
        let chain = certificate.certificates_of(&certificate.read()?, CHAIN_MAX)?;
        let leaf = life(&chain[0]);
        let private = key.private_key(&key.read_secret()?)?;
        let certified = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let what = format!("the key is not that of the certificate in {}", certificate.path.display());
                key.wrong(what, "name the two files that were made together; a file's first certificate must be the client's own")
            }
            other => key.wrong(format!("the key cannot be used: {other}"), "write an RSA, ECDSA or Ed25519 key as PEM"),
        })?;
        self.identity = Some(Arc::new(SingleCertAndKey::from(certified)));
        if let Some((begin, end)) = leaf {
            let soon = now.checked_add(ENDS_SOON).unwrap_or(Timestamp::MAX);
            let expiry_warning = match () {
                () if end < now => Some(format!("the certificate has ended on {}", day(end))),
                () if now < begin => Some(format!("the certificate begins only on {}", day(begin))),
                () if end < soon => Some(format!("the certificate ends on {}", day(end))),
                () => None,
            };
            self.warnings.extend(expiry_warning.map(|what| certificate.warning(&what)));
        }
        Ok(())
    }
}

/// How TLS is spoken: with what a lane's files hold, or as usual.
///
/// # Errors
/// When this machine trusts nobody, and the lane names no authority either.
pub fn config(own: Option<&OwnTls>) -> Result<ClientConfig, NoAuthorities> {
    let authorities = match own.and_then(|own| own.authorities.clone()) {
        Some(authorities) => authorities,
        None => {
            let (store, errors) = of_this_machine();
            if store.is_empty() {
                return Err(NoAuthorities { why: errors.into_iter().next() });
            }
            Arc::new(store)
        }
    };
    Ok(speaking(authorities, own.and_then(|own| own.identity.clone())))
}

/// For endpoints without TLS, on a machine that trusts nobody.
pub fn trusting_nobody() -> ClientConfig {
    speaking(Arc::new(RootCertStore::empty()), None)
}

fn speaking(
    authorities: Arc<RootCertStore>,
    identity: Option<Arc<SingleCertAndKey>>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has the suites of TLS 1.2 and 1.3");
    let builder = builder.with_root_certificates(authorities);
    let mut config = match identity {
        Some(identity) => {
            builder.with_client_cert_resolver(identity as Arc<dyn ResolvesClientCert>)
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// One file that a lane names.
struct TlsFile<'l> {
    lane: &'l Name,
    key: &'static str,
    path: &'l Path,
}

impl TlsFile<'_> {
    fn wrong(&self, what: String, remedy: impl Into<Cow<'static, str>>) -> TlsError {
        let (what, remedy) = (safe_text::message(&what, None), remedy.into());
        TlsError {
            lane: self.lane.clone(),
            key: self.key,
            path: self.path.to_owned(),
            what,
            remedy,
        }
    }

    fn warning(&self, what: &str) -> String {
        let (lane, key, path) = (self.lane, self.key, self.path.display());
        format!("lane {lane}: `{key}` {path}: {what}: renew the file and restart the daemon")
    }

    /// The key is a secret.
    fn read_secret(&self) -> Result<Vec<u8>, TlsError> {
        let metadata = std::fs::metadata(self.path).ok();
        match metadata.and_then(|metadata| line_to_type(self.path, &metadata)) {
            Some(line) => {
                Err(self.wrong("others may read or write it, so it is not used".into(), line))
            }
            None => self.read(),
        }
    }

    fn read(&self) -> Result<Vec<u8>, TlsError> {
        let unreadable = |error: std::io::Error| {
            self.wrong(
                format!("cannot be read: {error}"),
                "correct the path, which begins at the configuration file, or let the daemon's user read it",
            )
        };
        let file = File::open(self.path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(self.wrong("is no file".into(), "name a file of PEM blocks"));
        }
        let mut bytes = Vec::new();
        file.take(CA_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > CA_FILE_BYTES_MAX {
            return Err(self.wrong(
                format!("is longer than {CA_FILE_BYTES_MAX} bytes"),
                "keep in it only what this lane needs",
            ));
        }
        Ok(bytes)
    }

    fn certificates_of(
        &self,
        pem: &[u8],
        max: usize,
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        const REMEDY: &str = "write PEM blocks `BEGIN CERTIFICATE`; `openssl x509 -inform der -in FILE` makes one of a DER file";
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(max + 1).collect();
        let certificates =
            read.map_err(|error| self.wrong(format!("cannot be read as PEM: {error}"), REMEDY))?;
        match certificates.len() {
            0 => Err(self.wrong("holds no certificate".into(), REMEDY)),
            count if count > max => Err(self.wrong(
                format!("holds more than {max} certificates"),
                "keep in it only what this lane needs",
            )),
            _ => Ok(certificates),
        }
    }

    fn private_key(&self, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        const ENCRYPTED: &[u8] = b"ENCRYPTED";
        PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
            if pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED) {
                return self.wrong(
                    "the key is encrypted".into(),
                    "`openssl pkey -in FILE -out NEW` takes the passphrase off; let only the daemon read it",
                );
            }
            self.wrong("holds no private key".into(), "write a PEM block `BEGIN PRIVATE KEY` into it")
        })
    }
}

/// From when until when a certificate is good, as far as it can be read.
fn life(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let instant = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    Some((instant(parsed.validity().not_before)?, instant(parsed.validity().not_after)?))
}

fn day(instant: Timestamp) -> impl std::fmt::Display {
    instant.strftime("%Y-%m-%d %H:%M UTC")
}

#[cfg(test)]
mod tests;
