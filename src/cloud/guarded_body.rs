//! The body of the switch, which leaves only if the last check allows it.
//!
//! Invariants: the check is asked when the connection stands and asks for the first byte of the
//! body, so a refusal leaves a request that can never be complete; once the [`SendGate`] is closed
//! the check is not asked any more, so a call that was given up cannot leave later.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{LastCheck, Withheld};

/// Stands between the caller and the connection's task; both ask and close under its lock.
pub(super) struct SendGate(Mutex<State>);

enum State {
    Unasked(LastCheck),
    Allowed,
    Refused(Withheld),
    /// Closed before it was asked.
    Closed,
}

/// How far a call got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SendVerdict {
    /// The check was not asked: nothing decisive left, and nothing will.
    NotAsked,
    /// It was allowed: the decisive bytes may have left.
    Allowed,
    Refused(Withheld),
}

impl SendGate {
    pub(super) fn new(check: LastCheck) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::Unasked(check))))
    }

    /// Asks the check, once.
    pub(super) fn ask(&self) -> Result<(), Withheld> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // While the check runs the gate counts as closed: should it panic, nothing leaves.
        match std::mem::replace(&mut *state, State::Closed) {
            State::Unasked(check) => {
                let verdict = check();
                *state = match &verdict {
                    Ok(()) => State::Allowed,
                    Err(withheld) => State::Refused(withheld.clone()),
                };
                verdict
            }
            other => {
                *state = other;
                Err(Withheld("the call was given up before it left".into()))
            }
        }
    }

    /// Closes the gate for good and tells how far the call got.
    pub(super) fn close(&self) -> SendVerdict {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Unasked(_) | State::Closed => {
                *state = State::Closed;
                SendVerdict::NotAsked
            }
            State::Allowed => SendVerdict::Allowed,
            State::Refused(withheld) => SendVerdict::Refused(withheld.clone()),
        }
    }
}

/// The body: its length is known beforehand, so the head announces it.
pub(super) struct GuardedBody {
    gate: Arc<SendGate>,
    content: &'static [u8],
}

impl GuardedBody {
    pub(super) fn new(gate: Arc<SendGate>, content: &'static [u8]) -> Self {
        Self { gate, content }
    }
}

impl Body for GuardedBody {
    type Data = Bytes;
    type Error = Withheld;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Withheld>>> {
        if self.content.is_empty() {
            return Poll::Ready(None);
        }
        let content = std::mem::take(&mut self.content);
        Poll::Ready(Some(self.gate.ask().map(|()| Frame::data(Bytes::from_static(content)))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_is_asked_once_and_never_after_closing() {
        let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let check = |verdict: Result<(), Withheld>| -> LastCheck {
            let asked = asked.clone();
            Box::new(move || {
                asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                verdict
            })
        };
        let gate = SendGate::new(check(Ok(())));
        assert_eq!(gate.ask(), Ok(()));
        assert!(gate.ask().is_err(), "the second time nothing may leave");
        assert_eq!(gate.close(), SendVerdict::Allowed);

        let refused = Withheld("the window has shut".into());
        let gate = SendGate::new(check(Err(refused.clone())));
        assert_eq!(gate.ask(), Err(refused.clone()));
        assert_eq!(gate.close(), SendVerdict::Refused(refused));
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);

        let gate = SendGate::new(check(Ok(())));
        assert_eq!(gate.close(), SendVerdict::NotAsked);
        assert!(gate.ask().is_err(), "given up: it must not leave any more");
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
    }
}
