//! Says in the log when a lane is held because the clocks are too far apart, when that is over, and
//! when jobs are dated apart from the answers.
//!
//! Invariant: a line for each change, none for what stays as it is. Deliberately not here: the hold
//! itself (`engine::cloud_time`).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::hold::{CLOCK_REMEDY, clock_text};
use crate::domain::id::Name;
use crate::engine::Snapshot;

/// What was said last of a lane: whether it is held, and whether its jobs are dated apart.
type Said = (bool, bool);

/// Ends with the engine.
pub(super) async fn follow(mut snapshot: watch::Receiver<Arc<Snapshot>>) {
    let mut said = BTreeMap::new();
    while snapshot.changed().await.is_ok() {
        let now = snapshot.borrow_and_update().clone();
        say(&now, &mut said);
    }
}

fn say(snapshot: &Snapshot, said: &mut BTreeMap<Name, Said>) {
    for lane in &snapshot.lanes {
        let Some(clock) = lane.clock else { continue };
        let (held, apart) = (clock.holds(), clock.jobs_apart);
        let before = said.insert(lane.lane.clone(), (held, apart.is_some())).unwrap_or_default();
        let name = &lane.lane;
        if held && !before.0 {
            tracing::warn!(lane = %name, "no switch is sent: {}; {CLOCK_REMEDY}", clock_text(clock.ahead));
        }
        if before.0 && !held {
            tracing::info!(lane = %name, "switches are sent again: {}", clock_text(clock.ahead));
        }
        if let Some(apart) = apart.filter(|_| !before.1) {
            let seconds = apart.unsigned_abs().as_secs();
            tracing::warn!(lane = %name, seconds, "the cloud dates its jobs apart from its answers: lost job ids are sought by both");
        }
    }
}
