//! Opening a store: what is there, whether it fits together, and what to do when it does not.
//!
//! Order: lock, journal, mark, queue, what the journal has beyond the queue. The journal is the
//! truth: a queue that is damaged, foreign or does not add up is set aside and rebuilt from it,
//! with a warning. A journal that is damaged, or that ends before what the queue or the mark have
//! seen, is refused: acknowledged entries would be lost.
//!
//! Deliberately not here: repair of the journal, which is a person's decision.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::id::{Digest, RolloutId};
use crate::domain::journal::JournalEvent;
use crate::domain::person::Person;

use super::Unavailable;
use super::applied::Applied;
use super::beside;
use super::error::{OpenError, QueueError, panic_message};
use super::failpoint::Failpoint;
use super::home::{Home, sweep_compaction};
use super::journal::Journal;
use super::maintenance::provenance;
use super::packer::pack_alone;
use super::pending::PendingRecord;
use super::pending::{FrozenRollout, NewRollout};
use super::queue::Queue;
use super::reader::Reader;
use super::record::JournalRecord;
use super::record::Mark;
use super::state::StoreState;
use super::submission::{StoredSubmission, sweep};

/// Lines that are brought to the queue in one transaction while it is built or catches up.
pub(super) const CHUNK: usize = 1_000;

/// A store that fits together.
pub(crate) struct OpenedStore {
    pub home: Home,
    pub journal: Journal,
    pub queue: Queue,
    pub state: StoreState,
    pub applied: Applied,
    /// What was set aside and rebuilt, if anything.
    pub rebuilt: Option<String>,
    /// What was cut off the journal's end, if anything.
    pub torn: Option<String>,
}

/// What opening needs to know.
pub(crate) struct OpenSettings {
    pub segment_bytes: u64,
    pub cache_bytes: u64,
    pub id_beside: bool,
    pub headway: watch::Sender<Headway>,
    pub failpoint: Failpoint,
}

/// How far a start is that brings the queue after the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Headway {
    /// The entry that the queue has reached.
    pub reached: u64,
    /// The journal's last entry.
    pub last: u64,
}

/// Opens the store in a directory.
pub(crate) fn open(dir: &Path, settings: &OpenSettings) -> Result<OpenedStore, OpenError> {
    let home = if settings.id_beside { take_expected(dir)? } else { Home::take(dir)? };
    let fail = |what: &'static str, path: PathBuf| {
        move |source| OpenError::Directory { what, path, source }
    };
    sweep(&home.submissions()).map_err(fail("clean", home.submissions()))?;
    sweep_compaction(home.dir()).map_err(fail("clean", home.dir().to_owned()))?;
    let (journal, torn) =
        Journal::open(&home.journal(), settings.segment_bytes, settings.failpoint.clone())?;
    if let Some(torn) = &torn {
        tracing::warn!(torn, "the journal ended in the middle of a commit that nobody was told of");
    }
    if journal.first() > 1 {
        tracing::warn!(
            first = journal.first(),
            "the journal begins with a later entry: its older segments were taken away"
        );
    }
    if let Some(mark) = home.mark()? {
        witnessed(&journal, "the mark", mark)?;
    }
    let (suspect, building) = (note(&home.suspect())?, note(&home.building())?);
    let missing = journal.mark().seq > 0 && !home.queue().join("db").exists();
    let tried = match (suspect, &building) {
        (Some(reason), _) => Err(QueueRefusal::Damaged(reason)),
        (None, Some(reason)) if missing => Err(QueueRefusal::Damaged(reason.clone())),
        (None, None) if missing => Err(QueueRefusal::Damaged("the queue is missing".into())),
        // A queue that is half built stands at an entry, and goes on from there like any other.
        (None, _) => guarded(|| catch_up(&home, &journal, settings)),
    };
    let (queue, state, applied, rebuilt) = match tried {
        Ok((queue, state, applied)) => (queue, state, applied, building),
        Err(QueueRefusal::Open(error)) => return Err(error),
        Err(QueueRefusal::Damaged(reason)) => {
            rebuild(&home, &journal, settings, reason, building.is_some())?
        }
    };
    if rebuilt.is_some() {
        remove_note(&home.building())?;
    }
    Ok(OpenedStore { home, journal, queue, state, applied, rebuilt, torn })
}

/// What a small file says; `None` when it is not there.
fn note(path: &Path) -> Result<Option<String>, OpenError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Directory { what: "read", path: path.to_owned(), source }),
    }
}

