//! What happened to each rollout, in bins of five minutes: a fold of the journal, so that a time
//! line needs no walk.
//!
//! Job: count what entries say by rollout, bin and wave; keep the counts in a tree of their own,
//! written in the transaction that takes the entries in.
//!
//! Invariants: an entry is counted once, because the counts and the sequence that they reach are
//! written together; a tree that another version has not written to begins anew, and returns since
//! when it counts. A key stands for one wave and five minutes in which something happened, or for
//! one pause: the tree is bounded by time, never by changes.
//!
//! Deliberately not here: what has no entry of its own, such as the changes that an abort withdraws
//! in one stroke.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use ::sled::Tree;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::draft::{QueueBatch, TreeName};
use super::error::QueueError;
use super::row::{is_settled, standing_of};
use super::value::{read_json, seal, unseal, write_json};
use crate::domain::id::RolloutId;
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::person::Attribution;
use crate::domain::plan::Plan;
use crate::domain::tally::Standing;

/// Length of a bin.
pub const BIN: SignedDuration = SignedDuration::from_mins(5);

/// Bins returned at once, the newest: five weeks of a rollout that never rests.
pub const BINS_MAX: usize = 10_000;

/// Pauses returned at once, the newest.
pub(super) const PAUSES_MAX: usize = 1_000;

/// The status with which the cloud refuses a call for its quota.
const REFUSED: u16 = 429;

/// What happened to one wave in one bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BinCounts {
    pub succeeded: u32,
    pub failed: u32,
    pub in_doubt: u32,
    pub cancelled: u32,
    pub reverted: u32,
    pub skipped: u32,
    /// Calls that changes asked for; lists of jobs, which serve many changes at once, are not among
    /// them.
    pub calls: u32,
    /// Answers of the cloud that refused a call for its quota.
    pub refused: u32,
}

impl BinCounts {
    /// Changes that got their outcome.
    pub fn settled(&self) -> u32 {
        self.succeeded + self.failed + self.in_doubt + self.cancelled + self.reverted + self.skipped
    }

    fn slot(&mut self, standing: Standing) -> Option<&mut u32> {
        match standing {
            Standing::Queued | Standing::Active => None,
            Standing::Succeeded => Some(&mut self.succeeded),
            Standing::Failed => Some(&mut self.failed),
            Standing::InDoubt => Some(&mut self.in_doubt),
            Standing::Cancelled => Some(&mut self.cancelled),
            Standing::Reverted => Some(&mut self.reverted),
            Standing::Skipped => Some(&mut self.skipped),
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        let Self { succeeded, failed, in_doubt, cancelled, reverted, skipped, calls, refused } =
            self;
        let counts = [succeeded, failed, in_doubt, cancelled, reverted, skipped, calls, refused];
        counts.into_iter().flat_map(u32::to_be_bytes).collect()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (counts, []) = bytes.as_chunks::<4>() else { return None };
        let [succeeded, failed, in_doubt, cancelled, reverted, skipped, calls, refused] =
            <[[u8; 4]; 8]>::try_from(counts).ok()?.map(u32::from_be_bytes);
        Some(Self { succeeded, failed, in_doubt, cancelled, reverted, skipped, calls, refused })
    }
}

impl AddAssign for BinCounts {
    fn add_assign(&mut self, more: Self) {
        self.succeeded += more.succeeded;
        self.failed += more.failed;
        self.in_doubt += more.in_doubt;
        self.cancelled += more.cancelled;
        self.reverted += more.reverted;
        self.skipped += more.skipped;
        self.calls += more.calls;
        self.refused += more.refused;
    }
}

/// What happened to one wave in the five minutes from `at` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBin {
    pub at: Timestamp,
    /// Place of the wave in the plan, from 0.
    pub wave: u16,
    pub counts: BinCounts,
}

/// What happened to a rollout in a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    /// From then on it was counted, where that is later than the rollout; `None`: all of it.
    pub since: Option<Timestamp>,
    /// Bins in which something happened, oldest first; the newest ones where there are more than
    /// [`BINS_MAX`].
    pub bins: Vec<TimeBin>,
    /// Pauses that are over, oldest first.
    pub pauses: Vec<(Timestamp, Timestamp)>,
}

/// A stretch of one rollout's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ActivityQuery {
    pub id: RolloutId,
    pub from: Timestamp,
    pub to: Timestamp,
}

