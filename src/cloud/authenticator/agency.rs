//! Lanes that act by an agency: each has a token of the account that made the agency, had by the
//! token of one user who logs in once for all of them.
//!
//! Invariants: a lane has one request for a token out at a time, shared by all its calls that wait;
//! requests take the user's turns (`turns`); tokens that came together are not renewed together. What IAM says against an agency concerns its lane alone. A
//! token of the user that IAM refuses is replaced once; if the next one is refused too, it is the
//! agency's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::refusals::minutes;
use super::token::{Issued, TokenInUse};
use super::user::{IamUser, LoginOutcome, RENEW_AFTER_FIFTHS, seconds};
use super::{Denied, SOON};
use crate::clock::Clock;
use crate::cloud::iam::{LoginError, LoginIdentity};
use crate::cloud::secret::Secret;
use crate::domain::id::ProjectId;
use crate::domain::lane::Agency;

/// An agency that IAM refused is asked for again after so long. Nothing counts such refusals, and
/// whoever mends it in the other account has no way to tell us.
const AGENCY_HOLD: Duration = Duration::from_secs(5 * 60);

/// Tokens are renewed up to this part of their life earlier, each lane by another part of it.
const JITTER_PART: u32 = 10;

/// One lane's way in by an agency.
pub(in crate::cloud) struct AgencyLane {
    user: Arc<IamUser>,
    agency: Agency,
    project: ProjectId,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: TokenInUse,
    /// The request that is under way.
    flight: Option<watch::Receiver<Option<LoginOutcome>>>,
    /// Whom IAM refused the agency, until when it is not asked again, and what it said.
    refused: Option<(LoginIdentity, Duration, String)>,
    /// The token of the user that IAM did not take for it.
    doubted: Option<Arc<Issued>>,
}

/// What a call of the lane is to do.
enum AgencyLook {
    Settled(Arc<Issued>),
    Wait(watch::Receiver<Option<LoginOutcome>>),
}

