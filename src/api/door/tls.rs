//! TLS of the door on the network: our certificate, and whose certificates of clients we take.
//!
//! Invariants: the files are right at the start, or the daemon does not start; files that change
//! count from the next connection on, those that are open go on, and files with a mistake change
//! nothing. A client's certificate is verified before anything is read of it, and its subject is
//! taken only where it can be written in one way.
//!
//! Deliberately not here: who has which subject (`domain::people`).

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::DoorError;
use crate::authorities::{Authorities, CA_FILE_BYTES_MAX};
use crate::clock::Clock;
use crate::config::DoorFiles;

/// How long before its end our own certificate is told of: whatever renews certificates by itself
/// has done so by then.
const DOOR_EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How often the log tells it.
const WARN_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// What is spoken, the better first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The TLS of a door, from files that may change.
pub struct DoorTls {
    files: DoorFiles,
    read: Mutex<ReadTls>,
}

struct ReadTls {
    /// Of the files that were looked at last, right or not.
    seen: Vec<Option<Seen>>,
    config: Arc<ServerConfig>,
    /// The last second of our own certificate; `None`: it cannot be read.
    ends: Option<Timestamp>,
}

/// What tells a file from the one that was read: device and inode, length, and when it was written.
type Seen = (u64, u64, u64, i64, i64);

impl DoorTls {
    /// Reads the files.
    pub fn open(files: DoorFiles) -> Result<Self, DoorError> {
        let seen = seen(&files);
        let (config, ends) = read(&files)?;
        let config = Arc::new(config);
        Ok(Self { files, read: Mutex::new(ReadTls { seen, config, ends }) })
    }

    /// What the next connection is spoken with. It may read files.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.fresh().config.clone()
    }

    /// The last second of our own certificate, and the file that it is in. It may read files.
    pub fn ends(&self) -> Option<(Timestamp, &Path)> {
        let ends = self.fresh().ends?;
        Some((ends, &self.files.cert_file))
    }

    /// The same, if that is soon.
    pub fn ends_soon(&self, now: Timestamp) -> Option<(Timestamp, &Path)> {
        self.ends().filter(|(ends, _)| ends.duration_since(now) < DOOR_EXPIRES_SOON)
    }

    /// What was read of the files as they are now.
    fn fresh(&self) -> MutexGuard<'_, ReadTls> {
        let now = seen(&self.files);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.seen != now {
            match self::read(&self.files) {
                Ok((config, ends)) => {
                    tracing::info!(certificate = %self.files.cert_file.display(), "the API's certificate is read again");
                    (read.config, read.ends) = (Arc::new(config), ends);
                }
                Err(error) => tracing::error!("{error}; what was read before stays in force"),
            }
            read.seen = now;
        }
        read
    }

    /// Writes into the log that our certificate ends soon, once a day from then on, until `stop`.
    pub async fn warn_of_end(&self, clock: &dyn Clock, stop: CancellationToken) {
        loop {
            let now = clock.times().wall;
            if let Some((ends, file)) = self.ends_soon(now) {
                let (file, days) = (file.display(), ends.duration_since(now).as_hours() / 24);
                tracing::warn!(%file, %ends, days, "the API's own certificate ends; put a new one in its place");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(WARN_EVERY) => {}
            }
        }
    }
}

fn paths(files: &DoorFiles) -> impl Iterator<Item = &PathBuf> {
    [&files.cert_file, &files.key_file].into_iter().chain(&files.client_ca_file)
}

fn seen(files: &DoorFiles) -> Vec<Option<Seen>> {
    let of = |about: Metadata| {
        (about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec())
    };
    paths(files).map(|path| std::fs::metadata(path).ok().map(of)).collect()
}

