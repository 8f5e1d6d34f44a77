//! A revert touches only what this rollout surely switched and what a look showed to be still its
//! own; the newest wave comes first, and nothing is put back while a change may still be on its way
//! forward; what fails halts it for a person; and reverted means that nothing which was switched is
//! left.
//!
//! A switch by somebody else between the look and the PUT cannot be noticed, so the look is what is
//! judged.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use sealift::domain::call::Call;
use sealift::domain::change::{How, ReasonWord, Record, State};
use sealift::domain::id::{InstanceId, ProxyId, RolloutId};
use sealift::domain::plan::Strategy;
use sealift::domain::rollout::{Cause, Phase, RevertStage};
use sealift::rehearse::observation::Observation;
use sealift::simcloud::model::Model;
use sealift::store::memory::MemoryStore;
use sealift::store::{ChangeMove, Commit, Rollout, Store};

use super::WorldInvariant;
use crate::oracle::{Around, Fact, OracleSetting, SeenFact};
use crate::scenario::STUCK_COMMIT;
use crate::world::{Nanos, S};

/// From a failure to the halt: one release that was decided before it, and a look.
const HALTS_WITHIN: Nanos = 5 * S;

pub struct Reverts {
    rollout: RolloutId,
    strategy: Strategy,
    set: bool,
    halts_within: Nanos,
    proxies: BTreeMap<ProxyId, (u32, InstanceId)>,
    /// Changes that were seen to be switched by the rollout.
    switched: BTreeSet<u32>,
    /// The latest step of each change that is put back.
    stepped: BTreeMap<u32, Nanos>,
    /// The latest look that was answered while the proxy had the value that the rollout set.
    shown: BTreeMap<u32, Nanos>,
    /// Since when a change stands that failed to be put back. A person's retry moves it, and it no
    /// longer counts.
    failed: BTreeMap<u32, Nanos>,
}

impl Reverts {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        let proxies = setting
            .fleet
            .proxies()
            .iter()
            .zip(0..)
            .map(|(proxy, place)| (proxy.proxy_id, (place, proxy.instance_id)));
        let stuck = setting.scenario.stuck_store > 0.0;
        Self {
            rollout: setting.rollout,
            strategy: setting.submission.plan.strategy.clone(),
            set: setting.submission.plan.ssl_option,
            halts_within: HALTS_WITHIN
                + if stuck { 3 * STUCK_COMMIT.as_nanos() as Nanos } else { 0 },
            proxies: proxies.collect(),
            switched: BTreeSet::new(),
            stepped: BTreeMap::new(),
            shown: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }

    fn step(&mut self, change: &ChangeMove, rollout: &Rollout, now: Nanos) -> Result<(), String> {
        let ordinal = change.ordinal;
        if change.record.undo.is_none() {
            let shown =
                change.record.shown.as_ref().is_some_and(|shown| shown.how == How::Switched);
            if matches!(change.record.state, State::Succeeded { how: How::Switched })
                || is_unproven(&change.record.state) && shown
            {
                self.switched.insert(ordinal);
            }
            return Ok(());
        }
        if !self.switched.contains(&ordinal) {
            return Err(format!(
                "target {ordinal} is put back, and the rollout was never seen to switch it"
            ));
        }
        let since = self.stepped.insert(ordinal, now).unwrap_or(0);
        match &change.record.state {
            State::Submitting { .. }
                if self.shown.get(&ordinal).is_none_or(|shown| *shown < since) =>
            {
                Err(format!(
                    "target {ordinal} is put back, and the look before did not show the value that the rollout set"
                ))
            }
            State::Ready if change.why == "released" => self.released(ordinal, rollout, now),
            State::Failed { .. } | State::InDoubt { .. } => {
                self.failed.entry(ordinal).or_insert(now);
                Ok(())
            }
            _ => {
                self.failed.remove(&ordinal);
                Ok(())
            }
        }
    }

    fn released(&self, ordinal: u32, rollout: &Rollout, now: Nanos) -> Result<(), String> {
        let wave = self.strategy.wave_of(ordinal);
        let releasing = matches!(&rollout.record.phase, Phase::Reverting(revert) if revert.stage == RevertStage::Releasing);
        if !releasing {
            return Err(format!(
                "target {ordinal} is released to be put back while {:?}",
                rollout.record.phase
            ));
        }
        if let Some(newer) = rollout
            .tallies
            .iter()
            .skip(usize::from(wave) + 1)
            .find(|tally| tally.queued + tally.active > 0)
        {
            return Err(format!(
                "target {ordinal} of wave {wave} is put back before a newer wave: {newer:?}"
            ));
        }
        match self.failed.iter().find(|(_, since)| now > **since + self.halts_within) {
            Some((failed, since)) => Err(format!(
                "target {ordinal} is put back {} s after target {failed} failed to be",
                (now - since) / S
            )),
            None => Ok(()),
        }
    }

