//! The real cloud over HTTP: one call, one request, one reply.
//!
//! Invariants: nothing here repeats, redirects or invents; every wait ends at the lane's call timeout, an answer whose body stops coming
//! earlier; a PUT is
//! complete on the wire only if its last check allowed it, and what was not allowed is surely not executed; whatever
//! may have left and was not answered clearly is `Unknown`.
//!
//! Deliberately not here: pacing and quota (`engine`), the meaning of an answer (`cloud::answer`).

use std::collections::BTreeMap;
use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use super::answer::{self, ERROR_BODY_MAX, SUCCESS_BODY_MAX, WireAnswer};
use super::authenticator::{Authenticator, Pass};
use super::guarded_body::{Gate, GuardedBody, Verdict};
use super::iam::Iam;
use super::lane_tls::{OwnTls, TlsError};
use super::{Cloud, LastCheck, safe_text, wire_format};
use crate::clock::Clock;
use crate::domain::call::{Call, Disposition, Reply};
use crate::domain::id::{Name, ProjectId};
use crate::domain::lane::{Access, Lane};

/// Longest wait for a connection, TLS included; a call timeout below it counts instead.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the next part of an answer's body: an answer whose head has come is sent in one go, so a line that is silent in the
/// middle of it is dead. A call timeout below it counts instead.
pub const BODY_IDLE: Duration = Duration::from_secs(10);

/// Idle connections kept for one host: twice the largest number of calls that is measured to make sense.
const IDLE_PER_HOST: usize = 512;

/// How long an idle connection is kept. Short of what gateways keep (a minute and more), because a PUT on a connection
/// that the other side is just closing comes back in doubt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

const LANGUAGE_HEADER: HeaderName = HeaderName::from_static("x-language");
const LANGUAGE: HeaderValue = HeaderValue::from_static("en-us");
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An endpoint cannot be the start of a URL.
    #[error("lane {lane}: the endpoint {endpoint:?} is no `https://host` or `http://host`: {what}")]
    Endpoint {
        /// The lane.
        lane: Name,
        /// As configured.
        endpoint: String,
        /// What is wrong with it.
        what: String,
    },
    /// A lane's own TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client cannot be made, most often because no trusted certificates were found.
    #[error("cannot set up HTTP: {0}")]
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
    /// Read once: to read a whole URL for every call costs more than the rest of the request.
    endpoint: Url,
    host: String,
    project: ProjectId,
    authenticator: Authenticator,
    call_timeout: Duration,
    body_idle: Duration,
}

impl HttpCloud {
    /// Prepares the lanes: reads the files of those with a TLS of their own, and sends nothing yet. `clock` dates signatures, ends tokens,
    /// and tells which certificates have ended.
    ///
    /// # Errors
    /// When an endpoint is no URL, a lane's own TLS cannot be set up, or no client can be made.
    pub fn new(lanes: &[Lane], clock: &Arc<dyn Clock>) -> Result<Self, Error> {
        Self::waiting(lanes, clock, Patience::default())
    }

    fn waiting(lanes: &[Lane], clock: &Arc<dyn Clock>, patience: Patience) -> Result<Self, Error> {
        let mut shared = Clients::new(None, patience);
        let mut made = BTreeMap::new();
        for lane in lanes {
            let Access { endpoint, project_id, credentials, .. } = &lane.access;
            let mut own = OwnTls::read(lane, clock.times().wall)?.map(|own| Clients::new(Some(own), patience));
            let clients = own.as_mut().unwrap_or(&mut shared);
            let (base, client) = clients.to(lane, endpoint)?;
            let host = host_of(&base);
            let authenticator = Authenticator::new(credentials, project_id, clock.clone(), |endpoint| {
                let (base, client) = clients.to(lane, endpoint)?;
                let host = host_of(&base);
                Ok::<_, Error>(Iam::new(client, endpoint, host, project_id.clone()))
            })?;
            let lane_made = HttpLane {
                client,
                endpoint: base,
                host,
                project: project_id.clone(),
                authenticator,
                call_timeout: lane.call_timeout,
                body_idle: patience.body_idle,
            };
            made.insert(lane.name.clone(), lane_made);
        }
        Ok(Self { lanes: made })
    }
}

/// The clients, one for what is on this machine, one for all else: shared by all lanes but those with a TLS of their own.
struct Clients {
    own: Option<OwnTls>,
    patience: Patience,
    direct: Option<Client>,
    usual: Option<Client>,
}

impl Clients {
    fn new(own: Option<OwnTls>, patience: Patience) -> Self {
        for warning in own.iter().flat_map(|own| &own.warnings) {
            tracing::warn!("{warning}");
        }
        Self { own, patience, direct: None, usual: None }
    }

    /// An endpoint, which has a host, and the client that speaks to it.
    fn to(&mut self, lane: &Lane, endpoint: &str) -> Result<(Url, Client), Error> {
        let (base, loopback) = base(lane, endpoint)?;
        // A proxy of the environment is for the way out of the machine, not for an emulator on it.
        let slot = if loopback { &mut self.direct } else { &mut self.usual };
        let client = match slot {
            Some(client) => Client::clone(client),
            None => slot.insert(client(loopback, self.own.as_ref(), self.patience)?).clone(),
        };
        Ok((base, client))
    }
}

/// The host of an endpoint that [`base`] has read.
fn host_of(base: &Url) -> String {
    base.host_str().unwrap_or_default().to_owned()
}

fn base(lane: &Lane, endpoint: &str) -> Result<(Url, bool), Error> {
    let bad = |what: String| Error::Endpoint { lane: lane.name.clone(), endpoint: endpoint.to_owned(), what };
    let url = Url::parse(endpoint).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("the scheme is {}", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it may hold no user, password, query or fragment".into()));
    }
    let host = url.host_str().ok_or_else(|| bad("it has no host".into()))?;
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    Ok((url, loopback))
}

