//! The cloud as the engine sees it: one call, one reply, never a repetition.
//!
//! Invariants: an implementation makes exactly one request per [`Cloud::perform`]; it asks the
//! [`LastCheck`] when the decisive bytes are about to leave and sends nothing decisive when that
//! refuses; it never follows a redirect, never retries, and classes every answer by what must be
//! done.
//!
//! Deliberately not here: pacing and quota (`engine`), what a reply means for a change
//! (`domain::change`).

pub mod answer;
mod authenticator;
pub mod classify;
mod envelope;
mod guarded_body;
pub mod http;
mod iam;
pub mod job_names;
mod lane_tls;
mod lenient;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod retry_after;
pub mod safe_text;
pub mod secret;
pub mod sign;
pub mod wire_format;

pub(crate) use self::lane_tls::{config as client_tls, trusting_nobody};
use futures_util::future::BoxFuture;

use crate::domain::call::{Call, Reply};

/// Asked on the way out, at the wire instant: may these bytes still leave?
///
/// It is asked exactly once per call that gets that far. For a write the answer must come while the
/// request is still incomplete, so that a refusal means: not executed.
pub type LastCheck = Box<dyn FnOnce() -> Result<(), Withheld> + Send>;

/// The last check refused, with the reason for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("withheld: {0}")]
pub struct Withheld(pub String);

pub trait Cloud: Send + Sync {
    /// Makes one call. The lane is in the call's target. Never panics, never hangs beyond the
    /// lane's call timeout.
    fn perform(&self, call: Call, check: LastCheck) -> BoxFuture<'_, Reply>;
}
