//! Receivers that hang, reset, redirect and worse, over loopback.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What stands in a URL and nowhere else.
const CANARY: &str = "T0K3N-9f31";

/// Long enough for loopback, and short where something never comes.
const PATIENCE: Duration = Duration::from_millis(700);

struct TestReceiver {
    url: String,
    met: Arc<AtomicUsize>,
}

/// Serves every connection by this.
async fn receiver<F>(serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> TestReceiver
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let met = Arc::new(AtomicUsize::new(0));
    let counted = met.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream));
        }
    });
    TestReceiver { url: format!("http://127.0.0.1:{port}/hook/{CANARY}?key={CANARY}"), met }
}

/// Reads the request to the end of its small body.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let mut filled = 0;
    while !bytes[..filled].ends_with(b"{}") {
        match stream.read(&mut bytes[filled..]).await {
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
    }
    String::from_utf8_lossy(&bytes[..filled]).into_owned()
}

/// A receiver that answers this.
async fn answering(answer: impl Into<String>) -> TestReceiver {
    let answer = answer.into();
    receiver(move |mut stream| {
        let answer = answer.clone();
        async move {
            request(&mut stream).await;
            // It may be gone before all is sent.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await
}

fn status(line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {line}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

fn message(body_tells: bool) -> SignedMessage {
    let (id, signature) = ("abc_7_ops".to_owned(), "v1,aaaa v1,bbbb".to_owned());
    SignedMessage { id, timestamp: 1_800_000_000, signature, body: b"{}".to_vec(), body_tells }
}

/// One that trusts nobody, and finds names by this.
fn poster(lookup: Lookup) -> Poster {
    Poster::with(Ok(trusting_nobody()), PATIENCE, lookup).expect("a client")
}

async fn posted(url: &str, body_tells: bool) -> ReceiverAnswer {
    let url = ReceiverUrl::parse(url).expect("a good URL");
    poster(asks_the_system).send(&url, message(body_tells)).await
}

/// Nothing of the URL is in any of it.
fn no_secret(answer: &ReceiverAnswer) {
    let shown = format!("{answer:?} {} {}", answer.text(), answer.excerpt());
    assert!(!shown.contains(CANARY) && !shown.contains("/hook"), "{shown}");
}

#[tokio::test]
async fn a_message_arrives_with_its_headers() {
    let (told, mut hears) = tokio::sync::mpsc::channel(1);
    let receiver = receiver(move |mut stream| {
        let told = told.clone();
        async move {
            let _ = told.send(request(&mut stream).await).await;
            let _ = stream.write_all(status("204 No Content", "", "").as_bytes()).await;
        }
    })
    .await;
    assert!(posted(&receiver.url, false).await.is_taken());
    let heard = hears.recv().await.expect("a request").to_ascii_lowercase();
    for line in [
        "post /hook/t0k3n-9f31?key=t0k3n-9f31 http/1.1",
        "content-type: application/json",
        "webhook-id: abc_7_ops",
        "webhook-timestamp: 1800000000",
        "webhook-signature: v1,aaaa v1,bbbb",
        "user-agent: sealift/",
    ] {
        assert!(heard.contains(line), "{line} is not in {heard}");
    }
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    let echo = format!("no hook /hook/{CANARY} here");
    let table = [
        (status("200 OK", "", "ok"), "answered 200", None),
        (
            status("500 Internal Server Error", "", &echo),
            "answered 500 Internal Server Error",
            None,
        ),
        (status("429 Too Many Requests", "retry-after: 30\r\n", ""), "answered 429", Some(30)),
        (status("503 Service Unavailable", "retry-after: 999999\r\n", ""), "503", Some(3_600)),
        (status("404 Not Found", "", &echo), "answered 404 Not Found", None),
    ];
    for (answer, text, retry_after) in table {
        let receiver = answering(answer.clone()).await;
        let answered = posted(&receiver.url, false).await;
        assert!(answered.text().contains(text), "{answer}: {answered:?}");
        assert_eq!(answered.retry_after(), retry_after, "{answer}");
        no_secret(&answered);
    }
    let gone = answering(status("410 Gone", "", &echo)).await;
    let answered = posted(&gone.url, false).await;
    assert!(matches!(answered, ReceiverAnswer::Gone { .. }), "{answered:?}");
    assert_eq!(answered.excerpt(), "no hook *** here");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = answering(status("200 OK", "", "")).await;
    for line in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let to = format!("location: {}\r\n", elsewhere.url);
        let receiver = answering(status(line, &to, "")).await;
        let answered = posted(&receiver.url, false).await;
        assert!(answered.text().contains("redirects are not followed"), "{answered:?}");
        no_secret(&answered);
    }
    assert_eq!(elsewhere.met.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn one_that_hangs_or_resets_is_left_in_time() {
    let hangs = receiver(|mut stream| async move {
        request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let answered = posted(&hangs.url, false).await;
    assert!(answered.text().starts_with("no answer within"), "{answered:?}");
    let resets = receiver(|stream| async move {
        stream.set_zero_linger().expect("our own socket");
    })
    .await;
    let answered = posted(&resets.url, false).await;
    assert!(matches!(answered, ReceiverAnswer::Silent { .. }), "{answered:?}");
    no_secret(&answered);
    let refuses = {
        let closed = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = closed.local_addr().expect("an address").port();
        format!("http://127.0.0.1:{port}/hook/{CANARY}")
    };
    let answered = posted(&refuses, false).await;
    assert!(answered.text().contains("refused"), "{answered:?}");
    no_secret(&answered);
}

/// The status has come: neither a gigabyte beside it nor a body that never ends changes it.
#[tokio::test]
async fn a_gigabyte_is_not_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counts = sent.clone();
    let floods = receiver(move |mut stream| {
        let counts = counts.clone();
        async move {
            request(&mut stream).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            let chunk = vec![b'x'; 1 << 16];
            while stream.write_all(&chunk).await.is_ok() {
                counts.fetch_add(chunk.len(), Ordering::Relaxed);
            }
        }
    })
    .await;
    assert!(posted(&floods.url, false).await.is_taken());
    // What the sockets between hold, and no more.
    assert!(sent.load(Ordering::Relaxed) < 64 << 20, "{sent:?}");
    let trickles = receiver(|mut stream| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nx").await;
        std::future::pending::<()>().await;
    })
    .await;
    assert!(posted(&trickles.url, false).await.is_taken());
}

/// Feishu, DingTalk and WeCom answer 200 to what they refuse.
#[tokio::test]
async fn a_body_tells_where_the_status_does_not() {
    for (body, taken) in [
        (r#"{"errcode":0,"errmsg":"ok"}"#, true),
        (r#"{"StatusCode":0,"code":0,"msg":"success"}"#, true),
        ("ok", true),
        (r#"{"errcode":310000,"errmsg":"keywords not in content"}"#, false),
        (r#"{"code":19024,"msg":"Key Words Not Found"}"#, false),
    ] {
        let receiver = answering(status("200 OK", "", body)).await;
        let answered = posted(&receiver.url, true).await;
        assert_eq!(answered.is_taken(), taken, "{body}: {answered:?}");
        assert!(posted(&receiver.url, false).await.is_taken(), "only where it does: {body}");
    }
}

#[test]
fn where_nothing_is_sent_to_is_refused_without_being_shown() {
    for (url, why) in [
        ("hooks.example.com/T0K3N-9f31", "no URL"),
        ("ftp://example.com/T0K3N-9f31", "https://"),
        ("http://example.com/T0K3N-9f31", "this machine alone"),
        ("http://localhost.example.com/T0K3N-9f31", "this machine alone"),
        ("https://169.254.169.254/T0K3N-9f31", "link-local"),
        ("https://2852039166/T0K3N-9f31", "link-local"),
        ("https://0xa9.0xfe.0xa9.0xfe/T0K3N-9f31", "link-local"),
        ("https://[fe80::1]/T0K3N-9f31", "link-local"),
        ("https://[::ffff:169.254.169.254]/T0K3N-9f31", "link-local"),
        ("https://[64:ff9b::a9fe:a9fe]/T0K3N-9f31", "link-local"),
        ("https://[fd00:ec2::254]/T0K3N-9f31", "link-local"),
    ] {
        let wrong = ReceiverUrl::parse(url).expect_err(url);
        assert!(wrong.contains(why) && !wrong.contains(CANARY), "{url}: {wrong}");
    }
    for url in ["https://hooks.example.com/x", "http://127.0.0.1:8080/", "http://localhost/x"] {
        assert!(ReceiverUrl::parse(url).is_ok(), "{url}");
    }
}

#[test]
fn a_name_that_leads_astray_is_refused_after_it_was_resolved() {
    let found = |addresses: &[&str]| -> Vec<SocketAddr> {
        addresses
            .iter()
            .map(|address| SocketAddr::new(address.parse().expect("an IP"), 0))
            .collect()
    };
    for (addresses, local, fine) in [
        (&["93.184.216.34"][..], false, true),
        (&["10.1.2.3", "::1"], false, true),
        (&["93.184.216.34", "169.254.169.254"], false, false),
        (&["::ffff:169.254.0.1"], false, false),
        (&["fe80::2"], false, false),
        (&["127.0.0.1", "::1"], true, true),
        (&["127.0.0.1", "10.0.0.1"], true, false),
    ] {
        assert_eq!(allowed(&found(addresses), local).is_ok(), fine, "{addresses:?} {local}");
    }
}

/// The client asks nobody else where a name leads.
#[tokio::test]
async fn a_name_that_leads_astray_is_not_spoken_to() {
    fn leads(to: &'static str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![SocketAddr::new(to.parse().expect("an IP"), 0)]) })
    }
    let remote = format!("https://hooks.example.com/hook/{CANARY}");
    let local = format!("http://localhost:9/hook/{CANARY}");
    let metadata: Lookup = |_| leads("169.254.169.254");
    for (url, lookup, why) in [
        (&remote, metadata, "link-local"),
        (&local, metadata, "link-local"),
        (&local, |_| leads("192.0.2.1"), "leads away"),
    ] {
        let url = ReceiverUrl::parse(url).expect("a good URL");
        let answered = poster(lookup).send(&url, message(false)).await;
        assert!(answered.text().contains(why), "{answered:?}");
        no_secret(&answered);
    }
}

/// A certificate of another name is told with the name that was asked for, which is the URL's.
#[test]
fn whatever_is_said_is_without_the_url() {
    let url =
        format!("https://ada:{CANARY}@hooks.example.com/services/B00%2F7{CANARY}/x?k={CANARY}");
    let parsed = ReceiverUrl::parse(&url).expect("a URL");
    assert!(!format!("{parsed:?}").contains(CANARY));
    for text in [
        format!("certificate not valid for name \"hooks.example.com\" ({url})"),
        format!("no such path /services/B00%2F7{CANARY}/x"),
        format!("B00/7{CANARY} is unknown"),
        format!("k={CANARY}"),
    ] {
        let shown = parsed.scrub(&text);
        assert!(!shown.contains(CANARY) && !shown.contains("hooks.example"), "{shown}");
    }
}
