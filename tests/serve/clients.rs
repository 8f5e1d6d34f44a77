//! Where a client finds the daemon.

use std::path::Path;

use rustix::process::Signal;

use crate::world::{Ran, World, exists, sealift};

/// `list` at a socket, on a host that trusts nobody.
fn list(socket: &Path) -> Ran {
    let mut command = sealift();
    command.arg("list").arg("--addr").arg(socket).env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/dev/null");
    Ran::of(command.output().expect("the binary runs"))
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_listens_where_its_flag_says_and_stays_there() {
    let world = World::new(1, 1, "{}");
    let socket = world.path("elsewhere.sock");
    let daemon = world.daemon_with(&["serve", "--addr", &format!("unix:{}", socket.display())]).ready();
    assert!(exists(&socket) && !exists(&world.path("run/api.sock")));
    let listed = list(&socket);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert_eq!(world.run(&["list"]).code, Some(8), "nobody is at the configuration's socket");
    daemon.signal(Signal::HUP);
    daemon.logged("configuration and plans are read again");
    assert!(!daemon.log().contains("api.socket has changed"), "{}", daemon.log());
    let shown = world.run(&["config", "--addr", "/tmp/x.sock"]);
    let line = shown.out.lines().find(|line| line.starts_with("api.socket")).unwrap_or_default().to_owned();
    assert!(line.contains("/tmp/x.sock") && line.contains("--addr or $SEALIFT_ADDR"), "{shown:?}");
}
