//! A lane with an access key: every request signed, the halves of the key read together, and a key that is not proven
//! tried by one call at a time.
//!
//! Invariants: a pair that no answer has accepted yet is with one call at a time, the others wait for its answer, so a
//! wrong pair costs one refusal and not one for each call in flight; the same holds after a step of the wall clock,
//! which makes every signature wrong at once. A rotation that replaces one file after the other costs a refusal or two,
//! of calls that were surely not executed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Request;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::Denied;
use super::refusals::{Refusals, minutes};
use crate::clock::{Clock, Times};
use crate::cloud::secret::{Secret, SecretError, SecretReader};
use crate::cloud::sign::{DATE_FORMAT, DATE_HEADER, Signable};
use crate::domain::id::ProjectId;

const DATE: HeaderName = HeaderName::from_static(DATE_HEADER);
const PROJECT: HeaderName = HeaderName::from_static("x-project-id");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-security-token");

/// The cloud bears 15 minutes between its clock and the signature; a step of ours by a third of it is looked at.
const STEP: SignedDuration = SignedDuration::from_mins(5);

/// How often the halves are read again when one changes under the reading.
const READS_MAX: u32 = 3;

/// The halves of a key as they stood in their files together.
#[derive(Debug, PartialEq)]
struct Pair {
    access_key: Arc<Secret>,
    secret_key: Arc<Secret>,
    security_token: Option<Arc<Secret>>,
}

pub(super) struct AccessKey {
    access_key: SecretReader,
    secret_key: SecretReader,
    security_token: Option<SecretReader>,
    project: ProjectId,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Told whenever those who wait should look again.
    news: watch::Sender<()>,
}

struct State {
    pair: Option<Arc<Pair>>,
    /// One half came with the pair, the other stood before: a rotation may be half way.
    half_new: bool,
    standing: Standing,
    refusals: Refusals,
    /// What the cloud said to the last one.
    said: String,
    /// What the wall clock showed at boot, at the last verdict of the cloud.
    origin: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No answer yet.
    Unproven,
    /// One call is out with it.
    OnTrial,
    /// Accepted.
    Proven,
}

/// One call's pair.
pub(in crate::cloud) struct SignedPass {
    key: Arc<AccessKey>,
    pair: Arc<Pair>,
    /// The others wait for this one.
    trial: bool,
}

impl AccessKey {
    pub(super) fn new(
        access_key: SecretReader,
        secret_key: SecretReader,
        security_token: Option<SecretReader>,
        project: ProjectId,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let state = State {
            pair: None,
            half_new: false,
            standing: Standing::Unproven,
            refusals: Refusals::default(),
            said: String::new(),
            origin: None,
        };
        Self { access_key, secret_key, security_token, project, clock, state: Mutex::new(state), news: watch::Sender::new(()) }
    }

    pub(super) async fn admit(self: &Arc<Self>) -> Result<SignedPass, Denied> {
        let mut news = self.news.subscribe();
        loop {
            if let Some(pass) = self.look()? {
                return Ok(pass);
            }
            // The sender is ours, so it cannot be gone.
            let _alive = news.changed().await;
        }
    }

    fn look(self: &Arc<Self>) -> Result<Option<SignedPass>, Denied> {
        let now = self.clock.times();
        let mut state = self.state();
        // Read under the lock, so that an older reading never comes after a newer one.
        let kept = state.pair.as_deref();
        let pair = self.once(|half| half.lately(now.boot)).and_then(|pair| if kept == Some(&pair) { Ok(pair) } else { self.read() });
        state.admit(self, pair.map_err(|error| Denied::new(error.to_string()))?, now)
    }

    fn once(&self, find: impl Fn(&SecretReader) -> Result<Arc<Secret>, SecretError>) -> Result<Pair, SecretError> {
        Ok(Pair {
            access_key: find(&self.access_key)?,
            secret_key: find(&self.secret_key)?,
            security_token: self.security_token.as_ref().map(find).transpose()?,
        })
    }

    /// Both halves as they stand now. A half that is replaced under the reading is read again; a rotation that is
    /// slower than that is told by the cloud.
    fn read(&self) -> Result<Pair, SecretError> {
        let mut pair = self.once(SecretReader::current)?;
        for _ in 1..READS_MAX {
            let again = self.once(SecretReader::current)?;
            if again == pair {
                break;
            }
            pair = again;
        }
        Ok(pair)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.news.send_replace(());
    }
}

