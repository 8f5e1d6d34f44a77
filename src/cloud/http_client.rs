//! An HTTP client for calls: hyper's, with a pool of connections, and nothing that happens by itself.
//!
//! Invariants: one request is sent at most once, and no redirect is followed. (A request of which no byte was given to a connection that
//! closed meanwhile is put on another; its last check has not been asked by then.)
//!
//! Deliberately not here: how a connection comes about (`cloud::connector`), what is in a request (`cloud::http`, `cloud::iam`). Why not
//! the client that the command line has: docs/decisions/0029.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, PROXY_AUTHORIZATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use super::connector::{Connector, WHO_WE_ARE};
use super::guarded_body::GuardedBody;

/// Idle connections kept for one host: twice the largest number of calls that is measured to make sense.
const IDLE_PER_HOST: usize = 512;

/// How long an idle connection is kept. Short of what gateways keep (a minute and more), because a PUT on a connection
/// that the other side is just closing comes back in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Sends requests; cheap to clone, clones share their connections.
#[derive(Clone)]
pub(super) struct HttpClient {
    client: Client<Connector, GuardedBody>,
    proxies: Option<Arc<Matcher>>,
}

impl HttpClient {
    /// As [`Connector::new`] takes them; sends nothing yet.
    pub(super) fn new(tls: ClientConfig, proxies: Option<Arc<Matcher>>, patience: Duration) -> Self {
        let connector = Connector::new(Arc::new(tls), proxies.clone(), patience);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_max_idle_per_host(IDLE_PER_HOST).pool_idle_timeout(IDLE_TIMEOUT).pool_timer(TokioTimer::new());
        Self { client: builder.build(connector), proxies }
    }

    /// Sends one request, whose URL must be whole. What it says of us and of what we take is added. It has no time limit of its own.
    ///
    /// # Errors
    /// When no head of an answer came.
    pub(super) async fn send(&self, mut request: Request<GuardedBody>) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        // Inside a tunnel the proxy was told when it was made.
        let forwards = request.uri().scheme() != Some(&Scheme::HTTPS);
        let proxy = self.proxies.as_ref().filter(|_| forwards).and_then(|proxies| proxies.intercept(request.uri()));
        let headers = request.headers_mut();
        headers.insert(ACCEPT, JSON);
        headers.insert(USER_AGENT, WHO_WE_ARE);
        if let Some(auth) = proxy.as_ref().and_then(|proxy| proxy.basic_auth()) {
            headers.insert(PROXY_AUTHORIZATION, auth.clone());
        }
        self.client.request(request).await
    }
}

/// An error and its causes in one line.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Many layers repeat the one below.
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        next = cause.source();
    }
    told
}
