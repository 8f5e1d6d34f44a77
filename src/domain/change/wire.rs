//! The proof on the wire: what follows when the API shows the wanted value and the plan has
//! `verify.wire`.
//!
//! Invariants: under such a plan no change succeeds, and none is put back, without a proof of its
//! own that shows the wanted value; what could not be seen proves nothing; a probe is requested
//! only after the API has shown the value, and never by a plan that only looks.
//!
//! Deliberately not here: sockets (`probe`), what a proof proves (`proof::judge`), and how many
//! probes are out at once (the engine).

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{AnswerEvent, ChangeStep, Decision, Event, How, ReasonWord, Stale, State};
use crate::domain::call::ProxyView;
use crate::domain::proof::{Endpoint, Proof, ProofVerdict, Refutation, TroubleWord, judge};

/// That the API showed the wanted value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownByApi {
    /// Where the same list says that clients reach the proxy.
    pub endpoint: Endpoint,
    /// How it came to.
    pub how: How,
}

impl ChangeStep<'_> {
    /// The API shows the wanted value: done, or else the wire must show it too.
    pub(super) fn shows(&self, view: &ProxyView, how: How, why: &str) -> Decision {
        if self.ctx.wire.is_none() {
            return self.done(how, why);
        }
        // What was seen to be our doing before a person's retry is so still, or a PUT would have
        // come between.
        let how = self.change.record.shown.as_ref().map_or(how, |shown| shown.how);
        let Some(endpoint) = &view.endpoint else {
            let what = "the API shows the wanted value, and tells no address and port at which the wire could be looked at";
            return self.fail(ReasonWord::NotProven, what.into());
        };
        let job = match &self.change.record.state {
            State::Verifying { job } => job.clone(),
            _ => None,
        };
        let mut next = self.to(State::Verifying { job });
        next.record.shown = Some(Box::new(ShownByApi { endpoint: endpoint.clone(), how }));
        next.probe(endpoint, why)
    }

    /// A change whose value the API has shown.
    pub(super) fn on_the_wire(&self, event: &Event) -> Result<Decision, Stale> {
        let shown = self.change.record.shown.as_ref().ok_or(Stale)?;
        match event {
            Event::Answer(AnswerEvent::Proved(proof)) => Ok(self.proved(shown, proof)),
            _ => Ok(self.stay().probe(&shown.endpoint, "look at the wire")),
        }
    }

    fn proved(&self, shown: &ShownByApi, proof: &Proof) -> Decision {
        // A plan is frozen, so one that asked for the proof asks for it still.
        let demand = self.ctx.wire.unwrap_or_default();
        let verdict = judge(proof, self.change.desired, &demand);
        let late = self.ctx.waited >= self.ctx.verify_timeout;
        match &verdict {
            ProofVerdict::Proven { message } => {
                let mut done = self.done(shown.how, &format!("proven on the wire: {message}"));
                done.record.proof = Some(Box::new(proof.summary()));
                done
            }
            _ if late || is_for_good(&verdict) => {
                let what = format!(
                    "the API shows the wanted value, and the wire does not: {}",
                    verdict.message()
                );
                self.fail(ReasonWord::NotProven, what)
            }
            // A proxy takes a new setting to its listeners one by one.
            _ => self.next_poll(format!("not proven yet: {}", verdict.message())),
        }
    }
}

/// What no waiting mends: each probe more would only be one more refused connection.
fn is_for_good(verdict: &ProofVerdict) -> bool {
    matches!(
        verdict,
        ProofVerdict::Unseen { word: TroubleWord::HostBlocked | TroubleWord::HostRefused, .. }
            | ProofVerdict::Refuted { word: Refutation::TooOld, .. }
    )
}
