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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::changes::WorkStage;
use super::core::Core;
use super::effect::Effect;
use crate::domain::call::{Answer, Call, ProxySeen, ProxyStatus, ProxyView, Reply};
use crate::domain::change::{AnswerEvent, Event, Stale, State};
use crate::domain::id::{ChangeId, InstanceId, Name, ProxyId};
use crate::domain::quota::Boot;

/// How long a list counts as the look before. A proxy that others switch meanwhile is switched once more to the same
/// value, which harms nothing; what cannot bear even that looks anew.
pub(super) const FRESH: Duration = Duration::from_secs(5 * 60);

/// Instances kept: a discovery of the largest fleets; about 3 MiB with one proxy each.
const INSTANCES_MAX: usize = 20_000;

/// What one list told, and when.
type CachedList = (Boot, Vec<(ProxyId, ProxyView)>);

/// The lists of one lane.
#[derive(Debug, Default)]
pub(super) struct ProxyCache {
    told: BTreeMap<InstanceId, CachedList>,
    /// The same by age, so that one more list costs no walk over all of them.
    by_age: BTreeSet<(Boot, InstanceId)>,
}

impl ProxyCache {
    fn insert(&mut self, instance: InstanceId, proxies: impl Iterator<Item = ProxySeen>, now: Boot) {
        while let Some((at, oldest)) = self.by_age.first().copied()
            && now >= at + FRESH
        {
            self.forget(&oldest);
        }
        self.forget(&instance);
        if self.told.len() < INSTANCES_MAX {
            self.by_age.insert((now, instance));
            self.told.insert(instance, (now, proxies.map(|seen| (seen.proxy_id, seen.view)).collect()));
        }
    }

    fn forget(&mut self, instance: &InstanceId) {
        if let Some((at, _)) = self.told.remove(instance) {
            self.by_age.remove(&(at, *instance));
        }
    }

    fn of(&self, instance: &InstanceId, proxy: &ProxyId, now: Boot) -> Option<&ProxyView> {
        let (_, proxies) = self.told.get(instance).filter(|(at, _)| now < *at + FRESH)?;
        proxies.iter().find(|(known, _)| known == proxy).map(|(_, view)| view)
    }
}

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
                let own = view.iter().map(|view| ProxySeen { proxy_id: target.proxy_id, view: view.clone() });
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
        let change = &self.work.get(&id)?.change;
        let tracked = self.rollouts.get(&id.rollout)?;
        let record = &change.record;
        let plain = record.undo.is_none() && record.attempts == 0 && record.jobs.is_empty() && change.target.seen.is_none();
        if !plain || record.state != State::Inspecting || tracked.view.plan.survey {
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
        work.stage = WorkStage::Asleep;
        work.event = Event::Answer(AnswerEvent::Observed(Some(view)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures::target;

    fn tell(fresh: &mut ProxyCache, n: u32, now: Boot) {
        let view = ProxyView { ssl_option: Some(false), status: ProxyStatus::Idle, word: "ACTIVE".into(), endpoint: None };
        let of = target(n, n);
        fresh.insert(of.instance_id, std::iter::once(ProxySeen { proxy_id: of.proxy_id, view }), now);
    }

    fn knows(fresh: &ProxyCache, n: u32, now: Boot) -> bool {
        fresh.of(&target(n, n).instance_id, &target(n, n).proxy_id, now).is_some()
    }

    #[test]
    fn lists_age_and_make_room_and_are_no_more_than_the_bound() {
        let (mut fresh, second) = (ProxyCache::default(), Duration::from_secs(1));
        let most = u32::try_from(INSTANCES_MAX).expect("few");
        (0..most).for_each(|n| tell(&mut fresh, n, second * (n % 2)));
        tell(&mut fresh, most, second);
        assert!(knows(&fresh, 0, second) && !knows(&fresh, most, second), "what is fresh is not given up for what came later");
        tell(&mut fresh, most, FRESH);
        assert!(knows(&fresh, most, FRESH) && !knows(&fresh, 0, FRESH) && knows(&fresh, 1, FRESH));
        assert_eq!((fresh.told.len(), fresh.by_age.len()), (INSTANCES_MAX / 2 + 1, INSTANCES_MAX / 2 + 1));
        tell(&mut fresh, most, FRESH + second);
        assert_eq!(fresh.told.len(), fresh.by_age.len(), "one told again has one age");
        fresh.forget(&target(most, most).instance_id);
        assert!(!knows(&fresh, most, FRESH + second) && fresh.told.len() == fresh.by_age.len());
    }
}
