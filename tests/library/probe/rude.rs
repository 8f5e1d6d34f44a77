//! Ports that are no database, or a mad one: silent, talking HTTP, talking nonsense, resetting,
//! trickling, endless.

use std::sync::Arc;
use std::time::Duration;

use sealift::clock::SystemClock;
use sealift::domain::proof::{Login, Proof, TroubleWord};
use sealift::probe::{Prober, Roots};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::probe::authority::Authority;
use crate::probe::{LAX, verdict};

/// The deadline of probes that must run into it.
const SOON: Duration = Duration::from_millis(400);

/// The greeting of a server with TLS.
pub const GREETING: &[u8] = b"\x60\0\0\0\x0a5.5.5-10.11.14-MariaDB-0+deb\0\x03\0\0\0abcdefgh\0\xfe\xff\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";

#[test]
fn the_greeting_is_whole() {
    assert_eq!(GREETING.len(), 4 + usize::from(GREETING[0]));
}

/// One probe of a port behind which one connection is treated like this.
async fn against<F: Future<Output = ()> + Send + 'static>(
    within: Duration,
    treat: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> Proof {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint =
        listener.local_addr().expect("its address").to_string().parse().expect("an endpoint");
    let server = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.expect("a connection");
        treat(socket).await;
    });
    let roots: Roots = Authority::new("ours").roots();
    let proof = Prober::new(Arc::new(SystemClock)).within(within).look(&endpoint, &roots).await;
    server.abort();
    for wanted in [true, false] {
        assert_ne!(verdict(&proof, wanted, &LAX), "proven", "{proof:?}");
    }
    proof
}

fn word(proof: &Proof) -> Option<TroubleWord> {
    proof.trouble.as_ref().map(|trouble| trouble.word)
}

/// Longer than any deadline here.
const PATIENT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_silent_port_and_one_that_waits_for_http_end_with_the_deadline() {
    let silent = against(SOON, |socket| async move {
        tokio::time::sleep(PATIENT).await;
        drop(socket);
    });
    assert_eq!(word(&silent.await), Some(TroubleWord::TimedOut));
    let http = against(SOON, |mut socket| async move {
        let mut request = Vec::new();
        socket.read_to_end(&mut request).await.expect("the end");
        assert_eq!(request, b"", "a probe says nothing before it is greeted");
    });
    assert_eq!(word(&http.await), Some(TroubleWord::TimedOut));
}

#[tokio::test]
async fn http_and_other_nonsense_is_told_as_what_it_is() {
    for nonsense in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0\0\0\0",
        b"\x01\0\0\0\x0b",
        &[0xff; 64],
    ] {
        let proof = against(PATIENT, move |mut socket| async move {
            socket.write_all(nonsense).await.expect("written");
            let _ = socket.read(&mut [0; 64]).await;
        })
        .await;
        assert_eq!(
            word(&proof),
            Some(TroubleWord::NotMysql),
            "{}: {proof:?}",
            nonsense.escape_ascii()
        );
    }
}

#[tokio::test]
async fn a_port_that_closes_or_resets_is_told_wherever_it_does() {
    let closed = against(PATIENT, |socket| async move { drop(socket) }).await;
    assert_eq!(word(&closed), Some(TroubleWord::Closed), "{closed:?}");
    let half = against(PATIENT, |mut socket| async move {
        socket.write_all(&GREETING[..40]).await.expect("written")
    })
    .await;
    assert_eq!(word(&half), Some(TroubleWord::Closed), "{half:?}");
    let reset =
        against(PATIENT, |socket| async move { socket.set_zero_linger().expect("an option") })
            .await;
    assert_eq!(word(&reset), Some(TroubleWord::Closed), "{reset:?}");
    // It announces TLS and is gone when TLS begins: that is a broken handshake.
    let greeted = against(PATIENT, |mut socket| async move {
        socket.write_all(GREETING).await.expect("written");
        socket.read_exact(&mut [0; 36]).await.expect("the request for TLS");
    })
    .await;
    assert_eq!(word(&greeted), Some(TroubleWord::HandshakeFailed), "{greeted:?}");
    assert_eq!(verdict(&greeted, false, &LAX), "tls_still_offered");
}

#[tokio::test]
async fn bytes_that_trickle_for_ever_end_with_the_deadline() {
    let trickle = |before: &'static [u8], after: u8| {
        move |mut socket: TcpStream| async move {
            socket.write_all(before).await.expect("written");
            while socket.write_all(&[after]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let greeting = against(SOON, trickle(b"\xff\x0f\0\0\x0a", b'8')).await;
    assert_eq!(word(&greeting), Some(TroubleWord::TimedOut), "{greeting:?}");
    // A TLS record that never ends.
    let handshake = against(SOON, move |mut socket| async move {
        socket.write_all(GREETING).await.expect("written");
        trickle(b"\x16\x03\x03\x3f\xff\x02\0\x3f\xfb", 0)(socket).await;
    })
    .await;
    assert_eq!(word(&handshake), Some(TroubleWord::TimedOut), "{handshake:?}");
    assert!(handshake.greeting.is_some_and(|greeting| greeting.tls), "what was seen before stands");
}

#[tokio::test]
async fn bytes_without_an_end_are_not_read_for_ever() {
    let endless = |piece: &'static [u8]| {
        move |mut socket: TcpStream| async move {
            socket.write_all(GREETING).await.expect("written");
            while socket.write_all(piece).await.is_ok() {}
        }
    };
    // Handshake records that are well-formed and lead nowhere, then plain noise.
    for piece in [&b"\x16\x03\x03\0\x04\0\0\0\0"[..], b"\x14\x03\x03\0\x01\x01", b"noise"] {
        let proof = against(PATIENT, endless(piece)).await;
        assert!(
            matches!(word(&proof), Some(TroubleWord::HandshakeFailed | TroubleWord::TooMuch)),
            "{proof:?}"
        );
    }
}

#[tokio::test]
async fn nobody_there_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint =
        listener.local_addr().expect("its address").to_string().parse().expect("an endpoint");
    drop(listener);
    let proof =
        Prober::new(Arc::new(SystemClock)).look(&endpoint, &Authority::new("ours").roots()).await;
    assert_eq!(word(&proof), Some(TroubleWord::Unreachable), "{proof:?}");
    let nowhere = "no-such-host.invalid:3306".parse().expect("an endpoint");
    let proof =
        Prober::new(Arc::new(SystemClock)).look(&nowhere, &Authority::new("ours").roots()).await;
    assert!(
        matches!(word(&proof), Some(TroubleWord::Unreachable | TroubleWord::TimedOut)),
        "{proof:?}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_the_login_still_proves_what_it_showed() {
    let mut plain = GREETING.to_vec();
    let at =
        GREETING.windows(2).position(|pair| pair == b"\xfe\xff").expect("the capabilities") + 1;
    plain[at] &= !0x08;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint =
        listener.local_addr().expect("its address").to_string().parse().expect("an endpoint");
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        socket.write_all(&plain).await.expect("written");
        tokio::time::sleep(PATIENT).await;
    });
    let proof = Prober::new(Arc::new(SystemClock))
        .within(SOON)
        .look(&endpoint, &Authority::new("ours").roots())
        .await;
    server.abort();
    assert_eq!(verdict(&proof, false, &LAX), "proven");
    assert!(matches!(proof.login, Some(Login::Unanswered { .. })), "{proof:?}");
}
