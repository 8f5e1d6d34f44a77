//! Authorities of certificates: what a plan's or a lane's `ca_file` holds as PEM text, or what this
//! machine trusts.
//!
//! Invariant: a text without a certificate, or with one that can be no authority, is a mistake,
//! never an empty set that every chain fails against.
//!
//! Deliberately not here: verifying anything.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Certificates that one text may hold: all authorities of the public web are about 150.
pub const AUTHORITIES_MAX: usize = 1000;

/// Bytes of a `ca_file` at most: the authorities of the public web with their comments have about
/// 250 KiB.
pub const CA_FILE_BYTES_MAX: u64 = 1 << 20;

/// Authorities; cheap to clone.
#[derive(Clone)]
pub struct Authorities {
    pub store: Arc<RootCertStore>,
    /// The certificates themselves: a server's own, self-signed one may stand among them.
    pub listed: Arc<[CertificateDer<'static>]>,
}

/// The authorities that this machine trusts, as far as they can be read, and what went wrong while
/// they were looked for.
pub fn of_this_machine() -> (RootCertStore, Vec<rustls_native_certs::Error>) {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    (store, found.errors)
}

/// A text that holds no usable authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// It is no PEM.
    #[error("the file of authorities cannot be read as PEM: {0}")]
    Unreadable(String),
    /// It holds no certificate.
    #[error(
        "the file of authorities holds no certificate: it must hold PEM blocks `BEGIN CERTIFICATE`"
    )]
    Empty,
    /// It holds too many.
    #[error("the file of authorities holds more than {AUTHORITIES_MAX} certificates")]
    TooMany,
    /// One cannot be an authority.
    #[error("certificate {number} of the file of authorities cannot be used: {why}")]
    Unusable {
        /// Its place, from 1.
        number: usize,
        why: String,
    },
}

impl Authorities {
    /// The authorities of a PEM text.
    ///
    /// # Errors
    /// [`AuthoritiesError`] for the first thing that is wrong.
    pub fn of_pem(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let mut store = RootCertStore::empty();
        let mut listed = Vec::new();
        for (number, found) in (1..).zip(CertificateDer::pem_slice_iter(pem)) {
            if number > AUTHORITIES_MAX {
                return Err(AuthoritiesError::TooMany);
            }
            let certificate =
                found.map_err(|error| AuthoritiesError::Unreadable(error.to_string()))?;
            store
                .add(certificate.clone())
                .map_err(|error| AuthoritiesError::Unusable { number, why: error.to_string() })?;
            listed.push(certificate);
        }
        if listed.is_empty() {
            return Err(AuthoritiesError::Empty);
        }
        Ok(Self { store: Arc::new(store), listed: listed.into() })
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authorities({})", self.listed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_authorities_is_a_mistake() {
        let of = |pem: &[u8]| Authorities::of_pem(pem).map(|found| found.listed.len());
        assert_eq!(of(b""), Err(AuthoritiesError::Empty));
        assert_eq!(of(b"no pem at all"), Err(AuthoritiesError::Empty));
        assert_eq!(
            of(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            Err(AuthoritiesError::Empty)
        );
        let broken = of(b"-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n");
        assert!(matches!(broken, Err(AuthoritiesError::Unreadable(_))), "{broken:?}");
        let empty = of(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(matches!(empty, Err(AuthoritiesError::Unusable { number: 1, .. })), "{empty:?}");
    }
}
