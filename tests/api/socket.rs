//! The socket itself: its mode, its stale predecessor, and half a request.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use sealift::api::{BindError, bind};

use crate::world::World;

#[tokio::test]
async fn the_socket_is_for_the_group_only_and_goes_away() {
    let world = World::new().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
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
    let world = World::new().await;
    let path = world.socket.clone();
    let closed = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(path).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n").expect("half a request");
        let mut rest = Vec::new();
        // Closed by the server: an end, with or without a word; a timeout of ours would be an error.
        stream.read_to_end(&mut rest)
    });
    closed.await.expect("the task ends").expect("the server closes what stays half");
}
