//! Enforcements: their documents, their routes and the verbs on them.
//!
//! Invariant: what is shown is durable, and a verb is answered with success only when it is.
//! Deliberately not here: what a verb does (`domain::enforce`), and submitting anything.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;

use super::Api;
use super::caller::{Caller, Operates, Reads, SwitchesOff};
use super::contract::RefusedAnswers;
use super::fault::ApiError;
use super::find::at_hand;
use super::request::{JsonBody, reason, said};
use super::wire::{
    EnforcementDoc, EnforcementRunDoc, HeldTarget, Listing, MarkDoc, OpposingRow, ReleaseRequest,
    StopRequest,
};
use crate::domain::enforce::{
    EnforcementEnd, EnforcementRun, EnforcementStage, applying_name, surveying_name,
};
use crate::domain::id::Name;
use crate::domain::target::Target;
use crate::engine::enforce::{EnforceError, EnforcementVerb, Opposing, command};
use crate::store::{Enforcement, Rollout};

/// Held targets named in one document.
const HELD_MAX: usize = 1_000;

/// How an enforcement stands; `targets` are those of its origin where held ones are to be named.
pub(super) fn document(
    enforcement: &Enforcement,
    origin: &Rollout,
    targets: &[Target],
    now: Timestamp,
) -> EnforcementDoc {
    let (record, plan) = (&enforcement.record, &origin.plan);
    let enforce = plan.enforce.as_ref();
    let (mut held, mut stopped, mut superseded_by) = (None, None, None);
    match &record.stage {
        EnforcementStage::Held { drifted, allowed } => {
            held = Some(format!("{drifted} drifted, more than the {allowed} that max_drift allows"))
        }
        EnforcementStage::Ended { end: EnforcementEnd::Stopped { mark } } => {
            stopped = Some(MarkDoc::from(mark))
        }
        EnforcementStage::Ended { end: EnforcementEnd::Superseded { revision } } => {
            superseded_by = Some(*revision)
        }
        EnforcementStage::Idle
        | EnforcementStage::Surveying { .. }
        | EnforcementStage::Applying { .. } => held.clone_from(&record.halted),
    }
    let held_drift = match &record.stage {
        EnforcementStage::Held { drifted, .. } => *drifted,
        // Its runs only look until a person releases it.
        EnforcementStage::Idle if record.halted.is_some() => {
            let found = record.last.as_ref().and_then(|last| last.found);
            found.map_or(0, |found| found.drifted.saturating_sub(found.left_out))
        }
        EnforcementStage::Idle
        | EnforcementStage::Surveying { .. }
        | EnforcementStage::Applying { .. }
        | EnforcementStage::Ended { .. } => 0,
    };
    let named =
        record.held().filter_map(|flips| Some((flips, targets.get(flips.ordinal as usize)?)));
    EnforcementDoc {
        name: enforcement.name.to_string(),
        revision: record.revision,
        rollout: record.origin.to_string(),
        ssl_option: plan.ssl_option,
        stage: record.stage.as_str().into(),
        mode: enforce.map_or("inform", |enforce| enforce.mode.as_str()).into(),
        cron: enforce.map_or(String::new(), |enforce| enforce.cron.to_string()),
        time_zone: enforce.map_or(String::new(), |enforce| enforce.time_zone.name().to_owned()),
        max_drift: enforce.map_or(0, |enforce| enforce.max_drift),
        targets: origin.targets,
        runs: record.runs,
        next_tick: enforce.and_then(|enforce| record.next_tick(enforce, now)),
        skipped_ticks: record.skipped,
        at_hand: record.stage.rollout().map(|id| id.to_string()),
        last_run: record.last.as_ref().map(|last| run(last, &enforcement.name)),
        held,
        held_targets: u32::try_from(record.held().count()).unwrap_or(u32::MAX),
        held_list: named
            .take(HELD_MAX)
            .map(|(flips, target)| HeldTarget {
                ordinal: flips.ordinal,
                lane: target.lane.to_string(),
                instance_id: target.instance_id.to_string(),
                proxy_id: target.proxy_id.to_string(),
                runs: flips.runs.clone(),
            })
            .collect(),
        held_drift,
        stopped,
        superseded_by,
        moved_at: enforcement.moved_at,
    }
}

