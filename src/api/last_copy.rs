//! When a whole copy of the store was last made, by the daemon or by a verb while none worked.
//!
//! Invariant: it only informs. A file that cannot be read or written is as good as none, and no
//! copy fails for it. That the client kept what it was given is not known here.

use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::write_whole;

/// Its name in the state directory.
const NAME: &str = "last-copy.json";

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
struct WrittenCopy {
    at: Timestamp,
    /// The last entry that was copied.
    seq: u64,
}

/// Writes down that a copy as of then, up to this entry, was given out whole. Who made it may be
/// root: the file belongs to whom the folder belongs, so that the daemon can read it.
pub fn note_copy(folder: &Path, at: Timestamp, seq: u64) -> io::Result<()> {
    let text = serde_json::to_vec(&WrittenCopy { at, seq })?;
    write_whole(folder, NAME, &text)?;
    let (path, owner) = (folder.join(NAME), std::fs::metadata(folder)?);
    if std::fs::metadata(&path)?.uid() != owner.uid() {
        chown(&path, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// The latest copy, and where that is kept.
pub(super) struct LastCopy {
    folder: PathBuf,
    at: Mutex<Option<Timestamp>>,
}

impl LastCopy {
    /// What the file in this folder says.
    pub(super) fn open(folder: &Path) -> Self {
        let text = std::fs::read(folder.join(NAME)).ok();
        let known = text.and_then(|text| serde_json::from_slice::<WrittenCopy>(&text).ok());
        Self { folder: folder.to_owned(), at: Mutex::new(known.map(|known| known.at)) }
    }

    /// A copy as of then, up to this entry, was given out whole. Blocks.
    pub(super) fn made(&self, at: Timestamp, seq: u64) {
        if let Err(error) = note_copy(&self.folder, at, seq) {
            tracing::warn!(%error, "the time of the latest copy is not kept over a restart");
        }
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// When it was made; `None`: none is known of.
    pub(super) fn at(&self) -> Option<Timestamp> {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_copy_is_known_over_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = "2026-10-05T22:00:00Z".parse().expect("an instant");
        let last = LastCopy::open(folder.path());
        assert_eq!(last.at(), None);
        last.made(at, 12);
        assert_eq!((last.at(), LastCopy::open(folder.path()).at()), (Some(at), Some(at)));
        std::fs::write(folder.path().join(NAME), "{").expect("written");
        assert_eq!(LastCopy::open(folder.path()).at(), None, "a file that is cut says nothing");
    }
}