fn client(loopback: bool, own: Option<&OwnTls>, patience: Patience) -> Result<Client, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let builder = Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(patience.connect)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_only()
        .default_headers(headers)
        .user_agent(concat!("sealift/", env!("CARGO_PKG_VERSION")));
    let builder = if loopback { builder.no_proxy() } else { builder };
    let builder = match own {
        Some(own) => own.put_on(builder),
        None => builder,
    };
    builder.build().map_err(Error::Client)
}

impl Cloud for HttpCloud {
    fn perform(&self, call: Call, check: LastCheck) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let name = call.lane();
            let Some(lane) = self.lanes.get(name) else {
                return answer::not_sent(Disposition::Fatal, &format!("the configuration has no lane {name}"));
            };
            lane.perform(&call, check).await
        })
    }
}

/// How an exchange ended without an answer to read.
enum Broken {
    /// The last check of a read refused.
    Withheld,
    /// The request ended in an error.
    Request(reqwest::Error),
    /// The answer's body broke off; why.
    Body { status: u16, request_id: Option<String>, why: String },
}

impl HttpLane {
    async fn perform(&self, call: &Call, check: LastCheck) -> Reply {
        let gate = Gate::new(check);
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
                    }
                    reply
                }
            }
        };
        match tokio::time::timeout(self.call_timeout, whole).await {
            Ok(reply) => reply,
            Err(_elapsed) if !admitted.load(Ordering::Relaxed) => {
                let what =
                    format!("{} ms have passed over a login, or over the first answer to a new access key", self.call_timeout.as_millis());
                answer::not_sent(Disposition::Unauthorised, &what)
            }
            Err(_elapsed) => {
                let what = format!("no answer from {} within {} ms", self.host, self.call_timeout.as_millis());
                match gate.close() {
                    Verdict::Allowed => answer::lost(&what),
                    Verdict::NotAsked => answer::not_sent(Disposition::NotDone, &format!("{what}, and nothing had left")),
                    Verdict::Refused(withheld) => answer::not_sent(Disposition::Withheld, &withheld.to_string()),
                }
            }
        }
    }

    async fn exchange(&self, call: &Call, gate: &Arc<Gate>, pass: &Pass) -> Result<Reply, Broken> {
        let url = wire_format::url(&self.endpoint, &self.project, call);
        // Said here and not by the client, so that it is signed, and not said to IAM, which does not know it.
        let mut request = self.client.request(wire_format::method(call), url).header(LANGUAGE_HEADER, LANGUAGE);
        let mut content: &'static [u8] = b"";
        if let Call::Submit { ssl_option, .. } = call {
            content = wire_format::body(*ssl_option);
            let body = GuardedBody::new(gate.clone(), content);
            request = request.header(CONTENT_TYPE, wire_format::CONTENT_TYPE).body(reqwest::Body::wrap(body));
        }
        let mut request = request.build().map_err(Broken::Request)?;
        pass.put_on(&mut request, content);
        if !call.is_write() {
            // A read cannot be held back half-sent: it is decided before it leaves.
            gate.ask().map_err(|_| Broken::Withheld)?;
        }
        let response = self.client.execute(request).await.map_err(Broken::Request)?;
        read_answer(call, response, pass, self.body_idle).await
    }

    fn without_answer(&self, call: &Call, verdict: &Verdict, broken: &Broken, pass: &Pass) -> Reply {
        if let Verdict::Refused(withheld) = verdict {
            return answer::not_sent(Disposition::Withheld, &withheld.to_string());
        }
        match broken {
            Broken::Withheld => answer::not_sent(Disposition::Withheld, "the last check refused"),
            Broken::Request(error) => {
                let what = safe_text::message(&format!("{}: {}", self.host, causes(error)), Some(pass.secret()));
                // For a write the check's verdict is the proof; for a read, that no connection came about.
                let nothing_left = *verdict == Verdict::NotAsked || (!call.is_write() && error.is_connect());
                if nothing_left { answer::not_sent(Disposition::NotDone, &what) } else { answer::lost(&what) }
            }
            Broken::Body { status, request_id, why } => {
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

async fn read_answer(call: &Call, mut response: Response, pass: &Pass, idle: Duration) -> Result<Reply, Broken> {
    let status = response.status().as_u16();
    let limit = if response.status().is_success() { SUCCESS_BODY_MAX } else { ERROR_BODY_MAX };
    let headers = response.headers();
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (request_id, retry_after, date) = (header(REQUEST_ID_HEADER), header(RETRY_AFTER), header(DATE));
    let mut body = Vec::new();
    let mut cut = false;
    loop {
        let broken = |why: String| {
            let request_id = request_id.as_deref().and_then(safe_text::request_id);
            Broken::Body { status, request_id, why }
        };
        let next = tokio::time::timeout(idle, response.chunk()).await;
        match next.map_err(|_| broken(format!("nothing more of it came within {} ms", idle.as_millis())))? {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                body.extend_from_slice(&chunk[..limit - body.len()]);
                cut = true;
                break;
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Err(broken(causes(&error))),
        }
    }
    let wire = WireAnswer {
        status,
        request_id: request_id.as_deref(),
        retry_after: retry_after.as_deref(),
        date: date.as_deref(),
        body: &body,
        cut,
        secret: Some(pass.secret()),
    };
    Ok(answer::read(call, &wire))
}

/// The chain of causes in one line: what reqwest prints by itself is the URL and "error sending request".
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Each layer repeats the one below it.
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        next = cause.source();
    }
    if parts.is_empty() { "the request could not be made".to_owned() } else { parts.join(": ") }
}

#[cfg(test)]
pub(crate) mod tests;
