//! Connections as they come in: a place for each, and what the door tells of whoever is at the
//! other end.
//!
//! Invariants: a connection has its place before anything is read of it, the TLS handshake
//! included; every request of it carries its [`Connected`], which nothing that a client sends can
//! change.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Request;
use axum_server::accept::Accept;
use futures_util::future::BoxFuture;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service;

use super::session::Evidence;
use super::tls::{self, DoorTls};
use crate::api::address::AddressBlock;
use crate::api::caller::{Caller, Callers};
use crate::api::places::{Connections, PlacedStream, Timely};

/// Time for a TLS handshake: two round trips around the world.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What a door knows of a connection.
#[derive(Debug, Clone, Default)]
pub struct Connected {
    /// Who it is, where the door tells it.
    pub known: Option<(Evidence, Caller)>,
    /// Where it comes from; `None` on the socket.
    pub address: Option<AddressBlock>,
}

/// Puts the connected into every request of its connection.
#[derive(Clone)]
pub(in crate::api) struct ConnectedService<S> {
    inner: S,
    connected: Connected,
}

impl<S, B> Service<Request<B>> for ConnectedService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.connected.clone());
        self.inner.call(request)
    }
}

/// What an acceptor hands over.
type AcceptedConnection<Stream, S> = io::Result<(Stream, ConnectedService<Timely<S>>)>;

fn too_many() -> io::Error {
    io::Error::other("too many connections")
}

/// Takes connections of the socket, where the kernel tells who is at the other end.
#[derive(Clone)]
pub(in crate::api) struct SocketAcceptor {
    pub connections: Connections,
    pub callers: Callers,
}

impl<S: Send + 'static> Accept<UnixStream, S> for SocketAcceptor {
    type Stream = PlacedStream<UnixStream>;
    type Service = ConnectedService<Timely<S>>;
    type Future = BoxFuture<'static, AcceptedConnection<Self::Stream, S>>;

    fn accept(&self, stream: UnixStream, inner: S) -> Self::Future {
        let (place, callers) = (self.connections.admit(None), self.callers.clone());
        Box::pin(async move {
            let place = place.ok_or_else(too_many)?;
            let peer = stream.peer_cred()?;
            let evidence = Evidence::User { uid: peer.uid(), gid: Some(peer.gid()) };
            let caller = callers.user(peer.uid(), Some(peer.gid())).await;
            let (stream, inner) = place.hold(stream, inner);
            Ok((
                stream,
                ConnectedService {
                    inner,
                    connected: Connected { known: Some((evidence, caller)), address: None },
                },
            ))
        })
    }
}

/// Takes connections of the network in plain HTTP, where nothing tells who it is.
#[derive(Clone)]
pub(in crate::api) struct PlainAcceptor {
    pub connections: Connections,
}

impl<S: Send + 'static> Accept<TcpStream, S> for PlainAcceptor {
    type Stream = PlacedStream<TcpStream>;
    type Service = ConnectedService<Timely<S>>;
    type Future = std::future::Ready<AcceptedConnection<Self::Stream, S>>;

    fn accept(&self, stream: TcpStream, inner: S) -> Self::Future {
        std::future::ready(placed(&self.connections, stream, inner).map(
            |(stream, inner, address)| {
                let connected = Connected { known: None, address: Some(address) };
                (stream, ConnectedService { inner, connected })
            },
        ))
    }
}

/// Takes connections of the network by TLS, where a certificate may tell who it is.
#[derive(Clone)]
pub(in crate::api) struct TlsDoorAcceptor {
    pub connections: Connections,
    pub callers: Callers,
    pub tls: Arc<DoorTls>,
}

impl<S: Send + 'static> Accept<TcpStream, S> for TlsDoorAcceptor {
    type Stream = TlsStream<PlacedStream<TcpStream>>;
    type Service = ConnectedService<Timely<S>>;
    type Future = BoxFuture<'static, AcceptedConnection<Self::Stream, S>>;

    fn accept(&self, stream: TcpStream, inner: S) -> Self::Future {
        let (placed, callers, tls) =
            (placed(&self.connections, stream, inner), self.callers.clone(), self.tls.clone());
        Box::pin(async move {
            let (stream, inner, address) = placed?;
            let config = tokio::task::spawn_blocking(move || tls.config())
                .await
                .map_err(io::Error::other)?;
            let handshake = TlsAcceptor::from(config).accept(stream);
            let stream = tokio::time::timeout(HANDSHAKE, handshake)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let known = shown.and_then(tls::subject).map(|subject| {
                let caller = callers.certificate(&subject);
                (Evidence::Certificate { subject }, caller)
            });
            Ok((
                stream,
                ConnectedService { inner, connected: Connected { known, address: Some(address) } },
            ))
        })
    }
}

fn placed<S>(
    connections: &Connections,
    stream: TcpStream,
    inner: S,
) -> io::Result<(PlacedStream<TcpStream>, Timely<S>, AddressBlock)> {
    let address = AddressBlock::from(stream.peer_addr().map(|address: SocketAddr| address.ip())?);
    // An answer's last part goes out at once.
    stream.set_nodelay(true)?;
    let (stream, inner) =
        connections.admit(Some(address)).ok_or_else(too_many)?.hold(stream, inner);
    Ok((stream, inner, address))
}
