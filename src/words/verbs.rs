//! What each verb on a rollout would do now, and what it asks before: possible or why not, by the
//! table that decides it.
//!
//! Invariant: whether a verb is possible is what [`decide`] says of it, with its words; nothing
//! about phases is known here.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::count::count;
use crate::domain::people::Role;
use crate::domain::person::{Attribution, Person};
use crate::domain::plan::Plan;
use crate::domain::rollout::{
    ByHand, Context, Decision, Effect, Event, Phase, Record, Refusal, Requeue, Slowest, Verb,
    decide,
};
use crate::domain::tally::Tally;
use crate::domain::window_log::Gap;

/// All that is known of a rollout when somebody asks what they could do.
#[derive(Debug, Clone, Copy)]
pub struct AskedRollout<'a> {
    pub plan: &'a Plan,
    pub record: &'a Record,
    pub tallies: &'a [Tally],
    pub submitter: &'a Person,
    pub submitted_at: Timestamp,
    pub now: Timestamp,
}

/// One verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerbOutlook {
    /// As it is typed, and as its route ends.
    pub verb: &'static str,
    /// `retry` alone: also what is in doubt.
    pub in_doubt: bool,
    /// What it would do; or why it means nothing now, in the words of its refusal.
    pub outcome: Result<VerbEffect, String>,
    /// Roles that it takes.
    pub roles: Vec<Role>,
    /// Whoever asks must say why.
    pub reason_required: bool,
    /// It switches SSL off: the plan's name is typed back.
    pub name_typed: bool,
}

/// What a verb would do at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerbEffect {
    /// Phase word after it.
    pub phase: &'static str,
    /// Place of the wave it is in then, from 0.
    pub wave: Option<u16>,
    /// Changes that would be cancelled for good.
    pub cancelled: u32,
    /// Changes that would be queued again.
    pub requeued: u32,
    /// Changes that would be put back, at most.
    pub put_back: u32,
    /// Changes in flight, which are followed to their end in any case.
    pub in_flight: u32,
    /// The same for people.
    pub text: String,
}

/// Every verb for this person, in the order in which they are shown.
pub fn outlooks(rollout: &AskedRollout<'_>, person: &Person) -> Vec<VerbOutlook> {
    let digest = rollout.plan.approval.digest;
    let verbs = [
        Verb::Approve { digest },
        Verb::Promote,
        Verb::Pause { until: None },
        Verb::Resume,
        Verb::Retry(Requeue::Failed),
        Verb::Retry(Requeue::FailedAndInDoubt),
        Verb::ByHand { ordinal: 0, what: ByHand::GiveUp },
        Verb::Abort,
        Verb::Revert,
    ];
    verbs.into_iter().map(|verb| rollout.outlook(verb, person)).collect()
}

/// Whether a verb is for a person who says why, in whatever state it is: it holds the rollout, or
/// takes back what others rely on.
pub fn needs_reason(verb: &Verb) -> bool {
    matches!(verb, Verb::Pause { .. } | Verb::Abort | Verb::Revert)
}

/// What an abort does, for people.
pub fn aborts(queued: u32, active: u32) -> String {
    format!(
        "{} will be cancelled for good, {active} in flight will be followed to the end",
        count(queued, "change", "changes")
    )
}

/// What a revert does of a rollout that brought proxies to this value, for people.
pub fn reverts(ssl_option: bool, changed: u32, queued: u32) -> String {
    let back = if ssl_option { "OFF" } else { "on" };
    format!(
        "SSL is switched {back} again where this rollout changed it and nobody did since: up to {}; {} not begun will be cancelled for good",
        count(changed, "proxy", "proxies"),
        count(queued, "change", "changes"),
    )
}