impl ActivityQuery {
    /// The numbers of its bins.
    pub(super) fn bins(&self) -> std::ops::RangeInclusive<u32> {
        number(self.from)..=number(self.to)
    }
}

/// Counts that entries brought, on their way to the tree; or all of them, where nothing is kept on
/// disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct FreshBins {
    counts: BTreeMap<(RolloutId, u32, u16), BinCounts>,
    /// When each pause that is over ended, by its beginning.
    pauses: BTreeMap<(RolloutId, i64), i64>,
}

impl FreshBins {
    /// Takes in one entry of a rollout with this plan, which was paused so before it.
    pub fn count(&mut self, entry: &Entry, plan: &Plan, paused: Option<&Attribution>) {
        match &entry.what {
            JournalEvent::Change { ordinal, from, call, answer, record, .. } => {
                let (was, is) = (standing_of(from), Standing::of(&record.state));
                let refused = answer.as_ref().is_some_and(|answer| answer.status == Some(REFUSED));
                let mut counts = BinCounts {
                    calls: call.is_some().into(),
                    refused: refused.into(),
                    ..BinCounts::default()
                };
                if was != Some(is)
                    && is_settled(is)
                    && let Some(slot) = counts.slot(is)
                {
                    *slot = 1;
                }
                if counts != BinCounts::default() {
                    let key = (entry.rollout, number(entry.at), plan.strategy.wave_of(*ordinal));
                    *self.counts.entry(key).or_default() += counts;
                }
            }
            JournalEvent::Rollout { record, .. } => {
                if let Some(mark) = paused
                    && record.paused.as_ref() != Some(mark)
                {
                    self.pauses.insert(
                        (entry.rollout, mark.at.as_millisecond()),
                        entry.at.as_millisecond(),
                    );
                }
            }
            JournalEvent::Submitted { .. } | JournalEvent::Enforcement { .. } => {}
        }
    }

    /// Every count, by rollout, number of the bin and wave.
    pub(super) fn counts(&self) -> impl Iterator<Item = (RolloutId, u32, u16, BinCounts)> {
        self.counts.iter().map(|((id, number, wave), counts)| (*id, *number, *wave, *counts))
    }

    /// Every pause that is over: its rollout, its beginning and its end in milliseconds.
    pub(super) fn pauses(&self) -> impl Iterator<Item = (RolloutId, i64, i64)> {
        self.pauses.iter().map(|((id, from), to)| (*id, *from, *to))
    }

    /// What is known of a stretch of time, where these are all counts there are.
    pub fn activity(&self, query: ActivityQuery) -> Activity {
        let bins = query.bins();
        let bins =
            self.counts.range((query.id, *bins.start(), 0)..=(query.id, *bins.end(), u16::MAX));
        let bins = bins
            .rev()
            .take(BINS_MAX)
            .map(|((_, number, wave), counts)| bin(*number, *wave, *counts));
        let pauses =
            self.pauses.range((query.id, i64::MIN)..=(query.id, query.to.as_millisecond()));
        let pauses = pauses.rev().take(PAUSES_MAX).map(|((_, from), to)| (*from, *to));
        activity(None, bins.collect(), pauses.collect(), query)
    }
}

/// How far the tree has counted.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    /// The first entry that it counted, and when that was.
    first: u64,
    since: Timestamp,
    /// The last one.
    last: u64,
}

/// Where [`Counted`] lies; every other key begins with a rollout's id, and is longer.
const COUNTED: &[u8] = b"counted";

/// What stands behind a rollout's id in the key of a bin, and in that of a pause.
const OF_BIN: u8 = b'b';
const OF_PAUSE: u8 = b'p';

const WHAT: &str = "what happened in five minutes";

fn counted(tree: &Tree) -> Result<Option<Counted>, QueueError> {
    Ok(tree.get(COUNTED)?.map(|value| read_json(WHAT, &value)).transpose()?)
}

/// The first entry that a tree has counted; `None`: it has counted none.
pub(crate) fn begins(tree: &Tree) -> Result<Option<u64>, QueueError> {
    Ok(counted(tree)?.map(|counted| counted.first))
}

