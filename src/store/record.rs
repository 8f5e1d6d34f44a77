//! One line of the journal on disk: an entry, and what the store needs beside it to come back after
//! a crash.
//!
//! Invariant: `prev` is the SHA-256 of the previous line's bytes without its line feed, so no line
//! can be changed, dropped or moved without a trace. `more` counts the lines of the same commit
//! that follow: a commit whose last line is missing never happened. `due` is from when on the
//! change is due; without it a rebuilt queue would ask the cloud about a call in doubt before that
//! call can have landed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::id::Digest;
use crate::domain::journal::Entry;

/// An entry with its due instant and its place in its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JournalRecord {
    pub entry: Entry,
    /// For an active change: from when on it is due.
    pub due: Option<Timestamp>,
    /// How many lines of the same commit follow.
    pub more: u32,
}

/// The journal's last line as far as it was acknowledged: a journal that ends before it has
/// forgotten something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub seq: u64,
    pub head: Digest,
}

#[derive(Serialize)]
struct WrittenRecord<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_zero")]
    more: u32,
    prev: Digest,
}

#[derive(Deserialize)]
struct ReadRecord {
    #[serde(flatten)]
    entry: Entry,
    #[serde(default)]
    due: Option<Timestamp>,
    #[serde(default)]
    more: u32,
    prev: Digest,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl JournalRecord {
    /// Appends the line with its line feed to `out`; the answer is its own digest.
    pub fn write(&self, prev: Digest, out: &mut Vec<u8>) -> Digest {
        let start = out.len();
        let written = WrittenRecord { entry: &self.entry, due: self.due, more: self.more, prev };
        serde_json::to_writer(&mut *out, &written)
            .expect("entries have string keys and a vector takes every byte");
        let digest = Digest::of(&out[start..]);
        out.push(b'\n');
        digest
    }

    /// Reads a line without its line feed; the second part is the digest that it gives for the line
    /// before it.
    pub fn read(bytes: &[u8]) -> Result<(Self, Digest), serde_json::Error> {
        let read: ReadRecord = serde_json::from_slice(bytes)?;
        Ok((Self { entry: read.entry, due: read.due, more: read.more }, read.prev))
    }
}
