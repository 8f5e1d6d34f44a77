//! One change, decided by a person: finds it by its proxy, and looks at the job that they name
//! before it is believed.
//!
//! Invariant: a job is taken for a change's own only if the cloud says that it works on the
//! change's instance and is no other operation, and if no other change has it. Whose it is among
//! the proxies of one instance no list tells: that is why a person is asked.

use axum::http::StatusCode;

use super::Api;
use super::fault::ApiError;
use super::wire::ResolveRequest;
use crate::cloud::job_names::is_other_operation;
use crate::domain::call::{Answer, Call, CallError, Disposition};
use crate::domain::change::Change;
use crate::domain::id::JobId;
use crate::domain::rollout::{ByHand, Verb};
use crate::store::Rollout;

/// Rows of one read while the change is sought. What failed or is in doubt is bounded by the
/// failure budget.
const PAGE: usize = 1_000;

/// `retry` of one proxy.
pub async fn retry(api: &Api, rollout: &Rollout, proxy: &str) -> Result<Verb, ApiError> {
    let change = find(api, rollout, proxy, &["failed", "in_doubt"]).await?;
    Ok(Verb::ByHand { ordinal: change.id.ordinal, what: ByHand::Again })
}

/// `resolve`: names the job, or gives the change up.
pub async fn resolve(
    api: &Api,
    rollout: &Rollout,
    asked: &ResolveRequest,
) -> Result<Verb, ApiError> {
    let proxy = asked
        .proxy
        .as_deref()
        .ok_or_else(|| ApiError::bad("`resolve` is for one change: name its `proxy`"))?;
    let what = match (&asked.job, asked.give_up) {
        (Some(job), false) => {
            Some(job.parse::<JobId>().map_err(|error| ApiError::bad(error.to_string()))?)
        }
        (None, true) => None,
        (Some(_), true) | (None, false) => {
            return Err(ApiError::bad("say what becomes of it: either its `job`, or `give_up`"));
        }
    };
    let change = find(api, rollout, proxy, &["in_doubt"]).await?;
    let what = match what {
        Some(job) => {
            believed(api, &change, &job).await?;
            ByHand::Adopt(job)
        }
        None => ByHand::GiveUp,
    };
    Ok(Verb::ByHand { ordinal: change.id.ordinal, what })
}

/// The one change in these states whose proxy's id begins so.
async fn find(
    api: &Api,
    rollout: &Rollout,
    proxy: &str,
    words: &'static [&'static str],
) -> Result<Change, ApiError> {
    let (mut after, mut found) = (None, None);
    loop {
        let page = api
            .store
            .page(rollout.id, words.iter().map(|word| (*word).to_owned()).collect(), after, PAGE)
            .await?;
        after = page.next;
        for active in page.changes {
            if !active.change.target.proxy_id.as_str().starts_with(proxy) {
                continue;
            }
            if found.is_some() {
                return Err(ApiError::bad(format!(
                    "`{}` stands for more than one proxy; write more of its id",
                    proxy.escape_debug()
                )));
            }
            found = Some(active.change);
        }
        if after.is_none() {
            break;
        }
    }
    found.ok_or_else(|| {
        let (proxy, name) = (proxy.escape_debug(), &rollout.plan.name);
        let (is, states) = (words.join(" or ").replace('_', " "), words.join(","));
        let message =
            format!("no change of a proxy `{proxy}` is {is} in this rollout; `sealift changes {name} --state {states}` lists them");
        ApiError::new(StatusCode::NOT_FOUND, message)
    })
}

/// Asks the cloud whether the job may be the change's.
async fn believed(api: &Api, change: &Change, job: &JobId) -> Result<(), ApiError> {
    let target = &change.target;
    let conflict = |message: String| Err(ApiError::new(StatusCode::CONFLICT, message));
    if !change.record.jobs.contains(job)
        && api.store.known_jobs(&target.instance_id).await?.contains(job)
    {
        return conflict(format!(
            "job {job} is that of another change; `sealift jobs` lists whose"
        ));
    }
    let call = Call::ShowJob { lane: target.lane.clone(), job: job.clone() };
    let reply = api
        .handle
        .ask(call)
        .await
        .map_err(|error| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    match reply.outcome {
        Ok(Answer::JobShown { instance_id, name, .. }) => {
            if let Some(other) = instance_id.filter(|id| *id != target.instance_id) {
                return conflict(format!(
                    "job {job} works on instance {other}, and the proxy is one of {}",
                    target.instance_id
                ));
            }
            if is_other_operation(&name) {
                return conflict(format!("job {job} is another operation: {name}"));
            }
            Ok(())
        }
        Ok(_) => Err(ApiError::new(StatusCode::BAD_GATEWAY, "the cloud answered something else")),
        Err(CallError { disposition: Disposition::NotFound, .. }) => conflict(format!(
            "the cloud knows no job {job} in lane {}; it forgets jobs after a month",
            target.lane
        )),
        Err(error) => Err(ApiError::new(
            StatusCode::BAD_GATEWAY,
            format!("job {job} cannot be shown: {error}"),
        )),
    }
}
