//! The socket itself: its mode, its stale predecessor, and clients that stall.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use sealift::api::{BindError, CONNECTIONS_MAX, IDLE_MAX, bind};
use sealift::domain::stop::StopFile;
use sealift::store::memory::MemoryStore;
use sealift::store::sled::{SledOptions, SledStore};

use crate::api::world::{ApiWorld, plan, targets};

#[tokio::test]
async fn the_socket_is_for_the_group_only_and_goes_away() {
    let world = ApiWorld::new().await;
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!(mode(&world.socket), 0o660);
    assert_eq!(mode(world.socket.parent().expect("a folder")), 0o750);
    assert!(matches!(bind(&world.socket), Err(BindError::Taken(_))));
    world.stop.cancel();
    for _ in 0..1000 {
        if !world.socket.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the socket stays behind");
}

#[test]
fn a_stale_socket_is_replaced_and_a_file_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("api.sock");
    // Dropping a listener leaves its file: as after a SIGKILL.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists());
    let socket = bind(&path).expect("nobody answers on the old one");
    assert!(UnixStream::connect(&path).is_ok());
    drop(socket);
    assert!(!path.exists());
    std::fs::write(&path, "precious").expect("a file");
    assert!(matches!(bind(&path), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
}

#[tokio::test]
async fn half_a_request_is_closed() {
    let world = ApiWorld::new().await;
    let path = world.socket.clone();
    let closed = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(path).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: sealift\r\n").expect("half a request");
        let mut rest = Vec::new();
        // Closed by the server: an end, with or without a word; a timeout of ours would be an
        // error.
        stream.read_to_end(&mut rest)
    });
    closed.await.expect("the task ends").expect("the server closes what stays half");
}

/// Opens a connection and begins to ask.
fn ask(world: &ApiWorld, text: &str) -> UnixStream {
    let mut stream = UnixStream::connect(&world.socket).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(text.as_bytes()).expect("room for a few bytes");
    stream
}

/// The head of an upload and a part of its plan.
fn half_an_upload(world: &ApiWorld) -> UnixStream {
    let text = "POST /v1/rollouts HTTP/1.1\r\nHost: sealift\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000\r\n\r\n\
                --b\r\nContent-Disposition: form-data; name=\"plan\"; filename=\"plan.yaml\"\r\n\r\nversion: 1\n";
    ask(world, text)
}

async fn all_of(mut stream: UnixStream) -> String {
    let read = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    read.await.expect("the task ends").expect("the server answers or closes")
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    let world = ApiWorld::new().await;
    let _idle: Vec<_> = (0..2 * CONNECTIONS_MAX).map(|_| ask(&world, "")).collect();
    let _half: Vec<_> =
        (0..CONNECTIONS_MAX).map(|_| ask(&world, "GET /healthz HTTP/1.1\r\n")).collect();
    assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_too_many_is_told_that_the_daemon_is_busy() {
    let world = ApiWorld::new().await;
    let waits = "GET /v1/events?after=1000000&wait=30 HTTP/1.1\r\nHost: sealift\r\n\r\n";
    let mut waiting: Vec<_> = (0..CONNECTIONS_MAX).map(|_| ask(&world, waits)).collect();
    let hello = "GET /healthz HTTP/1.1\r\nHost: sealift\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    for _ in 0..100 {
        answer = all_of(ask(&world, hello)).await;
        if answer.contains("503") {
            break;
        }
        // One whose request was not read yet made room for it.
        waiting.push(ask(&world, waits));
    }
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: "), "{answer}");
    assert!(answer.contains("256 requests are being answered"), "{answer}");
    drop(waiting);
    // Not by a client that must write all of its request: a refusal may come before that.
    for _ in 0..1_000 {
        answer = all_of(ask(&world, hello)).await;
        if answer.starts_with("HTTP/1.1 200 ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("there is room again: {answer}");
}

#[tokio::test]
async fn stalled_uploads_keep_nobody_out() {
    let world = ApiWorld::new().await;
    let _stalled: Vec<_> = (0..5).map(|_| half_an_upload(&world)).collect();
    let text = plan("night", &targets('a', 2), "");
    let submitted =
        tokio::time::timeout(IDLE_MAX / 2, world.submit(&text)).await.expect("it waits for nobody");
    assert_eq!(submitted.status, StatusCode::CREATED, "{submitted:?}");
}

#[tokio::test]
async fn a_stalled_upload_is_given_up_and_leaves_nothing() {
    let world = ApiWorld::with(Arc::new(MemoryStore::new()), Duration::from_millis(200)).await;
    let answer = all_of(half_an_upload(&world)).await;
    assert!(
        answer.starts_with("HTTP/1.1 408 ")
            && answer.contains("given up: nothing of it arrived for 0.2 s"),
        "{answer}"
    );
    assert!(world.spool().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_not_read_ends_and_keeps_nobody_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store =
        SledStore::open(&folder.path().join("queue"), SledOptions::default()).expect("a new store");
    let world = ApiWorld::exporting(Arc::new(store), Duration::from_millis(500)).await;
    world.handle.stop_file(Some(StopFile::new("/state/STOP", "nothing is to run"))).await;
    // More than all buffers on the way hold.
    let submitted = world.submit(&plan("large", &targets('a', 30_000), "")).await;
    assert_eq!(submitted.status, StatusCode::CREATED, "{submitted:?}");
    let export = "GET /v1/store/export HTTP/1.1\r\nHost: sealift\r\nConnection: close\r\n\r\n";
    let stalled = ask(&world, export);
    let mut first = [0; 12];
    let mut reader = &stalled;
    reader.read_exact(&mut first).expect("its head");
    assert_eq!(&first, b"HTTP/1.1 200");
    let copy = all_of(ask(&world, export)).await;
    assert!(
        copy.starts_with("HTTP/1.1 200 ") && copy.len() > 1 << 20 && copy.ends_with("0\r\n\r\n"),
        "{} bytes",
        copy.len()
    );
    assert!(
        !all_of(stalled).await.ends_with("0\r\n\r\n"),
        "the copy that was not read is not whole"
    );
}
