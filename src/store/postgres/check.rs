//! `store check` over PostgreSQL: all that is wrong with a store there, each with its place and what
//! to do.
//!
//! Invariants: nothing is changed; all of it is read in one snapshot, so daemons may go on meanwhile;
//! every line is held against its digest and the line before it, and the rows that an index is made
//! of against what the lines say.
//!
//! Deliberately not here: job ids and counts (`jobs`, `bins`, `pauses`), which a daemon may count
//! anew.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::client::DatabaseClient;
use super::index::{kind, place_of, standing_number};
use super::options::PostgresOptions;
use super::refusal::OpenRefused;
use super::schema;
use super::seen::seen;
use super::tail::{line_of, seq_of};
use crate::domain::id::{Digest, RolloutId};
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::tally::Standing;
use crate::store::maintenance::finding::{Finding, FindingSeverity, Findings};
use crate::store::record::Mark;
use crate::store::replica::{Presence, SharedLine};

/// Rows of one page.
const PAGE: i64 = 4_096;

const RESTORE: &str =
    "restore the database from its last sound copy, or promote a standby that has the right entry";

const INDEX: &str = "the rows are an index of the journal and the journal is the truth: restore the \
                     database from its last sound copy; stop the daemons until then";

/// What a check of a database found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatabaseReport {
    /// Whether nothing is damaged.
    pub sound: bool,
    /// The store's own id.
    pub store: String,
    /// Entries of the journal.
    pub entries: u64,
    /// The last entry.
    pub seq: u64,
    pub head: Digest,
    pub rollouts: u64,
    pub submissions: u64,
    /// Rows of changes that were held against the journal.
    pub rows: u64,
    /// All that was found.
    pub findings: Vec<Finding>,
}

/// The row of a change, as the journal says that it is.
#[derive(Debug, PartialEq, Eq)]
struct IndexedChange {
    seq: i64,
    standing: i16,
    state: String,
    instance: String,
}

/// The row of a rollout, likewise.
#[derive(Debug, PartialEq, Eq)]
struct IndexedRollout {
    id: Vec<u8>,
    name: String,
    revision: i64,
    submission: Vec<u8>,
}

/// Checks the store that these options name.
pub async fn check(options: &PostgresOptions) -> Result<DatabaseReport, OpenRefused> {
    let connected = DatabaseClient::open(options).await?;
    let store = schema::look(&connected, options).await?;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let begun = connected.client.batch_execute(begin).await;
    begun.map_err(|error| OpenRefused::of_query(options, &error))?;
    let mut checker = DatabaseChecker {
        connected: &connected,
        options,
        findings: Findings::default(),
        head: Mark::BEGIN,
        entries: 0,
        firsts: BTreeMap::new(),
        rollouts: BTreeMap::new(),
        changes: BTreeMap::new(),
        enforcements: BTreeMap::new(),
    };
    checker.journal().await?;
    if let Some((id, mark)) = seen(options)?
        && id == store
    {
        checker.witness(mark).await?;
    }
    let submissions = checker.submissions().await?;
    let rollouts = checker.rollout_rows().await?;
    let rows = checker.change_rows().await?;
    checker.enforcement_rows().await?;
    let DatabaseChecker { findings, head, entries, .. } = checker;
    let findings = findings.into_list(&options.schema.sql("@.journal"));
    let sound = findings.iter().all(|finding| finding.severity == FindingSeverity::Note);
    let Mark { seq, head } = head;
    Ok(DatabaseReport { sound, store, entries, seq, head, rollouts, submissions, rows, findings })
}

struct DatabaseChecker<'c> {
    connected: &'c DatabaseClient,
    options: &'c PostgresOptions,
    findings: Findings,
    head: Mark,
    entries: u64,
    /// The entry of each rollout's submission, which is its number in the tables.
    firsts: BTreeMap<RolloutId, i64>,
    rollouts: BTreeMap<i64, IndexedRollout>,
    changes: BTreeMap<(i64, i32), IndexedChange>,
    enforcements: BTreeMap<String, i64>,
}