fn remove_note(path: &Path) -> Result<(), OpenError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(OpenError::Directory { what: "remove", path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Takes the directory over if it holds the store that belongs there, and writes down that this one
/// does if none is known.
fn take_expected(dir: &Path) -> Result<Home, OpenError> {
    // What must not be worked on is told as that, and what is missing before a new store is begun
    // in its place.
    provenance::may_serve(dir)?;
    beside::expect(dir)?;
    let home = Home::take(dir)?;
    if beside::read(dir)?.is_none() {
        let path = beside::path(dir).unwrap_or_default();
        beside::write(dir, home.id()).map_err(|source| OpenError::Directory {
            what: "write",
            path,
            source,
        })?;
    }
    Ok(home)
}

/// Why the queue was not taken as it is.
pub(super) enum QueueRefusal {
    /// It must be rebuilt.
    Damaged(String),
    /// Nothing may be done.
    Open(OpenError),
}

impl From<OpenError> for QueueRefusal {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<QueueError> for QueueRefusal {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Damaged(reason) => Self::Damaged(reason),
            // What is shorter than it should be was cut, not refused.
            QueueError::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
                ) =>
            {
                Self::Damaged(error.to_string())
            }
            QueueError::Io(error) => Self::Open(OpenError::Queue(error)),
            error @ QueueError::Schema { .. } => {
                Self::Open(OpenError::QueueSchema(error.to_string()))
            }
        }
    }
}

/// sled panics on much damage instead of returning an error, and tallies that do not add up panic
/// in our own code.
pub(super) fn guarded<T>(
    work: impl FnOnce() -> Result<T, QueueRefusal>,
) -> Result<T, QueueRefusal> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(QueueRefusal::Damaged(panic_message(panic.as_ref()))))
}

/// Whether a journal that begins with `first` and ends with `found` still has what a witness has
/// seen.
pub(super) fn check_witness(
    reader: &Reader,
    (first, found): (u64, u64),
    witness: &'static str,
    seen: Mark,
) -> Result<(), OpenError> {
    if seen.seq > found {
        return Err(OpenError::Forgotten { witness, seen: seen.seq, found });
    }
    // Entry 0 stands for an empty journal; older segments may have been taken away.
    if seen.seq < first {
        return Ok(());
    }
    let digest = reader.digest_at(seen.seq).map_err(OpenError::Submission)?;
    if digest == Some(seen.head) {
        Ok(())
    } else {
        Err(OpenError::Forked { witness, seq: seen.seq })
    }
}

fn witnessed(journal: &Journal, witness: &'static str, seen: Mark) -> Result<(), OpenError> {
    check_witness(&journal.reader(), (journal.first(), journal.mark().seq), witness, seen)
}

type StoreParts = (Queue, StoreState, Applied);

fn catch_up(
    home: &Home,
    journal: &Journal,
    settings: &OpenSettings,
) -> Result<StoreParts, QueueRefusal> {
    let fresh = journal.mark().seq == 0;
    let queue = Queue::open(
        &home.queue(),
        settings.cache_bytes,
        home.id(),
        fresh,
        settings.failpoint.clone(),
    )?;
    let loaded = queue.load(home.id())?;
    witnessed(journal, "the queue", loaded.applied)?;
    let (mut state, mut applied) = (StoreState::default(), Applied::default());
    for (id, stored, progress) in loaded.rollouts {
        let new_rollout = new_rollout(&home.submissions(), id, stored.submission)?;
        state.restore(
            id,
            new_rollout.clone(),
            progress.clone(),
            stored.moved_at,
            stored.first,
            stored.last,
        );
        applied.restore(id, &new_rollout, stored, progress);
    }
    for (id, row) in loaded.rows {
        let Some(rollout) = state.rollout(id.rollout) else {
            return Err(QueueRefusal::Damaged(format!("the rollout of change {id} is missing")));
        };
        let target = rollout.frozen.targets.get(id.ordinal).map_err(OpenError::Submission)?;
        let row = super::row::StoredChange {
            target,
            record: row.record,
            due: row.due,
            moved_at: row.moved_at,
            entry: row.entry,
        };
        if !state.restore_row(id, row) {
            return Err(QueueRefusal::Damaged(format!(
                "the row of change {id} contradicts another one"
            )));
        }
    }
    for enforcement in loaded.enforcements {
        if state.rollout(enforcement.record.origin).is_none() {
            return Err(QueueRefusal::Damaged(format!(
                "the rollout of the enforcement of {} is missing",
                enforcement.name
            )));
        }
        state.enforced(enforcement.name, enforcement.record, enforcement.moved_at);
    }
    state.adds_up().map_err(QueueRefusal::Damaged)?;
    state.start_after(loaded.applied.seq);
    replay(home, journal, &queue, &mut state, &mut applied, settings)?;
    Ok((queue, state, applied))
}

