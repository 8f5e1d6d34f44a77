//! The clouds' clocks in the core: what answers say of them, and which decisions they hold.
//!
//! Invariant: only switches are held by a clock; reads, following and recovery go on, and their
//! answers end the hold.
//!
//! Deliberately not here: the clocks themselves (`engine::cloud_time`), and the last check
//! (`engine::fence`).

use super::Core;
use super::tickets::Owner;
use crate::domain::call::Reply;
use crate::domain::change::State;
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::id::{ChangeId, RolloutId};
use crate::domain::quota::Boot;

impl Core {
    /// Whatever else an answer tells, it may tell the cloud's time.
    pub(super) fn hear(&self, owner: &Owner, sent: Boot, reply: &Reply) {
        let Some(date) = reply.cloud_time else { return };
        let lane = match owner {
            Owner::Change(id) => self.work.get(id).map(|work| work.lane()),
            Owner::Ask(id) => self.asks.get(id).map(|asked| asked.lane()),
            Owner::List(lane) | Owner::Running(lane) => Some(lane),
            Owner::Rollout(_) | Owner::Stranger(_) => None,
        };
        if let Some(lane) = lane {
            self.fence.hear(lane, date, sent, self.now);
        }
    }

    /// What the clock of a change's cloud shows now, and why it forbids a switch: it is too far
    /// from ours, or the window is shut by it.
    pub(super) fn cloud_time(&self, id: ChangeId) -> (Option<TimeSpan>, Option<&'static str>) {
        let Some(work) = self.work.get(&id) else { return (None, None) };
        let lane = work.lane();
        let begins = matches!(work.state(), State::Ready | State::Inspecting);
        let holds = self.fence.clock(lane, self.now).filter(|_| begins).and_then(|standing| {
            if standing.holds() {
                return Some("its lane's clock and this machine's are too far apart");
            }
            let shut = self.rollouts.get(&id.rollout)?.is_shut_by(standing.ahead.of(self.now.wall));
            shut.then_some("by the cloud's clock the window is shut")
        });
        (self.fence.cloud(lane, self.now.boot), holds)
    }

    /// What the clocks of the clouds show now that a rollout works on; of all, while it is not
    /// known which these are.
    pub(super) fn cloud_time_of(&self, id: RolloutId) -> Option<TimeSpan> {
        let tracked = self.rollouts.get(&id)?;
        let all = self
            .lanes
            .keys()
            .filter(|name| tracked.lanes().is_empty() || tracked.lanes().contains(name));
        all.filter_map(|name| self.fence.cloud(name, self.now.boot)).reduce(|one, other| TimeSpan {
            from: one.from.min(other.from),
            to: one.to.min(other.to),
        })
    }
}
