//! A copy of the store, told as one stream while the store goes on.
//!
//! Invariants: what is told is what survives a power cut, up to one entry; one copy is made at a
//! time, on a thread of its own, so that work goes on; memory stays bounded. A copy that is not
//! read ends, and keeps nobody out; one that cannot be finished ends with the reason, and whoever
//! reads it refuses it.
//!
//! Deliberately not here: the form of a copy (`store::maintenance`), and the place where it is
//! kept: the client writes it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;
use tokio_util::io::{ReaderStream, SyncIoBridge};

use super::Api;
use super::caller::Reads;
use super::contract::RefusedAnswers;
use super::fault::ApiError;
use super::places::place;
use crate::store::Unavailable;

/// Bytes between the thread that reads the disk and the socket.
const BETWEEN: usize = 256 * 1024;

/// One copy at a time: each takes a core for the chain and the disk's bandwidth.
static COPIES: Semaphore = Semaphore::const_new(1);

/// A copy of the store, as a tar that ends with the reason if it cannot be finished.
#[utoipa::path(
    get,
    path = "/v1/store/export",
    operation_id = "export_store",
    tag = "everything",
    responses((status = 200, description = "The copy", body = Vec<u8>, content_type = "application/x-tar"), RefusedAnswers)
)]
pub(super) async fn export(
    State(api): State<Arc<Api>>,
    Reads(caller): Reads,
) -> Result<Response, ApiError> {
    let place = place(&COPIES, "another copy of the store is being made").await?;
    let none = || Unavailable("this store is in memory: there is nothing to copy".into());
    let (exporter, now) = (api.exporter.clone().ok_or_else(none)?, api.now());
    let broke = |error: tokio::task::JoinError| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the copy broke off: {error}"))
    };
    let export = tokio::task::spawn_blocking(move || exporter.export()).await.map_err(broke)??;
    let (reader, writer) = tokio::io::duplex(BETWEEN);
    tracing::info!(seq = export.seq(), by = %caller, via = %caller.via, "a copy of the store is being made");
    tokio::task::spawn_blocking(move || {
        let _place = place;
        match export.write(now, false, SyncIoBridge::new(writer)) {
            Ok(manifest) => {
                api.last_copy.made(now, manifest.seq);
                tracing::info!(seq = manifest.seq, bytes = manifest.bytes, by = %caller, via = %caller.via, "a copy of the store was made")
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), by = %caller, via = %caller.via, "a copy of the store was not finished")
            }
        }
    });
    Ok((
        [(CONTENT_TYPE, "application/x-tar")],
        Body::from_stream(ReaderStream::with_capacity(reader, BETWEEN)),
    )
        .into_response())
}
