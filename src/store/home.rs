//! The store's directory: who owns it, what it is, and the names of what it holds.
//!
//! Invariant: one process at a time, also when the lock's file is removed under it, because the
//! journal's folder is locked too.
//!
//! Deliberately not here: how a file is written durably (`files`), and what the files mean.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::OpenError;
use super::files::{create_dir, read_small, sync_dir, write_whole};
use super::held::HeldFile;
use super::maintenance::provenance;
use super::record::Mark;
use super::{SCHEMA, SCHEMA_SINCE};

/// Name of the file that says which store it is.
pub(crate) const IDENTITY: &str = "store";

/// Name of the mark's file.
pub(crate) const MARK: &str = "mark";

/// Name of the lock's file; it holds the owner's pid.
pub(crate) const LOCK: &str = "lock";

/// Name of the folder of the journal's segments.
pub(crate) const JOURNAL: &str = "journal";

/// Begin of the name of a damaged queue that was set aside.
pub(crate) const ASIDE: &str = "queue.bad-";

/// Name of the file that stands there while the queue is rebuilt.
const BUILDING: &str = "queue.building";

/// Name of the queue that a compaction builds, until it takes the place of the old one.
pub(crate) const QUEUE_NEW: &str = "queue.compact";

/// Name of the old queue, until a compaction removes it.
pub(crate) const QUEUE_OLD: &str = "queue.old";

/// Stands for the pid of an owner that did not say it.
pub(crate) const UNKNOWN: &str = "unknown";

/// An owned directory; ownership ends with the value.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    identity: StoreIdentity,
    /// The locks go with the files.
    lock: HeldFile,
    journal: HeldFile,
}

/// What the directory says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreIdentity {
    pub schema: u32,
    /// Drawn once; the queue carries it too, so that a queue of another store is noticed.
    pub id: String,
    /// The first version of this program that reads that schema, for an older one to name; `None`:
    /// written before versions were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
}

impl StoreIdentity {
    /// Of a store that begins now.
    pub fn drawn() -> Self {
        Self::of(format!("{:032x}", fastrand::u128(..)))
    }

    /// Of the store with this id, as this program writes it.
    pub fn of(id: String) -> Self {
        Self { schema: SCHEMA, id, needs: Some(SCHEMA_SINCE.into()) }
    }

    /// Refuses what a newer program wrote. `path` is where it says so.
    pub fn known(self, path: PathBuf) -> Result<Self, OpenError> {
        if self.schema > SCHEMA {
            return Err(OpenError::Schema { path, found: self.schema, needs: self.needs });
        }
        Ok(self)
    }
}

