//! No lane's calls exceed its quota in any interval, counted where they leave and where they
//! arrive.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::id::Name;
use crate::domain::quota::Quota;

/// The calls of one lane within its latest interval.
struct RecentCalls {
    quota: Quota,
    left: VecDeque<Timestamp>,
    arrived: VecDeque<Timestamp>,
}

pub(super) struct WithinQuota {
    lanes: BTreeMap<Name, RecentCalls>,
}

impl WithinQuota {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let limited = scenario.lanes.iter().filter_map(|lane| {
            let recent =
                RecentCalls { quota: lane.quota?, left: VecDeque::new(), arrived: VecDeque::new() };
            Some((lane.name.clone(), recent))
        });
        Self { lanes: limited.collect() }
    }
}

impl Invariant for WithinQuota {
    fn promise(&self) -> &'static str {
        "a lane's calls never exceed its quota in any interval"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        let (call, at) = match fact {
            Observation::Leaves(departure) => (departure.call, departure.at),
            Observation::Arrives { call, at, .. } => (*call, *at),
            _ => return Ok(()),
        };
        let Some(RecentCalls { quota, left, arrived }) = self.lanes.get_mut(call.lane()) else {
            return Ok(());
        };
        let (recent, word) = if matches!(fact, Observation::Leaves(_)) {
            (left, "left")
        } else {
            (arrived, "arrived")
        };
        while recent.front().is_some_and(|first| *first + quota.per <= at) {
            recent.pop_front();
        }
        recent.push_back(at);
        if recent.len() > quota.requests as usize {
            let lane = call.lane();
            return Err(format!(
                "{} calls of lane {lane} {word} within {:?}, its quota is {}",
                recent.len(),
                quota.per,
                quota.requests
            ));
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
        let mut arrives =
            |ms| promise.see(&Observation::Arrives { id: None, call: &call, at: after(ms) });
        assert_eq!(
            [arrives(0), arrives(600), arrives(1000)],
            [Ok(()), Ok(()), Ok(())],
            "half-open: the first has left the interval"
        );
        assert!(arrives(1500).is_err());
        let mut leaves = |ms| stage.switches(&mut promise, 0, after(ms));
        assert_eq!([leaves(2000), leaves(2001)], [Ok(()), Ok(())], "what arrived is counted apart");
        assert!(leaves(2002).is_err());
    }
}