/// Brings state and queue from where they are to the journal's end. Each chunk is synced, so that a
/// start that is killed is gone on with by the next.
fn replay(
    home: &Home,
    journal: &Journal,
    queue: &Queue,
    state: &mut StoreState,
    applied: &mut Applied,
    settings: &OpenSettings,
) -> Result<(), QueueRefusal> {
    let submissions = home.submissions();
    let after = state.seq();
    let mut records: Vec<PendingRecord> = Vec::new();
    let mut reached = Mark { seq: after, head: Digest::ZERO };
    let mut absorb = |records: &mut Vec<PendingRecord>, reached: Mark, state: &mut StoreState| {
        applied.absorb(records, queue, reached)?;
        queue.sync()?;
        pack_alone(queue, applied.take_closed())?;
        state.applied(reached.seq);
        records.clear();
        settings.headway.send_replace(Headway { reached: reached.seq, last: journal.mark().seq });
        Ok::<(), QueueError>(())
    };
    journal.replay(after, &mut |record, digest| {
        let whole = record.more == 0;
        reached = Mark { seq: record.entry.seq, head: digest };
        records.push(fold(&submissions, state, record)?);
        if whole && records.len() >= CHUNK {
            absorb(&mut records, reached, state)?;
        }
        Ok::<(), QueueRefusal>(())
    })?;
    if !records.is_empty() {
        absorb(&mut records, reached, state)?;
    }
    // Damage is reported now and not in the middle of a window. Which proxies they have is asked by
    // the next submission only.
    for id in state.unprinted() {
        let Some(rollout) = state.rollout(id) else { continue };
        rollout.frozen.targets.check().map_err(OpenError::Submission)?;
    }
    Ok(())
}

/// Folds a record into the state; submissions lie in the directory given.
pub(super) fn fold(
    submissions: &Path,
    state: &mut StoreState,
    record: JournalRecord,
) -> Result<PendingRecord, OpenError> {
    let entry = &record.entry;
    if let JournalEvent::Submitted { submission, .. } = &entry.what {
        let new_rollout = new_rollout(submissions, entry.rollout, *submission)?;
        state.submitted(entry.rollout, entry.seq, new_rollout.clone());
        return Ok(PendingRecord {
            record,
            learnt: None,
            new_rollout: Some(Box::new(new_rollout)),
        });
    }
    let learnt = state.fold(&record, None).map_err(OpenError::Submission)?;
    Ok(PendingRecord { record, learnt, new_rollout: None })
}

/// What the submission in this directory brings.
pub(super) fn new_rollout(
    submissions: &Path,
    id: RolloutId,
    submission: Digest,
) -> Result<NewRollout, OpenError> {
    let (stored, header) =
        StoredSubmission::open(submissions, submission).map_err(OpenError::Submission)?;
    if header.id != id {
        let what = format!("the submission {submission} is of the rollout {}, not {id}", header.id);
        return Err(OpenError::Submission(Unavailable(what)));
    }
    let by = Person { name: header.by, uid: header.uid, via: None };
    let frozen = FrozenRollout {
        plan: Arc::new(header.plan),
        targets: Arc::new(stored),
        by,
        submitted_at: header.at,
    };
    Ok(NewRollout { frozen, prints: None })
}

/// Rebuilds the queue from the journal; `half`: what lies there was half built, and is in the way.
///
/// In this order a kill at any instant leaves what the next start goes on with: the damaged queue,
/// none, or the half of a new one beside the file that says so. Only what was damaged is kept, and
/// only the latest.
fn rebuild(
    home: &Home,
    journal: &Journal,
    settings: &OpenSettings,
    reason: String,
    half: bool,
) -> Result<(Queue, StoreState, Applied, Option<String>), OpenError> {
    if journal.first() > 1 {
        return Err(OpenError::Incomplete { reason, first: journal.first() });
    }
    let fail = |source| OpenError::Directory {
        what: "set aside the queue in",
        path: home.dir().to_owned(),
        source,
    };
    let notice = if half {
        home.remove_queue().map_err(fail)?;
        reason
    } else {
        let aside = home.set_queue_aside(journal.mark().seq).map_err(fail)?;
        let place = aside.map_or_else(|| "nothing".to_owned(), |path| path.display().to_string());
        format!("{reason}; the damaged queue was kept as {place}")
    };
    home.write_building(&notice).map_err(fail)?;
    remove_note(&home.suspect())?;
    tracing::error!(
        reason = notice,
        entries = journal.mark().seq,
        "the queue is damaged and is built anew from the journal"
    );
    let (mut state, mut applied) = (StoreState::default(), Applied::default());
    let built = guarded(|| {
        let queue = Queue::open(
            &home.queue(),
            settings.cache_bytes,
            home.id(),
            true,
            settings.failpoint.clone(),
        )?;
        replay(home, journal, &queue, &mut state, &mut applied, settings)?;
        Ok(queue)
    });
    let queue = built.map_err(|refused| match refused {
        QueueRefusal::Open(error) => error,
        QueueRefusal::Damaged(reason) => OpenError::Queue(io::Error::other(format!(
            "it was built anew and is damaged again: {reason}"
        ))),
    })?;
    Ok((queue, state, applied, Some(notice)))
}
