//! The real cloud over HTTP: one call, one request, one reply.
//!
//! Invariants: nothing here repeats, redirects or invents; every wait ends at the lane's call
//! timeout, an answer whose body stops coming earlier; a PUT is complete on the wire only if its
//! last check allowed it, and what was not allowed is surely not executed; whatever may have left
//! and was not answered clearly is `Unknown`. (A request of which no byte was given to a connection
//! that closed meanwhile is put on another; its last check has not been asked by then.)
//!
//! Deliberately not here: pacing and quota (`engine`), the meaning of an answer (`cloud::answer`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use http::header::{
    ACCEPT, AGE, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use jiff::Timestamp;
use reqwest::{Body, Client, ClientBuilder, Request, Response};
use rustls::ClientConfig;
use url::Url;

use super::answer::{self, ERROR_BODY_MAX, SUCCESS_BODY_MAX, WireAnswer};
use super::authenticator::{Authenticator, Identities, Pass};
use super::guarded_body::{GuardedBody, SendGate, SendVerdict};
use super::iam::Iam;
use super::lane_tls::{self, OwnTls, TlsError};
use super::safe_text::causes;
use super::{Cloud, LastCheck, safe_text, wire_format};
use crate::clock::Clock;
use crate::domain::call::{Call, Disposition, Reply};
use crate::domain::cloud_clock::CloudClock;
use crate::domain::id::{Name, ProjectId};
use crate::domain::lane::{Access, CLOCK_TOLERANCE, Lane};

/// Longest wait for a connection, TLS included; a call timeout below it counts instead.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the next part of an answer's body: an answer whose head has come is sent in one
/// go, so a line that is silent in the middle of it is dead. A call timeout below it counts
/// instead.
pub const BODY_IDLE: Duration = Duration::from_secs(10);

/// Idle connections kept for one host: twice the largest number of calls that is measured to make
/// sense.
const IDLE_PER_HOST: usize = 512;

/// How long an idle connection is kept. Short of what gateways keep (a minute and more), because a
/// PUT on a connection that the other side is just closing comes back in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Time of silence after which the other side is asked whether it still lives, and between two such
/// questions.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Such questions without an answer after which the connection is dead.
const KEEPALIVE_RETRIES: u32 = 3;

/// How long what was sent may stay without the other side's acknowledgement before the connection
/// is dead.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// Who we are, to the cloud and to proxies.
const WHO_WE_ARE: HeaderValue =
    HeaderValue::from_static(concat!("sealift/", env!("CARGO_PKG_VERSION")));

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How far the cloud bears the date of a signature to be from its clock. Source: the vendor's page
/// on signing.
const SIGNATURE_BEARS: Duration = Duration::from_secs(15 * 60);

const LANGUAGE_HEADER: HeaderName = HeaderName::from_static("x-language");
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An endpoint cannot be the start of a URL.
    #[error("lane {lane}: the endpoint {endpoint:?} is no `https://host` or `http://host`: {what}")]
    Endpoint {
        lane: Name,
        endpoint: String,
        /// What is wrong with it.
        what: String,
    },
    /// A lane's own TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An endpoint is to be spoken to by TLS, and this machine trusts nobody.
    #[error(transparent)]
    Trust(#[from] lane_tls::NoAuthorities),
    /// The client cannot be made.
    #[error("cannot set up HTTP: {}", causes(.0))]
    Client(#[source] reqwest::Error),
}

/// The real cloud, by all configured lanes.
pub struct HttpCloud {
    lanes: BTreeMap<Name, HttpLane>,
}

/// The waits that are the same for all lanes.
#[derive(Debug, Clone, Copy)]
struct Patience {
    connect: Duration,
    body_idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, body_idle: BODY_IDLE }
    }
}

struct HttpLane {
    client: Client,
    /// Read once; the URL of a call is a copy with a path.
    endpoint: Url,
    host: String,
    project: ProjectId,
    authenticator: Authenticator,
    language: HeaderValue,
    clock: Arc<dyn Clock>,
    /// The clock of its endpoint, as its answers tell it, shared by all lanes there.
    cloud_clock: Arc<Mutex<CloudClock>>,
    call_timeout: Duration,
    body_idle: Duration,
}

