//! What a batch writes: its lines, and the rows that point at them.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::tail::seq_of;
use crate::database::SchemaName;
use crate::domain::id::RolloutId;
use crate::domain::journal::JournalEvent;
use crate::domain::tally::Standing;
use crate::store::replica::{LineBatch, Replica};

type SqlParameter = (Box<dyn ToSql + Sync + Send>, Type);

/// The statements of one batch, in their order.
pub(super) struct Statements(Vec<(String, Vec<SqlParameter>)>);

/// The kinds of a line, as the journal's table has them.
pub(super) fn kind(what: &JournalEvent) -> i16 {
    match what {
        JournalEvent::Submitted { .. } => 0,
        JournalEvent::Rollout { .. } => 1,
        JournalEvent::Change { .. } => 2,
        JournalEvent::Enforcement { .. } => 3,
    }
}

/// Every standing with its number in the tables.
const STANDINGS: [(Standing, i16); 8] = [
    (Standing::Queued, 0),
    (Standing::Active, 1),
    (Standing::Succeeded, 2),
    (Standing::Failed, 3),
    (Standing::InDoubt, 4),
    (Standing::Cancelled, 5),
    (Standing::Reverted, 6),
    (Standing::Skipped, 7),
];

/// The number of a standing in the tables.
pub(super) fn standing_number(standing: Standing) -> i16 {
    let found = STANDINGS.iter().find(|(known, _)| *known == standing);
    found.expect("all of them are listed").1
}

/// The standing with this number.
pub(super) fn standing_of(number: i16) -> Option<Standing> {
    STANDINGS.iter().find(|(_, known)| *known == number).map(|(standing, _)| *standing)
}

/// A place in the list of targets, of which there are a million at most.
pub(super) fn place_of(ordinal: u32) -> i32 {
    i32::try_from(ordinal).unwrap_or(i32::MAX)
}

/// A count of one bin: below the number of changes.
fn count(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn parameter<T: ToSql + Sync + Send + 'static>(values: T, kind: Type) -> SqlParameter {
    (Box::new(values), kind)
}

/// The row of a change that a batch writes.
struct WrittenRow<'a> {
    seq: u64,
    standing: Standing,
    state: &'static str,
    instance: &'a str,
}

impl Statements {
    /// Of these lines; the replica has folded them.
    pub fn of(batch: &LineBatch, replica: &Replica, schema: &SchemaName) -> Self {
        let first = |id: RolloutId| {
            let rollout = replica.state.rollout(id).expect("a line is folded into its rollout");
            seq_of(rollout.first_seq)
        };
        let mut all = Self(Vec::new());
        all.journal(batch, &first);
        all.rollouts(batch);
        all.changes(batch, &first);
        all.rare(batch);
        all.bins(batch, &first);
        for (sql, _) in &mut all.0 {
            *sql = schema.sql(sql);
        }
        all
    }

