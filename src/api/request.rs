//! What all routes read of a request in the same way: its query, a verb's body and reason.
//!
//! Invariant: what is not known is refused, so that a misspelt filter is never ignored.

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use serde::de::DeserializeOwned;

use super::fault::ApiError;

/// Longest text kept as a reason, in bytes: a rollout's record keeps up to two of them and must stay below the store's
/// bound of a record.
const REASON_MAX: usize = 500;

/// The answer where no route is.
pub(super) async fn nowhere(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("nothing is at {}", uri.path()))
}

/// Reads the query; what it does not know is refused, so that a misspelt filter is never ignored.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let Query(query) = Query::try_from_uri(uri).map_err(|error| ApiError::bad(error.body_text()))?;
    Ok(query)
}

/// What a verb's body asks for; without a body, nothing beside the verb.
pub(super) fn verb_request<T: Default + DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| ApiError::bad(format!("the body is no verb request: {error}")))
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
