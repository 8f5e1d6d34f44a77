//! What makes durable what was only ordered: one tiny synchronous transaction covers all that was
//! committed before it, other daemons' batches too.
//!
//! Invariants: one is out at a time; it counts only if the journal holds, in that transaction, the
//! entry that it is to cover, digest and all, so a server that came back without its last steps
//! covers nothing; a wait for a standby that was cut short is a warning to the server and a failure
//! here.

use std::sync::Arc;

use futures_util::future::try_join3;
use tokio_postgres::types::Type;

use super::client::DatabaseClient;
use super::fault::DatabaseFault;
use super::link::Link;
use super::shared::{JournalPlace, PostgresShared};
use super::tail::{line_of, seq_of};
use crate::clock::{Clock as _, SystemClock};
use crate::store::Unavailable;
use crate::store::record::Mark;
use crate::store::replica::{Presence, SharedLine};

pub(super) struct Barrier {
    pub shared: Arc<PostgresShared>,
    pub link: Link,
}

impl Barrier {
    /// Works until the store closes.
    pub async fn run(self) {
        let end = self.shared.end.clone();
        tokio::select! {
            () = self.work() => {}
            () = end.cancelled() => {}
        }
    }

    async fn work(&self) {
        let shared = &self.shared;
        let (mut wanted, mut places) = (shared.wanted.subscribe(), shared.place.subscribe());
        let needed = || {
            let (place, durable) = (shared.place(), shared.durable_place());
            let wanted = *shared.wanted.borrow();
            wanted.min(place.mark.seq) > durable.mark.seq
                || (wanted > 0 && durable.epoch != place.epoch)
        };
        let mut proven: Option<Arc<DatabaseClient>> = None;
        loop {
            let Some(connected) = self.link.connected().await else { return };
            let unproven = proven.as_ref().is_none_or(|proven| !Arc::ptr_eq(proven, &connected));
            if !unproven && !needed() {
                tokio::select! {
                    _ = wanted.changed() => {}
                    _ = places.changed() => {}
                    () = self.link.another(&connected) => {}
                }
                continue;
            }
            let place = self.shared.place();
            let began = SystemClock.times().boot;
            match self.once(&connected, place.mark).await {
                Ok(found) => {
                    self.link.works();
                    proven = Some(connected);
                    if self.shared.agrees(place, found.as_ref()).await {
                        self.shared.time_sync(SystemClock.times().boot.saturating_sub(began));
                        self.shared.durable.send_replace(place);
                    }
                }
                Err(
                    DatabaseFault::Away(why)
                    | DatabaseFault::Again(why)
                    | DatabaseFault::Final(why),
                ) => {
                    self.link.lost(&why);
                    connected.drop_it();
                    self.link.another(&connected).await;
                }
            }
        }
    }

    /// One barrier; gives back the line that it was to cover, or the last one where that is missing.
    async fn once(
        &self,
        connected: &DatabaseClient,
        mark: Mark,
    ) -> Result<Option<SharedLine>, DatabaseFault> {
        let client = &connected.client;
        let schema = &self.shared.options.schema;
        connected.take_warning();
        // Stronger than `on` is kept as the server has it.
        let begin = "BEGIN; \
            SELECT set_config('synchronous_commit', 'on', true) \
            WHERE current_setting('synchronous_commit') <> 'remote_apply'; \
            SELECT pg_logical_emit_message(true, 'sealift', '')";
        let sql = schema.sql(
            "SELECT seq, line, digest FROM @.journal \
             WHERE seq = LEAST($1, (SELECT max(seq) FROM @.journal))",
        );
        let seq = seq_of(mark.seq);
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] =
            [(&seq, Type::INT8)];
        // A synchronous standby may take its time, and is waited for by the connection's own
        // timeouts alone.
        let (_, found, _) = try_join3(
            client.batch_execute(begin),
            client.query_typed(&sql, &parameters),
            client.batch_execute("COMMIT"),
        )
        .await?;
        if connected.take_warning() {
            return Err(DatabaseFault::Away("the server warned about a sync".into()));
        }
        Ok(found.first().map(|row| line_of(row, 0)))
    }
}

/// An entry that was committed is gone: what it said must be decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unsettled {
    Lost,
    Unavailable(Unavailable),
}

impl From<Unavailable> for Unsettled {
    fn from(error: Unavailable) -> Self {
        Self::Unavailable(error)
    }
}

impl PostgresShared {
    /// Waits until this entry is durable.
    pub(super) async fn settle(&self, mut place: JournalPlace) -> Result<(), Unsettled> {
        let (mut durable, mut places) = (self.durable.subscribe(), self.place.subscribe());
        loop {
            let (epoch, seq) = (place.epoch, place.mark.seq);
            self.wanted.send_if_modified(|wanted| {
                let more = seq > *wanted;
                *wanted = seq.max(*wanted);
                more
            });
            tokio::select! {
                biased;
                covered = durable.wait_for(|now| now.epoch == epoch && now.mark.seq >= seq) => {
                    return covered.map(drop).map_err(|_| self.closed().into());
                }
                _ = places.wait_for(|now| now.epoch != epoch) => {}
                () = self.end.cancelled() => return Err(self.closed().into()),
            }
            // It was read anew: is the entry among what is there?
            let now = self.place();
            let sql = self.options.schema.sql(
                "SELECT seq, line, digest FROM @.journal \
                 WHERE seq = LEAST($1, (SELECT max(seq) FROM @.journal))",
            );
            let rows = self.query(&sql, &[(&seq_of(seq), Type::INT8)]).await?;
            let found = rows.first().map(|row| line_of(row, 0));
            if place.mark.presence(found.as_ref()) != Presence::There {
                return Err(Unsettled::Lost);
            }
            place.epoch = now.epoch;
        }
    }

    /// Waits until all that is folded by now is durable.
    pub(super) async fn settled_up(&self) -> Result<(), Unavailable> {
        loop {
            match self.settle(self.place()).await {
                Ok(()) => return Ok(()),
                // What is shown is read anew by whoever asked.
                Err(Unsettled::Lost) => {}
                Err(Unsettled::Unavailable(error)) => return Err(error),
            }
        }
    }
}
