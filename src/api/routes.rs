//! The routes: one list, from path to answer.
//!
//! Invariant: every answer is JSON, errors included, and every route but those that say how the
//! process is names by its signature what its caller must be allowed to do.
//!
//! Deliberately not here: what a document says (`reads`, `describe`) and what a verb does (`verbs`,
//! `lane`, `enforcement`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::calendar::CalendarQuery;
use super::caller::{Caller, Reads};
use super::contract::RefusedAnswers;
use super::fault::{ApiError, spelled};
use super::morning::ReportQuery;
use super::reads::{
    ChangeJournalQuery, ChangesQuery, EventsQuery, JobsQuery, JournalQuery, RolloutsQuery,
};
use super::request::{nowhere, query};
use super::timeline::TimelineQuery;
use super::wire::{
    AttentionDoc, CalendarDoc, ChangeJournal, ChangeRow, DaemonDoc, Events, FoundDoc, JournalRow,
    Listing, PlanDoc, ReportDoc, RolloutDoc, RolloutRow, SavedJob, TimelineDoc, TonightDoc,
    VerbsDoc, Whoami,
};
use super::{
    Api, contract, copy, describe, door, enforcement, find, lane, look, moved, notify, outlook,
    preflight, stop, submit, tail, verbs,
};
use crate::store::Away;

/// Largest body of a verb: a reason is a sentence.
const VERB_BODY_MAX: usize = 64 * 1024;

/// An answer takes at most this long, waits of `events` and the upload of a plan excepted.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Body of a preflight: 500 instances with four proxies each are 120 KiB.
const PREFLIGHT_BODY_MAX: usize = 1 << 20;

type RouteState = State<Arc<Api>>;

type Shown<T> = Result<Json<T>, ApiError>;

pub fn router(api: Arc<Api>) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .method_not_allowed_fallback(wrong_method)
        .fallback(nowhere)
        .layer(axum::middleware::from_fn(spelled))
        .layer(axum::middleware::from_fn_with_state(api.clone(), at_once))
        .with_state(api)
}

/// The contract of all routes in OpenAPI 3.1, as `docs/openapi.json` keeps it.
pub fn openapi() -> String {
    let mut whole = routes().into_openapi();
    whole.merge(door::contract());
    let mut document = whole.to_pretty_json().expect("the document is JSON");
    document.push('\n');
    document
}

/// Every route with what the contract says of it: one that is put in otherwise would be missing
/// there.
fn routes() -> OpenApiRouter<Arc<Api>> {
    let timely = OpenApiRouter::new()
        .routes(routes!(healthy))
        .routes(routes!(ready))
        .routes(routes!(whoami))
        .routes(routes!(attention))
        .routes(routes!(calendar))
        .routes(routes!(tonight))
        .routes(routes!(found))
        .routes(routes!(daemon))
        .routes(routes!(rollouts))
        .routes(routes!(rollout))
        .routes(routes!(changes))
        .routes(routes!(change))
        .routes(routes!(change_journal))
        .routes(routes!(jobs))
        .routes(routes!(timeline))
        .routes(routes!(report))
        .routes(routes!(journal))
        .routes(routes!(plan))
        .routes(routes!(possible))
        .routes(routes!(verbs::pause))
        .routes(routes!(verbs::resume))
        .routes(routes!(verbs::promote))
        .routes(routes!(verbs::approve))
        .routes(routes!(verbs::retry))
        .routes(routes!(verbs::resolve))
        .routes(routes!(verbs::abort))
        .routes(routes!(verbs::revert))
        .routes(routes!(lane::list))
        .routes(routes!(lane::pause))
        .routes(routes!(lane::resume))
        .routes(routes!(stop::stop))
        .routes(routes!(stop::start))
        .routes(routes!(enforcement::list))
        .routes(routes!(enforcement::one))
        .routes(routes!(enforcement::stop))
        .routes(routes!(enforcement::release))
        .layer(DefaultBodyLimit::max(VERB_BODY_MAX))
        .layer(axum::middleware::from_fn(in_time));
    let looks = OpenApiRouter::new()
        .routes(routes!(look::look))
        .layer(DefaultBodyLimit::max(VERB_BODY_MAX));
    // It takes as long as its receiver may.
    let tests = OpenApiRouter::new()
        .routes(routes!(notify::test))
        .layer(DefaultBodyLimit::max(VERB_BODY_MAX));
    let preflights = OpenApiRouter::new()
        .routes(routes!(preflight::preflight))
        .layer(DefaultBodyLimit::max(PREFLIGHT_BODY_MAX));
    // The upload counts its own bytes, part by part.
    let uploads = OpenApiRouter::new()
        .routes(routes!(submit::preview))
        .routes(routes!(submit::submit))
        .layer(DefaultBodyLimit::disable());
    // The answers of these are told as they come: they take as long as the quota, the disk or the
    // wait asks for.
    OpenApiRouter::with_openapi(contract::base())
        .routes(routes!(events))
        .routes(routes!(moved::moved))
        .routes(routes!(tail::tail))
        .routes(routes!(copy::export))
        .routes(routes!(look::instances))
        .merge(looks)
        .merge(tests)
        .merge(preflights)
        .merge(uploads)
        .merge(timely)
}