impl HttpCloud {
    /// Prepares the lanes: reads the files of those with a TLS of their own, and sends nothing yet.
    /// `clock` dates signatures, ends tokens, and tells which certificates have ended.
    ///
    /// # Errors
    /// When an endpoint is no URL, a lane's own TLS cannot be set up, or this machine trusts
    /// nobody.
    pub fn new(lanes: &[Lane], clock: &Arc<dyn Clock>) -> Result<Self, Error> {
        Self::waiting(lanes, clock, Patience::default())
    }

    fn waiting(lanes: &[Lane], clock: &Arc<dyn Clock>, patience: Patience) -> Result<Self, Error> {
        let mut shared = Clients::new(None, patience);
        let identities = Identities::default();
        let mut made = BTreeMap::new();
        let mut cloud_clocks: BTreeMap<String, Arc<Mutex<CloudClock>>> = BTreeMap::new();
        for lane in lanes {
            let Access { endpoint, project_id, .. } = &lane.access;
            let mut own = OwnTls::read(lane, clock.times().wall)?
                .map(|own| Clients::new(Some(own), patience));
            let clients = own.as_mut().unwrap_or(&mut shared);
            let (Base { url, host, .. }, client) = clients.to(lane, endpoint)?;
            let authenticator =
                Authenticator::new(&lane.access, clock.clone(), &identities, |endpoint| {
                    let (base, client) = clients.to(lane, endpoint)?;
                    Ok::<_, Error>(Iam::new(client, base.url, base.host))
                })?;
            let lane_made = HttpLane {
                client,
                cloud_clock: cloud_clocks.entry(url.as_str().to_owned()).or_default().clone(),
                clock: clock.clone(),
                endpoint: url,
                host,
                project: project_id.clone(),
                authenticator,
                language: HeaderValue::from_static(lane.access.language.tag()),
                call_timeout: lane.call_timeout,
                body_idle: patience.body_idle,
            };
            made.insert(lane.name.clone(), lane_made);
        }
        Ok(Self { lanes: made })
    }
}

/// The clients, apart for what is on this machine and what is not, by TLS or without: shared by all
/// lanes but those with a TLS of their own.
struct Clients {
    own: Option<OwnTls>,
    patience: Patience,
    /// By whether the endpoint is on this machine, and whether TLS is spoken.
    made: BTreeMap<(bool, bool), Client>,
}

impl Clients {
    fn new(own: Option<OwnTls>, patience: Patience) -> Self {
        for warning in own.iter().flat_map(|own| &own.warnings) {
            tracing::warn!("{warning}");
        }
        Self { own, patience, made: BTreeMap::new() }
    }

    /// An endpoint and the client that speaks to it.
    fn to(&mut self, lane: &Lane, endpoint: &str) -> Result<(Base, Client), Error> {
        let base = base(lane, endpoint)?;
        let kind = (base.loopback, base.encrypted);
        if let Some(client) = self.made.get(&kind) {
            return Ok((base, client.clone()));
        }
        let tls = match lane_tls::config(self.own.as_ref()) {
            Err(_) if !base.encrypted => lane_tls::trusting_nobody(),
            made => made?,
        };
        let builder = builder(tls, self.patience.connect);
        // A proxy of the environment is for the way out of the machine, not for an emulator on it.
        let builder = if base.loopback { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(Error::Client)?;
        self.made.insert(kind, client.clone());
        Ok((base, client))
    }
}

/// A client by which nothing happens by itself, and whose connections stand within `connect`, TLS
/// and a proxy's answer included. A proxy that is itself spoken to by TLS is taken by the same
/// authorities as the endpoint.
fn builder(tls: ClientConfig, connect: Duration) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .tcp_keepalive_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .default_headers(HeaderMap::from_iter([(ACCEPT, JSON)]))
        .user_agent(WHO_WE_ARE)
}

/// An endpoint that was read.
struct Base {
    /// What the URL of every call begins with: no slash at its end but for an empty path.
    url: Url,
    host: String,
    loopback: bool,
    encrypted: bool,
}

fn base(lane: &Lane, endpoint: &str) -> Result<Base, Error> {
    let bad = |what: String| Error::Endpoint {
        lane: lane.name.clone(),
        endpoint: endpoint.to_owned(),
        what,
    };
    let mut url = Url::parse(endpoint).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("the scheme is {}", url.scheme())));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(bad("it may hold no user, password, query or fragment".into()));
    }
    let host = url.host_str().ok_or_else(|| bad("it has no host".into()))?.to_owned();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    // Two libraries read URLs here; what one of them refuses is a mistake now and not at every
    // call.
    url.as_str().parse::<Uri>().map_err(|error| bad(error.to_string()))?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(Base { host, loopback, encrypted: url.scheme() == "https", url })
}

