//! How far a receiver has come: a small file for each, replaced whole.
//!
//! Invariants: written after what it says was done, never before; one that cannot be read stands in
//! the way until a person removes it, for to guess would tell things twice or never. A cursor of
//! another store, or one that is ahead of its journal, says nothing.
//!
//! Deliberately not here: copies. A store that moves to another machine begins there with what
//! happens from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::id::{Name, RolloutId};
use crate::store::write_whole;

/// Name of the log; no receiver can be called so.
pub const LANE_LOG: &str = "lane_log.json";

/// Largest file of ours: a thousand held lanes take some 300 KiB.
pub const BYTES_MAX: usize = 4 << 20;

/// Doubts of one rollout are told once in so long.
pub const DOUBT_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// Rollouts whose last told doubt is kept.
const DOUBTS_MAX: usize = 1_000;

/// How far a receiver has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The store whose journal it is a place of.
    pub store: String,
    /// Everything up to this entry was told, given up, or is told to nobody.
    pub seq: u64,
    /// The same of the log of lanes.
    pub lane: u64,
    /// How many were given up, ever.
    #[serde(default)]
    pub given_up: u64,
    /// It said that it is gone (410).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<Timestamp>,
    /// When a doubt was last told of a rollout.
    #[serde(default, skip_serializing_if = "Doubts::is_empty")]
    pub doubts: Doubts,
}

/// When a doubt was last told of each rollout, by the instants of its entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Doubts(BTreeMap<String, Timestamp>);

impl Doubts {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a doubt of this rollout at this instant is told: none was within [`DOUBT_EVERY`].
    pub fn lets(&self, rollout: &RolloutId, at: Timestamp) -> bool {
        self.0
            .get(&rollout.to_string())
            .is_none_or(|told| told.duration_until(at).abs() >= DOUBT_EVERY)
    }

    /// It is told.
    pub fn told(&mut self, rollout: &RolloutId, at: Timestamp) {
        self.0.insert(rollout.to_string(), at);
        if self.0.len() > DOUBTS_MAX
            && let Some(oldest) =
                self.0.iter().min_by_key(|(_, told)| **told).map(|(id, _)| id.clone())
        {
            self.0.remove(&oldest);
        }
    }
}

/// Makes the folder, and removes the cursors of receivers that are no more: one that comes back
/// begins anew.
pub fn prepare<'a>(folder: &Path, names: impl Iterator<Item = &'a Name>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let known: BTreeSet<String> = names.map(file_name).chain([LANE_LOG.to_owned()]).collect();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.ends_with(".json") && !known.contains(name)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn file_name(receiver: &Name) -> String {
    format!("{receiver}.json")
}

/// Reads a file of ours; `None` when it is not there.
pub(super) fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > BYTES_MAX { Err("it is too large".to_owned()) } else { Ok(Some(bytes)) }
}

/// The file of one receiver.
#[derive(Debug, Clone)]
pub struct CursorFile {
    folder: PathBuf,
    name: String,
}

impl CursorFile {
    pub fn of(folder: &Path, receiver: &Name) -> Self {
        Self { folder: folder.to_owned(), name: file_name(receiver) }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// What it says; `None` when it is not there.
    ///
    /// # Errors
    /// Why it cannot be read, with what to do.
    pub fn read(&self) -> Result<Option<Cursor>, String> {
        let read = read_bounded(&self.path()).and_then(|bytes| {
            let parse =
                |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|error| error.to_string());
            bytes.map(parse).transpose()
        });
        read.map_err(|why| {
            let path = self.path();
            format!(
                "the cursor {} cannot be read: {why}; nothing is told before it is put right, or removed and the daemon started again, \
                 which begins with what happens from then on",
                path.display()
            )
        })
    }

    /// Replaces it, durably.
    pub fn write(&self, cursor: &Cursor) -> io::Result<()> {
        let bytes = serde_json::to_vec(cursor).expect("names, numbers and texts can be written");
        write_whole(&self.folder, &self.name, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text, "receiver").expect("a name")
    }

    #[test]
    fn a_cursor_comes_back_as_it_was_and_one_that_cannot_be_read_stands_in_the_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = CursorFile::of(folder.path(), &name("ops"));
        assert_eq!(file.read(), Ok(None));
        let mut cursor = Cursor {
            store: "abc".into(),
            seq: 7,
            lane: 3,
            given_up: 2,
            off: Some(Timestamp::UNIX_EPOCH),
            ..Cursor::default()
        };
        cursor.doubts.told(&RolloutId::from_bytes([1; 16]), Timestamp::UNIX_EPOCH);
        file.write(&cursor).expect("written");
        assert_eq!(file.read(), Ok(Some(cursor)));
        std::fs::write(file.path(), b"{\"store\":").expect("written");
        let why = file.read().expect_err("torn");
        assert!(why.contains("ops.json") && why.contains("removed"), "{why}");
    }

    #[test]
    fn a_receiver_that_left_the_configuration_leaves_its_cursor() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("notify");
        for receiver in ["ops", "gone"] {
            prepare(&inner, [&name("ops"), &name("gone")].into_iter()).expect("made");
            CursorFile::of(&inner, &name(receiver)).write(&Cursor::default()).expect("written");
        }
        std::fs::write(inner.join(LANE_LOG), b"{}").expect("written");
        prepare(&inner, [&name("ops")].into_iter()).expect("tidied");
        let mut left: Vec<_> = std::fs::read_dir(&inner)
            .expect("there")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["lane_log.json", "ops.json"]);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &inner.metadata().expect("there").permissions(),
        );
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn doubts_of_a_rollout_are_told_once_in_ten_minutes() {
        let (one, other) = (RolloutId::from_bytes([1; 16]), RolloutId::from_bytes([2; 16]));
        let at = |second| Timestamp::from_second(second).expect("an instant");
        let mut doubts = Doubts::default();
        assert!(doubts.lets(&one, at(0)));
        doubts.told(&one, at(0));
        assert_eq!(
            [0, 599, 600, -599, -600].map(|second| doubts.lets(&one, at(second))),
            [false, false, true, false, true]
        );
        assert!(doubts.lets(&other, at(1)), "another rollout's is another doubt");
        for n in 0..=DOUBTS_MAX {
            let mut bytes = [9; 16];
            bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
            doubts.told(&RolloutId::from_bytes(bytes), at(1_000 + n as i64));
        }
        assert_eq!(doubts.0.len(), DOUBTS_MAX);
        assert!(doubts.lets(&one, at(1)), "the oldest makes room");
    }
}
