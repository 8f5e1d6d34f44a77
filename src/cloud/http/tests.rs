//! The client against raw sockets: what is on the wire, and what is made of every way in which an
//! answer fails to come.

mod client;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::cloud::Withheld;
use crate::domain::call::{Answer, CallError};
use crate::domain::change::Timing;
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::lane::{Access, CLOCK_TOLERANCE, Credentials, LaneTls, Language, SecretSource};
use crate::domain::target::Target;

const TOKEN: &str = "t0ken-that-must-not-be-told";
const JOB: &str = "e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7";
const INSTANCE: &str = "096c0fc43e804757b59946b80dc27f8bin07";
const PROXY: &str = "2ec617ba62da4eafb921b69438beed3cpo01";
const ACCEPTED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 49\r\n\r\n{\"job_id\":\"e0fbbfc8-1ac4-4721-b9e9-7dd685c5bdd7\"}";

pub(crate) fn lane(endpoint: &str, token: SecretSource, call_timeout: Duration) -> Lane {
    lane_as(endpoint, Credentials::Token(token), call_timeout)
}

pub(crate) fn lane_as(endpoint: &str, credentials: Credentials, call_timeout: Duration) -> Lane {
    Lane {
        name: Name::parse("a", "lane").expect("a name"),
        access: Access {
            endpoint: endpoint.to_owned(),
            project_id: "056538411200d4cd2f79c003c7606412".parse().expect("an id"),
            credentials,
            language: Language::default(),
            tls: LaneTls::default(),
        },
        quota: None,
        max_in_flight: 10,
        call_timeout,
        clock_tolerance: CLOCK_TOLERANCE,
        timing: Timing {
            settle: Duration::from_secs(1),
            poll: Duration::from_secs(1),
            poll_max: Duration::from_secs(1),
            job_limit: Duration::from_secs(60),
            recover_limit: Duration::from_secs(60),
        },
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(crate::clock::SystemClock)
}

fn target() -> Target {
    Target {
        lane: Name::parse("a", "lane").expect("a name"),
        instance_id: INSTANCE.parse().expect("an id"),
        proxy_id: PROXY.parse().expect("an id"),
        tags: None,
        seen: None,
        instance_name: None,
    }
}
fn submit() -> Call {
    Call::Submit { target: target(), ssl_option: true }
}
fn inspect() -> Call {
    Call::Inspect { target: target() }
}

/// Long enough for a loaded machine, for exchanges that end by themselves.
const PATIENT: Duration = Duration::from_secs(30);
/// A call timeout that is never reached: a test that waited for it would be killed as hanging.
const UNREACHED: Duration = Duration::from_secs(3600);
/// For exchanges that must end by the timeout.
const SHORT: Duration = Duration::from_secs(1);

struct HttpFixture {
    cloud: HttpCloud,
    _dir: tempfile::TempDir,
    token: PathBuf,
}

fn bed(endpoint: &str, timeout: Duration) -> HttpFixture {
    waiting_bed(endpoint, timeout, Patience::default())
}

fn waiting_bed(endpoint: &str, timeout: Duration, patience: Patience) -> HttpFixture {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let token = dir.path().join("token");
    crate::cloud::secret::write(&token, TOKEN);
    let lanes = [lane(endpoint, SecretSource::File(token.clone()), timeout)];
    let cloud = HttpCloud::waiting(&lanes, &clock(), patience).expect("a client");
    HttpFixture { cloud, _dir: dir, token }
}

fn allow() -> LastCheck {
    Box::new(|| Ok(()))
}

fn error(reply: &Reply) -> &CallError {
    reply.outcome.as_ref().expect_err("no answer")
}

/// What a test server does with a connection after it has read a whole request.
#[derive(Clone, Copy)]
pub(crate) enum ServerReaction {
    /// Sends this and leaves the connection open.
    Send(&'static str),
    /// Sends this and closes.
    SendAndClose(&'static str),
    /// Closes with a reset.
    Reset,
    Silence,
    /// Sends a head and then body without end.
    Endless(&'static str),
}

/// Serves connections one after the other; every request that came whole is sent to the channel.
pub(crate) async fn server(act: ServerReaction) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let (requests, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let requests = requests.clone();
            tokio::spawn(async move {
                while let Some(request) = read_request(&mut stream).await {
                    let _ = requests.send(request);
                    match act {
                        ServerReaction::Send(text) => {
                            stream.write_all(text.as_bytes()).await.expect("the client reads")
                        }
                        ServerReaction::SendAndClose(text) => {
                            stream.write_all(text.as_bytes()).await.expect("the client reads");
                            return;
                        }
                        ServerReaction::Reset => {
                            stream.set_zero_linger().expect("a TCP socket");
                            return;
                        }
                        ServerReaction::Silence => tokio::time::sleep(PATIENT).await,
                        ServerReaction::Endless(head) => {
                            let _ = stream.write_all(head.as_bytes()).await;
                            while stream.write_all(&[b'a'; 65536]).await.is_ok() {}
                            return;
                        }
                    }
                }
            });
        }
    });
    (endpoint, received)
}

/// One whole request: head, and as much body as it announces. `None` when the connection ends
/// before.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

#[tokio::test]
async fn the_switch_goes_out_as_documented() {
    let (endpoint, mut received) = server(ServerReaction::Send(ACCEPTED)).await;
    let bed = bed(&format!("{endpoint}/"), PATIENT);
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let check: LastCheck = Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let reply = bed.cloud.perform(submit(), check).await;
    assert_eq!(reply.outcome, Ok(Answer::Accepted(Some(JOB.parse().expect("an id")))));
    assert!(reply.sent);
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    let request = received.recv().await.expect("it came whole");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    assert_eq!(
        lines.next(),
        Some(format!("PUT /v3/056538411200d4cd2f79c003c7606412/instances/{INSTANCE}/proxy/{PROXY}/ssl HTTP/1.1").as_str())
    );
    let headers: Vec<String> = lines.map(str::to_ascii_lowercase).collect();
    for expected in [
        "content-length: 19".to_owned(),
        "content-type: application/json;charset=utf-8".to_owned(),
        "x-language: en-us".to_owned(),
        format!("x-auth-token: {TOKEN}"),
        format!("user-agent: sealift/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(headers.contains(&expected), "{expected} is not among {headers:?}");
    }
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
    assert_eq!(body, r#"{"ssl_option":true}"#);
}

#[tokio::test]
async fn a_refused_switch_never_becomes_a_whole_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let bed = bed(&format!("http://{}", listener.local_addr().expect("bound")), PATIENT);
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the client connects");
        let mut bytes = Vec::new();
        // To the end of the connection: whatever left is in here.
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let reply =
        bed.cloud.perform(submit(), Box::new(|| Err(Withheld("the window has shut".into())))).await;
    assert_eq!(error(&reply).disposition, Disposition::Withheld);
    assert!(error(&reply).message.contains("the window has shut"), "{}", error(&reply).message);
    assert!(!reply.sent);
    let seen = seen.await.expect("no panic");
    assert!(!seen.contains("ssl_option"), "the body left: {seen}");
    if let Some((head, body)) = seen.split_once("\r\n\r\n") {
        assert!(head.to_ascii_lowercase().contains("content-length: 19"), "{head}");
        assert_eq!(body, "");
    }
}

#[tokio::test]
async fn a_refused_read_never_leaves() {
    let (endpoint, mut received) = server(ServerReaction::Send(ACCEPTED)).await;
    let bed = bed(&endpoint, PATIENT);
    let reply = bed.cloud.perform(inspect(), Box::new(|| Err(Withheld("stop".into())))).await;
    assert_eq!((error(&reply).disposition, reply.sent), (Disposition::Withheld, false));
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn a_refused_connection_is_surely_not_done() {
    // Bound and dropped: nobody listens there now.
    let addr: SocketAddr =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback");
    let bed = bed(&format!("http://{addr}"), PATIENT);
    for call in [submit(), inspect()] {
        let reply = bed.cloud.perform(call, allow()).await;
        assert_eq!(
            (error(&reply).disposition, reply.sent),
            (Disposition::NotDone, false),
            "{reply:?}"
        );
        assert!(error(&reply).message.contains("refused"), "{}", error(&reply).message);
    }
}

#[tokio::test]
async fn an_unknown_host_and_a_failed_handshake_are_surely_not_done() {
    let asked = Arc::new(AtomicU32::new(0));
    let (endpoint, _received) =
        server(ServerReaction::Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).await;
    // The server speaks no TLS; `.invalid` has no address by RFC 6761.
    for endpoint in [endpoint.replace("http://", "https://"), "http://nowhere.invalid".to_owned()] {
        let bed = bed(&endpoint, Duration::from_secs(1));
        let counter = asked.clone();
        let check: LastCheck = Box::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let reply = bed.cloud.perform(submit(), check).await;
        assert_eq!(
            (error(&reply).disposition, reply.sent),
            (Disposition::NotDone, false),
            "{endpoint}: {reply:?}"
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0, "the check is asked when the connection stands");
}

#[tokio::test]
async fn what_left_and_was_not_clearly_answered_is_unknown() {
    for act in [
        ServerReaction::Reset,
        ServerReaction::Silence,
        ServerReaction::SendAndClose(""),
        ServerReaction::SendAndClose("HTTP/1.1 200 OK\r\nContent-Le"),
        ServerReaction::SendAndClose(
            "HTTP/1.1 200 OK\r\nContent-Length: 49\r\n\r\n{\"job_id\":\"e0fbbfc8",
        ),
        ServerReaction::SendAndClose(
            "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 49\r\n\r\n{\"job",
        ),
        ServerReaction::SendAndClose("this is no HTTP at all\r\n\r\n"),
        ServerReaction::Send("HTTP/1.1 200 OK\r\nContent-Length: 49\r\n\r\n{"),
        ServerReaction::Send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<html/>"),
        ServerReaction::Send("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
        ServerReaction::Send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 12\r\n\r\n<html>x</ht>"),
        ServerReaction::Send(
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",
        ),
        ServerReaction::Send("HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n"),
        ServerReaction::Endless("HTTP/1.1 200 OK\r\n\r\n"),
        ServerReaction::Endless(
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 99999999999\r\n\r\n",
        ),
    ] {
        let (endpoint, mut received) = server(act).await;
        // Endings by the server come soon; silence ends by the timeout.
        let open_ended = matches!(
            act,
            ServerReaction::Silence
                | ServerReaction::Send("HTTP/1.1 200 OK\r\nContent-Length: 49\r\n\r\n{")
        );
        let bed = bed(&endpoint, if open_ended { SHORT } else { PATIENT });
        let reply = bed.cloud.perform(submit(), allow()).await;
        assert_eq!(
            (error(&reply).disposition, reply.sent),
            (Disposition::Unknown, true),
            "{reply:?}"
        );
        assert!(received.recv().await.is_some(), "it came whole");
        assert!(received.try_recv().is_err(), "and only once");
    }
}

#[tokio::test]
async fn a_connection_that_never_stands_is_given_up_and_nothing_leaves_later() {
    // A full backlog: the kernel leaves further connections hanging.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("loopback");
    let listener = socket.listen(1).expect("listening");
    let addr = listener.local_addr().expect("bound");
    let mut fillers = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(addr)).await
    {
        fillers.push(stream.expect("loopback"));
    }
    let bed = bed(&format!("http://{addr}"), SHORT);
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let check: LastCheck = Box::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let reply = bed.cloud.perform(submit(), check).await;
    assert_eq!((error(&reply).disposition, reply.sent), (Disposition::NotDone, false), "{reply:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// What the whole call may take is far away here: what ends it is the wait for the connection.
#[tokio::test]
async fn a_connection_is_not_waited_for_as_long_as_an_answer() {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("loopback");
    let listener = socket.listen(1).expect("listening");
    let addr = listener.local_addr().expect("bound");
    let mut fillers = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(addr)).await
    {
        fillers.push(stream.expect("loopback"));
    }
    let patience = Patience { connect: Duration::from_millis(300), ..Patience::default() };
    let reply = waiting_bed(&format!("http://{addr}"), UNREACHED, patience)
        .cloud
        .perform(submit(), allow())
        .await;
    assert_eq!((error(&reply).disposition, reply.sent), (Disposition::NotDone, false), "{reply:?}");
    assert!(
        !error(&reply).message.contains("no answer from"),
        "the call timeout ended it: {}",
        error(&reply).message
    );
}

/// The head of an answer came, and part of its body; then nothing.
#[tokio::test]
async fn a_body_that_stops_coming_is_not_waited_for_as_long_as_an_answer() {
    let stopped = "HTTP/1.1 200 OK\r\nX-Request-Id: 0123456789abcdef0123456789abcdef\r\nContent-Length: 49\r\n\r\n{\"job_id\":";
    let patience = Patience { body_idle: Duration::from_millis(300), ..Patience::default() };
    for call in [submit(), inspect()] {
        let (endpoint, _received) = server(ServerReaction::Send(stopped)).await;
        let reply = waiting_bed(&endpoint, UNREACHED, patience).cloud.perform(call, allow()).await;
        assert_eq!(
            (error(&reply).disposition, error(&reply).status, reply.sent),
            (Disposition::Unknown, Some(200), true),
            "{reply:?}"
        );
        assert!(
            error(&reply).message.ends_with("broke off: nothing more of it came within 300 ms"),
            "{}",
            error(&reply).message
        );
        assert_eq!(reply.request_id.as_deref(), Some("0123456789abcdef0123456789abcdef"));
    }
}

#[tokio::test]
async fn a_body_is_read_to_its_limit_and_no_further() {
    for (head, call, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", submit(), "the body is longer than 1048576 bytes"),
        ("HTTP/1.1 200 OK\r\n\r\n", inspect(), "the body is longer than 1048576 bytes"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", inspect(), "answer 404"),
    ] {
        let (endpoint, _received) = server(ServerReaction::Endless(head)).await;
        let reply = bed(&endpoint, UNREACHED).cloud.perform(call, allow()).await;
        assert!(error(&reply).message.contains(expected), "{}", error(&reply).message);
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let bed = bed(&format!("http://{}", listener.local_addr().expect("bound")), UNREACHED);
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the client connects");
        for _ in 0..3 {
            read_request(&mut stream).await.expect("another request on the same connection");
            stream.write_all(ACCEPTED.as_bytes()).await.expect("the client reads");
        }
    });
    for _ in 0..3 {
        // On a second connection nobody would answer.
        assert!(bed.cloud.perform(submit(), allow()).await.outcome.is_ok());
    }
    served.await.expect("all three came");
}

#[tokio::test]
async fn every_call_says_its_type_and_in_which_language_it_is_to_be_answered() {
    let within = TimeSpan::at("2026-11-24T08:09:10Z".parse().expect("an instant"));
    let (name, job) = (target().lane, JOB.parse().expect("an id"));
    let (endpoint, mut received) =
        server(ServerReaction::Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let token = dir.path().join("token");
    crate::cloud::secret::write(&token, TOKEN);
    let mut own = lane(&endpoint, SecretSource::File(token), PATIENT);
    own.access.language = Language::ZhCn;
    let chinese = HttpCloud::new(&[own], &clock()).expect("a client");
    let bed = bed(&endpoint, PATIENT);
    for call in [
        submit(),
        inspect(),
        Call::Follow { target: target(), job },
        Call::FindJobs { target: target(), within, offset: 1 },
        Call::Jobs { lane: name.clone(), within, offset: 1 },
        Call::Instances { lane: name.clone(), offset: 0 },
        Call::Proxies { lane: name, instance_id: target().instance_id },
    ] {
        let word = call.as_str();
        let content =
            if call.is_write() { "application/json;charset=utf-8" } else { "application/json" };
        for (cloud, language) in [(&bed.cloud, "en-us"), (&chinese, "zh-cn")] {
            let _reply = cloud.perform(call.clone(), allow()).await;
            let request = received.recv().await.expect("it came whole").to_ascii_lowercase();
            assert_eq!(
                request.matches(&format!("x-language: {language}\r\n")).count(),
                1,
                "{word}: {request}"
            );
            assert_eq!(
                request.matches(&format!("content-type: {content}\r\n")).count(),
                1,
                "{word}: {request}"
            );
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (elsewhere, mut followed) = server(ServerReaction::Send(ACCEPTED)).await;
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let answer =
            format!("HTTP/1.1 {status}\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n");
        let (endpoint, _received) = server(ServerReaction::Send(answer.leak())).await;
        let bed = bed(&endpoint, PATIENT);
        for call in [submit(), inspect()] {
            let reply = bed.cloud.perform(call, allow()).await;
            assert_eq!(
                (error(&reply).disposition, reply.sent),
                (Disposition::Fatal, true),
                "{status}"
            );
        }
    }
    assert!(followed.try_recv().is_err());
}

#[tokio::test]
async fn throttling_and_request_ids_are_read_from_headers() {
    let (endpoint, _received) = server(ServerReaction::Send(
        "HTTP/1.1 429 Too Many Requests\r\nX-Request-Id: 0123456789abcdef0123456789abcdef\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Retry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\nContent-Length: 0\r\n\r\n",
    ))
    .await;
    let reply = bed(&endpoint, PATIENT).cloud.perform(submit(), allow()).await;
    assert_eq!(error(&reply).disposition, Disposition::Throttled);
    assert_eq!(error(&reply).retry_after, Some(30));
    assert_eq!(reply.request_id.as_deref(), Some("0123456789abcdef0123456789abcdef"));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_a_new_one_is_taken_up() {
    let (endpoint, mut received) = server(ServerReaction::Send(ACCEPTED)).await;
    let bed = bed(&endpoint, PATIENT);
    std::fs::remove_file(&bed.token).expect("it is there");
    let reply = bed.cloud.perform(submit(), allow()).await;
    assert_eq!((error(&reply).disposition, reply.sent), (Disposition::Unauthorised, false));
    assert!(error(&reply).message.contains("token"), "{}", error(&reply).message);
    assert!(received.try_recv().is_err());
    crate::cloud::secret::write(&bed.token, "the-next-one\n");
    assert!(bed.cloud.perform(submit(), allow()).await.outcome.is_ok());
    assert!(received.recv().await.expect("it came").contains("the-next-one\r\n"));
}

#[tokio::test]
async fn an_echoed_token_does_not_reach_the_message() {
    let answer = format!(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{{\"error_msg\":\"{TOKEN}\"}}",
        TOKEN.len() + 16
    );
    let (endpoint, _received) = server(ServerReaction::Send(answer.leak())).await;
    let reply = bed(&endpoint, PATIENT).cloud.perform(inspect(), allow()).await;
    assert_eq!(error(&reply).disposition, Disposition::Unauthorised);
    assert!(!format!("{reply:?}").contains(TOKEN), "{reply:?}");
}

#[test]
fn endpoints_are_checked_before_anything_is_sent() {
    for endpoint in [
        "",
        "gaussdb.example.com",
        "ftp://host",
        "https://user@host",
        "https://host?x=1",
        "https://host#x",
        "https://",
    ] {
        let lane = lane(endpoint, SecretSource::Env("X".into()), PATIENT);
        assert!(
            matches!(HttpCloud::new(&[lane], &clock()), Err(Error::Endpoint { .. })),
            "{endpoint}"
        );
    }
}

#[tokio::test]
async fn a_lane_that_is_not_configured_is_refused() {
    let cloud = HttpCloud::new(&[], &clock()).expect("no lanes, no client");
    let reply = cloud.perform(submit(), allow()).await;
    assert_eq!((error(&reply).disposition, reply.sent), (Disposition::Fatal, false));
}
