//! Lanes with an access key: every request is signed, the halves of the key are read together, and
//! an unproven key is tried by one call at a time, whichever lane makes it.
//!
//! Invariants: the cloud counts failures for each access key, so the lanes that sign with the same
//! one share its count and its holds; a pair that no answer of its endpoint has accepted yet is
//! used by one call at a time, the others wait for its answer, so a wrong pair costs one refusal
//! and not one for each call in flight; the same holds after a step of the wall clock, which makes
//! every signature wrong at once. A rotation that replaces one file after the other costs a refusal
//! or two, of calls that were surely not executed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use reqwest::Request;
use tokio::sync::watch;
use url::Position;

use super::Denied;
use super::refusals::{Refusals, minutes};
use crate::clock::{Clock, Times};
use crate::cloud::secret::{Secret, SecretError, SecretReader};
use crate::cloud::sign::{DATE_FORMAT, DATE_HEADER, Signable};
use crate::domain::id::ProjectId;

const DATE: HeaderName = HeaderName::from_static(DATE_HEADER);
const PROJECT: HeaderName = HeaderName::from_static("x-project-id");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-security-token");

/// The cloud bears 15 minutes between its clock and the signature; a step of ours by a third of it
/// is looked at.
const STEP: SignedDuration = SignedDuration::from_mins(5);

/// How often the halves are read again when one changes under the reading.
const READS_MAX: u32 = 3;

/// The halves of a key as they stood in their files together.
#[derive(Debug, PartialEq)]
struct KeyPair {
    access_key: Arc<Secret>,
    secret_key: Arc<Secret>,
    security_token: Option<Arc<Secret>>,
}

/// The access keys of all lanes.
pub(super) struct Keys {
    /// By the public half. A key that no lane signs with any more is forgotten.
    known: Mutex<BTreeMap<String, Weak<SharedKey>>>,
    /// Told whenever those who wait should look again.
    news: watch::Sender<()>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { known: Mutex::default(), news: watch::Sender::new(()) }
    }
}

impl Keys {
    fn of(&self, access_key: &Secret) -> Arc<SharedKey> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(access_key.expose()).and_then(Weak::upgrade) {
            return key;
        }
        known.retain(|_, key| key.strong_count() > 0);
        let key = Arc::<SharedKey>::default();
        known.insert(access_key.expose().to_owned(), Arc::downgrade(&key));
        key
    }
}

/// One access key, with what was learnt of it over all lanes.
#[derive(Default)]
struct SharedKey(Mutex<State>);

#[derive(Default)]
struct State {
    /// One call is out with a pair that is not proven.
    on_trial: bool,
    /// In a row, whatever secret was tried: what the cloud counts.
    refusals: Refusals,
    /// What the cloud said to the last one.
    said: String,
    /// What the wall clock showed at boot, at the last verdict of the cloud.
    origin: Option<Timestamp>,
    /// The pairs that lanes sign with now: one, unless their files disagree.
    uses: Vec<Use>,
}

/// A pair as one endpoint knows it.
struct Use {
    endpoint: Arc<str>,
    pair: Arc<KeyPair>,
    /// Accepted by the endpoint's last verdict.
    proven: bool,
    /// Of this pair alone: the key's own count begins again whenever another pair is accepted.
    refusals: Refusals,
}

/// A lane that signs.
pub(super) struct AccessKey {
    access_key: SecretReader,
    secret_key: SecretReader,
    security_token: Option<SecretReader>,
    endpoint: Arc<str>,
    /// Its id, as every request of the lane carries it.
    project: HeaderValue,
    clock: Arc<dyn Clock>,
    keys: Arc<Keys>,
    latest: Mutex<Option<LatestRead>>,
}

/// What a lane has read last.
struct LatestRead {
    key: Arc<SharedKey>,
    pair: Arc<KeyPair>,
    /// One half came with the pair, the other stood before: a rotation may be half way.
    half_new: bool,
}

