//! Whether the process is well, and whether it takes work, by the engine's passes.
//!
//! Invariant: it is judged by the rule of the supervisor's watchdog, so that whoever asks and the
//! supervisor agree. What only a person lifts (everything stopped, a lane paused, a store without
//! room) leaves it well: that is for alerts.

use std::time::Duration;

use super::Api;

/// The engine's latest pass is no longer ago than this; the unit's `WatchdogSec` is the same.
const PASSES_WITHIN: Duration = Duration::from_secs(30);

impl Api {
    /// Whether the engine makes passes, or why it is taken for stuck. Before the first one it
    /// counts from the engine's start.
    pub(super) fn alive(&self) -> Result<(), String> {
        let since = self.clock.times().boot.saturating_sub(self.engine().at.boot);
        if since > PASSES_WITHIN {
            return Err(format!("the engine has ended no pass for {} s", since.as_secs()));
        }
        Ok(())
    }

    /// Whether work is taken and done, or why not.
    pub(super) fn takes_work(&self) -> Result<(), String> {
        let engine = self.engine();
        if engine.draining {
            return Err("ending".into());
        }
        if engine.passes == 0 {
            return Err("the first pass is not done".into());
        }
        if let Some(why) = self.store.health().failed {
            return Err(format!("the store has failed: {why}"));
        }
        self.alive()
    }
}
