//! Looks that need not be made, because a recent list of proxies answers them.
//!
//! Job: keep what answers say of an instance's proxies, and decide a change's look before a switch
//! by that; the permit that the look would have used goes to the switch.
//!
//! Invariants: only what leads to a switch is taken from the cache (idle, and the other value), so
//! "already right" is always seen by a look of the change's own; never for a change that is put
//! back, that was tried before, whose list of targets is to be compared, or whose plan only looks;
//! a switch on an instance ends what is kept of it.
//!
//! Deliberately not here: how long and how much is kept (`engine::proxy_cache`), and what a view
//! means (`domain::change`).

use std::time::Duration;

use super::Core;
use super::work::WorkStage;
use crate::domain::call::{Answer, Call, ProxySeen, ProxyStatus, ProxyView, Reply};
use crate::domain::change::{AnswerEvent, Event, Stale, State};
use crate::domain::id::{ChangeId, InstanceId, Name};
use crate::engine::effect::Effect;

impl Core {
    /// Keeps what an answer tells of an instance's proxies.
    pub(super) fn keep_fresh(&mut self, call: &Call, reply: &Reply) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(call.lane()) else { return };
        match (call, &reply.outcome) {
            (Call::Proxies { instance_id, .. }, Ok(Answer::Proxies(proxies))) => {
                lane.fresh.insert(*instance_id, proxies.iter().cloned(), now);
            }
            // A look at an instance's only proxy spares nobody anything.
            (Call::Inspect { target }, Ok(Answer::Proxy(view))) if !reply.beside.is_empty() => {
                let own = view
                    .iter()
                    .map(|view| ProxySeen { proxy_id: target.proxy_id, view: view.clone() });
                lane.fresh.insert(target.instance_id, own.chain(reply.beside.iter().cloned()), now);
            }
            _ => {}
        }
    }

    /// A switch leaves: what was told of its instance holds no longer.
    pub(super) fn no_longer_fresh(&mut self, lane: &Name, instance: &InstanceId) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.fresh.forget(instance);
        }
    }

    /// The view that a change's look before need not be made for.
    pub(super) fn seen_of_late(&self, id: ChangeId) -> Option<ProxyView> {
        let change = self.work.get(&id)?.change();
        let tracked = self.rollouts.get(&id.rollout)?;
        let record = &change.record;
        let plain = record.undo.is_none()
            && record.attempts == 0
            && record.jobs.is_empty()
            && change.target.seen.is_none();
        if !plain || record.state != State::Inspecting || tracked.view().plan.survey {
            return None;
        }
        let fresh = &self.lanes.get(&change.target.lane)?.fresh;
        let view = fresh.get(&change.target.instance_id, &change.target.proxy_id, self.now.boot)?;
        let to_be_switched =
            view.status == ProxyStatus::Idle && view.ssl_option == Some(!change.desired);
        to_be_switched.then(|| view.clone())
    }

    /// Decides as if the look had answered; its permit is in hand, and the switch uses it.
    pub(super) fn decide_by(&mut self, id: ChangeId, view: ProxyView, out: &mut Vec<Effect>) {
        self.count("looks_spared");
        let Some(work) = self.work.get_mut(&id) else { return };
        work.set_stage(WorkStage::Asleep);
        work.set_event(Event::Answer(AnswerEvent::Observed(Some(view))));
        let lane = work.lane().clone();
        match self.decide(id) {
            Some(Ok(decision)) => {
                if decision.call.is_none() {
                    self.permit_unused(&lane);
                    self.stirred.insert(lane);
                }
                self.carry_out(id, decision, out);
            }
            other => {
                self.permit_unused(&lane);
                self.stirred.insert(lane);
                match other {
                    Some(Err(Stale)) => self.stale(id),
                    _ => self.sleep(id, Duration::from_secs(1)),
                }
            }
        }
    }
}
