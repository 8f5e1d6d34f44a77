//! The table: state × event → record, call, wake.
//!
//! Invariant: every pair is written out, so that a new state or event does not compile before somebody has decided what
//! it means.
//!
//! Deliberately not here: how a step is made (`steps`).

use super::{Change, ChangeStep, Context, Decision, Event, ReasonWord, Stale, State};

/// Why a change follows a job whose id its PUT's answer named after the change had gone on without it.
const LATE_ANSWER: &str = "the late answer named the job";

/// The table: state × event → record, call, wake.
pub fn decide(change: &Change, event: &Event, ctx: &Context<'_>) -> Result<Decision, Stale> {
    let step = ChangeStep::new(change, event, ctx);
    match (&change.record.state, event) {
        (State::Queued, Event::Release) => Ok(step.to(State::Ready).now("released")),
        (State::Queued | State::Ready, Event::Cancel) => Ok(step.withdrawn()),
        (State::Ready, Event::Woken) => Ok(step.ready()),

        (State::Inspecting, Event::Woken) => Ok(step.stay().call(step.inspect(), "checked again")),
        (State::Inspecting, Event::Observed(view)) => Ok(step.inspected(view.as_ref())),
        (State::Inspecting, Event::Error(error)) => Ok(step.inspect_failed(error)),

        (State::Submitting { sent, cloud }, Event::Woken) => Ok(step.in_doubt(*sent, *cloud, "no answer is known: in doubt".into())),
        (State::Submitting { .. }, Event::Accepted(Some(job))) => Ok(step.follow(job, "accepted")),
        (State::Submitting { sent, cloud }, Event::Accepted(None)) => Ok(step.in_doubt(*sent, *cloud, "accepted without a job id".into())),
        (State::Submitting { sent, cloud }, Event::Error(error)) => Ok(step.submit_failed(*sent, *cloud, error)),

        (State::Recovering { sent, cloud, candidates: None, .. }, Event::Woken) => Ok(step.question(&step.doubt(*sent, *cloud))),
        (State::Recovering { candidates: Some(_), .. }, Event::Woken) => Ok(step.stay().call(step.inspect(), "the proxy is read")),
        (State::Recovering { sent, cloud, .. }, Event::Found { jobs, asked }) => Ok(step.found(&step.doubt(*sent, *cloud), jobs, *asked)),
        (State::Recovering { .. }, Event::Observed(view)) => Ok(step.recovered(view.as_ref())),
        // The answer itself, later than somebody gave it up: better than anything a question can tell.
        (State::Recovering { .. }, Event::Accepted(Some(job))) => Ok(step.follow(job, LATE_ANSWER)),
        (State::Following { .. } | State::Verifying { .. }, Event::Accepted(Some(job)))
            if change.record.shown.is_none() && step.presumes() && !change.record.jobs.contains(job) =>
        {
            Ok(step.follow(job, LATE_ANSWER))
        }
        (State::Recovering { .. }, Event::Error(error)) => Ok(step.question_failed(error)),

        (State::Following { job }, Event::Woken) => Ok(step.stay().call(step.show_job(job), "follow")),
        (State::Following { job }, Event::Job(view)) => Ok(step.followed(job, view)),
        (State::Following { job }, Event::Error(error)) => Ok(step.follow_failed(job, error)),

        (State::Verifying { .. }, Event::Woken | Event::Proved(_)) if change.record.shown.is_some() => step.on_the_wire(event),
        (State::Verifying { .. }, Event::Woken) => Ok(step.stay().call(step.inspect(), "the check after the switch")),
        (State::Verifying { .. }, Event::Observed(view)) if change.record.shown.is_none() => Ok(step.verified(view.as_ref())),
        (State::Verifying { .. }, Event::Error(error)) if change.record.shown.is_none() => Ok(step.verify_failed(error)),

        (State::Failed { .. } | State::InDoubt { .. }, Event::Requeue) => step.requeue(),
        (State::InDoubt { .. }, Event::Adopt(job)) => step.adopt(job),
        (State::InDoubt { .. }, Event::GiveUp(why)) => step.give_up(why),

        (State::Succeeded { how }, Event::Undo) => step.undo(*how),
        (State::Failed { reason }, Event::Undo) if reason.word == ReasonWord::NotProven => step.undo_unproven(),

        // Everything else came late, twice or to the wrong state. Listed, so that a new event must be thought about.
        (
            State::Queued,
            Event::Woken
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Ready,
            Event::Release
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Inspecting,
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_),
        )
        | (
            State::Submitting { .. },
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_),
        )
        | (
            State::Recovering { .. },
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Accepted(None)
            | Event::Job(_)
            | Event::Proved(_),
        )
        | (
            State::Following { .. },
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Found { .. }
            | Event::Proved(_),
        )
        | (
            State::Verifying { .. },
            Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Failed { .. } | State::InDoubt { .. },
            Event::Woken
            | Event::Release
            | Event::Cancel
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Succeeded { .. },
            Event::Woken
            | Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (
            State::Cancelled | State::Reverted { .. } | State::Skipped { .. },
            Event::Woken
            | Event::Release
            | Event::Cancel
            | Event::Requeue
            | Event::Adopt(_)
            | Event::GiveUp(_)
            | Event::Undo
            | Event::Observed(_)
            | Event::Accepted(_)
            | Event::Job(_)
            | Event::Found { .. }
            | Event::Proved(_)
            | Event::Error(_),
        )
        | (State::Failed { .. }, Event::Adopt(_) | Event::GiveUp(_)) => Err(Stale),
    }
}
