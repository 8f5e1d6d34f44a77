//! Heartbeats: the rows of the daemons and of the lanes' keepers.
//!
//! A heartbeat is one transaction of two flights: the lock of all heartbeats and the rows; then, with
//! the one meaning that a heartbeat has everywhere ([`KeeperTables::apply`]), the rows that changed.
//!
//! Invariants: heartbeats happen one after the other; one that takes a lane over does so under the lock
//! of the batches too, so a batch of the daemon before was either committed before the take, and is
//! seen by the taker, or finds its run lapsed; one that finds no connection fails at once, for what
//! is sent late is trusted late.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use futures_util::future::{BoxFuture, FutureExt as _, try_join, try_join_all, try_join4};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::PostgresStore;
use super::client::DatabaseClient;
use super::fault::DatabaseFault;
use super::schema::lock_key;
use super::shared::PostgresShared;
use crate::domain::id::Name;
use crate::domain::keeper::{DaemonNote, DaemonRun, Heartbeat, KeeperTables};
use crate::store::running::{DaemonRows, KeeperAnswer};
use crate::store::{Pending, Unavailable};

/// How long a heartbeat is waited for: later its answer would show nothing that is trusted.
const BEAT_ANSWER: Duration = Duration::from_secs(5);

impl DaemonRows for PostgresStore {
    fn beat(
        &self,
        beat: Heartbeat,
        note: DaemonNote,
    ) -> Pending<'_, Result<KeeperAnswer, Unavailable>> {
        Box::pin(self.beat_now(beat, note))
    }
}

impl PostgresStore {
    async fn beat_now(
        &self,
        beat: Heartbeat,
        note: DaemonNote,
    ) -> Result<KeeperAnswer, Unavailable> {
        let link = self.beats.as_ref().ok_or_else(|| Unavailable("it works alone".into()))?;
        let Some(connected) = link.at_once() else {
            return Err(Unavailable("the database is not connected".into()));
        };
        match self.shared.beat(&connected, &beat, &note).await {
            Ok(answer) => {
                link.works();
                Ok(answer)
            }
            Err(fault) => {
                if let DatabaseFault::Away(why) = &fault {
                    link.lost(why);
                }
                // Whatever it has begun ends with it; the next one comes in a second.
                connected.drop_it();
                Err(fault.into())
            }
        }
    }
}

