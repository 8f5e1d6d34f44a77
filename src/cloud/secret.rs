//! The secrets of the configuration: read from where the configuration says, and read again when they change.
//!
//! Invariants: a secret is read when a call needs it, so a renewed file works without a restart,
//! [`LOOK_EVERY`] later at most; it is never printed, neither by `Debug` nor in an error; a missing
//! secret is an error of the call, never a panic; a file that others may read or write is no secret
//! and not used.
//!
//! Deliberately not here: which secrets a call needs (`cloud::authenticator`).

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::safe_text::for_a_shell;
use crate::domain::lane::SecretSource;

/// Longest secret: a token with a full catalogue has several kilobytes, and gateways refuse headers
/// beyond 32.
pub const SECRET_MAX: usize = 32 << 10;

/// How long what was found may count without another look: a busy lane makes thousands of calls a
/// second.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why there is no secret. The message names the place and never the content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error(
        "cannot read the {what} from {path}: {source}; write it there, or correct the configuration, which names this place"
    )]
    Unreadable {
        /// What should be there.
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// Others may read or write the file.
    #[error("others may read or write {path}, which holds the {what}, so it is not used: {line}")]
    Exposed { what: &'static str, path: PathBuf, line: String },
    /// The variable is not set or holds no text.
    #[error(
        "the environment variable {name}, which should hold the {what}, is not set or holds no text"
    )]
    Variable {
        /// What should be there.
        what: &'static str,
        name: String,
    },
    /// systemd gave no credentials.
    #[error(
        "no credential {0}: $CREDENTIALS_DIRECTORY is not set (`LoadCredential=` in the unit sets it)"
    )]
    NoCredentials(String),
    /// The credential's name would leave its directory.
    #[error("{0:?} is no name of a credential: it may hold no `/` and be no `.` or `..`")]
    Name(String),
    /// What stands there cannot be such a secret.
    #[error("what stands in {place} is no {what}: {wrong}")]
    NoSecret {
        /// What should be there.
        what: &'static str,
        place: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
}

/// One secret as it was read. Fit for a header: one line without control characters.
#[derive(Debug)]
pub struct Secret {
    text: SecretString,
    header: HeaderValue,
}

impl Secret {
    /// Takes a text over, without the white space around it: files end in a line break.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("it is empty");
        }
        if text.len() > SECRET_MAX {
            return Err("it is longer than 32 KiB");
        }
        let mut header = HeaderValue::from_bytes(text.as_bytes())
            .map_err(|_| "it holds line breaks or control characters")?;
        header.set_sensitive(true);
        Ok(Self { text: SecretString::from(text), header })
    }

    /// The header's value, marked sensitive.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The text itself: to be signed with, sent, compared, and kept out of messages.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// Rights that nobody needs on a secret's file: the group's to write, and those of others to read
/// or write. The group may read, as it does where root owns the file and the daemon's user is in
/// its group.
const OTHERS: u32 = 0o026;

/// The line to type that keeps others from a secret's file, if they may read or write it.
pub(super) fn line_to_type(path: &Path, metadata: &Metadata) -> Option<String> {
    (metadata.mode() & OTHERS != 0)
        .then(|| format!("chmod g-w,o-rwx {}", for_a_shell(&path.display().to_string())))
}

/// What tells one state of a file from another: also a file that was replaced by a rename at the
/// same size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Gives one secret of one lane.
///
/// A file of some bytes is asked for its state at each look and read when that has changed; both
/// are a matter of microseconds on any disk that holds secrets.
#[derive(Debug)]
pub struct SecretReader {
    what: &'static str,
    source: SecretSource,
    read: Mutex<Option<(Stamp, Arc<Secret>)>>,
    /// What was found last, and when.
    found: Mutex<Option<(Duration, Arc<Secret>)>>,
}

impl SecretReader {
    /// Reads nothing yet. `what` is the secret's name in messages: `token`, `password`.
    pub fn new(what: &'static str, source: SecretSource) -> Self {
        Self { what, source, read: Mutex::new(None), found: Mutex::new(None) }
    }

    /// The secret as it stood there within [`LOOK_EVERY`] before `now`, which is boot time. That
    /// there is none is never remembered.
    ///
    /// # Errors
    /// As for [`Self::current`].
    pub fn lately(&self, now: Duration) -> Result<Arc<Secret>, SecretError> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, secret)) = &*found
            && now.saturating_sub(*at) < LOOK_EVERY
        {
            return Ok(secret.clone());
        }
        *found = None;
        let secret = self.current()?;
        *found = Some((now, secret.clone()));
        Ok(secret)
    }

    /// The secret as it stands there now.
    ///
    /// # Errors
    /// When there is none. The next call looks again.
    pub fn current(&self) -> Result<Arc<Secret>, SecretError> {
        let what = self.what;
        match &self.source {
            SecretSource::File(path) => self.read_file(path),
            SecretSource::Env(name) => {
                let text = std::env::var(name)
                    .map_err(|_| SecretError::Variable { what, name: name.clone() })?;
                let place = format!("the environment variable {name}");
                Secret::new(&text).map(Arc::new).map_err(|wrong| SecretError::NoSecret {
                    what,
                    place,
                    wrong,
                })
            }
            SecretSource::Credential(name) => {
                if name.is_empty() || name.contains('/') || name == "." || name == ".." {
                    return Err(SecretError::Name(name.clone()));
                }
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                self.read_file(&PathBuf::from(directory).join(name))
            }
        }
    }

    fn read_file(&self, path: &Path) -> Result<Arc<Secret>, SecretError> {
        let what = self.what;
        let unreadable = |source| SecretError::Unreadable { what, path: path.to_owned(), source };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Stamp::of(&std::fs::metadata(path).map_err(unreadable)?);
        if let Some((then, secret)) = &*read
            && *then == now
        {
            return Ok(secret.clone());
        }
        *read = None;
        let file = File::open(path).map_err(unreadable)?;
        // The stamp of the opened file, not of the path: it may have been replaced in between.
        let metadata = file.metadata().map_err(unreadable)?;
        let stamp = Stamp::of(&metadata);
        if let Some(line) = line_to_type(path, &metadata) {
            return Err(SecretError::Exposed { what, path: path.to_owned(), line });
        }
        let mut text = String::new();
        file.take(SECRET_MAX as u64 + 2).read_to_string(&mut text).map_err(unreadable)?;
        let secret = Secret::new(&text).map_err(|wrong| SecretError::NoSecret {
            what,
            place: path.display().to_string(),
            wrong,
        })?;
        let secret = Arc::new(secret);
        *read = Some((stamp, secret.clone()));
        Ok(secret)
    }
}

