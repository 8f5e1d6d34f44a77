//! Reading the shared journal's end.

use futures_util::TryFutureExt as _;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::shared::PostgresShared;
use crate::domain::id::Digest;
use crate::domain::journal::JournalEvent;
use crate::store::Unavailable;
use crate::store::record::Mark;
use crate::store::replica::SharedLine;

/// How the journal's end is read.
pub(super) enum SharedTail {}

impl SharedTail {
    /// Lines of one tail at most: about 2 MiB, a fifth of a second to fold.
    pub const MAX: usize = 4_096;

    /// From this entry on, or the journal's last line where it ends before; then the lines after
    /// it.
    const SQL: &str = "SELECT seq, line, digest FROM @.journal \
        WHERE seq >= LEAST($1, (SELECT max(seq) FROM @.journal)) ORDER BY seq LIMIT 4096";
}

impl PostgresShared {
    /// The tail from an entry that this daemon knows.
    pub(super) fn tail<'a>(
        &self,
        client: &'a Client,
        from: Mark,
    ) -> impl Future<Output = Result<Vec<SharedLine>, tokio_postgres::Error>> + Send + use<'a> {
        let sql = self.options.schema.sql(SharedTail::SQL);
        let from = seq_of(from.seq);
        async move {
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] =
                [(&from, Type::INT8)];
            client.query_typed(&sql, &parameters).map_ok(|rows| lines_of(&rows, 0)).await
        }
    }

    /// Folds all that others have appended, however much that is.
    pub(super) async fn read_tail(&self) -> Result<(), Unavailable> {
        loop {
            let place = self.place();
            let sql = self.options.schema.sql(SharedTail::SQL);
            let from = seq_of(place.mark.seq);
            let rows = self.query(&sql, &[(&from, Type::INT8)]).await?;
            let tail = lines_of(&rows, 0);
            if !self.agrees(place, tail.first()).await {
                continue;
            }
            let news = tail.partition_point(|line| line.seq <= place.mark.seq);
            if news == tail.len() {
                return Ok(());
            }
            let wanted: Vec<Digest> = submissions_of(&tail[news..]).collect();
            let fetched = self.fetch(&wanted).await?;
            let mut replica = self.replica.lock().await;
            if self.place().epoch != place.epoch {
                continue;
            }
            let news = replica.news(&tail);
            replica.fold(news, &|digest| fetched.get(&digest).cloned()).inspect_err(|error| {
                // What is in the journal is damaged: nothing may be built on it.
                self.fail(&error.0);
            })?;
            self.set_place(replica.head());
            if tail.len() < SharedTail::MAX {
                return Ok(());
            }
        }
    }
}

/// The submissions that these lines name. A line that cannot be read is found when it is folded.
pub(super) fn submissions_of(lines: &[SharedLine]) -> impl Iterator<Item = Digest> {
    lines.iter().filter_map(|line| match line.read_alone().ok()?.0.entry.what {
        JournalEvent::Submitted { submission, .. } => Some(submission),
        JournalEvent::Rollout { .. }
        | JournalEvent::Change { .. }
        | JournalEvent::Enforcement { .. } => None,
    })
}

/// The lines of rows whose columns `seq`, `line` and `digest` begin there.
pub(super) fn lines_of(rows: &[Row], first: usize) -> Vec<SharedLine> {
    rows.iter().map(|row| line_of(row, first)).collect()
}

/// The line of one row.
pub(super) fn line_of(row: &Row, first: usize) -> SharedLine {
    // The table's check keeps another length out; a digest of zeros fits no line.
    let digest = <[u8; 32]>::try_from(row.get::<_, &[u8]>(first + 2)).unwrap_or_default();
    SharedLine {
        seq: u64::try_from(row.get::<_, i64>(first)).unwrap_or_default(),
        bytes: row.get(first + 1),
        digest: Digest::from_bytes(digest),
    }
}

/// An entry's number as the database has it. There are not as many as it has room for.
pub(super) fn seq_of(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
