//! Counts what the tallies do not tell: how many switches the cloud took, how many of their jobs
//! ended well, and how fast changes settle.
//!
//! Job: an observer of the journal, and only while somebody asks. Invariants: it never takes part
//! in a decision, and losing it loses nothing; a change is counted once per stage, whatever the
//! order in which its entries and its row are read, because a stage once reached stays marked; a
//! question is answered soon, also about a million changes.
//!
//! Deliberately not here: anything that the store's tallies say already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::change::{How, Reason, ReasonWord, Record, State};
use crate::domain::id::RolloutId;
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::proof::TlsVersion;
use crate::engine::Snapshot;
use crate::store::{Rollout, Store, Unavailable};

/// Rollouts whose stages are kept in memory, one byte a change; asking for one more forgets one.
const GAUGES_MAX: usize = 64;

/// A rollout that nobody asked about for this long is forgotten: reading the journal along costs a
/// share of the work.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Rows or entries read at once: a few hundred kilobytes.
const BATCH: usize = 1000;

/// Time that one question may spend on reading rows; [`Meter::follow`] goes on from there.
const PATIENCE: Duration = Duration::from_millis(25);

/// Time that [`Meter::follow`] spends on reading rows in each [`PACE`], while a question waits for
/// them.
const ROWS_A_TICK: Duration = Duration::from_millis(100);

/// A change that nobody touched has no row and tells nothing; a row in any state does.
const ROWS: &[&str] = &State::WORDS;

/// The stretch that a rate looks back over: long enough for jobs of a minute, short enough to
/// follow a change of pace.
const RATE_WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// A rate over less than this is noise.
const RATE_MIN: SignedDuration = SignedDuration::from_secs(2);

/// Settles kept for the rate; at more than this within the window the window is shorter, which
/// hurts nobody.
const SETTLES_MAX: usize = 20_000;

/// The journal is read at most this often.
const PACE: Duration = Duration::from_millis(200);

/// What was measured of one rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MeterReading {
    /// Changes whose switch the cloud took; `None` while they are still being counted.
    pub accepted: Option<u32>,
    /// Changes whose job ended well; `None` while they are still being counted.
    pub completed: Option<u32>,
    /// Changes that a proof on the wire settled: without TLS, with TLS 1.2, with TLS 1.3; `None`
    /// while they are still being counted.
    pub proven: Option<[u32; 3]>,
    /// The end of the certificate that ends first, of those seen so far.
    pub first_expiry: Option<Timestamp>,
    /// Changes that settled per minute.
    pub rate_per_minute: Option<f64>,
}

pub struct Meter {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    gauges: Mutex<BTreeMap<RolloutId, Gauge>>,
    /// One scan at a time: two requests for the same rollout share it.
    scanning: tokio::sync::Mutex<()>,
    /// The last journal entry that was read along.
    read_to: tokio::sync::Mutex<u64>,
}

struct Gauge {
    stages: Vec<u8>,
    accepted: u32,
    completed: u32,
    proven: [u32; 3],
    first_expiry: Option<Timestamp>,
    scan: Scan,
    settles: VecDeque<Timestamp>,
    /// Boot time of the last question.
    asked_at: Duration,
}

/// How far the rows were read.
#[derive(Clone, Copy)]
enum Scan {
    After(Option<u32>),
    Whole,
}

const ACCEPTED: u8 = 1;
const COMPLETED: u8 = 2;
const PROVEN: u8 = 4;

