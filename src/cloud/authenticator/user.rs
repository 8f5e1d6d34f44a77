//! A lane with a user and a password: tokens of IAM, got when they are needed and renewed before they end.
//!
//! Invariants: one login at a time, shared by all calls that wait; after IAM has refused a password it is not tried
//! again until it changes or a long time has passed; logins are apart by a growing gap, whatever the calls ask for; a
//! token that is refused is replaced once, and if the new one is refused too, the waits are those of a refused key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Denied;
use super::refusals::{Refusals, minutes};
use crate::clock::Clock;
use crate::cloud::iam::{Iam, Identity, LoginError};
use crate::cloud::secret::{Secret, SecretError, SecretReader};
use crate::domain::lane::Naming;

/// The share of its life after which a token is renewed, in fifths: of 24 hours nearly five are left for an IAM that is
/// out of order.
const RENEW_AFTER_FIFTHS: u32 = 4;

/// Least time between the starts of two logins, but for tokens of shorter life; it doubles with every one that fails.
const GAP: Duration = Duration::from_secs(10);

/// Longest such gap: an IAM that is back is noticed within minutes.
const GAP_MAX: Duration = Duration::from_secs(5 * 60);

/// A refused password is not tried again for this long: the usual rule locks an account after five in a quarter of an
/// hour. Source: IAM's default account policy.
const REFUSED_HOLD: Duration = Duration::from_secs(60 * 60);

/// A token of IAM.
pub(in crate::cloud) struct Issued {
    pub(super) token: Secret,
    to: Identity,
    /// Boot time from which it is to be renewed.
    due: Duration,
    /// Boot time from which it is worth nothing.
    ends: Duration,
}

type Outcome = Result<Arc<Issued>, Denied>;

pub(in crate::cloud) struct User {
    iam: Iam,
    name: Name,
    password: SecretReader,
    domain: Name,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Issued>>,
    /// Whether the cloud has let a call in with it.
    proven: bool,
    /// Who asked last.
    asked: Option<Identity>,
    /// The login that is under way.
    flight: Option<watch::Receiver<Option<Outcome>>>,
    /// Boot time before which there is none.
    not_before: Duration,
    failures: u32,
    /// What IAM said last, if it gave none.
    failure: String,
    refused: Option<(Identity, Duration)>,
    refusals: Refusals,
}

enum Name {
    Plain(String),
    Found(SecretReader),
}

impl Name {
    fn new(what: &'static str, naming: &Naming) -> Self {
        match naming {
            Naming::Plain(name) => Self::Plain(name.clone()),
            Naming::Found(source) => Self::Found(SecretReader::new(what, source.clone())),
        }
    }

    fn lately(&self, now: Duration) -> Result<String, SecretError> {
        match self {
            Self::Plain(name) => Ok(name.clone()),
            Self::Found(reader) => Ok(reader.lately(now)?.expose().to_owned()),
        }
    }
}

impl User {
    pub(super) fn new(iam: Iam, name: &Naming, password: SecretReader, domain: &Naming, clock: Arc<dyn Clock>) -> Self {
        let (name, domain) = (Name::new("user name", name), Name::new("domain name", domain));
        Self { iam, name, password, domain, clock, state: Mutex::new(State::default()) }
    }

    fn identity(&self, now: Duration) -> Result<Identity, SecretError> {
        Ok(Identity { user: self.name.lately(now)?, domain: self.domain.lately(now)?, password: self.password.lately(now)? })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn admit(self: &Arc<Self>) -> Outcome {
        let mut flight = match self.look()? {
            Look::Settled(token) => return Ok(token),
            Look::Wait(flight) => flight,
        };
        match flight.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            Ok(None) | Err(_) => Err(Denied::new("the login ended without an answer")),
        }
    }

