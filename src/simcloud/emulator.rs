//! The simulated cloud served over HTTP: for the demo, for rehearsals against a real socket, and
//! for benchmarks.
//!
//! Invariants: every answer comes from the same pure model that the simulation uses; the model is
//! locked for the length of one request's decision, never while waiting; a dropped connection is
//! really closed without an answer. Time is read from the clock given and never goes back.
//!
//! Deliberately not here: anything of IAM but tokens by password and by agency.

pub mod accounts;
mod control;
mod gatekeeper;
mod login;
mod route;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER, SERVER};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::task::JoinHandle;

use self::accounts::Accounts;
pub use self::gatekeeper::Admissions;
use self::gatekeeper::{Gatekeeper, NotAdmitted};
use super::faults::Faults;
use super::fleet::Fleet;
use super::model::{self, Content, Model};
use super::vendor_json::RequestRefusal;
use crate::clock::{Clock, Times};
use crate::cloud::retry_after;
use crate::domain::id::ProjectId;
use crate::domain::lane::Language;

/// Longest request body: the switch's has 21 bytes.
const BODY_MAX: usize = 64 << 10;

/// The token that is taken when nothing else is said; `init` writes it for a daemon.
pub const TOKEN_DEFAULT: &str = "emulated-token";

/// The lane that a fleet is written for when nothing else is said.
pub const LANE_DEFAULT: &str = "emulated";

/// Proxies of the fleet that is made up when nothing else is said.
pub const PROXIES_DEFAULT: u32 = 24;

/// Instances that they belong to.
pub const INSTANCES_DEFAULT: u32 = 12;

/// Which fleet that is.
pub const SEED_DEFAULT: u64 = 1;

/// How long a connection may take to send a whole request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How the emulated cloud is set up.
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    pub fleet: Fleet,
    pub faults: Faults,
    /// Seed of ids and faults.
    pub seed: u64,
    /// A token that lets requests in; `None`: any, but some, unless there are accounts.
    pub token: Option<SecretString>,
    /// Access keys and users that are known besides.
    pub accounts: Accounts,
    /// The project that paths must name; `None`: any.
    pub project_id: Option<ProjectId>,
    /// Intervals whose worst number of arrivals is kept, beside one second and the fault file's
    /// quota.
    pub watch: Vec<Duration>,
    /// The proxies' own port is open too, and the lists tell its addresses.
    pub wire: bool,
}

/// Why the emulator does not run.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The address is taken or not ours.
    #[error("emulator: cannot listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        source: io::Error,
    },
    /// The proxies' own port cannot be opened.
    #[error("emulator: cannot open the proxies' own port: {0}")]
    Wire(io::Error),
}

pub struct Emulator;

/// A running emulator; it stops when this is dropped.
pub struct RunningEmulator {
    pub addr: SocketAddr,
    shared: Arc<EmulatorState>,
    handle: axum_server::Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
    wire: Option<EmulatedPorts>,
}

/// The proxies' open port.
struct EmulatedPorts {
    ca: String,
    task: JoinHandle<()>,
}

struct EmulatorState {
    model: Mutex<Model>,
    clock: Arc<dyn Clock>,
    began: Times,
    gatekeeper: Mutex<Gatekeeper>,
    project: Option<ProjectId>,
}

impl EmulatorState {
    /// Wall time as of the start, moved on by boot time: a stepped wall clock must not move the
    /// emulated cloud.
    fn now(&self) -> Timestamp {
        let elapsed = self.clock.times().boot.saturating_sub(self.began.boot);
        self.began.wall.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// What the emulated cloud's own clock shows.
    fn clock(&self) -> Timestamp {
        self.with_model(|model, now| {
            model.advance(now);
            model.clock()
        })
    }

    fn gatekeeper(&self) -> MutexGuard<'_, Gatekeeper> {
        self.gatekeeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_model<T>(&self, f: impl FnOnce(&mut Model, Timestamp) -> T) -> T {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that requests reach the model in the order of their times.
        let now = self.now();
        f(&mut model, now)
    }
}

impl Emulator {
    /// Starts serving on the current tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<RunningEmulator, EmulatorError> {
        let listen_error = |source| EmulatorError::Listen { addr: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(listen_error)?;
        let addr = listener.local_addr().map_err(listen_error)?;
        let began = clock.times();
        let mut model = Model::new(&options.fleet, options.faults, options.seed, began.wall);
        for interval in options.watch {
            model.watch(interval);
        }
        let port = if options.wire {
            Some(wire::OpenPort::open(began.wall).map_err(EmulatorError::Wire)?)
        } else {
            None
        };
        model.live_here(
            port.as_ref().map(wire::OpenPort::number).transpose().map_err(EmulatorError::Wire)?,
        );
        let gatekeeper = Mutex::new(Gatekeeper::new(options.token, options.accounts, options.seed));
        let shared = Arc::new(EmulatorState {
            model: Mutex::new(model),
            clock,
            began,
            gatekeeper,
            project: options.project_id,
        });
        let router = Router::new()
            .nest("/_emulator", control::router())
            .fallback(api)
            .with_state(shared.clone());
        let handle = axum_server::Handle::new();
        let mut server =
            axum_server::from_tcp(listener).map_err(listen_error)?.handle(handle.clone());
        server.http_builder().http1().header_read_timeout(HEAD_TIMEOUT);
        let task = tokio::spawn(server.serve(router.into_make_service()));
        let wire = port.map(|port| EmulatedPorts {
            ca: port.ca.clone(),
            task: tokio::spawn(port.serve(shared.clone())),
        });
        Ok(RunningEmulator { addr, shared, handle, task, wire })
    }
}

impl RunningEmulator {
    /// The base of its URLs, as a lane's `endpoint` is written.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The authority, in PEM, that signed the certificate of the proxies, if their port is open.
    pub fn ca(&self) -> Option<&str> {
        self.wire.as_ref().map(|wire| wire.ca.as_str())
    }

