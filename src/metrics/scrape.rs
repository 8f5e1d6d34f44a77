//! One scrape: everything that metrics show, read once, and written in the order of
//! docs/metrics.md.
//!
//! Invariants: what is shown is the state at the scrape; nothing here is kept between two of them.
//! Every family is bounded: at most [`LANES_MAX`] lanes and [`ROLLOUTS_MAX`] rollouts have series.
//! No label is a wave, a proxy, a job or a person.
//!
//! Deliberately not here: counting (`calls`, `requests`, `engine`, `store`), and who may scrape.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::calls::{CallCounts, CallTallies, OTHER_LANES};
use super::families::{Families, LabelKeys, Labels, flag, length, seconds};
use super::process::ProcessUsage;
use super::requests::{RequestKey, RequestTallies};
use crate::api::wire::Budget;
use crate::api::{Api, ApiError, MeasuredRollout};
use crate::domain::id::Name;
use crate::domain::tally::Tally;
use crate::engine::{LaneSnapshot, QuotaStanding, Snapshot};
use crate::notify::ReceiverTally;
use crate::store::memory::MemoryStore;
use crate::store::{Health, Rollout, Store as _};

/// Lanes that have series; with more of them, only those with work have.
pub const LANES_MAX: usize = 1_000;

/// Rollouts that have series: the newest that are not over.
pub const ROLLOUTS_MAX: usize = 50;

/// Enforcements that have series, in the order of their names.
const ENFORCEMENTS_MAX: usize = 100;

/// What is read for one scrape.
#[derive(Debug)]
pub struct Scrape {
    process: ProcessUsage,
    engine: Arc<Snapshot>,
    store: Health,
    rollouts: Vec<MeasuredRollout>,
    rollouts_open: usize,
    certificate_ends: Vec<(Rollout, Timestamp)>,
    drifted: Vec<(Name, u32)>,
    copied_at: Option<Timestamp>,
    receivers: Vec<ReceiverTally>,
    calls: CallCounts,
    requests: Vec<(RequestKey, u64)>,
}

impl Scrape {
    /// Reads everything.
    pub async fn take(
        api: &Api,
        calls: &CallTallies,
        requests: &RequestTallies,
    ) -> Result<Self, ApiError> {
        let (rollouts, rollouts_open) = api.measured(ROLLOUTS_MAX).await?;
        let certificate_ends = api.known_certificate_ends().await?;
        let drifted = api.drifted(ENFORCEMENTS_MAX).await?;
        Ok(Self {
            process: ProcessUsage::now(),
            engine: api.snapshot(),
            store: api.store_health(),
            rollouts,
            rollouts_open,
            certificate_ends,
            drifted,
            copied_at: api.copied_at(),
            receivers: api.receiver_tallies(),
            calls: calls.counts(),
            requests: requests.counts().into_iter().collect(),
        })
    }

    /// The lanes that have series.
    fn lanes(&self) -> Vec<&LaneSnapshot> {
        let all = &self.engine.lanes;
        let shown = all.iter().filter(|lane| all.len() <= LANES_MAX || has_work(lane));
        shown.take(LANES_MAX).collect()
    }
}

fn has_work(lane: &LaneSnapshot) -> bool {
    lane.out > 0 || lane.waiting > 0 || lane.paused.is_some() || lane.held.is_some()
}

/// Labels of what is a rollout's.
const ROLLOUT: LabelKeys<2> = ["rollout", "plan"];

/// Labels of what is a lane's.
const LANE: LabelKeys<1> = ["lane"];

/// Which rollout: for every verb the beginning of its id is enough.
fn of(rollout: &Rollout) -> Labels<2> {
    [rollout.id.short().to_string(), rollout.plan.name.to_string()]
}

/// Which rollout, and a word.
fn and(rollout: &Rollout, word: &str) -> Labels<3> {
    let [id, plan] = of(rollout);
    [id, plan, word.to_owned()]
}

/// Labels of what is a rollout's, by a word.
fn rollout_and(key: &'static str) -> LabelKeys<3> {
    let [id, plan] = ROLLOUT;
    [id, plan, key]
}

fn lane(lane: &LaneSnapshot) -> Labels<1> {
    [lane.lane.to_string()]
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.write(&mut Families::new(encoder))
    }
}

