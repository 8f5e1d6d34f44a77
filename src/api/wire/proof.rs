//! What the wire showed: of one change, and of a whole rollout.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a probe showed that proved a change; the journal has the whole proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofDoc {
    /// When the probe began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `1.2` or `1.3`; absent: the port announces no TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// The cipher suite, by its IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// The last second of the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<Timestamp>,
    /// SHA-256 of the server's certificate, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether plain text is still accepted, as far as it showed itself: `only`, `not_excluded` or
    /// `refused`.
    pub plaintext: String,
}

/// What the wire must show in a rollout, and what it showed so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WireDoc {
    /// The oldest TLS version that counts: `1.2` or `1.3`.
    pub min_tls: String,
    /// Whether the chains are held against a `ca_file`.
    pub trusted: bool,
    /// Proven changes by their TLS version, `none` for those that show no TLS; absent while they
    /// are still being counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<BTreeMap<String, u32>>,
    /// The end of the certificate that ends first; absent while none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_expiry: Option<Timestamp>,
}

/// What a plan demands of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WirePreview {
    /// The oldest TLS version that counts: `1.2` or `1.3`.
    pub min_tls: String,
    /// Authorities in the `ca_file`; 0: the chain is recorded and not judged.
    pub authorities: u32,
}
