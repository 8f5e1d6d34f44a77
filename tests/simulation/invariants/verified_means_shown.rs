//! Under a plan with `verify.wire`, whoever is told as succeeded or put back was shown by the wire after its last PUT.

use std::collections::BTreeSet;

use sealift::domain::call::Call;
use sealift::domain::change::State;

use super::SimInvariant;
use crate::oracle::{Fact, OracleSetting, SeenFact};

pub struct VerifiedMeansShown {
    asked: bool,
    wanted: bool,
    /// What the wire showed since the last PUT, by place. All of it: a probe of a daemon that died may have come last.
    shown: BTreeSet<(u32, bool)>,
}

impl VerifiedMeansShown {
    pub fn new(setting: &OracleSetting<'_>) -> Self {
        let plan = &setting.submission.plan;
        Self { asked: plan.wire.is_some(), wanted: plan.ssl_option, shown: BTreeSet::new() }
    }
}

impl SimInvariant for VerifiedMeansShown {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Seen(SeenFact::Probed { id, .. }) if !self.asked => Err(format!("{id} is probed, and its plan asks for no proof")),
            Fact::Seen(SeenFact::Probed { id, shown }) => {
                self.shown.extend(shown.map(|shown| (id.ordinal, shown)));
                Ok(())
            }
            Fact::Wire { sent, .. } if matches!(sent.call, Call::Submit { .. }) => {
                self.shown.retain(|(ordinal, _)| *ordinal != sent.id.ordinal);
                Ok(())
            }
            Fact::Committed { commit, .. } if self.asked => commit.changes.iter().try_for_each(|change| {
                let wanted = match &change.record.state {
                    State::Succeeded { .. } => self.wanted,
                    State::Reverted { .. } => change.record.desired(self.wanted),
                    _ => return Ok(()),
                };
                if self.shown.contains(&(change.ordinal, wanted)) && change.record.proof.is_some() {
                    return Ok(());
                }
                Err(format!("{} ends as {} and the wire did not show {wanted}", change.ordinal, change.record.state.as_str()))
            }),
            _ => Ok(()),
        }
    }
}
