//! How a connection to the cloud comes about: straight, or through a proxy of the environment, with TLS where the endpoint has it.
//!
//! Invariants: a connection stands within its time or is an error, TLS and the proxy's answer included; what goes to an `https`
//! endpoint is encrypted for that endpoint, whatever lies between; a proxy's password goes to the proxy and into no message.
//!
//! Deliberately not here: requests and the pool of connections (`cloud::http_client`), whom TLS trusts (`cloud::lane_tls`).

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::{HeaderMap, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::Service;

/// Who we are, to the cloud and to proxies.
pub(super) const WHO_WE_ARE: HeaderValue = HeaderValue::from_static(concat!("sealift/", env!("CARGO_PKG_VERSION")));

/// Time of silence after which the other side is asked whether it still lives, and between two such questions.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Such questions without an answer after which the connection is dead.
const KEEPALIVE_RETRIES: u32 = 3;

/// How long what was sent may stay without the other side's acknowledgement before the connection is dead.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

type BoxError = Box<dyn StdError + Send + Sync>;

/// Makes connections to endpoints; cheap to clone.
#[derive(Clone)]
pub(super) struct Connector {
    to_endpoint: HttpsConnector<Way>,
    patience: Duration,
}

impl Connector {
    /// `tls` is for the endpoint; a proxy that is itself spoken to by TLS is taken by the same authorities. Without `proxies` every
    /// connection goes straight. A connection must stand within `patience`.
    pub(super) fn new(tls: Arc<ClientConfig>, proxies: Option<Arc<Matcher>>, patience: Duration) -> Self {
        let mut straight = HttpConnector::new();
        straight.enforce_http(false);
        straight.set_nodelay(true);
        straight.set_keepalive(Some(KEEPALIVE));
        straight.set_keepalive_interval(Some(KEEPALIVE));
        straight.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        straight.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        let to_proxy = HttpsConnector::from((straight.clone(), tls.clone()));
        Self { to_endpoint: HttpsConnector::from((Way { straight, to_proxy, proxies }, tls)), patience }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Leg>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.to_endpoint.poll_ready(context)
    }

    fn call(&mut self, endpoint: Uri) -> Self::Future {
        let (connected, patience) = (self.to_endpoint.call(endpoint), self.patience);
        Box::pin(async move {
            let in_time = tokio::time::timeout(patience, connected).await;
            in_time.unwrap_or_else(|_| Err(format!("no connection within {} ms", patience.as_millis()).into()))
        })
    }
}

/// The bytes' way to an endpoint, without the endpoint's own TLS.
#[derive(Clone)]
struct Way {
    straight: HttpConnector,
    to_proxy: HttpsConnector<HttpConnector>,
    proxies: Option<Arc<Matcher>>,
}

impl Service<Uri> for Way {
    type Response = Leg;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Leg, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, endpoint: Uri) -> Self::Future {
        let proxy = self.proxies.as_ref().and_then(|proxies| proxies.intercept(&endpoint));
        let (mut straight, to_proxy) = (self.straight.clone(), self.to_proxy.clone());
        Box::pin(async move {
            match proxy {
                None => Ok(Leg { stream: MaybeHttpsStream::Http(straight.call(endpoint).await?), forwarded: false }),
                Some(proxy) => through(&proxy, to_proxy, endpoint).await,
            }
        })
    }
}

/// A tunnel for what the proxy must not see, its forwarding for what it may.
async fn through(proxy: &Intercept, mut to_proxy: HttpsConnector<HttpConnector>, endpoint: Uri) -> Result<Leg, BoxError> {
    let place = proxy.uri().clone();
    if !place.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme)) {
        return Err(format!("the environment names the proxy {place}, and only http and https proxies are spoken to").into());
    }
    if endpoint.scheme() != Some(&Scheme::HTTPS) {
        return Ok(Leg { stream: to_proxy.call(place).await?, forwarded: true });
    }
    let mut tunnel = Tunnel::new(place, to_proxy).with_headers(HeaderMap::from_iter([(USER_AGENT, WHO_WE_ARE)]));
    if let Some(auth) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(auth.clone());
    }
    Ok(Leg { stream: tunnel.call(endpoint).await?, forwarded: false })
}

/// A stream to an endpoint or to the proxy before it.
pub(super) struct Leg {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// The proxy at its end reads the requests, and must find the whole URL in them.
    forwarded: bool,
}

impl Connection for Leg {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.forwarded)
    }
}

impl Read for Leg {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl Write for Leg {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}

#[cfg(test)]
mod tests;
