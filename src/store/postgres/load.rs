//! The state as the tables have it, in one snapshot: at the start, and when steps that were not
//! durable are gone.
//!
//! Invariant: what is loaded is what a fold of the journal up to the snapshot's last line gives, and
//! a store whose tables do not add up is not worked on.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::client::DatabaseClient;
use super::fault::DatabaseFault;
use super::index::{place_of, standing_number, standing_of};
use super::shared::PostgresShared;
use super::tail::line_of;
use crate::domain::id::{ChangeId, Digest, RolloutId};
use crate::domain::journal::JournalEvent;
use crate::domain::plan::Plan;
use crate::domain::rollout;
use crate::domain::tally::Standing;
use crate::store::Unavailable;
use crate::store::pending::NewRollout;
use crate::store::progress::Progress;
use crate::store::record::{JournalRecord, Mark};
use crate::store::row::StoredChange;
use crate::store::state::StoreState;

/// What a snapshot holds.
pub(super) type Loaded = Result<(StoreState, Mark), DatabaseFault>;

/// Reads the tables. The outer error is final.
pub(super) async fn load(
    connected: &DatabaseClient,
    shared: &PostgresShared,
) -> Result<Loaded, Unavailable> {
    let loading = SnapshotReader { connected, shared };
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    if let Err(fault) = connected.ask(connected.client.batch_execute(begin)).await {
        return Ok(Err(fault));
    }
    let loaded = loading.load().await;
    // It has read only: whether it ends well is nobody's concern.
    let _ = connected.ask(connected.client.batch_execute("COMMIT")).await;
    match loaded {
        Ok(loaded) => Ok(Ok(loaded)),
        Err(LoadError::DatabaseFault(fault)) => Ok(Err(fault)),
        Err(LoadError::Unavailable(error)) => Err(error),
    }
}

enum LoadError {
    DatabaseFault(DatabaseFault),
    Unavailable(Unavailable),
}

impl From<DatabaseFault> for LoadError {
    fn from(fault: DatabaseFault) -> Self {
        Self::DatabaseFault(fault)
    }
}

impl From<Unavailable> for LoadError {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

fn damaged(what: impl std::fmt::Display) -> LoadError {
    LoadError::Unavailable(Unavailable(format!(
        "the database's tables do not fit its journal: {what}"
    )))
}

struct SnapshotReader<'a> {
    connected: &'a DatabaseClient,
    shared: &'a PostgresShared,
}