/// A read that would wait for a store that is away is answered at once with since when. A verb is
/// refused where it looks for what it is about; `stop` and what belongs to lanes need no store.
async fn at_once(State(api): RouteState, request: Request, next: Next) -> Response {
    if request.method() != Method::GET {
        return next.run(request).await;
    }
    let mut away = api.store.away();
    tokio::select! {
        biased;
        response = next.run(request) => response,
        away = Away::comes(&mut away) => ApiError::not_at_hand(&away).into_response(),
    }
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!(
                "no answer within {} s; its disk may be slow, see its log",
                ANSWER_MAX.as_secs()
            );
            ApiError::busy(message).into_response()
        }
    }
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
}

/// Whether the process is well: 200 while a pass of the engine ended within the last 30 seconds.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthy",
    tag = "process",
    responses((status = 200, description = "One word", body = String, content_type = "text/plain"), RefusedAnswers)
)]
async fn healthy(State(api): RouteState) -> Result<&'static str, ApiError> {
    api.alive().map_err(|why| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why))?;
    Ok("ok\n")
}

/// Whether it takes work: after the first pass, until it ends, while it and its store are well.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    tag = "process",
    responses((status = 200, description = "One word", body = String, content_type = "text/plain"), RefusedAnswers)
)]
async fn ready(State(api): RouteState) -> Result<&'static str, ApiError> {
    api.takes_work().map_err(|why| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why))?;
    Ok("ready\n")
}

/// Who calls, as the daemon knows them, and what they may.
#[utoipa::path(
    get,
    path = "/v1/whoami",
    operation_id = "whoami",
    tag = "reads",
    responses((status = 200, description = "Who calls", body = Whoami), RefusedAnswers)
)]
async fn whoami(caller: Caller) -> Json<Whoami> {
    let may = caller.may.words().into_iter().map(str::to_owned).collect();
    Json(Whoami {
        name: caller.name.to_string(),
        uid: caller.uid,
        may,
        via: caller.via.as_str().into(),
    })
}

/// What wants a person, the gravest first, and whether work goes on.
#[utoipa::path(
    get,
    path = "/v1/attention",
    operation_id = "attention",
    tag = "reads",
    responses((status = 200, description = "What wants a person", body = AttentionDoc), RefusedAnswers)
)]
async fn attention(State(api): RouteState, _: Reads) -> Shown<AttentionDoc> {
    Ok(Json(api.attention().await?))
}

/// What settled, was asked of the cloud and was refused tonight, of all rollouts together.
#[utoipa::path(
    get,
    path = "/v1/tonight",
    operation_id = "tonight",
    tag = "reads",
    responses((status = 200, description = "Tonight in bins of five minutes", body = TonightDoc), RefusedAnswers)
)]
async fn tonight(State(api): RouteState, _: Reads) -> Shown<TonightDoc> {
    Ok(Json(api.tonight().await?))
}