impl PostgresShared {
    async fn beat(
        &self,
        connected: &DatabaseClient,
        beat: &Heartbeat,
        note: &DaemonNote,
    ) -> Result<KeeperAnswer, DatabaseFault> {
        let client = &connected.client;
        let schema = &self.options.schema;
        let beats = lock_key(&format!("{} beats", self.id));
        let mut begin = format!(
            "BEGIN; SET LOCAL synchronous_commit = local; SET LOCAL statement_timeout = '4s'; \
             SET LOCAL lock_timeout = '4s'; SET LOCAL idle_in_transaction_session_timeout = '2s'; \
             SELECT pg_advisory_xact_lock({beats})"
        );
        if beat.takes.values().any(|take| take.from.is_some()) {
            let batches = lock_key(&self.id);
            begin.push_str(&format!("; SELECT pg_advisory_xact_lock({batches})"));
        }
        let daemons = schema.sql(
            "SELECT name, content, note, (extract(epoch FROM clock_timestamp() - at) * 1000)::bigint \
             FROM @.daemons",
        );
        let keepers = schema.sql("SELECT lane, content FROM @.keepers");
        // The timeline that is written to: after a promotion another one at once.
        let epoch = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
        let first = try_join4(
            client.batch_execute(&begin),
            client.query_typed(epoch, &[]),
            client.query_typed(&daemons, &[]),
            client.query_typed(&keepers, &[]),
        );
        let ((), epoch, daemons, keepers) = connected.ask_within(BEAT_ANSWER, first).await?;
        let epoch = epoch.first().and_then(|row| u64::from_str_radix(row.get(0), 16).ok());
        let mut notes = BTreeMap::new();
        let mut before =
            KeeperTables { epoch: epoch.unwrap_or_default(), ..KeeperTables::default() };
        for row in &daemons {
            let name = name_of(row)?;
            let since = u64::try_from(row.get::<_, i64>(3)).unwrap_or_default();
            // A note of another version may say what this one does not know.
            let told = serde_json::from_str(row.get(2)).unwrap_or_default();
            notes.insert(name.clone(), (told, Duration::from_millis(since)));
            before.daemons.insert(name, content_of(row)?);
        }
        for row in &keepers {
            before.lanes.insert(name_of(row)?, content_of(row)?);
        }
        let mut tables = before.clone();
        tables.apply(beat);
        let own = tables.daemons.get(&beat.name).is_some_and(|row| row.run == beat.row.run);
        if own {
            notes.insert(beat.name.clone(), (note.clone(), Duration::ZERO));
        }
        let mut writes = Vec::new();
        for (name, row) in &tables.daemons {
            if before.daemons.get(name) == Some(row) {
                continue;
            }
            let sql = match *name == beat.name {
                true => {
                    "INSERT INTO @.daemons (name, run, lapsed, content, note, at) \
                     VALUES ($1, $2, $3, $4, $5, clock_timestamp()) ON CONFLICT (name) DO UPDATE SET \
                     run = excluded.run, lapsed = excluded.lapsed, content = excluded.content, \
                     note = excluded.note, at = excluded.at"
                }
                false => "UPDATE @.daemons SET run = $2, lapsed = $3, content = $4 WHERE name = $1",
            };
            let mut values: Vec<BeatValue> = vec![
                (Box::new(name.to_string()), Type::TEXT),
                (Box::new(row.run.cast_signed()), Type::INT8),
                (Box::new(row.lapsed), Type::BOOL),
                (Box::new(text_of(row)), Type::TEXT),
            ];
            if *name == beat.name {
                values.push((Box::new(text_of(note)), Type::TEXT));
            }
            writes.push(write(client, schema.sql(sql), values));
        }
        for name in before.daemons.keys().filter(|name| !tables.daemons.contains_key(*name)) {
            let sql = schema.sql("DELETE FROM @.daemons WHERE name = $1");
            writes.push(write(client, sql, vec![(Box::new(name.to_string()), Type::TEXT)]));
        }
        for (lane, row) in &tables.lanes {
            if before.lanes.get(lane) != Some(row) {
                let sql = "INSERT INTO @.keepers (lane, content) VALUES ($1, $2) \
                    ON CONFLICT (lane) DO UPDATE SET content = excluded.content";
                let values: Vec<BeatValue> = vec![
                    (Box::new(lane.to_string()), Type::TEXT),
                    (Box::new(text_of(row)), Type::TEXT),
                ];
                writes.push(write(client, schema.sql(sql), values));
            }
        }
        let done = try_join(try_join_all(writes), client.batch_execute("COMMIT"));
        connected.ask_within(BEAT_ANSWER, done).await?;
        notes.retain(|name, _| tables.daemons.contains_key(name));
        Ok(KeeperAnswer { tables, notes })
    }

    /// Whether what this daemon commits counts: its run has a row, and no lane of it was taken over
    /// since its latest heartbeat. Asked under the lock of the batches.
    pub(super) fn stands<'a>(
        &self,
        client: &'a Client,
    ) -> impl Future<Output = Result<bool, tokio_postgres::Error>> + Send + use<'a> {
        let sql = self
            .options
            .schema
            .sql("SELECT 1 FROM @.daemons WHERE name = $1 AND run = $2 AND NOT lapsed");
        let daemon = self.options.daemon.clone();
        async move {
            let Some(DaemonRun { name, run }) = daemon else { return Ok(true) };
            let (name, run) = (name.to_string(), run.cast_signed());
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
                [(&name, Type::TEXT), (&run, Type::INT8)];
            client.query_typed(&sql, &parameters).map_ok(|rows| !rows.is_empty()).await
        }
    }
}

type BeatValue = (Box<dyn tokio_postgres::types::ToSql + Send + Sync>, Type);

fn write(
    client: &Client,
    sql: String,
    values: Vec<BeatValue>,
) -> BoxFuture<'_, Result<(), tokio_postgres::Error>> {
    async move {
        let values: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> = values
            .iter()
            .map(|(value, kind)| {
                (&**value as &(dyn tokio_postgres::types::ToSql + Sync), kind.clone())
            })
            .collect();
        client.query_typed(&sql, &values).await.map(drop)
    }
    .boxed()
}

fn text_of(row: &impl serde::Serialize) -> String {
    serde_json::to_string(row).expect("a struct with string keys")
}

fn name_of(row: &Row) -> Result<Name, DatabaseFault> {
    let text: String = row.get(0);
    Name::parse(&text, "name").map_err(|error| DatabaseFault::Final(error.to_string()))
}

fn content_of<T: serde::de::DeserializeOwned>(row: &Row) -> Result<T, DatabaseFault> {
    serde_json::from_str(row.get(1)).map_err(|error| {
        let name: String = row.get(0);
        DatabaseFault::Final(format!("the row of {name} cannot be read: {error}"))
    })
}