fn run(run: &EnforcementRun, name: &Name) -> EnforcementRunDoc {
    EnforcementRunDoc {
        number: run.number,
        tick: run.tick,
        began: run.began,
        survey: surveying_name(name).to_string(),
        right: run.found.map(|found| found.right),
        drifted: run.found.map(|found| found.drifted),
        left_out: run.found.map(|found| found.left_out),
        unseen: run.found.map(|found| found.unseen),
        applied: run.applied.map(|_| applying_name(name).to_string()),
        switched: run.applied.map_or(0, |applied| applied.switched),
        failed: run.applied.map_or(0, |applied| applied.failed),
        halted: run.halted.clone(),
        result: run.result.clone(),
    }
}

impl Api {
    async fn command_enforcement(
        &self,
        name: &Name,
        asked: &EnforcementVerb,
        caller: &Caller,
        why: &str,
    ) -> Result<Json<EnforcementDoc>, ApiError> {
        let why = match asked {
            EnforcementVerb::Release { .. } => said("release", why)?,
            EnforcementVerb::Stop => reason(why),
        };
        let moved = command(&*self.store, name, asked, &caller.person(), &why, self.now()).await?;
        let stage = moved.record.stage.as_str();
        tracing::info!(plan = %name, verb = ?asked, by = %caller, stage, "verb on an enforcement carried out");
        Ok(Json(self.enforcement(&moved, true).await?))
    }

    /// The document of one enforcement, its held targets named where that is `whole`.
    async fn enforcement(
        &self,
        enforcement: &Enforcement,
        whole: bool,
    ) -> Result<EnforcementDoc, ApiError> {
        let origin = self.store.rollout(enforcement.record.origin).await?;
        let origin = origin.ok_or_else(|| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the rollout of the enforcement is not there",
            )
        })?;
        let named = whole && enforcement.record.held().next().is_some();
        let targets = if named {
            self.store.targets(origin.id).await?.unwrap_or_default()
        } else {
            Vec::new()
        };
        Ok(document(enforcement, &origin, &targets, self.now()))
    }

    /// The enforcement that a rollout belongs to: of its own plan, if it is the revision that is
    /// enforced.
    pub(super) async fn enforcement_of(
        &self,
        rollout: &Rollout,
    ) -> Result<Option<EnforcementDoc>, ApiError> {
        if rollout.plan.enforce.is_none() {
            return Ok(None);
        }
        match self.store.enforcement(&rollout.plan.name).await? {
            Some(enforcement) if enforcement.record.origin == rollout.id => {
                Ok(Some(document(&enforcement, rollout, &[], self.now())))
            }
            Some(_) | None => Ok(None),
        }
    }
}

impl Api {
    /// Every enforcement, ended ones too.
    pub async fn enforcements(&self) -> Result<Vec<EnforcementDoc>, ApiError> {
        let found = self.store.enforcements().await?;
        self.store.durable().await?;
        let mut rows = Vec::with_capacity(found.len());
        for enforcement in &found {
            rows.push(self.enforcement(enforcement, false).await?);
        }
        Ok(rows)
    }

    /// The enforcement of the plan with this name, its held targets named.
    pub async fn enforcement_named(&self, reference: &str) -> Result<EnforcementDoc, ApiError> {
        let name = name(reference)?;
        let found = self.store.enforcement(&name).await?.ok_or(EnforceError::NotFound(name))?;
        self.store.durable().await?;
        self.enforcement(&found, true).await
    }
}

impl From<&Opposing> for OpposingRow {
    fn from(one: &Opposing) -> Self {
        Self {
            name: one.name.to_string(),
            revision: one.revision,
            ssl_option: one.ssl_option,
            held: one.held,
            next_tick: one.next_tick,
            time_zone: one.zone.name().to_owned(),
            targets: one.targets,
            first: one.first.iter().map(ToString::to_string).collect(),
        }
    }
}