/// Writes a secret for tests, which nobody else may read.
#[cfg(test)]
pub(crate) fn write(path: &Path, content: &str) {
    std::fs::write(path, content).expect("writable");
    set_mode(path, 0o600);
}

#[cfg(test)]
fn set_mode(path: &Path, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, mode).expect("our own file");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("token");
        write(&path, content);
        (dir, path)
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused_with_the_line_to_type() {
        let (dir, path) = file("s3cr3t");
        let odd = dir.path().join("it's a key");
        std::fs::copy(&path, &odd).expect("copied");
        for path in [path, odd] {
            let reader = SecretReader::new("token", SecretSource::File(path.clone()));
            for good in [0o400, 0o440, 0o600, 0o640, 0o700, 0o750] {
                set_mode(&path, good);
                assert!(reader.current().is_ok(), "{good:o}");
            }
            for bad in [0o604, 0o644, 0o444, 0o602, 0o660, 0o620, 0o777] {
                set_mode(&path, bad);
                let error = reader.current().expect_err("others may").to_string();
                assert!(
                    error.contains("others may read or write") && !error.contains("s3cr3t"),
                    "{bad:o}: {error}"
                );
                let (_, line) = error.split_once("it is not used: ").expect("a line to type");
                let done =
                    std::process::Command::new("sh").args(["-c", line]).status().expect("a shell");
                assert!(done.success() && reader.current().is_ok(), "{bad:o}: {line}");
            }
        }
    }

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let (dir, path) = file("first\n");
        let reader = SecretReader::new("token", SecretSource::File(path.clone()));
        let first = reader.current().expect("a token");
        assert_eq!(first.expose(), "first");
        assert!(Arc::ptr_eq(&first, &reader.current().expect("a token")), "not read twice");
        // Same size, replaced by a rename, as a rotation does it.
        let other = dir.path().join("new");
        write(&other, "other\n");
        std::fs::rename(&other, &path).expect("same directory");
        assert_eq!(reader.current().expect("a token").expose(), "other");
        std::fs::remove_file(&path).expect("it is there");
        let error = reader.current().expect_err("it is gone").to_string();
        assert!(error.contains(path.to_str().expect("UTF-8")), "{error}");
        write(&path, "third");
        assert_eq!(reader.current().expect("it is back").expose(), "third");
    }

    #[test]
    fn what_was_found_counts_for_a_moment() {
        let (_dir, path) = file("first\n");
        let reader = SecretReader::new("token", SecretSource::File(path.clone()));
        let now = Duration::from_secs(1000);
        let token = |now| reader.lately(now).map(|token| token.expose().to_owned());
        assert_eq!(token(now).expect("a token"), "first");
        write(&path, "second");
        assert_eq!(token(now + LOOK_EVERY - Duration::from_nanos(1)).expect("a token"), "first");
        assert_eq!(token(now + LOOK_EVERY).expect("a token"), "second");
        std::fs::remove_file(&path).expect("it is there");
        assert!(token(now + 2 * LOOK_EVERY).is_err(), "it is gone");
        write(&path, "third");
        assert_eq!(token(now + 2 * LOOK_EVERY).expect("looked for again at once"), "third");
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        for (content, what) in [
            ("", "empty"),
            (" \n", "empty"),
            ("se\ncret", "line breaks"),
            ("se\u{7}cret", "line breaks"),
        ] {
            let (_dir, path) = file(content);
            let error = SecretReader::new("token", SecretSource::File(path))
                .current()
                .expect_err(content)
                .to_string();
            assert!(error.contains(what) && !error.contains("cret"), "{error}");
        }
        let (_dir, path) = file(&"a".repeat(SECRET_MAX + 1));
        assert!(SecretReader::new("token", SecretSource::File(path)).current().is_err());
    }

    #[test]
    fn nothing_prints_the_token() {
        let (_dir, path) = file("s3cr3t-t0ken");
        let reader = SecretReader::new("token", SecretSource::File(path));
        let token = reader.current().expect("a token");
        let printed = format!("{token:?} {reader:?} {:?}", token.header());
        assert!(!printed.contains("s3cr3t"), "{printed}");
    }

    #[test]
    fn the_other_sources_say_what_is_missing() {
        let error = SecretReader::new("token", SecretSource::Env("SEALIFT_TEST_NOT_SET".into()))
            .current()
            .expect_err("not set");
        assert!(error.to_string().contains("SEALIFT_TEST_NOT_SET"), "{error}");
        assert!(
            SecretReader::new("token", SecretSource::Env("PATH".into())).current().is_ok(),
            "any variable can hold it"
        );
        for name in ["../token", "..", ""] {
            assert!(
                matches!(
                    SecretReader::new("token", SecretSource::Credential(name.into())).current(),
                    Err(SecretError::Name(_))
                ),
                "{name}"
            );
        }
    }
}
