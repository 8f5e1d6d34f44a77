//! What systemd is told: starting, ready, status, alive, reloading, stopping.
//!
//! Invariants: more time to start is asked for only because the queue came further since; ready is
//! said after the store is open and a pass is done; alive is said only because passes were finished
//! since, so a stuck engine is restarted; without a supervisor every word is silently dropped, and
//! one that does not listen holds nothing up for longer than [`HELD_UP_MAX`].

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::engine::Snapshot;
use crate::store::open::Headway;

/// How often the status line is renewed.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// How long a supervisor that does not read its messages holds a start or an end up: its socket
/// takes so many that nobody has read, and whoever sends one more waits.
const HELD_UP_MAX: Duration = Duration::from_secs(1);

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor cannot be told");
    }
}

/// Sends a message from a thread of its own, and waits for it no longer than [`HELD_UP_MAX`].
fn bounded(send: impl FnOnce() + Send + 'static) {
    let (sent, waited) = std::sync::mpsc::sync_channel::<()>(1);
    let thread = std::thread::Builder::new().name("supervisor".into()).spawn(move || {
        send();
        let _nobody_waits = sent.send(());
    });
    match thread {
        Ok(_) => drop(waited.recv_timeout(HELD_UP_MAX)),
        Err(error) => {
            tracing::warn!(%error, "the supervisor cannot be told: there is no thread for it")
        }
    }
}

/// How often it is told that a start works, and how much longer it is given each time: what a slow
/// disk may take for a thousand entries.
const STARTS_EVERY: Duration = Duration::from_secs(5);
const STARTS_LONGER: Duration = Duration::from_secs(60);

/// Asks for more time as long as a start makes headway, so that building a large queue anew is not
/// taken for a hang. A start that stands still is not spoken for.
pub async fn starting(mut headway: watch::Receiver<Headway>) {
    while headway.changed().await.is_ok() {
        let Headway { reached, last } = *headway.borrow_and_update();
        let status = format!("brings the queue after the journal: entry {reached} of {last}");
        bounded(move || {
            notify(&[
                NotifyState::ExtendTimeoutUsec(usec(STARTS_LONGER)),
                NotifyState::Status(&status),
            ])
        });
        tokio::time::sleep(STARTS_EVERY).await;
    }
    std::future::pending().await
}

fn usec(length: Duration) -> u32 {
    u32::try_from(length.as_micros()).unwrap_or(u32::MAX)
}

/// The daemon is ready.
pub fn ready() {
    bounded(|| notify(&[NotifyState::Ready, NotifyState::Status("ready")]));
}

/// The configuration is read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => bounded(move || notify(&[NotifyState::Reloading, now])),
        Err(error) => tracing::warn!(%error, "no monotonic clock for the supervisor"),
    }
}

/// The daemon ends, within this time.
pub fn stopping(within: Duration) {
    bounded(move || {
        notify(&[
            NotifyState::Stopping,
            NotifyState::Status("draining: waiting for calls that are out"),
            NotifyState::ExtendTimeoutUsec(usec(within)),
        ]);
    });
}

/// A thread that says alive (if the watchdog is on) and the status line: the supervisor's socket
/// takes so many messages that nobody has read, and whoever sends one more waits.
fn notifier(watchdog: bool) -> std::io::Result<SyncSender<String>> {
    let (sender, statuses) = std::sync::mpsc::sync_channel::<String>(1);
    std::thread::Builder::new().name("supervisor".into()).spawn(move || {
        for status in statuses {
            match watchdog {
                true => notify(&[NotifyState::Watchdog, NotifyState::Status(&status)]),
                false => notify(&[NotifyState::Status(&status)]),
            }
        }
    })?;
    Ok(sender)
}

/// Feeds the watchdog and renews the status line from the engine's passes, as long as there are
/// any.
pub async fn watch(mut snapshot: watch::Receiver<Arc<Snapshot>>) {
    // A third of the limit: one late pass is no death.
    let every = sd_notify::watchdog_enabled().map(|limit| limit / 3);
    let notifier = match notifier(every.is_some()) {
        Ok(notifier) => notifier,
        Err(error) => {
            return tracing::warn!(%error, "the supervisor is told nothing more: there is no thread for it");
        }
    };
    let mut fed_at = 0;
    let mut tick = tokio::time::interval(every.unwrap_or(STATUS_EVERY).min(STATUS_EVERY));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = snapshot.borrow_and_update().clone();
        if fed_at == now.passes {
            // No pass since: not a word, and not before there is one.
            if snapshot.changed().await.is_err() {
                return;
            }
            continue;
        }
        fed_at = now.passes;
        // The one before may still wait for the supervisor: this one is then left out.
        let _left_out = notifier.try_send(status(&now));
    }
}

fn status(snapshot: &Snapshot) -> String {
    let out: u32 = snapshot.lanes.iter().map(|lane| lane.out).sum();
    let waiting: u32 = snapshot.lanes.iter().map(|lane| lane.waiting).sum();
    let paused = snapshot.lanes.iter().filter(|lane| lane.paused.is_some()).count();
    let mut text =
        format!("{} calls made, {out} out, {waiting} wait for the quota", snapshot.calls);
    if paused > 0 {
        text.push_str(&format!(", {paused} of {} lanes paused", snapshot.lanes.len()));
    }
    if snapshot.stop.stands() {
        text.insert_str(0, &format!("{}; ", snapshot.stop));
    }
    text
}