/// Adds the counts of a batch whose first entry is `first` to those of the tree, which has reached
/// `before`.
pub(crate) fn put(
    tree: &Tree,
    fresh: FreshBins,
    (first, before, last): (&Entry, u64, u64),
    batch: &mut QueueBatch,
) -> Result<(), QueueError> {
    // Whoever took entries in without counting them has left a gap.
    let known = counted(tree)?.filter(|counted| counted.last == before);
    let (begun, since) =
        known.map_or((first.seq, first.at), |counted| (counted.first, counted.since));
    let counted = Counted { first: begun, since, last };
    batch.put(TreeName::Bins, COUNTED.to_vec(), Some(write_json(WHAT, &counted)?));
    for ((id, number, wave), mut counts) in fresh.counts {
        let key = bin_key(id, number, wave);
        if let Some(value) = tree.get(&key)? {
            counts += read_counts(&value)?;
        }
        batch.put(TreeName::Bins, key, Some(seal(WHAT, counts.to_bytes())?));
    }
    for ((id, from), to) in fresh.pauses {
        batch.put(
            TreeName::Bins,
            pause_key(id, from),
            Some(seal(WHAT, to.to_be_bytes().to_vec())?),
        );
    }
    Ok(())
}

/// Reads a stretch of a rollout that was submitted with the entry `submitted`.
pub(crate) fn read(
    tree: &Tree,
    query: ActivityQuery,
    submitted: u64,
) -> Result<Activity, QueueError> {
    let since = match counted(tree)? {
        Some(counted) => (counted.first > submitted).then_some(counted.since),
        // An earlier version took in all that there is.
        None => Some(query.to),
    };
    let asked = query.bins();
    let keys = bin_key(query.id, *asked.start(), 0)..=bin_key(query.id, *asked.end(), u16::MAX);
    let mut bins = Vec::new();
    for pair in tree.range(keys).rev().take(BINS_MAX) {
        let (key, value) = pair?;
        let [.., a, b, c, d, e, f] = *key else { return Err(odd()) };
        let number = u32::from_be_bytes([a, b, c, d]);
        bins.push(bin(number, u16::from_be_bytes([e, f]), read_counts(&value)?));
    }
    let keys = pause_key(query.id, 0)..=pause_key(query.id, query.to.as_millisecond());
    let mut pauses = Vec::new();
    for pair in tree.range(keys).rev().take(PAUSES_MAX) {
        let (key, value) = pair?;
        let from = key.last_chunk().map(|from| i64::from_be_bytes(*from)).ok_or_else(odd)?;
        let to = unseal(WHAT, &value)?.try_into().map(i64::from_be_bytes).map_err(|_| odd())?;
        pauses.push((from, to));
    }
    Ok(activity(since, bins, pauses, query))
}

/// Puts together what was read, the newest first.
pub(super) fn activity(
    since: Option<Timestamp>,
    mut bins: Vec<TimeBin>,
    pauses: Vec<(i64, i64)>,
    query: ActivityQuery,
) -> Activity {
    bins.retain(|bin| {
        since.is_none_or(|since| bin.at.saturating_add(BIN).unwrap_or(bin.at) > since)
    });
    bins.reverse();
    let at = |millisecond| Timestamp::from_millisecond(millisecond).unwrap_or(query.to);
    let pauses = pauses.into_iter().rev().map(|(from, to)| (at(from), at(to)));
    Activity { since, bins, pauses: pauses.filter(|(_, to)| *to >= query.from).collect() }
}

fn odd() -> QueueError {
    QueueError::Damaged(format!("a key or value of {WHAT} has another length"))
}

fn read_counts(value: &[u8]) -> Result<BinCounts, QueueError> {
    BinCounts::of_bytes(unseal(WHAT, value)?).ok_or_else(odd)
}

/// The number of the bin that an instant lies in.
fn number(at: Timestamp) -> u32 {
    u32::try_from(at.as_second().div_euclid(BIN.as_secs())).unwrap_or(0)
}

/// The bin with this number.
pub(super) fn bin(number: u32, wave: u16, counts: BinCounts) -> TimeBin {
    let at = Timestamp::from_second(i64::from(number) * BIN.as_secs()).unwrap_or(Timestamp::MAX);
    TimeBin { at, wave, counts }
}

fn bin_key(id: RolloutId, number: u32, wave: u16) -> Vec<u8> {
    [id.as_bytes().as_slice(), &[OF_BIN], &number.to_be_bytes(), &wave.to_be_bytes()].concat()
}

/// Instants before 1970 have no order here, and no daemon ran then.
fn pause_key(id: RolloutId, from: i64) -> Vec<u8> {
    [id.as_bytes().as_slice(), &[OF_PAUSE], &from.to_be_bytes()].concat()
}
