//! Counts what the tallies do not tell: how many switches the cloud took, how many of their jobs ended well, and how
//! fast changes settle.
//!
//! Job: an observer of the journal. Invariants: it never takes part in a decision, and losing it loses nothing; a
//! change is counted once per stage, whatever the order in which its entries and its row are read, because a stage
//! once reached stays marked.
//!
//! Deliberately not here: anything that the store's tallies say already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::change::{How, Reason, ReasonWord, Record, State};
use crate::domain::id::RolloutId;
use crate::domain::journal::{Entry, What};
use crate::engine::Snapshot;
use crate::store::{Rollout, Store, Unavailable};

/// Rollouts whose stages are kept in memory, one byte a change; asking for one more forgets one.
const GAUGES_MAX: usize = 64;

/// Rows or entries read at once: a few hundred kilobytes.
const BATCH: usize = 1000;

/// The stretch that a rate looks back over: long enough for jobs of a minute, short enough to follow a change of pace.
const RATE_WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// A rate over less than this is noise.
const RATE_MIN: SignedDuration = SignedDuration::from_secs(2);

/// The journal is read at most this often.
const PACE: Duration = Duration::from_millis(200);

/// What was measured of one rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// Changes whose switch the cloud took.
    pub accepted: u32,
    /// Changes whose job ended well.
    pub completed: u32,
    /// Changes that settled per minute.
    pub rate_per_minute: Option<f64>,
}

/// Follows the journal.
pub struct Meter {
    store: Arc<dyn Store>,
    gauges: Mutex<BTreeMap<RolloutId, Gauge>>,
    /// One scan at a time: two requests for the same rollout share it.
    scanning: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Gauge {
    stages: Vec<u8>,
    accepted: u32,
    completed: u32,
    complete: bool,
    settles: VecDeque<Timestamp>,
}

const ACCEPTED: u8 = 1;
const COMPLETED: u8 = 2;

/// Settles kept for the rate; at more than this within the window the window is shorter, which hurts nobody.
const SETTLES_MAX: usize = 20_000;

impl Meter {
    /// A meter over this store; nothing is read until somebody asks.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, gauges: Mutex::default(), scanning: tokio::sync::Mutex::default() }
    }

    /// What is known of this rollout; the first question reads its rows once.
    pub async fn measure(&self, rollout: &Rollout, now: Timestamp) -> Result<Measured, Unavailable> {
        if !self.is_complete(rollout.id) {
            self.scan(rollout).await?;
        }
        Ok(self.with(|gauges| gauges.get(&rollout.id).map(|gauge| gauge.read(now)).unwrap_or_default()))
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<RolloutId, Gauge>) -> T) -> T {
        look(&mut self.gauges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_complete(&self, id: RolloutId) -> bool {
        self.with(|gauges| gauges.get(&id).is_some_and(|gauge| gauge.complete))
    }

    async fn scan(&self, rollout: &Rollout) -> Result<(), Unavailable> {
        let _one = self.scanning.lock().await;
        if self.is_complete(rollout.id) {
            return Ok(());
        }
        // The gauge stands before the scan begins, so an entry that passes the scan is marked by the follower.
        self.with(|gauges| {
            if gauges.len() >= GAUGES_MAX {
                gauges.pop_first();
            }
            let gauge = gauges.entry(rollout.id).or_default();
            gauge.stages = vec![0; rollout.targets as usize];
        });
        let mut after = None;
        loop {
            let page = self.store.page(rollout.id, Vec::new(), after, BATCH).await?;
            self.with(|gauges| {
                let Some(gauge) = gauges.get_mut(&rollout.id) else { return };
                for active in &page.changes {
                    gauge.mark(active.change.id.ordinal, &active.change.record);
                }
                gauge.complete = page.next.is_none();
            });
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads the journal as it grows, until stopped. A store out of order ends it: then nothing is worth counting.
    pub async fn follow(&self, mut snapshot: watch::Receiver<Arc<Snapshot>>, stop: CancellationToken) {
        let mut after = self.store.health().seq;
        let mut tick = tokio::time::interval(PACE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = snapshot.changed() => if changed.is_err() { return },
            }
            tick.tick().await;
            while self.store.health().seq > after {
                let Ok(entries) = self.store.journal(None, after, BATCH).await else { return };
                let Some(last) = entries.last() else { break };
                after = last.seq;
                self.with(|gauges| entries.iter().for_each(|entry| read(gauges, entry)));
            }
        }
    }
}

fn read(gauges: &mut BTreeMap<RolloutId, Gauge>, entry: &Entry) {
    let What::Change { ordinal, record, .. } = &entry.what else { return };
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
    fn mark(&mut self, ordinal: u32, record: &Record) {
        let Some(stages) = self.stages.get_mut(ordinal as usize) else { return };
        let new = stages_of(record) & !*stages;
        *stages |= new;
        self.accepted += u32::from(new & ACCEPTED != 0);
        self.completed += u32::from(new & COMPLETED != 0);
    }

    fn read(&self, now: Timestamp) -> Measured {
        Measured { accepted: self.accepted, completed: self.completed, rate_per_minute: self.rate(now) }
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
    let reached = match &record.state {
        State::Following { .. } => ACCEPTED,
        State::Verifying { .. } | State::Succeeded { how: How::Switched } => ACCEPTED | COMPLETED,
        State::Succeeded { how: How::SwitchedJobUnknown } => ACCEPTED,
        State::Failed { reason: Reason { word: ReasonWord::Unverified, .. } } => ACCEPTED | COMPLETED,
        State::Queued
        | State::Ready
        | State::Inspecting
        | State::Submitting { .. }
        | State::Recovering { .. }
        | State::Succeeded { how: How::AlreadyRight }
        | State::Failed { .. }
        | State::InDoubt { .. }
        | State::Cancelled => 0,
    };
    if record.jobs.is_empty() { reached } else { reached | ACCEPTED }
}
