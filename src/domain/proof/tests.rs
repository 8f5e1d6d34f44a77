//! The verdict's table: seen × wanted × demanded.

use super::*;

fn proof(greeting: Option<bool>) -> Proof {
    Proof {
        endpoint: "192.0.2.7:3306".parse().expect("an endpoint"),
        at: "2026-12-01T02:00:00Z".parse().expect("an instant"),
        took_ms: 12,
        greeting: greeting.map(|tls| Greeting {
            version: "8.0.22".into(),
            tls,
            capabilities: if tls { 0x0800 } else { 0 },
        }),
        tls: None,
        login: None,
        trouble: None,
    }
}

fn spoken(version: TlsVersion, objections: &[ObjectionWord]) -> Proof {
    let certificate = Certificate {
        subject: "CN=proxy".into(),
        issuer: "CN=authority".into(),
        names: vec!["proxy.example.com".into()],
        not_before: Some("2026-01-01T00:00:00Z".parse().expect("an instant")),
        not_after: Some("2027-01-01T00:00:00Z".parse().expect("an instant")),
        sha256: Digest::of(b"certificate"),
    };
    let objections = objections
        .iter()
        .map(|word| Objection { word: *word, message: format!("objected: {}", word.as_str()) })
        .collect();
    let tls = Handshake {
        version,
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        chain: vec![certificate],
        anchors: Anchors::CaFile,
        objections,
    };
    Proof { tls: Some(tls), ..proof(Some(true)) }
}

fn troubled(greeting: Option<bool>, word: TroubleWord) -> Proof {
    Proof { trouble: Some(Trouble { word, message: "trouble".into() }), ..proof(greeting) }
}

const LAX: Demand = Demand { min_tls: TlsVersion::V12, trusted: false };
const STRICT: Demand = Demand { min_tls: TlsVersion::V13, trusted: true };

#[test]
fn what_was_seen_against_what_is_wanted() {
    use ObjectionWord::*;
    use TlsVersion::*;
    let rows: &[(Proof, bool, Demand, &str)] = &[
        (proof(Some(false)), false, STRICT, "proven"),
        (proof(Some(false)), true, LAX, "tls_not_offered"),
        (spoken(V13, &[]), false, LAX, "tls_still_offered"),
        (proof(Some(true)), false, LAX, "tls_still_offered"),
        // That TLS is broken there does not make it off.
        (troubled(Some(true), TroubleWord::TlsTooOld), false, LAX, "tls_still_offered"),
        (spoken(V13, &[]), true, STRICT, "proven"),
        (spoken(V12, &[]), true, LAX, "proven"),
        (spoken(V12, &[]), true, STRICT, "tls_below_minimum"),
        (spoken(V13, &[UnknownIssuer, Expired, WrongName]), true, LAX, "proven"),
        (spoken(V13, &[WrongName]), true, STRICT, "proven"),
        (spoken(V13, &[WrongName, Expired]), true, STRICT, "expired"),
        (spoken(V13, &[UnknownIssuer]), true, STRICT, "unknown_issuer"),
        (spoken(V13, &[NotYetValid]), true, STRICT, "not_yet_valid"),
        (spoken(V13, &[Invalid]), true, STRICT, "invalid"),
        (spoken(V13, &[KeyNotProven]), true, LAX, "key_not_proven"),
        (troubled(Some(true), TroubleWord::TlsTooOld), true, LAX, "tls_too_old"),
        (troubled(Some(true), TroubleWord::HandshakeFailed), true, LAX, "handshake_failed"),
        (troubled(Some(true), TroubleWord::TimedOut), true, LAX, "timed_out"),
        (troubled(None, TroubleWord::HostBlocked), true, LAX, "host_blocked"),
        (troubled(None, TroubleWord::Unreachable), false, LAX, "unreachable"),
        // Never a proof, whatever a foreign record holds.
        (proof(None), false, LAX, "closed"),
        (proof(Some(true)), true, LAX, "closed"),
    ];
    for (proof, wanted, demand, word) in rows {
        let verdict = judge(proof, *wanted, demand);
        assert_eq!(verdict.as_str(), *word, "{proof:?} wanted {wanted} under {demand:?}");
        assert_eq!(verdict.is_proven(), *word == "proven");
        assert!(verdict.message().starts_with("192.0.2.7:3306"), "{}", verdict.message());
    }
}

#[test]
fn plain_text_is_reported_as_far_as_it_shows() {
    assert_eq!(proof(Some(false)).plaintext(), PlaintextLogin::Only);
    assert_eq!(proof(Some(true)).plaintext(), PlaintextLogin::NotExcluded);
    assert_eq!(proof(None).plaintext(), PlaintextLogin::NotExcluded);
    let login =
        Some(Login::Refused { code: 3159, message: "insecure transport".into(), insecure: true });
    assert_eq!(Proof { login, ..proof(Some(false)) }.plaintext(), PlaintextLogin::Refused);
}

#[test]
fn a_proof_survives_the_journal() {
    let login = Some(Login::Refused { code: 1045, message: "no".into(), insecure: false });
    let full = Proof { login, ..spoken(TlsVersion::V12, &[ObjectionWord::WrongName]) };
    let text = serde_json::to_string(&full).expect("a document");
    assert!(
        text.contains(r#""endpoint":"192.0.2.7:3306""#) && text.contains(r#""version":"1.2""#),
        "{text}"
    );
    for proof in [full, troubled(None, TroubleWord::NotMysql), proof(Some(false))] {
        let text = serde_json::to_string(&proof).expect("a document");
        assert_eq!(serde_json::from_str::<Proof>(&text).expect("readable"), proof);
    }
}

#[test]
fn endpoints_are_read_and_printed_alike() {
    for text in ["192.0.2.7:3306", "db-1.example.com:13306", "[2001:db8::7]:3306"] {
        let endpoint: Endpoint = text.parse().expect("an endpoint");
        assert_eq!(endpoint.to_string(), text);
    }
    // However the cloud writes an address: what is kept is read back as the same.
    let written = Endpoint::new("0729:db8:0::7", 3306).expect("an address");
    assert_eq!(written.to_string().parse(), Ok(written));
    for text in [
        "",
        "db",
        "db:",
        ":3306",
        "db:0",
        "db:65536",
        "2001:db8::7:x",
        "[db]:1",
        "a b:1",
        "http://db:80",
        "[::1:1",
        "db\n:1",
    ] {
        assert!(text.parse::<Endpoint>().is_err(), "{text:?} is no endpoint");
    }
}

#[test]
fn versions_are_read_by_their_number() {
    assert_eq!("1.3".parse(), Ok(TlsVersion::V13));
    assert!(TlsVersion::V12 < TlsVersion::V13);
    for text in ["1.1", "TLSv1.2", "1", ""] {
        assert_eq!(text.parse::<TlsVersion>(), Err(NotATlsVersion), "{text}");
    }
}
