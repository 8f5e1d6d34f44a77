//! Servers that no MariaDB can be: one that shows a certificate whose key it does not have, one
//! with a certificate of X.509 version 1, and one whose chain has a link that ended.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sealift::domain::proof::{ObjectionWord, Proof, TlsVersion};
use sealift::probe::Roots;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::probe::authority::{Authority, CertificateAndKey, first_version};
use crate::probe::rude::GREETING;
use crate::probe::{LAX, TRUSTED, look, objections, verdict};

/// What a server shows, whether it is its own or not.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn der(identity: &CertificateAndKey) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("a certificate")
}

/// One probe of a server with this chain and this key.
async fn against(
    version: TlsVersion,
    chain: Vec<CertificateDer<'static>>,
    key: &CertificateAndKey,
    roots: &Roots,
) -> Proof {
    let key = PrivateKeyDer::from_pem_slice(key.key.as_bytes()).expect("a key");
    let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key");
    let versions = match version {
        TlsVersion::V12 => [&rustls::version::TLS12],
        TlsVersion::V13 => [&rustls::version::TLS13],
    };
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&versions)
        .expect("a version")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shows(Arc::new(CertifiedKey::new(chain, key)))));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        socket.write_all(GREETING).await.expect("written");
        socket.read_exact(&mut [0; 36]).await.expect("the request for TLS");
        let mut stream =
            TlsAcceptor::from(Arc::new(config)).accept(socket).await.expect("a handshake");
        let mut login = [0; 512];
        let length = stream.read(&mut login).await.expect("a login");
        assert_eq!(
            (login[3], &login[36..50]),
            (2, &b"sealift-probe\0"[..]),
            "{}",
            login[..length].escape_ascii()
        );
        stream.write_all(b"\x0b\0\0\x03\xff\x15\x04#28000no").await.expect("written");
        let _ = stream.read(&mut login).await;
    });
    let proof = look(port, roots).await;
    server.await.expect("the server's part of it");
    assert_eq!(proof.tls.as_ref().map(|tls| tls.version), Some(version), "{proof:?}");
    proof
}

#[tokio::test]
async fn whoever_does_not_have_the_key_proves_nothing() {
    let authority = Authority::new("ours");
    let (shown, own) =
        (authority.issue(&["127.0.0.1"], 2999), authority.issue(&["127.0.0.1"], 2999));
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let impostor = against(version, vec![der(&shown)], &own, &authority.roots()).await;
        assert_eq!(objections(&impostor), [ObjectionWord::KeyNotProven]);
        assert_eq!(verdict(&impostor, true, &LAX), "key_not_proven");
        let honest = against(version, vec![der(&own)], &own, &authority.roots()).await;
        assert_eq!((objections(&honest), verdict(&honest, true, &TRUSTED)), (vec![], "proven"));
    }
}

#[tokio::test]
async fn a_certificate_of_version_1_proves_its_key_and_is_objected_to() {
    let authority = Authority::new("ours");
    let (shown, other) =
        (authority.issue(&["127.0.0.1"], 2999), authority.issue(&["127.0.0.1"], 2999));
    let old = CertificateDer::from(first_version(&der(&shown)));
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let proof = against(version, vec![old.clone()], &shown, &authority.roots()).await;
        assert_eq!(objections(&proof), [ObjectionWord::Invalid]);
        assert_eq!(
            (verdict(&proof, true, &LAX), verdict(&proof, true, &TRUSTED)),
            ("proven", "invalid")
        );
        let chain = proof.tls.expect("a handshake").chain;
        assert!(
            chain[0].subject.contains("proxy under test") && chain[0].not_after.is_some(),
            "{chain:?}"
        );
        let impostor = against(version, vec![old.clone()], &other, &authority.roots()).await;
        assert_eq!(verdict(&impostor, true, &LAX), "key_not_proven");
    }
}

#[tokio::test]
async fn a_link_of_the_chain_that_ended_is_told_and_a_missing_one_too() {
    let authority = Authority::new("ours");
    for (until, told) in [(2999, vec![]), (2019, vec![ObjectionWord::Expired])] {
        let (link, pem) = authority.delegate("between", until);
        let own = link.issue(&["127.0.0.1"], 2999);
        let between = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let whole =
            against(TlsVersion::V13, vec![der(&own), between], &own, &authority.roots()).await;
        assert_eq!(objections(&whole), told);
        assert_eq!(whole.tls.as_ref().map(|tls| tls.chain.len()), Some(2));
        let without = against(TlsVersion::V13, vec![der(&own)], &own, &authority.roots()).await;
        assert_eq!(objections(&without), [ObjectionWord::UnknownIssuer]);
    }
}

#[tokio::test]
async fn bytes_that_are_no_certificate_are_objected_to() {
    let authority = Authority::new("ours");
    let own = authority.issue(&["127.0.0.1"], 2999);
    let proof = against(
        TlsVersion::V13,
        vec![CertificateDer::from(b"no certificate".to_vec())],
        &own,
        &authority.roots(),
    )
    .await;
    assert_eq!(objections(&proof), [ObjectionWord::Invalid, ObjectionWord::KeyNotProven]);
    assert_eq!(verdict(&proof, true, &LAX), "key_not_proven");
}
