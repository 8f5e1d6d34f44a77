//! No lane's calls exceed its quota in any interval, counted where they arrive.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::id::Name;
use crate::domain::quota::Quota;

pub(super) struct WithinQuota {
    lanes: BTreeMap<Name, (Quota, VecDeque<Timestamp>)>,
}

impl WithinQuota {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let limited = scenario.lanes.iter().filter_map(|lane| Some((lane.name.clone(), (lane.quota?, VecDeque::new()))));
        Self { lanes: limited.collect() }
    }
}

impl Invariant for WithinQuota {
    fn promise(&self) -> &'static str {
        "a lane's calls never exceed its quota in any interval"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let Observation::Arrives { call, at } = fact else { return Ok(()) };
        let Some((quota, recent)) = self.lanes.get_mut(call.lane()) else { return Ok(()) };
        while recent.front().is_some_and(|first| *first + quota.per <= *at) {
            recent.pop_front();
        }
        recent.push_back(*at);
        if recent.len() > quota.requests as usize {
            let lane = call.lane();
            return Err(format!("{} calls of lane {lane} within {:?}, its quota is {}", recent.len(), quota.per, quota.requests));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::call::Call;
    use crate::rehearse::invariants::staged::{StagedRun, after};

    #[test]
    fn one_call_too_many_is_seen() {
        let mut stage = StagedRun::new();
        stage.scenario.lanes[0].quota = Some(Quota { requests: 2, per: Duration::from_secs(1) });
        let mut promise = WithinQuota::new(&stage.scenario);
        let call = Call::Inspect { target: stage.scenario.targets[0].clone() };
        let mut arrives = |ms| promise.see(&Observation::Arrives { call: &call, at: after(ms) });
        assert_eq!([arrives(0), arrives(600), arrives(1000)], [Ok(()), Ok(()), Ok(())], "half-open: the first has left the interval");
        assert!(arrives(1500).is_err());
    }
}
