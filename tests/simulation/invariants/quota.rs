//! In any sliding interval at most N requests leave, and at most N arrive; and the cloud, which counts for itself with
//! the same quota, refuses none for it.

use std::collections::VecDeque;

use super::SimInvariant;
use crate::oracle::{Fact, OracleSetting, SeenFact};
use crate::world::Nanos;

pub struct QuotaAtWireAndServer {
    quota: Option<(usize, Nanos)>,
    left: VecDeque<Nanos>,
    arrived: VecDeque<Nanos>,
}

impl QuotaAtWireAndServer {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        let quota = setting.scenario.quota;
        let quota = quota.map(|(requests, per)| (requests as usize, u64::try_from(per.as_nanos()).expect("short")));
        Self { quota, left: VecDeque::new(), arrived: VecDeque::new() }
    }
}

fn count(log: &mut VecDeque<Nanos>, now: Nanos, per: Nanos) -> usize {
    log.push_back(now);
    while log.front().is_some_and(|at| *at + per <= now) {
        log.pop_front();
    }
    log.len()
}

impl SimInvariant for QuotaAtWireAndServer {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Some((requests, per)) = self.quota else { return Ok(()) };
        let (seen, place) = match fact {
            Fact::Wire { sent, .. } => (count(&mut self.left, sent.now, per), "left"),
            Fact::Seen(SeenFact::LookLeaves { now }) => (count(&mut self.left, *now, per), "left"),
            Fact::Arrived { now } => (count(&mut self.arrived, *now, per), "arrived"),
            Fact::End { cloud, .. } => {
                return match cloud.fired()["quota"] {
                    0 => Ok(()),
                    refused => Err(format!("the cloud refused {refused} calls for its quota")),
                };
            }
            _ => return Ok(()),
        };
        if seen > requests {
            return Err(format!("{seen} calls {place} within one interval, allowed are {requests}"));
        }
        Ok(())
    }
}
