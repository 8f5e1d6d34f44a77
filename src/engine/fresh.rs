//! What lists of proxies told of late: a look before that need not be made again.
//!
//! Job: a list that somebody asked for, or that was the look at a sibling, tells of every proxy of its instance. While it is
//! fresh, a change takes it for its look before, and the permit that the look would have used goes to the switch.
//!
//! Invariants: only what leads to a switch is taken from here (idle, and the other value), so that "already right" is always
//! seen by a look of the change's own; never for a change that is put back, that was tried before, whose list of targets is to
//! be compared, or whose plan only looks; a switch on an instance ends what was told of it. At most [`INSTANCES_MAX`] are
//! kept, and losing them costs a call each.
//!
//! Deliberately not here: what a view means (`domain::change`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::core::Core;
use super::effect::Effect;
use super::work::Stage;
use crate::domain::call::{Answer, Call, ProxySeen, ProxyStatus, ProxyView, Reply};
use crate::domain::change::{Event, Stale, State};
use crate::domain::id::{ChangeId, InstanceId, Name, ProxyId};
use crate::domain::quota::Boot;

/// How long a list counts as the look before. A proxy that others switch meanwhile is switched once more to the same
/// value, which harms nothing; what cannot bear even that looks anew.
pub(super) const FRESH: Duration = Duration::from_secs(5 * 60);

/// Instances kept: a discovery of the largest fleets; about 3 MiB with one proxy each.
const INSTANCES_MAX: usize = 20_000;

/// What one list told, and when.
type Told = (Boot, Vec<(ProxyId, ProxyView)>);

/// The lists of one lane.
#[derive(Debug, Default)]
pub(super) struct Fresh(BTreeMap<InstanceId, Told>);

impl Fresh {
    fn told(&mut self, instance: InstanceId, proxies: impl Iterator<Item = ProxySeen>, now: Boot) {
        if self.0.len() >= INSTANCES_MAX && !self.0.contains_key(&instance) {
            self.0.retain(|_, (at, _)| now < *at + FRESH);
        }
        if self.0.len() < INSTANCES_MAX {
            self.0.insert(instance, (now, proxies.map(|seen| (seen.proxy_id, seen.view)).collect()));
        }
    }

    fn of(&self, instance: &InstanceId, proxy: &ProxyId, now: Boot) -> Option<&ProxyView> {
        let (_, proxies) = self.0.get(instance).filter(|(at, _)| now < *at + FRESH)?;
        proxies.iter().find(|(known, _)| known == proxy).map(|(_, view)| view)
    }
}

impl Core {
    /// Keeps what an answer tells of an instance's proxies.
    pub(super) fn keep_fresh(&mut self, call: &Call, reply: &Reply) {
        let now = self.now.boot;
        let Some(lane) = self.lanes.get_mut(call.lane()).filter(|_| self.exclusive) else { return };
        match (call, &reply.outcome) {
            (Call::Proxies { instance_id, .. }, Ok(Answer::Proxies(proxies))) => {
                lane.fresh.told(*instance_id, proxies.iter().cloned(), now);
            }
            (Call::Inspect { target }, Ok(Answer::Proxy(view))) => {
                let own = view.iter().map(|view| ProxySeen { proxy_id: target.proxy_id, view: view.clone() });
                lane.fresh.told(target.instance_id, own.chain(reply.beside.iter().cloned()), now);
            }
            _ => {}
        }
    }

    /// A switch leaves: what was told of its instance holds no longer.
    pub(super) fn no_longer_fresh(&mut self, lane: &Name, instance: &InstanceId) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.fresh.0.remove(instance);
        }
    }

    /// The view that a change's look before need not be made for.
    pub(super) fn seen_of_late(&self, id: ChangeId) -> Option<ProxyView> {
        let change = &self.work.get(&id)?.change;
        let tracked = self.rollouts.get(&id.rollout)?;
        let record = &change.record;
        let plain = record.undo.is_none() && record.attempts == 0 && record.jobs.is_empty() && change.target.seen.is_none();
        if !self.exclusive || !plain || record.state != State::Inspecting || tracked.view.plan.survey {
            return None;
        }
        let fresh = &self.lanes.get(&change.target.lane)?.fresh;
        let view = fresh.of(&change.target.instance_id, &change.target.proxy_id, self.now.boot)?;
        let to_be_switched = view.status == ProxyStatus::Idle && view.ssl_option == Some(!change.desired);
        to_be_switched.then(|| view.clone())
    }

    /// Decides as if the look had answered; its permit is in hand, and the switch uses it.
    pub(super) fn decide_by(&mut self, id: ChangeId, view: ProxyView, out: &mut Vec<Effect>) {
        self.count("looks_spared");
        let Some(work) = self.work.get_mut(&id) else { return };
        work.stage = Stage::Asleep;
        work.event = Event::Observed(Some(view));
        let lane = work.change.target.lane.clone();
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
