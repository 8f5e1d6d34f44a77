//! The API's door on the network: tokens, TLS with its certificates, and the bounds.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use reqwest::{Certificate, Identity, StatusCode, Version};
use sealift::api::ADDRESS_MAX;
use sealift::api::door::tokens::{ListedToken, TokenFile, draw};
use sealift::config::{DoorConfig, DoorFiles};
use sealift::domain::people::{ListedPerson, People, Role, Roles};
use serde_json::{Value, json};

use super::world::{ApiWorld, plan, targets};

/// Ada may all, bob reads; both are known by name alone.
pub fn people() -> People {
    let person = |name: &str, may: Roles| ListedPerson {
        name: name.into(),
        unix: None,
        certificate: Some(format!("CN={name}")),
        may,
    };
    People {
        persons: vec![
            person("ada", Roles::all()),
            person("bob", [Role::Read].into_iter().collect()),
        ],
        groups: Vec::new(),
    }
}

/// A token of somebody's with these roles.
pub fn token(name: &str, roles: &[Role]) -> (String, ListedToken) {
    let until: Timestamp = "2099-01-01T00:00:00Z".parse().expect("an instant");
    draw(name, "a test", &roles.iter().copied().collect(), until)
}

/// Plain HTTP on a free port, with these tokens.
pub fn plain(folder: &Path, tokens: &[&ListedToken]) -> DoorConfig {
    let path = folder.join("tokens.yaml");
    TokenFile { tokens: tokens.iter().map(|token| (*token).clone()).collect() }
        .write(&path)
        .expect("written");
    DoorConfig {
        listen: Some(([127, 0, 0, 1], 0).into()),
        tokens_file: Some(path),
        ..DoorConfig::default()
    }
}

/// A client that asks as a program does.
struct Program {
    http: reqwest::Client,
    base: String,
}

impl Program {
    fn new(world: &ApiWorld) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, base: format!("http://{}", world.network.expect("a door")) }
    }

    async fn ask(&self, path: &str, token: Option<&str>, body: Option<Value>) -> reqwest::Response {
        let request = match body {
            Some(body) => self.http.post(format!("{}{path}", self.base)).json(&body),
            None => self.http.get(format!("{}{path}", self.base)),
        };
        let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
        request.send().await.expect("an answer")
    }

    async fn status(&self, path: &str, token: Option<&str>, body: Option<Value>) -> u16 {
        self.ask(path, token, body).await.status().as_u16()
    }
}

#[tokio::test]
async fn a_token_may_what_its_roles_say_and_no_more_than_its_person() {
    let reads = token("ada", &[Role::Read]);
    let operates = token("ada", &[Role::Read, Role::Operate]);
    let too_much = token("bob", &[Role::Read, Role::Operate]);
    let nobodys = token("mallory", &[Role::Read]);
    let world = ApiWorld::opened(people(), |folder| {
        plain(folder, &[&reads.1, &operates.1, &too_much.1, &nobodys.1])
    })
    .await;
    let program = Program::new(&world);
    let stop = || Some(json!({"reason": "a test"}));
    assert_eq!(program.status("/healthz", None, None).await, 200, "open, one word");
    assert_eq!(program.status("/v1/daemon", None, None).await, 401);
    assert_eq!(program.status("/v1/stop", None, stop()).await, 401);
    assert_eq!(program.status("/v1/daemon", Some(&nobodys.0), None).await, 401);
    for (text, name, may) in [
        (&reads.0, "ada", json!(["read"])),
        (&operates.0, "ada", json!(["read", "operate"])),
        (&too_much.0, "bob", json!(["read"])),
    ] {
        let whoami: Value =
            program.ask("/v1/whoami", Some(text), None).await.json().await.expect("a document");
        assert_eq!(
            (&whoami["name"], &whoami["may"], &whoami["via"]),
            (&json!(name), &may, &json!("token"))
        );
    }
    assert_eq!(program.status("/v1/stop", Some(&reads.0), stop()).await, 403);
    assert_eq!(program.status("/v1/stop", Some(&too_much.0), stop()).await, 403);
    assert_eq!(program.status("/v1/stop", Some(&operates.0), stop()).await, 200);
    let tokens_file = world.folder.path().join("tokens.yaml");
    TokenFile { tokens: vec![reads.1.clone()] }.write(&tokens_file).expect("written");
    assert_eq!(
        program.status("/v1/start", Some(&operates.0), stop()).await,
        401,
        "revoked, without a restart"
    );
    assert_eq!(program.status("/v1/daemon", Some(&reads.0), None).await, 200);
}