fn name(text: &str) -> Result<Name, ApiError> {
    Name::parse(text, "a plan's name").map_err(|error| ApiError::bad(error.to_string()))
}

/// Every enforcement.
#[utoipa::path(
    get,
    path = "/v1/enforcements",
    operation_id = "enforcements",
    tag = "enforcements",
    responses((status = 200, description = "All of them", body = Listing<EnforcementDoc>), RefusedAnswers)
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Reads,
) -> Result<Json<Listing<EnforcementDoc>>, ApiError> {
    Ok(Json(Listing { rows: api.enforcements().await?, next: None }))
}

/// How one enforcement stands, with the targets that are held.
#[utoipa::path(
    get,
    path = "/v1/enforcements/{name}",
    operation_id = "enforcement",
    tag = "enforcements",
    params(("name" = String, Path, description = "The name of the plan that is enforced")),
    responses((status = 200, description = "How it stands", body = EnforcementDoc), RefusedAnswers)
)]
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    _: Reads,
    Path(reference): Path<String>,
) -> Result<Json<EnforcementDoc>, ApiError> {
    Ok(Json(api.enforcement_named(&reference).await?))
}

/// End an enforcement for good.
#[utoipa::path(
    post,
    path = "/v1/enforcements/{name}/stop",
    operation_id = "stop_enforcement",
    tag = "enforcements",
    params(("name" = String, Path, description = "The name of the plan that is enforced")),
    request_body = StopRequest,
    responses((status = 200, description = "Ended, and durable", body = EnforcementDoc), RefusedAnswers)
)]
pub(super) async fn stop(
    State(api): State<Arc<Api>>,
    Operates(caller): Operates,
    Path(reference): Path<String>,
    JsonBody(asked): JsonBody<StopRequest>,
) -> Result<Json<EnforcementDoc>, ApiError> {
    api.command_enforcement(&name(&reference)?, &EnforcementVerb::Stop, &caller, &asked.reason)
        .await
}

/// Let an enforcement go on with what is held.
#[utoipa::path(
    post,
    path = "/v1/enforcements/{name}/release",
    operation_id = "release_enforcement",
    tag = "enforcements",
    params(("name" = String, Path, description = "The name of the plan that is enforced")),
    request_body = ReleaseRequest,
    responses((status = 200, description = "Released, and durable", body = EnforcementDoc), RefusedAnswers)
)]
pub(super) async fn release(
    State(api): State<Arc<Api>>,
    caller: SwitchesOff,
    Path(reference): Path<String>,
    JsonBody(asked): JsonBody<ReleaseRequest>,
) -> Result<Json<EnforcementDoc>, ApiError> {
    let name = name(&reference)?;
    let reading = async {
        let found = api.store.enforcement(&name).await?;
        let found = found.ok_or_else(|| EnforceError::NotFound(name.clone()))?;
        Ok(api.store.rollout(found.record.origin).await?)
    };
    let origin = at_hand(api.store.as_ref(), reading).await?;
    let caller = caller.to(origin.is_some_and(|origin| origin.plan.ssl_option))?;
    let target = asked.target.as_deref().map(str::parse).transpose();
    let target = target.map_err(|error| ApiError::bad(format!("`target`: {error}")))?;
    api.command_enforcement(&name, &EnforcementVerb::Release { target }, &caller, &asked.reason)
        .await
}

impl From<EnforceError> for ApiError {
    fn from(error: EnforceError) -> Self {
        let status = match &error {
            EnforceError::Away(away) | EnforceError::NotKnown(away) => {
                return Self::away(error.to_string(), away);
            }
            EnforceError::NotFound(_) | EnforceError::NoTarget(_) => StatusCode::NOT_FOUND,
            EnforceError::Refused(_) | EnforceError::Moving => StatusCode::CONFLICT,
            EnforceError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}
