//! How many streams are open, and whose: an answer without an end keeps a place for as long as its
//! reader stays.
//!
//! Invariants: at most [`STREAMS_MAX`] streams are open, of one person at most [`OF_ONE_MAX`]; a
//! place is free again as soon as its stream is dropped, whether the reader went or the daemon
//! ends. Who reads is looked at again every [`LOOK_AGAIN`]: a stream ends when its reader's token
//! or session does, and when they lose their role.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::caller::{Caller, Reads};
use super::door::Admission;
use super::fault::ApiError;

/// Streams in all: a page of each of some twenty people who watch a night, and programs beside
/// them.
pub const STREAMS_MAX: usize = 64;

/// Streams of one person: two browsers, which have at most four each.
pub const OF_ONE_MAX: usize = 8;

/// Whoever may no longer read is cut off after so long at most.
pub const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Whoever may open a stream.
#[derive(Clone)]
pub(super) struct StreamReader {
    caller: Caller,
    /// What let them in; `None`: there is no door, and nothing that could end.
    admission: Option<Admission>,
}

impl<S: Send + Sync> FromRequestParts<S> for StreamReader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Reads(caller) = Reads::from_request_parts(parts, state).await?;
        Ok(Self { caller, admission: parts.extensions.get::<Admission>().cloned() })
    }
}

/// The streams that are open, by their readers.
#[derive(Debug, Clone, Default)]
pub(super) struct Streams(Arc<Mutex<BTreeMap<Arc<str>, usize>>>);

impl Streams {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, usize>> {
        // Every critical section changes one count.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more stream of this reader, until it is dropped. `now`: boot time.
    pub(super) fn open(
        &self,
        reader: StreamReader,
        now: Duration,
    ) -> Result<StreamPlace, ApiError> {
        let StreamReader { caller: reader, admission } = reader;
        let mut open = self.lock();
        let full = |detail: String| Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, detail));
        if open.get(&reader.name).is_some_and(|own| *own >= OF_ONE_MAX) {
            return full(format!(
                "{reader} has {OF_ONE_MAX} streams open already; close one of them"
            ));
        }
        if open.values().sum::<usize>() >= STREAMS_MAX {
            return full(format!(
                "{STREAMS_MAX} streams are open already; ask again from time to time instead"
            ));
        }
        *open.entry(reader.name.clone()).or_default() += 1;
        let look_at = now + LOOK_AGAIN;
        Ok(StreamPlace { streams: self.clone(), name: reader.name, admission, look_at })
    }
}

/// The place of one stream.
pub(super) struct StreamPlace {
    streams: Streams,
    name: Arc<str>,
    admission: Option<Admission>,
    /// Boot time at which it is looked again who reads.
    look_at: Duration,
}

impl StreamPlace {
    /// How long [`Self::goes_on`] need not be asked.
    pub(super) fn looks_in(&self, now: Duration) -> Duration {
        self.look_at.saturating_sub(now)
    }

    /// Whether whoever reads may still do so; looked at where that is due.
    pub(super) async fn goes_on(&mut self, now: Duration) -> bool {
        if now < self.look_at {
            return true;
        }
        self.look_at = now + LOOK_AGAIN;
        match &self.admission {
            Some(admission) => admission.reads().await,
            None => true,
        }
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        if let Some(own) = open.get_mut(&self.name) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::caller::Via;
    use crate::domain::people::Roles;

    fn named(name: &str) -> StreamReader {
        let caller = Caller { name: name.into(), uid: None, may: Roles::all(), via: Via::Socket };
        StreamReader { caller, admission: None }
    }

    #[test]
    fn nobody_takes_the_places_of_others_and_a_place_is_free_again() {
        let streams = Streams::default();
        let open = |name: &str| streams.open(named(name), Duration::ZERO);
        let mut of_ada: Vec<_> = (0..OF_ONE_MAX).map(|_| open("ada").expect("a place")).collect();
        let refused = open("ada").err().expect("she has enough");
        assert!(
            refused.problem().detail.contains("ada has 8 streams"),
            "{}",
            refused.problem().detail
        );
        let others: Vec<_> =
            (OF_ONE_MAX..STREAMS_MAX).map(|n| open(&format!("p-{n}")).expect("a place")).collect();
        let refused = open("bob").err().expect("all are taken");
        assert_eq!(refused.problem().status, 429);
        of_ada.pop();
        let bob = open("bob").expect("hers is free");
        drop((of_ada, others, bob));
        assert!(streams.lock().is_empty(), "nobody is kept who has no stream");
    }
}
