//! Counts the requests to the API and the page: by route and class of status.
//!
//! Invariant: a route is a pattern of ours, never an address that a client made up, so there are no
//! more counts than there are routes and classes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

/// The route of what no route takes.
const NOWHERE: &str = "(none)";

/// A route, and a class of status.
pub type RequestKey = (String, &'static str);

/// The counts, shared between the server and whoever shows them.
#[derive(Debug, Default)]
pub struct RequestTallies(Mutex<BTreeMap<RequestKey, u64>>);

impl RequestTallies {
    /// What was counted by now.
    pub fn counts(&self) -> BTreeMap<RequestKey, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, route: Option<&MatchedPath>, status: StatusCode) {
        let route = route.map_or(NOWHERE, MatchedPath::as_str).to_owned();
        let class = match status.as_u16() {
            ..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((route, class)).or_default() += 1;
    }
}

/// Counts one request when its answer begins.
pub async fn count(
    State(tallies): State<Arc<RequestTallies>>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let answer = next.run(request).await;
    // The page answers for addresses where nothing is by a route of its own.
    let route = route.filter(|route| !route.as_str().starts_with("/{*"));
    tallies.add(route.as_ref(), answer.status());
    answer
}