impl Cloud for HttpCloud {
    fn perform(&self, call: Call, check: LastCheck) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let name = call.lane();
            let Some(lane) = self.lanes.get(name) else {
                return answer::not_sent(
                    Disposition::Fatal,
                    &format!("the configuration has no lane {name}"),
                );
            };
            lane.perform(&call, check).await
        })
    }
}

/// How an exchange ended without an answer to read.
enum ExchangeFailure {
    /// The last check of a read refused.
    Withheld,
    /// No connection came about.
    Connection(String),
    /// The request ended in an error.
    Request(String),
    /// The answer's body broke off; why.
    Body { status: u16, request_id: Option<String>, why: String },
}

impl HttpLane {
    async fn perform(&self, call: &Call, check: LastCheck) -> Reply {
        let gate = SendGate::new(check);
        let admitted = AtomicBool::new(false);
        let whole = async {
            match self.authenticator.admit().await {
                Ok(pass) => {
                    admitted.store(true, Ordering::Relaxed);
                    let reply = match self.exchange(call, &gate, &pass).await {
                        Ok(reply) => reply,
                        Err(broken) => self.without_answer(call, &gate.close(), &broken, &pass),
                    };
                    pass.judge(reply)
                }
                Err(denied) => {
                    let mut reply = answer::not_sent(Disposition::Unauthorised, &denied.message);
                    if let Err(error) = &mut reply.outcome {
                        error.retry_after = denied.retry_after;
                        if let Some(remedy) = denied.remedy {
                            error.message = format!("{}; {remedy}", error.message);
                        }
                    }
                    reply
                }
            }
        };
        match tokio::time::timeout(self.call_timeout, whole).await {
            Ok(reply) => reply,
            Err(_elapsed) if !admitted.load(Ordering::Relaxed) => {
                let what = format!(
                    "{} ms have passed over a login, or over the first answer to a new access key",
                    self.call_timeout.as_millis()
                );
                answer::not_sent(Disposition::Unauthorised, &what)
            }
            Err(_elapsed) => {
                let what = format!(
                    "no answer from {} within {} ms",
                    self.host,
                    self.call_timeout.as_millis()
                );
                match gate.close() {
                    SendVerdict::Allowed => answer::lost(&what),
                    SendVerdict::NotAsked => answer::not_sent(
                        Disposition::NotDone,
                        &format!("{what}, and nothing had left"),
                    ),
                    SendVerdict::Refused(withheld) => {
                        answer::not_sent(Disposition::Withheld, &withheld.to_string())
                    }
                }
            }
        }
    }

    async fn exchange(
        &self,
        call: &Call,
        gate: &Arc<SendGate>,
        pass: &Pass,
    ) -> Result<Reply, ExchangeFailure> {
        let mut request = Request::new(
            wire_format::method(call),
            wire_format::url(&self.endpoint, &self.project, call),
        );
        let mut content: &'static [u8] = b"";
        if let Call::Submit { ssl_option, .. } = call {
            content = wire_format::body(*ssl_option);
            *request.body_mut() = Some(Body::wrap(GuardedBody::new(gate.clone(), content)));
        }
        // Said here and not by the client, so that it is signed, and not said to IAM, which does
        // not know it.
        request.headers_mut().insert(LANGUAGE_HEADER, self.language.clone());
        request.headers_mut().insert(CONTENT_TYPE, wire_format::content_type(call));
        let (sent, signed) = self.signing_time();
        pass.put_on(&mut request, content, signed);
        if !call.is_write() {
            // A read cannot be held back half-sent: it is decided before it leaves.
            gate.ask().map_err(|_| ExchangeFailure::Withheld)?;
        }
        let response = self.client.execute(request).await.map_err(|error| {
            let why = causes(&error);
            if error.is_connect() {
                ExchangeFailure::Connection(why)
            } else {
                ExchangeFailure::Request(why)
            }
        })?;
        let (mut reply, date) = read_answer(call, response, pass, self.body_idle).await?;
        if pass.is_dated() {
            self.look_at_date(&mut reply, date, signed);
        }
        if let Some(date) = reply.cloud_time {
            self.cloud_clock().hear(date, sent, self.clock.times().boot);
        }
        Ok(reply)
    }

