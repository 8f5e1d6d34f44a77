//! Certificates: read for people, and held against a strict client's rules one by one.
//!
//! Invariant: each rule is looked at by itself, so that an expired certificate of an unknown issuer
//! is reported as both; a certificate that cannot be read is an objection, never a failure of the
//! probe.
//!
//! Deliberately not here: revocation. It would take calls to third parties in the middle of a
//! rollout.

use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

use super::{Roots, text};
use crate::domain::id::Digest;
use crate::domain::proof::{Anchors, Certificate, NAMES_MAX, Objection, ObjectionWord};

/// Certificates kept of one chain; real ones have two to four.
const CHAIN_MAX: usize = 8;

/// What the server sent, its own certificate first.
pub fn read(chain: &[CertificateDer<'_>]) -> Vec<Certificate> {
    chain.iter().take(CHAIN_MAX).map(|der| certificate(der)).collect()
}

fn certificate(der: &[u8]) -> Certificate {
    let sha256 = Digest::of(der);
    let Ok((_, parsed)) = X509Certificate::from_der(der) else {
        return Certificate {
            subject: String::new(),
            issuer: String::new(),
            names: Vec::new(),
            not_before: None,
            not_after: None,
            sha256,
        };
    };
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = alternatives
        .iter()
        .flat_map(|found| &found.value.general_names)
        .filter_map(name)
        .take(NAMES_MAX)
        .collect();
    let validity = parsed.validity();
    Certificate {
        subject: text::line(&parsed.subject().to_string()),
        issuer: text::line(&parsed.issuer().to_string()),
        names,
        not_before: instant(validity.not_before),
        not_after: instant(validity.not_after),
        sha256,
    }
}

fn instant(time: ASN1Time) -> Option<Timestamp> {
    Timestamp::from_second(time.timestamp()).ok()
}

/// Host names and addresses; clients of a database look at no other kind.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(host) => Some(text::line(host)),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(|four| Ipv4Addr::from(four).to_string());
            four.or_else(|_| {
                <[u8; 16]>::try_from(*bytes).map(|sixteen| Ipv6Addr::from(sixteen).to_string())
            })
            .ok()
        }
        _ => None,
    }
}

/// All that a strict client would object to in this chain, now.
pub fn objections(
    chain: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    roots: &Roots,
    now: Timestamp,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Vec<Objection> {
    let Some((own, others)) = chain.split_first() else {
        return vec![objection(ObjectionWord::Invalid, "the server sent no certificate".into())];
    };
    let known = certificate(own);
    let mut found = Vec::new();
    if let Some(end) = known.not_after.filter(|end| *end < now) {
        found.push(objection(
            ObjectionWord::Expired,
            format!("the certificate of {} ended at {end}", who(&known)),
        ));
    }
    if let Some(begin) = known.not_before.filter(|begin| *begin > now) {
        found.push(objection(
            ObjectionWord::NotYetValid,
            format!("the certificate of {} begins at {begin}", who(&known)),
        ));
    }
    let parsed = match ParsedCertificate::try_from(own) {
        Ok(parsed) => parsed,
        Err(error) => {
            found.push(objection(
                ObjectionWord::Invalid,
                format!("the certificate cannot be used: {}", text::line(&error.to_string())),
            ));
            return found;
        }
    };
    // An issuer is known or not, whatever time it is: the chain is held against an instant at which
    // the certificate is valid.
    let when = match (known.not_before, known.not_after) {
        (Some(begin), Some(end)) if begin <= end => now.clamp(begin, end),
        _ => now,
    };
    let when = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        u64::try_from(when.as_second()).unwrap_or(0),
    ));
    // A server's own certificate that stands in the `ca_file` is trusted as it is; it need not be
    // an authority.
    let pinned = roots.listed.iter().any(|listed| listed == own);
    if !pinned
        && let Err(error) = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &roots.store,
            others,
            when,
            algorithms,
        )
    {
        let objected = unsigned(&error, &known, roots);
        if found.iter().all(|other| other.word != objected.word) {
            found.push(objected);
        }
    }
    if verify_server_name(&parsed, name).is_err() {
        let names = if known.names.is_empty() {
            "no name at all".to_owned()
        } else {
            known.names.join(", ")
        };
        found.push(objection(
            ObjectionWord::WrongName,
            format!("the certificate is for {names}, not for {}", name.to_str()),
        ));
    }
    found
}

fn unsigned(error: &Error, known: &Certificate, roots: &Roots) -> Objection {
    use CertificateError as E;
    let Error::InvalidCertificate(error) = error else {
        return objection(
            ObjectionWord::Invalid,
            format!("the chain cannot be checked: {}", text::line(&error.to_string())),
        );
    };
    match error {
        E::UnknownIssuer => {
            let known_here = match roots.anchors {
                Anchors::CaFile => "the file of authorities does not hold it",
                Anchors::Platform if roots.store.is_empty() => {
                    "this machine trusts no authority at all"
                }
                Anchors::Platform => "this machine does not trust it",
            };
            objection(
                ObjectionWord::UnknownIssuer,
                format!("the issuer is {}, and {known_here}", known.issuer),
            )
        }
        E::Expired | E::ExpiredContext { .. } => {
            objection(ObjectionWord::Expired, "a certificate of the chain has ended".into())
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            objection(ObjectionWord::NotYetValid, "a certificate of the chain has not begun".into())
        }
        other => objection(
            ObjectionWord::Invalid,
            format!("the chain breaks a rule: {}", text::line(&other.to_string())),
        ),
    }
}

fn who(certificate: &Certificate) -> &str {
    if certificate.subject.is_empty() { "the server" } else { &certificate.subject }
}

fn objection(word: ObjectionWord, message: String) -> Objection {
    Objection { word, message: text::line(&message) }
}
