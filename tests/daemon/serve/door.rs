//! The daemon's door on the network as its users meet it: the verbs with a token or a certificate,
//! a session over a restart, and starts that are refused.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::serve::world::{ServeWorld, ServedDaemon, VerbOutput, sealift};

pub const TOKENS: &str = "listen: \"127.0.0.1:0\", tokens_file: tokens.yaml";

/// A world whose `api` has this too, and whose people are carol, who runs the test, and bob, who
/// reads.
pub fn world(api: &str) -> ServeWorld {
    let world = ServeWorld::new(3, 3, "{}");
    let user = Command::new("id").arg("-un").output().expect("`id` runs").stdout;
    let user = String::from_utf8(user).expect("text");
    let people = format!(
        "people: [{{name: carol, unix: {}, certificate: \"CN=carol\", may: [read, operate, approve, off]}}, {{name: bob, certificate: \"CN=bob\", may: [read]}}]",
        user.trim()
    );
    let text = std::fs::read_to_string(world.path("sealift.yaml")).expect("a file");
    world.write(
        "sealift.yaml",
        &text.replace(
            "api: {socket: run/api.sock}",
            &format!("api: {{socket: run/api.sock, {api}, {people}}}"),
        ),
    );
    world
}

/// Where the daemon listens, as its log says; the last one that was started.
pub fn address(daemon: &ServedDaemon) -> String {
    daemon.logged("the API listens on the network too");
    let log = daemon.log();
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains("the API listens on the network too"))
        .expect("a line");
    let found = line
        .split("listen=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("an address");
    found.chars().filter(|c| *c != '"').collect()
}

/// A verb as somebody types it on another machine: nothing here knows the daemon's configuration.
fn elsewhere(addr: &str, environment: &[(&str, &Path)], arguments: &[&str]) -> VerbOutput {
    let mut command = sealift();
    command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/dev/null");
    command
        .env("SEALIFT_ADDR", addr)
        .env("SEALIFT_CONFIG", "/absent.yaml")
        .envs(environment.iter().copied());
    VerbOutput::of(command.args(arguments).output().expect("the binary runs"))
}