#[tokio::test]
async fn a_hundred_wrong_tokens_are_told_nothing_and_slow_nobody() {
    let (right, listed) = token("ada", &[Role::Read]);
    let (expired, mut over) = token("ada", &[Role::Read]);
    over.until = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let world = ApiWorld::opened(people(), |folder| plain(folder, &[&listed, &over])).await;
    let program = Program::new(&world);
    let bare = program.ask("/v1/daemon", None, None).await.text().await.expect("a body");
    let unknown = token("ada", &[Role::Read]).0;
    let mut told = Vec::new();
    for wrong in [unknown.as_str(), &expired, &right[..right.len() - 1], "x", &right.to_uppercase()]
    {
        let answer = program.ask("/v1/daemon", Some(wrong), None).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{wrong}");
        assert_eq!(answer.text().await.expect("a body"), bare, "as if nothing had been shown");
        assert_eq!(program.status("/v1/daemon", Some(&right), None).await, 200);
    }
    for _ in 0..95 {
        told.push(program.status("/v1/daemon", Some(&unknown), None).await);
        assert_eq!(
            program.status("/v1/daemon", Some(&right), None).await,
            200,
            "a right one never waits"
        );
    }
    assert_eq!(
        (
            told.iter().filter(|status| **status == 401).count(),
            told.iter().filter(|status| **status == 429).count()
        ),
        (5, 90)
    );
    let answer = program.ask("/v1/daemon", Some(&unknown), None).await;
    let after: u64 =
        answer.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=60).contains(&after), "{after}");
}

#[tokio::test]
async fn who_a_connection_is_counts_by_its_host_its_line_and_its_head() {
    let (right, listed) = token("ada", &[Role::Read]);
    let world = ApiWorld::opened(people(), |folder| plain(folder, &[&listed])).await;
    let program = Program::new(&world);
    let long = format!("/v1/rollouts?x={}", "a".repeat(4096));
    assert_eq!(program.status(&long, Some(&right), None).await, 414);
    let huge = program
        .http
        .get(format!("{}/v1/daemon", program.base))
        .header("x-padding", "a".repeat(70_000))
        .send()
        .await
        .expect("an answer");
    assert_eq!(huge.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let port = world.network.expect("a door").port();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("localhost:{}", port ^ 1),
        "localhost".into(),
    ] {
        let request = program
            .http
            .get(format!("{}/v1/daemon", program.base))
            .header("host", &host)
            .bearer_auth(&right);
        assert_eq!(
            request.send().await.expect("an answer").status(),
            StatusCode::MISDIRECTED_REQUEST,
            "{host}"
        );
    }
    let ours = format!("sealift.localhost:{port}");
    let request = program
        .http
        .get(format!("{}/v1/daemon", program.base))
        .header("host", ours)
        .bearer_auth(&right);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_its_share_of_connections() {
    let world = ApiWorld::opened(people(), |folder| plain(folder, &[])).await;
    let address = world.network.expect("a door");
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..ADDRESS_MAX + 3 {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        // Answered, so that the daemon has surely let it in, and then left open.
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .expect("room for a few bytes");
        let mut head = [0; 15];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        open.push(stream);
    }
    for stream in &mut open[..3] {
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).is_ok() || !rest.is_empty(), "the first made room");
    }
    for stream in &mut open[3..] {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("it is open");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).expect("an answer");
        assert!(rest.contains("HTTP/1.1 200 OK"), "{rest}");
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate for localhost, and its key.
fn servers(issuer: &CertifiedIssuer<'static, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    (params.signed_by(&key, issuer).expect("a certificate").pem(), key.serialize_pem())
}