/// What a daemon shows before it did anything: every family, and hardly a series.
impl Default for Scrape {
    fn default() -> Self {
        Self {
            process: ProcessUsage::default(),
            engine: Arc::default(),
            store: MemoryStore::new().health(),
            rollouts: Vec::new(),
            rollouts_open: 0,
            certificate_ends: Vec::new(),
            drifted: Vec::new(),
            copied_at: None,
            receivers: Vec::new(),
            calls: CallCounts::default(),
            requests: Vec::new(),
        }
    }
}

impl Scrape {
    /// Every family, one after the other.
    pub fn write(&self, out: &mut Families<'_>) -> fmt::Result {
        self.write_process(out)?;
        self.write_engine(out)?;
        self.write_calls(out)?;
        self.write_lanes(out)?;
        self.write_rollouts(out)?;
        self.write_store(out)?;
        self.write_receivers(out)?;
        self.write_api(out)
    }

    fn write_process(&self, out: &mut Families<'_>) -> fmt::Result {
        let used = &self.process;
        let number = |value: Option<u64>| value.map(|value| value as f64);
        let version = [env!("CARGO_PKG_VERSION").to_owned()];
        out.gauges(
            "sealift_build_info",
            "The version that runs; its value is 1.",
            ["version"],
            [(version, 1.0)],
        )?;
        let help = "Processor time used, in seconds.";
        out.counter("process_cpu_seconds", help, length(used.processor))?;
        let help = "Memory in use, in bytes.";
        out.gauge("process_resident_memory_bytes", help, number(used.resident_bytes))?;
        let help = "Address space in use, in bytes.";
        out.gauge("process_virtual_memory_bytes", help, number(used.virtual_bytes))?;
        out.gauge("process_open_fds", "Open files and connections.", number(used.open_fds))?;
        out.gauge("process_max_fds", "Files and connections at most.", number(used.max_fds))?;
        let started = Some(seconds(self.engine.started));
        out.gauge("process_start_time_seconds", "When the daemon began its work.", started)
    }

    fn write_engine(&self, out: &mut Families<'_>) -> fmt::Result {
        let engine = &self.engine;
        let help = "Passes of the engine since the start; there is one a second at least.";
        out.counter("sealift_engine_passes", help, engine.passes as f64)?;
        let help = "When the engine's latest pass ended.";
        let ended = (engine.passes > 0).then(|| seconds(engine.at.wall));
        out.gauge("sealift_engine_last_pass_timestamp_seconds", help, ended)?;
        let help = "1 while everything is stopped, by a person or by the file STOP.";
        out.gauge("sealift_stop_standing", help, Some(flag(engine.stop.stands())))?;
        let help = "Jobs of the cloud, from the switch to the end that was seen.";
        out.histograms("sealift_job_duration_seconds", help, [], [([], engine.tallies.jobs)])?;
        let help = "Changes that settled since the start; direction is the value that they wanted.";
        let settled = engine.tallies.settled.iter().map(|((outcome, on), count)| {
            let direction = if *on { "on" } else { "off" };
            ([(*outcome).into(), direction.into()], *count as f64)
        });
        out.counters("sealift_settled", help, ["outcome", "direction"], settled)
    }

    fn write_calls(&self, out: &mut Families<'_>) -> fmt::Result {
        let lanes: BTreeSet<String> =
            self.lanes().iter().map(|lane| lane.lane.to_string()).collect();
        let shown = |lane: &String| lane == OTHER_LANES || lanes.contains(lane);
        let calls =
            self.calls.calls.iter().filter(|(key, _)| shown(&key.lane)).map(|(key, count)| {
                let outcome = key.outcome.as_str().to_owned();
                ([key.lane.clone(), key.call.to_owned(), outcome], *count as f64)
            });
        let help = "Calls to the cloud since the start, in combinations that occurred; outcome is ok, \
                    refused, throttled, unknown (perhaps executed) or failed (surely not executed).";
        out.counters("sealift_calls", help, ["lane", "call", "outcome"], calls)?;
        let took = self.calls.took.iter().map(|(call, took)| ([(*call).into()], *took));
        let help = "How long calls to the cloud took.";
        out.histograms("sealift_call_duration_seconds", help, ["call"], took)
    }

