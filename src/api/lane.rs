//! The switch of a lane: paused and resumed by a person, for every rollout that uses it.
//!
//! Invariants: a switch is acknowledged when it survives a power cut and the engine obeys it; a file that cannot be read is
//! no empty one, for that would resume lanes that a person paused.
//!
//! Deliberately not here: what a paused lane does (`engine`): nothing that changes anything leaves over it, reads go on.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::Api;
use super::fault::Fault;
use super::peer::Peer;
use super::routes::{nowhere, reason, verb_request};
use super::wire::{LaneAnswer, LaneRequest};
use crate::domain::id::Name;
use crate::domain::rollout::Mark;
use crate::store::write_whole;

/// Its name in the state directory.
const NAME: &str = "lanes.json";

/// Longest file that is read: a thousand lanes with a reason each.
const BYTES_MAX: u64 = 1 << 20;

/// The lanes that people paused, and where that is kept.
pub struct Switches {
    folder: PathBuf,
    paused: Mutex<BTreeMap<Name, Mark>>,
}

/// The file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file} says which lanes are paused and cannot be read; mend it, or remove it to resume them all")]
pub struct SwitchesError {
    file: String,
    source: std::io::Error,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    paused: BTreeMap<Name, Mark>,
}

impl Switches {
    /// What the file in this folder says; without one no lane is paused.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn open(folder: PathBuf) -> Result<Self, SwitchesError> {
        let path = folder.join(NAME);
        let stored = match std::fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Stored::default()),
            Err(error) => Err(error),
            Ok(file) => {
                let mut text = Vec::new();
                let read = file.take(BYTES_MAX).read_to_end(&mut text);
                read.and_then(|_| serde_json::from_slice::<Stored>(&text).map_err(std::io::Error::from))
            }
        };
        let Stored { paused } = stored.map_err(|source| SwitchesError { file: path.display().to_string(), source })?;
        Ok(Self { folder, paused: Mutex::new(paused) })
    }

    /// The state directory.
    pub(super) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// The lanes that are paused, for an engine that begins.
    pub async fn paused(&self) -> Vec<(Name, Option<Mark>)> {
        self.paused.lock().await.iter().map(|(lane, mark)| (lane.clone(), Some(mark.clone()))).collect()
    }
}

impl Api {
    /// Pauses a lane, or resumes it; one switch after the other.
    async fn switch_lane(&self, lane: Name, mark: Option<Mark>) -> Result<(), Fault> {
        let mut paused = self.switches.paused.lock().await;
        match (&mark, paused.get(&lane)) {
            (Some(_), Some(known)) => {
                return Err(Fault::new(StatusCode::CONFLICT, format!("lane {lane} is paused already, by {}", known.by)));
            }
            (None, None) => return Err(Fault::new(StatusCode::CONFLICT, format!("lane {lane} is not paused"))),
            (Some(_), None) | (None, Some(_)) => {}
        }
        let mut next = paused.clone();
        match &mark {
            Some(mark) => drop(next.insert(lane.clone(), mark.clone())),
            None => drop(next.remove(&lane)),
        }
        let folder = self.switches.folder.clone();
        let text = serde_json::to_vec(&Stored { paused: next.clone() }).expect("names and marks are JSON");
        let written = tokio::task::spawn_blocking(move || write_whole(&folder, NAME, &text)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            let file = self.switches.folder.join(NAME);
            let message =
                format!("{} cannot be written: {error}; the lane is as it was, and the file STOP stops everything", file.display());
            return Err(Fault::new(StatusCode::SERVICE_UNAVAILABLE, message));
        }
        *paused = next;
        // Kept for the next start in any case.
        self.handle.switch_lane(lane, mark).await.map_err(|error| Fault::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
    }
}

/// `pause` and `resume` of a lane.
pub(super) async fn verb(
    State(api): State<Arc<Api>>,
    Path((lane, word)): Path<(String, String)>,
    peer: Peer,
    uri: Uri,
    body: Bytes,
) -> Result<Json<LaneAnswer>, Fault> {
    let asked: LaneRequest = verb_request(&body)?;
    let mark = match word.as_str() {
        "pause" => Some(Mark { by: peer.to_string(), reason: reason(&asked.reason), at: api.now() }),
        "resume" => None,
        _ => return Err(nowhere(uri).await),
    };
    let unknown = || {
        let known: Vec<&str> = api.lanes.iter().map(|lane| lane.name.as_str()).collect();
        Fault::new(StatusCode::NOT_FOUND, format!("the configuration has no lane {}; it has {}", lane.escape_debug(), known.join(", ")))
    };
    let name = Name::parse(&lane, "lane").map_err(|_| unknown())?;
    // One that went from the configuration can be resumed, and no other one paused.
    if mark.is_some() && !api.lanes.iter().any(|lane| lane.name == name) {
        return Err(unknown());
    }
    tracing::info!(lane = %name, verb = %word, by = %peer, reason = %reason(&asked.reason), "a lane is switched");
    let (switching, switched) = (Arc::clone(&api), name.clone());
    // To its end, whether or not the client waits for it: the file and the engine say the same.
    let done = tokio::spawn(async move { switching.switch_lane(switched, mark).await }).await;
    done.map_err(|error| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, format!("switching the lane broke: {error}")))??;
    Ok(Json(LaneAnswer { lane: name.to_string(), verb: word, by: peer.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_is_not_taken_for_empty() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = || Switches::open(folder.path().to_owned());
        assert_eq!(open().expect("no file is no pause").paused().await, []);
        let mark = Mark { by: "ada".into(), reason: "fire".into(), at: jiff::Timestamp::UNIX_EPOCH };
        let lane = Name::parse("prod-sg", "lane").expect("a name");
        let text = serde_json::to_vec(&Stored { paused: [(lane.clone(), mark.clone())].into() }).expect("JSON");
        write_whole(folder.path(), NAME, &text).expect("written");
        assert_eq!(open().expect("readable").paused().await, [(lane, Some(mark))]);
        for broken in ["", "{}", "{\"paused\": {\"prod-sg\": {}}}"] {
            std::fs::write(folder.path().join(NAME), broken).expect("written");
            let told = open().err().expect("not readable").to_string();
            assert!(told.contains("lanes.json") && told.contains("remove it to resume"), "{told}");
        }
    }
}
