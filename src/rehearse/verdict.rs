//! The verdict: how a rehearsal ended, wave by wave and window by window, and whether every promise
//! held.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::clouds::Clouds;
use super::invariants::CheckedInvariant;
use super::scenario::Scenario;
use super::trace::{Notes, window_of};
use crate::domain::change::{Change, State};
use crate::domain::rollout::Phase;
use crate::domain::tally::Tally;
use crate::store::Rollout;

/// Changes that did not succeed and are told one by one; the journal has them all.
const TROUBLED_MAX: usize = 20;

/// How a rehearsal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every change has its outcome.
    Completed,
    /// A guard stopped it.
    Halted,
    /// It was put back, or withdrawn.
    Stopped,
    /// The time given was over before.
    NotEnded,
}

/// One wave of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaveVerdict {
    pub name: String,
    /// Number of its targets.
    pub size: u32,
    /// When its first change was released.
    pub began_at: Option<Timestamp>,
    /// When its last change had its outcome.
    pub ended_at: Option<Timestamp>,
    /// Number of the window in which it began, from 1.
    pub begins_in: Option<usize>,
    /// Number of the window in which it ended, or of the last one before its end.
    pub ends_in: Option<usize>,
}

/// One window of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowVerdict {
    /// Its number among the windows since the start, from 1.
    pub number: usize,
    /// New work may begin from here on.
    pub open: Timestamp,
    /// From here on it may not.
    pub cutoff: Option<Timestamp>,
    pub close: Option<Timestamp>,
    /// Switch calls that left in it.
    pub switches: u32,
    /// Changes that had their outcome in it or before the next one.
    pub settled: u32,
}

/// The most calls of one lane in any interval of one length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Worst {
    pub lane: String,
    /// The interval in milliseconds.
    pub interval_ms: u64,
    /// The most calls that arrived in any such interval.
    pub calls: usize,
    /// How many the lane's quota allows, for the quota's own interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<u32>,
}

/// One stop by a guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HaltVerdict {
    pub at: Timestamp,
    /// Name of the wave.
    pub wave: String,
    pub why: String,
}

/// A change that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Troubled {
    pub proxy_id: String,
    pub state: &'static str,
    pub why: String,
}

/// What came of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RehearsalVerdict {
    pub plan: String,
    pub revision: u32,
    pub ssl_option: bool,
    pub targets: u32,
    pub seed: u64,
    /// When the plan was submitted.
    pub from: Timestamp,
    pub ending: Ending,
    /// When it came to its end, or when the time was over.
    pub ended_at: Timestamp,
    /// Counts over all changes.
    pub tally: Tally,
    /// The waves in their order.
    pub waves: Vec<WaveVerdict>,
    /// The windows that were used.
    pub windows: Vec<WindowVerdict>,
    /// Windows that opened since the start, used or not.
    pub windows_opened: usize,
    /// The most calls in any interval.
    pub worst: Vec<Worst>,
    pub calls: u64,
    /// Switch calls that left.
    pub switches: u64,
    /// Stops by a guard.
    pub halts: Vec<HaltVerdict>,
    /// Times the daemon was killed.
    pub crashes: u32,
    /// The first changes that did not succeed.
    pub troubled: Vec<Troubled>,
    /// How often each fault fired.
    pub faults: BTreeMap<&'static str, u64>,
    /// The promises, and whether they held.
    pub invariants: Vec<CheckedInvariant>,
}

/// What a verdict is made from.
pub(super) struct RehearsalOutcome<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) rollout: &'a Rollout,
    pub(super) changes: &'a [Change],
    pub(super) clouds: &'a Clouds,
    pub(super) notes: Notes,
    pub(super) checked: Vec<CheckedInvariant>,
    pub(super) rested: bool,
    pub(super) ended_at: Timestamp,
}

