//! What the wire showed: of one change, and of a whole rollout.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::proof::{Anchors, Certificate, Handshake, Login, Proof};

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

/// All that one look at a port saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FullProofDoc {
    /// Where it looked: a host and a port.
    pub endpoint: String,
    /// When it began; certificates are held against this instant.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The server's greeting; absent if none came that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<GreetingDoc>,
    /// The finished TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<HandshakeDoc>,
    /// How the server answered the login that ends a look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginDoc>,
    /// What kept it from seeing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<WordedDoc>,
    /// Whether plain text is still accepted, as far as it showed itself: `only`, `not_excluded` or
    /// `refused`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plaintext: String,
}

/// What a server's greeting says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GreetingDoc {
    /// The version text as sent; MariaDB's begins with `5.5.5-`.
    pub version: String,
    /// Whether TLS is announced.
    pub tls: bool,
    /// All capability bits, for those who want to look closer.
    pub capabilities: u32,
}

/// A TLS handshake that was finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandshakeDoc {
    /// The version agreed on: `1.2` or `1.3`.
    pub version: String,
    /// The cipher suite, by its IANA name.
    pub cipher: String,
    /// What the server sent, its own certificate first.
    pub chain: Vec<CertificateDoc>,
    /// What the chain was held against: `ca_file` or `platform`.
    pub anchors: String,
    /// All that a strict client would object to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objections: Vec<WordedDoc>,
}

/// One certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateDoc {
    /// Whom it names; empty when it cannot be read.
    pub subject: String,
    /// Who signed it; empty when it cannot be read.
    pub issuer: String,
    /// The alternative names, the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Valid from; null when it cannot be read.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_before: Option<Timestamp>,
    /// Valid until, that second included; null when it cannot be read.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_after: Option<Timestamp>,
    /// SHA-256 of its DER bytes, in hex.
    pub sha256: String,
}

/// How a server answered a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginDoc {
    /// `refused`, as it must be; `accepted`; or `unanswered`, where the connection ended otherwise.
    pub is: String,
    /// The server's error number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// What it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// It was refused because it came without TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

/// A stable word, and the same for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WordedDoc {
    pub word: String,
    pub message: String,
}

impl From<&Proof> for FullProofDoc {
    fn from(proof: &Proof) -> Self {
        Self {
            endpoint: proof.endpoint.to_string(),
            at: proof.at,
            took_ms: proof.took_ms,
            greeting: proof.greeting.as_ref().map(|greeting| GreetingDoc {
                version: greeting.version.clone(),
                tls: greeting.tls,
                capabilities: greeting.capabilities,
            }),
            tls: proof.tls.as_ref().map(HandshakeDoc::from),
            login: proof.login.as_ref().map(LoginDoc::from),
            trouble: proof.trouble.as_ref().map(|trouble| WordedDoc {
                word: trouble.word.as_str().into(),
                message: trouble.message.clone(),
            }),
            plaintext: proof.plaintext().as_str().into(),
        }
    }
}

impl From<&Handshake> for HandshakeDoc {
    fn from(handshake: &Handshake) -> Self {
        let objections = handshake.objections.iter().map(|objection| WordedDoc {
            word: objection.word.as_str().into(),
            message: objection.message.clone(),
        });
        let anchors = match handshake.anchors {
            Anchors::CaFile => "ca_file",
            Anchors::Platform => "platform",
        };
        Self {
            version: handshake.version.as_str().into(),
            cipher: handshake.cipher.clone(),
            chain: handshake.chain.iter().map(CertificateDoc::from).collect(),
            anchors: anchors.into(),
            objections: objections.collect(),
        }
    }
}

impl From<&Certificate> for CertificateDoc {
    fn from(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            names: certificate.names.clone(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            sha256: certificate.sha256.to_string(),
        }
    }
}

impl From<&Login> for LoginDoc {
    fn from(login: &Login) -> Self {
        let (is, code, message, insecure) = match login {
            Login::Refused { code, message, insecure } => {
                ("refused", Some(*code), Some(message.clone()), *insecure)
            }
            Login::Accepted => ("accepted", None, None, false),
            Login::Unanswered { message } => ("unanswered", None, Some(message.clone()), false),
        };
        Self { is: is.into(), code, message, insecure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client has read before is read still: the journal's own form, and one word more.
    #[test]
    fn a_proof_reads_as_the_journal_keeps_it() {
        let certificate = serde_json::json!({
            "subject": "CN=db", "issuer": "CN=ca", "names": ["db.example.com"],
            "not_before": "2026-01-01T00:00:00Z", "not_after": null, "sha256": "ab".repeat(32),
        });
        let objection = serde_json::json!({"word": "wrong_name", "message": "another host"});
        let logins = [
            serde_json::json!({"is": "refused", "code": 3159, "message": "no", "insecure": true}),
            serde_json::json!({"is": "accepted"}),
            serde_json::json!({"is": "unanswered", "message": "closed"}),
        ];
        for login in logins {
            let kept = serde_json::json!({
                "endpoint": "192.0.2.7:3306", "at": "2026-11-28T01:00:00Z", "took_ms": 12,
                "greeting": {"version": "8.0.22", "tls": true, "capabilities": 2048},
                "tls": {
                    "version": "1.3", "cipher": "TLS_AES_256_GCM_SHA384", "chain": [certificate],
                    "anchors": "ca_file", "objections": [objection],
                },
                "login": login,
                "trouble": {"word": "closed", "message": "early"},
            });
            let proof: Proof = serde_json::from_value(kept.clone()).expect("as the journal has it");
            let mut shown = serde_json::to_value(FullProofDoc::from(&proof)).expect("JSON");
            assert!(shown.as_object_mut().and_then(|shown| shown.remove("plaintext")).is_some());
            assert_eq!(shown, kept);
        }
    }
}