impl Meter {
    /// A meter over this store; nothing is read until somebody asks.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let read_to = tokio::sync::Mutex::new(store.health().seq);
        Self {
            store,
            clock,
            gauges: Mutex::default(),
            scanning: tokio::sync::Mutex::default(),
            read_to,
        }
    }

    /// What is known of this rollout; the first questions read its rows once.
    pub async fn measure(
        &self,
        rollout: &Rollout,
        now: Timestamp,
    ) -> Result<MeterReading, Unavailable> {
        // The gauge stands before the scan begins, so an entry that passes the scan is marked by
        // the follower.
        let asked_at = self.clock.times().boot;
        self.with(|gauges| {
            if !gauges.contains_key(&rollout.id) && gauges.len() >= GAUGES_MAX {
                gauges.pop_first();
            }
            gauges.entry(rollout.id).or_insert_with(|| Gauge::new(rollout.targets)).asked_at =
                asked_at;
        });
        let look = async {
            self.scan(rollout.id).await?;
            self.read_along().await
        };
        // Without patience for all of it: as far as it came; the next question goes on.
        if let Ok(looked) = tokio::time::timeout(PATIENCE, look).await {
            looked?;
        }
        Ok(self.with(|gauges| {
            gauges.get(&rollout.id).map(|gauge| gauge.read(now)).unwrap_or_default()
        }))
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<RolloutId, Gauge>) -> T) -> T {
        look(&mut self.gauges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn scan(&self, id: RolloutId) -> Result<(), Unavailable> {
        let scan = || self.with(|gauges| gauges.get(&id).map(|gauge| gauge.scan));
        let Some(Scan::After(_)) = scan() else { return Ok(()) };
        let _one = self.scanning.lock().await;
        while let Some(Scan::After(after)) = scan() {
            let places = after.map_or(0, |after| after + 1)..u32::MAX;
            let rows = self.store.stored(id, ROWS, places, BATCH).await?;
            self.with(|gauges| {
                let Some(gauge) = gauges.get_mut(&id) else { return };
                for change in &rows {
                    gauge.mark(change.id.ordinal, &change.record);
                }
                gauge.scan = rows
                    .last()
                    .filter(|_| rows.len() == BATCH)
                    .map_or(Scan::Whole, |last| Scan::After(Some(last.id.ordinal)));
            });
        }
        Ok(())
    }

    /// Reads the journal as it grows, while somebody asks, until stopped: so that rates are known
    /// between questions. A store out of order ends it: then nothing is worth counting.
    pub async fn follow(
        &self,
        mut snapshot: watch::Receiver<Arc<Snapshot>>,
        stop: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(PACE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = snapshot.changed() => if changed.is_err() { return },
                // Somebody has asked for rows that are not read yet.
                () = std::future::ready(()), if self.unread().is_some() => {}
            }
            tick.tick().await;
            if self.read_along().await.is_err() {
                return;
            }
            if let Some(id) = self.unread()
                && let Ok(Err(_)) = tokio::time::timeout(ROWS_A_TICK, self.scan(id)).await
            {
                return;
            }
        }
    }

    /// A rollout that was asked for and whose rows are not all read.
    fn unread(&self) -> Option<RolloutId> {
        self.with(|gauges| {
            gauges.iter().find(|(_, gauge)| matches!(gauge.scan, Scan::After(_))).map(|(id, _)| *id)
        })
    }

    /// Marks what the journal tells up to now.
    async fn read_along(&self) -> Result<(), Unavailable> {
        let mut read_to = self.read_to.lock().await;
        // Read before looking whether anybody asks: whoever asks from now on finds these entries in
        // the rows.
        let last = self.store.health().seq;
        if self.is_idle() {
            *read_to = last;
            return Ok(());
        }
        while last > *read_to {
            let entries = self.store.journal(None, *read_to, BATCH).await?;
            let Some(newest) = entries.last() else { break };
            *read_to = newest.seq;
            self.with(|gauges| entries.iter().for_each(|entry| read(gauges, entry)));
        }
        Ok(())
    }

    fn is_idle(&self) -> bool {
        let now = self.clock.times().boot;
        self.with(|gauges| {
            gauges.retain(|_, gauge| now.saturating_sub(gauge.asked_at) < FORGET_AFTER);
            gauges.is_empty()
        })
    }
}

