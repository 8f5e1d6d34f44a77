//! A stream that only says that something moved, for whoever then asks again.
//!
//! Invariants: an event names what moved since the one before, at most every [`PACE`]; silence is
//! broken every [`BEAT`] with the daemon's clock; a reader who is too slow holds nobody up, for
//! events are made when they are read. Whoever may no longer read is told [`SIGNED_OUT`], and that
//! is the end.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::contract::RefusedAnswers;
use super::fault::ApiError;
use super::find;
use super::request::query;
use super::streams::{StreamPlace, StreamReader};
use super::wire::{Beat, Moved};
use crate::domain::id::RolloutId;

/// Between two events there is at least so much time.
const PACE: Duration = Duration::from_millis(100);

/// Silence is at most so long.
pub(super) const BEAT: Duration = Duration::from_secs(15);

/// The last event of a stream whose reader may no longer read.
pub(super) const SIGNED_OUT: &str = "signed_out";

/// Entries read to tell which rollouts moved; beyond that only that something did.
const ENTRIES_MAX: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MovedQuery {
    /// Only moves of this rollout.
    rollout: Option<String>,
}

struct MovedStream {
    api: Arc<Api>,
    only: Option<RolloutId>,
    /// Sequence up to which the reader was told.
    told: u64,
    first: bool,
    place: StreamPlace,
    over: bool,
}

impl MovedStream {
    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        if std::mem::take(&mut self.first) {
            return Some(self.beat());
        }
        let mut snapshot = self.api.handle.snapshot();
        let beat = tokio::time::sleep(BEAT);
        tokio::pin!(beat);
        loop {
            let now = self.api.clock.times().boot;
            if !self.place.goes_on(now).await {
                self.over = true;
                return Some(self.says(SIGNED_OUT));
            }
            tokio::select! {
                biased;
                () = self.api.stop.cancelled() => return None,
                () = tokio::time::sleep(self.place.looks_in(now)) => continue,
                () = &mut beat => return Some(self.beat()),
                changed = snapshot.changed() => changed.ok()?,
            }
            let seq = self.api.store.health().seq;
            if seq == self.told {
                continue;
            }
            let moved = self.since(seq).await;
            self.told = seq;
            if let Some(moved) = moved {
                tokio::time::sleep(PACE).await;
                return Some(event("moved", &moved).id(seq.to_string()));
            }
        }
    }

    fn beat(&self) -> Event {
        self.says("beat")
    }

    fn says(&self, word: &str) -> Event {
        event(word, &Beat { now: self.api.now(), seq: self.api.store.health().seq })
    }

    /// What moved up to `seq`; `None`: nothing that was asked for.
    async fn since(&self, seq: u64) -> Option<Moved> {
        let entries =
            self.api.store.journal(None, self.told, ENTRIES_MAX).await.unwrap_or_default();
        let whole = entries.len() < ENTRIES_MAX;
        let rollouts: BTreeSet<RolloutId> = entries.iter().map(|entry| entry.rollout).collect();
        if whole && self.only.is_some_and(|only| !rollouts.contains(&only)) {
            return None;
        }
        Some(Moved {
            seq,
            rollouts: rollouts.iter().map(ToString::to_string).collect(),
            all: !whole,
        })
    }
}

/// An event of this word.
pub(super) fn event(word: &str, data: &impl serde::Serialize) -> Event {
    Event::default()
        .event(word)
        .data(serde_json::to_string(data).expect("texts and numbers can be written"))
}

/// Says that something moved, as server-sent events: `moved` with a [`Moved`], `beat` with a
/// [`Beat`]. If whoever reads may no longer, `signed_out` with a [`Beat`] is the last one.
#[utoipa::path(
    get,
    path = "/v1/moved",
    operation_id = "moved",
    tag = "reads",
    params(MovedQuery),
    responses((status = 200, description = "Events, until the reader goes or may no longer read, or the daemon ends", body = Moved, content_type = "text/event-stream"), RefusedAnswers)
)]
pub(super) async fn moved(
    State(api): State<Arc<Api>>,
    reader: StreamReader,
    uri: Uri,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let asked: MovedQuery = query(&uri)?;
    let only = match asked.rollout {
        Some(reference) => Some(find::rollout(&*api.store, &reference).await?.id),
        None => None,
    };
    let place = api.streams.open(reader, api.clock.times().boot)?;
    let told = api.store.health().seq;
    let watch = MovedStream { api, only, told, first: true, place, over: false };
    let events =
        stream::unfold(watch, async |mut watch| watch.next().await.map(|event| (Ok(event), watch)));
    Ok(Sse::new(events))
}
