//! Sessions of browsers: a signed cookie, so that nothing of them is lost when the daemon starts
//! anew.
//!
//! Invariants: a cookie counts only with our signature, before its end, and until somebody signs
//! out of it; what its person may is looked up at each request, so it ends with its token and never
//! outlives a role. The key is drawn once and readable by the daemon alone; a new key ends all
//! sessions.
//!
//! Deliberately not here: how somebody signs in (`sign_in`), and what a browser may do with a
//! session (`browser`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;

use super::{DoorError, random};
use crate::store::write_whole;

/// Name of the cookie; the prefix keeps other hosts and paths from setting it.
const NAME: &str = "__Host-sealift";

/// How long a session lasts: a night, and the morning after it.
pub const SESSION_LASTS: Duration = Duration::from_secs(12 * 60 * 60);

/// Name of the key's file in the state directory.
const KEY_FILE: &str = "session.key";

/// Bytes of a key that is drawn; one that is given has as many at least.
const KEY_BYTES: usize = 32;

/// Longest key file.
const KEY_BYTES_MAX: u64 = 4096;

/// Name of the file of sessions that were signed out of, in the state directory.
const ENDED_FILE: &str = "signed-out.json";

/// Sessions kept as ended; those that end soonest of themselves go first.
const ENDED_MAX: usize = 10_000;

/// What told at the door who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "door", rename_all = "snake_case")]
pub enum Evidence {
    /// The kernel, on the socket.
    User {
        uid: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gid: Option<u32>,
    },
    /// A certificate with this subject.
    Certificate { subject: String },
    /// The token with this id.
    Token { id: String },
}

/// Somebody's session in a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Drawn for it alone; a token's `id` stands beside it.
    session: String,
    /// The person's name when they signed in.
    pub name: String,
    #[serde(flatten)]
    pub evidence: Evidence,
    pub issued: Timestamp,
    pub until: Timestamp,
    /// Of the key, and therefore not in the cookie.
    #[serde(skip)]
    form: String,
}

impl Session {
    /// What every form and request of its pages must carry: no other page knows it.
    pub fn form_token(&self) -> &str {
        &self.form
    }