fn read(gauges: &mut BTreeMap<RolloutId, Gauge>, entry: &Entry) {
    let JournalEvent::Change { ordinal, record, .. } = &entry.what else { return };
    let Some(gauge) = gauges.get_mut(&entry.rollout) else { return };
    gauge.mark(*ordinal, record);
    if record.state.is_settled() {
        if gauge.settles.len() == SETTLES_MAX {
            gauge.settles.pop_front();
        }
        gauge.settles.push_back(entry.at);
    }
}

impl Gauge {
    fn new(targets: u32) -> Self {
        let stages = vec![0; targets as usize];
        Self {
            stages,
            accepted: 0,
            completed: 0,
            proven: [0; 3],
            first_expiry: None,
            scan: Scan::After(None),
            settles: VecDeque::new(),
            asked_at: Duration::ZERO,
        }
    }

    fn mark(&mut self, ordinal: u32, record: &Record) {
        let Some(stages) = self.stages.get_mut(ordinal as usize) else { return };
        let new = stages_of(record) & !*stages;
        *stages |= new;
        self.accepted += u32::from(new & ACCEPTED != 0);
        self.completed += u32::from(new & COMPLETED != 0);
        let Some(proof) = record.proof.as_ref().filter(|_| new & PROVEN != 0) else { return };
        let place = match proof.version {
            None => 0,
            Some(TlsVersion::V12) => 1,
            Some(TlsVersion::V13) => 2,
        };
        self.proven[place] += 1;
        self.first_expiry = self.first_expiry.into_iter().chain(proof.expires).min();
    }

    fn read(&self, now: Timestamp) -> MeterReading {
        let whole = matches!(self.scan, Scan::Whole);
        MeterReading {
            accepted: whole.then_some(self.accepted),
            completed: whole.then_some(self.completed),
            proven: whole.then_some(self.proven),
            first_expiry: self.first_expiry,
            rate_per_minute: self.rate(now),
        }
    }

    fn rate(&self, now: Timestamp) -> Option<f64> {
        let recent = |at: &&Timestamp| now.duration_since(**at) <= RATE_WINDOW;
        let first = self.settles.iter().find(recent)?;
        let count = self.settles.iter().filter(recent).count();
        let over = now.duration_since(*first);
        // The first settle opens the stretch and is not counted in it.
        (over >= RATE_MIN && count > 1).then(|| (count - 1) as f64 * 60.0 / over.as_secs_f64())
    }
}

/// The stages that a change surely reached, as far as its record tells.
fn stages_of(record: &Record) -> u8 {
    let proven = if record.proof.is_some() { PROVEN } else { 0 };
    let reached = match &record.state {
        // The API shows the wanted value: how it came to tells what was seen.
        State::Verifying { .. }
        | State::Failed { reason: Reason { word: ReasonWord::NotProven, .. } }
            if record.shown.is_some() =>
        {
            match record.shown.as_ref().map(|shown| shown.how) {
                Some(How::Switched) => ACCEPTED | COMPLETED,
                Some(How::SwitchedJobUnknown) => ACCEPTED,
                Some(How::AlreadyRight) | None => 0,
            }
        }
        State::Following { .. } => ACCEPTED,
        State::Verifying { .. }
        | State::Succeeded { how: How::Switched }
        | State::Reverted { .. } => ACCEPTED | COMPLETED,
        State::Succeeded { how: How::SwitchedJobUnknown } => ACCEPTED,
        State::Failed { reason: Reason { word: ReasonWord::Unverified, .. } } => {
            ACCEPTED | COMPLETED
        }
        State::Queued
        | State::Ready
        | State::Inspecting
        | State::Submitting { .. }
        | State::Recovering { .. }
        | State::Succeeded { how: How::AlreadyRight }
        | State::Failed { .. }
        | State::InDoubt { .. }
        | State::Cancelled
        | State::Skipped { .. } => 0,
    };
    let reached = reached | proven;
    if record.jobs.is_empty() { reached } else { reached | ACCEPTED }
}
