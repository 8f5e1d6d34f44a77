//! The handshake: finished wherever it can be, so that a proof lists all that a strict client would
//! object to.
//!
//! Invariants: no certificate stops the handshake, and none is taken for trusted because of that:
//! the chain is judged afterwards, by [`chain::objections`]; a server that does not prove its key
//! is written down as such. Nothing secret is ever sent through such a connection.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible,
    ProtocolVersion, SignatureScheme, SupportedCipherSuite,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Roots, bounded, chain, packet, text};
use crate::domain::proof::{
    Endpoint, Handshake, Objection, ObjectionWord, TlsVersion, Trouble, TroubleWord,
};

/// The name that certificates are held against: the host as it was written, or the address it led
/// to where no certificate could ever carry such a name.
pub fn server_name(endpoint: &Endpoint, peer: Option<IpAddr>) -> ServerName<'static> {
    ServerName::try_from(endpoint.host.clone()).unwrap_or_else(|_| {
        ServerName::IpAddress(peer.unwrap_or(IpAddr::from([0, 0, 0, 0])).into())
    })
}

/// Shakes hands, and tells what was agreed on and what a strict client would object to.
pub async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    name: &ServerName<'static>,
    roots: &Roots,
    now: Timestamp,
) -> Result<(TlsStream<S>, Handshake), Trouble> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let remembers = Arc::new(Remembers { provider: Arc::clone(&provider), key: Mutex::new(None) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&remembers) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    // A resumed session would show no certificates.
    config.resumption = Resumption::disabled();

    let stream = TlsConnector::from(Arc::new(config))
        .connect(name.clone(), stream)
        .await
        .map_err(|error| trouble(&error))?;
    let (_, session) = stream.get_ref();
    let sent = session.peer_certificates().unwrap_or_default();
    let mut objections = chain::objections(sent, name, roots, now, algorithms.all);
    objections.extend(remembers.key.lock().unwrap_or_else(PoisonError::into_inner).take());
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => TlsVersion::V13,
        // The client offers these two and no other.
        _ => TlsVersion::V12,
    };
    let cipher = session.negotiated_cipher_suite().map(cipher).unwrap_or_default();
    let tls =
        Handshake { version, cipher, chain: chain::read(sent), anchors: roots.anchors, objections };
    Ok((stream, tls))
}

/// The suite's IANA name: 1.3's have no number in theirs.
fn cipher(suite: SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    name.strip_prefix("TLS13_").map_or(name.clone(), |rest| format!("TLS_{rest}"))
}

fn trouble(error: &std::io::Error) -> Trouble {
    if bounded::is_over(error) {
        return packet::broken(error);
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(inner) => failed(inner),
        None => Trouble {
            word: TroubleWord::HandshakeFailed,
            message: format!(
                "TLS is announced, and the handshake broke off: {}",
                packet::broken(error).message
            ),
        },
    }
}

fn failed(error: &Error) -> Trouble {
    use PeerIncompatible::{ServerDoesNotSupportTls12Or13, ServerTlsVersionIsDisabledByOurConfig};
    match error {
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            ServerDoesNotSupportTls12Or13 | ServerTlsVersionIsDisabledByOurConfig,
        ) => Trouble {
            word: TroubleWord::TlsTooOld,
            message: "TLS is announced, and the server speaks no TLS 1.2 or newer".into(),
        },
        other => Trouble {
            word: TroubleWord::HandshakeFailed,
            message: format!(
                "TLS is announced, and the handshake failed: {}",
                text::line(&other.to_string())
            ),
        },
    }
}

/// Lets every certificate pass, and remembers whether the server proved that the certificate's key
/// is its own.
#[derive(Debug)]
struct Remembers {
    provider: Arc<CryptoProvider>,
    key: Mutex<Option<Objection>>,
}

impl Remembers {
    fn remember(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        proven: Result<HandshakeSignatureValid, Error>,
    ) -> HandshakeSignatureValid {
        proven.unwrap_or_else(|error| {
            if self.by_key_alone(message, cert, signed) {
                return HandshakeSignatureValid::assertion();
            }
            let message = format!(
                "the server did not prove that it owns its certificate: {}",
                text::line(&error.to_string())
            );
            let objection = Objection { word: ObjectionWord::KeyNotProven, message };
            *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(objection);
            HandshakeSignatureValid::assertion()
        })
    }

    /// The library reads no certificate of X.509 version 1, which MySQL's own manual made for
    /// years. What it objects to in the certificate is told elsewhere; here only its key counts.
    fn by_key_alone(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(cert) else { return false };
        let key = &parsed.public_key().subject_public_key.data;
        let known = self
            .provider
            .signature_verification_algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme);
        known.is_some_and(|(_, algorithms)| {
            algorithms.iter().any(|algorithm| {
                algorithm.verify_signature(key, message, signed.signature()).is_ok()
            })
        })
    }
}

impl ServerCertVerifier for Remembers {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let proven = verify_tls12_signature(
            message,
            cert,
            signed,
            &self.provider.signature_verification_algorithms,
        );
        Ok(self.remember(message, cert, signed, proven))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let proven = verify_tls13_signature(
            message,
            cert,
            signed,
            &self.provider.signature_verification_algorithms,
        );
        Ok(self.remember(message, cert, signed, proven))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
