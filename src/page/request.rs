//! A request for a view: who asks, what the address asks for, and what is around every view.
//!
//! Invariant: whatever is refused on the way to a view is itself a view, with its words and its
//! status.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Query, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::choices::Choices;
use super::moment::ViewClock;
use super::shell::ViewSource;
use super::view::error::{BareErrorView, ErrorView};
use super::viewer::Viewer;
use crate::api::wire::Problem;
use crate::api::{Api, ApiError, Caller};
use crate::domain::people::Role;

/// Open rollouts that are looked at for what stands around a view.
const OPEN_MAX: usize = 50;

/// Bytes of a refusal that was worded elsewhere.
const REFUSAL_MAX: usize = 64 * 1024;

/// What an address may ask of any view.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewQuery {
    /// `plan`, `utc` or a zone's name.
    pub zone: Option<String>,
    /// Of changes: `all`, `active` or words of the change table.
    pub state: Option<String>,
    /// Of changes: their wave, by name or number, their lane, and how an id begins.
    pub wave: Option<String>,
    pub lane: Option<String>,
    pub id: Option<String>,
    /// Where a page begins.
    pub after: Option<String>,
    pub before: Option<u64>,
    /// The date of the night that a report is about.
    pub night: Option<String>,
    /// The beginning of an id that is sought.
    pub begins: Option<String>,
    /// The verb that was just carried out, and the journal's entry of it.
    pub done: Option<String>,
    pub entry: Option<u64>,
}

/// What the routes of the page need.
#[derive(Clone)]
pub struct PageState {
    pub api: Arc<Api>,
    /// The API's routes: a form goes their way.
    pub routes: Router,
}

/// A request for a view, of somebody who may see it.
pub struct ViewRequest {
    pub page: PageState,
    pub around: ViewSource,
    pub query: ViewQuery,
    pub headers: HeaderMap,
}

impl FromRequestParts<PageState> for ViewRequest {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, page: &PageState) -> Result<Self, Response> {
        let viewer = Viewer::of(&parts.extensions);
        let Some(caller) = viewer.caller else {
            return Err(Redirect::to("/sign-in").into_response());
        };
        let (query, refused) = match Query::<ViewQuery>::try_from_uri(&parts.uri) {
            Ok(Query(query)) => (query, None),
            Err(error) => (ViewQuery::default(), Some(ApiError::bad(error.body_text()))),
        };
        let asked = Self::new(page.clone(), caller, viewer.form, query, parts).await;
        let asked = asked.map_err(ApiError::into_response)?;
        match refused {
            None => Ok(asked),
            Some(error) => Err(asked.refusal(&error)),
        }
    }
}

impl ViewRequest {
    async fn new(
        page: PageState,
        caller: Caller,
        form: String,
        query: ViewQuery,
        parts: &Parts,
    ) -> Result<Self, ApiError> {
        caller.must(Role::Read, "the page")?;
        let choices = Choices::of(&parts.headers);
        let around = ViewSource {
            daemon: page.api.daemon().await,
            attention: page.api.attention().await?,
            open: page.api.open_rollouts(OPEN_MAX).await?,
            enforcements: page.api.enforcements().await?,
            caller,
            form,
            zone: query.zone.clone().or_else(|| choices.zone.clone()),
            choices,
        };
        Ok(Self { page, around, query, headers: parts.headers.clone() })
    }

    pub fn api(&self) -> &Api {
        &self.page.api
    }

    pub fn clock(&self, zone: Option<&str>) -> ViewClock {
        self.around.clock(self.api().now(), zone)
    }

    /// Makes a view, or the view of what went wrong.
    pub async fn show(
        self,
        make: impl AsyncFnOnce(&Self) -> Result<Response, ApiError>,
    ) -> Response {
        make(&self).await.unwrap_or_else(|error| self.refusal(&error))
    }

    /// The view of what went wrong.
    fn refusal(&self, error: &ApiError) -> Response {
        let problem = error.problem();
        let view = ErrorView::new(&self.around, problem, self.clock(None));
        (status(problem), self.answer(&view)).into_response()
    }

    /// The view as an answer; 304 where the reader has these very bytes.
    pub fn answer(&self, view: &impl Template) -> Response {
        let Ok(html) = view.render() else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let tag = format!("\"{:08x}{:x}\"", crc32fast::hash(html.as_bytes()), html.len());
        let known =
            self.headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let headers = [(ETAG, tag), (CACHE_CONTROL, "no-store".to_owned())];
        if known {
            (StatusCode::NOT_MODIFIED, headers).into_response()
        } else {
            (headers, Html(html)).into_response()
        }
    }
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Makes a view of whatever was refused before there was one: for want of a role, of a store that
/// answers, or of a request that can be read.
pub async fn as_views(request: Request, next: Next) -> Response {
    let viewer = Viewer::of(request.extensions());
    as_view(next.run(request).await, viewer).await
}

/// The same of whatever the door refused.
pub fn refused(answer: Response) -> BoxFuture<'static, Response> {
    let nobody = Viewer { caller: None, form: String::new() };
    as_view(answer, nobody).boxed()
}

async fn as_view(answer: Response, viewer: Viewer) -> Response {
    let refused = answer.status().is_client_error() || answer.status().is_server_error();
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !refused || kind.is_some_and(|kind| kind.starts_with("text/html")) {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let words = to_bytes(body, REFUSAL_MAX).await.unwrap_or_default();
    let problem = serde_json::from_slice::<Problem>(&words).unwrap_or_else(|_| {
        let words = String::from_utf8_lossy(&words);
        ApiError::new(head.status, words.trim()).problem().clone()
    });
    head.headers.remove(CONTENT_TYPE);
    head.headers.remove(CONTENT_LENGTH);
    match BareErrorView::new(&problem, viewer).render() {
        Ok(html) => (head.status, head.headers, Html(html)).into_response(),
        Err(_) => head.status.into_response(),
    }
}