impl State {
    /// A pass, or none while another call tries the pair.
    fn admit(&mut self, key: &Arc<AccessKey>, read: Pair, now: Times) -> Result<Option<SignedPass>, Denied> {
        let pair = match &self.pair {
            Some(pair) if **pair == read => pair.clone(),
            before => {
                let same = |half: fn(&Pair) -> &Arc<Secret>| before.as_ref().is_some_and(|before| half(before) == half(&read));
                let (same_access, same_secret) = (same(|pair| &pair.access_key), same(|pair| &pair.secret_key));
                self.half_new = same_access != same_secret;
                // The cloud counts for each access key, whatever was tried with it.
                if same_access {
                    self.refusals.lift();
                } else {
                    self.refusals = Refusals::default();
                }
                self.standing = Standing::Unproven;
                self.pair.insert(Arc::new(read)).clone()
            }
        };
        if self.origin.is_some_and(|origin| origin.duration_until(origin_of(now)).abs() > STEP) {
            // What was right may be wrong now, and the other way round.
            self.origin = None;
            self.refusals.lift();
            if self.standing == Standing::Proven {
                self.standing = Standing::Unproven;
            }
        }
        if let Some((count, left)) = self.refusals.held(now.boot) {
            let left = minutes(left);
            return Err(Denied::new(format!(
                "the access key was refused {count} times in a row; not tried for {left}, or until its files change: {}",
                self.said
            )));
        }
        let trial = match self.standing {
            Standing::Proven => false,
            Standing::OnTrial => return Ok(None),
            Standing::Unproven => {
                self.standing = Standing::OnTrial;
                true
            }
        };
        Ok(Some(SignedPass { key: key.clone(), pair, trial }))
    }

    fn is_current(&self, pair: &Arc<Pair>) -> bool {
        self.pair.as_ref().is_some_and(|current| Arc::ptr_eq(current, pair))
    }
}

/// The wall clock's reading at boot; it moves only when the wall clock is stepped.
fn origin_of(now: Times) -> Timestamp {
    now.wall.checked_sub(now.boot).unwrap_or(Timestamp::MIN)
}

impl SignedPass {
    /// Signs the request as of now. Every header that it has by now is signed; what the client adds later is not.
    pub(super) fn sign<B>(&self, request: &mut Request<B>, body: &[u8]) {
        let date = self.key.clock.times().wall.strftime(DATE_FORMAT).to_string();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let headers = request.headers_mut();
        headers.insert(HOST, plain(uri.authority().map_or("", |authority| authority.as_str())));
        headers.insert(DATE, plain(&date));
        headers.insert(PROJECT, plain(self.key.project.as_str()));
        if let Some(token) = &self.pair.security_token {
            headers.insert(SECURITY_TOKEN, token.header());
        }
        let signed: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let (path, query) = (uri.path(), uri.query().unwrap_or(""));
        let signable = Signable { method: method.as_str(), path, query, headers: &signed, body };
        let authorization = signable.authorization(self.pair.access_key.expose(), self.pair.secret_key.expose(), &date);
        let mut authorization = plain(&authorization);
        authorization.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, authorization);
    }

    /// Of what is sent the one secret: the other half of the key never leaves.
    pub(super) fn secret(&self) -> &str {
        self.pair.security_token.as_ref().unwrap_or(&self.pair.secret_key).expose()
    }

    pub(super) fn let_in(self) {
        let mut state = self.key.state();
        if state.is_current(&self.pair) {
            state.standing = Standing::Proven;
            state.refusals = Refusals::default();
            state.origin = Some(origin_of(self.key.clock.times()));
        }
    }

    /// Tells whether it is worth coming again soon: the files hold another pair by now, or a half of it was just new.
    pub(super) fn refused(self, said: &str) -> bool {
        let now = self.key.clock.times();
        let mut half_way = false;
        {
            let mut state = self.key.state();
            // Calls that were out with a pair that is gone already count no more: the cloud's count is for that key.
            if state.is_current(&self.pair) {
                state.refusals.add(now.boot);
                said.clone_into(&mut state.said);
                state.standing = Standing::Unproven;
                state.origin = Some(origin_of(now));
                half_way = std::mem::take(&mut state.half_new);
            }
        }
        half_way || self.key.read().is_ok_and(|read| read != *self.pair)
    }
}

impl Drop for SignedPass {
    fn drop(&mut self) {
        if self.trial {
            let mut state = self.key.state();
            if state.is_current(&self.pair) && state.standing == Standing::OnTrial {
                state.standing = Standing::Unproven;
            }
            drop(state);
            self.key.tell();
        }
    }
}

fn plain(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).expect("made of texts that were fit for headers")
}
