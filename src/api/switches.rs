//! What people switched off, durably: everything, or single lanes.
//!
//! Invariants: a switch is acknowledged when it survives a power cut and the engine obeys it; a
//! file that cannot be read is no empty one, for that would start what a person stopped.
//!
//! Deliberately not here: the verbs (`api::stop`, `api::lane`), and what they do (`engine`):
//! nothing that changes anything is sent, reads go on.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};

use crate::domain::id::Name;
use crate::domain::person::Attribution;
use crate::domain::stop;
use crate::store::write_whole;

/// Its name in the state directory. One file for both: a release that does not know of a stop
/// refuses to begin with one.
const NAME: &str = "lanes.json";

/// Longest file that is read: five thousand lanes with a reason each.
const BYTES_MAX: u64 = 5 << 20;

/// What people switched off, and where that is kept.
pub struct Switches {
    folder: PathBuf,
    off: Mutex<Off>,
}

/// The file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "{file} says whether everything is stopped and which lanes are paused, and cannot be read; mend it, or remove it to start all"
)]
pub struct SwitchesError {
    file: String,
    source: std::io::Error,
}

/// A switch is not kept.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be written: {source}")]
pub struct NotKept {
    file: String,
    source: std::io::Error,
}

/// What is switched off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Off {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Attribution>,
    pub paused: BTreeMap<Name, Attribution>,
}

impl Switches {
    /// What the file in this folder says; without one nothing is switched off.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn open(folder: PathBuf) -> Result<Self, SwitchesError> {
        let path = folder.join(NAME);
        let off = match std::fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Off::default()),
            Err(error) => Err(error),
            Ok(file) => {
                let mut text = Vec::new();
                let read = file.take(BYTES_MAX).read_to_end(&mut text);
                read.and_then(|_| {
                    serde_json::from_slice::<Off>(&text).map_err(std::io::Error::from)
                })
            }
        };
        let off =
            off.map_err(|source| SwitchesError { file: path.display().to_string(), source })?;
        Ok(Self { folder, off: Mutex::new(off) })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Full path of the file that stops everything without a daemon.
    pub(super) fn stop_file(&self) -> String {
        self.folder.join(stop::FILE).display().to_string()
    }

    /// What is switched off, for an engine that begins.
    pub async fn off(&self) -> Off {
        self.off.lock().await.clone()
    }

    /// One switch after the other: whoever holds this is the only one.
    pub(super) async fn lock(&self) -> MutexGuard<'_, Off> {
        self.off.lock().await
    }

    /// Keeps `next` over a power cut. On an error what is kept is as it was.
    pub(super) async fn keep(&self, off: &mut Off, next: Off) -> Result<(), NotKept> {
        let folder = self.folder.clone();
        let text = serde_json::to_vec(&next).expect("names and marks are JSON");
        let written = tokio::task::spawn_blocking(move || write_whole(&folder, NAME, &text)).await;
        let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        written.map_err(|source| NotKept {
            file: self.folder.join(NAME).display().to_string(),
            source,
        })?;
        *off = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_is_not_taken_for_empty() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = || Switches::open(folder.path().to_owned());
        assert_eq!(open().expect("no file switches nothing off").off().await, Off::default());
        let mark = Attribution {
            by: "ada".into(),
            reason: "fire".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let lane = Name::parse("prod-sg", "lane").expect("a name");
        let off = Off { stopped: Some(mark.clone()), paused: [(lane, mark)].into() };
        let switches = open().expect("no file");
        switches.keep(&mut *switches.lock().await, off.clone()).await.expect("written");
        assert_eq!(open().expect("readable").off().await, off);
        let before =
            r#"{"paused":{"prod-sg":{"by":"ada","reason":"fire","at":"1970-01-01T00:00:00Z"}}}"#;
        std::fs::write(folder.path().join(NAME), before).expect("written");
        assert_eq!(
            open().expect("readable").off().await,
            Off { stopped: None, ..off },
            "as it was written before there was a stop"
        );
        for broken in
            ["", "{}", r#"{"paused": {"prod-sg": {}}}"#, r#"{"paused": {}, "stopped": true}"#]
        {
            std::fs::write(folder.path().join(NAME), broken).expect("written");
            let told = open().err().expect("not readable").to_string();
            assert!(told.contains("lanes.json") && told.contains("remove it to start"), "{told}");
        }
    }
}
