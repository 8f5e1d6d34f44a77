//! The verbs on a rollout: one route and one body each.
//!
//! Invariants: a verb is answered with success only when it is durable; one that was sent with the
//! tag of another record than the present one does nothing, and is answered with how the rollout
//! stands now.
//!
//! Deliberately not here: whether a verb means anything in this state (`domain::rollout`).

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::HeaderMap;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;

use super::caller::{Approves, Caller, Operates, SwitchesOff};
use super::contract::RefusedAnswers;
use super::fault::ApiError;
use super::request::{JsonBody, reason, said};
use super::wire::{
    AbortRequest, ApproveRequest, PauseRequest, PromoteRequest, ResolveRequest, ResumeRequest,
    RetryRequest, RevertRequest, VerbAnswer,
};
use super::{Api, by_hand, describe, find};
use crate::domain::id::Digest;
use crate::domain::journal::JournalEvent;
use crate::domain::rollout::{Requeue, Verb};
use crate::engine::{Acknowledged, Command, CommandError};
use crate::store::Rollout;
use crate::words::verbs::{needs_reason, towards};

type VerbReply = Result<Json<VerbAnswer>, ApiError>;

/// Batches of the journal in which a verb's own entry is looked for: it is among the first after
/// the verb came in.
const ENTRY_BATCHES: usize = 5;

/// Entries of one such batch.
const ENTRY_BATCH: usize = 1_000;

/// The rollout that a verb is for, and the tag of the record that was looked at.
pub(super) struct Addressed {
    rollout: Rollout,
    tag: Option<Digest>,
}

impl FromRequestParts<Arc<Api>> for Addressed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let reference = Path::<String>::from_request_parts(parts, api).await;
        let Path(reference) = reference.map_err(|error| ApiError::bad(error.body_text()))?;
        let tag = tag(&parts.headers)?;
        let rollout = find::rollout(&*api.store, &reference).await?;
        match tag {
            Some(tag) if tag != rollout.record.tag(rollout.id) => Err(moved(&rollout)),
            Some(_) | None => Ok(Self { rollout, tag }),
        }
    }
}

impl Addressed {
    fn towards(&self) -> bool {
        towards(&self.rollout.plan, &self.rollout.record)
    }
}

/// The tag of `If-Match`, if the client names one.
fn tag(headers: &HeaderMap) -> Result<Option<Digest>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let wrong = || {
        ApiError::bad(
            "`If-Match` takes one `\"TAG\"`, the `tag` of the rollout's document in quotes",
        )
    };
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or_else(wrong)?;
    tag.parse().map(Some).map_err(|_| wrong())
}

fn moved(rollout: &Rollout) -> ApiError {
    let (name, phase) = (&rollout.plan.name, rollout.record.phase.as_str());
    let paused = if rollout.record.paused.is_some() { ", paused" } else { "" };
    ApiError::moved(
        format!(
            "{name} has moved since it was looked at, and nothing was done: it is {phase}{paused} now"
        ),
        describe::row(rollout),
    )
}

impl Api {
    /// Hands a verb to the engine, whose tables accept or refuse it.
    async fn carry_out(&self, to: Addressed, verb: Verb, caller: &Caller, why: &str) -> VerbReply {
        let Addressed { rollout, tag } = to;
        let (word, before) = (verb.as_str(), self.store.health().seq);
        let why = if needs_reason(&verb) { said(word, why)? } else { reason(why) };
        let command =
            Command { rollout: rollout.id, verb, by: caller.person(), reason: why, only_if: tag };
        let done = match self.handle.command(command).await {
            Err(CommandError::Moved) => {
                let now = self.store.rollout(rollout.id).await?;
                return Err(moved(now.as_ref().unwrap_or(&rollout)));
            }
            done => done?,
        };
        let (name, id, phase) = (&rollout.plan.name, rollout.id.short(), done.phase);
        tracing::info!(rollout = %name, %id, verb = word, by = %caller, via = caller.via.as_str(), phase, "verb carried out");
        let seq = self.own_entry(&rollout, before, caller).await;
        Ok(Json(answer(&rollout, word, caller, &done, seq)))
    }

    /// The journal's entry of a verb that was carried out after `before`; `None` if it is not found
    /// soon.
    async fn own_entry(&self, rollout: &Rollout, before: u64, caller: &Caller) -> Option<u64> {
        let mut after = before;
        for _ in 0..ENTRY_BATCHES {
            // The verb is durable, whether or not its entry can be read.
            let entries = self.store.journal(Some(rollout.id), after, ENTRY_BATCH).await.ok()?;
            let own = |by: &Option<String>| by.as_deref() == Some(&*caller.name);
            let found = entries.iter().find(|entry| match &entry.what {
                JournalEvent::Rollout { by, .. } | JournalEvent::Change { by, .. } => own(by),
                _ => false,
            });
            if found.is_some() || entries.len() < ENTRY_BATCH {
                return found.map(|entry| entry.seq);
            }
            after = entries.last().map_or(after, |entry| entry.seq);
        }
        None
    }
}

