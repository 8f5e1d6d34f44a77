//! The routes: one list, from path to answer.
//!
//! Invariant: every answer is JSON, errors included; every listing has a limit and a cursor.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;

use super::caller::{Caller, Reads};
use super::fault::{ApiError, spelled};
use super::request::{nowhere, query, reason, verb_request};
use super::wire::{
    ChangeRow, DaemonDoc, Events, JournalRow, Listing, PlanDoc, RolloutDoc, RolloutRow, SavedJob, VerbAnswer, VerbRequest, Whoami,
};
use super::{Api, by_hand, copy, describe, enforcement, find, hold, lane, look, preflight, stop, submit};
use crate::domain::change::State as ChangeState;
use crate::domain::id::{Digest, RolloutId};
use crate::domain::people::Role;
use crate::domain::rollout::{Requeue, Verb};
use crate::engine::{Command, Snapshot};
use crate::store::Rollout;
use crate::yaml::suggest::nearest;

/// Rows of a page when the client does not say.
pub const PAGE_DEFAULT: usize = 200;

/// Rows of a page at most: some hundred kilobytes of JSON.
pub const PAGE_MAX: usize = 1000;

/// Pages of changes looked through for one page of jobs, so that a long queue without jobs costs few requests.
const JOB_PAGES: usize = 20;

/// Batches of the journal looked through for one page of it, so that a filter that wants little costs few requests and
/// none of them takes long.
const JOURNAL_BATCHES: usize = 20;

/// Largest body of a verb: a reason is a sentence.
const VERB_BODY_MAX: usize = 64 * 1024;

/// Longest wait of `events`.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// An answer takes at most this long, waits of `events` and the upload of a plan excepted.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Open rollouts described in one answer of `events`.
const EVENTS_MAX: usize = 50;

/// Body of a preflight: 500 instances with four proxies each are 120 KiB.
const PREFLIGHT_BODY_MAX: usize = 1 << 20;

type RouteState = State<Arc<Api>>;

pub fn router(api: Arc<Api>) -> Router {
    let timely = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/v1/whoami", get(whoami))
        .route("/v1/daemon", get(daemon))
        .route("/v1/rollouts", get(rollouts))
        .route("/v1/rollouts/{reference}", get(rollout))
        .route("/v1/rollouts/{reference}/changes", get(changes))
        .route("/v1/rollouts/{reference}/jobs", get(jobs))
        .route("/v1/rollouts/{reference}/journal", get(journal))
        .route("/v1/rollouts/{reference}/plan", get(plan))
        .route("/v1/rollouts/{reference}/{verb}", post(verb))
        .route("/v1/lanes/{lane}/{verb}", post(lane::verb))
        .route("/v1/stop", post(stop::stop))
        .route("/v1/start", post(stop::start))
        .route("/v1/enforcements", get(enforcement::list))
        .route("/v1/enforcements/{name}", get(enforcement::one))
        .route("/v1/enforcements/{name}/{verb}", post(enforcement::verb))
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

fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX)
}

impl Api {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.times().wall
    }

    fn engine(&self) -> Arc<Snapshot> {
        self.handle.snapshot().borrow().clone()
    }

    async fn describe(&self, rollout: &Rollout) -> Result<RolloutDoc, ApiError> {
        let now = self.now();
        let measured = self.meter.measure(rollout, now).await?;
        let forecast = self.forecaster.of(rollout).await;
        let enforcement = self.enforcement_of(rollout).await?.map(Box::new);
        let groups_full = hold::groups_full(rollout, &*self.store).await?;
        let doc = describe::rollout(rollout, &self.engine(), &measured, groups_full, now);
        Ok(RolloutDoc { enforcement, ..doc }.with_forecast(forecast))
    }
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

