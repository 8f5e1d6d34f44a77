//! A private endpoint: a real TLS gateway before the emulated cloud, with an authority of its own,
//! and with clients that must show a certificate; and the way out through an HTTP proxy.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use sealift::clock::{Clock, SystemClock};
use sealift::cloud::Cloud as _;
use sealift::cloud::http::HttpCloud;
use sealift::domain::call::{Call, Disposition, Reply};
use sealift::domain::id::Name;
use sealift::domain::lane::{
    Access, ClientCertificate, Credentials, Lane, LaneTls, Language, NameSource, SecretSource,
};
use sealift::domain::target::Target;
use sealift::simcloud::emulator::accounts::Accounts;
use sealift::simcloud::emulator::{Emulator, Options, RunningEmulator};
use sealift::simcloud::faults::Faults;
use sealift::simcloud::fleet::Fleet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const PROJECT: &str = "056538411200d4cd2f79c003c7606412";

/// Stands in no directory of names, by RFC 6761: it is reached through the proxy or not at all.
const PRIVATE_NAME: &str = "gateway.invalid";

struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

impl TestAuthority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Self(
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
                .expect("an authority"),
        )
    }

    /// Certificate and key as PEM.
    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), name.to_owned()]).expect("names");
        params.extended_key_usages = vec![usage];
        (params.signed_by(&key, &self.0).expect("a certificate").pem(), key.serialize_pem())
    }
}

/// The emulated cloud, a gateway before it, and a proxy on the way to the gateway.
struct Site {
    folder: tempfile::TempDir,
    cloud: RunningEmulator,
    target: Target,
    gateway: u16,
    proxy: u16,
    /// What the proxy was asked for.
    asked: Arc<Mutex<Vec<String>>>,
    /// Clients that showed a certificate.
    known: Arc<AtomicU32>,
}

impl Site {
    /// `demanding`: the gateway takes only clients that show a certificate of the site's authority.
    async fn new(demanding: bool) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("sealift-gateway-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a folder");
        let (ours, others) =
            (TestAuthority::new("Site authority"), TestAuthority::new("Another authority"));
        let (certificate, key) = ours.issue(PRIVATE_NAME, ExtendedKeyUsagePurpose::ServerAuth);
        let client = ours.issue("client.invalid", ExtendedKeyUsagePurpose::ClientAuth);
        let stranger = others.issue("client.invalid", ExtendedKeyUsagePurpose::ClientAuth);
        for (name, text) in [
            ("ca.pem", ours.0.pem()),
            ("other-ca.pem", others.0.pem()),
            ("client.pem", client.0),
            ("client-key.pem", client.1),
            ("stranger.pem", stranger.0),
            ("stranger-key.pem", stranger.1),
            ("token", "a-token".into()),
            ("password", "a-password".into()),
        ] {
            crate::end_to_end::field::write_secret(&folder.path().join(name), &text);
        }
        let fleet = Fleet::generate(4, 2, 1).expect("a fleet");
        let proxy = fleet.proxies()[0];
        let lane = Name::parse("private", "lane").expect("a name");
        let target = proxy.target(&lane);
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            fleet,
            faults: Faults::default(),
            seed: 1,
            token: Some("a-token".into()),
            accounts: Accounts::from_yaml(
                "users: [{domain: acme, user: sealift, password: a-password}]",
            )
            .expect("an accounts file"),
            project_id: None,
            watch: Vec::new(),
            wire: false,
        };
        let cloud = Emulator::start(options, Arc::new(SystemClock)).expect("a free port");

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if demanding {
            let mut roots = RootCertStore::empty();
            roots
                .add(
                    CertificateDer::from_pem_slice(ours.0.pem().as_bytes()).expect("a certificate"),
                )
                .expect("an authority");
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .build()
                    .expect("a verifier"),
            )
        } else {
            builder.with_no_client_auth()
        };
        let chain =
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
        let config = builder
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key"))
            .expect("they match");
        let known = Arc::new(AtomicU32::new(0));
        let gateway =
            gateway(TlsAcceptor::from(Arc::new(config)), cloud.addr.port(), known.clone()).await;
        let asked = Arc::new(Mutex::default());
        let proxy = http_proxy(gateway, Arc::clone(&asked)).await;
        Self { folder, cloud, target, gateway, proxy, asked, known }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tls(&self, ca_file: Option<&str>, client: Option<&str>) -> LaneTls {
        let client = client.map(|name| ClientCertificate {
            certificate: self.at(&format!("{name}.pem")),
            key: self.at(&format!("{name}-key.pem")),
        });
        LaneTls { ca_file: ca_file.map(|name| self.at(name)), client }
    }

    fn lane(&self, name: &str, tls: LaneTls) -> Lane {
        let endpoint = format!("https://localhost:{}", self.gateway);
        let credentials = Credentials::Token(SecretSource::File(self.at("token")));
        crate::end_to_end::lanes::lane(
            name,
            Access {
                endpoint,
                project_id: PROJECT.parse().expect("an id"),
                credentials,
                language: Language::default(),
                tls,
            },
        )
    }

    fn arrivals(&self) -> u64 {
        self.cloud.with_model(|model| model.ledger().arrivals_total())
    }

    /// What comes of one look on a lane with this TLS.
    async fn look(&self, tls: LaneTls) -> Reply {
        look(&[self.lane("private", tls)], &self.target).await
    }
}

