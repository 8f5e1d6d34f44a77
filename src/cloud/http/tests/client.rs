//! Connections as sockets see them: what a proxy is told, what it must not see, what ends a wait,
//! and that nothing is sent again.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::Proxy;
use rustls::pki_types::PrivateKeyDer;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::AsyncRead;
use tokio_rustls::TlsAcceptor;

use super::*;

const SECRET: &str = "t0ken";
/// `ops:pass` in the spelling of RFC 7617.
const BASIC: &str = "proxy-authorization: basic b3bzonbhc3m=";

/// TLS of a client and of a server named `localhost` that it trusts.
fn tls() -> (ClientConfig, TlsAcceptor) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth();
    let server = server.with_single_cert(vec![cert.der().clone()], key).expect("a pair");
    let mut trusted = RootCertStore::empty();
    trusted.add(cert.der().clone()).expect("an authority");
    let client = ClientConfig::builder_with_provider(provider);
    let client = client
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(trusted)
        .with_no_client_auth();
    (client, TlsAcceptor::from(Arc::new(server)))
}

fn client(tls: ClientConfig, proxy: Option<&str>, patience: Duration) -> Client {
    let builder = builder(tls, patience);
    let builder = match proxy {
        Some(proxy) => builder.proxy(Proxy::all(proxy).expect("a proxy")),
        None => builder.no_proxy(),
    };
    builder.build().expect("a client")
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}

/// A head to its empty line, in small letters.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(head).expect("a text").to_ascii_lowercase()
}

async fn get(client: &Client, url: &str) -> Result<String, String> {
    let answer = client
        .get(url)
        .header("X-Auth-Token", SECRET)
        .send()
        .await
        .map_err(|error| causes(&error))?;
    answer.text().await.map_err(|error| causes(&error))
}

#[tokio::test]
async fn a_proxy_learns_where_a_plain_call_goes_and_who_we_are() {
    let (listener, address) = listener().await;
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the client connects");
        let mut heads = Vec::new();
        for _ in 0..2 {
            heads.push(head(&mut stream).await);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nforwarded")
                .await
                .expect("the client reads");
        }
        heads
    });
    let client = client(tls().0, Some(&format!("http://ops:pass@{address}")), PATIENT);
    for path in ["/v3/a", "/v3/b?x=1"] {
        assert_eq!(
            get(&client, &format!("http://gateway.example:8080{path}")).await.as_deref(),
            Ok("forwarded")
        );
    }
    for (head, path) in seen.await.expect("no panic").iter().zip(["/v3/a", "/v3/b?x=1"]) {
        assert!(
            head.starts_with(&format!("get http://gateway.example:8080{path} http/1.1\r\n")),
            "{head}"
        );
        for line in [
            BASIC,
            "host: gateway.example:8080",
            "user-agent: sealift/",
            "accept: application/json",
        ] {
            assert!(head.contains(&format!("\r\n{line}")), "{line} is missing in {head}");
        }
    }
}

