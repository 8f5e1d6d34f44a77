//! One message, one request, one answer.
//!
//! Invariants: by TLS, unless the receiver is on this machine; no redirect is followed and nothing
//! is repeated; an address that is link-local (where clouds give out credentials) is not spoken to,
//! whatever name led there; it takes [`TIMEOUT`] at most and reads at most [`READ_MAX`] bytes. A
//! URL is a secret: whatever is said of a request passes [`ReceiverUrl::scrub`].
//!
//! Deliberately not here: what is sent, and when it is sent again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, StatusCode, Url};
use rustls::ClientConfig;
use serde_json::Value;
use url::Host;

use super::pace::RETRY_AFTER_MAX;
use crate::cloud::{client_tls, retry_after, safe_text, trusting_nobody};

/// An answer takes at most so long, its body included.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer's body that are read; its status says enough.
pub const READ_MAX: usize = 64 << 10;

/// How long a connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(20);

const WHO_WE_ARE: HeaderValue =
    HeaderValue::from_static(concat!("sealift/", env!("CARGO_PKG_VERSION")));

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("notifications cannot be set up: {0}")]
pub struct PosterError(String);

/// Sends messages.
pub struct Poster {
    /// To elsewhere, by TLS; or why not.
    remote: Result<Client, String>,
    /// To this machine.
    local: Client,
    timeout: Duration,
}

/// Where messages go.
pub struct ReceiverUrl {
    url: Url,
    /// By plain HTTP, so to this machine.
    local: bool,
    /// What of the URL is never shown, the longest first.
    secret: Vec<String>,
}

impl std::fmt::Debug for ReceiverUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReceiverUrl(***)")
    }
}

/// Shortest part of a URL that is blanked out: shorter ones are words such as `hook`.
const SECRET_MIN: usize = 6;

impl ReceiverUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, without showing it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "it is no URL")?;
        let Some(host) = url.host() else { return Err("it has no host") };
        let address = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        if address.is_some_and(is_link_local) {
            return Err(LINK_LOCAL);
        }
        let loopback = url.host_str() == Some("localhost")
            || address.is_some_and(|address| address.is_loopback());
        let local = match url.scheme() {
            "https" => false,
            "http" if loopback => true,
            "http" => {
                return Err(
                    "it begins with `http://`, which is taken for this machine alone: write `https://`",
                );
            }
            _ => return Err("it does not begin with `https://`"),
        };
        Ok(Self { secret: secret_parts(&url), url, local })
    }

    /// A text of one line without anything of the URL.
    pub fn scrub(&self, text: &str) -> String {
        let blanked = self
            .secret
            .iter()
            .fold(text.to_owned(), |text, part| text.replace(part.as_str(), "***"));
        safe_text::message(&blanked, None)
    }
}

fn secret_parts(url: &Url) -> Vec<String> {
    let mut parts = vec![url.as_str().to_owned(), url.path().to_owned(), url.username().to_owned()];
    parts.extend(url.host_str().filter(|host| *host != "localhost").map(str::to_owned));
    parts.extend(
        [url.password(), url.query(), url.fragment()].into_iter().flatten().map(str::to_owned),
    );
    parts.extend(url.path_segments().into_iter().flatten().map(str::to_owned));
    parts.extend(
        url.query_pairs().flat_map(|(name, value)| [name.into_owned(), value.into_owned()]),
    );
    let decoded = |part: &String| {
        url::form_urlencoded::parse(part.as_bytes()).next().map(|(name, _)| name.into_owned())
    };
    parts.extend(parts.iter().filter_map(decoded).collect::<Vec<_>>());
    parts.retain(|part| part.trim_matches('/').len() >= SECRET_MIN);
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts.dedup();
    parts
}

const LINK_LOCAL: &str = "it leads to a link-local address, which is not spoken to";

