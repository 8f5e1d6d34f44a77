//! In any sliding interval at most N requests leave, and at most N arrive; over all daemons alone on a lane.

use std::collections::VecDeque;

use super::Invariant;
use crate::oracle::{Fact, Setting};
use crate::world::Nanos;

pub struct QuotaAtWireAndServer {
    quota: Option<(usize, Nanos)>,
    left: VecDeque<Nanos>,
    arrived: VecDeque<Nanos>,
}

impl QuotaAtWireAndServer {
    pub fn new(setting: &Setting<'_>) -> Self {
        // Several daemons share a lane's quota only through a store that counts for them, which is later work.
        let alone = setting.scenario.daemons == 1;
        let quota = setting.scenario.quota.filter(|_| alone);
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

impl Invariant for QuotaAtWireAndServer {
    fn check(&mut self, fact: &mut Fact<'_>) -> Result<(), String> {
        let Some((requests, per)) = self.quota else { return Ok(()) };
        let (seen, place) = match fact {
            Fact::Wire { now, .. } => (count(&mut self.left, *now, per), "left"),
            Fact::Arrived { now } => (count(&mut self.arrived, *now, per), "arrived"),
            _ => return Ok(()),
        };
        if seen > requests {
            return Err(format!("{seen} calls {place} within one interval, allowed are {requests}"));
        }
        Ok(())
    }
}