pub fn new_token(world: &ServeWorld, name: &str, may: &str) -> PathBuf {
    let made = world.run(&["token", "new", "--name", name, "--may", may, "--label", "laptop"]);
    assert!(made.code == Some(0) && made.err.contains("it is shown this once"), "{made:?}");
    world.write(&format!("{name}-token"), &made.out)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_works_from_elsewhere_with_a_token() {
    let world = world(TOKENS);
    let refused = world.run(&["token", "new", "--name", "bob", "--may", "read,operate"]);
    assert!(
        refused.code == Some(1) && refused.err.contains("bob may read, and a token gives no more"),
        "{refused:?}"
    );
    let refused = world.run(&["token", "new", "--name", "eve", "--may", "read"]);
    assert!(refused.code == Some(1) && refused.err.contains("names no eve"), "{refused:?}");
    let (carol, bob) =
        (new_token(&world, "carol", "read,operate"), new_token(&world, "bob", "read"));
    let listed: Value =
        serde_json::from_str(&world.run(&["token", "list", "-o", "json"]).out).expect("JSON");
    assert_eq!((&listed[0]["name"], &listed[1]["may"]), (&json!("carol"), &json!(["read"])));

    let daemon = world.daemon().ready();
    let addr = address(&daemon);
    let run = |arguments: &[&str]| elsewhere(&addr, &[("SEALIFT_TOKEN_FILE", &carol)], arguments);
    let plan = world.plan("night", "");
    let plan = plan.to_str().expect("text");
    for (arguments, code) in [
        (&["list"][..], 0),
        (&["status"], 0),
        (&["plan", plan], 0),
        (&["preflight", plan, "--no-ports"], 0),
        (&["discover", "--lane", "lab"], 0),
        (&["stop", "--reason", "a test"], 0),
        (&["start", "--reason", "a test"], 0),
        (&["pause", "--lane", "lab", "--reason", "a test"], 0),
        (&["resume", "--lane", "lab"], 0),
        (&["apply", plan, "--yes"], 0),
        (&["status", "night"], 0),
        (&["watch", "night"], 0),
        (&["changes", "night"], 0),
        (&["jobs", "night"], 0),
        (&["journal", "night"], 0),
        (&["enforce"], 0),
    ] {
        let ran = run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
    }
    let shown: Value =
        serde_json::from_str(&run(&["status", "night", "-o", "json"]).out).expect("JSON");
    assert_eq!(shown["by"], "carol", "the one name, whatever the door");
    daemon.logged("via=token laptop");
    let exported = world.path("copy.tar");
    assert_eq!(run(&["store", "export", exported.to_str().expect("text")]).code, Some(0));
    let reader = elsewhere(&addr, &[("SEALIFT_TOKEN_FILE", &bob)], &["stop", "--reason", "a test"]);
    assert!(reader.code == Some(1) && reader.err.contains("bob may read"), "{reader:?}");
    let nobody = elsewhere(&addr, &[], &["list"]);
    assert!(nobody.code == Some(8) && nobody.err.contains("SEALIFT_TOKEN_FILE=FILE"), "{nobody:?}");
    let opened = run(&["open"]);
    assert!(opened.code == Some(1) && opened.err.contains("on the daemon's host"), "{opened:?}");
    let id = listed[0]["id"].as_str().expect("an id");
    assert_eq!(world.run(&["token", "revoke", id]).code, Some(0));
    let revoked = run(&["list"]);
    assert!(revoked.code == Some(8) && revoked.err.contains("was revoked"), "{revoked:?}");
    let gone = elsewhere("http://127.0.0.1:1", &[("SEALIFT_TOKEN_FILE", &bob)], &["list"]);
    assert!(gone.code == Some(8) && gone.err.contains("api.listen"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_cut_when_its_token_is_revoked_runs_out_or_loses_its_role() {
    let world = world(TOKENS);
    let names = ["bob", "bob revoked", "bob over", "bob without a role"];
    let tokens =
        names.map(|_| std::fs::read_to_string(new_token(&world, "bob", "read")).expect("a token"));
    let daemon = world.daemon().ready();
    let addr = address(&daemon);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut streams = Vec::new();
    let paths = ["/v1/moved", "/v1/moved", "/v1/journal/stream", "/v1/moved"];
    for (token, path) in tokens.iter().zip(paths) {
        let asked = http.get(format!("{addr}{path}")).bearer_auth(token.trim());
        let answer = asked.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        streams.push(answer);
    }
    let listed: Value =
        serde_json::from_str(&world.run(&["token", "list", "-o", "json"]).out).expect("JSON");
    let id = |place: usize| listed[place]["id"].as_str().expect("an id").to_owned();
    assert_eq!(world.run(&["token", "revoke", &id(1)]).code, Some(0));
    let file = world.path("tokens.yaml");
    let mut kept: serde_yaml::Value =
        serde_yaml::from_str(&std::fs::read_to_string(&file).expect("a file")).expect("YAML");
    kept["tokens"][1]["until"] = "2020-01-01T00:00:00Z".into();
    kept["tokens"][2]["may"] = serde_yaml::from_str("[approve]").expect("YAML");
    std::fs::write(&file, serde_yaml::to_string(&kept).expect("YAML")).expect("written");
    // It was the first to open, so it was looked at again before the others.
    let mut going_on = streams.remove(0);
    for (stream, name) in streams.into_iter().zip(&names[1..]) {
        let said = tokio::time::timeout(Duration::from_secs(60), stream.text()).await;
        let said = said.unwrap_or_else(|_| panic!("{name} goes on")).expect("an end in peace");
        assert!(said.trim_end().rsplit("event: ").next().expect("one").starts_with("signed_out"));
    }
    while let Ok(more) = tokio::time::timeout(Duration::from_millis(100), going_on.chunk()).await {
        let more = more.expect("no end").expect("whoever may still read goes on");
        assert!(!String::from_utf8_lossy(&more).contains("signed_out"), "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_the_daemon_and_ends_with_its_key() {
    let world = world(TOKENS);
    let daemon = world.daemon().ready();
    let opened = world.run(&["open", "--print"]);
    assert_eq!(opened.code, Some(0), "{opened:?}");
    let (origin, code) = opened.out.trim().split_once("/sign-in#").expect("a link");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let host = |origin: &str| origin.trim_start_matches("http://").to_owned();
    let sign_in = http
        .post(format!("{}/sign-in", address(&daemon)))
        .header("host", host(origin))
        .header("origin", origin);
    let signed_in = sign_in.json(&json!({"code": code})).send().await.expect("an answer");
    assert_eq!(signed_in.status(), StatusCode::OK);
    let cookie = signed_in.headers()["set-cookie"]
        .to_str()
        .expect("text")
        .split(';')
        .next()
        .expect("a pair")
        .to_owned();
    let whoami = async |daemon: &ServedDaemon| {
        let asked = http
            .get(format!("{}/v1/whoami", address(daemon)))
            .header("cookie", &cookie)
            .header("sec-fetch-site", "same-origin");
        asked.send().await.expect("an answer").status()
    };
    assert_eq!(whoami(&daemon).await, StatusCode::OK);
    let restarted = |daemon: ServedDaemon| {
        daemon.signal(Signal::KILL);
        drop(daemon);
        std::fs::write(world.path("log"), "").expect("an empty log");
        world.daemon().ready()
    };
    let daemon = restarted(daemon);
    assert_eq!(whoami(&daemon).await, StatusCode::OK, "nobody signs in anew on the night");
    std::fs::remove_file(world.path("state/session.key")).expect("it was made at the first start");
    assert_eq!(whoami(&restarted(daemon)).await, StatusCode::UNAUTHORIZED, "a new key");
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "an authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verbs_speak_tls_and_show_a_certificate() {
    let tls = "listen: \"127.0.0.1:0\", tls: {cert_file: api.crt, key_file: api.key, client_ca_file: ca.crt}";
    let (world, issuer) = (world(tls), authority());
    let write = |name: &str, mut params: CertificateParams, common: Option<&str>| {
        let key = KeyPair::generate().expect("a key");
        params.distinguished_name = rcgen::DistinguishedName::new();
        common
            .iter()
            .for_each(|common| params.distinguished_name.push(DnType::CommonName, *common));
        let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
        (
            world.write(&format!("{name}.crt"), &certificate),
            world.write(&format!("{name}.key"), &key.serialize_pem()),
        )
    };
    write("api", CertificateParams::new(vec!["localhost".to_owned()]).expect("a name"), None);
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let (certificate, key) = write("carol", params, Some("carol"));
    let ca = world.write("ca.crt", &issuer.pem());
    let daemon = world.daemon().ready();
    let addr = address(&daemon).replace("127.0.0.1", "localhost");
    assert!(addr.starts_with("https://"), "{addr}");
    let shown: [(&str, &Path); 3] =
        [("SEALIFT_CA_FILE", &ca), ("SEALIFT_CERT_FILE", &certificate), ("SEALIFT_KEY_FILE", &key)];
    let stopped = elsewhere(&addr, &shown, &["stop", "--reason", "a test"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    daemon.logged("via=certificate");
    let nobody = elsewhere(&addr, &shown[..1], &["list"]);
    assert!(nobody.code == Some(8) && nobody.err.contains("does not know who asks"), "{nobody:?}");
    let none = elsewhere(&addr, &[], &["list"]);
    assert!(
        none.code == Some(1) && none.err.contains("SEALIFT_CA_FILE=FILE"),
        "a machine that trusts nobody: {none:?}"
    );
    let others = world.write("others.crt", &authority().pem());
    let untrusted = elsewhere(&addr, &[("SSL_CERT_FILE", &others)], &["list"]);
    assert!(
        untrusted.code == Some(8) && untrusted.err.contains("SEALIFT_CA_FILE=FILE"),
        "{untrusted:?}"
    );
    let other = elsewhere(&addr.replace("localhost", "127.0.0.1"), &shown, &["list"]);
    assert!(
        other.code == Some(8) && other.err.contains("a name that stands in the certificate"),
        "{other:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_would_let_anybody_in_is_refused_with_the_line_to_write() {
    let world = world("listen: \"0.0.0.0:7633\", tokens_file: tokens.yaml");
    let refused = world.run(&["serve"]);
    assert!(
        refused.code == Some(1)
            && refused.err.contains("tls: {cert_file: api.crt, key_file: api.key}"),
        "{refused:?}"
    );
    assert!(refused.err.contains("origin: https://HOST:7633"), "all mistakes at once: {refused:?}");
    let world = self::world(TOKENS);
    new_token(&world, "bob", "read");
    let tokens = world.path("tokens.yaml");
    std::fs::set_permissions(&tokens, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("our file");
    let refused = world.run(&["serve"]);
    assert!(refused.code == Some(1) && refused.err.contains("chmod 640"), "{refused:?}");
    let addr = world.run(&["serve", "--addr", "https://localhost:7633"]);
    assert!(addr.code == Some(1) && addr.err.contains("`api.listen`"), "{addr:?}");
}
