//! The queue on disk: sled as an index of the journal's latest state.
//!
//! Job: apply batches of journal records, each in one transaction over all trees with the sequence
//! it reaches; read changes, pages, rollouts and job ids back.
//!
//! Invariants: after any crash the trees are at exactly the sequence in `meta/applied`, because a
//! transaction writes both; a batch is synced before the next begins (sled's own flush does not
//! sync, see docs/decisions); anything that cannot be read is an error, never a missing row.
//!
//! Deliberately not here: repair. What is damaged is set aside and rebuilt from the journal, by
//! `open`.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};
use ::sled::{Db, IVec, Transactional, Tree};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::change::StateKind;
use crate::domain::id::{ChangeId, Digest, InstanceId, JobId, RolloutId};
use crate::domain::journal::JournalEvent;

use super::Enforcement;
use super::SCHEMA;
use super::bins::{self, FreshBins};
use super::draft::{LatestMove, QueueBatch, TreeName};
use super::enforcements;
use super::error::QueueError;
use super::failpoint::{Failpoint, Point};
use super::instances::remember;
use super::over::{Packed, SettledFiles};
use super::pending::{InstanceOfLane, PendingRecord};
use super::progress::Progress;
use super::record::Mark;
use super::row::{StoredRow, is_failure, is_settled_kind};
use super::value::{
    change_key, change_of, instance_key, lane_of, read_json, read_tallies, tallies_key, write_json,
    write_tallies,
};

/// A rollout as stored, without its tallies; plan, author and instant stand in its submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRollout {
    pub submission: Digest,
    pub record: crate::domain::rollout::Record,
    pub moved_at: Timestamp,
    pub first: u64,
    pub last: u64,
}

/// All that a start reads of the queue.
#[derive(Debug)]
pub(crate) struct LoadedQueue {
    pub applied: Mark,
    pub rollouts: Vec<(RolloutId, StoredRollout, Progress)>,
    pub rows: Vec<(ChangeId, StoredRow)>,
    pub enforcements: Vec<Enforcement>,
}

/// A key with its value.
pub(super) type Pair = (IVec, IVec);

/// Rows of a file, or what stands for them, each with its place.
type Rows = Box<dyn Iterator<Item = Result<(u32, Vec<u8>), QueueError>>>;

/// Rows of a rollout, each with its place.
type RowsOf<'a> = Box<dyn Iterator<Item = Result<(u32, StoredRow), QueueError>> + 'a>;

#[derive(Debug, Clone)]
pub(crate) struct Queue {
    db: Db,
    /// A handle of our own on sled's file, because sled does not sync it.
    file: Arc<File>,
    active: Tree,
    pub(super) settled: Tree,
    /// Keys of failed and in-doubt changes.
    pub(super) failures: Tree,
    rollouts: Tree,
    instances: Tree,
    /// What happened in five minutes.
    pub(super) bins: Tree,
    meta: Tree,
    /// Rows that have left the trees.
    pub(super) over: SettledFiles,
    failpoint: Failpoint,
}

impl Queue {
    /// Opens the queue in a directory; where an empty one is right (`fresh`), begins it for the
    /// store with this id. sled may panic on damage: the caller guards.
    pub fn open(
        dir: &Path,
        cache_bytes: u64,
        store_id: &str,
        fresh: bool,
        failpoint: Failpoint,
    ) -> Result<Self, QueueError> {
        let config = ::sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            .mode(::sled::Mode::LowSpace)
            .flush_every_ms(Some(FLUSH_EVERY_MS))
            .use_compression(false);
        let db = open_alone(&config)?;
        let file = OpenOptions::new().write(true).open(dir.join("db"))?;
        let queue = Self {
            active: db.open_tree("active")?,
            settled: db.open_tree("settled")?,
            failures: db.open_tree("failed")?,
            rollouts: db.open_tree("rollouts")?,
            instances: db.open_tree("instances")?,
            bins: db.open_tree("bins")?,
            meta: db.open_tree("meta")?,
            db,
            file: Arc::new(file),
            over: SettledFiles::of(dir)?,
            failpoint,
        };
        // `applied` comes last: without it a crash has interrupted this very stretch, and it is
        // done again.
        if fresh && !queue.meta.contains_key("applied")? {
            queue.meta.insert("schema", write_json("the schema", &SCHEMA)?)?;
            queue.meta.insert("store", write_json("the store's id", &store_id)?)?;
            queue.meta.insert(
                "applied",
                write_json("the applied mark", &Mark { seq: 0, head: Digest::ZERO })?,
            )?;
            queue.sync()?;
            for name in ["conf", "db"] {
                File::open(dir.join(name))?.sync_all()?;
            }
            super::files::sync_dir(dir)?;
        }
        Ok(queue)
    }