impl Home {
    /// Takes a directory over, and creates what is missing.
    pub fn take(dir: &Path) -> Result<Self, OpenError> {
        let wrong = |what: &'static str| {
            let path = dir.to_owned();
            move |source| OpenError::Directory { what, path, source }
        };
        create_dir(dir).map_err(wrong("create the directory"))?;
        // Before anything is written into a backup, and again when nobody else can hand the store
        // over any more.
        provenance::may_serve(dir)?;
        let lock = lock(&dir.join(LOCK))?;
        provenance::may_serve(dir)?;
        for sub in [JOURNAL, "submissions"] {
            create_dir(&dir.join(sub)).map_err(wrong("create a directory in"))?;
        }
        let journal = lock_folder(&dir.join(JOURNAL))?;
        let mut identity = identity(dir)?.known(dir.join(IDENTITY))?;
        // From now on this program writes into it, which an older one may not read.
        let current = StoreIdentity::of(identity.id.clone());
        if identity != current {
            write_identity(dir, &current)?;
            identity = current;
        }
        sync_dir(dir).map_err(wrong("sync"))?;
        Ok(Self { dir: dir.to_owned(), identity, lock, journal })
    }

    /// Refuses when the directory is not where it was taken over, or is another one.
    pub fn confirm(&self) -> io::Result<()> {
        self.lock.confirm()?;
        self.journal.confirm()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store's own id.
    pub fn id(&self) -> &str {
        &self.identity.id
    }

    /// What it says of itself.
    pub fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    /// Where the journal's segments lie.
    pub fn journal(&self) -> PathBuf {
        self.journal.path().to_owned()
    }

    pub fn submissions(&self) -> PathBuf {
        self.dir.join("submissions")
    }

    pub fn queue(&self) -> PathBuf {
        self.dir.join("queue")
    }

    /// Says at the next start why the queue must not be trusted.
    pub fn suspect(&self) -> PathBuf {
        self.dir.join("queue.suspect")
    }

    /// Says, while the queue is rebuilt, why it is: what lies there is the half of it, not what was
    /// damaged.
    pub fn building(&self) -> PathBuf {
        self.dir.join(BUILDING)
    }

    pub fn write_building(&self, reason: &str) -> io::Result<()> {
        write_whole(&self.dir, BUILDING, reason.as_bytes())
    }

    /// Moves a damaged queue out of the way, in the place of one that was set aside before; `None`
    /// when there was none. The name holds the last sequence of the journal.
    pub fn set_queue_aside(&self, seq: u64) -> io::Result<Option<PathBuf>> {
        if !self.queue().exists() {
            return Ok(None);
        }
        for file in std::fs::read_dir(&self.dir)? {
            let file = file?;
            if file.file_name().to_string_lossy().starts_with(ASIDE) {
                std::fs::remove_dir_all(file.path())?;
            }
        }
        let aside = self.dir.join(format!("{ASIDE}{seq}"));
        std::fs::rename(self.queue(), &aside)?;
        sync_dir(&self.dir)?;
        Ok(Some(aside))
    }

    /// Removes a queue that was half built and cannot be gone on with.
    pub fn remove_queue(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(self.queue()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The mark, if one was ever written.
    pub fn mark(&self) -> Result<Option<Mark>, OpenError> {
        read_small(&self.dir, MARK)
    }

    /// Writes the mark. Only for lines that are synced.
    pub fn write_mark(&self, mark: Mark) -> io::Result<()> {
        let bytes = serde_json::to_vec(&mark)?;
        write_whole(&self.dir, MARK, &bytes)
    }

    /// Bytes that are left for us on the file system.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn identity(dir: &Path) -> Result<StoreIdentity, OpenError> {
    if let Some(identity) = read_identity(dir)? {
        return Ok(identity);
    }
    let identity = StoreIdentity::drawn();
    write_identity(dir, &identity)?;
    Ok(identity)
}

/// What a directory says of itself; `None`: there is no store in it.
pub(crate) fn read_identity(dir: &Path) -> Result<Option<StoreIdentity>, OpenError> {
    read_small(dir, IDENTITY)
}

/// Writes down what a directory is.
pub(crate) fn write_identity(dir: &Path, identity: &StoreIdentity) -> Result<(), OpenError> {
    let bytes = serde_json::to_vec(identity).expect("a struct with string keys");
    let written = write_whole(dir, IDENTITY, &bytes);
    written.map_err(|source| OpenError::Directory {
        what: "write",
        path: dir.join(IDENTITY),
        source,
    })
}

/// Removes what an interrupted compaction left.
pub(crate) fn sweep_compaction(dir: &Path) -> io::Result<()> {
    // Between its two renames the old queue is the only one; the start rebuilds the queue then, as
    // from a lost one.
    for name in [QUEUE_NEW, QUEUE_OLD] {
        match std::fs::remove_dir_all(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<HeldFile, OpenError> {
    let fail = |what: &'static str| {
        move |source| OpenError::Directory { what, path: path.to_owned(), source }
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(fail("open the lock"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The pid is for people; without it the refusal stands just the same.
            let _ = file.read_to_string(&mut pid);
            let pid =
                if pid.trim().is_empty() { UNKNOWN.to_owned() } else { pid.trim().to_owned() };
            return Err(OpenError::Taken { path: path.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(fail("lock")(source)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(fail("write"))?;
    HeldFile::new(file, path.to_owned()).map_err(fail("look at"))
}

/// Locks a folder as such: whoever removes the lock's file lets nobody in.
fn lock_folder(path: &Path) -> Result<HeldFile, OpenError> {
    let fail = |what: &'static str| {
        move |source| OpenError::Directory { what, path: path.to_owned(), source }
    };
    let folder = File::open(path).map_err(fail("open"))?;
    match folder.try_lock() {
        Ok(()) => HeldFile::new(folder, path.to_owned()).map_err(fail("look at")),
        Err(TryLockError::WouldBlock) => {
            Err(OpenError::Taken { path: path.to_owned(), pid: UNKNOWN.to_owned() })
        }
        Err(TryLockError::Error(source)) => Err(fail("lock")(source)),
    }
}
