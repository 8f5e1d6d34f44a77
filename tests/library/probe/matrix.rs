//! What a real server shows, in every way that TLS can stand or fall there.

use sealift::domain::proof::{
    Anchors, Login, ObjectionWord, PlaintextLogin, TlsVersion, TroubleWord,
};
use sealift::probe::{PROBE_WITHIN, Roots};

use crate::probe::authority::{Authority, self_signed};
use crate::probe::mariadb::{MariaDb, ServerSetup};
use crate::probe::{LAX, TRUSTED, look, look_at, objections, verdict};

#[tokio::test]
async fn tls_is_proven_and_its_chain_held_against_the_authorities() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let identity = ours.issue(&["127.0.0.1", "proxy.example.com"], 2999);
    let server =
        MariaDb::start(&ServerSetup { identity: Some(&identity), ..ServerSetup::default() });

    let proof = look(server.port, &ours.roots()).await;
    assert_eq!(proof.trouble, None);
    let greeting = proof.greeting.as_ref().expect("a greeting");
    assert!(greeting.tls && greeting.version.contains("MariaDB"), "{greeting:?}");
    let tls = proof.tls.as_ref().expect("a handshake");
    assert_eq!((tls.version, tls.anchors), (TlsVersion::V13, Anchors::CaFile));
    assert!(tls.cipher.starts_with("TLS_"), "{}", tls.cipher);
    assert_eq!(objections(&proof), []);
    let own = &tls.chain[0];
    assert!(own.subject.contains("proxy under test") && own.issuer.contains("ours"), "{own:?}");
    assert_eq!(own.names, ["127.0.0.1", "proxy.example.com"]);
    assert_eq!(own.not_after.map(|end| end.to_string()), Some("2999-12-31T00:00:00Z".into()));
    assert!(matches!(&proof.login, Some(Login::Refused { code: 1045, .. })), "{:?}", proof.login);
    assert_eq!(proof.plaintext(), PlaintextLogin::NotExcluded);
    assert!(u128::from(proof.took_ms) <= PROBE_WITHIN.as_millis());
    assert_eq!(
        (verdict(&proof, true, &TRUSTED), verdict(&proof, false, &LAX)),
        ("proven", "tls_still_offered")
    );
    assert!(
        server.log().contains("'sealift-probe'@'127.0.0.1'"),
        "the server's log names us: {}",
        server.log()
    );

    let wrong_authority = look(server.port, &other.roots()).await;
    assert_eq!(objections(&wrong_authority), [ObjectionWord::UnknownIssuer]);
    assert_eq!(
        (verdict(&wrong_authority, true, &TRUSTED), verdict(&wrong_authority, true, &LAX)),
        ("unknown_issuer", "proven")
    );

    let platform = look(server.port, &Roots::platform()).await;
    assert_eq!(objections(&platform), [ObjectionWord::UnknownIssuer]);
    assert_eq!(platform.tls.map(|tls| tls.anchors), Some(Anchors::Platform));

    let wrong_name = look_at("localhost", server.port, &ours.roots()).await;
    assert_eq!(objections(&wrong_name), [ObjectionWord::WrongName]);
    assert_eq!(verdict(&wrong_name, true, &TRUSTED), "proven");
}

#[tokio::test]
async fn tls_off_is_proven_too() {
    let authority = Authority::new("ours");
    let server = MariaDb::start(&ServerSetup::default());
    let proof = look(server.port, &authority.roots()).await;
    assert_eq!(
        (proof.greeting.as_ref().map(|greeting| greeting.tls), &proof.tls, &proof.trouble),
        (Some(false), &None, &None)
    );
    assert!(matches!(&proof.login, Some(Login::Refused { code: 1045, .. })), "{:?}", proof.login);
    assert_eq!(proof.plaintext(), PlaintextLogin::Only);
    assert_eq!(
        (verdict(&proof, false, &LAX), verdict(&proof, true, &LAX)),
        ("proven", "tls_not_offered")
    );
}

#[tokio::test]
async fn an_expired_certificate_is_told_and_so_is_its_unknown_issuer() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let identity = ours.issue(&["127.0.0.1"], 2019);
    let server =
        MariaDb::start(&ServerSetup { identity: Some(&identity), ..ServerSetup::default() });
    let proof = look(server.port, &ours.roots()).await;
    assert_eq!(objections(&proof), [ObjectionWord::Expired]);
    assert_eq!(
        (verdict(&proof, true, &TRUSTED), verdict(&proof, true, &LAX)),
        ("expired", "proven")
    );
    let both = look(server.port, &other.roots()).await;
    assert_eq!(objections(&both), [ObjectionWord::Expired, ObjectionWord::UnknownIssuer]);
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_where_it_is_listed_itself() {
    let identity = self_signed(&["127.0.0.1"]);
    let options = ["--tls-version=TLSv1.2"];
    let server = MariaDb::start(&ServerSetup {
        identity: Some(&identity),
        options: &options,
        ..ServerSetup::default()
    });
    let proof =
        look(server.port, &Roots::of_pem(identity.certificate.as_bytes()).expect("authorities"))
            .await;
    assert_eq!(objections(&proof), []);
    assert_eq!(proof.tls.as_ref().map(|tls| tls.version), Some(TlsVersion::V12));
    assert_eq!(verdict(&proof, true, &TRUSTED), "proven");
    let newer = sealift::domain::proof::Demand { min_tls: TlsVersion::V13, trusted: false };
    assert_eq!(verdict(&proof, true, &newer), "tls_below_minimum");
    let elsewhere = look(server.port, &Authority::new("other").roots()).await;
    assert_eq!(objections(&elsewhere), [ObjectionWord::UnknownIssuer]);
}

#[tokio::test]
async fn a_server_that_speaks_tls_1_1_at_most_is_told_as_such() {
    let authority = Authority::new("ours");
    let identity = authority.issue(&["127.0.0.1"], 2999);
    let options = ["--tls-version=TLSv1.1"];
    let server = MariaDb::start(&ServerSetup {
        identity: Some(&identity),
        options: &options,
        old_tls: true,
        ..ServerSetup::default()
    });
    let proof = look(server.port, &authority.roots()).await;
    assert!(proof.greeting.as_ref().is_some_and(|greeting| greeting.tls), "{proof:?}");
    assert_eq!(
        proof.trouble.as_ref().map(|trouble| trouble.word),
        Some(TroubleWord::TlsTooOld),
        "{proof:?}"
    );
    assert_eq!(verdict(&proof, true, &LAX), "tls_too_old");
}

#[tokio::test]
async fn required_tls_is_proven_as_any_other_and_refuses_plain_text_where_that_shows() {
    let authority = Authority::new("ours");
    let identity = authority.issue(&["127.0.0.1"], 2999);
    let options = ["--require-secure-transport=ON"];
    let server = MariaDb::start(&ServerSetup {
        identity: Some(&identity),
        options: &options,
        ..ServerSetup::default()
    });
    let proof = look(server.port, &authority.roots()).await;
    assert_eq!(verdict(&proof, true, &TRUSTED), "proven");
    // Such a server greets like one that takes both.
    assert_eq!(proof.plaintext(), PlaintextLogin::NotExcluded);
}