/// What opens, ticks and holds in the next days: the windows of all open rollouts, enforcements,
/// lanes.
#[utoipa::path(
    get,
    path = "/v1/calendar",
    operation_id = "calendar",
    tag = "reads",
    params(CalendarQuery),
    responses((status = 200, description = "The next days", body = CalendarDoc), RefusedAnswers)
)]
async fn calendar(State(api): RouteState, _: Reads, uri: Uri) -> Shown<CalendarDoc> {
    Ok(Json(api.calendar(query(&uri)?).await?))
}

/// How the daemon stands: its store, its lanes, what stops everything, and plan files that were not
/// taken.
#[utoipa::path(
    get,
    path = "/v1/daemon",
    operation_id = "daemon",
    tag = "reads",
    responses((status = 200, description = "How the daemon stands", body = DaemonDoc), RefusedAnswers)
)]
async fn daemon(State(api): RouteState, _: Reads) -> Json<DaemonDoc> {
    Json(api.daemon().await)
}

/// Every rollout, newest first.
#[utoipa::path(
    get,
    path = "/v1/rollouts",
    operation_id = "rollouts",
    tag = "rollouts",
    params(RolloutsQuery),
    responses((status = 200, description = "A page of rollouts", body = Listing<RolloutRow>), RefusedAnswers)
)]
async fn rollouts(State(api): RouteState, _: Reads, uri: Uri) -> Shown<Listing<RolloutRow>> {
    Ok(Json(api.rollouts(query(&uri)?).await?))
}

/// How one rollout stands.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}",
    operation_id = "rollout",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
    ),
    responses((status = 200, description = "How it stands", body = RolloutDoc), RefusedAnswers)
)]
async fn rollout(
    State(api): RouteState,
    _: Reads,
    Path(reference): Path<String>,
) -> Shown<RolloutDoc> {
    let rollout = find::rollout(&*api.store, &reference).await?;
    Ok(Json(api.describe(&rollout).await?))
}

/// What the rollout's plan file said, key by key.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}/plan",
    operation_id = "plan",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
    ),
    responses((status = 200, description = "Its plan", body = PlanDoc), RefusedAnswers)
)]
async fn plan(State(api): RouteState, _: Reads, Path(reference): Path<String>) -> Shown<PlanDoc> {
    let rollout = find::rollout(&*api.store, &reference).await?;
    Ok(Json(describe::plan(&rollout.plan)))
}

/// What this caller could do to the rollout now: which verbs are possible or why not, what each
/// would do, and what it asks before.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}/verbs",
    operation_id = "possible_verbs",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
    ),
    responses((status = 200, description = "Every verb", body = VerbsDoc), RefusedAnswers)
)]
async fn possible(
    State(api): RouteState,
    Reads(caller): Reads,
    Path(reference): Path<String>,
) -> Shown<VerbsDoc> {
    let rollout = find::rollout(&*api.store, &reference).await?;
    Ok(Json(outlook::document(&rollout, &caller, api.now())))
}

/// The rollout's changes, in the order of its targets.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}/changes",
    operation_id = "changes",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ChangesQuery,
    ),
    responses((status = 200, description = "A page of changes", body = Listing<ChangeRow>), RefusedAnswers)
)]
async fn changes(
    State(api): RouteState,
    _: Reads,
    Path(reference): Path<String>,
    uri: Uri,
) -> Shown<Listing<ChangeRow>> {
    Ok(Json(api.changes(&reference, query(&uri)?).await?))
}

/// One change, by its place in the target list.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}/changes/{ordinal}",
    operation_id = "change",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("ordinal" = u32, Path, description = "Its place in the rollout's target list, from 0"),
    ),
    responses((status = 200, description = "How it stands", body = ChangeRow), RefusedAnswers)
)]
async fn change(
    State(api): RouteState,
    _: Reads,
    Path((reference, ordinal)): Path<(String, u32)>,
) -> Shown<ChangeRow> {
    Ok(Json(api.change(&reference, ordinal).await?))
}