    fn moved(
        &mut self,
        commit: &Commit,
        rollout: &Rollout,
        store: &MemoryStore,
    ) -> Result<(), String> {
        let Some(moves) = &commit.moves else { return Ok(()) };
        let total = rollout.total();
        if let Phase::Reverting(revert) = &moves.record.phase {
            // A verb may come while some are marked already: these wait in the queue, and go no way
            // but back.
            let marked = self.marked(store);
            if revert.stage == RevertStage::Gathering && total.active + total.queued > marked {
                return Err(format!(
                    "what is put back is gathered while {total:?}, {marked} of them marked"
                ));
            }
            if let Cause::Failures { failures, budget } = &revert.cause
                && failures < budget
            {
                return Err(format!("a revert because of {failures} failures of {budget}"));
            }
        }
        if moves.record.phase != Phase::Reverted {
            return Ok(());
        }
        let page = store
            .page(self.rollout, Vec::new(), None, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        let left = page.changes.iter().find(|active| match &active.change.record.state {
            State::Reverted { .. } | State::Skipped { .. } | State::Cancelled => false,
            State::Failed { .. } | State::InDoubt { .. } => {
                active.change.record.undo.is_some() || Self::left_switched(&active.change.record)
            }
            State::Succeeded { how } => *how != How::AlreadyRight,
            _ => true,
        });
        match left {
            Some(left) => {
                Err(format!("reverted, and {} is {:?}", left.change.id, left.change.record))
            }
            None => Ok(()),
        }
    }

    /// A change that failed before anything was put back, and that the rollout surely switched: it
    /// must not be left.
    fn left_switched(record: &Record) -> bool {
        let shown = record.shown.as_ref().is_some_and(|shown| shown.how == How::Switched);
        record.undo.is_none() && is_unproven(&record.state) && shown && record.before.is_some()
    }

    /// Queued changes that are to be put back.
    fn marked(&self, store: &MemoryStore) -> u32 {
        let page = store
            .page(self.rollout, vec!["queued".to_owned()], None, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        page.changes.iter().filter(|active| active.change.record.undo.is_some()).count() as u32
    }

    /// A PUT of the other value arrives.
    fn arrives(&self, proxy_id: &ProxyId, cloud: &Model) -> Result<(), String> {
        let (ordinal, instance) = self.proxies[proxy_id];
        // Where somebody else switched too, whose job was adopted cannot always be told.
        let clear = !cloud.foreign_switches().any(|(_, of)| of == instance);
        let effective = cloud.proxy(proxy_id).map_or(0, |proxy| proxy.effective);
        if clear && effective == 0 {
            return Err(format!(
                "target {ordinal} is put back, and no PUT of the rollout took effect there"
            ));
        }
        Ok(())
    }
}

/// Failed because the wire did not show what the API showed.
fn is_unproven(state: &State) -> bool {
    matches!(state, State::Failed { reason } if reason.word == ReasonWord::NotProven)
}

impl WorldInvariant for Reverts {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Observed(
                Observation::Arrives { id: Some(_), call: Call::Inspect { target }, .. },
                Around { cloud, now, .. },
            ) => {
                let set =
                    cloud.proxy(&target.proxy_id).is_some_and(|proxy| proxy.ssl_option == self.set);
                if let Some((ordinal, _)) = self.proxies.get(&target.proxy_id).filter(|_| set) {
                    self.shown.insert(*ordinal, *now);
                }
                Ok(())
            }
            Fact::Observed(
                Observation::Arrives {
                    id: Some(_), call: Call::Submit { target, ssl_option }, ..
                },
                Around { cloud, .. },
            ) if *ssl_option != self.set => self.arrives(&target.proxy_id, cloud),
            // Steps may have been taken back: what was seen before them counts again.
            Fact::Seen(SeenFact::Rebuilt) => {
                self.stepped.clear();
                self.failed.clear();
                Ok(())
            }
            Fact::Observed(
                Observation::Committed { commit, rollout },
                Around { store, now, .. },
            ) => {
                self.moved(commit, rollout, store)?;
                commit.changes.iter().try_for_each(|change| self.step(change, rollout, *now))
            }
            _ => Ok(()),
        }
    }
}
