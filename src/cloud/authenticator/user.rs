//! Lanes with a user and a password: tokens of IAM, requested when they are needed and renewed
//! before they expire.
//!
//! Invariants: a lane has one login out at a time, shared by all its calls that wait; a password
//! that IAM has not accepted yet is in one login at a time over all lanes of its user, and one that
//! IAM refused is not tried again by any of them until a long time has passed, so that a wrong
//! password costs one login; what IAM answers about a lane's project concerns that lane alone. The
//! gap between logins grows, whatever the calls need; a token that is refused is replaced once, and
//! if the new one is refused too, the waits are those of a refused key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::Denied;
use super::refusals::minutes;
use super::token::{Issued, TokenInUse};
use super::turns::Turns;
use crate::clock::Clock;
use crate::cloud::iam::{Iam, LoginError, LoginIdentity};
use crate::cloud::secret::{Secret, SecretError, SecretReader};
use crate::domain::id::ProjectId;
use crate::domain::lane::NameSource;

/// The share of its life after which a token is renewed, in fifths: of 24 hours nearly five are
/// left for an IAM that is out of order.
pub(super) const RENEW_AFTER_FIFTHS: u32 = 4;

/// Least time between the starts of two logins, but for tokens of shorter life; it doubles with
/// every one that fails.
const GAP: Duration = Duration::from_secs(10);

/// Longest such gap: an IAM that is back is noticed within minutes.
const GAP_MAX: Duration = Duration::from_secs(5 * 60);

/// A refused password is not tried again for this long: the usual rule locks an account after five
/// in a quarter of an hour. Source: IAM's default account policy.
const REFUSED_HOLD: Duration = Duration::from_secs(60 * 60);

/// Passwords of one user that may be refused in that time. Lanes whose files hold still other ones
/// wait; one that was just written is tried all the same.
const REFUSED_MAX: usize = 3;

/// The users of all lanes.
pub(super) struct Users {
    /// By domain and name. A user that no lane is known as any more is forgotten.
    known: Mutex<BTreeMap<(String, String), Weak<Account>>>,
    /// Told whenever those who wait should look again.
    news: watch::Sender<()>,
}

impl Default for Users {
    fn default() -> Self {
        Self { known: Mutex::default(), news: watch::Sender::new(()) }
    }
}

impl Users {
    fn of(&self, who: &LoginIdentity) -> Arc<Account> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (who.domain.clone(), who.user.clone());
        if let Some(account) = known.get(&name).and_then(Weak::upgrade) {
            return account;
        }
        known.retain(|_, account| account.strong_count() > 0);
        let account = Arc::<Account>::default();
        known.insert(name, Arc::downgrade(&account));
        account
    }
}

/// One user of IAM, with what was learnt of it over all lanes.
#[derive(Default)]
struct Account(Mutex<KnownToken>);

#[derive(Default)]
struct KnownToken {
    /// A login is out with a password that is not proven.
    on_trial: bool,
    /// The password that IAM accepted.
    proven: Option<Arc<Secret>>,
    /// Those that it refused.
    refused: Vec<RefusedPassword>,
    /// By IAM endpoint: those that gave no verdict.
    failing: BTreeMap<String, Failing>,
}

/// A password that is left alone.
struct RefusedPassword {
    password: Arc<Secret>,
    until: Duration,
    said: String,
}

/// An IAM that is out of order or out of reach.
struct Failing {
    password: Arc<Secret>,
    /// Boot time before which it is not asked again for the same password.
    not_before: Duration,
    in_row: u32,
    said: String,
}

impl Account {
    fn known(&self) -> MutexGuard<'_, KnownToken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownToken {
    /// Why nobody may ask for this password now. `changed`: somebody has just written it.
    fn denies(
        &self,
        iam: &str,
        password: &Arc<Secret>,
        changed: bool,
        now: Duration,
    ) -> Option<Denied> {
        let refused = || self.refused.iter().filter(|refused| now < refused.until);
        if let Some(refused) = refused().find(|refused| refused.password == *password) {
            let left = minutes(refused.until - now);
            return Some(Denied::new(format!(
                "{}; not asked again for {left}, or until the password changes",
                refused.said
            )));
        }
        if self.proven.as_ref() != Some(password)
            && !changed
            && refused().count() >= REFUSED_MAX
            && let Some(first) = refused().next()
        {
            let left = minutes(first.until - now);
            let message = format!(
                "{}; {REFUSED_MAX} passwords were refused, and one more could lock the account: the next is not tried for {left}, or until the password changes",
                first.said
            );
            return Some(Denied::new(message));
        }
        self.waits(iam, password, now)
    }