async fn daemon(State(api): RouteState, _: Reads) -> Json<DaemonDoc> {
    // Beside the rest of it; a store that is out of order is told by its health.
    let growth = api.store.growth(api.clock.times().wall).await.unwrap_or_default();
    let plans = api.plans.borrow().clone();
    let doc = describe::daemon(&api.engine(), api.store.health(), growth, plans, api.started_at);
    Json(DaemonDoc { stop_file: api.switches.stop_file(), ..doc })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolloutsQuery {
    after: Option<String>,
    limit: Option<usize>,
    /// Only those that are not over.
    #[serde(default)]
    open: bool,
}

async fn rollouts(State(api): RouteState, _: Reads, uri: Uri) -> Result<Json<Listing<RolloutRow>>, ApiError> {
    let asked: RolloutsQuery = query(&uri)?;
    if asked.open {
        let rows = find::open_rollouts(&*api.store).await?.iter().rev().map(describe::row).collect();
        return Ok(Json(Listing { rows, next: None }));
    }
    let after = asked.after.map(|after| after.parse::<RolloutId>()).transpose();
    let after = after.map_err(|_| ApiError::bad("`after` is the `next` of the page before"))?;
    let limit = limit(asked.limit);
    let found = api.store.rollouts(after, limit).await?;
    let next = if found.len() == limit { found.last().map(|last| last.id.to_string()) } else { None };
    Ok(Json(Listing { rows: found.iter().map(describe::row).collect(), next }))
}

async fn rollout(State(api): RouteState, _: Reads, Path(reference): Path<String>) -> Result<Json<RolloutDoc>, ApiError> {
    let rollout = find::rollout(&*api.store, &reference).await?;
    Ok(Json(api.describe(&rollout).await?))
}

async fn plan(State(api): RouteState, _: Reads, Path(reference): Path<String>) -> Result<Json<PlanDoc>, ApiError> {
    let rollout = find::rollout(&*api.store, &reference).await?;
    Ok(Json(describe::plan(&rollout.plan)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesQuery {
    /// Words of the change table, with commas between; `active` stands for all that is in flight.
    state: Option<String>,
    after: Option<u32>,
    limit: Option<usize>,
}

fn states(asked: Option<&str>) -> Result<Vec<String>, ApiError> {
    let mut words: Vec<String> = Vec::new();
    for word in asked.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "active" => words.extend(ChangeState::ACTIVE.map(str::to_owned)),
            _ if ChangeState::WORDS.contains(&word) => words.push(word.to_owned()),
            _ => {
                let near = nearest(word, ChangeState::WORDS.into_iter().chain(["active"]));
                let hint =
                    near.map_or_else(|| format!("use active, {}", ChangeState::WORDS.join(", ")), |near| format!("did you mean `{near}`?"));
                return Err(ApiError::bad(format!("`{}` is no state; {hint}", word.escape_debug())));
            }
        }
    }
    Ok(words)
}

async fn changes(State(api): RouteState, _: Reads, Path(reference): Path<String>, uri: Uri) -> Result<Json<Listing<ChangeRow>>, ApiError> {
    let asked: ChangesQuery = query(&uri)?;
    let words = states(asked.state.as_deref())?;
    let rollout = find::rollout(&*api.store, &reference).await?;
    let page = api.store.page(rollout.id, words, asked.after, limit(asked.limit)).await?;
    let now = api.now();
    let holds = hold::of_changes(&page.changes, &rollout, &api.engine(), &*api.store, now).await?;
    let rows = page.changes.iter().zip(holds).map(|(active, hold)| describe::change(active, &rollout, hold)).collect();
    Ok(Json(Listing { rows, next: page.next.map(|next| next.to_string()) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobsQuery {
    after: Option<u32>,
    limit: Option<usize>,
}

async fn jobs(State(api): RouteState, _: Reads, Path(reference): Path<String>, uri: Uri) -> Result<Json<Listing<SavedJob>>, ApiError> {
    let asked: JobsQuery = query(&uri)?;
    let limit = limit(asked.limit);
    let rollout = find::rollout(&*api.store, &reference).await?;
    let (mut rows, mut after) = (Vec::new(), asked.after);
    for _ in 0..JOB_PAGES {
        let page = api.store.page(rollout.id, Vec::new(), after, limit).await?;
        rows.extend(page.changes.iter().flat_map(|active| describe::jobs(active, &rollout)));
        after = page.next;
        if after.is_none() || rows.len() >= limit {
            break;
        }
    }
    Ok(Json(Listing { rows, next: after.map(|next| next.to_string()) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    /// Only entries of changes whose proxy's id begins so.
    proxy: Option<String>,
    /// Only entries from this instant on.
    since: Option<Timestamp>,
}

impl JournalQuery {
    fn filters(&self) -> bool {
        self.proxy.is_some() || self.since.is_some()
    }

    fn wants(&self, row: &JournalRow) -> bool {
        let of_proxy = |proxy: &String| row.proxy_id.as_ref().is_some_and(|id| id.starts_with(proxy.as_str()));
        self.proxy.as_ref().is_none_or(of_proxy) && self.since.is_none_or(|since| row.at >= since)
    }
}

async fn journal(State(api): RouteState, _: Reads, Path(reference): Path<String>, uri: Uri) -> Result<Json<Listing<JournalRow>>, ApiError> {
    let asked: JournalQuery = query(&uri)?;
    let limit = limit(asked.limit);
    let batch = if asked.filters() { PAGE_MAX } else { limit };
    let rollout = find::rollout(&*api.store, &reference).await?;
    let (mut rows, mut after, mut more) = (Vec::new(), asked.after, true);
    for _ in 0..JOURNAL_BATCHES {
        let entries = api.store.journal(Some(rollout.id), after, batch).await?;
        more = entries.len() == batch;
        for entry in &entries {
            if rows.len() == limit {
                more = true;
                break;
            }
            after = entry.seq;
            rows.extend(Some(describe::entry(entry)).filter(|row| asked.wants(row)));
        }
        if !more || rows.len() == limit {
            break;
        }
    }
    Ok(Json(Listing { rows, next: more.then(|| after.to_string()) }))
}

async fn verb(
    State(api): RouteState,
    Path((reference, word)): Path<(String, String)>,
    caller: Caller,
    uri: Uri,
    body: Bytes,
) -> Result<Json<VerbAnswer>, ApiError> {
    caller.must(if word == "approve" { Role::Approve } else { Role::Operate }, &format!("`{}`", word.escape_debug()))?;
    let asked: VerbRequest = verb_request(&body)?;
    if asked.in_doubt && word != "retry" {
        return Err(ApiError::bad(format!("`in_doubt` belongs to `retry`, not to `{}`", word.escape_debug())));
    }
    if asked.proxy.is_some() && !matches!(word.as_str(), "retry" | "resolve") {
        return Err(ApiError::bad(format!("`proxy` belongs to `retry` and `resolve`, not to `{}`", word.escape_debug())));
    }
    if (asked.job.is_some() || asked.give_up) && word != "resolve" {
        return Err(ApiError::bad(format!("`job` and `give_up` belong to `resolve`, not to `{}`", word.escape_debug())));
    }
    if asked.until.is_some() && word != "pause" {
        return Err(ApiError::bad(format!("`until` belongs to `pause`, not to `{}`", word.escape_debug())));
    }
    if asked.digest.is_some() && word != "approve" {
        return Err(ApiError::bad(format!("`digest` belongs to `approve`, not to `{}`", word.escape_debug())));
    }
    if asked.proxy.is_some() && asked.in_doubt {
        return Err(ApiError::bad("`in_doubt` is for all that are; the one `proxy` is retried whether it failed or is in doubt"));
    }
    let rollout = find::rollout(&*api.store, &reference).await?;
    let verb = match word.as_str() {
        "retry" if asked.proxy.is_some() => by_hand::retry(&api, &rollout, asked.proxy.as_deref().unwrap_or_default()).await?,
        "resolve" => by_hand::resolve(&api, &rollout, &asked).await?,
        "pause" => Verb::Pause { until: asked.until },
        "approve" => Verb::Approve { digest: approved(asked.digest.as_deref())? },
        "revert" => Verb::Revert,
        "resume" => Verb::Resume,
        "abort" => Verb::Abort,
        "retry" if asked.in_doubt => Verb::Retry(Requeue::FailedAndInDoubt),
        "retry" => Verb::Retry(Requeue::Failed),
        "promote" => Verb::Promote,
        _ => return Err(nowhere(uri).await),
    };
    let towards = rollout.plan.ssl_option != (verb == Verb::Revert);
    if !towards && !matches!(verb, Verb::Pause { .. } | Verb::Abort | Verb::Approve { .. }) {
        caller.must(Role::Off, "what switches SSL off")?;
    }
    let reason = reason(&asked.reason);
    let done = api.handle.command(Command { rollout: rollout.id, verb, by: caller.person(), reason }).await?;
    tracing::info!(rollout = %rollout.plan.name, id = %rollout.id.short(), verb = %word, by = %caller, phase = done.phase, "verb carried out");
    Ok(Json(VerbAnswer {
        id: rollout.id.to_string(),
        name: rollout.plan.name.to_string(),
        verb: word,
        by: caller.to_string(),
        phase: done.phase.into(),
        wave: done.wave.map(|wave| wave + 1),
        waves: u16::try_from(rollout.plan.strategy.waves.len()).unwrap_or(u16::MAX),
        in_flight: u32::try_from(done.in_flight.len()).unwrap_or(u32::MAX),
    }))
}

fn approved(digest: Option<&str>) -> Result<Digest, ApiError> {
    let digest = digest.ok_or_else(|| ApiError::bad("an approval names the `digest` that was looked at; `sealift plan` shows it"))?;
    digest
        .parse()
        .map_err(|_| ApiError::bad(format!("`{}` is no digest: 64 hex digits, as `sealift plan` shows it", digest.escape_debug())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Answer as soon as the journal has grown past this; absent: at once.
    after: Option<u64>,
    /// Only this rollout; absent: those that are not over.
    rollout: Option<String>,
    /// Seconds to wait at most, then answer whatever stands.
    wait: Option<u64>,
}

async fn events(State(api): RouteState, _: Reads, uri: Uri) -> Result<Json<Events>, ApiError> {
    let asked: EventsQuery = query(&uri)?;
    let wait = asked.wait.map_or(WAIT_MAX, Duration::from_secs).min(WAIT_MAX);
    if let Some(after) = asked.after {
        let waited = grown(&api, after);
        tokio::select! {
            biased;
            () = api.stop.cancelled() => {}
            () = waited => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    let seq = api.store.health().seq;
    let found = match asked.rollout {
        Some(reference) => vec![find::rollout(&*api.store, &reference).await?],
        None => find::open_rollouts(&*api.store).await?,
    };
    let mut rollouts = Vec::new();
    for rollout in found.iter().take(EVENTS_MAX) {
        rollouts.push(api.describe(rollout).await?);
    }
    Ok(Json(Events { seq, rollouts }))
}

async fn grown(api: &Api, after: u64) {
    let mut snapshot = api.handle.snapshot();
    while api.store.health().seq <= after {
        if snapshot.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_the_words_of_the_table_and_nothing_else() {
        assert_eq!(states(None).expect("no filter"), Vec::<String>::new());
        assert_eq!(states(Some("failed,in_doubt")).expect("two words"), ["failed", "in_doubt"]);
        assert_eq!(states(Some("active")).expect("the short word"), ChangeState::ACTIVE);
        let told = |word: &str| format!("{:?}", states(Some(word)).expect_err("no state"));
        assert!(told("fialed").contains("did you mean `failed`?"), "{}", told("fialed"));
        assert!(told("done").contains("use active, "), "{}", told("done"));
    }

    #[test]
    fn active_stands_for_every_state_that_is_neither_queued_nor_settled() {
        let rest: Vec<_> = ChangeState::WORDS.iter().filter(|word| !ChangeState::ACTIVE.contains(word)).copied().collect();
        assert_eq!(rest, ["queued", "succeeded", "failed", "in_doubt", "cancelled", "reverted", "skipped"]);
    }
}