fn answer(
    rollout: &Rollout,
    verb: &str,
    caller: &Caller,
    done: &Acknowledged,
    seq: Option<u64>,
) -> VerbAnswer {
    VerbAnswer {
        id: rollout.id.to_string(),
        name: rollout.plan.name.to_string(),
        verb: verb.to_owned(),
        by: caller.to_string(),
        phase: done.phase.into(),
        wave: done.wave.map(|wave| wave + 1),
        waves: u16::try_from(rollout.plan.strategy.waves.len()).unwrap_or(u16::MAX),
        in_flight: u32::try_from(done.in_flight.len()).unwrap_or(u32::MAX),
        seq,
    }
}

/// Begin nothing new until somebody resumes, or until an instant.
#[utoipa::path(
    post,
    path = "/v1/rollouts/{reference}/pause",
    operation_id = "pause",
    tag = "verbs",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("If-Match" = Option<String>, Header, description = "The tag of the rollout that was looked at, in quotes: if it has moved since, nothing is done"),
    ),
    request_body = PauseRequest,
    responses((status = 200, description = "Carried out, and durable", body = VerbAnswer), RefusedAnswers)
)]
pub(super) async fn pause(
    State(api): State<Arc<Api>>,
    Operates(caller): Operates,
    to: Addressed,
    JsonBody(asked): JsonBody<PauseRequest>,
) -> VerbReply {
    api.carry_out(to, Verb::Pause { until: asked.until }, &caller, &asked.reason).await
}

/// Take the pause back.
#[utoipa::path(
    post,
    path = "/v1/rollouts/{reference}/resume",
    operation_id = "resume",
    tag = "verbs",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("If-Match" = Option<String>, Header, description = "The tag of the rollout that was looked at, in quotes: if it has moved since, nothing is done"),
    ),
    request_body = ResumeRequest,
    responses((status = 200, description = "Carried out, and durable", body = VerbAnswer), RefusedAnswers)
)]
pub(super) async fn resume(
    State(api): State<Arc<Api>>,
    caller: SwitchesOff,
    to: Addressed,
    JsonBody(asked): JsonBody<ResumeRequest>,
) -> VerbReply {
    let caller = caller.to(to.towards())?;
    api.carry_out(to, Verb::Resume, &caller, &asked.reason).await
}

/// Let the next wave begin; of a wave that failed halted, go on without what failed.
#[utoipa::path(
    post,
    path = "/v1/rollouts/{reference}/promote",
    operation_id = "promote",
    tag = "verbs",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("If-Match" = Option<String>, Header, description = "The tag of the rollout that was looked at, in quotes: if it has moved since, nothing is done"),
    ),
    request_body = PromoteRequest,
    responses((status = 200, description = "Carried out, and durable", body = VerbAnswer), RefusedAnswers)
)]
pub(super) async fn promote(
    State(api): State<Arc<Api>>,
    caller: SwitchesOff,
    to: Addressed,
    JsonBody(asked): JsonBody<PromoteRequest>,
) -> VerbReply {
    let caller = caller.to(to.towards())?;
    api.carry_out(to, Verb::Promote, &caller, &asked.reason).await
}

/// Let it begin at all, after a look at what will run.
#[utoipa::path(
    post,
    path = "/v1/rollouts/{reference}/approve",
    operation_id = "approve",
    tag = "verbs",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("If-Match" = Option<String>, Header, description = "The tag of the rollout that was looked at, in quotes: if it has moved since, nothing is done"),
    ),
    request_body = ApproveRequest,
    responses((status = 200, description = "Carried out, and durable", body = VerbAnswer), RefusedAnswers)
)]
pub(super) async fn approve(
    State(api): State<Arc<Api>>,
    Approves(caller): Approves,
    to: Addressed,
    JsonBody(asked): JsonBody<ApproveRequest>,
) -> VerbReply {
    let digest = asked.digest.ok_or_else(|| {
        ApiError::bad("an approval names the `digest` that was looked at; `sealift plan` shows it")
    })?;
    let digest = digest.parse().map_err(|_| {
        ApiError::bad(format!(
            "`{}` is no digest: 64 hex digits, as `sealift plan` shows it",
            digest.escape_debug()
        ))
    })?;
    api.carry_out(to, Verb::Approve { digest }, &caller, &asked.reason).await
}

