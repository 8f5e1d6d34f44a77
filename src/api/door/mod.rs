//! The doors of the API: the socket, and an address of the network; who is let in by each, and as
//! whom.
//!
//! Invariants: all doors have one set of people, tokens and sessions, and the same bounds; no
//! request reaches a route before its door has looked at it. A wrong token is told that and nothing
//! more; what is right never waits. A browser counts by its session alone, whatever its connection
//! tells, for any page can make it ask.
//!
//! Deliberately not here: what somebody may (`caller`), how many are let in (`places`), and the
//! servers (`server`).

mod accept;
mod admission;
mod browser;
mod headers;
mod links;
mod network;
mod session;
mod sign_in;
mod tls;
pub mod tokens;
mod upload;
mod wrong;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;

use super::address::AddressBlock;
use super::caller::{Caller, Callers, Via};
use super::fault::ApiError;
use crate::clock::{Clock, SystemClock};
use crate::config::DoorConfig;
pub(super) use accept::{Connected, PlainAcceptor, SocketAcceptor, TlsDoorAcceptor};
pub use admission::Admission;
use browser::{Asker, Names, NotOurs};
use links::LinkCodes;
pub use network::NetworkDoor;
pub use session::Session;
use session::{Evidence, Sessions};
pub use sign_in::LinkAnswer;
pub(super) use sign_in::contract;
use tls::DoorTls;
use tokens::{ListedToken, Tokens};
use wrong::WrongCount;

/// Longest address line of a request: a filter with a few hundred words.
pub const ADDRESS_LINE_MAX: usize = 4096;

/// Bytes of a request's head: cookies and a long filter.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Largest form whose token is looked for.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// Where somebody signs in.
const SIGN_IN: &str = "/sign-in";

/// Header with the form's token, of requests that a script makes.
const FORM_HEADER: &str = "x-sealift-form";

/// Field of a form with its token.
const FORM_FIELD: &str = "form";

/// How long a user's name and groups count without another look: a page asks several times a
/// second.
const USER_COUNTS: Duration = Duration::from_secs(30);

/// Users whose names are kept.
const USERS_MAX: usize = 1000;

/// A file of the doors cannot be used, or the address cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("{} {what}; {remedy}", path.display())]
    File {
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    #[error("cannot listen on {address}: {source}; set another `api.listen`")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
}

/// What a person sees of a refusal, who follows a link or sends a form.
#[derive(Debug, Clone, Copy)]
pub struct PageAnswers {
    /// Answers somebody whom nobody knows; `None` for the usual refusal.
    pub signed_out: fn(&Request) -> Option<Response>,
    /// The same refusal, as a view.
    pub refused: fn(Response) -> BoxFuture<'static, Response>,
}

/// What all doors share.
#[derive(Clone)]
pub struct Doors(Arc<SharedDoors>);

struct SharedDoors {
    callers: Callers,
    tokens: Option<Tokens>,
    sessions: Sessions,
    codes: LinkCodes,
    /// Wrong tokens and codes.
    wrong: WrongCount,
    /// Refusals that were logged.
    logged: WrongCount,
    users: Mutex<BTreeMap<Evidence, (Duration, Caller)>>,
    clock: Arc<dyn Clock>,
    /// Where browsers reach us, once a door on the network is open.
    url: OnceLock<String>,
    /// The TLS of the door on the network, once that is open and has it.
    tls: OnceLock<Arc<DoorTls>>,
    page: Option<PageAnswers>,
}

impl Doors {
    /// Those of a daemon with this configuration and state directory.
    pub fn open(
        config: &DoorConfig,
        state: &Path,
        callers: Callers,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DoorError> {
        let tokens = config.tokens_file.clone().map(Tokens::open).transpose()?;
        if let Some(tokens) = &tokens
            && tokens.count() == 0
        {
            tracing::warn!("`api.tokens_file` has no tokens yet; `sealift token new` makes one");
        }
        let sessions = Sessions::open(state, config.session_key.as_deref())?;
        Ok(Self::with(callers, tokens, sessions, clock))
    }

    /// Without tokens, and with sessions that end with the process.
    pub fn passing(callers: Callers) -> Self {
        Self::with(callers, None, Sessions::passing(), Arc::new(SystemClock))
    }

    fn with(
        callers: Callers,
        tokens: Option<Tokens>,
        sessions: Sessions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(SharedDoors {
            callers,
            tokens,
            sessions,
            codes: LinkCodes::default(),
            wrong: WrongCount::default(),
            logged: WrongCount::default(),
            users: Mutex::default(),
            clock,
            url: OnceLock::new(),
            tls: OnceLock::new(),
            page: None,
        }))
    }

