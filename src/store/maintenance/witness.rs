//! Whether a journal still has what the mark and the queue have seen, asked without changing
//! either.
//!
//! Invariant: sled is only ever opened on a copy of its files, because it writes as it opens.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::extent::Extent;
use super::offline::{journal, mark, queue};
use crate::store::error::OpenError;
use crate::store::failpoint::Failpoint;
use crate::store::open::{QueueRefusal, check_witness, guarded};
use crate::store::over::folder;
use crate::store::queue::Queue;
use crate::store::reader::Reader;
use crate::store::record::Mark;
use crate::store::value::read_json;

/// sled's cache while it is looked at, in bytes.
pub(super) const CACHE: u64 = 8 << 20;

pub(super) struct Copied {
    pub queue: Queue,
    /// Where the copy lies; it goes away with this.
    pub _folder: TempDir,
}

/// Refuses when the journal has forgotten what mark or queue have seen. What cannot be asked is
/// told for people.
pub(super) fn confirm(dir: &Path, store: &str, extent: &Extent) -> Result<Vec<String>, OpenError> {
    let reader = Reader::new(&journal(dir), &extent.firsts, extent.mark.seq);
    let check = |witness, seen| check_witness(&reader, (1, extent.mark.seq), witness, seen);
    let mut notes = Vec::new();
    match mark(dir)? {
        Some(mark) => check("the mark", mark)?,
        None if extent.mark.seq > 0 => {
            notes.push("the mark is missing: that nothing is lost at the journal's end is told by the queue alone".into())
        }
        None => {}
    }
    if !queue(dir).join("db").exists() {
        return Ok(notes);
    }
    match guarded(|| applied(&copied(dir, store)?.queue)) {
        Ok(seen) => check("the queue", seen)?,
        Err(QueueRefusal::Open(error)) => return Err(error),
        Err(QueueRefusal::Damaged(reason)) => {
            notes.push(format!("the queue is damaged ({reason}): that nothing is lost at the journal's end is told by the mark alone"));
        }
    }
    Ok(notes)
}

/// Copies the queue and opens the copy.
pub(super) fn copied(dir: &Path, store: &str) -> Result<Copied, QueueRefusal> {
    let wrong = |source| OpenError::Directory {
        what: "copy (TMPDIR names the place for it)",
        path: queue(dir),
        source,
    };
    let folder = tempfile::Builder::new().prefix("sealift-queue-").tempdir().map_err(wrong)?;
    copy_files(&queue(dir), folder.path()).map_err(wrong)?;
    link_over(&queue(dir), folder.path()).map_err(wrong)?;
    let queue = Queue::open(folder.path(), CACHE, store, false, Failpoint::default())?;
    Ok(Copied { queue, _folder: folder })
}

/// sled keeps plain files in its folder, and a folder of blobs that stays empty.
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for file in fs::read_dir(from)? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    Ok(())
}

/// The files of what is over never change: they are looked at where they lie.
fn link_over(from: &Path, to: &Path) -> io::Result<()> {
    let over = folder(from);
    if !over.try_exists()? {
        return Ok(());
    }
    std::os::unix::fs::symlink(over.canonicalize()?, folder(to))
}

/// How far a queue is.
pub(super) fn applied(queue: &Queue) -> Result<Mark, QueueRefusal> {
    let [.., (_, meta)] = queue.trees();
    let read = meta.get("applied").map_err(|error| QueueRefusal::Damaged(error.to_string()))?;
    let bytes = read.ok_or_else(|| QueueRefusal::Damaged("the applied mark is missing".into()))?;
    read_json("the applied mark", &bytes).map_err(|error| QueueRefusal::Damaged(error.to_string()))
}