/// Also in the clothes of IPv6.
fn is_link_local(address: IpAddr) -> bool {
    let v4 = |address: Ipv4Addr| {
        address.is_link_local() || address.is_multicast() || address.is_broadcast()
    };
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => {
            let last = Ipv4Addr::from(u32::try_from(address.to_bits() & 0xffff_ffff).unwrap_or(0));
            let translated = address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            let carried = address.to_ipv4_mapped().or_else(|| translated.then_some(last));
            address.is_unicast_link_local()
                || address.is_multicast()
                || is_metadata(address)
                || carried.is_some_and(v4)
        }
    }
}

/// Where one cloud gives out credentials over IPv6.
fn is_metadata(address: Ipv6Addr) -> bool {
    address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverAnswer {
    Taken {
        status: u16,
        excerpt: String,
    },
    /// Gone for good (410).
    Gone {
        excerpt: String,
    },
    Refused {
        text: String,
        retry_after: Option<u32>,
        excerpt: String,
    },
    /// No answer came, or nothing was sent.
    Silent {
        text: String,
    },
}

impl ReceiverAnswer {
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }

    /// For people, without the URL.
    pub fn text(&self) -> String {
        match self {
            Self::Taken { status, .. } => format!("answered {status}"),
            Self::Gone { .. } => "answered 410: it is gone, and told nothing more".to_owned(),
            Self::Refused { text, .. } | Self::Silent { text } => text.clone(),
        }
    }

    /// The beginning of what was answered, for those who may operate.
    pub fn excerpt(&self) -> &str {
        match self {
            Self::Taken { excerpt, .. }
            | Self::Gone { excerpt }
            | Self::Refused { excerpt, .. } => excerpt,
            Self::Silent { .. } => "",
        }
    }

    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Taken { .. } | Self::Gone { .. } | Self::Silent { .. } => None,
        }
    }
}

/// What sends a message; the tests of a worker bring one without a network.
pub trait Posts: Send + Sync {
    /// Sends it once.
    fn post<'a>(
        &'a self,
        url: &'a ReceiverUrl,
        message: SignedMessage,
    ) -> BoxFuture<'a, ReceiverAnswer>;
}

impl Posts for Poster {
    fn post<'a>(
        &'a self,
        url: &'a ReceiverUrl,
        message: SignedMessage,
    ) -> BoxFuture<'a, ReceiverAnswer> {
        Box::pin(self.send(url, message))
    }
}

/// What is sent.
pub struct SignedMessage {
    pub id: String,
    /// The instant of the try, in seconds.
    pub timestamp: i64,
    /// Signatures with spaces between; empty where there is no key.
    pub signature: String,
    pub body: Vec<u8>,
    /// Its receiver answers 200 whatever comes of it, and says in the body what did.
    pub body_tells: bool,
}

impl Poster {
    /// A sender that trusts what this machine trusts.
    ///
    /// # Errors
    /// When no client can be made at all. That this machine trusts nobody is an error of each
    /// message.
    pub fn new() -> Result<Self, PosterError> {
        let trusts = client_tls(None).map_err(|_| {
            "this machine trusts no authority of certificates; install your system's \
             `ca-certificates`, or set SSL_CERT_FILE"
                .to_owned()
        });
        Self::with(trusts, TIMEOUT, asks_the_system)
    }

    fn with(
        tls: Result<ClientConfig, String>,
        timeout: Duration,
        lookup: Lookup,
    ) -> Result<Self, PosterError> {
        let wrong = |error: reqwest::Error| PosterError(safe_text::causes(&error));
        let remote = tls
            .map(|tls| client(tls, Resolver { local: false, lookup }))
            .and_then(|made| made.map_err(|error| safe_text::causes(&error)));
        let local = Resolver { local: true, lookup };
        let local = client(trusting_nobody(), local).map_err(wrong)?;
        Ok(Self { remote, local, timeout })
    }