    fn meta<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        what: &'static str,
    ) -> Result<T, QueueError> {
        let bytes =
            self.meta.get(key)?.ok_or_else(|| QueueError::Damaged(format!("{what} is missing")))?;
        Ok(read_json(what, &bytes)?)
    }

    /// Reads what a start needs: the marks, the rollouts, and the changes that are not settled.
    pub fn load(&self, store_id: &str) -> Result<LoadedQueue, QueueError> {
        let found: u32 = self.meta("schema", "the schema")?;
        if found > SCHEMA {
            return Err(QueueError::Schema { found });
        }
        let owner: String = self.meta("store", "the store's id")?;
        if owner != store_id {
            return Err(QueueError::Damaged(format!(
                "it belongs to the store {owner}, this is {store_id}"
            )));
        }
        let applied = self.meta("applied", "the applied mark")?;
        let mut rows = Vec::new();
        for pair in self.active.iter() {
            let (key, value) = pair?;
            rows.push((id_of(&key)?, read_json("a change", &value)?));
        }
        Ok(LoadedQueue {
            applied,
            rollouts: self.load_rollouts()?,
            rows,
            enforcements: enforcements::load(&self.meta)?,
        })
    }

    fn load_rollouts(&self) -> Result<Vec<(RolloutId, StoredRollout, Progress)>, QueueError> {
        let mut rollouts = Vec::new();
        for pair in self.rollouts.iter() {
            let (key, value) = pair?;
            if key.len() == 17 {
                continue;
            }
            let id = key.as_ref().try_into().map_err(|_| {
                QueueError::Damaged("the key of a rollout has another length".into())
            })?;
            let id = RolloutId::from_bytes(id);
            let stored: StoredRollout = read_json("a rollout", &value)?;
            let tallies = self.rollouts.get(tallies_key(id))?.ok_or_else(|| {
                QueueError::Damaged("the tallies of a rollout are missing".into())
            })?;
            let progress =
                Progress { record: stored.record.clone(), tallies: read_tallies(&tallies)? };
            rollouts.push((id, stored, progress));
        }
        rollouts.sort_by_key(|(_, stored, _)| stored.first);
        Ok(rollouts)
    }

    /// Puts a batch together; `rollouts` stand where the batch ends. Only reads.
    pub fn draft<'a>(
        &self,
        records: &[PendingRecord],
        rollouts: &dyn Fn(RolloutId) -> Option<(StoredRollout, &'a Progress)>,
        fresh: FreshBins,
        reached: Mark,
    ) -> Result<QueueBatch, QueueError> {
        let mut draft = QueueBatch::default();
        let mut latest: BTreeMap<ChangeId, LatestMove<'_>> = BTreeMap::new();
        let mut jobs: BTreeMap<&InstanceOfLane, Vec<JobId>> = BTreeMap::new();
        let mut moved = BTreeSet::new();
        let mut enforced = BTreeMap::new();
        for pending in records {
            let entry = &pending.record.entry;
            moved.insert(entry.rollout);
            if let JournalEvent::Enforcement { name, record, .. } = &entry.what {
                enforced.insert(name, (record, entry.at));
            }
            let JournalEvent::Change { ordinal, from, record, .. } = &entry.what else { continue };
            let id = ChangeId { rollout: entry.rollout, ordinal: *ordinal };
            let from = StateKind::parse(from);
            latest
                .entry(id)
                .and_modify(|latest| latest.follow(pending, record, from))
                .or_insert_with(|| LatestMove::first(pending, record, from));
            if let (Some(instance), Some(job)) = (&pending.learnt, record.jobs.last()) {
                let jobs = match jobs.entry(instance) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(
                        self.jobs_by(instance.lane.as_str().as_bytes(), &instance.instance_id)?,
                    ),
                };
                remember(jobs, job);
            }
        }
        for (id, latest) in latest {
            latest.put(change_key(id), &mut draft)?;
        }
        for (instance, jobs) in jobs {
            let key = instance_key(instance.lane.as_str().as_bytes(), &instance.instance_id);
            draft.put(TreeName::Instances, key, Some(write_json("an instance's jobs", &jobs)?));
        }
        for id in moved {
            let Some((stored, progress)) = rollouts(id) else { continue };
            draft.put(
                TreeName::Rollouts,
                id.as_bytes().to_vec(),
                Some(write_json("a rollout", &stored)?),
            );
            draft.put(
                TreeName::Rollouts,
                tallies_key(id).to_vec(),
                Some(write_tallies(&progress.tallies)?),
            );
        }
        for (name, (record, moved_at)) in enforced {
            for (key, piece) in enforcements::pieces(&self.meta, name, record, moved_at)? {
                draft.put(TreeName::Meta, key, piece);
            }
        }
        if let Some(first) = records.first() {
            let before: Mark = self.meta("applied", "the applied mark")?;
            let stretch = (&first.record.entry, before.seq, reached.seq);
            bins::put(&self.bins, fresh, stretch, &mut draft)?;
        }
        draft.put(
            TreeName::Meta,
            b"applied".to_vec(),
            Some(write_json("the applied mark", &reached)?),
        );
        Ok(draft)
    }

    /// Applies a batch in one transaction: all of it or nothing survives a crash. Durable only
    /// after [`Self::sync`].
    pub fn apply(&self, draft: &QueueBatch) -> Result<(), QueueError> {
        let trees = (
            &self.active,
            &self.settled,
            &self.failures,
            &self.rollouts,
            &self.instances,
            &self.bins,
            &self.meta,
        );
        let done: Result<(), TransactionError<::sled::Error>> =
            trees.transaction(|(active, settled, failures, rollouts, instances, bins, meta)| {
                for (name, tree) in TreeName::ALL
                    .into_iter()
                    .zip([active, settled, failures, rollouts, instances, bins, meta])
                {
                    write(tree, draft.of(name))?;
                }
                Ok(())
            });
        match done {
            Ok(()) => Ok(self.failpoint.at(Point::QueueApplied)?),
            Err(TransactionError::Abort(error) | TransactionError::Storage(error)) => {
                Err(error.into())
            }
        }
    }

    /// Makes everything applied durable.
    pub fn sync(&self) -> Result<(), QueueError> {
        self.db.flush()?;
        self.failpoint.at(Point::QueueFlushed)?;
        self.file.sync_data()?;
        Ok(self.failpoint.at(Point::QueueSynced)?)
    }

    pub fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |db| db.len()) + self.over.bytes()
    }

    /// Every tree with its name.
    pub fn trees(&self) -> [(TreeName, &Tree); 7] {
        [
            (TreeName::Active, &self.active),
            (TreeName::Settled, &self.settled),
            (TreeName::Failures, &self.failures),
            (TreeName::Rollouts, &self.rollouts),
            (TreeName::Instances, &self.instances),
            (TreeName::Bins, &self.bins),
            (TreeName::Meta, &self.meta),
        ]
    }

    /// Entries of sled's table of pages, which it keeps in memory and never gives up.
    #[cfg(test)]
    pub fn pages(&self) -> usize {
        let told = format!("{:?}", self.db.context.pagecache);
        let most = told.strip_prefix("PageCache { max: ").and_then(|rest| rest.split(' ').next());
        most.and_then(|most| most.parse().ok()).expect("sled tells the largest number of a page")
    }

    pub fn settled(&self, id: ChangeId) -> Result<Option<StoredRow>, QueueError> {
        match (self.settled.get(change_key(id))?, self.over.open(id.rollout)?) {
            (Some(value), _) => Ok(Some(read_json("a change", &value)?)),
            (None, Some(packed)) => packed.row(id.ordinal),
            (None, None) => Ok(None),
        }
    }

    /// Every row that is settled, by its key, wherever it lies.
    pub fn all_settled(
        &self,
    ) -> Result<impl Iterator<Item = Result<Pair, QueueError>> + '_, QueueError> {
        self.everywhere(&self.settled, |packed| Ok(Box::new(packed.all(0))))
    }

    /// The same of what failed, without the rows.
    pub fn all_failures(
        &self,
    ) -> Result<impl Iterator<Item = Result<Pair, QueueError>> + '_, QueueError> {
        self.everywhere(&self.failures, |packed| {
            Ok(Box::new(packed.failures(0)?.into_iter().map(|place| Ok((place, Vec::new())))))
        })
    }

    fn everywhere<'a>(
        &'a self,
        tree: &'a Tree,
        all: fn(Packed) -> Result<Rows, QueueError>,
    ) -> Result<impl Iterator<Item = Result<Pair, QueueError>> + 'a, QueueError> {
        let rollouts = self.over.rollouts()?.into_iter();
        let packed = rollouts.flat_map(move |id| {
            let rows = self.over.open(id).and_then(|packed| packed.map(all).transpose());
            let (rows, wrong) = match rows {
                Ok(rows) => (rows, None),
                Err(error) => (None, Some(Err(error))),
            };
            let keyed = move |(ordinal, value): (u32, Vec<u8>)| {
                (IVec::from(change_key(ChangeId { rollout: id, ordinal }).as_slice()), value.into())
            };
            wrong.into_iter().chain(rows.into_iter().flatten().map(move |row| row.map(keyed)))
        });
        Ok(Merged { left: tree.iter().map(|pair| Ok(pair?)).peekable(), right: packed.peekable() })
    }

    /// The job ids of an instance, whatever the lane: a look for each lane that ever had one, of
    /// which there are few.
    pub fn jobs(&self, instance: &InstanceId) -> Result<Vec<JobId>, QueueError> {
        let (mut jobs, mut from) = (Vec::new(), Vec::new());
        while let Some(pair) = self.instances.range(from..).next() {
            let (key, _) = pair?;
            let (lane, after) = lane_of(&key);
            jobs.extend(self.jobs_by(lane, instance)?);
            from = after;
        }
        Ok(jobs)
    }

    fn jobs_by(&self, lane: &[u8], instance: &InstanceId) -> Result<Vec<JobId>, QueueError> {
        let value = self.instances.get(instance_key(lane, instance))?;
        Ok(value
            .map(|value| read_json("an instance's jobs", &value))
            .transpose()?
            .unwrap_or_default())
    }

    /// Stored changes of a rollout from `first` on, in the list's order, as far as `words` may want
    /// them (empty: all).
    pub fn rows<'a>(&'a self, id: RolloutId, first: u32, words: &[&str]) -> RowsOf<'a> {
        let range = rows_from(id, first);
        let packed = match self.over.open(id) {
            Ok(packed) => packed,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let kinds: Vec<Option<StateKind>> =
            words.iter().map(|word| StateKind::parse(word)).collect();
        // A tree that cannot hold what is wanted is not walked.
        let is_settled = |kind: &Option<StateKind>| kind.is_some_and(is_settled_kind);
        let active = kinds.is_empty() || !kinds.iter().all(is_settled);
        let settled: Vec<StateKind> =
            kinds.iter().copied().flatten().filter(|kind| is_settled_kind(*kind)).collect();
        let all_kinds = kinds.is_empty() || settled.iter().any(|kind| !is_failure(*kind));
        let settled: RowsOf<'a> = if all_kinds {
            let packed = packed.into_iter().flat_map(move |packed| packed.all(first));
            let packed = packed.map(|row| {
                row.and_then(|(ordinal, value)| Ok((ordinal, read_json("a change", &value)?)))
            });
            let rows = self.settled.range(range.clone()).map(row_of);
            Box::new(Merged { left: rows.peekable(), right: packed.peekable() })
        } else if settled.is_empty() {
            Box::new(std::iter::empty())
        } else {
            match packed.map(|packed| packed.failures(first)).transpose() {
                Ok(Some(places)) => Box::new(
                    places
                        .into_iter()
                        .map(move |ordinal| self.failure(ChangeId { rollout: id, ordinal })),
                ),
                Ok(None) => Box::new(
                    self.failures
                        .range(range.clone())
                        .map(move |pair| self.failure(id_of(&pair?.0)?)),
                ),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        };
        let active = active.then(|| self.active.range(range)).into_iter().flatten().map(row_of);
        Box::new(Merged { left: active.peekable(), right: settled.peekable() })
    }

    fn failure(&self, id: ChangeId) -> Result<(u32, StoredRow), QueueError> {
        let row = self
            .settled(id)?
            .ok_or_else(|| QueueError::Damaged(format!("the row of change {id} is missing")))?;
        Ok((id.ordinal, row))
    }
}