    /// The same, with a page that says in its own way what is refused; before any door is served.
    #[must_use]
    pub fn with_page(self, page: PageAnswers) -> Self {
        let shared =
            Arc::into_inner(self.0).map(|shared| SharedDoors { page: Some(page), ..shared });
        Self(Arc::new(shared.expect("no door is open yet")))
    }

    pub(super) fn callers(&self) -> &Callers {
        &self.0.callers
    }

    /// Our own certificate, if it ends soon: when, and the file that it is in.
    pub(super) fn certificate_ending(&self, now: Timestamp) -> Option<(Timestamp, PathBuf)> {
        let (ends, file) = self.0.tls.get()?.ends_soon(now)?;
        Some((ends, file.to_owned()))
    }

    /// Where browsers reach us; `None` with the socket alone.
    pub(super) fn url(&self) -> Option<&str> {
        self.0.url.get().map(String::as_str)
    }

    /// The token that this text is, and its caller.
    fn token(&self, text: &str, now: Timestamp) -> Option<(ListedToken, Caller)> {
        let token = self.0.tokens.as_ref()?.find(text, now)?;
        let caller = self.token_caller(&token)?;
        Some((token, caller))
    }

    fn token_caller(&self, token: &ListedToken) -> Option<Caller> {
        let person = self.0.callers.named(&token.name)?;
        let label = if token.label.is_empty() { &token.id } else { &token.label };
        let may = token.roles().both(&person.may);
        Some(Caller {
            name: token.name.as_str().into(),
            uid: None,
            may,
            via: Via::Token { label: label.as_str().into() },
        })
    }

    /// Whoever this tells, with what they may now; `None` once it tells nobody any more.
    async fn caller(&self, evidence: &Evidence) -> Option<Caller> {
        match evidence {
            Evidence::Token { id } => {
                let token = self.0.tokens.as_ref()?.of_id(id, self.0.clock.times().wall)?;
                self.token_caller(&token)
            }
            Evidence::Certificate { subject } => Some(self.0.callers.certificate(subject)),
            Evidence::User { uid, gid } => {
                let now = self.0.clock.times().boot;
                let users = || self.0.users.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((_, known)) = users()
                    .get(evidence)
                    .filter(|(since, _)| now.saturating_sub(*since) < USER_COUNTS)
                {
                    return Some(known.clone());
                }
                let caller = self.0.callers.user(*uid, *gid).await;
                let mut users = users();
                if users.len() >= USERS_MAX {
                    users.clear();
                }
                users.insert(evidence.clone(), (now, caller.clone()));
                Some(caller)
            }
        }
    }

    /// The session that a browser shows, and whose it is.
    async fn session(&self, headers: &HeaderMap) -> Option<(Session, Caller)> {
        let session = self.0.sessions.of(headers, self.0.clock.times().wall).await?;
        let caller = self.caller_of(&session).await?;
        Some((session, caller))
    }

    /// Whoever this session is, if it goes on.
    async fn of_session(&self, session: &Session) -> Option<Caller> {
        let goes_on = self.0.sessions.goes_on(session, self.0.clock.times().wall).await;
        if goes_on { self.caller_of(session).await } else { None }
    }

    async fn caller_of(&self, session: &Session) -> Option<Caller> {
        let caller = self.caller(&session.evidence).await?;
        // A user's number may have become somebody else's.
        (*caller.name == *session.name).then_some(Caller { via: Via::Session, ..caller })
    }
}

