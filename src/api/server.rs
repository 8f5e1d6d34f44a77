//! The unix socket, and the servers behind it and behind the door on the network.
//!
//! Invariants: the socket appears under its name with its final mode, in one step; a socket that
//! somebody answers on is never taken away; a client that sends half a request's head is closed
//! after [`HEADER_TIMEOUT`], and who may stay when there are too many is decided in `places`. All
//! doors have the same bounds and end together.
//!
//! Deliberately not here: who is let in (`door`).

use std::fs::{DirBuilder, Permissions};
use std::future::Future;
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::{Address, Handle, Server};
use tokio_util::sync::CancellationToken;

use super::caller::Callers;
use super::door::{
    Door, Doors, HEAD_BYTES_MAX, NetworkDoor, PlainAcceptor, SocketAcceptor, TlsDoorAcceptor,
};
use super::places::{Connections, IDLE_MAX};
use crate::clock::SystemClock;

/// Mode of a socket folder that we make: the service's user and group.
const FOLDER_MODE: u32 = 0o750;

/// Mode of the socket: whoever is in the group may act; the kernel tells who it was.
const SOCKET_MODE: u32 = 0o660;

/// Time for a request's head.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests at once on one connection of HTTP/2.
const STREAMS_MAX: u32 = 64;

/// How often a quiet connection of HTTP/2 is asked whether somebody is there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Time from connecting to the first whole request head.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that open requests get when the server ends; every answer takes less, and long polls are
/// told to end.
const GRACE: Duration = Duration::from_secs(3);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon is there.
    #[error("another daemon answers on {}; stop it first, or give this one another `api.socket`", .0.display())]
    Taken(PathBuf),
    /// Something that is no socket is there.
    #[error("{} is there and is no socket; move it away or set another `api.socket`", .0.display())]
    NotASocket(PathBuf),
    #[error("cannot listen on {}: {source}{hint}", path.display())]
    System {
        path: PathBuf,
        /// What to do, if known.
        hint: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound socket; its file goes away when this is dropped, if it is still ours.
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
    idle: Duration,
    doors: Doors,
    network: Option<NetworkDoor>,
}

impl Socket {
    /// The same with another idle limit than [`IDLE_MAX`].
    #[must_use]
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// The same with people who may not all do everything.
    #[must_use]
    pub fn callers(self, callers: Callers) -> Self {
        Self { doors: Doors::passing(callers), ..self }
    }

    /// The same with these people, tokens and sessions, and the door on the network that has them
    /// too.
    #[must_use]
    pub fn beside(self, network: Option<NetworkDoor>, doors: Doors) -> Self {
        Self { doors, network, ..self }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("path", &self.file.path)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode);
        if ours {
            // A file that cannot be removed is found stale by the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Binds the socket at `path`.
pub fn bind(path: &Path) -> Result<Socket, BindError> {
    let failed = |source: io::Error| {
        let hint = match source.kind() {
            io::ErrorKind::PermissionDenied => {
                "; run as the service's user or set `api.socket` to a folder of yours"
            }
            io::ErrorKind::InvalidInput => "; a socket's path has at most 107 bytes",
            _ => "",
        };
        BindError::System { path: path.to_owned(), hint, source }
    };
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed)?;
    }
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(BindError::Taken(path.to_owned()));
        }
    }
    // Bound beside its place, given its mode, then moved: nobody can connect in between, and a
    // stale file is replaced.
    let beside = folder.join(format!(".{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&beside);
    let listener = UnixListener::bind(&beside).map_err(failed)?;
    let settle = || {
        std::fs::set_permissions(&beside, Permissions::from_mode(SOCKET_MODE))?;
        std::fs::rename(&beside, path)?;
        Ok(std::fs::symlink_metadata(path)?.ino())
    };
    let inode = settle().map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        failed(error)
    })?;
    let doors = Doors::passing(Callers::default());
    Ok(Socket {
        listener,
        file: SocketFile { path: path.to_owned(), inode },
        idle: IDLE_MAX,
        doors,
        network: None,
    })
}

/// Serves until `stop`, then gives open requests a moment.
pub async fn serve(socket: Socket, router: Router, stop: CancellationToken) -> io::Result<()> {
    let Socket { listener, file, idle, doors, network } = socket;
    let places = || Connections::new(Arc::new(SystemClock), idle);
    let handle = Handle::new();
    let acceptor = SocketAcceptor { connections: places(), callers: doors.callers().clone() };
    let server =
        bounded(axum_server::from_unix(listener)?, &handle).http1_only().acceptor(acceptor);
    let routes = Door::socket(doors.clone()).before(router.clone()).into_make_service();
    // The name goes first: a client that comes now is told that nobody is there, not kept waiting.
    let on_socket = ending(server.serve(routes), handle, stop.clone(), move || drop(file));
    let Some(network) = network else { return on_socket.await };
    let NetworkDoor { listener, tls, door, .. } = network;
    let (handle, routes) = (Handle::new(), door.before(router).into_make_service());
    let server = bounded(axum_server::from_tcp(listener)?, &handle);
    match tls {
        None => {
            let server = server.http1_only().acceptor(PlainAcceptor { connections: places() });
            tokio::try_join!(on_socket, ending(server.serve(routes), handle, stop, || ())).map(drop)
        }
        Some(tls) => {
            let (watched, ended) = (tls.clone(), stop.clone());
            let watch = async move { watched.warn_of_end(&SystemClock, ended).await };
            let server = server.acceptor(TlsDoorAcceptor {
                connections: places(),
                callers: doors.callers().clone(),
                tls,
            });
            let served = async {
                tokio::try_join!(on_socket, ending(server.serve(routes), handle, stop, || ()))
            };
            tokio::pin!(served);
            tokio::select! {
                served = &mut served => served.map(drop),
                () = watch => served.await.map(drop),
            }
        }
    }
}

/// With the bounds that every door has.
fn bounded<A: Address, Acc>(server: Server<A, Acc>, handle: &Handle<A>) -> Server<A, Acc> {
    let mut server = server.handle(handle.clone()).first_request_timeout(FIRST_REQUEST_TIMEOUT);
    let builder = server.http_builder();
    builder.http1().header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    let mut http2 = builder.http2();
    http2.max_header_list_size(HEAD_BYTES_MAX as u32).max_concurrent_streams(STREAMS_MAX);
    http2.keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(FIRST_REQUEST_TIMEOUT);
    server
}

/// Serves until `stop`; then does what comes `first`, and gives open requests a moment.
async fn ending<A: Address>(
    served: impl Future<Output = io::Result<()>>,
    handle: Handle<A>,
    stop: CancellationToken,
    first: impl FnOnce(),
) -> io::Result<()> {
    let ended = async {
        stop.cancelled().await;
        first();
        handle.graceful_shutdown(Some(GRACE));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = served => served,
        () = ended => Ok(()),
    }
}