    /// Looks at the model, or changes it, as of now.
    pub fn with_model<T>(&self, f: impl FnOnce(&mut Model) -> T) -> T {
        self.shared.with_model(|model, now| {
            model.advance(now);
            f(model)
        })
    }

    /// Other accounts from now on; tokens of users that are not among them end.
    pub fn set_accounts(&self, accounts: Accounts) {
        self.shared.gatekeeper().replace(accounts);
    }

    /// What came of signatures and logins so far.
    pub fn admissions(&self) -> Admissions {
        self.shared.gatekeeper().seen().clone()
    }

    /// Stops at once; open connections are closed.
    ///
    /// # Errors
    /// Those of the listening socket, if it ended early.
    pub async fn stop(mut self) -> io::Result<()> {
        self.handle.shutdown();
        match (&mut self.task).await {
            Ok(ended) => ended,
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Waits until it ends, which by itself it does not: for the `emulate` verb.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub async fn wait(&mut self) -> io::Result<()> {
        match (&mut self.task).await {
            Ok(ended) => ended,
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl Drop for RunningEmulator {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(wire) = &self.wire {
            wire.task.abort();
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchBody {
    ssl_option: bool,
}

/// Every request of the emulated API, and IAM's login.
async fn api(State(shared): State<Arc<EmulatorState>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Without a body nothing is waited for.
    let body = if parts.method == Method::GET {
        Some(Bytes::new())
    } else {
        axum::body::to_bytes(body, BODY_MAX).await.ok()
    };
    if parts.method == Method::POST && parts.uri.path() == login::PATH {
        return login::answer(&shared, &parts, &body.unwrap_or_default());
    }
    let routed = match body {
        Some(body) => admit(&shared, &parts, &body),
        // It broke off, or is far too long: nobody was asked who they are.
        None => Err(NotAdmitted { refusal: RequestRefusal::BadBody, detail: String::new() }),
    };
    let mut response = shared.with_model(|model, now| match &routed {
        Ok(route) => model.handle(now, &route.request()),
        Err(refused) => model.handle(now, &model::Request::Refused(refused.refusal)),
    });
    if let Err(NotAdmitted { detail, .. }) = &routed
        && !detail.is_empty()
    {
        response.content.say(detail);
    }
    if parts.headers.get(LANGUAGE).is_some_and(|language| language == Language::ZhCn.tag()) {
        response.content.in_chinese();
    }
    if !response.delay.is_zero() {
        tokio::time::sleep(response.delay).await;
    }
    send(response)
}

/// Who asks is known, and what they ask for is understood.
fn admit(shared: &EmulatorState, parts: &Parts, body: &[u8]) -> Result<route::Route, NotAdmitted> {
    let now = shared.clock();
    shared.gatekeeper().admit(now, parts, body)?;
    let mut routed = route::route(&parts.method, &parts.uri, shared.project.as_ref());
    if let Ok(route::Route::Switch { ssl_option, .. }) = &mut routed {
        match serde_json::from_slice::<SwitchBody>(body) {
            Ok(body) => *ssl_option = body.ssl_option,
            Err(_) => routed = Err(RequestRefusal::BadBody),
        }
    }
    routed.map_err(|refusal| NotAdmitted { refusal, detail: String::new() })
}

const LANGUAGE: HeaderName = HeaderName::from_static("x-language");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn send(response: model::Response) -> Response {
    let model::Response { content, date, .. } = response;
    let Content::Answer { status, retry_after, request_id, html, body } = content else {
        return Response::new(Body::new(BrokenBody));
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(if html { "text/html" } else { "application/json" }),
    );
    headers.insert(SERVER, HeaderValue::from_static("api-gateway"));
    if let Some(date) =
        retry_after::to_http_date(date).and_then(|date| HeaderValue::from_str(&date).ok())
    {
        headers.insert(DATE, date);
    }
    if let Ok(id) = HeaderValue::from_bytes(&request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A body that breaks off before its first byte: hyper then closes the connection with the head
/// still unsent.
struct BrokenBody;

/// The connection shall be closed.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
struct Dropped;

impl http_body::Body for BrokenBody {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        Poll::Ready(Some(Err(Dropped)))
    }
}

#[cfg(test)]
pub(crate) mod tests;