    /// Why IAM at this endpoint is not asked for anything now: it gave no verdict a moment ago.
    fn waits(&self, iam: &str, password: &Arc<Secret>, now: Duration) -> Option<Denied> {
        let failing = self
            .failing
            .get(iam)
            .filter(|failing| now < failing.not_before && failing.password == *password)?;
        let after = seconds(failing.not_before - now);
        Some(Denied::again(failing.said.clone(), Some(after)))
    }

    /// IAM's verdict on a password is that it is wrong; whether it stands for all lanes. One that
    /// was accepted before is refused only when the next login, which goes alone, is refused too:
    /// until then it may be this lane's project.
    fn refuse(&mut self, password: Arc<Secret>, said: String, now: Duration) -> bool {
        if self.proven.take_if(|proven| *proven == password).is_some() {
            return false;
        }
        self.refused.retain(|refused| now < refused.until && refused.password != password);
        self.refused.push(RefusedPassword { password, until: now + REFUSED_HOLD, said });
        true
    }

    /// IAM at this endpoint gave no verdict; the gap until it is asked again.
    fn fail(
        &mut self,
        iam: &str,
        password: Arc<Secret>,
        said: &str,
        wait: Option<Duration>,
        now: Duration,
    ) -> Duration {
        let before = self.failing.get(iam).map_or(0, |failing| failing.in_row);
        let grown = GAP.saturating_mul(1 << before.min(10)).min(GAP_MAX);
        let gap = wait.map_or(grown, |wait| wait.max(grown));
        let failing = Failing {
            password,
            not_before: now + gap,
            in_row: before.saturating_add(1),
            said: said.to_owned(),
        };
        self.failing.insert(iam.to_owned(), failing);
        gap
    }

    fn accept(&mut self, iam: &str, password: Arc<Secret>) {
        self.proven = Some(password);
        self.refused.clear();
        self.failing.remove(iam);
    }
}

/// In whole seconds, rounded up.
pub(super) fn seconds(left: Duration) -> u32 {
    u32::try_from(left.as_secs() + 1).unwrap_or(u32::MAX)
}

pub(super) type LoginOutcome = Result<Arc<Issued>, Denied>;

/// A user of one lane, or of all lanes that act by agencies.
pub(in crate::cloud) struct IamUser {
    pub(super) iam: Iam,
    /// The lane's; `None`: the token is for asking IAM for those of agencies.
    project: Option<ProjectId>,
    /// Of the requests that ask for those.
    pub(super) turns: Turns,
    name: UserName,
    password: SecretReader,
    domain: UserName,
    clock: Arc<dyn Clock>,
    users: Arc<Users>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: TokenInUse,
    /// Who asked last, and as whom that is known.
    asked: Option<(LoginIdentity, Arc<Account>)>,
    /// The login that is under way.
    flight: Option<watch::Receiver<Option<LoginOutcome>>>,
    /// Boot time before which there is none.
    not_before: Duration,
    /// For this lane's project alone: who, until when, and what IAM said.
    refused: Option<(LoginIdentity, Duration, String)>,
}

enum UserName {
    Plain(String),
    Found(SecretReader),
}

impl UserName {
    fn new(what: &'static str, naming: &NameSource) -> Self {
        match naming {
            NameSource::Plain(name) => Self::Plain(name.clone()),
            NameSource::Found(source) => Self::Found(SecretReader::new(what, source.clone())),
        }
    }

    fn lately(&self, now: Duration) -> Result<String, SecretError> {
        match self {
            Self::Plain(name) => Ok(name.clone()),
            Self::Found(reader) => Ok(reader.lately(now)?.expose().to_owned()),
        }
    }
}

