//! Who speaks: the user at the other end of the unix socket, told by the kernel.
//!
//! Invariant: every request carries the [`Peer`] of its connection, and nothing that a client sends can change it. Who
//! may connect at all is decided by the socket's file mode; beyond that this module only names.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http;
use axum_server::accept::Accept;
use futures_util::future::BoxFuture;
use tokio::net::UnixStream;
use tower::Service;

use super::places::{Connections, PlacedStream, Timely};
use super::users;
use crate::domain::person::Person;

/// The user at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    /// The user's name, or `uid N` where the system has none.
    pub name: Arc<str>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Peer {
    /// The user with this number.
    pub async fn of(uid: u32) -> Self {
        let name = users::name_of(uid).await;
        Self { uid, name: Person::user(uid, name.as_deref()).name.into() }
    }

    /// As rollouts and approvals keep them.
    pub fn person(&self) -> Person {
        Person { name: self.name.to_string(), uid: Some(self.uid) }
    }
}

/// Takes a connection with the user behind it, if there is a place for it.
#[derive(Clone)]
pub(super) struct PeerAcceptor {
    connections: Connections,
}

impl PeerAcceptor {
    /// Places are those of `connections`.
    pub(super) fn new(connections: Connections) -> Self {
        Self { connections }
    }
}

impl<S: Send + 'static> Accept<UnixStream, S> for PeerAcceptor {
    type Stream = PlacedStream<UnixStream>;
    type Service = Identified<Timely<S>>;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: UnixStream, inner: S) -> Self::Future {
        let place = self.connections.admit();
        Box::pin(async move {
            let place = place.ok_or_else(|| io::Error::other("too many connections"))?;
            let peer = Peer::of(stream.peer_cred()?.uid()).await;
            let (stream, inner) = place.hold(stream, inner);
            Ok((stream, Identified { inner, peer }))
        })
    }
}

/// Puts the peer into every request of its connection.
#[derive(Clone)]
pub(super) struct Identified<S> {
    inner: S,
    peer: Peer,
}

impl<S, B> Service<http::Request<B>> for Identified<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        request.extensions_mut().insert(self.peer.clone());
        self.inner.call(request)
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Infallible> {
        // Every connection passes the acceptor; a router called without one (in a test) has no user to name.
        Ok(parts.extensions.get::<Peer>().cloned().unwrap_or(Peer { uid: u32::MAX, name: "unknown".into() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_number_without_a_name_is_said_as_a_number() {
        let nobody = Peer::of(4_000_000_000).await;
        assert_eq!(&*nobody.name, "uid 4000000000");
        assert!(!nobody.person().is_named());
    }
}