impl SnapshotReader<'_> {
    async fn ask(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, DatabaseFault> {
        let sql = self.shared.options.schema.sql(sql);
        self.connected.ask(self.connected.client.query_typed(&sql, parameters)).await
    }

    async fn load(&self) -> Result<(StoreState, Mark), LoadError> {
        let last = "SELECT seq, line, digest FROM @.journal ORDER BY seq DESC LIMIT 1";
        let head = self.ask(last, &[]).await?;
        let head = head.first().map_or(Mark::BEGIN, |row| line_of(row, 0).mark());
        let mut state = StoreState::default();
        let rollouts = "SELECT r.first, r.id, r.submission, \
             (SELECT max(seq) FROM @.journal l WHERE l.rollout = r.first), h.seq, h.line, h.digest \
             FROM @.rollouts r CROSS JOIN LATERAL (SELECT seq, line, digest FROM @.journal j \
             WHERE j.rollout = r.first AND j.kind < 2 ORDER BY seq DESC LIMIT 1) h ORDER BY r.first";
        let rows = self.ask(rollouts, &[]).await?;
        let digests: Vec<Digest> = rows.iter().filter_map(|row| digest_of(row.get(2))).collect();
        let submissions = self.shared.fetch(&digests).await?;
        let mut firsts = BTreeMap::new();
        for row in &rows {
            let first = row.get::<_, i64>(0);
            firsts.insert(first, self.rollout(&mut state, row, &submissions).await?);
        }
        for (first, id) in &firsts {
            let open = state.rollout(*id).is_some_and(|rollout| rollout.progress.is_open());
            if open {
                self.rows(&mut state, *first, *id).await?;
            }
        }
        let enforcements = "SELECT j.seq, j.line, j.digest FROM @.enforcements e \
             JOIN @.journal j USING (seq) ORDER BY e.name";
        for row in &self.ask(enforcements, &[]).await? {
            let record = read(row, 0)?;
            let JournalEvent::Enforcement { name, record: enforced, .. } = record.entry.what else {
                return Err(damaged(format_args!("entry {} is no enforcement", record.entry.seq)));
            };
            state.enforced(name, *enforced, record.entry.at);
        }
        state.start_after(head.seq);
        state.adds_up().map_err(damaged)?;
        Ok((state, head))
    }

    async fn rollout(
        &self,
        state: &mut StoreState,
        row: &Row,
        submissions: &BTreeMap<Digest, NewRollout>,
    ) -> Result<RolloutId, LoadError> {
        let first = row.get::<_, i64>(0);
        let header = read(row, 4)?;
        let id = header.entry.rollout;
        let new = digest_of(row.get(2)).and_then(|digest| submissions.get(&digest));
        let Some(new) = new.cloned() else {
            return Err(damaged(format_args!("the rollout {id} has no submission")));
        };
        let record = match header.entry.what {
            JournalEvent::Rollout { record, .. } => record,
            JournalEvent::Submitted { .. } => rollout::Record::submitted(),
            JournalEvent::Change { .. } | JournalEvent::Enforcement { .. } => {
                return Err(damaged(format_args!("entry {} is no rollout", header.entry.seq)));
            }
        };
        let progress = self.progress(first, record, &new.frozen.plan).await?;
        let seq = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or_default();
        let new = if progress.is_open() { new } else { NewRollout { prints: None, ..new } };
        state.restore(id, new, progress, header.entry.at, seq(0), seq(3));
        Ok(id)
    }

    /// A rollout's record with its tallies, counted from its rows.
    async fn progress(
        &self,
        first: i64,
        record: rollout::Record,
        plan: &Plan,
    ) -> Result<Progress, LoadError> {
        let begins: Vec<i32> =
            plan.strategy.waves.iter().map(|wave| place_of(wave.first)).collect();
        let counts = "SELECT width_bucket(ordinal, $2), standing, count(*) FROM @.changes \
             WHERE rollout = $1 GROUP BY 1, 2";
        let counts = self.ask(counts, &[(&first, Type::INT8), (&begins, Type::INT4_ARRAY)]).await?;
        let mut progress = Progress::submitted(plan);
        for row in &counts {
            let wave = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default();
            let standing = standing_of(row.get(1));
            let count = u32::try_from(row.get::<_, i64>(2)).unwrap_or(u32::MAX);
            let tally = wave.checked_sub(1).and_then(|wave| progress.tallies.get_mut(wave));
            let (Some(tally), Some(standing)) = (tally, standing) else {
                return Err(damaged(format_args!("rows of entry {first} are of no wave")));
            };
            if tally.queued < count {
                return Err(damaged(format_args!("entry {first} has more rows than targets")));
            }
            tally.shift(Standing::Queued, standing, count);
        }
        if record.is_withdrawn() {
            for (wave, tally) in plan.strategy.waves.iter().zip(&mut progress.tallies) {
                let untouched = wave.end().saturating_sub(record.cursor.max(wave.first));
                if tally.queued < untouched {
                    return Err(damaged(format_args!("entry {first} has rows behind its cursor")));
                }
                tally.shift(Standing::Queued, Standing::Cancelled, untouched);
            }
        }
        progress.record = record;
        Ok(progress)
    }

    /// Active and explicitly queued changes of an open rollout.
    async fn rows(
        &self,
        state: &mut StoreState,
        first: i64,
        id: RolloutId,
    ) -> Result<(), LoadError> {
        let standings = [Standing::Queued, Standing::Active].map(standing_number).to_vec();
        let rows = "SELECT c.ordinal, j.seq, j.line, j.digest FROM @.changes c \
             JOIN @.journal j USING (seq) WHERE c.rollout = $1 AND c.standing = ANY($2)";
        let rows = self.ask(rows, &[(&first, Type::INT8), (&standings, Type::INT2_ARRAY)]).await?;
        for row in &rows {
            let Some(rollout) = state.rollout(id) else { continue };
            let ordinal = u32::try_from(row.get::<_, i32>(0)).unwrap_or_default();
            let target = rollout.frozen.targets.get(ordinal)?;
            let change = ChangeId { rollout: id, ordinal };
            let stored = stored(read(row, 1)?, target)
                .ok_or_else(|| damaged(format_args!("the row of change {change} is of another")))?;
            if !state.restore_row(change, stored) {
                return Err(damaged(format_args!(
                    "the row of change {change} contradicts another one"
                )));
            }
        }
        Ok(())
    }
}

fn digest_of(bytes: &[u8]) -> Option<Digest> {
    bytes.try_into().ok().map(Digest::from_bytes)
}

fn read(row: &Row, first: usize) -> Result<JournalRecord, LoadError> {
    let line = line_of(row, first);
    Ok(line.read_alone().map_err(|error| Unavailable(error.to_string()))?.0)
}

/// The row of a change whose last move this line is.
pub(super) fn stored(
    line: JournalRecord,
    target: crate::domain::target::Target,
) -> Option<StoredChange> {
    let JournalRecord { entry, due, .. } = line;
    let JournalEvent::Change { record, proxy_id, .. } = entry.what else { return None };
    let row = StoredChange { target, record, due, moved_at: entry.at, entry: Some(entry.seq) };
    (row.target.proxy_id == proxy_id).then_some(row)
}