    fn write_lanes(&self, out: &mut Families<'_>) -> fmt::Result {
        let lanes = self.lanes();
        let of_each = |value: fn(&LaneSnapshot) -> Option<f64>| {
            lanes.iter().filter_map(move |one| Some((lane(one), value(one)?))).collect::<Vec<_>>()
        };
        let help = "Calls that are out.";
        out.gauges("sealift_lane_calls_out", help, LANE, of_each(|lane| Some(lane.out.into())))?;
        let help = "Changes that wait for a permit.";
        let waiting = of_each(|lane| Some(lane.waiting.into()));
        out.gauges("sealift_lane_changes_waiting", help, LANE, waiting)?;
        let help = "1 while the lane is paused, by a person or by what the cloud answered.";
        let paused = of_each(|lane| Some(flag(lane.paused.is_some() || lane.held.is_some())));
        out.gauges("sealift_lane_paused", help, LANE, paused)?;
        let of_quotas = |value: fn(&QuotaStanding) -> u32| {
            let of_one =
                move |one: &&LaneSnapshot| Some((lane(one), value(one.quota.as_ref()?).into()));
            lanes.iter().filter_map(of_one).collect::<Vec<_>>()
        };
        let help = "Calls that the configuration allows in one interval, headroom taken off.";
        out.gauges(
            "sealift_lane_quota_calls",
            help,
            LANE,
            of_quotas(|quota| quota.quota.requests),
        )?;
        let help = "Calls of the latest interval, with those that are out.";
        out.gauges("sealift_lane_quota_used_calls", help, LANE, of_quotas(|quota| quota.used))?;
        let help = "Calls that the account was seen to give in one interval.";
        out.gauges(
            "sealift_lane_quota_learnt_calls",
            help,
            LANE,
            of_quotas(|quota| quota.ceiling),
        )?;
        let (lanes_all, open) = (self.engine.lanes.len(), self.rollouts_open);
        let left = [("lanes", lanes_all - lanes.len()), ("rollouts", open - self.rollouts.len())];
        let left = left.map(|(of, count)| ([of.to_owned()], count as f64));
        out.gauges(
            "sealift_left_out",
            "Lanes and rollouts that have no series because there are too many.",
            ["of"],
            left,
        )
    }

    fn write_rollouts(&self, out: &mut Families<'_>) -> fmt::Result {
        let rollouts = &self.rollouts;
        let words = rollouts.iter().flat_map(|one| {
            let total = one.rollout.total();
            standings(total).map(|(word, count)| (and(&one.rollout, word), f64::from(count)))
        });
        let help = "Changes of a rollout that is not over, by state.";
        out.gauges("sealift_changes", help, rollout_and("state"), words)?;
        let phases =
            rollouts.iter().map(|one| (and(&one.rollout, one.rollout.record.phase.as_str()), 1.0));
        out.gauges(
            "sealift_rollout_phase",
            "The phase that the rollout is in; its value is 1.",
            rollout_and("phase"),
            phases,
        )?;
        let held = |one: &MeasuredRollout| {
            let words = one.holds.iter().map(|word| (and(&one.rollout, word), 1.0));
            words.collect::<Vec<_>>()
        };
        let help = "Why the rollout begins nothing new; its value is 1.";
        out.gauges(
            "sealift_rollout_hold",
            help,
            rollout_and("word"),
            rollouts.iter().flat_map(held),
        )?;
        let of_each = |value: fn(&MeasuredRollout, &Snapshot) -> Option<f64>| {
            let engine = &self.engine;
            let of_one = move |one: &MeasuredRollout| Some((of(&one.rollout), value(one, engine)?));
            rollouts.iter().filter_map(of_one).collect::<Vec<_>>()
        };
        let help = "Failures that are left before the rollout halts.";
        let left = of_each(|one, _| {
            let strategy = &one.rollout.plan.strategy;
            Some(Budget::of(strategy.max_failures, &one.rollout.total()).left.into())
        });
        out.gauges("sealift_rollout_budget_left", help, ROLLOUT, left)?;
        let help = "1 while the calendar lets new work begin.";
        let open = of_each(|one, _| Some(flag(one.window_open)));
        out.gauges("sealift_rollout_window_open", help, ROLLOUT, open)?;
        let help = "Changes that the wire proved, of a plan that asks for it.";
        let verified = of_each(|one, _| {
            one.rollout.plan.wire.as_ref()?;
            Some(one.rollout.total().succeeded.into())
        });
        out.gauges("sealift_rollout_verified", help, ROLLOUT, verified)?;
        let help = "Windows that came and went while nothing could begin.";
        let missed = of_each(|one, _| Some(one.rollout.record.windows.missed.into()));
        out.gauges("sealift_rollout_missed_windows", help, ROLLOUT, missed)?;
        let help =
            "When a change settled last; before the first one, when the rollout was taken up.";
        let settled = of_each(|one, engine| {
            let settled = engine.settled_at.get(&one.rollout.id).copied();
            Some(seconds(settled.unwrap_or(engine.started.max(one.rollout.submitted_at))))
        });
        out.gauges("sealift_rollout_last_settled_timestamp_seconds", help, ROLLOUT, settled)?;
        let help =
            "When the first certificate ends that the wire showed, of a rollout that is over too.";
        let ends = self.certificate_ends.iter().map(|(rollout, end)| (of(rollout), seconds(*end)));
        out.gauges(
            "sealift_rollout_first_certificate_expiry_timestamp_seconds",
            help,
            ROLLOUT,
            ends,
        )?;
        let help = "Targets that the latest run of an enforcement found drifted.";
        let drifted = self.drifted.iter();
        let drifted = drifted.map(|(plan, count)| ([plan.to_string()], (*count).into()));
        out.gauges("sealift_enforcement_drifted", help, ["plan"], drifted)
    }

