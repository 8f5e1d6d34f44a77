//! What is read of the tables: rows, pages, the journal.
//!
//! Invariants: each read first folds all that was committed when it was asked, and what it shows
//! survives the server's end; a row is read with the line that it points at, and that line against
//! its digest; a page's rows end where its rollout's cursor does.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use tokio_postgres::types::{ToSql, Type};

use super::client::DatabaseClient;
use super::fault::DatabaseFault;
use super::index::{place_of, standing_number};
use super::load::stored;
use super::shared::PostgresShared;
use super::tail::{line_of, lines_of, seq_of};
use crate::domain::change::{self, Change};
use crate::domain::id::{ChangeId, InstanceId, JobId, RolloutId};
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::plan::Plan;
use crate::domain::rollout;
use crate::store::bins::{self, Activity, ActivityQuery, BINS_MAX, BinCounts, PAUSES_MAX};
use crate::store::check::SettledRows;
use crate::store::instances::JOBS_KEPT;
use crate::store::page::{PASSED_MAX, PageQuery, ShownRollout, page};
use crate::store::pending::FrozenRollout;
use crate::store::record::Mark;
use crate::store::replica::Replica;
use crate::store::row::{StoredChange, change as whole_change, standing_of};
use crate::store::state::ChangePlace;
use crate::store::{Active, ChangeStory, Page, Unavailable};

/// How often a change is looked for again that moved between two looks.
const LOOKS_MAX: usize = 8;

/// Rows or lines of one read at most: what an answer takes of memory.
const CHUNK: usize = 4_096;

/// The columns of a row's line, and the order that lists have.
const ROWS: &str = "SELECT c.ordinal, j.seq, j.line, j.digest FROM @.changes c \
    JOIN @.journal j USING (seq) WHERE c.rollout = $1";

/// A rollout as its tables name it.
struct NamedRollout {
    first: i64,
    frozen: FrozenRollout,
}

impl PostgresShared {
    async fn named(&self, id: RolloutId) -> Option<NamedRollout> {
        let replica = self.replica.lock().await;
        let rollout = replica.state.rollout(id)?;
        Some(NamedRollout { first: seq_of(rollout.first_seq), frozen: rollout.frozen.clone() })
    }

