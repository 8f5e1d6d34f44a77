//! Sends drawn traces to the receiver.
//!
//! Invariants: a bounded queue stands between; what does not fit is dropped and counted. A request
//! takes [`ANSWER_WITHIN`] at most; one that fails is tried [`TRIES`] times with growing waits,
//! then its traces are dropped. Of the answer nothing but the status is read.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

use super::otlp;
use super::story::Drawn;
use crate::clock::Clock;

/// Traces that may wait for the receiver: some megabytes.
const WAITING_MAX: usize = 1_000;

/// Traces in one request.
const BATCH_MAX: usize = 64;

/// How long one that came first waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// Time for a connection and for the whole answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How often a request is tried, and the wait after the first try; it doubles with each.
const TRIES: u32 = 4;
const AGAIN_FIRST: Duration = Duration::from_secs(2);

/// How often at most the log tells of a receiver that fails.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// Takes drawn traces, or counts them as dropped.
pub(super) struct TraceQueue {
    queue: mpsc::Sender<Drawn>,
    dropped: Arc<AtomicU64>,
}

impl TraceQueue {
    pub(super) fn push(&self, drawn: Drawn) {
        if self.queue.try_send(drawn).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What waits to be sent.
pub(super) struct WaitingTraces {
    queue: mpsc::Receiver<Drawn>,
    dropped: Arc<AtomicU64>,
}

pub(super) fn queue() -> (TraceQueue, WaitingTraces) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let dropped = Arc::<AtomicU64>::default();
    let waiting = WaitingTraces { queue: receiver, dropped: dropped.clone() };
    (TraceQueue { queue: sender, dropped }, waiting)
}

/// Sends until the queue ends.
pub(super) async fn send(url: String, mut waiting: WaitingTraces, clock: Arc<dyn Clock>) {
    let client = reqwest::Client::builder()
        .timeout(ANSWER_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            return tracing::error!(%error, "no trace is sent: cannot make an HTTP client");
        }
    };
    let mut told_at: Option<Duration> = None;
    let mut batch = Vec::new();
    while waiting.queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
        tokio::time::sleep(GATHER).await;
        while batch.len() < BATCH_MAX
            && let Ok(more) = waiting.queue.try_recv()
        {
            batch.push(more);
        }
        let body = otlp::request(&batch);
        if let Err(why) = deliver(&client, &url, body).await {
            waiting.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
            let now = clock.times().boot;
            if told_at.is_none_or(|at| now.saturating_sub(at) >= TOLD_EVERY) {
                told_at = Some(now);
                let dropped = waiting.dropped.load(Ordering::Relaxed);
                tracing::warn!(
                    why,
                    dropped,
                    "traces cannot be sent; is `traces.url` right, and its receiver up?"
                );
            }
        }
        batch.clear();
    }
}

/// One request, tried a few times while that may help.
async fn deliver(client: &reqwest::Client, url: &str, body: Vec<u8>) -> Result<(), String> {
    let mut wait = AGAIN_FIRST;
    for tried in 1.. {
        let request = client.post(url).header(CONTENT_TYPE, "application/x-protobuf");
        let (why, may_pass) = match request.body(body.clone()).send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => (format!("status {}", answer.status()), may_pass(answer.status())),
            // Its text would name the address, which may hold a key.
            Err(error) if error.is_timeout() => ("no answer in time".to_owned(), true),
            Err(error) if error.is_connect() => ("no connection".to_owned(), true),
            Err(_) => ("the connection broke".to_owned(), true),
        };
        if !may_pass || tried >= TRIES {
            return Err(why);
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    unreachable!("the last try returns")
}

/// As OTLP says: these ask for another try, every other status means that none helps.
fn may_pass(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test(start_paused = true)]
    async fn what_a_dead_receiver_leaves_is_dropped_and_counted() {
        let (queue, waiting) = queue();
        let dropped = queue.dropped.clone();
        for _ in 0..WAITING_MAX + 7 {
            queue.push(Drawn { spans: Vec::new() });
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 7, "nobody waits for a place");
        drop(queue);
        // Nobody listens on this port.
        send("http://127.0.0.1:9/v1/traces".into(), waiting, Arc::new(SystemClock)).await;
        assert_eq!(dropped.load(Ordering::Relaxed), WAITING_MAX as u64 + 7);
    }
}
