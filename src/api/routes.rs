//! The routes: one list, from path to answer.
//!
//! Invariant: every answer is JSON, errors included, and every route but those that say how the process is names by its
//! signature what its caller must be allowed to do.
//!
//! Deliberately not here: what a document says (`reads`, `describe`) and what a verb does (`verbs`, `lane`, `enforcement`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::caller::{Caller, Reads};
use super::fault::{ApiError, spelled};
use super::request::{nowhere, query};
use super::wire::{
    AttentionDoc, ChangeRow, DaemonDoc, Events, JournalRow, Listing, PlanDoc, RolloutDoc, RolloutRow, SavedJob, VerbsDoc, Whoami,
};
use super::{Api, copy, describe, enforcement, find, lane, look, outlook, preflight, stop, submit, verbs};

/// Largest body of a verb: a reason is a sentence.
const VERB_BODY_MAX: usize = 64 * 1024;

/// An answer takes at most this long, waits of `events` and the upload of a plan excepted.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Body of a preflight: 500 instances with four proxies each are 120 KiB.
const PREFLIGHT_BODY_MAX: usize = 1 << 20;

type RouteState = State<Arc<Api>>;

type Shown<T> = Result<Json<T>, ApiError>;

pub fn router(api: Arc<Api>) -> Router {
    let timely = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/v1/whoami", get(whoami))
        .route("/v1/attention", get(attention))
        .route("/v1/daemon", get(daemon))
        .route("/v1/rollouts", get(rollouts))
        .route("/v1/rollouts/{reference}", get(rollout))
        .route("/v1/rollouts/{reference}/changes", get(changes))
        .route("/v1/rollouts/{reference}/jobs", get(jobs))
        .route("/v1/rollouts/{reference}/journal", get(journal))
        .route("/v1/rollouts/{reference}/plan", get(plan))
        .route("/v1/rollouts/{reference}/verbs", get(possible))
        .route("/v1/rollouts/{reference}/pause", post(verbs::pause))
        .route("/v1/rollouts/{reference}/resume", post(verbs::resume))
        .route("/v1/rollouts/{reference}/promote", post(verbs::promote))
        .route("/v1/rollouts/{reference}/approve", post(verbs::approve))
        .route("/v1/rollouts/{reference}/retry", post(verbs::retry))
        .route("/v1/rollouts/{reference}/resolve", post(verbs::resolve))
        .route("/v1/rollouts/{reference}/abort", post(verbs::abort))
        .route("/v1/rollouts/{reference}/revert", post(verbs::revert))
        .route("/v1/lanes/{lane}/pause", post(lane::pause))
        .route("/v1/lanes/{lane}/resume", post(lane::resume))
        .route("/v1/stop", post(stop::stop))
        .route("/v1/start", post(stop::start))
        .route("/v1/enforcements", get(enforcement::list))
        .route("/v1/enforcements/{name}", get(enforcement::one))
        .route("/v1/enforcements/{name}/stop", post(enforcement::stop))
        .route("/v1/enforcements/{name}/release", post(enforcement::release))
        .layer(DefaultBodyLimit::max(VERB_BODY_MAX))
        .layer(axum::middleware::from_fn(in_time));
    Router::new()
        .route("/v1/events", get(events))
        .route("/v1/plans/preview", post(submit::preview))
        .route("/v1/rollouts", post(submit::submit))
        // The upload counts its own bytes, part by part.
        .layer(DefaultBodyLimit::disable())
        // The answer is told as it comes: it takes as long as the quota asks for.
        .route("/v1/store/export", get(copy::export))
        .route("/v1/instances", get(look::instances))
        .route("/v1/looks", post(look::look).layer(DefaultBodyLimit::max(VERB_BODY_MAX)))
        .route("/v1/preflight", post(preflight::preflight).layer(DefaultBodyLimit::max(PREFLIGHT_BODY_MAX)))
        .merge(timely)
        .method_not_allowed_fallback(wrong_method)
        .fallback(nowhere)
        .layer(axum::middleware::from_fn(spelled))
        .with_state(api)
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("no answer within {} s; its disk may be slow, see its log", ANSWER_MAX.as_secs());
            ApiError::busy(message).into_response()
        }
    }
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
}

async fn ready(State(api): RouteState) -> Result<&'static str, ApiError> {
    let snapshot = api.engine();
    if snapshot.passes == 0 || snapshot.draining {
        let why = if snapshot.draining { "ending" } else { "the first pass is not done" };
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why));
    }
    Ok("ready\n")
}

async fn whoami(caller: Caller) -> Json<Whoami> {
    let may = caller.may.words().into_iter().map(str::to_owned).collect();
    Json(Whoami { name: caller.name.to_string(), uid: caller.uid, may, via: caller.via.as_str().into() })
}

async fn attention(State(api): RouteState, _: Reads) -> Shown<AttentionDoc> {
    Ok(Json(api.attention().await?))
}

async fn daemon(State(api): RouteState, _: Reads) -> Json<DaemonDoc> {
    Json(api.daemon().await)
}

async fn rollouts(State(api): RouteState, _: Reads, uri: Uri) -> Shown<Listing<RolloutRow>> {
    Ok(Json(api.rollouts(query(&uri)?).await?))
}

async fn rollout(State(api): RouteState, _: Reads, Path(reference): Path<String>) -> Shown<RolloutDoc> {
    let rollout = find::rollout(&*api.store, &reference).await?;
    Ok(Json(api.describe(&rollout).await?))
}

async fn plan(State(api): RouteState, _: Reads, Path(reference): Path<String>) -> Shown<PlanDoc> {
    let rollout = find::rollout(&*api.store, &reference).await?;
    Ok(Json(describe::plan(&rollout.plan)))
}

async fn possible(State(api): RouteState, Reads(caller): Reads, Path(reference): Path<String>) -> Shown<VerbsDoc> {
    let rollout = find::rollout(&*api.store, &reference).await?;
    Ok(Json(outlook::document(&rollout, &caller, api.now())))
}

async fn changes(State(api): RouteState, _: Reads, Path(reference): Path<String>, uri: Uri) -> Shown<Listing<ChangeRow>> {
    Ok(Json(api.changes(&reference, query(&uri)?).await?))
}

async fn jobs(State(api): RouteState, _: Reads, Path(reference): Path<String>, uri: Uri) -> Shown<Listing<SavedJob>> {
    Ok(Json(api.jobs(&reference, query(&uri)?).await?))
}

async fn journal(State(api): RouteState, _: Reads, Path(reference): Path<String>, uri: Uri) -> Shown<Listing<JournalRow>> {
    Ok(Json(api.journal(&reference, query(&uri)?).await?))
}

async fn events(State(api): RouteState, _: Reads, uri: Uri) -> Shown<Events> {
    Ok(Json(api.events(query(&uri)?).await?))
}