    /// All of them, sent one behind the other.
    pub fn execute<'a>(
        &'a self,
        client: &'a Client,
    ) -> Vec<BoxFuture<'a, Result<u64, tokio_postgres::Error>>> {
        let of = |(sql, parameters): &'a (String, Vec<SqlParameter>)| {
            async move {
                let parameters: Vec<(&(dyn ToSql + Sync), Type)> = parameters
                    .iter()
                    .map(|(value, kind)| (value.as_ref() as &(dyn ToSql + Sync), kind.clone()))
                    .collect();
                client.execute_typed(sql, &parameters).await
            }
            .boxed()
        };
        self.0.iter().map(of).collect()
    }

    fn push(&mut self, sql: &str, parameters: Vec<SqlParameter>) {
        self.0.push((sql.to_owned(), parameters));
    }

    fn journal(&mut self, batch: &LineBatch, first: &dyn Fn(RolloutId) -> i64) {
        let entries = || batch.records.iter().map(|pending| &pending.record.entry);
        let seqs: Vec<i64> = batch.lines.iter().map(|line| seq_of(line.seq)).collect();
        let rollouts: Vec<i64> = entries().map(|entry| first(entry.rollout)).collect();
        let kinds: Vec<i16> = entries().map(|entry| kind(&entry.what)).collect();
        let lines: Vec<Vec<u8>> = batch.lines.iter().map(|line| line.bytes.clone()).collect();
        let digests: Vec<Vec<u8>> =
            batch.lines.iter().map(|line| line.digest.as_bytes().to_vec()).collect();
        self.push(
            "INSERT INTO @.journal (seq, rollout, kind, line, digest) SELECT * FROM unnest($1, $2, $3, $4, $5)",
            vec![
                parameter(seqs, Type::INT8_ARRAY),
                parameter(rollouts, Type::INT8_ARRAY),
                parameter(kinds, Type::INT2_ARRAY),
                parameter(lines, Type::BYTEA_ARRAY),
                parameter(digests, Type::BYTEA_ARRAY),
            ],
        );
    }

    fn rollouts(&mut self, batch: &LineBatch) {
        for entry in batch.records.iter().map(|pending| &pending.record.entry) {
            let JournalEvent::Submitted { name, revision, submission, .. } = &entry.what else {
                continue;
            };
            self.push(
                "INSERT INTO @.rollouts (first, id, name, revision, submission) VALUES ($1, $2, $3, $4, $5)",
                vec![
                    parameter(seq_of(entry.seq), Type::INT8),
                    parameter(entry.rollout.as_bytes().to_vec(), Type::BYTEA),
                    parameter(name.as_str().to_owned(), Type::TEXT),
                    parameter(i64::from(*revision), Type::INT8),
                    parameter(submission.as_bytes().to_vec(), Type::BYTEA),
                ],
            );
        }
    }

    fn changes(&mut self, batch: &LineBatch, first: &dyn Fn(RolloutId) -> i64) {
        let mut rows: BTreeMap<(i64, u32), WrittenRow<'_>> = BTreeMap::new();
        for entry in batch.records.iter().map(|pending| &pending.record.entry) {
            let JournalEvent::Change { ordinal, instance_id, record, .. } = &entry.what else {
                continue;
            };
            // The last of several moves is the row.
            let row = WrittenRow {
                seq: entry.seq,
                standing: Standing::of(&record.state),
                state: record.state.as_str(),
                instance: instance_id.as_str(),
            };
            rows.insert((first(entry.rollout), *ordinal), row);
        }
        if rows.is_empty() {
            return;
        }
        // Who leaves an instance does so before who takes it.
        let (active, others): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(_, row)| row.standing == Standing::Active);
        let rows: Vec<_> = others.into_iter().chain(active).collect();
        let rollouts: Vec<i64> = rows.iter().map(|((rollout, _), _)| *rollout).collect();
        let ordinals: Vec<i32> = rows.iter().map(|((_, ordinal), _)| place_of(*ordinal)).collect();
        let seqs: Vec<i64> = rows.iter().map(|(_, row)| seq_of(row.seq)).collect();
        let standings: Vec<i16> =
            rows.iter().map(|(_, row)| standing_number(row.standing)).collect();
        let states: Vec<&'static str> = rows.iter().map(|(_, row)| row.state).collect();
        let instances: Vec<String> = rows.iter().map(|(_, row)| row.instance.to_owned()).collect();
        self.push(
            "INSERT INTO @.changes (rollout, ordinal, seq, standing, state, instance) \
             SELECT * FROM unnest($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (rollout, ordinal) DO UPDATE \
             SET seq = excluded.seq, standing = excluded.standing, state = excluded.state",
            vec![
                parameter(rollouts, Type::INT8_ARRAY),
                parameter(ordinals, Type::INT4_ARRAY),
                parameter(seqs, Type::INT8_ARRAY),
                parameter(standings, Type::INT2_ARRAY),
                parameter(states, Type::TEXT_ARRAY),
                parameter(instances, Type::TEXT_ARRAY),
            ],
        );
    }

    /// Job ids that were learnt, and enforcements.
    fn rare(&mut self, batch: &LineBatch) {
        let (mut instances, mut jobs, mut seqs) = (Vec::new(), Vec::new(), Vec::new());
        for pending in &batch.records {
            let entry = &pending.record.entry;
            match (&entry.what, &pending.learnt) {
                (JournalEvent::Change { record, .. }, Some(learnt)) => {
                    let Some(job) = record.jobs.last() else { continue };
                    instances.push(learnt.instance_id.to_string());
                    jobs.push(job.as_str().to_owned());
                    seqs.push(seq_of(entry.seq));
                }
                (JournalEvent::Enforcement { name, .. }, _) => self.push(
                    "INSERT INTO @.enforcements (name, seq) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
                    vec![
                        parameter(name.as_str().to_owned(), Type::TEXT),
                        parameter(seq_of(entry.seq), Type::INT8),
                    ],
                ),
                (
                    JournalEvent::Change { .. }
                    | JournalEvent::Rollout { .. }
                    | JournalEvent::Submitted { .. },
                    _,
                ) => {}
            }
        }
        if !jobs.is_empty() {
            self.push(
                "INSERT INTO @.jobs (instance, job, seq) SELECT * FROM unnest($1, $2, $3) ON CONFLICT DO NOTHING",
                vec![
                    parameter(instances, Type::TEXT_ARRAY),
                    parameter(jobs, Type::TEXT_ARRAY),
                    parameter(seqs, Type::INT8_ARRAY),
                ],
            );
        }
    }

    fn bins(&mut self, batch: &LineBatch, first: &dyn Fn(RolloutId) -> i64) {
        let bins: Vec<_> = batch.bins.counts().collect();
        if !bins.is_empty() {
            let of = |get: &dyn Fn(&crate::store::bins::BinCounts) -> u32| {
                let counts: Vec<i32> = bins.iter().map(|bin| count(get(&bin.3))).collect();
                parameter(counts, Type::INT4_ARRAY)
            };
            let rollouts: Vec<i64> = bins.iter().map(|bin| first(bin.0)).collect();
            let numbers: Vec<i64> = bins.iter().map(|bin| i64::from(bin.1)).collect();
            let waves: Vec<i32> = bins.iter().map(|bin| i32::from(bin.2)).collect();
            self.push(
                "INSERT INTO @.bins AS b SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                 ON CONFLICT (rollout, bin, wave) DO UPDATE SET \
                 succeeded = b.succeeded + excluded.succeeded, failed = b.failed + excluded.failed, \
                 in_doubt = b.in_doubt + excluded.in_doubt, cancelled = b.cancelled + excluded.cancelled, \
                 reverted = b.reverted + excluded.reverted, skipped = b.skipped + excluded.skipped, \
                 calls = b.calls + excluded.calls, refused = b.refused + excluded.refused",
                vec![
                    parameter(rollouts, Type::INT8_ARRAY),
                    parameter(numbers, Type::INT8_ARRAY),
                    parameter(waves, Type::INT4_ARRAY),
                    of(&|counts| counts.succeeded),
                    of(&|counts| counts.failed),
                    of(&|counts| counts.in_doubt),
                    of(&|counts| counts.cancelled),
                    of(&|counts| counts.reverted),
                    of(&|counts| counts.skipped),
                    of(&|counts| counts.calls),
                    of(&|counts| counts.refused),
                ],
            );
        }
        for (rollout, began, ended) in batch.bins.pauses() {
            self.push(
                "INSERT INTO @.pauses (rollout, began, ended) VALUES ($1, $2, $3) \
                 ON CONFLICT (rollout, began) DO UPDATE SET ended = excluded.ended",
                vec![
                    parameter(first(rollout), Type::INT8),
                    parameter(began, Type::INT8),
                    parameter(ended, Type::INT8),
                ],
            );
        }
    }
}
