//! The token that calls go out with, and what the service says of it.
//!
//! Invariant: what the service says of a token counts only while that token is in use, for it may
//! have been replaced while the call was out.

use std::sync::Arc;
use std::time::Duration;

use super::refusals::Refusals;
use crate::cloud::iam::LoginIdentity;
use crate::cloud::secret::Secret;

/// A token of IAM.
pub(in crate::cloud) struct Issued {
    pub(super) token: Secret,
    pub(super) to: LoginIdentity,
    /// Boot time from which it is to be renewed.
    pub(super) due: Duration,
    /// Boot time from which it is worth nothing.
    pub(super) ends: Duration,
}

/// A token of IAM in use.
#[derive(Default)]
pub(super) struct TokenInUse {
    current: Option<Arc<Issued>>,
    /// Whether the service has let a call in with it.
    proven: bool,
    /// Tokens in a row that the service refused.
    pub(super) refusals: Refusals,
}

impl TokenInUse {
    pub(super) fn replace(&mut self, token: Arc<Issued>) {
        self.current = Some(token);
        self.proven = false;
    }

    /// The token, if it is this identity's and has not ended.
    pub(super) fn usable(&self, who: &LoginIdentity, now: Duration) -> Option<Arc<Issued>> {
        self.current.clone().filter(|token| token.to == *who && now < token.ends)
    }

    pub(super) fn is(&self, token: &Arc<Issued>) -> bool {
        self.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, token))
    }

    /// The service let a call in with this token.
    pub(super) fn let_in(&mut self, token: &Arc<Issued>) {
        if self.is(token) {
            self.proven = true;
            self.refusals = Refusals::default();
        }
    }

    /// The service refused this token: it is taken out of use. Tells whether it is worth coming
    /// again soon.
    pub(super) fn refused(&mut self, token: &Arc<Issued>, now: Duration) -> bool {
        if !self.is(token) {
            return true;
        }
        self.current = None;
        if !self.proven {
            self.refusals.add(now);
        }
        self.proven
    }
}
