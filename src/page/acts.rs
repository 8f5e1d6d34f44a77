//! Verbs by hand on the page: the question, and the form that answers it.
//!
//! Invariants: a form goes the way of the API's own route, with its checks and its words, so a page
//! can do nothing that the API would refuse; it carries the tag of the record that was shown, and
//! does nothing when that has moved.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::{Method, Request, StatusCode};
use serde_json::{Map, Value};
use tower::ServiceExt as _;

use super::moment::ViewClock;
use super::view::question::TypedAnswers;
use crate::api::Caller;
use crate::api::wire::{Problem, VerbAnswer};
use crate::words::moment::moment;
use crate::words::text::Style;

/// Verbs that the page asks about.
pub const VERBS: [&str; 8] =
    ["pause", "resume", "promote", "approve", "retry", "resolve", "abort", "revert"];

/// Bytes of an answer: a problem with its candidates.
const ANSWER_MAX: usize = 256 * 1024;

/// Why a form was not taken.
#[derive(Debug)]
pub struct ActError {
    pub status: StatusCode,
    pub detail: String,
}

/// Carries out a verb by the API's `routes`.
pub async fn act(
    routes: Router,
    caller: Caller,
    rollout: &str,
    verb: &str,
    typed: &TypedAnswers,
    clock: &ViewClock,
) -> Result<VerbAnswer, ActError> {
    let bad = |detail: String| ActError { status: StatusCode::BAD_REQUEST, detail };
    let body = Value::Object(body(verb, typed, clock).map_err(bad)?).to_string();
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("/v1/rollouts/{rollout}/{verb}"))
        .header(CONTENT_TYPE, "application/json")
        .header(IF_MATCH, format!("\"{}\"", typed.tag))
        .body(Body::from(body))
        .map_err(|error| bad(error.to_string()))?;
    request.extensions_mut().insert(caller);
    let answer = match routes.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let status = answer.status();
    let failed = |detail: String| ActError { status: StatusCode::INTERNAL_SERVER_ERROR, detail };
    let bytes = to_bytes(answer.into_body(), ANSWER_MAX)
        .await
        .map_err(|error| failed(error.to_string()))?;
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()));
    }
    let problem: Problem =
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    Err(ActError { status, detail: problem.detail })
}

fn body(verb: &str, typed: &TypedAnswers, clock: &ViewClock) -> Result<Map<String, Value>, String> {
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    let text = |text: &str| Value::String(text.trim().to_owned());
    if !typed.reason.trim().is_empty() {
        put("reason", text(&typed.reason));
    }
    match verb {
        "pause" if !typed.until.trim().is_empty() => {
            let style = Style { now: clock.now, zone: clock.zone().clone() };
            put("until", Value::String(moment(typed.until.trim(), &style)?.to_string()));
        }
        "approve" => {
            put("digest", text(&typed.digest));
        }
        "retry" if !typed.in_doubt.is_empty() => {
            put("in_doubt", Value::Bool(true));
        }
        "resolve" => {
            put("proxy", text(&typed.proxy));
            if !typed.job.trim().is_empty() {
                put("job", text(&typed.job));
            }
            if !typed.give_up.is_empty() {
                put("give_up", Value::Bool(true));
            }
        }
        "revert" if !typed.confirm.is_empty() => {
            put("confirm", text(&typed.confirm));
        }
        _ => {}
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> ViewClock {
        ViewClock::new("2026-11-27T17:52:08Z".parse().expect("an instant"), Some("Asia/Singapore"))
    }

    #[test]
    fn a_form_says_what_the_route_takes_and_no_more() {
        let typed = TypedAnswers {
            reason: " look ".into(),
            until: "06:00".into(),
            confirm: "x".into(),
            ..TypedAnswers::default()
        };
        let pause = Value::Object(body("pause", &typed, &clock()).expect("a body"));
        assert_eq!(
            pause,
            serde_json::json!({"reason": "look", "until": "2026-11-27T22:00:00Z"}),
            "six by the view's clock"
        );
        let revert = Value::Object(body("revert", &typed, &clock()).expect("a body"));
        assert_eq!(revert, serde_json::json!({"reason": "look", "confirm": "x"}));
        let resolve =
            TypedAnswers { proxy: "7d3c".into(), job: "8f62".into(), ..TypedAnswers::default() };
        let resolve = Value::Object(body("resolve", &resolve, &clock()).expect("a body"));
        assert_eq!(resolve, serde_json::json!({"proxy": "7d3c", "job": "8f62"}));
    }

    #[test]
    fn a_time_that_is_none_is_told() {
        let typed = TypedAnswers { until: "soon".into(), ..TypedAnswers::default() };
        assert!(body("pause", &typed, &clock()).is_err_and(|told| told.contains("soon")));
    }
}
