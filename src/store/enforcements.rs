//! Enforcements in memory and in the queue on disk.
//!
//! Invariants: a plan's name has at most one enforcement; a move is refused when the enforcement
//! has moved since its decision read it; the queue holds a record in pieces, because it may be
//! longer than one value (see `value`), and a record that lacks a piece is damage.
//!
//! Deliberately not here: what an enforcement does next.

use std::collections::BTreeMap;

use ::sled::Tree;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::QueueError;
use super::pending::PendingRecord;
use super::record::JournalRecord;
use super::state::StoreState;
use super::value::{ValueError, seal, unseal};
use super::{CommitError, Enforcement, EnforcementCommit, Unavailable};
use crate::domain::enforce;
use crate::domain::id::Name;
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::person::Person;

/// What its stage was, for the journal, before it began.
const NONE: &str = "none";

impl StoreState {
    /// Checks a move, folds it, and gives back its line for the journal.
    pub fn enforce(&mut self, commit: EnforcementCommit) -> Result<PendingRecord, CommitError> {
        let EnforcementCommit { at, name, version, record, why, by } = commit;
        let known = self.enforcements.get(&name);
        if known.map_or(0, |known| known.record.version) != version || record.version <= version {
            return Err(CommitError::Conflict);
        }
        let Some(rollout) = self.rollout(record.origin) else {
            let what = format!(
                "the enforcement of {name} names the rollout {}, which is not there",
                record.origin
            );
            return Err(CommitError::Unavailable(Unavailable(what)));
        };
        let (by, via) = Person::told(by);
        let previous = Some(rollout.last_seq);
        let from = known.map_or(NONE, |known| known.record.stage.as_str()).into();
        let to = record.stage.as_str().into();
        let rollout = record.origin;
        let what = JournalEvent::Enforcement {
            name,
            from,
            to,
            why,
            by,
            via,
            record: Box::new(record),
            previous,
        };
        let journal_record = JournalRecord {
            entry: Entry { seq: self.seq() + 1, at, rollout, what },
            due: None,
            more: 0,
        };
        let learnt = self.fold(&journal_record, None)?;
        Ok(PendingRecord { record: journal_record, learnt, new_rollout: None })
    }

    /// Takes in one entry about an enforcement, or puts one back as the backing store had it.
    pub fn enforced(&mut self, name: Name, record: enforce::Record, moved_at: Timestamp) {
        self.enforcements.insert(name.clone(), Enforcement { name, record, moved_at });
    }

    /// Every enforcement, in the order of the plans' names.
    pub fn enforcements(&self) -> Vec<Enforcement> {
        self.enforcements.values().cloned().collect()
    }

    pub fn enforcement(&self, name: &Name) -> Option<Enforcement> {
        self.enforcements.get(name).cloned()
    }
}

/// Every key begins so; then the plan's name, a byte 0, and the number of the piece.
const PREFIX: &[u8] = b"enforcement/";

/// Bytes of one piece: with its checksum it stays below `VALUE_MAX`.
const PIECE: usize = 3_800;

const WHAT: &str = "an enforcement";

#[derive(Serialize)]
struct ToStore<'a> {
    name: &'a Name,
    record: &'a enforce::Record,
    moved_at: Timestamp,
}

#[derive(Deserialize)]
struct StoredEnforcement {
    name: Name,
    record: enforce::Record,
    moved_at: Timestamp,
}

fn prefix(name: &Name) -> Vec<u8> {
    [PREFIX, name.as_str().as_bytes(), &[0]].concat()
}

/// What stands under each key; `None`: nothing any more.
pub(crate) type Pieces = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What the pieces of the latest record of a name are, key by key; `None` for a piece of before
/// that is not needed any more.
pub(crate) fn pieces(
    tree: &Tree,
    name: &Name,
    record: &enforce::Record,
    moved_at: Timestamp,
) -> Result<Pieces, QueueError> {
    let bytes = serde_json::to_vec(&ToStore { name, record, moved_at })
        .map_err(|error| ValueError::Unreadable(WHAT, error.to_string()))?;
    let prefix = prefix(name);
    let mut pieces = Pieces::new();
    for key in tree.scan_prefix(&prefix).keys() {
        pieces.insert(key?.to_vec(), None);
    }
    for (number, piece) in (0_u32..).zip(bytes.chunks(PIECE)) {
        pieces.insert(
            [prefix.as_slice(), &number.to_be_bytes()].concat(),
            Some(seal(WHAT, piece.to_vec())?),
        );
    }
    Ok(pieces)
}

/// Reads every enforcement back.
pub(crate) fn load(tree: &Tree) -> Result<Vec<Enforcement>, QueueError> {
    let mut whole: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for pair in tree.scan_prefix(PREFIX) {
        let (key, value) = pair?;
        let (name, number) = key
            .split_last_chunk::<4>()
            .ok_or_else(|| QueueError::Damaged(format!("the key of {WHAT} is too short")))?;
        let bytes = whole.entry(name.to_vec()).or_default();
        if bytes.len() != u32::from_be_bytes(*number) as usize * PIECE {
            return Err(QueueError::Damaged(format!("a piece of {WHAT} is missing")));
        }
        bytes.extend_from_slice(unseal(WHAT, &value)?);
    }
    let read = |bytes: &Vec<u8>| {
        let StoredEnforcement { name, record, moved_at } = serde_json::from_slice(bytes)
            .map_err(|error| QueueError::Damaged(format!("{WHAT} cannot be read: {error}")))?;
        Ok(Enforcement { name, record, moved_at })
    };
    whole.values().map(read).collect()
}
