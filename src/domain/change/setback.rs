//! Setbacks: what the cloud answered to an attempt that did not succeed, in its own words, for its
//! support.
//!
//! Job: hold the first such answer and the latest beside the change, so that no later step hides
//! the cause.
//!
//! Invariants: a setback belongs to a look before a switch, to a switch or to the end of its job;
//! what costs no attempt and no look (a call that never left, a lane that is throttled or not let
//! in) is none. A record holds two at most. They decide nothing.
//!
//! Deliberately not here: every other answer (the journal has each of them), and how one is
//! printed.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{AnswerEvent, Change, ChangeStep, Event, State};
use crate::domain::call::{CallError, Disposition, JobView};

/// The cloud's answer to an attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setback {
    pub to: Asked,
    /// PUTs spent by then, this one included.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub attempt: u16,
    /// HTTP status, if an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `error_code`, if the answer had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `X-Request-Id`, if the answer had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// In one line; of a job the cloud's reason.
    pub message: String,
}

/// What a setback answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The look before a switch.
    Look,
    Switch,
    /// The job that the PUT began: it ended without effect.
    Job,
}

impl Asked {
    /// Its word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Switch => "switch",
            Self::Job => "job",
        }
    }
}

/// The first setback of a change since it was queued, and the latest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setbacks {
    pub first: Setback,
    /// The latest; absent while there was only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latest: Option<Setback>,
}

impl Setbacks {
    /// The latest, which may be the first.
    pub fn last(&self) -> &Setback {
        self.latest.as_ref().unwrap_or(&self.first)
    }

    fn with(before: Option<Box<Self>>, new: Setback) -> Box<Self> {
        match before {
            Some(mut setbacks) => {
                setbacks.latest = Some(new);
                setbacks
            }
            None => Box::new(Self { first: new, latest: None }),
        }
    }

    /// Those of the change once the event has happened.
    pub(super) fn after(change: &Change, event: &Event) -> Option<Box<Self>> {
        let record = &change.record;
        let before = || record.setbacks.clone();
        match (&record.state, event) {
            (State::Inspecting, Event::Answer(AnswerEvent::Error(error))) if costs(error) => {
                Some(Self::with(before(), Setback::answered(Asked::Look, record.attempts, error)))
            }
            (State::Submitting { .. }, Event::Answer(AnswerEvent::Error(error)))
                if costs(error) =>
            {
                Some(Self::with(before(), Setback::answered(Asked::Switch, record.attempts, error)))
            }
            // A presumed job may be somebody else's.
            (
                State::Following { job },
                Event::Answer(AnswerEvent::Job(JobView::Broken { reason })),
            ) if !record.presumes(job) => {
                let (attempt, message) = (record.attempts, reason.clone());
                let broken = Setback {
                    to: Asked::Job,
                    attempt,
                    status: None,
                    code: None,
                    request_id: None,
                    message,
                };
                Some(Self::with(before(), broken))
            }
            _ => before(),
        }
    }
}

impl Setback {
    fn answered(to: Asked, attempt: u16, error: &CallError) -> Self {
        let CallError { status, code, request_id, message, .. } = error.clone();
        Self { to, attempt, status, code, request_id, message }
    }
}

fn costs(error: &CallError) -> bool {
    match error.disposition {
        Disposition::NotDone
        | Disposition::Busy
        | Disposition::Unknown
        | Disposition::NotFound
        | Disposition::Fatal => true,
        Disposition::Withheld
        | Disposition::Throttled
        | Disposition::Unauthorised
        | Disposition::Misdated => false,
    }
}

impl ChangeStep<'_> {
    /// What came of a switch in doubt, after the answer that brought it there.
    pub(super) fn with_cause(&self, what: &str) -> String {
        let of_this_switch = |last: &&Setback| {
            last.to == Asked::Switch && last.attempt == self.change.record.attempts
        };
        match self.setbacks.as_ref().map(|setbacks| setbacks.last()).filter(of_this_switch) {
            Some(last) => format!("{}; {what}", last.message),
            None => what.to_owned(),
        }
    }
}