    async fn ask(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<tokio_postgres::Row>, Unavailable> {
        self.query(&self.options.schema.sql(sql), parameters).await
    }

    fn row(
        &self,
        id: RolloutId,
        frozen: &FrozenRollout,
        row: &tokio_postgres::Row,
    ) -> Result<(u32, StoredChange), Unavailable> {
        let ordinal = u32::try_from(row.get::<_, i32>(0)).unwrap_or_default();
        let line = line_of(row, 1).read_alone().map_err(|error| Unavailable(error.to_string()))?;
        let found = stored(line.0, frozen.targets.get(ordinal)?);
        let change = ChangeId { rollout: id, ordinal };
        let missing = || Unavailable(format!("the row of change {change} points at another line"));
        Ok((ordinal, found.ok_or_else(missing)?))
    }

    /// Settled changes that a batch wants, read in its transaction. The outer error is final.
    pub(super) async fn settled_rows(
        &self,
        connected: &DatabaseClient,
        replica: &Replica,
        wanted: BTreeSet<ChangeId>,
    ) -> Result<Result<SettledRows, DatabaseFault>, Unavailable> {
        let known = |id: &ChangeId| Some((*id, replica.state.rollout(id.rollout)?));
        let wanted: Vec<_> = wanted.iter().filter_map(known).collect();
        let firsts: Vec<i64> = wanted.iter().map(|(_, of)| seq_of(of.first_seq)).collect();
        let ordinals: Vec<i32> = wanted.iter().map(|(id, _)| place_of(id.ordinal)).collect();
        let sql = self.options.schema.sql(
            "SELECT c.ordinal, j.seq, j.line, j.digest, c.rollout FROM unnest($1, $2) w (r, o) \
             JOIN @.changes c ON c.rollout = w.r AND c.ordinal = w.o JOIN @.journal j USING (seq)",
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&firsts, Type::INT8_ARRAY), (&ordinals, Type::INT4_ARRAY)];
        let asked = connected.client.query_typed(&sql, &parameters);
        let rows = match connected.ask(asked).await {
            Ok(rows) => rows,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut settled = SettledRows::new();
        for row in &rows {
            let first = row.get::<_, i64>(4);
            let of = wanted.iter().find(|(_, of)| seq_of(of.first_seq) == first);
            let Some((ChangeId { rollout, .. }, of)) = of else { continue };
            let (ordinal, found) = self.row(*rollout, &of.frozen, row)?;
            settled.insert(ChangeId { rollout: *rollout, ordinal }, found);
        }
        Ok(Ok(settled))
    }

    /// One change, folded or settled.
    pub(super) async fn change_now(&self, id: ChangeId) -> Result<Option<Active>, Unavailable> {
        self.catch_up().await?;
        for _ in 0..LOOKS_MAX {
            let (first, frozen) = {
                let replica = self.replica.lock().await;
                match replica.state.place_of(id)? {
                    ChangePlace::Nowhere => return Ok(None),
                    ChangePlace::Here(active) => return Ok(Some(*active)),
                    ChangePlace::Settled(of) => (seq_of(of.first_seq), of.frozen.clone()),
                }
            };
            let sql = format!("{ROWS} AND c.ordinal = $2");
            let ordinal = place_of(id.ordinal);
            let rows = self.ask(&sql, &[(&first, Type::INT8), (&ordinal, Type::INT4)]).await?;
            if let Some(row) = rows.first() {
                let (_, row) = self.row(id.rollout, &frozen, row)?;
                if crate::store::row::is_settled(row.standing()) {
                    return Ok(Some(row.active(id, &frozen.plan)));
                }
            }
            // Not settled any more, then: a retry has put it back between the two looks.
            self.catch_up().await?;
        }
        Err(Unavailable(format!("the row of change {id} is missing")))
    }

    pub(super) async fn known_jobs_now(
        &self,
        instance: &InstanceId,
    ) -> Result<Vec<JobId>, Unavailable> {
        let sql = "SELECT job FROM @.jobs WHERE instance = $1 ORDER BY seq DESC LIMIT $2";
        let (instance, most) = (instance.as_str(), JOBS_KEPT as i64);
        let rows = self.ask(sql, &[(&instance, Type::TEXT), (&most, Type::INT8)]).await?;
        let jobs = rows.iter().rev().map(|row| {
            let job: String = row.get(0);
            job.parse().map_err(|_| Unavailable(format!("the saved job id {job} is none")))
        });
        jobs.collect()
    }

    pub(super) async fn stored_now(
        &self,
        id: RolloutId,
        words: &'static [&'static str],
        places: Range<u32>,
        limit: usize,
    ) -> Result<Vec<Change>, Unavailable> {
        self.catch_up().await?;
        let Some(NamedRollout { first, frozen }) = self.named(id).await else {
            return Ok(Vec::new());
        };
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let found = self.rows(id, first, &frozen, &words, places, limit).await?;
        let whole = |(ordinal, row): (u32, StoredChange)| {
            whole_change(ChangeId { rollout: id, ordinal }, row.target, row.record, &frozen.plan)
        };
        Ok(found.into_iter().map(whole).collect())
    }

