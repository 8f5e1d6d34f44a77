//! What all routes read of a request in the same way: its query, a verb's body and reason.
//!
//! Invariant: what is not known is refused, so that a misspelt filter is never ignored.

use axum::body::Bytes;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{FromRequest, Multipart, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use serde::de::DeserializeOwned;

use super::fault::ApiError;

/// Longest text kept as a reason, in bytes: a rollout's record keeps up to two of them and must
/// stay below the store's bound of a record.
const REASON_MAX: usize = 500;

/// The answer where no route is.
pub(super) async fn nowhere(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("nothing is at {}", uri.path()))
}

/// Reads the query; what it does not know is refused, so that a misspelt filter is never ignored.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let Query(query) =
        Query::try_from_uri(uri).map_err(|error| ApiError::bad(error.body_text()))?;
    Ok(query)
}

/// A body in JSON; without one, what the type's default asks for.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub T);

impl<T: Default + DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .map(|kind| kind.to_str().unwrap_or_default().to_owned());
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|error| {
            ApiError::new(error.status(), format!("the body cannot be read: {}", error.body_text()))
        })?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        // What a form of another page may send is none of these.
        if let Some(kind) = kind.filter(|kind| !is_json(kind)) {
            let message = format!("the body is {}; send `application/json`", kind.escape_debug());
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| ApiError::bad(format!("the body is not what this takes: {error}")))
    }
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The parts of an upload.
pub(super) struct UploadParts(pub Multipart);

impl<S: Send + Sync> FromRequest<S> for UploadParts {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let parts = Multipart::from_request(request, state).await;
        let wrong = |error: MultipartRejection| {
            ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("an upload is `multipart/form-data`: {}", error.body_text()),
            )
        };
        parts.map(Self).map_err(wrong)
    }
}

/// The reason of a verb that must have one.
pub(super) fn said(verb: &str, text: &str) -> Result<String, ApiError> {
    let kept = reason(text);
    if kept.trim().is_empty() {
        let what = "says why: give it a `reason` (on the command line `--reason TEXT`)";
        return Err(ApiError::field("reason", format!("`{verb}` {what}; nothing was done")));
    }
    Ok(kept)
}

/// A reason as it is kept: without control characters, and cut where it is too long.
pub(super) fn reason(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > REASON_MAX {
            break;
        }
        kept.push(c);
    }
    kept
}
