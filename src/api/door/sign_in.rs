//! How a browser gets a session, and loses it: `/sign-in`, `/sign-out`, and the one-time links of
//! `sealift open`.
//!
//! Invariants: nobody is signed in by a page of somebody else; a link is given on the socket alone,
//! to a program; a wrong code or token is counted like one that a program shows.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::OpenApi as Contract;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accept::Connected;
use super::links::CODE_LASTS;
use super::session::{Evidence, Session, Sessions};
use super::{Door, FORM_BYTES_MAX, SIGN_IN};
use crate::api::caller::Caller;
use crate::api::contract::RefusedAnswers;
use crate::api::fault::ApiError;

/// A link that brings a browser in, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkAnswer {
    /// The code behind the `#` of the link.
    pub code: String,
    /// The whole link; absent where the daemon listens on its socket alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// From then on it is none.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// What somebody signs in with, in JSON or as a form; one of the first three.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct SignIn {
    /// Of a link.
    code: Option<String>,
    /// Whole, as `sealift token new` printed it.
    token: Option<String>,
    /// As whoever the connection tells: by an SSH tunnel to the socket, or by a certificate.
    go_on: bool,
    /// Where to go then: a path of ours.
    next: Option<String>,
}

/// Who is signed in now.
#[derive(Debug, Serialize, ToSchema)]
struct SignedIn {
    /// The one name, whatever the door.
    name: String,
    /// When the session ends by itself.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// What the session's forms and requests must carry.
    form: String,
}

pub fn routes(door: Door) -> Router {
    described().layer(DefaultBodyLimit::max(FORM_BYTES_MAX)).with_state(door).split_for_parts().0
}

/// What the contract says of them.
pub fn contract() -> Contract {
    described().into_openapi()
}

/// Every route with what the contract says of it.
fn described() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(sign_in)).routes(routes!(sign_out)).routes(routes!(link))
}

fn is_form(headers: &HeaderMap) -> bool {
    super::media_type(headers) == "application/x-www-form-urlencoded"
}

fn asked(headers: &HeaderMap, body: &[u8]) -> Result<SignIn, ApiError> {
    if !is_form(headers) {
        return serde_json::from_slice(body)
            .map_err(|error| ApiError::bad(format!("the body signs nobody in: {error}")));
    }
    let mut asked = SignIn::default();
    for (name, value) in url::form_urlencoded::parse(body) {
        match &*name {
            "code" => asked.code = Some(value.into_owned()),
            "token" => asked.token = Some(value.into_owned()),
            "go_on" => asked.go_on = true,
            "next" => asked.next = Some(value.into_owned()),
            _ => {
                return Err(ApiError::bad(format!(
                    "the form signs nobody in: unknown field `{}`",
                    name.escape_debug()
                )));
            }
        }
    }
    Ok(asked)
}

