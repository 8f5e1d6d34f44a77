//! A batch for the queue: what each key holds after it.
//!
//! Invariant: of several moves of one change only the last is written; a row is in one of the trees
//! of active and of settled changes.
//!
//! Deliberately not here: sled, and what a batch is made of (`queue`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::error::QueueError;
use super::pending::PendingRecord;
use super::record::JournalRecord;
use super::row::{is_failure, is_settled_kind};
use super::value::write_json;
use crate::domain::change::{self, StateKind};

/// As [`super::queue::StoredRow`], borrowed.
#[derive(Serialize)]
struct RowToStore<'a> {
    #[serde(rename = "r")]
    record: &'a change::Record,
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    #[serde(rename = "m")]
    moved_at: Timestamp,
    #[serde(rename = "q")]
    entry: u64,
}

/// The trees, in the order of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TreeName {
    Active,
    Settled,
    Failures,
    Rollouts,
    Instances,
    Bins,
    Meta,
}

impl TreeName {
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::Settled,
        Self::Failures,
        Self::Rollouts,
        Self::Instances,
        Self::Bins,
        Self::Meta,
    ];

    /// Its name on disk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Settled => "settled",
            Self::Failures => "failed",
            Self::Rollouts => "rollouts",
            Self::Instances => "instances",
            Self::Bins => "bins",
            Self::Meta => "meta",
        }
    }
}

/// What a batch leaves of one change. Only the last of its moves is written; the others are in the
/// journal.
pub(super) struct LatestMove<'a> {
    pending: &'a PendingRecord,
    record: &'a change::Record,
    /// No tree had a row of it before the batch.
    new: bool,
    /// It stood in the tree of settled changes before or within the batch.
    was_settled: bool,
    was_failure: bool,
}

impl<'a> LatestMove<'a> {
    /// Its first move in the batch.
    pub fn first(
        pending: &'a PendingRecord,
        record: &'a change::Record,
        from: Option<StateKind>,
    ) -> Self {
        // Without a row a change has version 0, and its first move makes it 1.
        Self {
            pending,
            record,
            new: record.version == 1,
            was_settled: from.is_some_and(is_settled_kind),
            was_failure: from.is_some_and(is_failure),
        }
    }

    pub fn follow(
        &mut self,
        pending: &'a PendingRecord,
        record: &'a change::Record,
        from: Option<StateKind>,
    ) {
        self.was_settled |= from.is_some_and(is_settled_kind);
        self.was_failure |= from.is_some_and(is_failure);
        (self.pending, self.record) = (pending, record);
    }

    /// What it leaves in the trees.
    pub fn put(&self, key: [u8; 20], draft: &mut QueueBatch) -> Result<(), QueueError> {
        let JournalRecord { entry, due, .. } = &self.pending.record;
        let record = self.record;
        let row = RowToStore { record, due: *due, moved_at: entry.at, entry: entry.seq };
        let settled = record.state.is_settled();
        let (here, there) = if settled {
            (TreeName::Settled, TreeName::Active)
        } else {
            (TreeName::Active, TreeName::Settled)
        };
        draft.put(here, key.to_vec(), Some(write_json("a change", &row)?));
        // A row lies in one of the two.
        if !self.new && (settled || self.was_settled) {
            draft.put(there, key.to_vec(), None);
        }
        let failure = is_failure(record.state.kind());
        if failure || self.was_failure {
            draft.put(TreeName::Failures, key.to_vec(), failure.then(Vec::new));
        }
        Ok(())
    }
}

/// A batch: what each key holds after it; of several writes to one key only the last is made.
#[derive(Debug, Default)]
pub(crate) struct QueueBatch([BTreeMap<Vec<u8>, Option<Vec<u8>>>; 7]);

impl QueueBatch {
    /// What a tree gets.
    pub fn of(&self, tree: TreeName) -> &BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        &self.0[tree as usize]
    }

    /// What a key holds after the batch.
    pub fn put(&mut self, tree: TreeName, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.0[tree as usize].insert(key, value);
    }
}