/// The journal's entries of one change, newest first.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}/changes/{ordinal}/journal",
    operation_id = "change_journal",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("ordinal" = u32, Path, description = "Its place in the rollout's target list, from 0"),
        ChangeJournalQuery,
    ),
    responses((status = 200, description = "A page of its entries", body = ChangeJournal), RefusedAnswers)
)]
async fn change_journal(
    State(api): RouteState,
    _: Reads,
    Path((reference, ordinal)): Path<(String, u32)>,
    uri: Uri,
) -> Shown<ChangeJournal> {
    Ok(Json(api.change_journal(&reference, ordinal, query(&uri)?).await?))
}

/// What happened to the rollout in bins of five minutes, and what is expected of it.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}/timeline",
    operation_id = "timeline",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        TimelineQuery,
    ),
    responses((status = 200, description = "A stretch of its time", body = TimelineDoc), RefusedAnswers)
)]
async fn timeline(
    State(api): RouteState,
    _: Reads,
    Path(reference): Path<String>,
    uri: Uri,
) -> Shown<TimelineDoc> {
    Ok(Json(api.timeline_asked(&reference, query(&uri)?).await?))
}

/// The morning's report: what was done, what was not, who decided what, and what proves it.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}/report",
    operation_id = "report",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ReportQuery,
    ),
    responses((status = 200, description = "Of one night, or of the whole rollout", body = ReportDoc), RefusedAnswers)
)]
async fn report(
    State(api): RouteState,
    _: Reads,
    Path(reference): Path<String>,
    uri: Uri,
) -> Shown<ReportDoc> {
    Ok(Json(api.report_asked(&reference, query(&uri)?).await?))
}

/// Every saved job id of the rollout.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}/jobs",
    operation_id = "jobs",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        JobsQuery,
    ),
    responses((status = 200, description = "A page of job ids", body = Listing<SavedJob>), RefusedAnswers)
)]
async fn jobs(
    State(api): RouteState,
    _: Reads,
    Path(reference): Path<String>,
    uri: Uri,
) -> Shown<Listing<SavedJob>> {
    Ok(Json(api.jobs(&reference, query(&uri)?).await?))
}

/// The rollout's journal, oldest first.
#[utoipa::path(
    get,
    path = "/v1/rollouts/{reference}/journal",
    operation_id = "journal",
    tag = "rollouts",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        JournalQuery,
    ),
    responses((status = 200, description = "A page of the journal", body = Listing<JournalRow>), RefusedAnswers)
)]
async fn journal(
    State(api): RouteState,
    _: Reads,
    Path(reference): Path<String>,
    uri: Uri,
) -> Shown<Listing<JournalRow>> {
    Ok(Json(api.journal(&reference, query(&uri)?).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FindQuery {
    /// The first characters of an id, at least four.
    begins: String,
}

/// Finds what an id is: a rollout, a proxy, an instance, a job or a request of the cloud. It
/// searches for two seconds at most.
#[utoipa::path(
    get,
    path = "/v1/find",
    operation_id = "find",
    tag = "reads",
    params(FindQuery),
    responses((status = 200, description = "What has an id that begins so", body = FoundDoc), RefusedAnswers)
)]
async fn found(State(api): RouteState, _: Reads, uri: Uri) -> Shown<FoundDoc> {
    let asked: FindQuery = query(&uri)?;
    Ok(Json(api.search(&asked.begins).await?))
}

/// Waits until something moved, then says how the rollouts asked for stand.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "events",
    tag = "reads",
    params(EventsQuery),
    responses((status = 200, description = "The rollouts asked for", body = Events), RefusedAnswers)
)]
async fn events(State(api): RouteState, _: Reads, uri: Uri) -> Shown<Events> {
    Ok(Json(api.events(query(&uri)?).await?))
}
