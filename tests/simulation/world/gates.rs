//! People at the gates: who asks for reverts, approves, pauses for a while; and somebody else who
//! switches proxies.

use futures_util::FutureExt;
use sealift::domain::call::Call;
use sealift::domain::change::State;
use sealift::domain::id::Digest;
use sealift::domain::rollout::Verb;
use sealift::store::Store;

use super::{S, SimEvent, SimWorld};
use crate::planted::Planted;

/// Who approves; the first of them submitted, under the name that a file of the plans folder would
/// have, and may not.
const PEOPLE: [&str; 4] = ["simulation (plans folder)", "ada", "bob", "carol"];

impl SimWorld {
    pub(super) fn draw_gates(&mut self) {
        let gates = self.scenario.gates.clone();
        for at in gates.reverts {
            self.push(at * S, SimEvent::Operator { verb: Verb::Revert });
        }
        for at in gates.foreign {
            self.push(at * S, SimEvent::Foreign);
        }
        for (at, length) in gates.pauses {
            let until = super::start() + std::time::Duration::from_secs(at + length);
            self.push(at * S, SimEvent::Operator { verb: Verb::Pause { until: Some(until) } });
        }
        if gates.approvals > 0 {
            for at in 0..6 {
                let digest = if at % 3 == 0 {
                    Digest::of(b"another plan")
                } else {
                    self.submission.plan.approval.digest
                };
                self.push((3 + 5 * at) * S, SimEvent::Operator { verb: Verb::Approve { digest } });
            }
        }
    }

    /// Whoever approves is drawn; everything else is done by the operator.
    pub(super) fn author(&mut self, verb: &Verb) -> &'static str {
        match verb {
            Verb::Approve { .. } => PEOPLE[self.rng.usize(0..PEOPLE.len())],
            _ => "operator",
        }
    }

    /// The verb as it reaches the core.
    pub(super) fn passed_on(&self, verb: &Verb) -> Verb {
        match (self.planted, verb) {
            (Planted::AnyDigestApproves, Verb::Approve { .. }) => {
                Verb::Approve { digest: self.submission.plan.approval.digest }
            }
            _ => verb.clone(),
        }
    }

    /// Whether this is the look before a PUT that puts back.
    pub(super) fn looks_before_putting_back(&self, call: &Call) -> bool {
        let Some(id) = self.oracle.id_of(call) else { return false };
        let stored = self
            .store
            .change(id)
            .now_or_never()
            .expect("ready")
            .expect("memory")
            .expect("a change of the rollout");
        stored.change.record.undo.is_some() && stored.change.record.state == State::Inspecting
    }

    pub(super) fn foreign(&mut self) {
        if self.calm {
            return;
        }
        let proxy = self.fleet.proxies()[self.rng.usize(0..self.scenario.proxies)].proxy_id;
        let now = self.cloud_now();
        let value = self.cloud.proxy(&proxy).is_some_and(|proxy| proxy.ssl_option);
        if self.cloud.foreign_change(now, &proxy, !value) {
            self.fire("foreign_switch");
        }
    }
}
