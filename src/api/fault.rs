//! Every answer that is not a success, with its status and its words.
//!
//! Invariant: the body is always an [`ErrorDoc`] in JSON, also for a path that does not exist.

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};

use super::wire::{ErrorBody, ErrorDoc, RolloutRow};
use crate::engine::CommandError;
use crate::store::{SubmitError, Unavailable};

/// A refusal or a failure on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    busy: bool,
}

/// Seconds after which a client that found the daemon busy may try again.
const BUSY_FOR: u16 = 5;

impl ApiError {
    /// A fault with these words.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, body: ErrorBody { message: message.into(), ..ErrorBody::default() }, busy: false }
    }

    /// The daemon is well and cannot take this now: the one answer of status 503 that has a `Retry-After`.
    pub fn busy(message: impl Into<String>) -> Self {
        Self { busy: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// Nobody is known to ask.
    pub fn signed_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "nobody is signed in here")
    }

    /// Who asks may not.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// The request is not well formed.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The reference fits several rollouts.
    pub fn ambiguous(message: impl Into<String>, candidates: Vec<RolloutRow>) -> Self {
        let body = ErrorBody { message: message.into(), candidates, ..ErrorBody::default() };
        Self { status: StatusCode::CONFLICT, body, busy: false }
    }

    /// A plan with mistakes.
    pub fn plan(message: impl Into<String>, diagnostics: serde_json::Value, rendered: String) -> Self {
        let body = ErrorBody { message: message.into(), diagnostics: Some(diagnostics), rendered: Some(rendered), ..ErrorBody::default() };
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, body, busy: false }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let answer = (self.status, axum::Json(ErrorDoc { error: self.body }));
        if self.busy { ([(RETRY_AFTER, BUSY_FOR.to_string())], answer).into_response() } else { answer.into_response() }
    }
}

impl From<Unavailable> for ApiError {
    fn from(error: Unavailable) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let status = match &error {
            CommandError::NotFound(_) => StatusCode::NOT_FOUND,
            CommandError::Refused(_) => StatusCode::CONFLICT,
            CommandError::Unavailable(_) | CommandError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let status = match &error {
            SubmitError::Overlap { .. } | SubmitError::Changed { .. } => StatusCode::CONFLICT,
            SubmitError::Refusing(_) | SubmitError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}
