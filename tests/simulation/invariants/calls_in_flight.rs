//! At most one call of a change is in flight, and at most as many at once as the lane allows.
//!
//! A call is in flight from its wire instant to its answer, or to being given up, or to the
//! daemon's death.

use std::collections::BTreeMap;

use sealift::domain::id::ChangeId;
use sealift::engine::Ticket;
use sealift::rehearse::observation::Observation;

use super::WorldInvariant;
use crate::oracle::{Around, Fact, OracleSetting, SeenFact};
use crate::scenario::CALL_TIMEOUT;
use crate::world::Nanos;

struct CallOut {
    id: ChangeId,
    left: Nanos,
    over: Nanos,
}

pub struct CallsInFlight {
    most: usize,
    out: BTreeMap<Ticket, CallOut>,
}

impl CallsInFlight {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self { most: setting.scenario.lane_in_flight as usize, out: BTreeMap::new() }
    }
}

impl WorldInvariant for CallsInFlight {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Observed(Observation::Leaves(sent), Around { now, .. }) => {
                let (Some(id), left) = (sent.id, *now) else { return Ok(()) };
                if let Some(out) = self.out.values().find(|out| out.id == id && out.over > left) {
                    return Err(format!(
                        "{} of {id} leaves while a call from {} is in flight",
                        sent.call.as_str(),
                        out.left
                    ));
                }
                self.out.insert(
                    sent.ticket,
                    CallOut { id, left, over: left + CALL_TIMEOUT.as_nanos() as Nanos },
                );
                let flying = self.out.values().filter(|out| out.over > left).count();
                if flying > self.most {
                    return Err(format!(
                        "{flying} calls are in flight, the lane allows {}",
                        self.most
                    ));
                }
            }
            Fact::Seen(SeenFact::AnswerComes { ticket, at }) => {
                if let Some(out) = self.out.get_mut(ticket) {
                    out.over = out.over.min(*at);
                }
            }
            Fact::Observed(Observation::Answered { ticket, .. }, _) => {
                self.out.remove(ticket);
            }
            Fact::Observed(Observation::Died, _) => self.out.clear(),
            _ => {}
        }
        Ok(())
    }
}
