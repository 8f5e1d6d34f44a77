//! The authorities that a chain is held against: those of a `ca_file`, or those that this machine trusts.
//!
//! Invariant: a `ca_file` without a certificate is a mistake, never an empty set that every chain fails against.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::text;
use crate::domain::proof::Anchors;

/// Certificates that a `ca_file` may hold: all authorities of the public web are about 150.
const CERTIFICATES_MAX: usize = 1000;

/// Authorities; cheap to clone.
#[derive(Clone)]
pub struct Roots {
    pub(super) store: Arc<RootCertStore>,
    /// The certificates themselves: a server's own, self-signed one may stand in a `ca_file` too.
    pub(super) listed: Arc<[CertificateDer<'static>]>,
    /// What they are.
    pub(super) anchors: Anchors,
}

/// A `ca_file` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// It is no PEM.
    #[error("the file of authorities cannot be read as PEM: {0}")]
    Unreadable(String),
    /// It holds no certificate.
    #[error("the file of authorities holds no certificate: it must hold PEM blocks `BEGIN CERTIFICATE`")]
    Empty,
    /// It holds too many.
    #[error("the file of authorities holds more than {CERTIFICATES_MAX} certificates")]
    TooMany,
    /// One cannot be an authority.
    #[error("certificate {number} of the file of authorities cannot be used: {why}")]
    Unusable {
        /// Its place, from 1.
        number: usize,
        /// Why.
        why: String,
    },
}

impl Roots {
    /// The authorities of a PEM file's text.
    pub fn of_pem(pem: &[u8]) -> Result<Self, RootsError> {
        let mut store = RootCertStore::empty();
        let mut listed = Vec::new();
        for (number, found) in (1..).zip(CertificateDer::pem_slice_iter(pem)) {
            if number > CERTIFICATES_MAX {
                return Err(RootsError::TooMany);
            }
            let certificate = found.map_err(|error| RootsError::Unreadable(text::line(&error.to_string())))?;
            store.add(certificate.clone()).map_err(|error| RootsError::Unusable { number, why: text::line(&error.to_string()) })?;
            listed.push(certificate);
        }
        if listed.is_empty() {
            return Err(RootsError::Empty);
        }
        Ok(Self { store: Arc::new(store), listed: listed.into(), anchors: Anchors::CaFile })
    }

    /// The authorities that this machine trusts. What cannot be read of them is left out: the chain's issuer is then
    /// unknown, which the proof says.
    pub fn platform() -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self { store: Arc::new(store), listed: Arc::default(), anchors: Anchors::Platform }
    }
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Roots({:?}, {})", self.anchors, self.store.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_authorities_is_a_mistake() {
        assert!(matches!(Roots::of_pem(b""), Err(RootsError::Empty)));
        assert!(matches!(Roots::of_pem(b"no pem at all"), Err(RootsError::Empty)));
        let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(matches!(Roots::of_pem(key), Err(RootsError::Empty)));
        let broken = b"-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n";
        assert!(matches!(Roots::of_pem(broken), Err(RootsError::Unreadable(_))));
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Roots::of_pem(empty), Err(RootsError::Unusable { number: 1, .. })));
    }
}
