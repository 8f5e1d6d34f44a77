//! The table: state × event → record, call, wake.
//!
//! Invariant: every pair is written out, so that a new state or event does not compile before
//! somebody has decided what it means.
//!
//! Deliberately not here: how a step is made (`steps`).

use super::{
    AnswerEvent, ByPerson, Change, ChangeStep, Context, Decision, Directive, Event, ReasonWord,
    Stale, State,
};

/// Why a change follows a job whose id its PUT's answer named after the change had gone on without
/// it.
const LATE_ANSWER: &str = "the late answer named the job";

/// The table: state × event → record, call, wake.
pub fn decide(change: &Change, event: &Event, ctx: &Context<'_>) -> Result<Decision, Stale> {
    let step = ChangeStep::new(change, event, ctx);
    match (&change.record.state, event) {
        (State::Queued, Event::Rollout(Directive::Release)) => {
            Ok(step.to(State::Ready).now("released"))
        }
        (State::Queued | State::Ready, Event::Rollout(Directive::Cancel)) => Ok(step.withdrawn()),
        (State::Ready, Event::Woken) => Ok(step.ready()),

        (State::Inspecting, Event::Woken) => Ok(step.stay().call(step.inspect(), "checked again")),
        (State::Inspecting, Event::Answer(AnswerEvent::Observed(view))) => {
            Ok(step.inspected(view.as_ref()))
        }
        (State::Inspecting, Event::Answer(AnswerEvent::Error(error))) => {
            Ok(step.inspect_failed(error))
        }

        (State::Submitting { sent, cloud }, Event::Woken) => {
            Ok(step.in_doubt(*sent, *cloud, "no answer is known: in doubt".into()))
        }
        (State::Submitting { .. }, Event::Answer(AnswerEvent::Accepted(Some(job)))) => {
            Ok(step.follow(job, "accepted"))
        }
        (State::Submitting { sent, cloud }, Event::Answer(AnswerEvent::Accepted(None))) => {
            Ok(step.in_doubt(*sent, *cloud, "accepted without a job id".into()))
        }
        (State::Submitting { sent, cloud }, Event::Answer(AnswerEvent::Error(error))) => {
            Ok(step.submit_failed(*sent, *cloud, error))
        }

        (State::Recovering { sent, cloud, candidates: None, .. }, Event::Woken) => {
            Ok(step.question(&step.doubt(*sent, *cloud)))
        }
        (State::Recovering { candidates: Some(_), .. }, Event::Woken) => {
            Ok(step.stay().call(step.inspect(), "the proxy is read"))
        }
        (
            State::Recovering { sent, cloud, .. },
            Event::Answer(AnswerEvent::Found { jobs, asked }),
        ) => Ok(step.found(&step.doubt(*sent, *cloud), jobs, *asked)),
        (State::Recovering { .. }, Event::Answer(AnswerEvent::Observed(view))) => {
            Ok(step.recovered(view.as_ref()))
        }
        // The answer itself, later than somebody gave it up: better than anything a question can
        // tell.
        (State::Recovering { .. }, Event::Answer(AnswerEvent::Accepted(Some(job)))) => {
            Ok(step.follow(job, LATE_ANSWER))
        }
        (
            State::Following { .. } | State::Verifying { .. },
            Event::Answer(AnswerEvent::Accepted(Some(job))),
        ) if change.record.shown.is_none()
            && step.presumes()
            && !change.record.jobs.contains(job) =>
        {
            Ok(step.follow(job, LATE_ANSWER))
        }
        (State::Recovering { .. }, Event::Answer(AnswerEvent::Error(error))) => {
            Ok(step.question_failed(error))
        }

        (State::Following { job }, Event::Woken) => {
            Ok(step.stay().call(step.show_job(job), "follow"))
        }
        (State::Following { job }, Event::Answer(AnswerEvent::Job(view))) => {
            Ok(step.followed(job, view))
        }
        (State::Following { job }, Event::Answer(AnswerEvent::Error(error))) => {
            Ok(step.follow_failed(job, error))
        }

        (State::Verifying { .. }, Event::Woken | Event::Answer(AnswerEvent::Proved(_)))
            if change.record.shown.is_some() =>
        {
            step.on_the_wire(event)
        }
        (State::Verifying { .. }, Event::Woken) => {
            Ok(step.stay().call(step.inspect(), "the check after the switch"))
        }
        (State::Verifying { .. }, Event::Answer(AnswerEvent::Observed(view)))
            if change.record.shown.is_none() =>
        {
            Ok(step.verified(view.as_ref()))
        }
        (State::Verifying { .. }, Event::Answer(AnswerEvent::Error(error)))
            if change.record.shown.is_none() =>
        {
            Ok(step.verify_failed(error))
        }

        (State::Failed { .. } | State::InDoubt { .. }, Event::Verb(ByPerson::Requeue)) => {
            step.requeue()
        }
        (State::InDoubt { .. }, Event::Verb(ByPerson::Adopt(job))) => step.adopt(job),
        (State::InDoubt { .. }, Event::Verb(ByPerson::GiveUp(why))) => step.give_up(why),

        (State::Succeeded { how }, Event::Rollout(Directive::Undo)) => step.undo(*how),
        (State::Failed { reason }, Event::Rollout(Directive::Undo))
            if reason.word == ReasonWord::NotProven =>
        {
            step.undo_unproven()
        }

        // Everything else came late, twice or to the wrong state. Listed, so that a new event must
        // be thought about.
        (
            State::Queued,
            Event::Woken | Event::Rollout(Directive::Undo) | Event::Verb(_) | Event::Answer(_),
        )
        | (
            State::Ready,
            Event::Rollout(Directive::Release | Directive::Undo)
            | Event::Verb(_)
            | Event::Answer(_),
        )
        | (
            State::Inspecting,
            Event::Rollout(_)
            | Event::Verb(_)
            | Event::Answer(
                AnswerEvent::Accepted(_)
                | AnswerEvent::Job(_)
                | AnswerEvent::Found { .. }
                | AnswerEvent::Proved(_),
            ),
        )
        | (
            State::Submitting { .. },
            Event::Rollout(_)
            | Event::Verb(_)
            | Event::Answer(
                AnswerEvent::Observed(_)
                | AnswerEvent::Job(_)
                | AnswerEvent::Found { .. }
                | AnswerEvent::Proved(_),
            ),
        )
        | (
            State::Recovering { .. },
            Event::Rollout(_)
            | Event::Verb(_)
            | Event::Answer(
                AnswerEvent::Accepted(None) | AnswerEvent::Job(_) | AnswerEvent::Proved(_),
            ),
        )
        | (
            State::Following { .. },
            Event::Rollout(_)
            | Event::Verb(_)
            | Event::Answer(
                AnswerEvent::Observed(_)
                | AnswerEvent::Accepted(_)
                | AnswerEvent::Found { .. }
                | AnswerEvent::Proved(_),
            ),
        )
        | (State::Verifying { .. }, Event::Rollout(_) | Event::Verb(_) | Event::Answer(_))
        | (
            State::Failed { .. } | State::InDoubt { .. },
            Event::Woken | Event::Rollout(_) | Event::Answer(_),
        )
        | (State::Failed { .. }, Event::Verb(ByPerson::Adopt(_) | ByPerson::GiveUp(_)))
        | (
            State::Succeeded { .. },
            Event::Woken
            | Event::Rollout(Directive::Release | Directive::Cancel)
            | Event::Verb(_)
            | Event::Answer(_),
        )
        | (
            State::Cancelled | State::Reverted { .. } | State::Skipped { .. },
            Event::Woken | Event::Rollout(_) | Event::Verb(_) | Event::Answer(_),
        ) => Err(Stale),
    }
}
