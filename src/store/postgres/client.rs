//! One connection to the database.
//!
//! Invariants: what is asked over it is answered within a bound, or the connection is dropped; what
//! the server warns of is kept until somebody looks.
//!
//! Deliberately not here: connections that come back by themselves (`link`).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::sync::CancellationToken;

use super::fault::DatabaseFault;
use super::options::PostgresOptions;
use super::refusal::OpenRefused;

/// How long an answer is waited for: twice what the server itself allows a statement.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);

/// One connection that is there.
pub(super) struct DatabaseClient {
    pub client: Client,
    gone: CancellationToken,
    warned: Arc<AtomicBool>,
}

impl std::fmt::Debug for DatabaseClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseClient").field("closed", &self.client.is_closed()).finish()
    }
}

impl DatabaseClient {
    /// Connects and looks at what is there.
    pub async fn open(options: &PostgresOptions) -> Result<Self, OpenRefused> {
        let config = options.connecting().map_err(|why| OpenRefused::of_text(options, why))?;
        let connecting = config.connect(options.tls.clone());
        let connected = tokio::time::timeout(ANSWER_MAX, connecting).await;
        let (client, mut connection) = match connected {
            Err(_) => {
                return Err(OpenRefused::unreachable(options, "no answer within 10 s".into()));
            }
            Ok(Err(error)) => return Err(OpenRefused::of_connect(options, &error)),
            Ok(Ok(connected)) => connected,
        };
        let (gone, warned) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let connected = Self { client, gone: gone.clone(), warned: warned.clone() };
        tokio::spawn(async move {
            let mut messages = poll_fn(move |context| connection.poll_message(context));
            let drive = async {
                while let Some(Ok(message)) = messages.next().await {
                    if let AsyncMessage::Notice(notice) = message
                        && notice.parsed_severity() == Some(Severity::Warning)
                    {
                        warned.store(true, Ordering::SeqCst);
                    }
                }
            };
            tokio::select! {
                () = drive => gone.cancel(),
                () = gone.cancelled() => {}
            }
        });
        Ok(connected)
    }

    /// Asks, and waits no longer than [`ANSWER_MAX`]; a connection that is of no more use is
    /// dropped.
    pub async fn ask<T>(
        &self,
        asking: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DatabaseFault> {
        self.ask_within(ANSWER_MAX, asking).await
    }

    /// The same with another bound.
    pub async fn ask_within<T>(
        &self,
        bound: Duration,
        asking: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, DatabaseFault> {
        let answered = match tokio::time::timeout(bound, asking).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.into(),
            Err(_) => DatabaseFault::Away(format!("no answer within {} s", bound.as_secs())),
        };
        if let DatabaseFault::Away(_) = answered {
            self.drop_it();
        }
        Err(answered)
    }

    /// Returns when the connection has ended.
    pub async fn ended(&self) {
        self.gone.cancelled().await;
    }

    /// Ends the connection; whatever it has begun is rolled back.
    pub fn drop_it(&self) {
        self.gone.cancel();
    }

    /// Whether the server has warned of anything since this was last asked.
    pub fn take_warning(&self) -> bool {
        self.warned.swap(false, Ordering::SeqCst)
    }
}

impl Drop for DatabaseClient {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}
