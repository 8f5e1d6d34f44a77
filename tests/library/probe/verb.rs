//! What `sealift probe` prints and how it ends, through the binary that ships.

use std::fs;

use serde_json::Value;

use crate::probe::authority::Authority;
use crate::probe::mariadb::{MariaDb, ServerSetup};

/// Exit code, standard output, standard error.
fn probe(arguments: &[&str]) -> (Option<i32>, String, String) {
    crate::sealift(["probe"].iter().chain(arguments))
}

/// The words at the beginning of the lines.
fn labels(text: &str) -> Vec<&str> {
    text.lines()
        .map(|line| line.split("  ").next().expect("a word").trim())
        .filter(|label| !label.is_empty())
        .collect()
}

#[test]
fn it_tells_people_and_machines_and_ends_accordingly() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let identity = ours.issue(&["127.0.0.1"], 2999);
    let server =
        MariaDb::start(&ServerSetup { identity: Some(&identity), ..ServerSetup::default() });
    let at = format!("127.0.0.1:{}", server.port);
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (ca, wrong, empty) = (
        file("ca.pem", &ours.pem()),
        file("other.pem", &other.pem()),
        file("empty.pem", "nothing\n"),
    );

    let (code, out, err) = probe(&[&at, "--ca-file", &ca, "--min-tls", "1.3"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert_eq!(
        labels(&out),
        ["proven", "server", "greeting", "plain text", "handshake", "certificate", "login", "took"],
        "{out}"
    );
    assert!(out.contains("valid from 2000-01-01 00:00Z until 2999-12-31 00:00Z (in "), "{out}");
    assert!(
        out.contains("refused, as it must be (1045: Access denied for user 'sealift-probe'"),
        "{out}"
    );

    let (code, out, _) = probe(&[&at, "--ca-file", &wrong]);
    assert_eq!(code, Some(3), "{out}");
    assert!(out.starts_with("unknown_issuer") && out.contains("objection"), "{out}");

    let (code, out, _) = probe(&[&at, "--expect", "off", "-o", "json"]);
    let doc: Value = serde_json::from_str(&out).expect("a document");
    assert_eq!(code, Some(3));
    assert_eq!(
        (&doc["verdict"]["word"], &doc["endpoint"], &doc["plaintext"]),
        (&"tls_still_offered".into(), &at.clone().into(), &"not_excluded".into())
    );
    assert_eq!(
        (&doc["tls"]["version"], &doc["tls"]["anchors"]),
        (&"1.3".into(), &"platform".into())
    );
    assert_eq!(doc["tls"]["chain"][0]["names"], serde_json::json!(["127.0.0.1"]));

    let (code, out, err) = probe(&[&at, "--ca-file", &empty]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("empty.pem: the file of authorities holds no certificate"), "{err}");
    drop(server);

    let (code, out, _) = probe(&[&at, "-o", "jsonl"]);
    assert_eq!((code, out.lines().count()), (Some(5), 1), "{out}");
    assert!(out.contains(r#""word":"unreachable""#), "{out}");
    for wrong in [&["nowhere"][..], &[&at, "--min-tls", "1.1"], &[&at, "-o", "csv"]] {
        assert_eq!(probe(wrong).0, Some(1), "{wrong:?}");
    }
}
