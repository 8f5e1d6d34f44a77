//! What a caller could do to a rollout now: the document of `words::verbs` for who asks.
//!
//! Deliberately not here: whether a verb is possible (`domain::rollout`), and carrying one out
//! (`verbs`).

use jiff::Timestamp;

use super::caller::Caller;
use super::wire::{AsksDoc, EffectDoc, VerbDoc, VerbsDoc};
use crate::store::Rollout;
use crate::words::verbs::{AskedRollout, VerbEffect, VerbOutlook, outlooks};

/// Every verb, for this caller.
pub(super) fn document(rollout: &Rollout, caller: &Caller, now: Timestamp) -> VerbsDoc {
    let asked = AskedRollout {
        plan: &rollout.plan,
        record: &rollout.record,
        tallies: &rollout.tallies,
        submitter: &rollout.by,
        submitted_at: rollout.submitted_at,
        now,
    };
    let verbs = outlooks(&asked, &caller.person())
        .into_iter()
        .map(|outlook| verb(outlook, rollout, caller))
        .collect();
    VerbsDoc { id: rollout.id.to_string(), tag: rollout.record.tag(rollout.id).to_string(), verbs }
}

fn verb(outlook: VerbOutlook, rollout: &Rollout, caller: &Caller) -> VerbDoc {
    let VerbOutlook { verb, in_doubt, outcome, roles, reason_required, name_typed } = outlook;
    let lacks = roles.iter().find_map(|role| caller.lacks(*role, &format!("`{verb}`")));
    let (effect, why_not) = match outcome {
        Ok(outcome) => (Some(effect(outcome)), lacks),
        Err(refusal) => (None, Some(refusal)),
    };
    let digest = (verb == "approve").then(|| rollout.plan.approval.digest.to_string());
    let confirm = name_typed.then(|| rollout.plan.name.to_string());
    let roles = roles.iter().map(|role| role.as_str().to_owned()).collect();
    let asks = AsksDoc { roles, reason_required, confirm, digest };
    VerbDoc { verb: verb.to_owned(), in_doubt, possible: why_not.is_none(), why_not, effect, asks }
}

fn effect(outcome: VerbEffect) -> EffectDoc {
    let VerbEffect { phase, wave, cancelled, requeued, put_back, in_flight, text } = outcome;
    EffectDoc { phase: phase.into(), wave, cancelled, requeued, put_back, in_flight, text }
}