/// Begin a browser's session, which its answer sets as a cookie: by the code of a link, by a token,
/// or as whoever the connection tells. Programs have no use for one and are refused.
#[utoipa::path(
    post,
    path = "/sign-in",
    operation_id = "sign_in",
    tag = "sessions",
    request_body(content(
        (SignIn = "application/json"),
        (SignIn = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "Signed in, to a body in JSON", body = SignedIn),
        (status = 303, description = "Signed in, to a form: where to go on"),
        RefusedAnswers
    )
)]
async fn sign_in(
    State(door): State<Door>,
    Extension(connected): Extension<Connected>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let refused = |error: ApiError| error.into_response();
    // The guard has seen that a page of ours asks.
    let SignIn { code, token, go_on, next } = asked(&headers, &body).map_err(refused)?;
    let doors = &door.doors;
    let times = doors.0.clock.times();
    let evidence = match (code, token, go_on) {
        (Some(code), None, false) => doors.0.codes.take(code.trim(), times.boot),
        (None, Some(token), false) => {
            doors.token(token.trim(), times.wall).map(|(token, _)| Evidence::Token { id: token.id })
        }
        (None, None, true) => connected.known.map(|(evidence, _)| evidence),
        _ => {
            return Err(refused(ApiError::bad(
                "one of `code`, `token` and `go_on` signs somebody in",
            )));
        }
    };
    let Some((evidence, caller)) = (match evidence {
        Some(evidence) => doors.caller(&evidence).await.map(|caller| (evidence, caller)),
        None => None,
    }) else {
        return Err(door.unknown(connected.address, "a code or token to sign in with that is none"));
    };
    let (session, cookie) = doors.0.sessions.begin(&caller.name, evidence, times.wall);
    tracing::info!(by = %caller, via = %caller.via, door = door.kind.as_str(), until = %session.until, "signed in");
    let mut response = if is_form(&headers) {
        (StatusCode::SEE_OTHER, [(LOCATION, path_of_ours(next.as_deref()))]).into_response()
    } else {
        let form = session.form_token().to_owned();
        Json(SignedIn { name: session.name.clone(), until: session.until, form }).into_response()
    };
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// End the session that the browser shows; a form, or a request with its token in `X-Sealift-Form`.
#[utoipa::path(
    post,
    path = "/sign-out",
    operation_id = "sign_out",
    tag = "sessions",
    responses(
        (status = 204, description = "Signed out"),
        (status = 303, description = "Signed out, to a form: where to sign in again"),
        RefusedAnswers
    )
)]
async fn sign_out(
    State(door): State<Door>,
    session: Option<Extension<Session>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // The guard has seen the session and its form's token.
    let Some(Extension(session)) = session else { return Err(ApiError::signed_out()) };
    let kept = door.doors.0.sessions.end(&session, door.doors.0.clock.times().wall).await;
    if let Err(error) = kept {
        tracing::error!(%error, "it is not written down that a session ended: a copy of its cookie would be good again after a restart");
    }
    tracing::info!(by = %session.name, "signed out");
    let mut response = match is_form(&headers) {
        true => {
            (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static(SIGN_IN))]).into_response()
        }
        false => StatusCode::NO_CONTENT.into_response(),
    };
    response.headers_mut().insert(SET_COOKIE, Sessions::farewell());
    Ok(response)
}

/// A one-time link that signs a browser in as whoever asks: on the daemon's socket alone.
#[utoipa::path(
    post,
    path = "/v1/links",
    operation_id = "link",
    tag = "sessions",
    responses((status = 200, description = "The link", body = LinkAnswer), RefusedAnswers)
)]
async fn link(
    State(door): State<Door>,
    Extension(connected): Extension<Connected>,
    session: Option<Extension<Session>>,
    caller: Caller,
) -> Result<Json<LinkAnswer>, ApiError> {
    let Some((evidence @ Evidence::User { .. }, _)) = connected.known.filter(|_| session.is_none())
    else {
        return Err(ApiError::forbidden(
            "a link is given on the daemon's host: type `sealift open` there, or sign in with a token",
        ));
    };
    let times = door.doors.0.clock.times();
    let code = door.doors.0.codes.give(evidence, times.boot);
    tracing::info!(by = %caller, "a link to sign in was given");
    let url = door.doors.url().map(|origin| format!("{origin}{SIGN_IN}#{code}"));
    Ok(Json(LinkAnswer {
        code,
        url,
        until: times.wall.checked_add(CODE_LASTS).unwrap_or(Timestamp::MAX),
    }))
}

/// Where somebody goes who is signed in: a path of ours, whatever a link made the form say.
fn path_of_ours(next: Option<&str>) -> HeaderValue {
    let ours = next.filter(|path| {
        path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\t', '\r', '\n'])
    });
    ours.and_then(|path| HeaderValue::from_str(path).ok()).unwrap_or(HeaderValue::from_static("/"))
}

/// Whether a form's body carries this session's token.
pub(super) fn carries_form_token(body: &[u8], session: &Session) -> bool {
    let mut found = url::form_urlencoded::parse(body).filter(|(name, _)| name == super::FORM_FIELD);
    found.next().is_some_and(|(_, value)| session.is_form_token(&value))
}

/// Whether the body is a form that the guard may read.
pub(super) fn may_carry_form_token(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_TYPE) && is_form(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for (next, path) in [
            (None, "/"),
            (Some("/rollouts/1f0c?state=failed"), "/rollouts/1f0c?state=failed"),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("/\t/evil.example"), "/"),
            (Some("https://evil.example"), "/"),
            (Some(""), "/"),
            (Some("/a\r\nSet-Cookie: x"), "/"),
        ] {
            assert_eq!(path_of_ours(next), path, "{next:?}");
        }
    }
}