fn wrong(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> DoorError {
    DoorError::File { path: path.to_owned(), what: what.into(), remedy: remedy.into() }
}

fn bytes_of(path: &Path) -> Result<(Vec<u8>, Metadata), DoorError> {
    let unreadable =
        |error: io::Error| wrong(path, format!("cannot be read: {error}"), "`api.tls` names it");
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(CA_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > CA_FILE_BYTES_MAX {
        return Err(wrong(
            path,
            format!("has more than {} KiB", CA_FILE_BYTES_MAX >> 10),
            "`api.tls` names certificates and a key alone",
        ));
    }
    Ok((bytes, about))
}

fn read(files: &DoorFiles) -> Result<(ServerConfig, Option<Timestamp>), DoorError> {
    let (pem, _) = bytes_of(&files.cert_file)?;
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| {
        wrong(
            &files.cert_file,
            format!("cannot be read as PEM: {error}"),
            "write the certificate as PEM",
        )
    })?;
    if chain.is_empty() {
        return Err(wrong(
            &files.cert_file,
            "holds no certificate",
            "write the certificate as PEM, its chain behind it",
        ));
    }
    let ends = chain.first().and_then(ends_of);
    let (pem, about) = bytes_of(&files.key_file)?;
    if about.mode() & 0o027 != 0 {
        let what = format!(
            "holds the key, and others may read it or a group may write it (mode {:04o})",
            about.mode() & 0o7777
        );
        return Err(wrong(
            &files.key_file,
            what,
            format!("type `chmod 640 {}`", files.key_file.display()),
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        wrong(
            &files.key_file,
            format!("holds no key: {error}"),
            "write an RSA, ECDSA or Ed25519 key as PEM",
        )
    })?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider speaks the usual versions");
    let builder = match &files.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Authorities::of_pem(&bytes_of(path)?.0);
            let roots: Arc<RootCertStore> = roots
                .map_err(|error| {
                    wrong(path, error.to_string(), "name the clients' authorities as PEM")
                })?
                .store;
            // Whoever shows none may still have a token, or a session.
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .allow_unauthenticated()
                .build();
            let verifier = verifier.map_err(|error| {
                wrong(path, error.to_string(), "name the clients' authorities as PEM")
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let what = format!("does not fit the certificate in {}: {error}", files.cert_file.display());
        wrong(&files.key_file, what, "name the two files that were made together; a file's first certificate must be the daemon's own")
    })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok((config, ends))
}

/// The last second of a certificate.
fn ends_of(certificate: &CertificateDer<'static>) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()
}

/// The subject of a verified certificate, such as `O=ops, CN=ada`. `None` for one that has none, or
/// whose parts hold signs that would make it look like another one.
pub fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut parts = Vec::new();
    for name in parsed.subject().iter_rdn() {
        let mut attributes = name.iter();
        let (attribute, None) = (attributes.next()?, attributes.next()) else { return None };
        let kind = x509_parser::objects::oid2abbrev(
            attribute.attr_type(),
            x509_parser::objects::oid_registry(),
        )
        .ok()?;
        let value = attribute.as_str().ok()?;
        if value.trim() != value
            || value.is_empty()
            || value
                .chars()
                .any(|c| c.is_control() || matches!(c, ',' | '=' | '+' | '"' | '\\' | ';' | '/'))
        {
            return None;
        }
        parts.push(format!("{kind}={value}"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(name: &DistinguishedName) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name = name.clone();
        (params.self_signed(&key).expect("a certificate"), key)
    }

    fn named(parts: &[(DnType, &str)]) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        parts.iter().for_each(|(kind, value)| name.push(kind.clone(), *value));
        name
    }

    #[test]
    fn a_subject_is_written_in_one_way_or_not_taken() {
        let of = |parts: &[(DnType, &str)]| subject(certificate(&named(parts)).0.der());
        assert_eq!(of(&[(DnType::CommonName, "ada")]).as_deref(), Some("CN=ada"));
        assert_eq!(
            of(&[(DnType::OrganizationName, "ops"), (DnType::CommonName, "ada")]).as_deref(),
            Some("O=ops, CN=ada")
        );
        for forged in ["ops, CN=ada", "ada\u{0}", "a=b", " ada", "ops/CN=ada"] {
            assert_eq!(of(&[(DnType::OrganizationName, forged)]), None, "{forged:?}");
        }
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn the_end_of_our_own_certificate_is_read_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = DoorFiles {
            cert_file: folder.path().join("api.crt"),
            key_file: folder.path().join("api.key"),
            client_ca_file: None,
        };
        let key = KeyPair::generate().expect("a key");
        std::fs::write(&files.key_file, key.serialize_pem()).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(&files.key_file, mode).expect("our file");
        let write = |year| {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
            params.not_after = rcgen::date_time_ymd(year, 2, 1);
            let certificate = params.self_signed(&key).expect("a certificate");
            std::fs::write(&files.cert_file, certificate.pem()).expect("a file");
        };
        write(2031);
        let tls = DoorTls::open(files.clone()).expect("good files");
        let ends = |tls: &DoorTls| tls.ends().map(|(ends, _)| ends.to_string());
        assert_eq!(ends(&tls).as_deref(), Some("2031-02-01T00:00:00Z"));
        write(2040);
        assert_eq!(ends(&tls).as_deref(), Some("2040-02-01T00:00:00Z"), "a renewed one counts");
    }

    #[test]
    fn files_that_changed_count_for_the_next_connection_and_mistakes_for_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = DoorFiles {
            cert_file: folder.path().join("api.crt"),
            key_file: folder.path().join("api.key"),
            client_ca_file: None,
        };
        let write = |(certificate, key): &(rcgen::Certificate, KeyPair)| {
            std::fs::write(&files.cert_file, certificate.pem()).expect("a file");
            std::fs::write(&files.key_file, key.serialize_pem()).expect("a file");
            std::fs::set_permissions(&files.key_file, std::fs::Permissions::from_mode(0o640))
                .expect("our file");
        };
        let (one, other) =
            (certificate(&named(&[])), certificate(&named(&[(DnType::CommonName, "another")])));
        write(&one);
        let tls = DoorTls::open(files.clone()).expect("good files");
        let first = tls.config();
        assert!(Arc::ptr_eq(&first, &tls.config()), "nothing changed");
        std::fs::write(&files.cert_file, other.0.pem()).expect("a file");
        let told = DoorTls::open(files.clone()).map(drop).expect_err("another's key").to_string();
        assert!(told.contains("does not fit the certificate"), "{told}");
        assert!(Arc::ptr_eq(&first, &tls.config()), "half of a pair changes nothing");
        write(&other);
        assert!(!Arc::ptr_eq(&first, &tls.config()));
        std::fs::set_permissions(&files.key_file, std::fs::Permissions::from_mode(0o644))
            .expect("our file");
        let told =
            DoorTls::open(files.clone()).map(drop).expect_err("others may read it").to_string();
        assert!(told.contains("chmod 640"), "{told}");
    }
}