#[tokio::test]
async fn a_proxy_sees_of_an_encrypted_call_only_where_it_goes() {
    let (ours, acceptor) = tls();
    let (endpoint, endpoint_address) = listener().await;
    let port = endpoint_address.rsplit(':').next().expect("a port").to_owned();
    let served = tokio::spawn(async move {
        let (stream, _) = endpoint.accept().await.expect("the proxy connects");
        let mut stream = acceptor.accept(stream).await.expect("TLS");
        let head = head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
            .await
            .expect("the client reads");
        // Until the client has hung up: what it is told at the end would be lost by a reset.
        let _ = stream.read_u8().await;
        head
    });
    let (proxy, address) = listener().await;
    let passed = tokio::spawn(async move {
        let (mut near, _) = proxy.accept().await.expect("the client connects");
        let connect = head(&mut near).await;
        let mut far = TcpStream::connect(endpoint_address).await.expect("the endpoint listens");
        near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .await
            .expect("the client reads");
        let (mut from_client, mut to_client) = near.split();
        let (mut from_endpoint, mut to_endpoint) = far.split();
        let mut passed = Vec::new();
        let there = async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                passed.extend_from_slice(&buffer[..count]);
                to_endpoint.write_all(&buffer[..count]).await.expect("the endpoint reads");
            }
            let _ = to_endpoint.shutdown().await;
        };
        let _ = tokio::join!(there, tokio::io::copy(&mut from_endpoint, &mut to_client));
        (connect, passed)
    });
    let client = client(ours, Some(&format!("http://ops:pass@{address}")), PATIENT);
    assert_eq!(
        get(&client, &format!("https://localhost:{port}/v3/a")).await.as_deref(),
        Ok("secret")
    );
    drop(client);
    let (connect, passed) = passed.await.expect("no panic");
    assert!(connect.starts_with(&format!("connect localhost:{port} http/1.1\r\n")), "{connect}");
    assert!(
        connect.contains(BASIC)
            && connect.contains("user-agent: sealift/")
            && !connect.contains(SECRET),
        "{connect}"
    );
    assert!(
        !String::from_utf8_lossy(&passed).contains(SECRET),
        "the token passed the proxy in the clear"
    );
    let head = served.await.expect("no panic");
    assert!(
        head.starts_with("get /v3/a http/1.1\r\n")
            && !head.contains("proxy-authorization")
            && head.contains(SECRET),
        "{head}"
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_or_is_silent_is_an_error_that_says_so() {
    for (answer, told) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "authorization required"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "unsuccessful"),
        ("", "operation timed out"),
    ] {
        let (proxy, address) = listener().await;
        let held = tokio::spawn(async move {
            let (mut stream, _) = proxy.accept().await.expect("the client connects");
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.expect("the client reads");
            stream
        });
        let patience = if answer.is_empty() { Duration::from_millis(300) } else { PATIENT };
        let client = client(tls().0, Some(&format!("http://ops:pass@{address}")), patience);
        let error = get(&client, "https://gateway.example/v3/a").await.expect_err(told);
        assert!(error.contains(told) && !error.contains("pass"), "{error}");
        drop(held);
    }
}

#[tokio::test]
async fn a_socks_proxy_learns_where_a_call_goes() {
    let (proxy, address) = listener().await;
    let seen = tokio::spawn(async move {
        let (mut stream, _) = proxy.accept().await.expect("the client connects");
        // RFC 1928: version and methods, none of which asks for a password; then the name and port
        // of the endpoint.
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.expect("a greeting");
        stream.write_all(&[5, 0]).await.expect("the client reads");
        let mut asked = vec![0; 5 + "gateway.invalid".len() + 2];
        stream.read_exact(&mut asked).await.expect("a request");
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.expect("the client reads");
        let head = head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npassed")
            .await
            .expect("the client reads");
        (greeting, asked, head)
    });
    let client = client(tls().0, Some(&format!("socks5h://{address}")), PATIENT);
    assert_eq!(get(&client, "http://gateway.invalid:8080/v3/a").await.as_deref(), Ok("passed"));
    let (greeting, asked, head) = seen.await.expect("no panic");
    assert_eq!(
        (greeting, &asked[..5], &asked[5..20], &asked[20..]),
        ([5, 1, 0], &[5, 1, 0, 3, 15][..], &b"gateway.invalid"[..], &[31, 144][..])
    );
    assert!(head.starts_with("get /v3/a http/1.1\r\n"), "{head}");
}

/// On a connection that served a call before, too.
#[tokio::test]
async fn a_switch_without_an_answer_is_not_sent_again() {
    let (listener, address) = listener().await;
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the client connects");
        read_request(&mut stream).await.expect("a call");
        stream.write_all(ACCEPTED.as_bytes()).await.expect("the client reads");
        read_request(&mut stream).await.expect("another call on the same connection");
        drop(stream);
        tokio::time::timeout(Duration::from_millis(300), listener.accept()).await.is_err()
    });
    let bed = bed(&format!("http://{address}"), UNREACHED);
    assert!(bed.cloud.perform(submit(), allow()).await.outcome.is_ok());
    let reply = bed.cloud.perform(submit(), allow()).await;
    assert_eq!((error(&reply).disposition, reply.sent), (Disposition::Unknown, true), "{reply:?}");
    assert!(served.await.expect("no panic"), "it came again on another connection");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (_, acceptor) = tls();
    let (endpoint, address) = listener().await;
    let served = tokio::spawn(async move {
        let (stream, _) = endpoint.accept().await.expect("the client connects");
        acceptor.accept(stream).await.is_err()
    });
    let port = address.rsplit(':').next().expect("a port").to_owned();
    let error = get(&client(tls().0, None, PATIENT), &format!("https://localhost:{port}/"))
        .await
        .expect_err("not vouched for");
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert!(served.await.expect("no panic"), "nothing was said after the handshake failed");
}
