//! Claims: which of several daemons works on a change, and until when.
//!
//! Job: say from when on others may take a change over, and move that instant on with a compare-and-swap before a call that
//! commits nothing, or that stood in line for longer than its claim.
//!
//! Invariants: of a change the calls of two daemons are not in flight at once, as long as clocks and store are well; what
//! another daemon has claimed is left to it. That no switch is made twice does not rest on this: there the commits' versions
//! keep daemons apart. A daemon that is alone on its store claims nothing.
//!
//! Deliberately not here: who looks for changes that nobody works on (`engine::core`).

use std::time::Duration;

use jiff::Timestamp;

use super::core::{Core, Owner};
use super::effect::Effect;
use super::work::{SEND_WITHIN, Stage, Work};
use crate::domain::change::{Decision, State, Wake};
use crate::domain::id::ChangeId;

/// What others wait beyond a call's longest life, or beyond a planned wake, before they take a change over.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// How long a commit takes at most while the store is well: a claim that ends sooner is made again before.
const LANDS_WITHIN: Duration = Duration::from_secs(2);

impl Core {
    /// From when on others may take the change over, after this decision.
    pub(super) fn due_after(&self, id: ChangeId, decision: &Decision) -> Option<Timestamp> {
        if decision.record.state.is_settled() || decision.record.state == State::Queued {
            return None;
        }
        let work = self.work.get(&id)?;
        let lane = self.lanes.get(&work.change.target.lane)?;
        let ahead = match (&decision.call, decision.wake) {
            (Some(_), _) => SEND_WITHIN + lane.lane.call_timeout,
            (None, Wake::In(wait)) => wait,
            (None, Wake::Never) => Duration::ZERO,
        };
        Some(self.wall_at(self.now.boot + ahead + GRACE))
    }

    /// Whether the change must be claimed again before it moves: another daemon may have taken it over while it stood in
    /// line, or may by the time its commit lands. A commit compares what the change is and not who works on it.
    pub(super) fn claim_runs_out(&self, work: &Work) -> bool {
        !self.exclusive && work.due.is_some_and(|due| due <= self.wall_at(self.now.boot + LANDS_WITHIN))
    }

    /// Asks for the change until then; in this stage it waits for the answer.
    pub(super) fn claim(&mut self, id: ChangeId, due: Timestamp, stage: Stage, out: &mut Vec<Effect>) {
        let Some(work) = self.work.get_mut(&id) else { return };
        let (version, was) = (work.change.record.version, work.due);
        work.stage = stage;
        let ticket = self.ticket(Owner::Change(id));
        out.push(Effect::Touch { ticket, id, version, was, due });
    }

    /// The answer to a claim.
    pub(super) fn work_touched(&mut self, id: ChangeId, held: bool, out: &mut Vec<Effect>) {
        let Some(work) = self.work.get_mut(&id) else { return };
        let (call, due) = match std::mem::replace(&mut work.stage, Stage::Asleep) {
            Stage::Claiming(call, due, decided) => (Some((*call, decided)), due),
            Stage::Renewing(due) => (None, due),
            Stage::ClaimingProbe(endpoint, due) => return self.probe_claimed(id, *endpoint, due, held, out),
            _ => return,
        };
        let lane = work.change.target.lane.clone();
        if !held {
            self.count("claim_lost");
            self.permit_unused(&lane);
            self.stirred.insert(lane);
            return self.reread(id, out);
        }
        work.due = Some(due);
        match call {
            Some((call, decided)) => self.send(id, call, decided, out),
            // What was decided before the claim may be no more.
            None => {
                self.permitted(id, &lane, out);
                self.stirred.insert(lane);
            }
        }
    }
}