/// How often, and how far apart, sled's file is tried while it is locked: for two seconds.
const LOCK_LOOKS: u32 = 200;
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(10);

/// How often sled writes and cleans by itself, in milliseconds. Nothing that was acknowledged
/// depends on it.
const FLUSH_EVERY_MS: u64 = 500;

/// Keys of a rollout's changes from this place on.
pub(super) fn rows_from(id: RolloutId, first: u32) -> RangeInclusive<[u8; 20]> {
    change_key(ChangeId { rollout: id, ordinal: first })..=change_key(ChangeId {
        rollout: id,
        ordinal: u32::MAX,
    })
}

/// The change whose key this is.
pub(super) fn id_of(key: &[u8]) -> Result<ChangeId, QueueError> {
    change_of(key)
        .ok_or_else(|| QueueError::Damaged("the key of a change has another length".into()))
}

fn row_of(
    pair: ::sled::Result<(::sled::IVec, ::sled::IVec)>,
) -> Result<(u32, StoredRow), QueueError> {
    let (key, value) = pair?;
    Ok((id_of(&key)?.ordinal, read_json("a change", &value)?))
}

fn write(
    tree: &TransactionalTree,
    values: &BTreeMap<Vec<u8>, Option<Vec<u8>>>,
) -> Result<(), ConflictableTransactionError<::sled::Error>> {
    let mut batch = ::sled::Batch::default();
    for (key, value) in values {
        match value {
            Some(value) => batch.insert(key.as_slice(), value.as_slice()),
            None => batch.remove(key.as_slice()),
        }
    }
    Ok(tree.apply_batch(&batch)?)
}

