//! The journal as it grows, for whoever keeps it elsewhere: every entry once, in order, from a
//! cursor.
//!
//! Invariants: an event's `id:` is its entry's sequence, so that `Last-Event-ID` goes on exactly
//! where a stream broke off; entries are read when they are sent, so that a slow reader holds
//! nothing up and nothing is kept for one. A stream ends after [`LASTS`], with the daemon, and when
//! whoever reads may no longer: then [`SIGNED_OUT`] is its last event.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::contract::RefusedAnswers;
use super::fault::ApiError;
use super::moved::{BEAT, SIGNED_OUT, event};
use super::request::query;
use super::streams::{StreamPlace, StreamReader};
use super::wire::{Beat, JournalRow};
use super::{describe, find};
use crate::domain::id::RolloutId;
use crate::domain::journal::Entry;

/// Longest life of one stream.
const LASTS: Duration = Duration::from_secs(3_600);

/// Entries read at once: some hundred kilobytes.
const BATCH: usize = 500;

/// Batches without an entry that is wanted, after which the reader is told how far was read.
const BATCHES_MAX: usize = 20;

/// The header in which a browser or a client library says which event it saw last.
const LAST_EVENT_ID: &str = "last-event-id";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TailQuery {
    /// Only entries of this rollout.
    rollout: Option<String>,
    /// The sequence after which to begin; if neither this nor `Last-Event-ID` is given, with what
    /// comes from now on.
    after: Option<u64>,
}

struct JournalTail {
    api: Arc<Api>,
    only: Option<RolloutId>,
    /// Sequence up to which was read.
    read: u64,
    ready: VecDeque<Entry>,
    /// Boot time at which the stream ends.
    until: Duration,
    place: StreamPlace,
    over: bool,
}

impl JournalTail {
    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        let mut snapshot = self.api.handle.snapshot();
        let beat = tokio::time::sleep(BEAT);
        tokio::pin!(beat);
        let mut batches = 0;
        loop {
            let now = self.api.clock.times().boot;
            if self.over {
                return None;
            }
            if !self.place.goes_on(now).await {
                self.over = true;
                return Some(self.says(SIGNED_OUT));
            }
            if let Some(entry) = self.ready.pop_front() {
                return Some(event("entry", &describe::entry(&entry)).id(entry.seq.to_string()));
            }
            if self.api.stop.is_cancelled() || now >= self.until {
                return None;
            }
            let last = self.api.store.health().seq;
            if self.read < last {
                // A store that is out of order ends the stream: the next one is told why.
                let entries = self.api.store.journal(None, self.read, BATCH).await.ok()?;
                self.read = entries.last()?.seq;
                let wanted = entries
                    .into_iter()
                    .filter(|entry| self.only.is_none_or(|only| entry.rollout == only));
                self.ready.extend(wanted);
                batches += 1;
                if self.ready.is_empty() && batches == BATCHES_MAX {
                    return Some(self.beat());
                }
                continue;
            }
            tokio::select! {
                biased;
                () = self.api.stop.cancelled() => return None,
                () = tokio::time::sleep(self.place.looks_in(now)) => {}
                () = &mut beat => return Some(self.beat()),
                changed = snapshot.changed() => changed.ok()?,
            }
        }
    }

    /// Says how far was read.
    fn beat(&self) -> Event {
        self.says("beat")
    }

    fn says(&self, word: &str) -> Event {
        let told = Beat { now: self.api.now(), seq: self.read };
        event(word, &told).id(self.read.to_string())
    }
}

/// The sequence after which a stream begins.
fn cursor(headers: &HeaderMap, after: Option<u64>, last: u64) -> Result<u64, ApiError> {
    let shown = headers
        .get(LAST_EVENT_ID)
        .map(|shown| shown.to_str().ok().and_then(|text| text.parse().ok()));
    let after = match shown {
        Some(None) => {
            return Err(ApiError::bad(
                "`Last-Event-ID` is the `id` of the event that was seen last, a number",
            ));
        }
        Some(Some(seen)) => seen,
        None => after.unwrap_or(last),
    };
    if after > last {
        let what = format!(
            "the journal ends with entry {last}, before {after}: that is a cursor of another journal"
        );
        return Err(ApiError::bad(what));
    }
    Ok(after)
}

/// Every entry of the journal from a cursor on, as server-sent events: `entry` with a
/// [`JournalRow`], `beat` with a [`Beat`]. The `id:` of each is the sequence up to which was read;
/// sent as `Last-Event-ID` the next stream goes on from there. If whoever reads may no longer,
/// `signed_out` with a [`Beat`] is the last one.
#[utoipa::path(
    get,
    path = "/v1/journal/stream",
    operation_id = "journal_stream",
    tag = "reads",
    params(
        TailQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The `id` of the last event seen; counts before `after`"),
    ),
    responses(
        (
            status = 200,
            description = "Events, until the reader goes or may no longer read, an hour is over, or the daemon ends",
            body = JournalRow,
            content_type = "text/event-stream"
        ),
        RefusedAnswers
    )
)]
pub(super) async fn tail(
    State(api): State<Arc<Api>>,
    reader: StreamReader,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let asked: TailQuery = query(&uri)?;
    let only = match asked.rollout {
        Some(reference) => Some(find::rollout(&*api.store, &reference).await?.id),
        None => None,
    };
    let read = cursor(&headers, asked.after, api.store.health().seq)?;
    let place = api.streams.open(reader, api.clock.times().boot)?;
    let until = api.clock.times().boot + LASTS;
    let tail = JournalTail { api, only, read, ready: VecDeque::new(), until, place, over: false };
    let events =
        stream::unfold(tail, async |mut tail| tail.next().await.map(|event| (Ok(event), tail)));
    Ok(Sse::new(events))
}
