//! What a client says of the daemon: nobody is there, it is busy, it went away; and where it looks
//! for it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::process::Signal;

use crate::serve::world::{ServeWorld, VerbOutput, exists, sealift};

/// `list` at a socket, on a host that trusts nobody.
fn list(socket: &Path) -> VerbOutput {
    let mut command = sealift();
    command
        .arg("list")
        .arg("--addr")
        .arg(socket)
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/dev/null");
    VerbOutput::of(command.output().expect("the binary runs"))
}

#[test]
fn a_busy_daemon_is_told_from_one_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("api.sock");
    let gone = list(&socket);
    assert!(gone.code == Some(8) && gone.err.contains("no daemon answers on"), "{gone:?}");

    let listener = UnixListener::bind(&socket).expect("a socket");
    let body = r#"{"type":"/problems/unavailable","title":"not possible now","status":503,"code":"unavailable",
        "detail":"256 requests are being answered; try again in a moment"}"#;
    let busy = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let stopping = busy.replace("Retry-After: 5\r\n", "");
    let server = std::thread::spawn(move || {
        for answer in [busy.as_str(), stopping.as_str(), ""] {
            let (mut stream, _) = listener.accept().expect("a client");
            let _ = stream.read(&mut [0; 4096]).expect("its question");
            stream.write_all(answer.as_bytes()).expect("an answer");
        }
    });
    let busy = list(&socket);
    assert!(
        busy.code == Some(10) && busy.err.contains("is busy: 256 requests are being answered"),
        "{busy:?}"
    );
    let refused = list(&socket);
    assert!(refused.code == Some(1) && !refused.err.contains("is busy"), "{refused:?}");
    let cut = list(&socket);
    assert!(
        cut.code == Some(8) && cut.err.contains("closed the connection without an answer"),
        "{cut:?}"
    );
    server.join().expect("three clients came");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_listens_where_its_flag_says_and_stays_there() {
    let world = ServeWorld::new(1, 1, "{}");
    let socket = world.path("elsewhere.sock");
    let daemon =
        world.daemon_with(&["serve", "--addr", &format!("unix:{}", socket.display())]).ready();
    assert!(exists(&socket) && !exists(&world.path("run/api.sock")));
    let listed = list(&socket);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert_eq!(world.run(&["list"]).code, Some(8), "nobody is at the configuration's socket");
    daemon.signal(Signal::HUP);
    daemon.logged("configuration and plans are read again");
    assert!(!daemon.log().contains("api.socket has changed"), "{}", daemon.log());
    let shown = world.run(&["config", "--addr", "/tmp/x.sock"]);
    let line = shown
        .out
        .lines()
        .find(|line| line.starts_with("api.socket"))
        .unwrap_or_default()
        .to_owned();
    assert!(line.contains("/tmp/x.sock") && line.contains("--addr or $SEALIFT_ADDR"), "{shown:?}");
}