async fn look(lanes: &[Lane], target: &Target) -> Reply {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let client = HttpCloud::new(lanes, &clock).expect("a client");
    client.perform(Call::Inspect { target: target.clone() }, Box::new(|| Ok(()))).await
}

/// Takes TLS off and passes on what is in it.
async fn gateway(acceptor: TlsAcceptor, to: u16, known: Arc<AtomicU32>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, known) = (acceptor.clone(), known.clone());
            tokio::spawn(async move {
                // A client that is refused, or refuses, is no matter of the gateway's.
                let Ok(mut inside) = acceptor.accept(stream).await else { return };
                known.fetch_add(
                    u32::from(inside.get_ref().1.peer_certificates().is_some()),
                    Ordering::SeqCst,
                );
                let mut cloud =
                    TcpStream::connect(("127.0.0.1", to)).await.expect("the cloud listens");
                let _ended = copy_bidirectional(&mut inside, &mut cloud).await;
            });
        }
    });
    port
}

/// An HTTP proxy that takes every name for the gateway's.
async fn http_proxy(to: u16, asked: Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = asked.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let first =
                    String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
                asked.lock().expect("nothing panics under it").push(first);
                stream
                    .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    .await
                    .expect("the client reads");
                let mut onward =
                    TcpStream::connect(("127.0.0.1", to)).await.expect("the gateway listens");
                let _ended = copy_bidirectional(&mut stream, &mut onward).await;
            });
        }
    });
    port
}

