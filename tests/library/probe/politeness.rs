//! A probe does the server no harm: it is not counted as a broken connection, so our host is never
//! blocked. And where a server does not greet, the probe says why.

use std::io::Read as _;
use std::net::SocketAddr;
use std::net::TcpStream as Blocking;

use sealift::domain::proof::{Login, TroubleWord};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::probe::authority::Authority;
use crate::probe::look;
use crate::probe::mariadb::{MariaDb, ServerSetup};

/// More than enough for the server to block a host that hangs up.
const PROBES: usize = 200;

const LIMIT: &str = "--max-connect-errors=10";

/// Where the server sees us come from: it counts nothing against 127.0.0.1, ever.
const HOST: &str = "127.0.0.2:0";

/// Hands connections on to the server as from [`HOST`]; its port.
async fn relay(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            tokio::spawn(async move {
                let socket = TcpSocket::new_v4().expect("a socket");
                socket.bind(HOST.parse().expect("an address")).expect("all of 127 is ours");
                let mut outside = socket
                    .connect(SocketAddr::from(([127, 0, 0, 1], server)))
                    .await
                    .expect("a connection");
                // Either side may break off: that is what is tested.
                let _ = copy_bidirectional(&mut inside, &mut outside).await;
            });
        }
    });
    port
}

/// Connects, reads the greeting and hangs up; whether it was a refusal.
async fn hang_up(port: u16) -> bool {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let mut read = [0; 512];
    let length = socket.read(&mut read).await.expect("something");
    read[..length].get(4) == Some(&0xff)
}

#[tokio::test]
async fn two_hundred_probes_get_nobody_blocked() {
    let authority = Authority::new("ours");
    let identity = authority.issue(&["127.0.0.1"], 2999);
    let roots = authority.roots();
    for identity in [Some(&identity), None] {
        let server = MariaDb::start(&ServerSetup {
            identity,
            options: &[LIMIT],
            counts_hosts: true,
            ..ServerSetup::default()
        });
        let port = relay(server.port).await;
        for number in 0..PROBES {
            let proof = look(port, &roots).await;
            assert_eq!(proof.tls.is_some(), identity.is_some(), "probe {number}: {proof:?}");
            assert!(
                matches!(proof.login, Some(Login::Refused { code: 1045, .. })),
                "probe {number}: {proof:?}"
            );
        }
        // The limit is in force: whoever hangs up is blocked soon, and then the probe says so.
        let mut hung_up = 0;
        while !hang_up(port).await {
            hung_up += 1;
            assert!(
                hung_up < PROBES,
                "the server does not block those that hang up: its resolver must say that {HOST} has no name"
            );
        }
        let proof = look(port, &roots).await;
        assert_eq!(
            proof.trouble.as_ref().map(|trouble| trouble.word),
            Some(TroubleWord::HostBlocked),
            "{proof:?}"
        );
    }
}

#[tokio::test]
async fn a_server_without_an_account_for_us_and_a_full_one_are_told_apart() {
    let roots = Authority::new("ours").roots();
    let options = ["--max-connections=10", "--connect-timeout=60"];
    let closed = MariaDb::start(&ServerSetup {
        statements: Some("DELETE FROM mysql.global_priv;\nFLUSH PRIVILEGES;\n"),
        ..ServerSetup::default()
    });
    let proof = look(closed.port, &roots).await;
    assert_eq!(
        proof.trouble.as_ref().map(|trouble| trouble.word),
        Some(TroubleWord::HostRefused),
        "{proof:?}"
    );
    drop(closed);

    let full = MariaDb::start(&ServerSetup { options: &options, ..ServerSetup::default() });
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut socket = Blocking::connect(("127.0.0.1", full.port)).expect("a connection");
        let mut byte = [0; 5];
        socket.read_exact(&mut byte).expect("a greeting or a refusal");
        if byte[4] == 0xff {
            break;
        }
        held.push(socket);
    }
    let proof = look(full.port, &roots).await;
    assert_eq!(
        proof.trouble.as_ref().map(|trouble| trouble.word),
        Some(TroubleWord::TooManyConnections),
        "{proof:?}"
    );
}
