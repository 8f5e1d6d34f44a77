//! Every answer that is not a success, with its code and its words.
//!
//! Invariant: the body is always a [`Problem`] as `application/problem+json`: also for a path that
//! does not exist, and for what an extractor or the framework refuses before a route is reached
//! ([`spelled`]).

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::wire::{Problem, ProblemCode, RolloutRow};
use crate::domain::rollout::Refusal;
use crate::engine::CommandError;
use crate::store::{Away, SubmitError, Unavailable};

/// What problems are called on the wire.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Bytes of a refusal that was not worded here: a sentence.
const FOREIGN_MAX: usize = 16 * 1024;

/// A refusal or a failure on its way to the client.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: Box<Problem>,
    busy: bool,
}

/// Seconds after which a client that found the daemon busy may try again.
const BUSY_FOR: u16 = 5;

impl ApiError {
    /// A fault with these words; its code follows from its status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::coded(status, code_of(status), detail)
    }

    fn coded(status: StatusCode, code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { status, body: Box::new(Problem::new(status.as_u16(), code, detail)), busy: false }
    }

    /// The daemon is well and cannot take this now: the one answer of status 503 that has a
    /// `Retry-After`.
    pub fn busy(detail: impl Into<String>) -> Self {
        Self { busy: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// The store is away: nothing can be done until it is back.
    pub fn away(detail: impl Into<String>, away: &Away) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        error.body.since = Some(away.since);
        error
    }

    /// What is asked for is in a store that is away.
    pub fn not_at_hand(away: &Away) -> Self {
        Self::away(format!("{away}; nothing was done, ask again when it is back"), away)
    }

    /// Nobody is known to ask.
    pub fn signed_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "nobody is signed in here")
    }

    /// Who asks may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// The request is not well formed.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A field of the body is missing, or not what it must be.
    pub fn field(name: &str, detail: impl Into<String>) -> Self {
        let mut error = Self::bad(detail);
        error.body.field = Some(name.to_owned());
        error
    }

    /// The reference fits several rollouts.
    pub fn ambiguous(detail: impl Into<String>, candidates: Vec<RolloutRow>) -> Self {
        let mut error = Self::coded(StatusCode::CONFLICT, ProblemCode::Ambiguous, detail);
        error.body.candidates = candidates;
        error
    }

    /// The record is not the one that was looked at: nothing was done, and it stands like this now.
    pub fn moved(detail: impl Into<String>, now: RolloutRow) -> Self {
        let mut error = Self::new(StatusCode::PRECONDITION_FAILED, detail);
        error.body.now = Some(now.into());
        error
    }

    /// A plan with mistakes.
    pub fn plan(
        detail: impl Into<String>,
        diagnostics: serde_json::Value,
        rendered: String,
    ) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        error.body.diagnostics = Some(diagnostics);
        error.body.rendered = Some(rendered);
        error
    }
}

impl ApiError {
    /// What it says.
    pub fn problem(&self) -> &Problem {
        &self.body
    }
}

fn code_of(status: StatusCode) -> ProblemCode {
    match status {
        StatusCode::UNAUTHORIZED => ProblemCode::SignedOut,
        StatusCode::FORBIDDEN => ProblemCode::Forbidden,
        StatusCode::NOT_FOUND => ProblemCode::NotFound,
        StatusCode::CONFLICT => ProblemCode::Conflict,
        StatusCode::PRECONDITION_FAILED => ProblemCode::Moved,
        StatusCode::UNPROCESSABLE_ENTITY => ProblemCode::PlanMistakes,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemCode::WrongType,
        StatusCode::TOO_MANY_REQUESTS => ProblemCode::TooMany,
        _ if status.is_server_error() => ProblemCode::Unavailable,
        _ => ProblemCode::BadRequest,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut answer = (self.status, axum::Json(self.body)).into_response();
        answer.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        if self.busy {
            answer.headers_mut().insert(RETRY_AFTER, BUSY_FOR.into());
        }
        answer
    }
}

/// Gives a refusal that was worded elsewhere the form of all others, with its words and its
/// headers.
pub async fn spelled(request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    let status = answer.status();
    if !(status.is_client_error() || status.is_server_error())
        || answer.headers().get(CONTENT_TYPE) == Some(&PROBLEM_JSON)
    {
        return answer;
    }
    let (head, body) = answer.into_parts();
    let words = to_bytes(body, FOREIGN_MAX).await.unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let words = words.trim();
    let detail = if words.is_empty() {
        status.canonical_reason().unwrap_or("refused").to_lowercase()
    } else {
        words.to_owned()
    };
    let mut problem = ApiError::new(status, detail).into_response();
    for (name, value) in &head.headers {
        if *name != CONTENT_TYPE && *name != CONTENT_LENGTH {
            problem.headers_mut().append(name, value.clone());
        }
    }
    problem.map(Body::new)
}

impl From<Unavailable> for ApiError {
    fn from(error: Unavailable) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let status = match &error {
            CommandError::TooMany => return Self::busy(error.to_string()),
            CommandError::Away(away) | CommandError::NotKnown(away) => {
                return Self::away(error.to_string(), away);
            }
            CommandError::NotFound(_) => StatusCode::NOT_FOUND,
            CommandError::Refused(_) => StatusCode::CONFLICT,
            CommandError::Moved => StatusCode::PRECONDITION_FAILED,
            CommandError::Unavailable(_) | CommandError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        };
        let field = matches!(&error, CommandError::Refused(Refusal::ReasonMissing { .. }));
        let mut refused = Self::new(status, error.to_string());
        refused.body.field = field.then(|| "reason".to_owned());
        refused
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let status = match &error {
            SubmitError::Away(away) => return Self::away(error.to_string(), away),
            SubmitError::Overlap { .. } | SubmitError::Changed { .. } => StatusCode::CONFLICT,
            SubmitError::Refusing(_) | SubmitError::Unavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_is_answered_with_since_when() {
        let since = jiff::Timestamp::from_second(1_800_000_000).expect("an instant");
        let away = Away { since, why: "connection refused".into() };
        let errors = [
            ApiError::from(CommandError::Away(away.clone())),
            ApiError::from(CommandError::NotKnown(away.clone())),
            ApiError::from(SubmitError::Away(away)),
        ];
        for error in errors {
            let body = serde_json::to_value(error.problem()).expect("JSON");
            assert_eq!(error.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(
                (&body["since"], &body["code"]),
                (&since.to_string().into(), &"unavailable".into())
            );
            let detail = body["detail"].as_str().expect("a text");
            assert!(detail.contains("connection refused") && detail.contains("when it is back"));
        }
    }
}
