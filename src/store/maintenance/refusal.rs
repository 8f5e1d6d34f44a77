//! Why a copy was not made, or not accepted.

use std::io;
use std::path::PathBuf;

use crate::store::Unavailable;
use crate::store::error::OpenError;

/// Why a copy was not made, or not taken.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The store that is copied, or the copy, is not sound.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Something of the store cannot be read.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The copy is damaged.
    #[error(
        "the copy {source_name} is damaged: {place} {what}; nothing was changed, take another copy"
    )]
    Damaged {
        /// The file or directory.
        source_name: String,
        place: String,
        what: String,
    },
    /// Whoever made the copy broke off and said why.
    #[error("the copy {source_name} was not finished: {why}")]
    Unfinished {
        /// The file or the daemon.
        source_name: String,
        why: String,
    },
    /// What takes the copy takes no more of it.
    #[error("cannot write the export")]
    Unwritten { source: io::Error },
    /// There is something in the way already.
    #[error("{} is there already{hint}; nothing is mixed with what is there, name another place", path.display())]
    InTheWay { path: PathBuf, hint: &'static str },
    /// The copy is of another store.
    #[error("{source_name} is a copy of the store {found}, this is {expected}")]
    OtherStore {
        source_name: String,
        found: String,
        /// The one in question.
        expected: String,
    },
    /// The damage cannot be undone with what is at hand.
    #[error("{0}")]
    BeyondRepair(String),
    /// The system refused something.
    #[error("cannot {what} {}", path.display())]
    System { what: &'static str, path: PathBuf, source: io::Error },
}

impl CopyError {
    /// The system refused `what` with `path`.
    pub(crate) fn system(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::System { what, path, source }
    }
}