impl RehearsalVerdict {
    pub(super) fn of(outcome: RehearsalOutcome<'_>) -> Self {
        let RehearsalOutcome {
            scenario,
            rollout,
            changes,
            clouds,
            notes,
            checked,
            rested,
            ended_at,
        } = outcome;
        let plan = &scenario.plan;
        let ending = match rollout.record.phase {
            _ if !rested => Ending::NotEnded,
            Phase::Completed => Ending::Completed,
            Phase::Halted { .. } => Ending::Halted,
            _ => Ending::Stopped,
        };
        Self {
            plan: plan.name.to_string(),
            revision: plan.revision,
            ssl_option: plan.ssl_option,
            targets: rollout.targets,
            seed: scenario.seed,
            from: scenario.from,
            ending,
            // The time given is over even where nothing happened up to its last moment.
            ended_at: if rested { ended_at } else { scenario.until().unwrap_or(ended_at) },
            tally: rollout.total(),
            waves: waves(scenario, &notes),
            windows: windows(&notes),
            windows_opened: notes.windows.len(),
            worst: worst(scenario, clouds),
            calls: clouds.arrivals(),
            switches: notes.switches,
            halts: halts(scenario, &notes),
            crashes: notes.crashes,
            troubled: changes.iter().filter_map(troubled).take(TROUBLED_MAX).collect(),
            faults: clouds.fired(),
            invariants: checked,
        }
    }

    /// Whether every promise held.
    pub fn holds(&self) -> bool {
        self.invariants.iter().all(|checked| checked.broken.is_none())
    }
}

fn waves(scenario: &Scenario, notes: &Notes) -> Vec<WaveVerdict> {
    let windowed = !scenario.plan.calendar.windows().is_empty();
    let window = |at: Option<Timestamp>| {
        at.filter(|_| windowed).and_then(|at| window_of(&notes.windows, at)).map(|place| place + 1)
    };
    let pairs = scenario.plan.strategy.waves.iter().zip(&notes.waves);
    pairs
        .map(|(wave, seen)| WaveVerdict {
            name: wave.name.to_string(),
            size: wave.size,
            began_at: seen.began,
            ended_at: seen.ended,
            begins_in: window(seen.began),
            ends_in: window(seen.ended),
        })
        .collect()
}

fn windows(notes: &Notes) -> Vec<WindowVerdict> {
    // One that never shuts is none.
    let used = notes.windows.iter().enumerate().filter(|(_, window)| {
        window.stretch.cutoff.is_some() && window.switches + window.settled > 0
    });
    used.map(|(place, window)| WindowVerdict {
        number: place + 1,
        open: window.stretch.open,
        cutoff: window.stretch.cutoff,
        close: window.stretch.close,
        switches: window.switches,
        settled: window.settled,
    })
    .collect()
}

fn worst(scenario: &Scenario, clouds: &Clouds) -> Vec<Worst> {
    let mut rows = Vec::new();
    for (name, intervals) in clouds.worst() {
        let quota =
            scenario.lanes.iter().find(|lane| lane.name == *name).and_then(|lane| lane.quota);
        for seen in intervals {
            let own = quota.filter(|quota| quota.per.as_millis() == u128::from(seen.interval_ms));
            let allowed = own.map(|quota| quota.requests);
            rows.push(Worst {
                lane: name.to_string(),
                interval_ms: seen.interval_ms,
                calls: seen.arrivals,
                allowed,
            });
        }
    }
    rows
}

fn halts(scenario: &Scenario, notes: &Notes) -> Vec<HaltVerdict> {
    let name = |wave: u16| {
        scenario
            .plan
            .strategy
            .waves
            .get(usize::from(wave))
            .map(|wave| wave.name.to_string())
            .unwrap_or_default()
    };
    notes
        .halts
        .iter()
        .map(|(at, wave, why)| HaltVerdict { at: *at, wave: name(*wave), why: why.clone() })
        .collect()
}

fn troubled(change: &Change) -> Option<Troubled> {
    let (State::Failed { reason } | State::InDoubt { reason }) = &change.record.state else {
        return None;
    };
    Some(Troubled {
        proxy_id: change.target.proxy_id.to_string(),
        state: change.record.state.as_str(),
        why: reason.message.clone(),
    })
}
