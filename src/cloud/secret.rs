//! The token of a lane: found where the configuration says, and found again when it changes.
//!
//! Invariants: the token is read when a call needs it, so a renewed file works from the next call on without a
//! restart; it is never printed, neither by `Debug` nor in an error; a missing token is an error of the call, never a
//! panic.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::lane::SecretSource;

/// Longest token: a token with a full catalogue has several kilobytes, and gateways refuse headers beyond 32.
pub const TOKEN_MAX: usize = 32 << 10;

/// Why there is no token. The message names the place and never the content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the token from {path}: {source}; write it there, or correct `token` of the lane")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The variable is not set or holds no text.
    #[error("the environment variable {0}, which should hold the token, is not set or holds no text")]
    Variable(String),
    /// systemd gave no credentials.
    #[error("no credential {0}: $CREDENTIALS_DIRECTORY is not set (`LoadCredential=` in the unit sets it)")]
    NoCredentials(String),
    /// The credential's name would leave its directory.
    #[error("{0:?} is no name of a credential: it may hold no `/` and be no `.` or `..`")]
    Name(String),
    /// What stands there cannot be a token.
    #[error("what stands in {place} is no token: {what}")]
    NoToken {
        /// Where.
        place: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A token, ready for the header.
#[derive(Debug)]
pub struct Token {
    text: SecretString,
    header: HeaderValue,
}

impl Token {
    fn new(text: &str, place: &dyn Fn() -> String) -> Result<Self, SecretError> {
        let no_token = |what| SecretError::NoToken { place: place(), what };
        let text = text.trim();
        if text.is_empty() {
            return Err(no_token("it is empty"));
        }
        if text.len() > TOKEN_MAX {
            return Err(no_token("it is longer than 32 KiB"));
        }
        let mut header = HeaderValue::from_str(text).map_err(|_| no_token("it holds line breaks or control characters"))?;
        header.set_sensitive(true);
        Ok(Self { text: SecretString::from(text), header })
    }

    /// The header's value, marked sensitive.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The text itself, to keep it out of messages.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

/// What tells one state of a file from another: also a file that was replaced by a rename at the same size.
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

/// Gives the token of one lane.
#[derive(Debug)]
pub struct TokenReader {
    source: SecretSource,
    read: Mutex<Option<(Stamp, Arc<Token>)>>,
}

impl TokenReader {
    /// Reads nothing yet.
    pub fn new(source: SecretSource) -> Self {
        Self { source, read: Mutex::new(None) }
    }

    /// The token as it stands there now.
    ///
    /// # Errors
    /// When there is none. The next call looks again.
    pub fn current(&self) -> Result<Arc<Token>, SecretError> {
        match &self.source {
            SecretSource::File(path) => self.read_file(path),
            SecretSource::Env(name) => {
                let text = std::env::var(name).map_err(|_| SecretError::Variable(name.clone()))?;
                Token::new(&text, &|| format!("the environment variable {name}")).map(Arc::new)
            }
            SecretSource::Credential(name) => {
                if name.is_empty() || name.contains('/') || name == "." || name == ".." {
                    return Err(SecretError::Name(name.clone()));
                }
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                self.read_file(&PathBuf::from(directory).join(name))
            }
        }
    }

    fn read_file(&self, path: &Path) -> Result<Arc<Token>, SecretError> {
        let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Stamp::of(&std::fs::metadata(path).map_err(unreadable)?);
        if let Some((then, token)) = &*read
            && *then == now
        {
            return Ok(token.clone());
        }
        *read = None;
        let file = File::open(path).map_err(unreadable)?;
        // The stamp of the opened file, not of the path: it may have been replaced in between.
        let stamp = Stamp::of(&file.metadata().map_err(unreadable)?);
        let mut text = String::new();
        file.take(TOKEN_MAX as u64 + 2).read_to_string(&mut text).map_err(unreadable)?;
        let token = Arc::new(Token::new(&text, &|| path.display().to_string())?);
        *read = Some((stamp, token.clone()));
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("token");
        std::fs::write(&path, content).expect("writable");
        (dir, path)
    }

    #[test]
    fn a_file_is_read_again_when_it_changes() {
        let (dir, path) = file("first\n");
        let reader = TokenReader::new(SecretSource::File(path.clone()));
        let first = reader.current().expect("a token");
        assert_eq!(first.expose(), "first");
        assert!(Arc::ptr_eq(&first, &reader.current().expect("a token")), "not read twice");
        // Same size, replaced by a rename, as a rotation does it.
        let other = dir.path().join("new");
        std::fs::write(&other, "other\n").expect("writable");
        std::fs::rename(&other, &path).expect("same directory");
        assert_eq!(reader.current().expect("a token").expose(), "other");
        std::fs::remove_file(&path).expect("it is there");
        let error = reader.current().expect_err("it is gone").to_string();
        assert!(error.contains(path.to_str().expect("UTF-8")), "{error}");
        std::fs::write(&path, "third").expect("writable");
        assert_eq!(reader.current().expect("it is back").expose(), "third");
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_told() {
        for (content, what) in [("", "empty"), (" \n", "empty"), ("se\ncret", "line breaks"), ("se\u{7}cret", "line breaks")] {
            let (_dir, path) = file(content);
            let error = TokenReader::new(SecretSource::File(path)).current().expect_err(content).to_string();
            assert!(error.contains(what) && !error.contains("cret"), "{error}");
        }
        let (_dir, path) = file(&"a".repeat(TOKEN_MAX + 1));
        assert!(TokenReader::new(SecretSource::File(path)).current().is_err());
    }

    #[test]
    fn nothing_prints_the_token() {
        let (_dir, path) = file("s3cr3t-t0ken");
        let reader = TokenReader::new(SecretSource::File(path));
        let token = reader.current().expect("a token");
        let printed = format!("{token:?} {reader:?} {:?}", token.header());
        assert!(!printed.contains("s3cr3t"), "{printed}");
    }

    #[test]
    fn the_other_sources_say_what_is_missing() {
        let error = TokenReader::new(SecretSource::Env("SEALIFT_TEST_NOT_SET".into())).current().expect_err("not set");
        assert!(error.to_string().contains("SEALIFT_TEST_NOT_SET"), "{error}");
        assert!(TokenReader::new(SecretSource::Env("PATH".into())).current().is_ok(), "any variable can hold it");
        for name in ["../token", "..", ""] {
            assert!(matches!(TokenReader::new(SecretSource::Credential(name.into())).current(), Err(SecretError::Name(_))), "{name}");
        }
    }
}