impl DatabaseChecker<'_> {
    async fn ask(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, OpenRefused> {
        let sql = self.options.schema.sql(sql);
        let rows = self.connected.client.query_typed(&sql, parameters).await;
        rows.map_err(|error| OpenRefused::of_query(self.options, &error))
    }

    fn damage(&mut self, place: impl std::fmt::Display, what: impl Into<String>, remedy: &str) {
        let place = format!("{}.{place}", self.options.schema.as_str());
        self.findings.damage(place, what, remedy);
    }

    async fn journal(&mut self) -> Result<(), OpenRefused> {
        let page = "SELECT seq, line, digest, rollout, kind FROM @.journal WHERE seq > $1 \
                    ORDER BY seq LIMIT $2";
        loop {
            let after = seq_of(self.head.seq);
            let rows = self.ask(page, &[(&after, Type::INT8), (&PAGE, Type::INT8)]).await?;
            for row in &rows {
                self.line(&line_of(row, 0), row.get(3), row.get(4));
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    fn line(&mut self, line: &SharedLine, rollout: i64, found_kind: i16) {
        self.entries += 1;
        let before = std::mem::replace(&mut self.head, line.mark());
        let place = format!("journal, entry {}", line.seq);
        let entry = match line.read(before) {
            Ok(record) => record.entry,
            Err(broken) => {
                self.damage(&place, broken.what, RESTORE);
                // What it says may be sound although its place in the chain is not.
                let Ok((record, _)) = line.read_alone() else { return };
                record.entry
            }
        };
        self.expect(&entry);
        let right = self.firsts.get(&entry.rollout);
        if kind(&entry.what) != found_kind || right.is_some_and(|first| *first != rollout) {
            self.damage(
                place,
                "its columns `rollout` and `kind` are not what the line says",
                INDEX,
            );
        }
    }

    /// Notes the rows that an entry makes.
    fn expect(&mut self, entry: &Entry) {
        let seq = seq_of(entry.seq);
        match &entry.what {
            JournalEvent::Submitted { name, revision, submission, .. } => {
                self.firsts.insert(entry.rollout, seq);
                let row = IndexedRollout {
                    id: entry.rollout.as_bytes().to_vec(),
                    name: name.as_str().to_owned(),
                    revision: i64::from(*revision),
                    submission: submission.as_bytes().to_vec(),
                };
                self.rollouts.insert(seq, row);
            }
            JournalEvent::Change { ordinal, instance_id, record, .. } => {
                let Some(first) = self.firsts.get(&entry.rollout) else { return };
                let row = IndexedChange {
                    seq,
                    standing: standing_number(Standing::of(&record.state)),
                    state: record.state.as_str().to_owned(),
                    instance: instance_id.as_str().to_owned(),
                };
                self.changes.insert((*first, place_of(*ordinal)), row);
            }
            JournalEvent::Enforcement { name, .. } => {
                self.enforcements.insert(name.as_str().to_owned(), seq);
            }
            JournalEvent::Rollout { .. } => {}
        }
    }

    /// Holds what this daemon has seen against the journal.
    async fn witness(&mut self, seen: Mark) -> Result<(), OpenRefused> {
        let sql = "SELECT seq, line, digest FROM @.journal \
                   WHERE seq = LEAST($1, (SELECT max(seq) FROM @.journal))";
        let rows = self.ask(sql, &[(&seq_of(seen.seq), Type::INT8)]).await?;
        let found = rows.first().map(|row| line_of(row, 0));
        match seen.presence(found.as_ref()) {
            Presence::There => {}
            Presence::Forgotten { ends } => {
                let what = format!(
                    "ends with entry {ends}, but this daemon has seen entry {}: acknowledged entries are missing",
                    seen.seq
                );
                self.damage("journal", what, RESTORE);
            }
            Presence::Replaced => {
                let what = format!("entry {} is not the one that this daemon has seen", seen.seq);
                self.damage("journal", what, RESTORE);
            }
        }
        Ok(())
    }

    /// Reads all that was submitted; says how many there are.
    async fn submissions(&mut self) -> Result<u64, OpenRefused> {
        let mut wanted: Vec<Vec<u8>> =
            self.rollouts.values().map(|row| row.submission.clone()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        for digest in &wanted {
            let sql = "SELECT content FROM @.blocks WHERE digest = $1 AND block = $2";
            let mut hash = Sha256::new();
            for block in 0_i32.. {
                let rows = self.ask(sql, &[(digest, Type::BYTEA), (&block, Type::INT4)]).await?;
                let Some(row) = rows.first() else { break };
                hash.update(row.get::<_, &[u8]>(0));
            }
            let named = <[u8; 32]>::try_from(digest.as_slice()).unwrap_or_default();
            let (found, named) =
                (Digest::from_bytes(hash.finalize().into()), Digest::from_bytes(named));
            if found != named {
                let what = format!("its blocks have the digest {found}, or some are missing");
                self.damage(format_args!("submissions, {named}"), what, RESTORE);
            }
        }
        Ok(wanted.len() as u64)
    }

    async fn rollout_rows(&mut self) -> Result<u64, OpenRefused> {
        let sql = "SELECT first, id, name, revision, submission FROM @.rollouts ORDER BY first";
        let rows = self.ask(sql, &[]).await?;
        for row in &rows {
            let first: i64 = row.get(0);
            let found = IndexedRollout {
                id: row.get(1),
                name: row.get(2),
                revision: row.get(3),
                submission: row.get(4),
            };
            if self.rollouts.remove(&first).as_ref() != Some(&found) {
                let what = format!("it is not what entry {first} says");
                self.damage(format_args!("rollouts, first {first}"), what, INDEX);
            }
        }
        for first in std::mem::take(&mut self.rollouts).into_keys() {
            let what = format!("the row of entry {first} is missing");
            self.damage(format_args!("rollouts, first {first}"), what, INDEX);
        }
        Ok(rows.len() as u64)
    }

    async fn change_rows(&mut self) -> Result<u64, OpenRefused> {
        let page = "SELECT rollout, ordinal, seq, standing, state, instance FROM @.changes \
                    WHERE (rollout, ordinal) > ($1, $2) ORDER BY rollout, ordinal LIMIT $3";
        let (mut after, mut read) = ((0_i64, 0_i32), 0);
        loop {
            let parameters: [(&(dyn ToSql + Sync), Type); 3] =
                [(&after.0, Type::INT8), (&after.1, Type::INT4), (&PAGE, Type::INT8)];
            let rows = self.ask(page, &parameters).await?;
            let Some(last) = rows.last() else { break };
            after = (last.get(0), last.get(1));
            read += rows.len() as u64;
            for row in &rows {
                let key: (i64, i32) = (row.get(0), row.get(1));
                let found = IndexedChange {
                    seq: row.get(2),
                    standing: row.get(3),
                    state: row.get(4),
                    instance: row.get(5),
                };
                let right = self.changes.remove(&key);
                if right.as_ref() != Some(&found) {
                    let place = format!("changes, rollout {}, ordinal {}", key.0, key.1);
                    let what = match right {
                        Some(right) => format!("it is not what entry {} says", right.seq),
                        None => "no entry of the journal made it".to_owned(),
                    };
                    self.damage(place, what, INDEX);
                }
            }
        }
        for ((rollout, ordinal), row) in std::mem::take(&mut self.changes) {
            let place = format!("changes, rollout {rollout}, ordinal {ordinal}");
            self.damage(place, format!("the row that entry {} made is missing", row.seq), INDEX);
        }
        Ok(read)
    }

    async fn enforcement_rows(&mut self) -> Result<(), OpenRefused> {
        let rows = self.ask("SELECT name, seq FROM @.enforcements", &[]).await?;
        let found: BTreeMap<String, i64> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        if found != self.enforcements {
            self.damage("enforcements", "they are not what the journal says", INDEX);
        }
        Ok(())
    }
}
