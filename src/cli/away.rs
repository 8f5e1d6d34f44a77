//! Outlives a restart of the daemon: a request that nobody answers is sent again for a while, and
//! since when is said.
//!
//! Invariant: what may have been taken is not sent a second time, unless to repeat it changes
//! nothing.
//!
//! Deliberately not here: a busy daemon. It answers, and its answer is the verb's.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Sleep;

use super::client_error::ClientError;
use super::term;
use crate::clock::{Clock as _, SystemClock};
use crate::words::text::{Style, length};

/// How long a daemon that does not answer is waited for, unless `--wait` says otherwise: longer
/// than a restart takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

const EVERY: Duration = Duration::from_millis(500);

/// One absence of the daemon: from the first try that nobody answered until somebody does.
#[derive(Debug)]
pub struct Absence {
    patience: Duration,
    current: Option<(String, Pin<Box<Sleep>>)>,
}

impl Absence {
    pub fn new(patience: Duration) -> Self {
        Self { patience, current: None }
    }

    /// Whether the next failure is the first of an absence.
    pub fn begins(&self) -> bool {
        self.current.is_none()
    }

    /// Waits for the next try. Gives the failure back once the patience is over.
    pub async fn wait(&mut self, failure: ClientError) -> Result<(), ClientError> {
        if self.patience.is_zero() {
            return Err(failure);
        }
        let (since, over) = self.current.get_or_insert_with(|| {
            let since = Style::at(SystemClock.times().wall);
            let since = since.clock(since.now);
            let patience = length(
                jiff::SignedDuration::try_from(self.patience).unwrap_or(jiff::SignedDuration::MAX),
            );
            term::say(&format!("{}; trying again for up to {patience}", failure.absence(&since)));
            (since, Box::pin(tokio::time::sleep(self.patience)))
        });
        tokio::select! {
            biased;
            () = over => Err(failure.since(since)),
            () = tokio::time::sleep(EVERY) => Ok(()),
        }
    }

    pub fn end(&mut self) {
        if let Some((since, _)) = self.current.take() {
            term::say(&format!("the daemon answers again, which it did not since {since}"));
        }
    }
}