    /// Whether this is its form's token.
    pub(super) fn is_form_token(&self, shown: &str) -> bool {
        self.form.as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

/// Signs sessions and knows them again.
pub struct Sessions {
    key: Hmac<Sha256>,
    /// Until when a session would have lasted that was signed out of, by its id.
    ended: Mutex<BTreeMap<String, Timestamp>>,
    /// Where that is kept.
    folder: Option<PathBuf>,
}

impl Sessions {
    /// With a key that nobody keeps.
    pub fn passing() -> Self {
        Self::with_key(&random::<KEY_BYTES>())
    }

    fn with_key(key: &[u8]) -> Self {
        let key = Hmac::new_from_slice(key).expect("a key may have any length");
        Self { key, ended: Mutex::default(), folder: None }
    }

    /// With the key of this file, else with that of the state directory, which is made if it is not
    /// there.
    pub fn open(state: &Path, given: Option<&Path>) -> Result<Self, DoorError> {
        let key = match given {
            Some(path) => read_key(path)?,
            None => own_key(state)?,
        };
        let path = state.join(ENDED_FILE);
        let ended = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
        };
        let remedy = "mend it, or remove it and `session.key` beside it: then all sign in anew";
        let ended = ended.map_err(|error| DoorError::File {
            path,
            what: format!("cannot be read: {error}"),
            remedy: remedy.into(),
        })?;
        Ok(Self {
            ended: Mutex::new(ended),
            folder: Some(state.to_owned()),
            ..Self::with_key(&key)
        })
    }

    /// Begins a session.
    pub fn begin(&self, name: &str, evidence: Evidence, now: Timestamp) -> (Session, HeaderValue) {
        let id = hex::encode(random::<16>());
        let until = now.checked_add(SESSION_LASTS).unwrap_or(Timestamp::MAX);
        let session = Session {
            form: self.form_of(&id),
            session: id,
            name: name.to_owned(),
            evidence,
            issued: now,
            until,
        };
        let text = hex::encode(serde_json::to_vec(&session).expect("names and times are JSON"));
        let signature = hex::encode(self.signed("session", &text).finalize().into_bytes());
        let seconds = SESSION_LASTS.as_secs();
        let cookie = format!(
            "{NAME}={text}.{signature}; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax; Path=/"
        );
        (session, HeaderValue::try_from(cookie).expect("hex digits may stand in a header"))
    }

    /// The cookie that takes the session away.
    pub fn farewell() -> HeaderValue {
        HeaderValue::try_from(format!("{NAME}=; Max-Age=0; HttpOnly; Secure; SameSite=Lax; Path=/"))
            .expect("plain text")
    }

    /// The session that a request shows, if it is one of ours and goes on.
    pub async fn of(&self, headers: &HeaderMap, now: Timestamp) -> Option<Session> {
        for cookie in cookies(headers) {
            let Some(session) = self.read(cookie) else { continue };
            if self.goes_on(&session, now).await {
                return Some(session);
            }
        }
        None
    }

    /// Whether a session of ours has neither run out nor been signed out of.
    pub async fn goes_on(&self, session: &Session, now: Timestamp) -> bool {
        let lasts = session.issued <= session.until && now < session.until;
        lasts && !self.ended.lock().await.contains_key(&session.session)
    }

    fn read(&self, cookie: &str) -> Option<Session> {
        let (text, signature) = cookie.split_once('.')?;
        self.signed("session", text).verify_slice(&hex::decode(signature).ok()?).ok()?;
        let session: Session = serde_json::from_slice(&hex::decode(text).ok()?).ok()?;
        Some(Session { form: self.form_of(&session.session), ..session })
    }

    /// Ends a session for whoever may have a copy of its cookie, over a restart too.
    pub async fn end(&self, session: &Session, now: Timestamp) -> io::Result<()> {
        let mut ended = self.ended.lock().await;
        ended.retain(|_, until| *until > now);
        while ended.len() >= ENDED_MAX
            && let Some(soonest) =
                ended.iter().min_by_key(|(_, until)| **until).map(|(id, _)| id.clone())
        {
            ended.remove(&soonest);
        }
        ended.insert(session.session.clone(), session.until);
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let text = serde_json::to_vec(&*ended).expect("ids and times are JSON");
        tokio::task::spawn_blocking(move || write_whole(&folder, ENDED_FILE, &text))
            .await
            .map_err(io::Error::other)?
    }

    fn form_of(&self, id: &str) -> String {
        hex::encode(self.signed("form", id).finalize().into_bytes())
    }

    /// What is signed says for what, so that one signature is never taken for the other.
    fn signed(&self, what: &str, text: &str) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        for part in [what, "\n", text] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// The values of our cookie in a request; more than one if somebody else set one too.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let pairs = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == NAME)
        .map(|(_, value)| value)
}

fn read_key(path: &Path) -> Result<Vec<u8>, DoorError> {
    let failed = |what: String, remedy: &str| DoorError::File {
        path: path.to_owned(),
        what,
        remedy: remedy.to_owned(),
    };
    let unreadable = |error: io::Error| {
        failed(format!("cannot be read: {error}"), "`api.session_key` names the key of sessions")
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    if mode & 0o077 != 0 {
        let line = format!("type `chmod 600 {}`", path.display());
        return Err(failed(
            format!(
                "holds the key of sessions, and others may read or write it (mode {:04o})",
                mode & 0o7777
            ),
            &line,
        ));
    }
    let mut key = Vec::new();
    file.take(KEY_BYTES_MAX + 1).read_to_end(&mut key).map_err(unreadable)?;
    if key.len() < KEY_BYTES || key.len() as u64 > KEY_BYTES_MAX {
        let line = format!("type `head -c 32 /dev/urandom > {}`", path.display());
        return Err(failed(
            format!("has {} bytes, and a key has {KEY_BYTES} to {KEY_BYTES_MAX}", key.len()),
            &line,
        ));
    }
    Ok(key)
}

/// The key of the state directory, made at the first start.
fn own_key(state: &Path) -> Result<Vec<u8>, DoorError> {
    let path = state.join(KEY_FILE);
    let made = File::options().write(true).create_new(true).mode(0o600).open(&path);
    let written = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return read_key(&path),
        Err(error) => Err(error),
        Ok(mut file) => file.write_all(&random::<KEY_BYTES>()).and_then(|()| file.sync_all()),
    };
    written.map_err(|error| {
        let _ = std::fs::remove_file(&path);
        DoorError::File {
            path: path.clone(),
            what: format!("cannot be made: {error}"),
            remedy: "let the daemon write there".into(),
        }
    })?;
    read_key(&path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-28T01:52:00Z".parse().expect("an instant")
    }

    fn shown(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned();
        HeaderMap::from_iter([(
            COOKIE,
            HeaderValue::try_from(format!("theme=dark; {pair}")).expect("text"),
        )])
    }

    fn by_token() -> Evidence {
        Evidence::Token { id: "1f0c".into() }
    }

    #[tokio::test]
    async fn a_session_outlives_a_restart_and_ends_with_its_time_its_key_and_signing_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let sessions = Sessions::open(folder.path(), None).expect("a key is made");
        let (session, cookie) = sessions.begin("ada", by_token(), now());
        let text = cookie.to_str().expect("text");
        assert!(text.contains("HttpOnly; Secure; SameSite=Lax; Path=/"), "{text}");
        let again = Sessions::open(folder.path(), None).expect("the same key");
        assert_eq!(again.of(&shown(&cookie), now()).await, Some(session.clone()));
        assert_eq!(again.of(&shown(&cookie), session.until).await, None, "its time is over");
        assert_eq!(Sessions::passing().of(&shown(&cookie), now()).await, None, "another key");
        again.end(&session, now()).await.expect("it is kept");
        for sessions in [again, Sessions::open(folder.path(), None).expect("the same key")] {
            assert_eq!(
                sessions.of(&shown(&cookie), now()).await,
                None,
                "signed out, over a restart too"
            );
        }
    }

