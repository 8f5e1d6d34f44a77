//! Receivers of notifications: how they stand, what of that wants a person, and the test of one.
//!
//! Deliberately not here: sending (`crate::notify`).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;

use super::Api;
use super::caller::Operates;
use super::contract::RefusedAnswers;
use super::fault::ApiError;
use super::wire::{AttentionRow, NotifyTestAnswer, ReceiverDoc};
use crate::domain::count::count;
use crate::domain::id::Name;
use crate::notify::{ReceiverStanding, ReceiverTally, TestError};
use crate::yaml::suggest::nearest;

impl Api {
    /// How the receivers stand; none where nobody is told.
    pub(super) fn receivers(&self) -> Vec<ReceiverDoc> {
        self.standings().into_iter().map(document).collect()
    }

    /// What was counted of the receivers.
    pub fn receiver_tallies(&self) -> Vec<ReceiverTally> {
        self.notifier.as_ref().map(|notifier| notifier.tallies()).unwrap_or_default()
    }

    fn standings(&self) -> Vec<ReceiverStanding> {
        self.notifier.as_ref().map(|notifier| notifier.standings()).unwrap_or_default()
    }

    /// The names of the receivers.
    pub(super) fn receiver_names(&self) -> Vec<Name> {
        self.notifier.iter().flat_map(|notifier| notifier.names()).cloned().collect()
    }

    /// Receivers that are told nothing.
    pub(super) fn untold(&self, now: Timestamp) -> Vec<AttentionRow> {
        let wants = self.standings().into_iter().filter(|standing| standing.wants_a_person(now));
        wants.map(row).collect()
    }

    fn no_receiver(&self, name: &str) -> ApiError {
        let known = self.receiver_names();
        let hint = match nearest(name, known.iter().map(Name::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "add it to `notify`".to_owned(),
            None => {
                let known: Vec<&str> = known.iter().map(Name::as_str).collect();
                format!("it has {}", known.join(", "))
            }
        };
        let message = format!("the configuration has no receiver {}; {hint}", name.escape_debug());
        ApiError::new(StatusCode::NOT_FOUND, message)
    }
}

fn document(standing: ReceiverStanding) -> ReceiverDoc {
    ReceiverDoc {
        name: standing.name.to_string(),
        shape: standing.shape.to_owned(),
        on: standing.on.iter().map(|word| word.as_str().to_owned()).collect(),
        waiting: standing.waiting,
        oldest: standing.oldest,
        taken: standing.taken,
        taken_at: standing.taken_at,
        failed: standing.failed,
        given_up: standing.given_up,
        off: standing.off,
        failing_since: standing.failing_since,
        why: standing.why,
        next: standing.next,
        blocked: standing.blocked,
    }
}

fn row(standing: ReceiverStanding) -> AttentionRow {
    let ReceiverStanding { name, waiting, off, failing_since, why, blocked, .. } = standing;
    let waits = u32::try_from(waiting).unwrap_or(u32::MAX);
    let waits = format!("{} for it", count(waits, "notification waits", "notifications wait"));
    let (text, why) = match (off, blocked) {
        (_, Some(why)) => (format!("receiver {name} is in trouble"), why),
        (Some(_), None) => {
            (format!("receiver {name} is told nothing more, it answered 410; {waits}"), why)
        }
        (None, None) => (format!("receiver {name} takes no notifications; {waits}"), why),
    };
    AttentionRow {
        word: "notify_failing".into(),
        text,
        why,
        since: off.or(failing_since),
        command: Some(format!("sealift notify test {name}")),
        ..AttentionRow::default()
    }
}

/// Send a test to one receiver, now; one that takes it is told again what waits for it.
#[utoipa::path(
    post,
    path = "/v1/notify/{name}/test",
    operation_id = "test_receiver",
    tag = "process",
    params(("name" = String, Path, description = "The receiver's name in the configuration")),
    responses(
        (status = 200, description = "What became of it, taken or not", body = NotifyTestAnswer),
        RefusedAnswers
    )
)]
pub(super) async fn test(
    State(api): State<Arc<Api>>,
    Operates(caller): Operates,
    Path(name): Path<String>,
) -> Result<Json<NotifyTestAnswer>, ApiError> {
    let Some(notifier) = &api.notifier else { return Err(api.no_receiver(&name)) };
    let outcome = notifier.test(&name, &caller.to_string()).await.map_err(|error| match error {
        TestError::Unknown => api.no_receiver(&name),
        TestError::Busy => ApiError::busy(error.to_string()),
    })?;
    tracing::info!(receiver = name, by = %caller, taken = outcome.taken, "a receiver is tested");
    let (taken, text, excerpt) = (outcome.taken, outcome.text, outcome.excerpt);
    Ok(Json(NotifyTestAnswer { name, taken, text, excerpt }))
}
