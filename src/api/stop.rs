//! The switch of everything: stopped and started again by a person, whatever runs.
//!
//! Invariant: once a stop is acknowledged, nothing that changes anything is sent until a start is.
//!
//! Deliberately not here: keeping it over a restart (`api::switches`), what obeys it
//! (`engine::fence`), and ending the daemon, which runs on and answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::caller::{Caller, Operates};
use super::contract::RefusedAnswers;
use super::fault::ApiError;
use super::request::{JsonBody, reason};
use super::switches::Off;
use super::wire::{StopAnswer, StopRequest};
use crate::domain::person::Attribution;
use crate::engine::AskError;
use crate::store::Away;

impl Api {
    /// The engine obeys before the stop is stored: a disk that takes no write keeps nothing going.
    async fn stop_all(&self, mark: Attribution) -> Result<(), ApiError> {
        let mut off = self.switches.lock().await;
        if let Some(known) = &off.stopped {
            let message = format!(
                "everything is stopped already, since {} by {known}; `sealift start` lets work go on",
                known.at
            );
            return Err(ApiError::new(StatusCode::CONFLICT, message));
        }
        self.handle.switch_all(Some(mark.clone())).await.map_err(unanswered)?;
        let next = Off { stopped: Some(mark), ..off.clone() };
        self.switches.keep(&mut off, next).await.map_err(|why| {
            let message =
                format!("{why}; everything is stopped, but only until this daemon ends: mend the disk and say `sealift stop` again");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }

    /// Stored before the engine obeys: after a start that is acknowledged, no restart stops again.
    async fn start_all(&self) -> Result<(), ApiError> {
        let mut off = self.switches.lock().await;
        match &off.stopped {
            Some(_) => {
                let next = Off { stopped: None, ..off.clone() };
                self.switches.keep(&mut off, next).await.map_err(|why| {
                    ApiError::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        format!("{why}; everything is stopped as before"),
                    )
                })?;
            }
            None if self.handle.snapshot().borrow().stop.by.is_some() => {}
            None => {
                return Err(ApiError::new(
                    StatusCode::CONFLICT,
                    "nothing is stopped; a rollout that is held says why in `sealift status`",
                ));
            }
        }
        self.handle.switch_all(None).await.map_err(unanswered)
    }

    /// Changes whose calls go on. What stops everything needs no store: while it is away, what this
    /// daemon has in hand is what there is to tell.
    async fn still_in_flight(&self) -> Result<u32, ApiError> {
        let mut away = self.store.away();
        tokio::select! {
            biased;
            _ = Away::comes(&mut away) => {
                Ok(self.handle.snapshot().borrow().lanes.iter().map(|lane| lane.in_flight).sum())
            }
            open = self.store.open_rollouts() => {
                Ok(open?.iter().map(|rollout| rollout.total().active).sum())
            }
        }
    }

    async fn switch(
        self: Arc<Self>,
        word: &str,
        caller: Caller,
        asked: StopRequest,
    ) -> Result<Json<StopAnswer>, ApiError> {
        let (by, reason) = (caller.to_string(), reason(&asked.reason));
        let mark = (word == "stop").then(|| Attribution {
            by: by.clone(),
            reason: reason.clone(),
            at: self.now(),
        });
        tracing::warn!(verb = word, by, via = %caller.via, reason, "everything is stopped or started by a person");
        let switching = Arc::clone(&self);
        // To its end, whether or not the client waits for it: the file and the engine say the same.
        let done = tokio::spawn(async move {
            match mark {
                Some(mark) => switching.stop_all(mark).await,
                None => switching.start_all().await,
            }
        });
        let done = done.await;
        done.map_err(|error| {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the switch broke: {error}"))
        })??;
        let in_flight = self.still_in_flight().await?;
        let stop_file =
            self.handle.snapshot().borrow().stop.file.as_ref().map(|file| file.path.clone());
        Ok(Json(StopAnswer { verb: word.to_owned(), by, in_flight, stop_file }))
    }
}

fn unanswered(error: AskError) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// Send nothing that changes anything until a start, over restarts too.
#[utoipa::path(
    post,
    path = "/v1/stop",
    operation_id = "stop_all",
    tag = "everything",
    request_body = StopRequest,
    responses((status = 200, description = "Stopped, and durable", body = StopAnswer), RefusedAnswers)
)]
pub(super) async fn stop(
    State(api): State<Arc<Api>>,
    Operates(caller): Operates,
    JsonBody(asked): JsonBody<StopRequest>,
) -> Result<Json<StopAnswer>, ApiError> {
    api.switch("stop", caller, asked).await
}

/// Let work go on after a stop.
#[utoipa::path(
    post,
    path = "/v1/start",
    operation_id = "start_all",
    tag = "everything",
    request_body = StopRequest,
    responses((status = 200, description = "Started, and durable", body = StopAnswer), RefusedAnswers)
)]
pub(super) async fn start(
    State(api): State<Arc<Api>>,
    Operates(caller): Operates,
    JsonBody(asked): JsonBody<StopRequest>,
) -> Result<Json<StopAnswer>, ApiError> {
    api.switch("start", caller, asked).await
}