/// Opens sled's file, which sled locks. Whoever gets here holds the store's own lock, so a lock on
/// the file can only be of a store that this process has just closed: sled's threads let go of it a
/// moment after its last handle is gone.
fn open_alone(config: &::sled::Config) -> Result<Db, ::sled::Error> {
    for _ in 0..LOCK_LOOKS {
        match config.open() {
            // sled tells it with the file's name as another kind.
            Err(::sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock") =>
            {
                std::thread::sleep(LOCK_LOOK_EVERY)
            }
            opened => return opened,
        }
    }
    config.open()
}

/// Two streams of rows as one, in order; of what both have, the left's. An error ends it where it
/// stands.
struct Merged<L: Iterator, R: Iterator> {
    left: std::iter::Peekable<L>,
    right: std::iter::Peekable<R>,
}

impl<K: Ord, V, L, R> Iterator for Merged<L, R>
where
    L: Iterator<Item = Result<(K, V), QueueError>>,
    R: Iterator<Item = Result<(K, V), QueueError>>,
{
    type Item = Result<(K, V), QueueError>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.left.peek(), self.right.peek()) {
            (Some(Ok((left, _))), Some(Ok((right, _)))) => left.cmp(right),
            (Some(_), _) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => self.left.next(),
            Ordering::Greater => self.right.next(),
            Ordering::Equal => {
                self.right.next();
                self.left.next()
            }
        }
    }
}