fn refused(reply: &Reply, because: &str) {
    let error = reply.outcome.as_ref().expect_err("nothing may come of it");
    assert!(
        error.message.to_lowercase().contains(because),
        "{because} is not said: {}",
        error.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lanes_own_authority_is_the_only_one_it_trusts() {
    let site = Site::new(false).await;
    for ca_file in [None, Some("other-ca.pem")] {
        let reply = site.look(site.tls(ca_file, None)).await;
        refused(&reply, "certificate");
        assert_eq!(
            reply.outcome.expect_err("just seen").disposition,
            Disposition::NotDone,
            "a failed handshake: nothing left"
        );
    }
    assert_eq!(site.arrivals(), 0);
    let reply = site.look(site.tls(Some("ca.pem"), None)).await;
    assert!(reply.outcome.is_ok(), "{reply:?}");
    assert_eq!(site.arrivals(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_wants_to_know_its_clients_is_shown_the_certificate() {
    let site = Site::new(true).await;
    for client in [None, Some("stranger")] {
        // By TLS 1.3 the client's side of the handshake is over before the server has judged it:
        // the words are now the server's alert, now those of a closed connection.
        assert!(site.look(site.tls(Some("ca.pem"), client)).await.outcome.is_err(), "{client:?}");
    }
    assert_eq!((site.arrivals(), site.known.load(Ordering::SeqCst)), (0, 0));
    let reply = site.look(site.tls(Some("ca.pem"), Some("client"))).await;
    assert!(reply.outcome.is_ok(), "{reply:?}");
    assert_eq!((site.arrivals(), site.known.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_one_lanes_own_is_no_others() {
    let site = Site::new(true).await;
    let lanes = [
        site.lane("private", site.tls(Some("ca.pem"), Some("client"))),
        site.lane("usual", LaneTls::default()),
        site.lane("half", site.tls(Some("ca.pem"), None)),
    ];
    let on = |lane: &str| Target {
        lane: Name::parse(lane, "lane").expect("a name"),
        ..site.target.clone()
    };
    refused(&look(&lanes, &on("usual")).await, "certificate");
    assert!(look(&lanes, &on("half")).await.outcome.is_err());
    assert!(look(&lanes, &site.target).await.outcome.is_ok());
    assert_eq!(site.arrivals(), 1);
}

/// IAM stands behind the same gateway, and gets its token there.
#[tokio::test(flavor = "multi_thread")]
async fn the_login_goes_the_same_way() {
    let site = Site::new(true).await;
    let mut lane = site.lane("private", site.tls(Some("ca.pem"), Some("client")));
    lane.access.credentials = Credentials::Password {
        iam_endpoint: lane.access.endpoint.clone(),
        user: NameSource::Plain("sealift".into()),
        password: SecretSource::File(site.at("password")),
        domain: NameSource::Plain("acme".into()),
        agency: None,
    };
    let reply = look(&[lane], &site.target).await;
    assert!(reply.outcome.is_ok(), "{reply:?}");
    assert_eq!(site.cloud.admissions().logins, 1);
}

/// A daemon as it is started, for one configuration.
struct GatewayDaemon<'s> {
    site: &'s Site,
    child: std::process::Child,
}

impl Drop for GatewayDaemon<'_> {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn sealift(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealift"));
    command
        .env("SEALIFT_CONFIG", folder.join("sealift.yaml"))
        .env_remove("SEALIFT_ADDR")
        .env("NO_COLOR", "1");
    for variable in [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Waits until the daemon answers; tells whether it came to that.
fn answers(folder: &Path) -> bool {
    (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        sealift(folder).arg("list").output().expect("it runs").status.success()
    })
}

/// Configuration file, proxy variable, daemon, verb: the whole way to a private endpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_reaches_a_private_endpoint_through_a_proxy() {
    let site = Site::new(true).await;
    std::fs::create_dir(site.at("plans.d")).expect("made");
    let config = format!(
        "plans: plans.d\nstore: {{sled: state/queue}}\napi: {{socket: api.sock}}\nlanes:\n  - name: private\n    endpoint: https://{PRIVATE_NAME}\n    \
         project_id: {PROJECT}\n    credentials: {{token: {{file: token}}}}\n    ca_file: ca.pem\n    client_cert_file: client.pem\n    \
         client_key_file: client-key.pem\n    call_timeout: 20s\n"
    );
    std::fs::write(site.at("sealift.yaml"), config).expect("written");
    let folder = site.folder.path().to_owned();
    let mut serve = sealift(&folder);
    serve.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", site.proxy)).arg("serve");
    let child = serve
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the daemon starts");
    let daemon = GatewayDaemon { site: &site, child };
    let discovered = tokio::task::spawn_blocking(move || {
        assert!(answers(&folder), "the daemon does not answer");
        sealift(&folder).args(["discover", "-o", "json"]).output().expect("it runs")
    });
    let discovered = discovered.await.expect("it comes to an end");
    let (out, err) =
        (String::from_utf8_lossy(&discovered.stdout), String::from_utf8_lossy(&discovered.stderr));
    assert!(discovered.status.success(), "{out}\n{err}");
    assert!(out.contains(site.target.proxy_id.as_str()), "{out}");
    let asked = daemon.site.asked.lock().expect("nothing panics under it").clone();
    assert!(
        !asked.is_empty()
            && asked.iter().all(|line| line == &format!("CONNECT {PRIVATE_NAME}:443 HTTP/1.1")),
        "{asked:?}"
    );
    assert!(site.known.load(Ordering::SeqCst) > 0, "the certificate was shown");
}

/// A file that cannot be used stops the daemon at its start, and says which and what to do.
#[test]
fn a_daemon_with_a_wrong_key_says_so_and_ends() {
    let folder = tempfile::Builder::new()
        .prefix("sealift-gateway-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder");
    let authority = TestAuthority::new("Site authority");
    let (certificate, _) = authority.issue("client.invalid", ExtendedKeyUsagePurpose::ClientAuth);
    let (_, key) = authority.issue("client.invalid", ExtendedKeyUsagePurpose::ClientAuth);
    let config = format!(
        "plans: plans.d\nstore: {{sled: state/queue}}\napi: {{socket: api.sock}}\nlanes:\n  - name: private\n    endpoint: https://{PRIVATE_NAME}\n    \
         project_id: {PROJECT}\n    credentials: {{token: {{file: token}}}}\n    client_cert_file: client.pem\n    client_key_file: client-key.pem\n"
    );
    for (name, text) in
        [("sealift.yaml", &config), ("client.pem", &certificate), ("client-key.pem", &key)]
    {
        crate::end_to_end::field::write_secret(&folder.path().join(name), text);
    }
    let ran = sealift(folder.path()).arg("serve").stdin(Stdio::null()).output().expect("it runs");
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success(), "{told}");
    for part in [
        "lane private: `client_key_file`",
        "client-key.pem: the key is not that of the certificate",
        "made together",
    ] {
        assert!(told.contains(part), "{part} is missing in: {told}");
    }
}

/// As in a bare container: an `https` endpoint stops the daemon at its start, an `http` one on the
/// same machine needs no trust.
#[test]
fn a_machine_that_trusts_nobody_speaks_no_tls_and_says_why() {
    let folder = tempfile::Builder::new()
        .prefix("sealift-gateway-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder");
    std::fs::create_dir(folder.path().join("plans.d")).expect("made");
    let serve = |endpoint: &str| {
        let config = format!(
            "plans: plans.d\nstore: {{sled: state/queue}}\napi: {{socket: api.sock}}\nlanes:\n  - name: bare\n    endpoint: {endpoint}\n    \
             project_id: {PROJECT}\n    credentials: {{token: {{file: token}}}}\n"
        );
        std::fs::write(folder.path().join("sealift.yaml"), config).expect("written");
        let mut serve = sealift(folder.path());
        serve
            .env("SSL_CERT_FILE", folder.path().join("absent"))
            .env("SSL_CERT_DIR", folder.path().join("absent"))
            .arg("serve");
        serve.stdin(Stdio::null());
        serve
    };
    let ran = serve(&format!("https://{PRIVATE_NAME}")).output().expect("it runs");
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success(), "{told}");
    for part in
        ["this machine trusts no authority", "install your system's `ca-certificates`", "`ca_file`"]
    {
        assert_eq!(told.matches(part).count(), 1, "{part} in: {told}");
    }
    let mut child = serve("http://127.0.0.1:9")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the daemon starts");
    let begun = answers(folder.path());
    let _gone = child.kill();
    let _gone = child.wait();
    assert!(begun, "the daemon does not answer");
}