    async fn send(&self, target: &ReceiverUrl, message: SignedMessage) -> ReceiverAnswer {
        let client = match (&self.remote, target.local) {
            (_, true) => &self.local,
            (Ok(client), false) => client,
            (Err(why), false) => return ReceiverAnswer::Silent { text: why.clone() },
        };
        let body_tells = message.body_tells;
        let request = client.post(target.url.clone()).headers(headers(&message)).body(message.body);
        let (mut head, mut body) = (None, Vec::new());
        // A status that has come counts: what is said beside it may take its time, be torn, or be
        // too long.
        let exchange = async {
            let response = request.send().await?;
            head = Some((response.status(), response.headers().clone()));
            read(response, &mut body).await;
            Ok::<_, reqwest::Error>(())
        };
        let ended = tokio::time::timeout(self.timeout, exchange).await;
        match (head, ended) {
            (Some((status, headers)), _) => judge(target, status, &headers, &body, body_tells),
            (None, Ok(Err(error))) => ReceiverAnswer::Silent { text: target.scrub(&unsent(error)) },
            (None, Ok(Ok(())) | Err(_)) => {
                let text = format!("no answer within {} s", self.timeout.as_secs_f32());
                ReceiverAnswer::Silent { text }
            }
        }
    }
}

fn client(tls: ClientConfig, resolver: Resolver) -> Result<Client, reqwest::Error> {
    let local = resolver.local;
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(IDLE)
        .user_agent(WHO_WE_ARE)
        .dns_resolver(Arc::new(resolver));
    let builder = if local { builder.no_proxy() } else { builder };
    builder.build()
}

fn headers(message: &SignedMessage) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let text =
        |text: &str| HeaderValue::from_str(text).expect("ids, numbers and base64 fit a header");
    headers.insert("webhook-id", text(&message.id));
    headers.insert("webhook-timestamp", text(&message.timestamp.to_string()));
    if !message.signature.is_empty() {
        headers.insert("webhook-signature", text(&message.signature));
    }
    headers
}

async fn read(mut response: Response, body: &mut Vec<u8>) {
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = READ_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == READ_MAX {
            return;
        }
    }
}

fn judge(
    target: &ReceiverUrl,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    body_tells: bool,
) -> ReceiverAnswer {
    let excerpt = target.scrub(&String::from_utf8_lossy(body));
    let refused = |text: String| {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let retry_after = header(RETRY_AFTER)
            .and_then(|value| retry_after::read_up_to(value, header(DATE), RETRY_AFTER_MAX));
        ReceiverAnswer::Refused { text, retry_after, excerpt: excerpt.clone() }
    };
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    match status {
        StatusCode::GONE => ReceiverAnswer::Gone { excerpt },
        _ if status.is_success() => match code(body).filter(|_| body_tells) {
            Some(code) => {
                refused(format!("answered {}, and code {code} in its body", status.as_u16()))
            }
            None => ReceiverAnswer::Taken { status: status.as_u16(), excerpt },
        },
        _ if status.is_redirection() => refused(format!(
            "answered {}{reason}: redirects are not followed; correct the URL",
            status.as_u16()
        )),
        _ => refused(format!("answered {}{reason}", status.as_u16())),
    }
}

/// The code of a refusal in a body, as Feishu (`code`), DingTalk and WeCom (`errcode`) have it.
fn code(body: &[u8]) -> Option<i64> {
    let value: Value = serde_json::from_slice(body).ok()?;
    ["errcode", "code"].iter().find_map(|key| value.get(key)?.as_i64()).filter(|code| *code != 0)
}

fn unsent(error: reqwest::Error) -> String {
    safe_text::causes(&error.without_url())
}

/// Finds addresses, and refuses those that are not spoken to.
struct Resolver {
    local: bool,
    lookup: Lookup,
}

/// Finds the addresses of a name.
type Lookup = fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

fn asks_the_system(name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
}

/// Why a name is not spoken to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotSpokenTo(&'static str);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { local, lookup } = *self;
        Box::pin(async move {
            let found = lookup(name.as_str().to_owned()).await?;
            allowed(&found, local)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn allowed(found: &[SocketAddr], local: bool) -> Result<(), NotSpokenTo> {
    if found.iter().any(|found| is_link_local(found.ip())) {
        return Err(NotSpokenTo(LINK_LOCAL));
    }
    if local && !found.iter().all(|found| found.ip().is_loopback()) {
        return Err(NotSpokenTo("it is spoken to without TLS and leads away from this machine"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
