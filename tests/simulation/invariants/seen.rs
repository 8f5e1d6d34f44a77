//! A proxy that does not show what the list of targets says it showed is never switched, and only
//! such a one is skipped for it.

use std::collections::BTreeMap;

use sealift::domain::call::Call;
use sealift::domain::change::{ReasonWord, State};
use sealift::domain::id::ProxyId;
use sealift::rehearse::observation::Observation;

use super::WorldInvariant;
use crate::oracle::{Fact, OracleSetting};
use crate::setting::seen;

pub struct SeenIsCompared {
    set: bool,
    places: BTreeMap<ProxyId, u32>,
    /// What the list says, by place.
    seen: Vec<Option<bool>>,
}

impl SeenIsCompared {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        Self {
            set: setting.submission.plan.ssl_option,
            places: setting.fleet.proxies().iter().map(|proxy| proxy.proxy_id).zip(0..).collect(),
            seen: seen(setting.scenario),
        }
    }
}

impl WorldInvariant for SeenIsCompared {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            // Whoever is to be switched shows the other value; so does the list, if it says
            // anything.
            Fact::Observed(
                Observation::Arrives {
                    id: Some(_), call: Call::Submit { target, ssl_option }, ..
                },
                _,
            ) if *ssl_option == self.set => {
                let place = self.places[&target.proxy_id];
                match self.seen[place as usize] {
                    Some(seen) if seen == self.set => Err(format!(
                        "target {place} is switched, and the list says that it was {seen} already"
                    )),
                    Some(_) | None => Ok(()),
                }
            }
            Fact::Observed(Observation::Committed { commit, .. }, _) => {
                commit.changes.iter().try_for_each(|change| match &change.record.state {
                    State::Skipped { reason }
                        if reason.word == ReasonWord::NotAsSeen
                            && self.seen[change.ordinal as usize] != Some(self.set) =>
                    {
                        Err(format!(
                            "target {} is skipped as not as seen, and the list says {:?}",
                            change.ordinal, self.seen[change.ordinal as usize]
                        ))
                    }
                    _ => Ok(()),
                })
            }
            _ => Ok(()),
        }
    }
}
