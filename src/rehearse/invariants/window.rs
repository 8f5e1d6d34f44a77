//! No PUT leaves while the calendar is shut: outside every window, past its cutoff, in a freeze,
//! before `not_before`.

use jiff::Timestamp;

use super::super::observation::{Departure, Observation};
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::plan::Plan;
use crate::domain::window::Opening;

pub(super) struct InsideWindow {
    plan: Plan,
    /// What the calendar said last: open from here until there.
    open: Option<(Timestamp, Timestamp)>,
}

impl InsideWindow {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { plan: scenario.plan.clone(), open: None }
    }
}

impl Invariant for InsideWindow {
    fn promise(&self) -> &'static str {
        "no PUT outside a window, past its cutoff or in a freeze"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let Observation::Leaves(Departure { times, stored: Some((stored, _)), .. }) = fact else {
            return Ok(());
        };
        let at = times.wall;
        let undo = stored.record.undo.is_some();
        if !undo && self.open.is_some_and(|(from, until)| from <= at && at < until) {
            return Ok(());
        }
        match self.plan.opening(at, undo) {
            Opening::Open { .. } if undo => Ok(()),
            Opening::Open { until } => {
                self.open = Some((at, until.unwrap_or(Timestamp::MAX)));
                Ok(())
            }
            Opening::Shut { by, .. } => {
                Err(format!("a PUT of {} leaves while the calendar is shut: {by:?}", stored.id))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::invariants::staged::{StagedRun, after};

    #[test]
    fn a_put_past_the_cutoff_is_seen() {
        let mut stage = StagedRun::new();
        stage.windows("0 * * * *", 600, 60);
        let mut promise = InsideWindow::new(&stage.scenario);
        let mut leaves = |seconds: u64| stage.switches(&mut promise, 0, after(seconds * 1000));
        assert_eq!([leaves(0), leaves(539)], [Ok(()), Ok(())]);
        assert!(leaves(540).expect_err("the cutoff has passed").contains("Cutoff"));
        assert!(leaves(1800).expect_err("shut").contains("Window"));
        assert_eq!(leaves(3600), Ok(()));
    }
}