    fn write_store(&self, out: &mut Families<'_>) -> fmt::Result {
        let store = &self.store;
        let entries = store.seq as f64;
        out.counter("sealift_journal_entries", "Entries of the journal.", entries)?;
        let help = "How long the journal took to write and sync a batch.";
        out.histograms("sealift_journal_sync_duration_seconds", help, [], [([], store.syncs)])?;
        let bytes = |bytes: u64| Some(bytes as f64);
        out.gauge("sealift_journal_bytes", "Bytes of the journal.", bytes(store.journal_bytes))?;
        out.gauge("sealift_queue_bytes", "Bytes of the queue.", bytes(store.queue_bytes))?;
        let help = "Bytes that are free where the store lies.";
        out.gauge("sealift_store_free_bytes", help, store.free_bytes.and_then(bytes))?;
        let help = "1 while the store takes nothing new.";
        let refusing = Some(flag(store.refusing.is_some()));
        out.gauge("sealift_store_refusing", help, refusing)?;
        let help = "When a whole copy of the store was last made, by the daemon or while it was stopped; absent while \
                    none is known of.";
        let copied_at = self.copied_at.map(seconds);
        out.gauge("sealift_last_backup_timestamp_seconds", help, copied_at)
    }

    fn write_receivers(&self, out: &mut Families<'_>) -> fmt::Result {
        let receivers = &self.receivers;
        let of = |one: &ReceiverTally| one.receiver.to_string();
        let counted = receivers.iter().flat_map(|one| {
            let ReceiverTally { taken, failed, given_up, .. } = *one;
            [("taken", taken), ("failed", failed), ("given_up", given_up)]
                .map(|(outcome, count)| ([of(one), outcome.into()], count as f64))
        });
        let help = "Notifications of a receiver since the start; outcome is taken, failed (a try) or \
                    given_up (counted over restarts).";
        out.counters("sealift_notifications", help, ["receiver", "outcome"], counted)?;
        let pending = receivers.iter().filter_map(|one| Some(([of(one)], one.oldest_pending?)));
        let pending = pending.map(|(labels, happened)| (labels, seconds(happened)));
        let help = "When the oldest thing happened that a receiver is still to be told; absent while \
                    nothing waits.";
        out.gauges(
            "sealift_notification_oldest_pending_timestamp_seconds",
            help,
            ["receiver"],
            pending,
        )?;
        let blocked = receivers.iter().map(|one| ([of(one)], flag(one.blocked)));
        let help = "1 while a receiver is gone (410) or its cursor cannot be read or written.";
        out.gauges("sealift_notification_receiver_blocked", help, ["receiver"], blocked)
    }

    fn write_api(&self, out: &mut Families<'_>) -> fmt::Result {
        let requests = self
            .requests
            .iter()
            .map(|((route, class), count)| ([route.clone(), (*class).to_owned()], *count as f64));
        let help =
            "Requests to the API and the page since the start; class is 2xx, 3xx, 4xx or 5xx.";
        out.counters("sealift_api_requests", help, ["route", "class"], requests)
    }
}

/// Where changes stand, each with its word.
fn standings(tally: Tally) -> [(&'static str, u32); 8] {
    let Tally { queued, active, succeeded, failed, in_doubt, cancelled, reverted, skipped } = tally;
    [
        ("queued", queued),
        ("active", active),
        ("succeeded", succeeded),
        ("failed", failed),
        ("in_doubt", in_doubt),
        ("cancelled", cancelled),
        ("reverted", reverted),
        ("skipped", skipped),
    ]
}
