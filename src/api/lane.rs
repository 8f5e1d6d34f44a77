//! The lanes as they stand, and the switch of one: paused and resumed by a person, for every
//! rollout that uses it.
//!
//! Deliberately not here: keeping it over a restart (`api::switches`), and what a paused lane does
//! (`engine`).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use utoipa::IntoParams;

use super::caller::{Caller, Operates, Reads};
use super::contract::RefusedAnswers;
use super::fault::ApiError;
use super::reads::limit;
use super::request::{JsonBody, query, reason};
use super::wire::{LaneAnswer, LaneRequest, LaneRow, Listing};
use super::{Api, describe};
use crate::domain::id::Name;
use crate::domain::lane::Lane;
use crate::domain::person::Attribution;
use crate::yaml::suggest::nearest;

impl Api {
    /// Pauses a lane, or resumes it; one switch after the other.
    async fn switch_lane(&self, lane: Name, mark: Option<Attribution>) -> Result<(), ApiError> {
        let mut off = self.switches.lock().await;
        match (&mark, off.paused.get(&lane)) {
            (Some(_), Some(known)) => {
                return Err(ApiError::new(
                    StatusCode::CONFLICT,
                    format!("lane {lane} is paused already, by {}", known.by),
                ));
            }
            (None, None) => {
                return Err(ApiError::new(
                    StatusCode::CONFLICT,
                    format!("lane {lane} is not paused"),
                ));
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        let mut next = off.clone();
        match &mark {
            Some(mark) => drop(next.paused.insert(lane.clone(), mark.clone())),
            None => drop(next.paused.remove(&lane)),
        }
        self.switches.keep(&mut off, next).await.map_err(|why| {
            let message =
                format!("{why}; the lane is as it was, and `sealift stop` stops everything");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
        })?;
        // Kept for the next start in any case.
        self.handle
            .switch_lane(lane, mark)
            .await
            .map_err(|error| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
    }
}

/// A page of the lanes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LanesQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// Rows of the page at most.
    limit: Option<usize>,
}

/// Every lane of the configuration with who it is and how it stands, by name.
#[utoipa::path(
    get,
    path = "/v1/lanes",
    operation_id = "lanes",
    tag = "lanes",
    params(LanesQuery),
    responses((status = 200, description = "A page of lanes", body = Listing<LaneRow>), RefusedAnswers)
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Reads,
    uri: Uri,
) -> Result<Json<Listing<LaneRow>>, ApiError> {
    let LanesQuery { after, limit: most } = query(&uri)?;
    let most = limit(most);
    let snapshot = api.handle.snapshot().borrow().clone();
    let standing: BTreeMap<&Name, _> =
        snapshot.lanes.iter().map(|lane| (&lane.lane, lane)).collect();
    let mut lanes: Vec<&Lane> = api.lanes.iter().collect();
    lanes.sort_by_key(|lane| &lane.name);
    let rest = lanes
        .into_iter()
        .filter(|lane| after.as_deref().is_none_or(|after| lane.name.as_str() > after));
    let mut rows: Vec<LaneRow> = rest
        // An engine that has not made its first pass tells of none.
        .filter_map(|lane| Some((lane, *standing.get(&lane.name)?)))
        .map(|(lane, state)| LaneRow {
            state: describe::lane(state),
            endpoint: lane.access.endpoint.clone(),
            project_id: lane.access.project_id.to_string(),
            identity: lane.access.credentials.identity(),
            shares: state.shares.as_ref().map(ToString::to_string),
            last_good: state.good_at,
        })
        .take(most + 1)
        .collect();
    let more = rows.len() > most;
    rows.truncate(most);
    let next = rows.last().filter(|_| more).map(|row| row.state.lane.clone());
    Ok(Json(Listing { rows, next }))
}

/// Send nothing that changes anything over this lane until it is resumed.
#[utoipa::path(
    post,
    path = "/v1/lanes/{lane}/pause",
    operation_id = "pause_lane",
    tag = "lanes",
    params(("lane" = String, Path, description = "The lane's name in the configuration")),
    request_body = LaneRequest,
    responses((status = 200, description = "Paused, and durable", body = LaneAnswer), RefusedAnswers)
)]
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    Operates(caller): Operates,
    Path(lane): Path<String>,
    JsonBody(asked): JsonBody<LaneRequest>,
) -> Result<Json<LaneAnswer>, ApiError> {
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, no_lane(&api, &lane));
    let name = Name::parse(&lane, "lane").map_err(|_| unknown())?;
    if !api.lanes.iter().any(|lane| lane.name == name) {
        return Err(unknown());
    }
    let mark = Attribution { by: caller.to_string(), reason: reason(&asked.reason), at: api.now() };
    switch(api, name, "pause", Some(mark), &caller, &asked.reason).await
}

/// Let the lane be used again; also one that went from the configuration.
#[utoipa::path(
    post,
    path = "/v1/lanes/{lane}/resume",
    operation_id = "resume_lane",
    tag = "lanes",
    params(("lane" = String, Path, description = "The lane's name in the configuration")),
    request_body = LaneRequest,
    responses((status = 200, description = "Resumed, and durable", body = LaneAnswer), RefusedAnswers)
)]
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    Operates(caller): Operates,
    Path(lane): Path<String>,
    JsonBody(asked): JsonBody<LaneRequest>,
) -> Result<Json<LaneAnswer>, ApiError> {
    let name = Name::parse(&lane, "lane")
        .map_err(|_| ApiError::new(StatusCode::NOT_FOUND, no_lane(&api, &lane)))?;
    switch(api, name, "resume", None, &caller, &asked.reason).await
}

async fn switch(
    api: Arc<Api>,
    name: Name,
    word: &'static str,
    mark: Option<Attribution>,
    caller: &Caller,
    why: &str,
) -> Result<Json<LaneAnswer>, ApiError> {
    tracing::info!(lane = %name, verb = word, by = %caller, via = %caller.via, reason = %reason(why), "a lane is switched");
    let switched = name.clone();
    // To its end, whether or not the client waits for it: the file and the engine say the same.
    let done = tokio::spawn(async move { api.switch_lane(switched, mark).await }).await;
    done.map_err(|error| {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("switching the lane broke: {error}"),
        )
    })??;
    Ok(Json(LaneAnswer { lane: name.to_string(), verb: word.to_owned(), by: caller.to_string() }))
}

/// That there is no such lane, and which was probably meant.
pub(super) fn no_lane(api: &Api, lane: &str) -> String {
    let known: Vec<&str> = api.lanes.iter().map(|lane| lane.name.as_str()).collect();
    let hint = match nearest(lane, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "add it to `lanes`".to_owned(),
        None => format!("it has {}", known.join(", ")),
    };
    format!("the configuration has no lane {}; {hint}", lane.escape_debug())
}