    #[tokio::test]
    async fn what_was_changed_is_no_session() {
        let sessions = Sessions::passing();
        let (session, cookie) = sessions.begin("ada", by_token(), now());
        let (text, signature) = cookie
            .to_str()
            .expect("text")
            .split(';')
            .next()
            .and_then(|pair| pair.split_once('.'))
            .expect("two parts");
        let (name, text) = text.split_once('=').expect("a pair");
        let other = hex::encode(
            hex::decode(text)
                .map(|json| String::from_utf8(json).expect("JSON").replace("ada", "bob"))
                .expect("hex digits"),
        );
        for pair in [
            format!("{name}={other}.{signature}"),
            format!("{name}={text}."),
            format!("{name}={text}"),
            format!("{name}={text}.{}", &signature[..62]),
            format!("{name}={text}.{}", session.form_token()),
            format!("sealift={text}.{signature}"),
        ] {
            let headers =
                HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(&pair).expect("text"))]);
            assert_eq!(sessions.of(&headers, now()).await, None, "{pair}");
        }
        // One that somebody else put beside it does no harm.
        let both = format!("{name}=x.y; {name}={text}.{signature}");
        assert!(
            sessions
                .of(
                    &HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(both).expect("text"))]),
                    now()
                )
                .await
                .is_some()
        );
    }

    #[test]
    fn a_form_is_of_its_session() {
        let sessions = Sessions::passing();
        let (ada, bob) = (
            sessions.begin("ada", by_token(), now()).0,
            sessions.begin("ada", by_token(), now()).0,
        );
        assert!(
            ada.is_form_token(ada.form_token())
                && !ada.is_form_token(bob.form_token())
                && !ada.is_form_token("")
        );
    }

    #[test]
    fn a_key_is_the_daemons_alone_and_long_enough() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("given.key");
        let open = || {
            Sessions::open(folder.path(), Some(&path)).map(drop).map_err(|error| error.to_string())
        };
        let mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
                .expect("our file")
        };
        assert!(open().is_err_and(|told| told.contains("cannot be read")));
        std::fs::write(&path, [7; 31]).expect("a file");
        mode(0o600);
        assert!(open().is_err_and(|told| told.contains("31 bytes") && told.contains("head -c 32")));
        std::fs::write(&path, [7; 32]).expect("a file");
        assert_eq!(open(), Ok(()));
        for open_to in [0o640, 0o604, 0o620] {
            mode(open_to);
            assert!(open().is_err_and(|told| told.contains("chmod 600")), "{open_to:o}");
        }
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            1,
            "no key of ours beside a given one"
        );
        drop(Sessions::open(folder.path(), None).expect("one is made"));
        let made = std::fs::metadata(folder.path().join(KEY_FILE)).expect("it is there");
        assert_eq!((made.mode() & 0o777, made.len()), (0o600, 32));
    }
}
