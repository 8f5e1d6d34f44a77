//! Under a plan with `verify.wire`, a change that succeeded or was put back was shown by the wire
//! after its last PUT, and has the proof in its record; under any other plan nothing is probed.

use std::collections::BTreeMap;

use super::super::observation::{Departure, Observation};
use super::super::scenario::Scenario;
use super::Invariant;
use crate::domain::change::State;

/// What the wire showed last of each target since its last PUT, by place; `None`: nothing that can
/// be read.
pub(super) struct Proven {
    asked: bool,
    wanted: bool,
    shown: BTreeMap<u32, Option<bool>>,
}

impl Proven {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            asked: scenario.plan.wire.is_some(),
            wanted: scenario.plan.ssl_option,
            shown: BTreeMap::new(),
        }
    }
}

impl Invariant for Proven {
    fn promise(&self) -> &'static str {
        "verified means shown on the wire"
    }

    fn see(&mut self, fact: &Observation<'_>) -> Result<(), String> {
        match fact {
            Observation::Probed { id, .. } if !self.asked => {
                return Err(format!("{id} is probed, and its plan asks for no proof"));
            }
            Observation::Probed { id, proof } => {
                self.shown.insert(id.ordinal, proof.shown());
            }
            Observation::Leaves(Departure { stored: Some((stored, _)), .. }) => {
                self.shown.remove(&stored.id.ordinal);
            }
            Observation::Committed { commit, .. } if self.asked => {
                for change in &commit.changes {
                    let wanted = match &change.record.state {
                        State::Succeeded { .. } => self.wanted,
                        State::Reverted { .. } => change.record.desired(self.wanted),
                        _ => continue,
                    };
                    let shown = self.shown.get(&change.ordinal);
                    let (ordinal, word) = (change.ordinal, change.record.state.as_str());
                    if shown != Some(&Some(wanted)) {
                        return Err(format!(
                            "target {ordinal} is told as {word} with {wanted}, and the wire last showed {shown:?}"
                        ));
                    }
                    if change.record.proof.is_none() {
                        return Err(format!(
                            "target {ordinal} is told as {word} and its proof is not kept"
                        ));
                    }
                }
            }
            Observation::Committed { .. }
            | Observation::Started { .. }
            | Observation::Learnt(_)
            | Observation::Leaves(_)
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
    use crate::domain::change::{How, Record};
    use crate::domain::id::ChangeId;
    use crate::domain::plan::WireRules;
    use crate::domain::proof::TlsVersion;
    use crate::rehearse::invariants::staged::{StagedRun, after};

    #[test]
    fn a_success_that_the_wire_did_not_show_is_seen() {
        let mut stage = StagedRun::new();
        let succeeded = || State::Succeeded { how: How::Switched };
        let id = ChangeId { rollout: stage.rollout.id, ordinal: 0 };
        let off = stage.probe(0, 0);
        let mut unasked = Proven::new(&stage.scenario);
        assert_eq!(stage.commits(&mut unasked, 0, succeeded()), Ok(()), "nobody asked for a proof");
        assert!(unasked.see(&Observation::Probed { id, proof: &off }).is_err(), "nor for a probe");
        stage.scenario.plan.wire = Some(WireRules { min_tls: TlsVersion::V12, ca: None });
        let mut promise = Proven::new(&stage.scenario);
        assert!(stage.commits(&mut promise, 0, succeeded()).is_err(), "nobody looked");
        assert_eq!(promise.see(&Observation::Probed { id, proof: &off }), Ok(()));
        assert!(
            stage.commits(&mut promise, 0, succeeded()).is_err(),
            "it still shows the other value"
        );
        stage.put(0, 1);
        let on = stage.probe(0, 60);
        assert_eq!(promise.see(&Observation::Probed { id, proof: &on }), Ok(()));
        assert!(
            stage
                .commits(&mut promise, 0, succeeded())
                .expect_err("without its proof")
                .contains("not kept")
        );
        let proven = || Record {
            proof: Some(Box::new(on.summary())),
            state: succeeded(),
            ..Record::queued()
        };
        assert_eq!(stage.keeps(&mut promise, 0, proven()), Ok(()));
        assert_eq!(stage.switches(&mut promise, 0, after(90_000)), Ok(()));
        assert!(
            stage.keeps(&mut promise, 0, proven()).is_err(),
            "a proof from before the switch proves nothing"
        );
    }
}