    /// Rows in these states, all of them where none is named, in the list's order.
    async fn rows(
        &self,
        id: RolloutId,
        first: i64,
        frozen: &FrozenRollout,
        words: &[String],
        mut places: Range<u32>,
        limit: usize,
    ) -> Result<Vec<(u32, StoredChange)>, Unavailable> {
        let mut standings: Vec<i16> =
            words.iter().filter_map(|word| standing_of(word)).map(standing_number).collect();
        standings.dedup();
        let mut found = Vec::new();
        while found.len() < limit && !places.is_empty() {
            let (from, to) = (place_of(places.start), place_of(places.end));
            let most = (limit - found.len()).min(CHUNK);
            let limit = most as i64;
            let among = "c.ordinal >= $2 AND c.ordinal < $3";
            let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
                (&first, Type::INT8),
                (&from, Type::INT4),
                (&to, Type::INT4),
                (&limit, Type::INT8),
            ];
            let states = if words.is_empty() {
                ""
            } else {
                parameters.push((&standings, Type::INT2_ARRAY));
                parameters.push((&words, Type::TEXT_ARRAY));
                "AND c.standing = ANY($5) AND c.state = ANY($6)"
            };
            let sql = format!("{ROWS} AND {among} {states} ORDER BY c.ordinal LIMIT $4");
            let rows = self.ask(&sql, &parameters).await?;
            for row in &rows {
                found.push(self.row(id, frozen, row)?);
            }
            if rows.len() < most {
                break;
            }
            places.start = found.last().map_or(places.end, |(ordinal, _)| ordinal + 1);
        }
        Ok(found)
    }

    pub(super) async fn page_now(&self, query: PageQuery) -> Result<Page, Unavailable> {
        self.catch_up().await?;
        self.settled_up().await?;
        let Some(NamedRollout { first, frozen }) = self.named(query.id).await else {
            return Ok(Page::default());
        };
        let sql = "SELECT seq, line, digest FROM @.journal WHERE rollout = $1 AND kind < 2 \
             ORDER BY seq DESC LIMIT 1";
        let header = self.ask(sql, &[(&first, Type::INT8)]).await?;
        let record = match header.first().map(|row| line_of(row, 0).read_alone()) {
            Some(Ok((line, _))) => match line.entry.what {
                JournalEvent::Rollout { record, .. } => record,
                _ => rollout::Record::submitted(),
            },
            Some(Err(error)) => return Err(Unavailable(error.to_string())),
            None => return Err(Unavailable(format!("the rollout {} has no entry", query.id))),
        };
        let untouched = change::Record {
            state: if record.is_withdrawn() {
                change::State::Cancelled
            } else {
                change::State::Queued
            },
            ..change::Record::queued()
        };
        let plan: &Plan = &frozen.plan;
        let shown = ShownRollout {
            plan,
            targets: frozen.targets.as_ref(),
            cursor: record.cursor,
            untouched,
        };
        let places = query.places(plan);
        let places = places.start..places.end.min(record.cursor);
        let rows = self.rows_of_page(&query, first, &frozen, places.clone()).await?;
        if query.filter.takes_all()
            && let Some(((ordinal, _), _)) =
                rows.iter().zip(places.clone()).find(|((found, _), wanted)| found != wanted)
        {
            let id = ChangeId { rollout: query.id, ordinal: *ordinal };
            return Err(Unavailable(format!("the row before that of change {id} is missing")));
        }
        page(&query, &shown, rows.into_iter().map(Ok))
    }

    /// As many rows as the page may need: all that fit up to one more than it holds, and what is
    /// passed over on the way.
    async fn rows_of_page(
        &self,
        query: &PageQuery,
        first: i64,
        frozen: &FrozenRollout,
        mut places: Range<u32>,
    ) -> Result<Vec<(u32, StoredChange)>, Unavailable> {
        let (words, wanted) = (&query.filter.words, query.limit.saturating_add(1));
        let by_target = query.filter.lane.is_some() || query.filter.begins.is_some();
        let mut rows = Vec::new();
        let mut fit = 0;
        loop {
            let most = if by_target { CHUNK } else { wanted };
            let more = self.rows(query.id, first, frozen, words, places.clone(), most).await?;
            let ended = more.len() < most;
            places.start = more.last().map_or(places.end, |(ordinal, _)| ordinal + 1);
            fit += more.iter().filter(|(_, row)| query.fits(&row.target)).count();
            rows.extend(more);
            let passed = rows.len() - fit > PASSED_MAX as usize;
            if ended || fit >= wanted || passed || places.is_empty() {
                return Ok(rows);
            }
        }
    }

    pub(super) async fn journal_now(
        &self,
        rollout: Option<RolloutId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable> {
        self.catch_up().await?;
        self.settled_up().await?;
        let of = match rollout {
            None => None,
            Some(id) => match self.named(id).await {
                Some(named) => Some(named.first),
                None => return Ok(Vec::new()),
            },
        };
        let (mut entries, mut after) = (Vec::new(), after);
        let mut before: Option<Mark> = None;
        while entries.len() < limit {
            let most = (limit - entries.len()).min(CHUNK);
            let (from, limit) = (seq_of(after), most as i64);
            let rows = match of {
                None => {
                    let sql = "SELECT seq, line, digest FROM @.journal WHERE seq > $1 \
                         ORDER BY seq LIMIT $2";
                    self.ask(sql, &[(&from, Type::INT8), (&limit, Type::INT8)]).await?
                }
                Some(first) => {
                    let sql = "SELECT seq, line, digest FROM @.journal \
                         WHERE rollout = $3 AND seq > $1 ORDER BY seq LIMIT $2";
                    let of = [(&from as &(dyn ToSql + Sync), Type::INT8), (&limit, Type::INT8)];
                    self.ask(sql, &[of[0].clone(), of[1].clone(), (&first, Type::INT8)]).await?
                }
            };
            for line in lines_of(&rows, 0) {
                // The entries of one rollout are not neighbours.
                let read = match (of, before) {
                    (None, Some(before)) => line.read(before),
                    _ => line.read_alone().map(|(record, _)| record),
                };
                before = Some(line.mark());
                after = line.seq;
                entries.push(read.map_err(|error| Unavailable(error.to_string()))?.entry);
            }
            if rows.len() < most {
                break;
            }
        }
        Ok(entries)
    }

    pub(super) async fn story_now(
        &self,
        id: ChangeId,
        from: Option<u64>,
        limit: usize,
    ) -> Result<ChangeStory, Unavailable> {
        let Some(Active { entry, .. }) = self.change_now(id).await? else {
            return Ok(ChangeStory::default());
        };
        self.settled_up().await?;
        let mut story = ChangeStory { earlier: from.or(entry), ..ChangeStory::default() };
        while let Some(seq) = story.earlier
            && story.entries.len() < limit
        {
            let sql = "SELECT seq, line, digest FROM @.journal WHERE seq = $1";
            let rows = self.ask(sql, &[(&seq_of(seq), Type::INT8)]).await?;
            let Some(row) = rows.first() else { break };
            let line = line_of(row, 0).read_alone();
            let entry = line.map_err(|error| Unavailable(error.to_string()))?.0.entry;
            let JournalEvent::Change { ordinal, earlier, .. } = &entry.what else { break };
            if entry.rollout != id.rollout || *ordinal != id.ordinal {
                break;
            }
            story.earlier = *earlier;
            story.entries.push(entry);
        }
        Ok(story)
    }

    pub(super) async fn activity_now(&self, query: ActivityQuery) -> Result<Activity, Unavailable> {
        self.catch_up().await?;
        self.settled_up().await?;
        let Some(NamedRollout { first, .. }) = self.named(query.id).await else {
            return Ok(Activity::default());
        };
        let numbers = query.bins();
        let (from, to) = (i64::from(*numbers.start()), i64::from(*numbers.end()));
        let most = BINS_MAX as i64;
        let sql = "SELECT bin, wave, succeeded, failed, in_doubt, cancelled, reverted, skipped, \
             calls, refused FROM @.bins WHERE rollout = $1 AND bin >= $2 AND bin <= $3 \
             ORDER BY bin DESC, wave DESC LIMIT $4";
        let rows = self
            .ask(
                sql,
                &[
                    (&first, Type::INT8),
                    (&from, Type::INT8),
                    (&to, Type::INT8),
                    (&most, Type::INT8),
                ],
            )
            .await?;
        let counted = rows.iter().map(|row| {
            let count = |at: usize| u32::try_from(row.get::<_, i32>(at)).unwrap_or_default();
            let counts = BinCounts {
                succeeded: count(2),
                failed: count(3),
                in_doubt: count(4),
                cancelled: count(5),
                reverted: count(6),
                skipped: count(7),
                calls: count(8),
                refused: count(9),
            };
            let number = u32::try_from(row.get::<_, i64>(0)).unwrap_or_default();
            bins::bin(number, u16::try_from(row.get::<_, i32>(1)).unwrap_or_default(), counts)
        });
        let counted = counted.collect();
        let (to, most) = (query.to.as_millisecond(), PAUSES_MAX as i64);
        let sql = "SELECT began, ended FROM @.pauses WHERE rollout = $1 AND began <= $2 \
             ORDER BY began DESC LIMIT $3";
        let pauses =
            self.ask(sql, &[(&first, Type::INT8), (&to, Type::INT8), (&most, Type::INT8)]).await?;
        let pauses = pauses.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok(bins::activity(None, counted, pauses, query))
    }

    /// A rollout's frozen targets.
    pub(super) async fn targets_now(
        &self,
        id: RolloutId,
    ) -> Result<Option<Vec<crate::domain::target::Target>>, Unavailable> {
        self.catch_up().await?;
        let Some(NamedRollout { frozen, .. }) = self.named(id).await else { return Ok(None) };
        let targets = Arc::clone(&frozen.targets);
        let read = tokio::task::spawn_blocking(move || {
            let list = crate::store::targets::all(targets.as_ref());
            targets.rest();
            list
        });
        let read = read.await.map_err(|error| Unavailable(error.to_string()))?;
        read.map(Some)
    }
}
