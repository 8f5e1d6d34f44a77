//! What a chain is verified against: the authorities of a `ca_file`, or those that this machine
//! trusts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::authorities::{Authorities, AuthoritiesError, of_this_machine};
use crate::domain::id::Digest;
use crate::domain::proof::Anchors;

/// Authorities and what they are; cheap to clone.
#[derive(Clone)]
pub struct Roots {
    pub(super) store: Arc<RootCertStore>,
    /// The certificates themselves: a server's own, self-signed one may stand in a `ca_file` too.
    pub(super) listed: Arc<[CertificateDer<'static>]>,
    pub(super) anchors: Anchors,
}

impl Roots {
    /// The authorities of a `ca_file`'s text.
    ///
    /// # Errors
    /// [`AuthoritiesError`] when it holds none that can be used.
    pub fn of_pem(pem: &[u8]) -> Result<Self, AuthoritiesError> {
        let Authorities { store, listed } = Authorities::of_pem(pem)?;
        Ok(Self { store, listed, anchors: Anchors::CaFile })
    }

    /// No authority at all: every chain's issuer is unknown.
    fn nobody() -> Self {
        Self {
            store: Arc::new(RootCertStore::empty()),
            listed: Arc::default(),
            anchors: Anchors::CaFile,
        }
    }

    /// The authorities that this machine trusts. What cannot be read of them is left out: the
    /// chain's issuer is then unknown, which the proof says.
    pub fn platform() -> Self {
        let (store, _) = of_this_machine();
        Self { store: Arc::new(store), listed: Arc::default(), anchors: Anchors::Platform }
    }
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Roots({:?}, {})", self.anchors, self.store.len())
    }
}

/// Roots of `ca_file`s kept: as many plans as run at once, as a rule.
const KEPT_MAX: usize = 8;

/// Roots that were made of late: every probe of a rollout needs the same, and a large file takes a
/// while to read.
#[derive(Default)]
pub(super) struct KeptRoots {
    platform: OnceLock<Roots>,
    of_files: Mutex<VecDeque<(Digest, Roots)>>,
}

impl KeptRoots {
    /// Those of a `ca_file`'s text, or those that this machine trusts.
    pub(super) fn of(&self, ca: Option<&str>) -> Roots {
        let Some(pem) = ca else { return self.platform.get_or_init(Roots::platform).clone() };
        let digest = Digest::of(pem.as_bytes());
        let mut kept = self.of_files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, roots)) = kept.iter().find(|(known, _)| *known == digest) {
            return roots.clone();
        }
        // The text was looked at when its plan was read. One that cannot be read here all the same
        // vouches for nobody.
        let roots = Roots::of_pem(pem.as_bytes()).unwrap_or_else(|_| Roots::nobody());
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((digest, roots.clone()));
        roots
    }
}
