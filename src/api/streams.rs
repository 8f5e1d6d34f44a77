//! How many streams are open, and whose: an answer without an end keeps a place for as long as its
//! reader stays.
//!
//! Invariant: at most [`STREAMS_MAX`] streams are open, of one person at most [`OF_ONE_MAX`]; a
//! place is free again as soon as its stream is dropped, whether the reader went or the daemon
//! ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;

use super::caller::Caller;
use super::fault::ApiError;

/// Streams in all: a page of each of some twenty people who watch a night, and programs beside
/// them.
pub const STREAMS_MAX: usize = 64;

/// Streams of one person: two browsers, which have at most four each.
pub const OF_ONE_MAX: usize = 8;

/// The streams that are open, by their readers.
#[derive(Debug, Clone, Default)]
pub(super) struct Streams(Arc<Mutex<BTreeMap<Arc<str>, usize>>>);

impl Streams {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, usize>> {
        // Every critical section changes one count.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more stream of this reader, until it is dropped.
    pub(super) fn open(&self, reader: &Caller) -> Result<StreamPlace, ApiError> {
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
        Ok(StreamPlace { streams: self.clone(), name: reader.name.clone() })
    }
}

/// The place of one stream.
#[derive(Debug)]
pub(super) struct StreamPlace {
    streams: Streams,
    name: Arc<str>,
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

    fn named(name: &str) -> Caller {
        Caller { name: name.into(), uid: None, may: Roles::all(), via: Via::Socket }
    }

    #[test]
    fn nobody_takes_the_places_of_others_and_a_place_is_free_again() {
        let streams = Streams::default();
        let mut of_ada: Vec<_> =
            (0..OF_ONE_MAX).map(|_| streams.open(&named("ada")).expect("a place")).collect();
        let refused = streams.open(&named("ada")).expect_err("she has enough");
        assert!(
            refused.problem().detail.contains("ada has 8 streams"),
            "{}",
            refused.problem().detail
        );
        let others: Vec<_> = (OF_ONE_MAX..STREAMS_MAX)
            .map(|n| streams.open(&named(&format!("p-{n}"))).expect("a place"))
            .collect();
        let refused = streams.open(&named("bob")).expect_err("all are taken");
        assert_eq!(refused.problem().status, 429);
        of_ada.pop();
        let bob = streams.open(&named("bob")).expect("hers is free");
        drop((of_ada, others, bob));
        assert!(streams.lock().is_empty(), "nobody is kept who has no stream");
    }
}