/// Somebody's certificate with its key, as one text.
fn clients(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str) -> String {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    format!(
        "{}{}",
        params.signed_by(&key, issuer).expect("a certificate").pem(),
        key.serialize_pem()
    )
}

fn write_pair(folder: &Path, (certificate, key): &(String, String)) {
    std::fs::write(folder.join("api.crt"), certificate).expect("a file");
    std::fs::write(folder.join("api.key"), key).expect("a file");
    std::fs::set_permissions(folder.join("api.key"), std::fs::Permissions::from_mode(0o600))
        .expect("our file");
}

async fn by_tls(
    server: &CertifiedIssuer<'static, KeyPair>,
    client: &CertifiedIssuer<'static, KeyPair>,
    tokens: &[&ListedToken],
) -> ApiWorld {
    ApiWorld::opened(people(), |folder| {
        write_pair(folder, &servers(server));
        std::fs::write(folder.join("clients.pem"), client.pem()).expect("a file");
        let tls = DoorFiles {
            cert_file: folder.join("api.crt"),
            key_file: folder.join("api.key"),
            client_ca_file: Some(folder.join("clients.pem")),
        };
        DoorConfig { tls: Some(tls), ..plain(folder, tokens) }
    })
    .await
}

/// A client that trusts this authority alone, and shows this certificate.
fn trusting(server: &CertifiedIssuer<'static, KeyPair>, identity: Option<&str>) -> reqwest::Client {
    let trusted = Certificate::from_pem(server.pem().as_bytes()).expect("a certificate");
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]);
    let identity =
        identity.map(|pem| Identity::from_pem(pem.as_bytes()).expect("a certificate and its key"));
    identity.into_iter().fold(builder, reqwest::ClientBuilder::identity).build().expect("a client")
}

