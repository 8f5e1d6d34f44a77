//! The vendor's own signatures, reproduced and verified; and what must not verify.

use serde::Deserialize;

use super::*;

/// Made with the vendor's own Python signer, huaweicloudsdkcore 3.1.219.
const VECTORS: &str = include_str!("../../../tests/data/signing-vectors.json");

#[derive(Deserialize)]
struct Vector {
    name: String,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    body: Option<String>,
    body_base64: Option<String>,
    ak: String,
    sk: String,
    date: String,
    expected_canonical_request: String,
    expected_string_to_sign: String,
    expected_authorization: String,
    expected_headers: serde_json::Map<String, serde_json::Value>,
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).expect("the vectors");
    assert!(vectors.len() >= 60, "only {} vectors", vectors.len());
    vectors
}

impl Vector {
    /// The query as a client writes it: every byte that may need it escaped.
    fn wire_query(&self) -> String {
        let escaped = |text: &str| {
            text.bytes()
                .map(|b| {
                    if b.is_ascii_alphanumeric() {
                        char::from(b).into()
                    } else {
                        format!("%{b:02x}")
                    }
                })
                .collect::<String>()
        };
        self.query
            .iter()
            .map(|(key, value)| format!("{}={}", escaped(key), escaped(value)))
            .collect::<Vec<_>>()
            .join("&")
    }

    fn with<T>(&self, f: impl FnOnce(&Signable<'_>) -> T) -> T {
        assert_eq!(self.body_base64, None, "{}: bodies are texts", self.name);
        let headers: Vec<(&str, &[u8])> = self
            .expected_headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().expect("a text").as_bytes()))
            .collect();
        let body = self.body.as_deref().unwrap_or("").as_bytes();
        f(&Signable {
            method: &self.method,
            path: &self.path,
            query: &self.wire_query(),
            headers: &headers,
            body,
        })
    }
}

#[test]
fn every_vector_of_the_vendor_matches_byte_for_byte() {
    let mut wrong = Vec::new();
    let vectors = vectors();
    for vector in &vectors {
        vector.with(|request| {
            let canonical = request.canonical(&request.signed_names());
            let text = String::from_utf8_lossy(&canonical);
            if text != vector.expected_canonical_request {
                wrong.push(format!(
                    "{}: canonical request\n  ours:   {text:?}\n  vendor: {:?}",
                    vector.name, vector.expected_canonical_request
                ));
            } else if string_to_sign(&vector.date, &canonical)
                != vector.expected_string_to_sign.as_bytes()
            {
                wrong.push(format!("{}: string to sign", vector.name));
            } else if request.authorization(&vector.ak, &vector.sk, &vector.date)
                != vector.expected_authorization
            {
                wrong.push(format!("{}: authorization", vector.name));
            }
        });
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
}

#[test]
fn every_vector_verifies_and_with_another_key_none_does() {
    for vector in &vectors() {
        let claim = Claim::read(&vector.expected_authorization).expect("the vendor's form");
        assert_eq!(claim.access_key, vector.ak, "{}", vector.name);
        vector.with(|request| {
            assert_eq!(claim.verify(request, &vector.sk), Ok(()), "{}", vector.name);
            let other = claim.verify(request, &format!("{}x", vector.sk)).expect_err("another key");
            let canonical = vector.expected_canonical_request.replace('\n', "|");
            assert_eq!(other, Unverified::Other { canonical }, "{}", vector.name);
        });
    }
}

#[test]
fn whatever_is_signed_must_arrive_as_it_was() {
    let headers: &[(&str, &[u8])] =
        &[("Host", b"h"), ("X-Sdk-Date", b"20260102T030405Z"), ("X-Security-Token", b"t")];
    let request = Signable { method: "PUT", path: "/a", query: "b=1&a=2", headers, body: b"{}" };
    let authorization = request.authorization("AK", "SK", "20260102T030405Z");
    let claim = Claim::read(&authorization).expect("our own");
    assert_eq!(claim.verify(&request, "SK"), Ok(()));
    // Headers that were not signed may come on top, and the order of the query is free.
    let more = [headers, &[("accept", b"*/*" as &[u8])]].concat();
    assert_eq!(
        claim.verify(&Signable { headers: &more, query: "a=2&b=1", ..request }, "SK"),
        Ok(())
    );
    let date: &[(&str, &[u8])] =
        &[("Host", b"h"), ("X-Sdk-Date", b"20260102T030406Z"), ("X-Security-Token", b"t")];
    let token: &[(&str, &[u8])] =
        &[("Host", b"h"), ("X-Sdk-Date", b"20260102T030405Z"), ("X-Security-Token", b"u")];
    for other in [
        Signable { method: "GET", ..request },
        Signable { path: "/b", ..request },
        Signable { query: "b=1", ..request },
        Signable { body: b"{} ", ..request },
        Signable { headers: date, ..request },
        Signable { headers: token, ..request },
        Signable { headers: &headers[..2], ..request },
        Signable { headers: &[headers, headers].concat(), ..request },
    ] {
        assert!(claim.verify(&other, "SK").is_err(), "{other:?}");
    }
}

#[test]
fn a_claim_of_another_form_is_none() {
    for text in [
        "",
        "SDK-HMAC-SHA256",
        "Basic Zm9v",
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=host;x-sdk-date",
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=host;x-sdk-date, Signature=xyz",
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=00",
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=x-sdk-date, Signature=00",
        "SDK-HMAC-SM3 Access=a, SignedHeaders=host;x-sdk-date, Signature=00",
        "SDK-HMAC-SHA256 Access=a, SignedHeaders=host;x-sdk-date, Signature=00, More=1",
    ] {
        assert_eq!(Claim::read(text), Err(Unverified::Unreadable), "{text}");
    }
}