/// Which way in it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoorKind {
    Socket,
    Plain,
    Tls,
}

impl DoorKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Plain => "http",
            Self::Tls => "https",
        }
    }
}

/// One way in.
#[derive(Clone)]
pub(super) struct Door {
    kind: DoorKind,
    names: Arc<Names>,
    doors: Doors,
}

impl Door {
    pub fn socket(doors: Doors) -> Self {
        Self { kind: DoorKind::Socket, names: Arc::new(Names::Socket), doors }
    }

    /// The routes behind this door, and those of signing in.
    pub fn before(self, router: Router) -> Router {
        let guarded = router.merge(sign_in::routes(self.clone()));
        guarded.layer(axum::middleware::from_fn_with_state(self, guard))
    }

    /// Lets a request in with whoever asks, or answers it.
    async fn admit(&self, request: Request) -> Result<Request, Response> {
        let uri = request.uri();
        if uri.path_and_query().map_or(0, |line| line.as_str().len()) > ADDRESS_LINE_MAX {
            let message = format!("the address has more than {ADDRESS_LINE_MAX} bytes");
            return Err(ApiError::new(StatusCode::URI_TOO_LONG, message).into_response());
        }
        let head: usize =
            request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if head > HEAD_BYTES_MAX {
            let message =
                format!("the request's headers have more than {} KiB", HEAD_BYTES_MAX / 1024);
            return Err(
                ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message).into_response()
            );
        }
        // One word each, for whatever watches over us.
        if matches!(uri.path(), "/healthz" | "/readyz") {
            return Ok(request);
        }
        let connected = request.extensions().get::<Connected>().cloned().unwrap_or_default();
        let asker = browser::judge(&self.names, request.method(), uri, request.headers());
        let asker = asker.map_err(|why| self.refuse(&connected, &request, why))?;
        match asker {
            Asker::Program => self.program(&connected, request).map_err(|answer| *answer),
            Asker::Reading | Asker::Acting => self.browser(asker, &connected, request).await,
        }
    }

    /// Whoever shows a token is its person; without one, whoever the connection tells.
    fn program(
        &self,
        connected: &Connected,
        mut request: Request,
    ) -> Result<Request, Box<Response>> {
        // A cookie is of no use to a program, and every browser says where such a request comes
        // from.
        if request.uri().path() == SIGN_IN && request.method() != Method::GET {
            return Err(self.refuse(connected, &request, NotOurs::Foreign).into());
        }
        let known = match request.headers().get(AUTHORIZATION) {
            None => connected.known.clone(),
            Some(shown) => {
                let text = shown.to_str().ok().and_then(|text| text.split_once(' '));
                let text = text
                    .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                    .map(|(_, text)| text.trim());
                let found =
                    text.and_then(|text| self.doors.token(text, self.doors.0.clock.times().wall));
                let unknown = || self.unknown(connected.address, "a token that is none");
                let (token, caller) = found.ok_or_else(unknown)?;
                Some((Evidence::Token { id: token.id }, caller))
            }
        };
        match known {
            Some((evidence, caller)) => {
                request.extensions_mut().insert(Admission::of_evidence(&self.doors, evidence));
                request.extensions_mut().insert(caller);
            }
            None if is_open(request.uri().path()) => {}
            None => return Err(self.signed_out(&request).into()),
        }
        Ok(request)
    }

    /// Whoever's session it is.
    async fn browser(
        &self,
        asker: Asker,
        connected: &Connected,
        mut request: Request,
    ) -> Result<Request, Response> {
        let session = self.doors.session(request.headers()).await;
        // To sign in nothing is needed but to be on our page.
        if asker == Asker::Acting && request.uri().path() != SIGN_IN {
            let Some((session, _)) = &session else { return Err(self.signed_out(&request)) };
            request = match self.form(session, request).await? {
                (request, true) => request,
                (request, false) => return Err(self.refuse(connected, &request, NotOurs::Form)),
            };
        }
        match session {
            Some((session, caller)) => {
                request
                    .extensions_mut()
                    .insert(Admission::of_session(&self.doors, session.clone()));
                request.extensions_mut().insert(session);
                request.extensions_mut().insert(caller);
            }
            None if is_open(request.uri().path()) => {}
            None => return Err(self.signed_out(&request)),
        }
        Ok(request)
    }

    /// The request again, and whether it carries the token of this session's forms.
    async fn form(&self, session: &Session, request: Request) -> Result<(Request, bool), Response> {
        if let Some(shown) = request.headers().get(FORM_HEADER) {
            let right = shown.to_str().is_ok_and(|shown| session.is_form_token(shown));
            return Ok((request, right));
        }
        if upload::is_upload(request.headers()) {
            return Ok(upload::with_form_token(request, session).await);
        }
        if !sign_in::may_carry_form_token(request.headers()) {
            return Ok((request, false));
        }
        let (parts, body) = request.into_parts();
        let bytes = axum::body::to_bytes(body, FORM_BYTES_MAX).await.map_err(|_| {
            let message =
                format!("the form did not arrive, or has more than {} KiB", FORM_BYTES_MAX / 1024);
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message).into_response()
        })?;
        let right = sign_in::carries_form_token(&bytes, session);
        Ok((Request::from_parts(parts, Body::from(bytes)), right))
    }

    fn signed_out(&self, request: &Request) -> Response {
        if browser::is_navigation(request.headers())
            && let Some(answer) = self.doors.0.page.and_then(|page| (page.signed_out)(request))
        {
            return answer;
        }
        unauthorized()
    }

    /// The answer to whoever shows something that is wrong: that it is, or that it is enough for
    /// now.
    pub fn unknown(&self, from: Option<AddressBlock>, what: &str) -> Response {
        let counted = self.doors.0.wrong.count(from, self.doors.0.clock.times().boot);
        let Err(wait) = counted else {
            let from = from.map_or_else(|| "the socket".to_owned(), |from| from.to_string());
            tracing::warn!(door = self.kind.as_str(), from, "somebody shows {what}");
            return unauthorized();
        };
        let message = "too many wrong tokens; a right one is taken at any time";
        let mut response = ApiError::new(StatusCode::TOO_MANY_REQUESTS, message).into_response();
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        response
    }

    fn refuse(&self, connected: &Connected, request: &Request, why: NotOurs) -> Response {
        if self.doors.0.logged.count(connected.address, self.doors.0.clock.times().boot).is_ok() {
            let from =
                connected.address.map_or_else(|| "the socket".to_owned(), |from| from.to_string());
            let shown = |name: &str| {
                request
                    .headers()
                    .get(name)
                    .map_or("none", |value| value.to_str().unwrap_or("no text"))
            };
            let (host, origin) = (
                request.uri().authority().map_or(shown("host"), |host| host.as_str()),
                shown("origin"),
            );
            let (method, path) = (request.method(), request.uri().path());
            tracing::warn!(door = self.kind.as_str(), from, %method, path, host, origin, "refused: {why}");
        }
        let status = match why {
            NotOurs::Host => StatusCode::MISDIRECTED_REQUEST,
            NotOurs::Foreign | NotOurs::Form => StatusCode::FORBIDDEN,
        };
        ApiError::new(status, why.to_string()).into_response()
    }
}

/// What nobody needs a name for: signing in, and what its page is made of.
fn is_open(path: &str) -> bool {
    path == SIGN_IN || path.starts_with("/assets/")
}

fn unauthorized() -> Response {
    let mut response = ApiError::signed_out().into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// The kind of a body, without its parameters.
fn media_type(headers: &HeaderMap) -> &str {
    let whole = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim()
}

async fn guard(State(door): State<Door>, request: Request, next: Next) -> Response {
    let page = door.doors.0.page.filter(|_| {
        browser::is_navigation(request.headers()) && !request.uri().path().starts_with("/v1/")
    });
    let mut response = match door.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(refused) => refused,
    };
    if let Some(page) = page {
        response = (page.refused)(response).await;
    }
    headers::add(response.headers_mut(), door.kind == DoorKind::Tls);
    response
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .expect("the system gives random bytes");
    bytes
}
