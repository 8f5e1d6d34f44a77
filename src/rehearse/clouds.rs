//! The clouds of a run, one a lane: each lane is a project of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::scenario::{Scenario, SceneError};
use crate::domain::call::Call;
use crate::domain::id::Name;
use crate::domain::proof::{Endpoint, Proof};
use crate::domain::target::Target;
use crate::simcloud::faults::Between;
use crate::simcloud::fleet::{Fleet, FleetProxy};
use crate::simcloud::ledger::WorstInterval;
use crate::simcloud::model::Model;
use crate::simcloud::sim::Arrival;

/// The intervals in which calls are counted, beside that of the lane's quota.
const WATCHED: Duration = Duration::from_secs(1);

pub struct Clouds {
    models: BTreeMap<Name, Model>,
    job_times: Arc<[Duration]>,
    rng: Rng,
}

impl Clouds {
    /// The clouds of this scenario: every target is there, with the value that its list says it
    /// showed; where that says nothing, with the other value than the wanted one.
    pub(super) fn new(scenario: &Scenario) -> Result<Self, SceneError> {
        let mut models = BTreeMap::new();
        for (place, lane) in scenario.lanes.iter().enumerate() {
            let own = scenario.targets.iter().filter(|target| target.lane == lane.name);
            let proxy = |target: &Target| FleetProxy {
                instance_id: target.instance_id,
                proxy_id: target.proxy_id,
                ssl_option: target.seen.unwrap_or(!scenario.plan.ssl_option),
            };
            let fleet = Fleet::new(own.map(proxy).collect())?;
            let mut model = Model::new(
                &fleet,
                scenario.faults.clone(),
                scenario.seed.wrapping_add(place as u64),
                scenario.from,
            );
            model.watch(WATCHED);
            if let Some(quota) = lane.quota {
                model.watch(quota.per);
            }
            models.insert(lane.name.clone(), model);
        }
        Ok(Self {
            models,
            job_times: scenario.job_times.clone(),
            rng: Rng::with_seed(scenario.seed ^ 0x6a6f_6273),
        })
    }

    pub(super) fn arrive(&mut self, now: Timestamp, call: &Call) -> Arrival {
        let model = self.models.get_mut(call.lane()).expect("every target's lane has its cloud");
        if call.is_write() && !self.job_times.is_empty() {
            model.set_job_time(Between::exactly(
                self.job_times[self.rng.usize(0..self.job_times.len())],
            ));
        }
        model.arrive(now, call)
    }

    /// A probe of one of this lane's proxies begins.
    pub(super) fn probe(&mut self, now: Timestamp, lane: &Name, endpoint: &Endpoint) -> Proof {
        self.models.get_mut(lane).expect("every target's lane has its cloud").probe(now, endpoint)
    }

    /// Lets what still runs come to its end.
    pub(super) fn settle(&mut self) {
        for model in self.models.values_mut() {
            while let Some(ends) = model.next_end() {
                model.advance(ends);
            }
        }
    }

    /// The cloud of each lane.
    pub(super) fn by_lane(&self) -> BTreeMap<&Name, &Model> {
        self.models.iter().collect()
    }

    /// The most calls in any interval, lane by lane.
    pub(super) fn worst(&self) -> impl Iterator<Item = (&Name, Vec<WorstInterval>)> {
        self.models.iter().map(|(lane, model)| (lane, model.ledger().worst()))
    }

    pub(super) fn arrivals(&self) -> u64 {
        self.models.values().map(|model| model.ledger().arrivals_total()).sum()
    }

    /// How often each fault fired, over all lanes, those that never did left out.
    pub(super) fn fired(&self) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for (word, count) in
            self.models.values().flat_map(Model::fired).filter(|(_, count)| *count > 0)
        {
            *all.entry(word).or_insert(0) += count;
        }
        all
    }
}
