//! Traces: each change as one trace for OpenTelemetry, drawn from the journal when it settles.
//!
//! Job: read the journal along, pick the changes whose trace is wanted (a share of all, and every
//! one that failed or is in doubt), draw their spans and hand them to a receiver over OTLP/HTTP.
//!
//! Invariants: a trace is a rendering of journal entries, so it spans restarts and says nothing
//! that the journal does not; ids follow from rollout and place, so drawing twice gives the same.
//! Nothing here is in the engine's way: a receiver that is slow or gone costs traces, which are
//! counted and told in the log, and never a change. Memory is bounded by named limits.
//!
//! Deliberately not here: spans of the process's own functions, and guarantees: what must not be
//! lost is in the journal.

mod follower;
mod otlp;
mod sender;
mod story;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::TracesConfig;
use crate::engine::Handle;
use crate::store::Store;

/// Follows the journal until stopped, or until the store is out of order, and sends what is drawn.
pub async fn run(
    config: TracesConfig,
    store: Arc<dyn Store>,
    handle: Handle,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let (queue, drawn) = sender::queue();
    let sending = sender::send(config.url.clone(), drawn, clock);
    let following = follower::follow(config.share, store, handle.snapshot(), queue);
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        // The sender ends with its queue, which the follower holds.
        ((), ()) = async { tokio::join!(following, sending) } => {}
    }
}
