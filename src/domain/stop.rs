//! What keeps every call that changes anything from being sent, over all lanes: a person's word
//! (`sealift stop`), and the file `STOP`.
//!
//! Invariant: either is enough, and lifting one leaves the other.
//!
//! Deliberately not here: keeping the word over a restart (`api::switches`), looking for the file
//! (`daemon::stop_file`), and what obeys them (`engine::fence`).

use std::fmt;

use jiff::Timestamp;

use super::person::Attribution;

/// Name of the file in the state directory.
pub const FILE: &str = "STOP";

/// What stops everything now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stop {
    /// A person did, and nobody has started it again.
    pub by: Option<Attribution>,
    /// The file is there.
    pub file: Option<StopFile>,
}

/// The file, while it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopFile {
    pub path: String,
    /// Its text: the reason.
    pub text: String,
    /// When it was written last, as far as that can be told.
    pub since: Option<Timestamp>,
}

impl Stop {
    pub fn stands(&self) -> bool {
        self.by.is_some() || self.file.is_some()
    }
}

impl StopFile {
    /// The file at this path, with this text, of which is not known when it was written.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), since: None }
    }
}

/// As a sentence; of something that stands.
impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self
            .by
            .iter()
            .map(Attribution::to_string)
            .chain(self.file.iter().map(StopFile::to_string));
        write!(f, "everything is stopped by {}", by.collect::<Vec<_>>().join(", and by "))
    }
}

/// As [`Attribution`]: who, and why.
impl fmt::Display for StopFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, text) = (&self.path, self.text.trim());
        if text.is_empty() {
            write!(f, "the file {path}")
        } else {
            write!(f, "the file {path}: {text}")
        }
    }
}