pub(in crate::cloud) struct SignedPass {
    lane: Arc<AccessKey>,
    key: Arc<SharedKey>,
    pair: Arc<KeyPair>,
    /// The others wait for this one.
    trial: bool,
}

impl AccessKey {
    pub(super) fn new(
        [access_key, secret_key]: [SecretReader; 2],
        security_token: Option<SecretReader>,
        endpoint: &str,
        project: &ProjectId,
        clock: Arc<dyn Clock>,
        keys: Arc<Keys>,
    ) -> Self {
        let (endpoint, project) = (endpoint.into(), plain(project.as_str()));
        Self {
            access_key,
            secret_key,
            security_token,
            endpoint,
            project,
            clock,
            keys,
            latest: Mutex::new(None),
        }
    }

    pub(super) async fn admit(self: &Arc<Self>) -> Result<SignedPass, Denied> {
        let mut news = self.keys.news.subscribe();
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
        let mut latest = self.latest();
        // Read under the lock, so that an older reading never comes after a newer one.
        let kept = latest.as_ref().map(|latest| &*latest.pair);
        let pair = self
            .once(|half| half.lately(now.boot))
            .and_then(|pair| if kept == Some(&pair) { Ok(pair) } else { self.read() });
        let pair = pair.map_err(|error| Denied::new(error.to_string()))?;
        let (key, replaced) = match &*latest {
            Some(latest) if latest.pair.access_key == pair.access_key => {
                (latest.key.clone(), *latest.pair != pair)
            }
            Some(_) | None => (self.keys.of(&pair.access_key), false),
        };
        let mut state = key.state();
        let (place, new) = state.place(&self.endpoint, pair);
        if replaced && new {
            // Somebody has written another secret: worth a try, though the cloud counts on.
            state.refusals.lift();
        }
        let pair = state.uses[place].pair.clone();
        if latest.as_ref().is_none_or(|latest| latest.pair != pair) {
            let half_new = latest.as_ref().is_some_and(|before| {
                let same_access = before.pair.access_key == pair.access_key;
                same_access != (before.pair.secret_key == pair.secret_key)
            });
            *latest = Some(LatestRead { key: key.clone(), pair: pair.clone(), half_new });
        }
        let trial = state.admit(place, now)?;
        drop(state);
        Ok(trial.map(|trial| SignedPass { lane: self.clone(), key, pair, trial }))
    }

    fn once(
        &self,
        find: impl Fn(&SecretReader) -> Result<Arc<Secret>, SecretError>,
    ) -> Result<KeyPair, SecretError> {
        Ok(KeyPair {
            access_key: find(&self.access_key)?,
            secret_key: find(&self.secret_key)?,
            security_token: self.security_token.as_ref().map(find).transpose()?,
        })
    }

    /// Both halves as they stand now. A half that is replaced under the reading is read again; a
    /// rotation that is slower than that is told by the cloud.
    fn read(&self) -> Result<KeyPair, SecretError> {
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

    /// Taken before a key's own lock.
    fn latest(&self) -> MutexGuard<'_, Option<LatestRead>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a half of the pair was just new; told once.
    fn was_half_new(&self, pair: &Arc<KeyPair>) -> bool {
        let mut latest = self.latest();
        latest
            .as_mut()
            .filter(|latest| Arc::ptr_eq(&latest.pair, pair))
            .is_some_and(|latest| std::mem::take(&mut latest.half_new))
    }
}

impl SharedKey {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Where a pair stands, and whether it came just now. Pairs that no lane has any more are
    /// forgotten.
    fn place(&mut self, endpoint: &Arc<str>, pair: KeyPair) -> (usize, bool) {
        let same = |known: &Use| known.endpoint == *endpoint && *known.pair == pair;
        if let Some(place) = self.uses.iter().position(same) {
            return (place, false);
        }
        self.uses.retain(|known| Arc::strong_count(&known.pair) > 1);
        self.uses.push(Use {
            endpoint: endpoint.clone(),
            pair: Arc::new(pair),
            proven: false,
            refusals: Refusals::default(),
        });
        (self.uses.len() - 1, true)
    }

