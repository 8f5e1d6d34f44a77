//! The simulated cloud as the engine meets it: calls in, replies out, without HTTP and without
//! waiting.
//!
//! Invariant: a response of the model is turned into the bytes and headers that would be on the
//! wire, and read by the same code that reads the real cloud's.
//!
//! Deliberately not here: transport time before the arrival and after the answer; that is the
//! simulator's own.

use std::time::Duration;

use jiff::Timestamp;

use super::model::{Content, Model, Request, Response};
use crate::cloud::answer::{self, WireAnswer};
use crate::cloud::retry_after;
use crate::cloud::wire_format::{INSTANCES_PAGE, JOBS_PAGE, PROXIES_PAGE, RUNNING};
use crate::domain::call::{Call, Reply};
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::target::Target;

/// What follows from a call that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// From arrival to the moment at which the caller can know the reply. When that is longer than
    /// the caller waits, the reply is lost, and what was executed stays executed.
    pub answer_after: Duration,
    /// The reply, as the HTTP client would give it.
    pub reply: Reply,
    /// Whether the call was a switch that was executed, at its arrival.
    pub executed: bool,
}

impl Model {
    /// Takes one call that arrives at `now`.
    pub fn arrive(&mut self, now: Timestamp, call: &Call) -> Arrival {
        let response = self.handle(now, &request(call));
        Arrival {
            answer_after: response.delay,
            executed: response.executed,
            reply: reply(call, &response),
        }
    }
}

fn request(call: &Call) -> Request<'_> {
    match call {
        Call::Inspect { target: Target { instance_id, .. } }
        | Call::Proxies { instance_id, .. } => {
            Request::Proxies { instance_id: *instance_id, offset: 0, limit: PROXIES_PAGE }
        }
        Call::Submit { target, ssl_option } => Request::Switch {
            instance_id: target.instance_id,
            proxy_id: target.proxy_id,
            ssl_option: *ssl_option,
        },
        Call::Follow { job, .. } | Call::ShowJob { job, .. } => Request::Job { id: job.as_str() },
        Call::Instances { offset, .. } => {
            Request::Instances { offset: *offset as usize, limit: INSTANCES_PAGE }
        }
        Call::FindJobs { within, offset, .. } | Call::Jobs { within, offset, .. } => {
            let TimeSpan { from: start, to: end } = within.whole_seconds();
            Request::Jobs {
                status: None,
                start: Some(start),
                end: Some(end),
                offset: *offset,
                limit: JOBS_PAGE,
            }
        }
        Call::Running { offset, .. } => Request::Jobs {
            status: Some(RUNNING),
            start: None,
            end: None,
            offset: *offset,
            limit: JOBS_PAGE,
        },
    }
}

/// What the client makes of a response.
fn reply(call: &Call, response: &Response) -> Reply {
    match &response.content {
        Content::Answer { status, retry_after, request_id, body, .. } => {
            let retry_after = retry_after.map(|seconds| seconds.to_string());
            let date = retry_after::to_http_date(response.date);
            let wire = WireAnswer {
                status: *status,
                request_id: std::str::from_utf8(request_id).ok(),
                retry_after: retry_after.as_deref(),
                date: date.as_deref(),
                aged: false,
                body: body.as_bytes(),
                cut: false,
                secret: None,
            };
            answer::read(call, &wire)
        }
        Content::Dropped => answer::lost("the connection was closed before an answer came"),
    }
}