    /// A token, the reason why there is none, or the login to wait for.
    fn look(self: &Arc<Self>) -> Result<Look, Denied> {
        let now = self.clock.times().boot;
        let mut state = self.state();
        // Read under the lock, so that an older reading never comes after a newer one.
        let who = self.identity(now).map_err(|error| Denied::new(error.to_string()))?;
        // Somebody new is asked for at once: holds and gaps are for those who failed.
        let changed = state.asked.as_ref().is_some_and(|asked| *asked != who);
        if changed {
            state.refusals.lift();
        }
        if let Some((count, left)) = state.refusals.held(now) {
            let left = minutes(left);
            let message = format!(
                "{count} tokens of IAM in a row were refused by the service; nothing is sent for {left}: check the lane's region and project"
            );
            return Err(Denied::new(message));
        }
        let usable = state.token.clone().filter(|token| token.to == who && now < token.ends);
        if let Some(token) = usable.as_ref().filter(|token| now < token.due) {
            return Ok(Look::Settled(token.clone()));
        }
        let refused = state.refused.as_ref().filter(|(whom, until)| *whom == who && now < *until).map(|(_, until)| *until);
        // A token that is still good is used while a new one is on its way, or cannot be had.
        let instead = |denied: Denied| usable.clone().map(Look::Settled).ok_or(denied);
        if let Some(until) = refused {
            let left = minutes(until - now);
            return instead(Denied::new(format!("{}; not asked again for {left}, or until the password changes", state.failure)));
        }
        if state.flight.is_none() {
            if now < state.not_before && !changed {
                let seconds = (state.not_before - now).as_secs() + 1;
                let said = if state.failure.is_empty() {
                    "the last token of IAM is not good any more, and a new one was got just before"
                } else {
                    &state.failure
                };
                let denied = Denied { message: said.to_owned(), retry_after: u32::try_from(seconds).ok() };
                return instead(denied);
            }
            state.not_before = now + GAP;
            state.asked = Some(who.clone());
            state.flight = Some(self.clone().start(who));
        }
        let flight = state.flight.clone().expect("it was just put there");
        Ok(match usable {
            Some(token) => Look::Settled(token),
            None => Look::Wait(flight),
        })
    }

    /// A task of its own: whoever waits may stop waiting.
    fn start(self: Arc<Self>, who: Identity) -> watch::Receiver<Option<Outcome>> {
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            let answer = self.iam.login(&who).await;
            let outcome = self.land(who, answer);
            tell.send_replace(Some(outcome));
        });
        told
    }

    fn land(&self, who: Identity, answer: Result<(Secret, Duration), LoginError>) -> Outcome {
        let now = self.clock.times().boot;
        let mut state = self.state();
        state.flight = None;
        match answer {
            Ok((token, life)) => {
                let due = now + life * RENEW_AFTER_FIFTHS / 5;
                // A token that lives shorter than the gap may be renewed in its time.
                state.not_before = state.not_before.min(due);
                let token = Arc::new(Issued { token, to: who, due, ends: now + life });
                state.token = Some(token.clone());
                (state.proven, state.failures, state.refused) = (false, 0, None);
                state.failure.clear();
                tracing::info!(life_s = life.as_secs(), "IAM gave a token");
                Ok(token)
            }
            Err(LoginError::Refused(message)) => {
                tracing::error!("{message}; not asked again until the password changes");
                state.refused = Some((who, now + REFUSED_HOLD));
                state.failure.clone_from(&message);
                Err(Denied::new(message))
            }
            Err(LoginError::Failed(message, wait)) => {
                tracing::warn!("{message}");
                state.failures = state.failures.saturating_add(1);
                let grown = GAP.saturating_mul(1 << (state.failures - 1).min(10)).min(GAP_MAX);
                let gap = wait.map_or(grown, |wait| wait.max(grown));
                state.not_before = now + gap;
                state.failure.clone_from(&message);
                Err(Denied { message, retry_after: u32::try_from(gap.as_secs()).ok() })
            }
        }
    }

    pub(super) fn let_in(&self, token: &Arc<Issued>) {
        let mut state = self.state();
        if state.is_current(token) {
            state.proven = true;
            state.refusals = Refusals::default();
        }
    }

    /// Takes the token out of use; tells whether it is worth coming again soon.
    pub(super) fn refused(&self, token: &Arc<Issued>) -> bool {
        let now = self.clock.times().boot;
        let mut state = self.state();
        if !state.is_current(token) {
            // It was replaced while the call was out.
            return true;
        }
        state.token = None;
        if state.proven {
            return true;
        }
        state.refusals.add(now);
        false
    }
}

impl State {
    fn is_current(&self, token: &Arc<Issued>) -> bool {
        self.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, token))
    }
}

enum Look {
    Settled(Arc<Issued>),
    Wait(watch::Receiver<Option<Outcome>>),
}