    /// Whether a call may go out with a pair, and whether the others wait for it; `None`: it waits
    /// itself.
    fn admit(&mut self, place: usize, now: Times) -> Result<Option<bool>, Denied> {
        if self.origin.is_some_and(|origin| origin.duration_until(origin_of(now)).abs() > STEP) {
            // What was right may be wrong now, and the other way round.
            self.origin = None;
            self.refusals.lift();
            for known in &mut self.uses {
                known.refusals.lift();
                known.proven = false;
            }
        }
        let known = &self.uses[place];
        if known.proven {
            return Ok(Some(false));
        }
        if let Some((count, left)) =
            self.refusals.held(now.boot).or_else(|| known.refusals.held(now.boot))
        {
            let left = minutes(left);
            return Err(Denied::new(format!(
                "the access key was refused {count} times in a row; not tried for {left}, or until its files change: {}",
                self.said
            )));
        }
        let free = !std::mem::replace(&mut self.on_trial, true);
        Ok(free.then_some(true))
    }

    fn of(&mut self, pair: &Arc<KeyPair>) -> Option<&mut Use> {
        self.uses.iter_mut().find(|known| Arc::ptr_eq(&known.pair, pair))
    }
}

/// The wall clock's reading at boot; it moves only when the wall clock is stepped.
fn origin_of(now: Times) -> Timestamp {
    now.wall.checked_sub(now.boot).unwrap_or(Timestamp::MIN)
}

impl SignedPass {
    /// Signs the request as of this date. Every header that it has by now is signed; what the
    /// client adds later is not.
    pub(super) fn sign(&self, request: &mut Request, body: &[u8], date: Timestamp) {
        let date = date.strftime(DATE_FORMAT).to_string();
        let host = plain(&request.url()[Position::BeforeHost..Position::AfterPort]);
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.insert(DATE, plain(&date));
        headers.insert(PROJECT, self.lane.project.clone());
        if let Some(token) = &self.pair.security_token {
            headers.insert(SECURITY_TOKEN, token.header());
        }
        let signed: Vec<(&str, &[u8])> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let (method, url) = (request.method().as_str(), request.url());
        let signable = Signable {
            method,
            path: url.path(),
            query: url.query().unwrap_or(""),
            headers: &signed,
            body,
        };
        let authorization = signable.authorization(
            self.pair.access_key.expose(),
            self.pair.secret_key.expose(),
            &date,
        );
        let mut authorization = plain(&authorization);
        authorization.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, authorization);
    }

    /// Of what is sent the one secret: the other half of the key never leaves.
    pub(super) fn secret(&self) -> &str {
        self.pair.security_token.as_ref().unwrap_or(&self.pair.secret_key).expose()
    }

    pub(super) fn let_in(self) {
        let now = self.lane.clock.times();
        let mut state = self.key.state();
        if let Some(known) = state.of(&self.pair) {
            known.proven = true;
            known.refusals = Refusals::default();
            state.refusals = Refusals::default();
            state.origin = Some(origin_of(now));
        }
    }

    /// Tells whether it is worth coming again soon: the files hold another pair by now, or a half
    /// of it was just new.
    pub(super) fn refused(self, said: &str) -> bool {
        let now = self.lane.clock.times();
        let mut state = self.key.state();
        // Calls that were out with a pair that is gone already count no more.
        if let Some(known) = state.of(&self.pair) {
            known.proven = false;
            known.refusals.add(now.boot);
            state.refusals.add(now.boot);
            said.clone_into(&mut state.said);
            state.origin = Some(origin_of(now));
        }
        drop(state);
        self.lane.was_half_new(&self.pair) || self.lane.read().is_ok_and(|read| read != *self.pair)
    }
}

impl Drop for SignedPass {
    fn drop(&mut self) {
        if self.trial {
            self.key.state().on_trial = false;
            self.lane.keys.news.send_replace(());
        }
    }
}

fn plain(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).expect("made of texts that were fit for headers")
}
