//! Looks: what proxies show now, asked of the cloud for a person and told line by line as the
//! answers come.
//!
//! Invariants: nothing is changed or stored; the reads wait behind all work of their lane and count
//! on its quota; a client that goes away takes what still waits with it. An instance whose list
//! cannot be read whole, after all tries of the engine (`engine::Handle::ask`), is told as not
//! known, never as empty.
//!
//! Deliberately not here: what a plan makes of it (`sealift plan --look`).

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::Api;
use super::caller::Operates;
use super::contract::RefusedAnswers;
use super::fault::ApiError;
use super::lane::no_lane;
use super::request::query;
use super::wire::{
    InstancePage, InstanceRow, LOOK_INSTANCES_MAX, LookInstance, LookProxy, LookRequest, LookRow,
};
use crate::domain::call::{Answer, Call};
use crate::domain::id::Name;
use crate::engine::Handle;

/// Questions of one request that wait at once: enough to keep a lane busy, few enough that several
/// clients fit in.
pub(super) const AT_ONCE: usize = 32;

/// What the proxies of some instances show now, a line of JSON for each as the answers come.
#[utoipa::path(
    post,
    path = "/v1/looks",
    operation_id = "look",
    tag = "looks",
    request_body = LookRequest,
    responses((status = 200, description = "Lines of JSON", body = LookRow, content_type = "application/jsonl"), RefusedAnswers)
)]
pub(super) async fn look(
    State(api): State<Arc<Api>>,
    _: Operates,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked: LookRequest = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad(format!("the body is no look: {error}")))?;
    if asked.instances.is_empty() || asked.instances.len() > LOOK_INSTANCES_MAX {
        return Err(ApiError::bad(format!(
            "a look names 1 to {LOOK_INSTANCES_MAX} instances, not {}",
            asked.instances.len()
        )));
    }
    let calls = asked
        .instances
        .into_iter()
        .map(|instance| Ok((call(&api, &instance)?, instance)))
        .collect::<Result<Vec<_>, ApiError>>()?;
    let handle = api.handle.clone();
    let rows = stream::iter(calls)
        .map(move |(call, instance)| row(handle.clone(), call, instance))
        .buffer_unordered(AT_ONCE);
    Ok(json_lines(rows.map(|row| [row])))
}

/// Tells rows as they come, each a line of JSON.
pub(super) fn json_lines<R>(rows: impl Stream<Item = R> + Send + 'static) -> Response
where
    R: IntoIterator<Item: Serialize>,
{
    let lines = rows.map(|rows| {
        let mut lines = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut lines, &row).expect("a row is JSON");
            lines.push(b'\n');
        }
        Ok::<_, Infallible>(Bytes::from(lines))
    });
    ([(CONTENT_TYPE, "application/jsonl")], Body::from_stream(lines)).into_response()
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InstancesQuery {
    /// The lane that reaches the project.
    lane: String,
    /// Instances to skip.
    #[serde(default)]
    offset: u32,
}

/// One page of a project's instances, asked of the cloud behind all work of the lane.
#[utoipa::path(
    get,
    path = "/v1/instances",
    operation_id = "instances",
    tag = "looks",
    params(InstancesQuery),
    responses((status = 200, description = "A page of instances", body = InstancePage), RefusedAnswers)
)]
pub(super) async fn instances(
    State(api): State<Arc<Api>>,
    _: Operates,
    uri: Uri,
) -> Result<Json<InstancePage>, ApiError> {
    let asked: InstancesQuery = query(&uri)?;
    let call = Call::Instances { lane: lane(&api, &asked.lane)?, offset: asked.offset };
    let failed = |why: String| {
        ApiError::new(
            StatusCode::BAD_GATEWAY,
            format!("the instances of lane {} cannot be listed: {why}", asked.lane),
        )
    };
    let reply = api.handle.ask(call).await.map_err(|error| failed(error.to_string()))?;
    match reply.outcome {
        Ok(Answer::Instances { instances, total }) => {
            let row = |seen: crate::domain::call::InstanceSeen| InstanceRow {
                instance_id: seen.instance_id.to_string(),
                name: seen.name,
                status: seen.status,
                tags: seen.tags.into_iter().collect(),
                proxied: seen.proxied,
            };
            Ok(Json(InstancePage { instances: instances.into_iter().map(row).collect(), total }))
        }
        Ok(_) => Err(failed("the cloud answered something else".into())),
        Err(error) => Err(failed(error.to_string())),
    }
}

pub(super) fn lane(api: &Api, name: &str) -> Result<Name, ApiError> {
    let lane = Name::parse(name, "lane").map_err(|error| ApiError::bad(error.to_string()))?;
    if !api.lanes.iter().any(|known| known.name == lane) {
        return Err(ApiError::bad(no_lane(api, name)));
    }
    Ok(lane)
}

fn call(api: &Api, instance: &LookInstance) -> Result<Call, ApiError> {
    let lane = lane(api, &instance.lane)?;
    let instance_id = instance
        .instance_id
        .parse()
        .map_err(|error: crate::domain::id::IdError| ApiError::bad(error.to_string()))?;
    Ok(Call::Proxies { lane, instance_id })
}

async fn row(handle: Handle, call: Call, instance: LookInstance) -> LookRow {
    let found = match handle.ask(call).await {
        Ok(reply) => match reply.outcome {
            Ok(Answer::Proxies(proxies)) => Ok(proxies),
            Ok(_) => Err("the cloud answered something else".to_owned()),
            Err(error) => Err(error.to_string()),
        },
        Err(error) => Err(error.to_string()),
    };
    let LookInstance { lane, instance_id } = instance;
    match found {
        Ok(proxies) => {
            let proxies = proxies.into_iter().map(|seen| LookProxy {
                proxy_id: seen.proxy_id.to_string(),
                ssl_option: seen.view.ssl_option,
                status: seen.view.word,
            });
            LookRow { lane, instance_id, proxies: Some(proxies.collect()), error: None }
        }
        Err(error) => LookRow { lane, instance_id, proxies: None, error: Some(error) },
    }
}
