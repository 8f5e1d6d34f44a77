//! What a daemon has seen of its store: read at a start, written down while it runs, so that a
//! database that has forgotten something is noticed.
//!
//! Invariant: only what was durable is written down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::client::DatabaseClient;
use super::load::load;
use super::options::PostgresOptions;
use super::refusal::OpenRefused;
use super::shared::{JournalPlace, PostgresShared};
use crate::store::Unavailable;
use crate::store::files::write_whole;
use crate::store::record::Mark;
use crate::store::replica::{Presence, Replica};
use crate::store::submission::sweep;

/// What this daemon has seen of its store, in its folder.
const MARK: &str = "mark.json";

/// How often it is written, and the journal's end asked for by an idle daemon.
const LOOK: Duration = Duration::from_secs(1);

/// What a daemon has seen of its store.
#[derive(Debug, Serialize, Deserialize)]
struct SeenStore {
    id: String,
    #[serde(flatten)]
    mark: Mark,
}

/// Reads what is there, and whether it is what this daemon saw last.
pub(super) async fn begin(
    shared: &Arc<PostgresShared>,
    connected: &DatabaseClient,
    seen: Option<Mark>,
) -> Result<(), OpenRefused> {
    let options = &shared.options;
    let refused = |error: &dyn std::fmt::Display| OpenRefused::of_text(options, error);
    std::fs::create_dir_all(shared.copies()).and_then(|()| sweep(&shared.copies())).map_err(
        |error| refused(&format_args!("cannot make {}: {error}", shared.copies().display())),
    )?;
    if let Some(seen) = seen {
        let found = shared.tail(&connected.client, seen).await;
        let found = found.map_err(|error| OpenRefused::of_query(options, &error))?;
        let file = options.folder.join(MARK);
        match seen.presence(found.first()) {
            Presence::There => {}
            Presence::Forgotten { ends } => {
                let file = file.display().to_string();
                return Err(OpenRefused::forgotten(options, ends, seen.seq, &file));
            }
            Presence::Replaced => return Err(OpenRefused::forked(options, seen.seq)),
        }
    }
    let loaded = load(connected, shared).await.map_err(|error| refused(&error.0))?;
    let (state, head) = loaded.map_err(|fault| refused(&Unavailable::from(fault).0))?;
    *shared.replica.lock().await = Replica::at(state, head);
    shared.set_place(head);
    // What was durable when this daemon last looked is so still.
    let mark = seen.unwrap_or(Mark::BEGIN);
    shared.durable.send_replace(JournalPlace { epoch: 0, mark });
    Ok(())
}

/// The store that this daemon saw last, and what of it.
pub(super) fn seen(options: &PostgresOptions) -> Result<Option<(String, Mark)>, OpenRefused> {
    let file = options.folder.join(MARK);
    let refused = |error: &dyn std::fmt::Display| {
        OpenRefused::of_text(options, format_args!("cannot read {}: {error}", file.display()))
    };
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(&error)),
    };
    let seen: SeenStore = serde_json::from_slice(&bytes).map_err(|error| refused(&error))?;
    Ok(Some((seen.id, seen.mark)))
}

/// Writes down what is known to be durable.
pub(super) fn write_seen(shared: &PostgresShared) {
    let mark = shared.durable_place().mark;
    if mark.seq == 0 {
        return;
    }
    let seen = SeenStore { id: shared.id.to_string(), mark };
    let bytes = serde_json::to_vec(&seen).expect("a struct with string keys");
    let written = write_whole(&shared.options.folder, MARK, &bytes);
    if let Err(error) = written {
        tracing::warn!(%error, "cannot write down what was seen of the store; a database that forgets is noticed less well");
    }
}

/// Looks at the journal's end now and then, writes down what was seen, and measures the tables.
pub(super) async fn look(shared: Arc<PostgresShared>) {
    let mut written = shared.durable_place().mark.seq;
    let looking = async {
        loop {
            if shared.catch_up().await.is_err() {
                return;
            }
            let durable = shared.durable_place().mark.seq;
            if durable != written {
                written = durable;
                let shared = shared.clone();
                // It is written again a second later.
                let _ = tokio::task::spawn_blocking(move || write_seen(&shared)).await;
            }
            measure(&shared).await;
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = shared.end.cancelled() => {}
    }
}

async fn measure(shared: &PostgresShared) {
    let sql = shared
        .options
        .schema
        .sql("SELECT pg_total_relation_size('@.journal'), pg_total_relation_size('@.changes')");
    if let Ok(rows) = shared.query(&sql, &[]).await
        && let Some(row) = rows.first()
    {
        let bytes = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or_default();
        shared.journal_bytes.store(bytes(0), Ordering::Relaxed);
        shared.index_bytes.store(bytes(1), Ordering::Relaxed);
    }
}