    fn cloud_clock(&self) -> MutexGuard<'_, CloudClock> {
        self.cloud_clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Boot time, and the date of a signature made now: by our clock while it is near the cloud's,
    /// else by the cloud's.
    fn signing_time(&self) -> (Duration, Timestamp) {
        let now = self.clock.times();
        let cloud = self.cloud_clock().latest(now.boot);
        let far = cloud.filter(|cloud| cloud.ahead_of(now.wall).may_exceed(CLOCK_TOLERANCE));
        (now.boot, far.map_or(now.wall, |cloud| cloud.middle()))
    }

    /// A 401 to a signature whose date the cloud does not bear is no refusal of the key. It tells
    /// the cloud's time all the same, so the next signature bears the right date, and a refusal of
    /// that one is one.
    fn look_at_date(&self, reply: &mut Reply, date: Option<Timestamp>, signed: Timestamp) {
        let (Err(error), Some(date)) = (&mut reply.outcome, date) else { return };
        let apart = signed.duration_until(date);
        if error.status == Some(401) && apart.unsigned_abs() > SIGNATURE_BEARS {
            let (seconds, side) = (
                apart.unsigned_abs().as_secs(),
                if apart.is_positive() { "ahead of" } else { "behind" },
            );
            error.disposition = Disposition::Misdated;
            error.message = format!(
                "the cloud's clock is {seconds} s {side} the date of the signature: it is signed anew by the cloud's time"
            );
            reply.cloud_time = Some(date);
        }
    }

    fn without_answer(
        &self,
        call: &Call,
        verdict: &SendVerdict,
        broken: &ExchangeFailure,
        pass: &Pass,
    ) -> Reply {
        if let SendVerdict::Refused(withheld) = verdict {
            return answer::not_sent(Disposition::Withheld, &withheld.to_string());
        }
        match broken {
            ExchangeFailure::Withheld => {
                answer::not_sent(Disposition::Withheld, "the last check refused")
            }
            ExchangeFailure::Connection(why) | ExchangeFailure::Request(why) => {
                let what =
                    safe_text::message(&format!("{}: {why}", self.host), Some(pass.secret()));
                // For a write the check's verdict is the proof; for a read, that no connection came
                // about.
                let nothing_left = *verdict == SendVerdict::NotAsked
                    || (!call.is_write() && matches!(broken, ExchangeFailure::Connection(_)));
                if nothing_left {
                    answer::not_sent(Disposition::NotDone, &what)
                } else {
                    answer::lost(&what)
                }
            }
            ExchangeFailure::Body { status, request_id, why } => {
                let what = format!("answer {status} of {} broke off: {why}", self.host);
                let mut reply = answer::lost(&safe_text::message(&what, Some(pass.secret())));
                reply.request_id.clone_from(request_id);
                if let Err(error) = &mut reply.outcome {
                    error.status = Some(*status);
                }
                reply
            }
        }
    }
}

/// The reply that an answer amounts to, and the clock of whoever answered.
async fn read_answer(
    call: &Call,
    mut response: Response,
    pass: &Pass,
    idle: Duration,
) -> Result<(Reply, Option<Timestamp>), ExchangeFailure> {
    let status = response.status().as_u16();
    let limit = if response.status().is_success() { SUCCESS_BODY_MAX } else { ERROR_BODY_MAX };
    let headers = response.headers();
    let header = |name: HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (request_id, retry_after, date) =
        (header(REQUEST_ID_HEADER), header(RETRY_AFTER), header(DATE));
    let aged = headers.contains_key(AGE);
    let mut body = Vec::new();
    let mut cut = false;
    loop {
        let broken = |why: String| {
            let request_id = request_id.as_deref().and_then(safe_text::request_id);
            ExchangeFailure::Body { status, request_id, why }
        };
        let next = tokio::time::timeout(idle, response.chunk()).await;
        let next = next.map_err(|_| {
            broken(format!("nothing more of it came within {} ms", idle.as_millis()))
        })?;
        let Some(chunk) = next.map_err(|error| broken(causes(&error)))? else { break };
        if body.len() + chunk.len() > limit {
            body.extend_from_slice(&chunk[..limit - body.len()]);
            cut = true;
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let wire = WireAnswer {
        status,
        request_id: request_id.as_deref(),
        retry_after: retry_after.as_deref(),
        date: date.as_deref(),
        aged,
        body: &body,
        cut,
        secret: Some(pass.secret()),
    };
    Ok((answer::read(call, &wire), wire.time()))
}

#[cfg(test)]
pub(crate) mod tests;