impl AskedRollout<'_> {
    fn outlook(&self, verb: Verb, person: &Person) -> VerbOutlook {
        let all: Tally = self.tallies.iter().copied().sum();
        // With a reason everything is possible that is without; what is not possible without one
        // says so.
        let decided = self.decide(&verb, person, "said");
        let unsaid = matches!(self.decide(&verb, person, ""), Err(Refusal::ReasonMissing { .. }));
        let by_hand = matches!(verb, Verb::ByHand { .. });
        let outcome = match decided {
            Err(refusal) => Err(refusal.to_string()),
            // The table of changes decides it, of the one that is named.
            Ok(_) if by_hand && all.in_doubt == 0 => {
                Err("nothing to resolve: no change of this rollout is in doubt".to_owned())
            }
            Ok(decision) => Ok(self.outcome(&verb, &decision, &all)),
        };
        let off = !self.leads_to(&verb);
        let mut roles =
            vec![if matches!(verb, Verb::Approve { .. }) { Role::Approve } else { Role::Operate }];
        roles.extend(off.then_some(Role::Off));
        VerbOutlook {
            in_doubt: verb == Verb::Retry(Requeue::FailedAndInDoubt),
            outcome,
            roles,
            reason_required: unsaid || needs_reason(&verb),
            name_typed: off && verb == Verb::Revert,
            verb: verb.as_str(),
        }
    }

    fn decide(&self, verb: &Verb, person: &Person, reason: &str) -> Result<Decision, Refusal> {
        let mark = Attribution { by: person.name.clone(), reason: reason.to_owned(), at: self.now };
        let context = Context {
            now: self.now,
            plan: self.plan,
            by: self.submitter,
            tallies: self.tallies,
            window: self.plan.opening(self.now, self.record.revert().is_some()),
            stalled: Duration::ZERO,
            at_work: String::new(),
            since: self.submitted_at,
            gap: Gap::None,
            slowest: Slowest::all(self.now),
        };
        decide(self.record, &Event::Command { verb: verb.clone(), mark, uid: person.uid }, &context)
    }

    /// The value to which a verb brings proxies; `true` where it brings none to any.
    fn leads_to(&self, verb: &Verb) -> bool {
        match verb {
            Verb::Revert => !self.plan.ssl_option,
            Verb::Resume | Verb::Promote | Verb::Retry(_) => towards(self.plan, self.record),
            Verb::Pause { .. } | Verb::Abort | Verb::Approve { .. } | Verb::ByHand { .. } => true,
        }
    }

    fn outcome(&self, verb: &Verb, decision: &Decision, all: &Tally) -> VerbEffect {
        let phase = &decision.record.phase;
        let cancelled = if decision.effect == Effect::Withdraw { all.queued } else { 0 };
        let requeued = match verb {
            Verb::Retry(scope) => self.failed(*scope, all),
            _ => 0,
        };
        let put_back = if *verb == Verb::Revert { all.succeeded + all.active } else { 0 };
        let text = self.text(verb, decision, all, requeued);
        VerbEffect {
            phase: phase.as_str(),
            wave: phase.wave(),
            cancelled,
            requeued,
            put_back,
            in_flight: all.active,
            text,
        }
    }

    /// Changes that a retry puts back.
    fn failed(&self, scope: Requeue, all: &Tally) -> u32 {
        // What failed before a revert began goes no way any more.
        let (failed, in_doubt) =
            self.record.revert().map_or((0, 0), |revert| (revert.failed, revert.in_doubt));
        let failed = all.failed.saturating_sub(failed);
        match scope {
            Requeue::Failed => failed,
            Requeue::FailedAndInDoubt => failed + all.in_doubt.saturating_sub(in_doubt),
        }
    }

    fn text(&self, verb: &Verb, decision: &Decision, all: &Tally, requeued: u32) -> String {
        let followed = match all.active {
            0 => String::new(),
            1 => "; 1 in flight is followed to its end".to_owned(),
            n => format!("; {n} in flight are followed to their end"),
        };
        match verb {
            Verb::Pause { .. } => format!("nothing new begins until somebody resumes it{followed}"),
            Verb::Resume => format!("it goes on: {}", decision.record.phase.as_str()),
            Verb::Abort => aborts(all.queued, all.active),
            Verb::Revert => reverts(self.plan.ssl_option, all.succeeded + all.active, all.queued),
            Verb::Retry(_) => {
                format!("{} queued again", count(requeued, "change is", "changes are"))
            }
            Verb::ByHand { .. } => {
                "one change that is in doubt gets its outcome: its job is named, or it is given up"
                    .to_owned()
            }
            Verb::Approve { .. } => {
                let missing = self
                    .plan
                    .approval
                    .required
                    .saturating_sub(decision.record.approvals_given(self.submitter));
                match missing {
                    0 => "it begins as soon as its windows let it".to_owned(),
                    n => format!(
                        "{} must still be given",
                        count(u32::from(n), "approval", "approvals")
                    ),
                }
            }
            Verb::Promote => {
                let left = if all.failures() > 0 {
                    format!(", without the {} that failed or are in doubt", all.failures())
                } else {
                    String::new()
                };
                let next = decision
                    .record
                    .phase
                    .wave()
                    .and_then(|wave| self.plan.strategy.waves.get(usize::from(wave)));
                match (&decision.record.phase, next) {
                    (Phase::Advancing { .. }, Some(wave)) => {
                        format!(
                            "wave {} begins with {}{left}",
                            wave.name,
                            count(wave.size, "change", "changes")
                        )
                    }
                    (phase, _) => format!("it is {}{left}", phase.as_str()),
                }
            }
        }
    }
}

/// The value to which what is released now is brought: the plan's, and while it is put back the
/// other one.
pub fn towards(plan: &Plan, record: &Record) -> bool {
    plan.ssl_option != record.revert().is_some()
}