impl IamUser {
    pub(super) fn new(
        iam: Iam,
        project: Option<ProjectId>,
        [name, domain]: [&NameSource; 2],
        password: SecretReader,
        clock: Arc<dyn Clock>,
        users: Arc<Users>,
    ) -> Self {
        let (name, domain) =
            (UserName::new("user name", name), UserName::new("domain name", domain));
        Self {
            iam,
            project,
            turns: Turns::default(),
            name,
            password,
            domain,
            clock,
            users,
            state: Mutex::new(State::default()),
        }
    }

    pub(super) fn identity(&self, now: Duration) -> Result<LoginIdentity, SecretError> {
        Ok(LoginIdentity {
            user: self.name.lately(now)?,
            domain: self.domain.lately(now)?,
            password: self.password.lately(now)?,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn admit(self: &Arc<Self>) -> LoginOutcome {
        let mut news = self.users.news.subscribe();
        let mut flight = loop {
            match self.look()? {
                Look::Settled(token) => return Ok(token),
                Look::Wait(flight) => break flight,
                // The sender is ours, so it cannot be gone.
                Look::OnTrial => drop(news.changed().await),
            }
        };
        match flight.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            Ok(None) | Err(_) => Err(Denied::new("the login ended without an answer")),
        }
    }

    /// A token, the reason why there is none, or what to wait for.
    fn look(self: &Arc<Self>) -> Result<Look, Denied> {
        let now = self.clock.times().boot;
        let mut state = self.state();
        // Read under the lock, so that an older reading never comes after a newer one.
        let who = self.identity(now).map_err(|error| Denied::new(error.to_string()))?;
        // Somebody new is asked for at once: holds and gaps are for those who failed.
        let changed = state.asked.as_ref().is_some_and(|(asked, _)| *asked != who);
        if changed {
            state.token.refusals.lift();
        }
        if let Some((count, left)) = state.token.refusals.held(now) {
            let left = minutes(left);
            let (by, check) = match &self.project {
                Some(_) => ("the service", "the lane's region and project"),
                None => ("IAM itself, for agencies", "whether the user is enabled there"),
            };
            let message = format!(
                "{count} tokens of IAM in a row were refused by {by}; nothing is sent for {left}: check {check}"
            );
            return Err(Denied::new(message));
        }
        let usable = state.token.usable(&who, now);
        if let Some(token) = usable.as_ref().filter(|token| now < token.due) {
            return Ok(Look::Settled(token.clone()));
        }
        // A token that is still good is used while a new one is on its way, or cannot be had.
        let instead = |denied: Denied| usable.clone().map(Look::Settled).ok_or(denied);
        if let Some((_, until, said)) =
            state.refused.as_ref().filter(|(whom, until, _)| *whom == who && now < *until)
        {
            let left = minutes(*until - now);
            return instead(Denied::new(format!(
                "{said}; not asked again for {left}, or until the password changes"
            )));
        }
        if state.flight.is_none() {
            let account = match &state.asked {
                Some((asked, account))
                    if (&asked.domain, &asked.user) == (&who.domain, &who.user) =>
                {
                    account.clone()
                }
                Some(_) | None => self.users.of(&who),
            };
            let mut known = account.known();
            if let Some(denied) = known.denies(self.iam.endpoint(), &who.password, changed, now) {
                return instead(denied);
            }
            if now < state.not_before && !changed {
                let message =
                    "the last token of IAM is not good any more, and a new one was got just before"
                        .to_owned();
                let after = seconds(state.not_before - now);
                return instead(Denied::again(message, Some(after)));
            }
            let trial = known.proven.as_ref() != Some(&who.password);
            if trial && std::mem::replace(&mut known.on_trial, true) {
                return Ok(usable.map_or(Look::OnTrial, Look::Settled));
            }
            drop(known);
            state.not_before = now + GAP;
            state.asked = Some((who.clone(), account.clone()));
            state.flight = Some(self.clone().start(who, account, trial));
        }
        let flight = state.flight.clone().expect("it was just put there");
        Ok(match usable {
            Some(token) => Look::Settled(token),
            None => Look::Wait(flight),
        })
    }

    /// A task of its own: whoever waits may stop waiting.
    fn start(
        self: Arc<Self>,
        who: LoginIdentity,
        account: Arc<Account>,
        trial: bool,
    ) -> watch::Receiver<Option<LoginOutcome>> {
        let (outcome_sender, outcome_receiver) = watch::channel(None);
        tokio::spawn(async move {
            let answer = self.iam.login(&who, self.project.as_ref()).await;
            let outcome = self.land(who, &account, answer);
            if trial {
                account.known().on_trial = false;
                self.users.news.send_replace(());
            }
            outcome_sender.send_replace(Some(outcome));
        });
        outcome_receiver
    }

    fn land(
        &self,
        who: LoginIdentity,
        account: &Account,
        answer: Result<(Secret, Duration), LoginError>,
    ) -> LoginOutcome {
        let now = self.clock.times().boot;
        let mut state = self.state();
        let mut known = account.known();
        state.flight = None;
        match answer {
            Ok((token, life)) => {
                let due = now + life * RENEW_AFTER_FIFTHS / 5;
                // A token that lives shorter than the gap may be renewed in its time.
                state.not_before = state.not_before.min(due);
                known.accept(self.iam.endpoint(), who.password.clone());
                let token = Arc::new(Issued { token, to: who, due, ends: now + life });
                state.token.replace(token.clone());
                state.refused = None;
                tracing::info!(life_s = life.as_secs(), "IAM gave a token");
                Ok(token)
            }
            Err(LoginError::WrongPassword(message)) => {
                tracing::error!("{message}; not asked again until the password changes");
                if !known.refuse(who.password.clone(), message.clone(), now) {
                    state.refused = Some((who, now + REFUSED_HOLD, message.clone()));
                }
                Err(Denied::new(message))
            }
            Err(LoginError::Refused(message)) => {
                tracing::error!(
                    "{message}; not asked again for {}, or until the password changes",
                    minutes(REFUSED_HOLD)
                );
                state.refused = Some((who, now + REFUSED_HOLD, message.clone()));
                Err(Denied::new(message))
            }
            Err(LoginError::Failed(message, wait)) => {
                tracing::warn!("{message}");
                let gap = known.fail(self.iam.endpoint(), who.password, &message, wait, now);
                Err(Denied::again(message, u32::try_from(gap.as_secs()).ok()))
            }
        }
    }

    /// Why IAM is not asked for anything of this user now. Whether its password is tried is decided
    /// where it logs in.
    pub(super) fn iam_denies(&self, who: &LoginIdentity, now: Duration) -> Option<Denied> {
        self.users.of(who).known().waits(self.iam.endpoint(), &who.password, now)
    }

    /// IAM gave no verdict on what was asked by the user's token; the gap until it is asked again.
    pub(super) fn iam_failed(
        &self,
        who: &LoginIdentity,
        said: &str,
        wait: Option<Duration>,
        now: Duration,
    ) -> Duration {
        let account = self.users.of(who);
        let mut known = account.known();
        known.fail(self.iam.endpoint(), who.password.clone(), said, wait, now)
    }

    /// IAM gave what was asked for by the user's token.
    pub(super) fn iam_answers(&self, who: &LoginIdentity) {
        self.users.of(who).known().failing.remove(self.iam.endpoint());
    }

    pub(super) fn let_in(&self, token: &Arc<Issued>) {
        self.state().token.let_in(token);
    }

    /// Takes the token out of use; tells whether it is worth coming again soon.
    pub(super) fn refused(&self, token: &Arc<Issued>) -> bool {
        let now = self.clock.times().boot;
        let mut state = self.state();
        // It died before its time: the password may have been changed at IAM, so the next login
        // goes alone.
        if state.token.is(token)
            && let Some((_, account)) = &state.asked
        {
            account.known().proven = None;
        }
        state.token.refused(token, now)
    }
}

enum Look {
    Settled(Arc<Issued>),
    Wait(watch::Receiver<Option<LoginOutcome>>),
    /// A login of another lane is out with the same password.
    OnTrial,
}