#[tokio::test]
async fn a_certificate_is_its_person_and_a_token_counts_above_it() {
    let (server, client, other) = (authority("servers"), authority("clients"), authority("others"));
    let (text, listed) = token("ada", &[Role::Read]);
    let world = by_tls(&server, &client, &[&listed]).await;
    let whoami = format!("https://localhost:{}/v1/whoami", world.network.expect("a door").port());
    let ask = async |identity: Option<&str>, token: Option<&str>| {
        let request = trusting(&server, identity).get(&whoami);
        token.into_iter().fold(request, |request, token| request.bearer_auth(token)).send().await
    };
    let answer = ask(Some(&clients(&client, "bob")), None).await.expect("an answer");
    assert_eq!(answer.version(), Version::HTTP_2);
    assert!(answer.headers().contains_key("strict-transport-security"));
    let found: Value = answer.json().await.expect("a document");
    assert_eq!(
        (&found["name"], &found["via"], &found["may"]),
        (&json!("bob"), &json!("certificate"), &json!(["read"]))
    );
    let found: Value = ask(Some(&clients(&client, "bob")), Some(&text))
        .await
        .expect("an answer")
        .json()
        .await
        .expect("a document");
    assert_eq!((&found["name"], &found["via"]), (&json!("ada"), &json!("token")));
    let found: Value = ask(Some(&clients(&client, "eve")), None)
        .await
        .expect("an answer")
        .json()
        .await
        .expect("a document");
    assert_eq!(
        (&found["name"], &found["may"]),
        (&json!("CN=eve"), &json!([])),
        "whoever is not listed may nothing"
    );
    assert_eq!(ask(None, None).await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    assert!(
        ask(Some(&clients(&other, "ada")), None).await.is_err(),
        "another authority's certificate is no certificate"
    );
    let untrusting = trusting(&other, None).get(&whoami).send().await;
    assert!(untrusting.is_err_and(|error| error.is_connect()));
}

#[tokio::test]
async fn the_end_of_our_own_certificate_wants_a_person_in_time() {
    let (server, client) = (authority("server"), authority("clients"));
    let world = by_tls(&server, &client, &[]).await;
    let http = trusting(&server, Some(&clients(&client, "ada")));
    let address =
        format!("https://localhost:{}/v1/attention", world.network.expect("a door").port());
    let wanted = async || {
        let answered = http.get(&address).send().await.expect("an answer");
        let attention: Value = answered.json().await.expect("JSON");
        let rows = attention["rows"].as_array().cloned().expect("rows");
        rows.iter().map(|row| (row["word"].clone(), row["until"].clone())).collect::<Vec<_>>()
    };
    let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
    world.clock.set(at("4095-12-10T00:00:00Z"));
    assert!(wanted().await.is_empty(), "three weeks are enough");
    world.clock.set(at("4095-12-20T00:00:00Z"));
    let ends = (json!("api_certificate_ends"), json!("4096-01-01T00:00:00Z"));
    assert_eq!(wanted().await, [ends]);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(4097, 1, 1);
    let renewed = params.signed_by(&key, &server).expect("a certificate").pem();
    write_pair(world.folder.path(), &(renewed, key.serialize_pem()));
    assert!(wanted().await.is_empty(), "the new one is read by itself");
}

#[tokio::test]
async fn a_certificate_is_renewed_and_no_connection_is_dropped() {
    let (old, new, client) = (authority("old"), authority("new"), authority("clients"));
    let world = by_tls(&old, &client, &[]).await;
    let health = format!("https://localhost:{}/healthz", world.network.expect("a door").port());
    let before = trusting(&old, None);
    assert_eq!(before.get(&health).send().await.expect("an answer").status(), StatusCode::OK);
    assert!(trusting(&new, None).get(&health).send().await.is_err());
    write_pair(world.folder.path(), &servers(&new));
    assert_eq!(
        trusting(&new, None).get(&health).send().await.expect("the new certificate").status(),
        StatusCode::OK
    );
    assert!(
        trusting(&old, None).get(&health).send().await.is_err(),
        "a new connection has the new one"
    );
    assert_eq!(
        before.get(&health).send().await.expect("the old connection").status(),
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_who_wait_keep_no_tenth_out_on_one_connection_or_on_nine() {
    let (server, client) = (authority("servers"), authority("clients"));
    let (text, listed) = token("ada", &[Role::Read, Role::Operate]);
    let world = by_tls(&server, &client, &[&listed]).await;
    world.until("/readyz", |answered| answered.status == StatusCode::OK).await;
    let base = format!("https://localhost:{}", world.network.expect("a door").port());
    let one = trusting(&server, None);
    let get = |http: &reqwest::Client, path: &str| {
        http.get(format!("{base}{path}")).bearer_auth(&text).send()
    };
    let seq: Value =
        get(&one, "/v1/events").await.expect("an answer").json().await.expect("a document");
    let path = format!("/v1/events?after={}&wait=30", seq["seq"]);
    let waiting: Vec<_> = (0..9).map(|_| tokio::spawn(get(&one, &path))).collect();
    let nine: Vec<_> = (0..9).map(|_| tokio::spawn(get(&trusting(&server, None), &path))).collect();
    let tenth = tokio::time::timeout(Duration::from_secs(20), get(&one, "/v1/whoami"))
        .await
        .expect("it waits for nobody");
    assert_eq!(tenth.expect("an answer").status(), StatusCode::OK);
    let submitted = world.submit(&plan("moved", &targets('a', 1), "")).await;
    assert_eq!(submitted.status, StatusCode::FORBIDDEN, "the test's own user is not listed");
    let form = super::world::form(&plan("moved", &targets('a', 1), ""), &[]);
    let submitted = one
        .post(format!("{base}/v1/rollouts"))
        .bearer_auth(&text)
        .multipart(form)
        .send()
        .await
        .expect("an answer");
    assert_eq!(submitted.status(), StatusCode::CREATED);
    for waited in waiting.into_iter().chain(nine) {
        assert_eq!(waited.await.expect("it ends").expect("an answer").status(), StatusCode::OK);
    }
}
