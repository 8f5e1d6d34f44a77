//! What the store's parts report: why it is not opened, what is wrong with its queue, why its
//! writer ended.
//!
//! Invariant: an error says which file it is about and what a person can do; only a damaged queue
//! leads to a rebuild, any other error is returned.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::SCHEMA;
use super::Unavailable;
use super::value::ValueError;

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on the directory.
    #[error("another daemon (pid {pid}) holds {}; stop it, or use another state directory", path.display())]
    Taken {
        path: PathBuf,
        /// Who holds it, as far as it said.
        pid: String,
    },
    /// The system refused something.
    #[error("cannot {what} {}", path.display())]
    Directory { what: &'static str, path: PathBuf, source: io::Error },
    /// A small file is not what was written.
    #[error("{}:{line} cannot be read: {what}; `sealift store check` tells all that is wrong, `sealift store repair` mends it", path.display())]
    Unreadable { path: PathBuf, line: u64, what: String },
    /// Its store goes on elsewhere.
    #[error(
        "{} was handed over at {at}, with entry {seq}, into {to}: the store goes on where that file was imported, and two daemons would both act; \
         only if it was imported nowhere: sealift store take-back --state {}", path.display(), path.display()
    )]
    HandedOver {
        path: PathBuf,
        /// The last entry that was handed over.
        seq: u64,
        at: Timestamp,
        to: String,
    },
    /// A copy to keep, not one to work on.
    #[error(
        "{} is a backup (up to entry {seq}, made at {at}) and is kept as it is; to work with what it holds: \
         sealift store import {} --state DIR", path.display(), path.display()
    )]
    Backup {
        path: PathBuf,
        /// The last entry that it holds.
        seq: u64,
        /// When it was made.
        at: Timestamp,
    },
    /// The store that belongs there is gone.
    #[error(
        "{} holds no store, but {} says that the store {id} belongs there: it was removed or moved, or its disk is not mounted; put it back, or \
         make one of a copy: sealift store import COPY --state {}; to begin a new, empty one on purpose, which knows nothing of what was done: \
         sealift store new --state {}", path.display(), beside.display(), path.display(), path.display()
    )]
    Lost {
        path: PathBuf,
        /// The file that names the store.
        beside: PathBuf,
        id: String,
    },
    /// There is a journal, and nothing says whose.
    #[error("{} does not say which store it is; `sealift store repair --state {}` puts that back", path.display(), path.display())]
    Nameless { path: PathBuf },
    /// Another store is where one belongs.
    #[error(
        "{} holds the store {found}, but {} says that the store {id} belongs there; put that one back, or remove that file if {found} is to go on",
        path.display(), beside.display()
    )]
    Other {
        path: PathBuf,
        /// The store in it.
        found: String,
        /// The file that names the other one.
        beside: PathBuf,
        /// The store that belongs there.
        id: String,
    },
    /// Nothing of a store is there.
    #[error("{} holds no store", path.display())]
    NoStore { path: PathBuf },
    /// Written by a newer program.
    #[error(
        "{} was written by a newer program (schema {found}): it needs sealift {}, and this is {}; nothing was changed",
        path.display(), needed(needs.as_deref()), env!("CARGO_PKG_VERSION")
    )]
    Schema {
        path: PathBuf,
        found: u32,
        /// The first version that reads it.
        needs: Option<String>,
    },
    /// The journal is damaged before its end.
    #[error("the journal is damaged: {}:{line} {what}; nothing was changed; `sealift store check` tells all that is wrong, `sealift store repair` mends it", path.display())]
    Damaged {
        path: PathBuf,
        /// The line, from 1; 0 for the segment as a whole.
        line: u64,
        what: String,
    },
    /// The journal ends before what was acknowledged.
    #[error(
        "the journal ends with entry {found}, but {witness} has seen entry {seen}: acknowledged entries are missing; \
         nothing was changed; `sealift store repair --from` a copy that holds them puts them back"
    )]
    Forgotten {
        /// Who has seen more.
        witness: &'static str,
        /// The last entry that it has seen.
        seen: u64,
        /// The journal's last entry.
        found: u64,
    },
    /// The journal holds another entry than was acknowledged.
    #[error(
        "entry {seq} of the journal is not the one that {witness} has seen: files of two stores or of two times were mixed"
    )]
    Forked {
        /// Who has seen another.
        witness: &'static str,
        seq: u64,
    },
    /// The queue must be rebuilt and the journal does not begin with its first entry.
    #[error(
        "the queue must be built anew ({reason}), but the journal begins with entry {first}; `sealift store repair --from` a copy puts its older segments back"
    )]
    Incomplete {
        /// Why it must be built.
        reason: String,
        /// The first entry that is there.
        first: u64,
    },
    /// A submission, or something else that the journal names, cannot be read.
    #[error("{0}")]
    Submission(Unavailable),
    /// The queue cannot be opened for a reason that rebuilding it would not change.
    #[error("the queue cannot be opened: {0}")]
    Queue(io::Error),
    /// The queue was written by a newer program.
    #[error("the queue cannot be opened: {0}; use the newer program")]
    QueueSchema(String),
}

fn needed(version: Option<&str>) -> String {
    version.map_or_else(|| "of a newer version".into(), |version| format!("{version} or newer"))
}

/// What went wrong in the queue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueError {
    /// sled reports damage, or a value is not what was written: rebuild it.
    #[error("{0}")]
    Damaged(String),
    /// The system refused a read, write or sync.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Written by a newer program.
    #[error("its schema is {found}, this program knows {SCHEMA}")]
    Schema { found: u32 },
}

impl From<::sled::Error> for QueueError {
    fn from(error: ::sled::Error) -> Self {
        match error {
            ::sled::Error::Io(error) => Self::Io(error),
            error @ (::sled::Error::CollectionNotFound(_)
            | ::sled::Error::Unsupported(_)
            | ::sled::Error::ReportableBug(_)
            | ::sled::Error::Corruption { .. }) => Self::Damaged(error.to_string()),
        }
    }
}

impl From<ValueError> for QueueError {
    fn from(error: ValueError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Why the writer ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriterFailure {
    /// The journal was not written or not synced.
    #[error("cannot write the journal: {0}")]
    Journal(io::Error),
    /// The mark was not written.
    #[error("cannot write the mark: {0}")]
    Mark(io::Error),
    /// What was written is not where the next start looks for it.
    #[error(
        "its directory was removed, moved or replaced while the daemon worked on it: {0}; put it back, if it was moved"
    )]
    Gone(io::Error),
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a word"))
}