impl AgencyLane {
    pub(super) fn new(
        user: Arc<IamUser>,
        agency: Agency,
        project: ProjectId,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { user, agency, project, clock, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn admit(self: &Arc<Self>) -> LoginOutcome {
        let mut flight = match self.look()? {
            AgencyLook::Settled(token) => return Ok(token),
            AgencyLook::Wait(flight) => flight,
        };
        match flight.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            Ok(None) | Err(_) => {
                Err(Denied::new("the request for a token ended without an answer"))
            }
        }
    }

    /// A token, the reason why there is none, or what to wait for.
    fn look(self: &Arc<Self>) -> Result<AgencyLook, Denied> {
        let now = self.clock.times().boot;
        let mut state = self.state();
        let who = self.user.identity(now).map_err(|error| Denied::new(error.to_string()))?;
        if let Some((count, left)) = state.token.refusals.held(now) {
            let (name, left) = (&self.agency, minutes(left));
            let message = format!(
                "{count} tokens of {name} in a row were refused by the service; nothing is sent for {left}: check the lane's region and project"
            );
            return Err(Denied::new(message));
        }
        let usable = state.token.usable(&who, now);
        if let Some(token) = usable.as_ref().filter(|token| now < token.due) {
            return Ok(AgencyLook::Settled(token.clone()));
        }
        // A token that is still good is used while a new one is on its way, or cannot be had.
        let instead = |denied: Denied| usable.clone().map(AgencyLook::Settled).ok_or(denied);
        let refused = state.refused.as_ref();
        if let Some((_, until, said)) =
            refused.filter(|(whom, until, _)| *whom == who && now < *until)
        {
            let left = minutes(*until - now);
            let remedy = Some(self.remedy(&who));
            let message = format!("{said}; not asked again for {left}");
            return instead(Denied { remedy, ..Denied::new(message) });
        }
        if state.flight.is_none() {
            if let Some(denied) = self.user.iam_denies(&who, now) {
                return instead(denied);
            }
            state.flight = Some(self.clone().start(who));
        }
        let flight = state.flight.clone().expect("it was just put there");
        Ok(match usable {
            Some(token) => AgencyLook::Settled(token),
            None => AgencyLook::Wait(flight),
        })
    }

    /// A task of its own: whoever waits may stop waiting.
    fn start(self: Arc<Self>, who: LoginIdentity) -> watch::Receiver<Option<LoginOutcome>> {
        let (outcome_sender, outcome_receiver) = watch::channel(None);
        tokio::spawn(async move {
            let outcome = self.ask(who).await;
            self.state().flight = None;
            outcome_sender.send_replace(Some(outcome));
        });
        outcome_receiver
    }

    async fn ask(&self, who: LoginIdentity) -> LoginOutcome {
        let by = self.user.admit().await?;
        let turn = self.user.turns.take(self.clock.times().boot).map_err(|after| {
            let after = seconds(after);
            let message = format!(
                "so many lanes wait for tokens of agencies that this one's turn comes in {after} s"
            );
            Denied::again(message, Some(after))
        })?;
        tokio::time::sleep(turn).await;
        let _place = self.user.turns.out.acquire().await.expect("the semaphore is never closed");
        let answer = self.user.iam.assume(&who, &by.token, &self.agency, &self.project).await;
        self.land(who, &by, answer)
    }

    fn land(
        &self,
        who: LoginIdentity,
        by: &Arc<Issued>,
        answer: Result<(Secret, Duration), LoginError>,
    ) -> LoginOutcome {
        let now = self.clock.times().boot;
        match answer {
            Ok((token, life)) => {
                self.user.let_in(by);
                self.user.iam_answers(&who);
                let due = now + life * RENEW_AFTER_FIFTHS / 5 - jitter(&self.project, life);
                let token = Arc::new(Issued { token, to: who, due, ends: now + life });
                let mut state = self.state();
                state.token.replace(token.clone());
                (state.refused, state.doubted) = (None, None);
                tracing::info!(agency = %self.agency, project = %self.project, life_s = life.as_secs(), "IAM gave a token");
                Ok(token)
            }
            Err(LoginError::WrongPassword(message)) if self.doubts(by) => {
                tracing::warn!("{message}");
                let retry_after = self.user.refused(by).then_some(SOON);
                Err(Denied::again(message, retry_after))
            }
            Err(LoginError::WrongPassword(message) | LoginError::Refused(message)) => {
                let remedy = Some(self.remedy(&who));
                tracing::error!("{message}; {}", remedy.as_deref().unwrap_or_default());
                self.state().refused = Some((who, now + AGENCY_HOLD, message.clone()));
                Err(Denied { remedy, ..Denied::new(message) })
            }
            Err(LoginError::Failed(message, wait)) => {
                tracing::warn!("{message}");
                let gap = self.user.iam_failed(&who, &message, wait, now);
                Err(Denied::again(message, u32::try_from(gap.as_secs()).ok()))
            }
        }
    }

    /// Whether it may be the user's token that IAM did not take: the first one is doubted, and when
    /// another one is not taken either, it is the agency's.
    fn doubts(&self, by: &Arc<Issued>) -> bool {
        let mut state = self.state();
        let first = state.doubted.as_ref().is_none_or(|doubted| Arc::ptr_eq(doubted, by));
        state.doubted.get_or_insert_with(|| by.clone());
        first
    }

    fn remedy(&self, who: &LoginIdentity) -> String {
        let Agency { name, domain } = &self.agency;
        let (user, ours) = (&who.user, &who.domain);
        format!(
            "let account {domain} have an agency {name} for account {ours} with rights for GaussDB in project {}, and give user {user} the policy Agent Operator",
            self.project
        )
    }

    pub(super) fn let_in(&self, token: &Arc<Issued>) {
        self.state().token.let_in(token);
    }

    /// Takes the token out of use; tells whether it is worth coming again soon.
    pub(super) fn refused(&self, token: &Arc<Issued>) -> bool {
        let now = self.clock.times().boot;
        self.state().token.refused(token, now)
    }
}

/// How much earlier than others a lane renews its token: the same part each time, by its project.
fn jitter(project: &ProjectId, life: Duration) -> Duration {
    // FNV-1a: projects that differ in one letter lie far apart.
    let hash = project
        .as_str()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, letter| (hash ^ u32::from(letter)).wrapping_mul(0x0100_0193));
    life / JITTER_PART * (hash % 1_000) / 1_000
}
