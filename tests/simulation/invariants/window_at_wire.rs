//! No PUT's wire instant is outside the plan's windows, by the daemon's wall clock at that instant. Of one that puts back
//! only where the plan says so.

use futures_util::FutureExt;
use sealift::domain::plan::Plan;
use sealift::domain::window::Opening;
use sealift::store::Store;

use super::SimInvariant;
use crate::oracle::{Fact, OracleSetting};

pub struct WindowAtWire {
    plan: Plan,
}

impl WindowAtWire {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { plan: setting.submission.plan.clone() }
    }
}

impl SimInvariant for WindowAtWire {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Wire { sent, store } = fact else { return Ok(()) };
        if !sent.call.is_write() {
            return Ok(());
        }
        let stored = store.change(sent.id).now_or_never().expect("ready").expect("memory").expect("a change of the rollout");
        match self.plan.opening(sent.times.wall, stored.change.record.undo.is_some()) {
            Opening::Open { .. } => Ok(()),
            Opening::Shut { by, .. } => Err(format!("a PUT for {} left at {} while shut by {by:?}", sent.id, sent.times.wall)),
        }
    }
}
