//! Under a plan with `verify.wire`, whoever succeeded or was put back was shown by the wire, after its last PUT.

use std::collections::BTreeMap;

use super::super::observation::Observation;
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::change::State;

/// What the wire showed last of each target since its last PUT, by place; `None`: nothing that can be read.
pub(super) struct Proven {
    asked: bool,
    wanted: bool,
    shown: BTreeMap<u32, Option<bool>>,
}

impl Proven {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self { asked: scenario.plan.wire.is_some(), wanted: scenario.plan.ssl_option, shown: BTreeMap::new() }
    }
}

impl Invariant for Proven {
    fn promise(&self) -> &'static str {
        "verified means shown on the wire"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        match fact {
            Observation::Probed { id, proof } => {
                let shown = proof.greeting.as_ref().filter(|greeting| !greeting.tls || proof.tls.is_some());
                self.shown.insert(id.ordinal, shown.map(|greeting| greeting.tls));
            }
            Observation::Switches { id, .. } => {
                self.shown.remove(&id.ordinal);
            }
            Observation::Committed { commit, .. } if self.asked => {
                for change in &commit.changes {
                    let wanted = match &change.record.state {
                        State::Succeeded { .. } => self.wanted,
                        State::Reverted { .. } => change.record.desired(self.wanted),
                        _ => continue,
                    };
                    let shown = self.shown.get(&change.ordinal);
                    if shown != Some(&Some(wanted)) {
                        let (ordinal, word) = (change.ordinal, change.record.state.as_str());
                        return Err(format!("target {ordinal} is told as {word} with {wanted}, and the wire last showed {shown:?}"));
                    }
                }
            }
            Observation::Committed { .. }
            | Observation::Arrives { .. }
            | Observation::Answered { .. }
            | Observation::Died
            | Observation::Ended(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::How;
    use crate::domain::id::ChangeId;
    use crate::domain::plan::WireRules;
    use crate::domain::proof::TlsVersion;
    use crate::rehearse::invariants::staged::{StagedRun, after};

    #[test]
    fn a_success_that_the_wire_did_not_show_is_seen() {
        let mut stage = StagedRun::new();
        let succeeded = || State::Succeeded { how: How::Switched };
        assert_eq!(stage.commits(&mut Proven::new(&stage.scenario), 0, succeeded()), Ok(()), "nobody asked for a proof");
        stage.scenario.plan.wire = Some(WireRules { min_tls: TlsVersion::V12, ca: None });
        let mut promise = Proven::new(&stage.scenario);
        assert!(stage.commits(&mut promise, 0, succeeded()).is_err(), "nobody looked");
        let id = ChangeId { rollout: stage.rollout.id, ordinal: 0 };
        let off = stage.probe(0, 0);
        assert_eq!(promise.see(&Observation::Probed { id, proof: &off }), Ok(()));
        assert!(stage.commits(&mut promise, 0, succeeded()).is_err(), "it still shows the other value");
        stage.put(0, 1);
        let on = stage.probe(0, 60);
        assert_eq!(promise.see(&Observation::Probed { id, proof: &on }), Ok(()));
        assert_eq!(stage.commits(&mut promise, 0, succeeded()), Ok(()));
        assert_eq!(stage.switches(&mut promise, 0, after(90_000)), Ok(()));
        assert!(stage.commits(&mut promise, 0, succeeded()).is_err(), "a proof from before the switch proves nothing");
    }
}