/// Put back into the queue what failed, and go on if halted.
#[utoipa::path(
    post,
    path = "/v1/rollouts/{reference}/retry",
    operation_id = "retry",
    tag = "verbs",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("If-Match" = Option<String>, Header, description = "The tag of the rollout that was looked at, in quotes: if it has moved since, nothing is done"),
    ),
    request_body = RetryRequest,
    responses((status = 200, description = "Carried out, and durable", body = VerbAnswer), RefusedAnswers)
)]
pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    caller: SwitchesOff,
    to: Addressed,
    JsonBody(asked): JsonBody<RetryRequest>,
) -> VerbReply {
    let caller = caller.to(to.towards())?;
    let verb = match &asked.proxy {
        Some(_) if asked.in_doubt => {
            return Err(ApiError::bad(
                "`in_doubt` is for all that are; the one `proxy` is retried whether it failed or is in doubt",
            ));
        }
        Some(proxy) => by_hand::retry(&api, &to.rollout, proxy).await?,
        None if asked.in_doubt => Verb::Retry(Requeue::FailedAndInDoubt),
        None => Verb::Retry(Requeue::Failed),
    };
    api.carry_out(to, verb, &caller, &asked.reason).await
}

/// Say what becomes of one change that is in doubt.
#[utoipa::path(
    post,
    path = "/v1/rollouts/{reference}/resolve",
    operation_id = "resolve",
    tag = "verbs",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("If-Match" = Option<String>, Header, description = "The tag of the rollout that was looked at, in quotes: if it has moved since, nothing is done"),
    ),
    request_body = ResolveRequest,
    responses((status = 200, description = "Carried out, and durable", body = VerbAnswer), RefusedAnswers)
)]
pub(super) async fn resolve(
    State(api): State<Arc<Api>>,
    Operates(caller): Operates,
    to: Addressed,
    JsonBody(asked): JsonBody<ResolveRequest>,
) -> VerbReply {
    let verb = by_hand::resolve(&api, &to.rollout, &asked).await?;
    api.carry_out(to, verb, &caller, &asked.reason).await
}

/// Begin nothing new for ever; what waits is cancelled.
#[utoipa::path(
    post,
    path = "/v1/rollouts/{reference}/abort",
    operation_id = "abort",
    tag = "verbs",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("If-Match" = Option<String>, Header, description = "The tag of the rollout that was looked at, in quotes: if it has moved since, nothing is done"),
    ),
    request_body = AbortRequest,
    responses((status = 200, description = "Carried out, and durable", body = VerbAnswer), RefusedAnswers)
)]
pub(super) async fn abort(
    State(api): State<Arc<Api>>,
    Operates(caller): Operates,
    to: Addressed,
    JsonBody(asked): JsonBody<AbortRequest>,
) -> VerbReply {
    api.carry_out(to, Verb::Abort, &caller, &asked.reason).await
}

/// Put back what it changed and nobody changed since.
#[utoipa::path(
    post,
    path = "/v1/rollouts/{reference}/revert",
    operation_id = "revert",
    tag = "verbs",
    params(
        ("reference" = String, Path, description = "A plan's name, for its newest revision, or a unique beginning of a rollout's id"),
        ("If-Match" = Option<String>, Header, description = "The tag of the rollout that was looked at, in quotes: if it has moved since, nothing is done"),
    ),
    request_body = RevertRequest,
    responses((status = 200, description = "Carried out, and durable", body = VerbAnswer), RefusedAnswers)
)]
pub(super) async fn revert(
    State(api): State<Arc<Api>>,
    caller: SwitchesOff,
    to: Addressed,
    JsonBody(asked): JsonBody<RevertRequest>,
) -> VerbReply {
    let (name, back) = (&to.rollout.plan.name, !to.rollout.plan.ssl_option);
    let caller = caller.to(back)?;
    if !back && asked.confirm.as_deref() != Some(name.as_str()) {
        return Err(ApiError::forbidden(format!(
            "a revert of {name} switches SSL off; confirm it with the plan's name in `confirm`"
        )));
    }
    api.carry_out(to, Verb::Revert, &caller, &asked.reason).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_taken_in_quotes_alone() {
        let headers =
            |value: &str| HeaderMap::from_iter([(IF_MATCH, value.parse().expect("a header"))]);
        let plain = "ab".repeat(32);
        assert_eq!(tag(&HeaderMap::new()).expect("none"), None);
        assert_eq!(
            tag(&headers(&format!("\"{plain}\""))).expect("a tag").map(|tag| tag.to_string()),
            Some(plain.clone())
        );
        for wrong in [
            "*",
            "",
            "\"\"",
            &plain,
            &format!("W/\"{plain}\""),
            &format!("\"{plain}\", \"{plain}\""),
        ] {
            assert!(tag(&headers(wrong)).is_err(), "{wrong}");
        }
    }
}
