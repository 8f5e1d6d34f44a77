//! What is written down on the way: when each wave began and ended, and what was done in each
//! window.

use jiff::Timestamp;

use super::scenario::Scenario;
use crate::domain::change::State;
use crate::domain::rollout::Phase;
use crate::domain::window::{Calendar, Stretch};
use crate::store::{Commit, Rollout};

/// Windows told one by one: a year of nightly ones; what is done in later ones is counted with the
/// last.
pub const WINDOWS_MAX: usize = 400;

/// One wave on its way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WaveNotes {
    /// Its first change was released.
    pub(super) began: Option<Timestamp>,
    /// The rollout left it behind.
    pub(super) ended: Option<Timestamp>,
}

/// One window on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowNotes {
    pub(super) stretch: Stretch,
    /// PUTs that left in it.
    pub(super) switches: u32,
    /// Changes that settled in it, or before the next one.
    pub(super) settled: u32,
}

/// All that is written down.
#[derive(Debug)]
pub(super) struct Notes {
    calendar: Calendar,
    sizes: Vec<(u32, u32)>,
    pub(super) waves: Vec<WaveNotes>,
    /// The windows that have opened so far, used or not.
    pub(super) windows: Vec<WindowNotes>,
    next: Option<Stretch>,
    /// Phase word before, so that a halt is told once.
    phase: Phase,
    wave: Option<u16>,
    pub(super) halts: Vec<(Timestamp, u16, String)>,
    pub(super) crashes: u32,
    pub(super) switches: u64,
}

impl Notes {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let calendar = scenario.plan.calendar.clone();
        let next = calendar.openings(scenario.from, 1).pop();
        let waves = &scenario.plan.strategy.waves;
        Self {
            calendar,
            sizes: waves.iter().map(|wave| (wave.first, wave.end())).collect(),
            waves: vec![WaveNotes::default(); waves.len()],
            windows: Vec::new(),
            next,
            phase: Phase::Scheduled,
            wave: None,
            halts: Vec::new(),
            crashes: 0,
            switches: 0,
        }
    }

    pub(super) fn crashed(&mut self) {
        self.crashes += 1;
    }

    /// Opens the windows that have opened by `at`.
    fn open(&mut self, at: Timestamp) {
        while let Some(next) = self.next
            && next.open <= at
        {
            if self.windows.len() < WINDOWS_MAX {
                self.windows.push(WindowNotes { stretch: next, switches: 0, settled: 0 });
            }
            self.next = next.cutoff.and_then(|cutoff| self.calendar.openings(cutoff, 1).pop());
        }
    }

    pub(super) fn switched(&mut self, at: Timestamp) {
        self.open(at);
        self.switches += 1;
        if let Some(window) = self.windows.last_mut() {
            window.switches += 1;
        }
    }

    /// A commit was applied.
    pub(super) fn committed(&mut self, at: Timestamp, commit: &Commit, rollout: &Rollout) {
        self.open(at);
        for change in &commit.changes {
            match change.record.state {
                State::Ready if change.record.version == 1 => {
                    let wave =
                        self.sizes.partition_point(|(first, _)| *first <= change.ordinal) - 1;
                    self.waves[wave].began.get_or_insert(at);
                }
                ref state if state.is_settled() => {
                    if let Some(window) = self.windows.last_mut() {
                        window.settled += 1;
                    }
                }
                _ => {}
            }
        }
        let phase = &rollout.record.phase;
        let wave = phase.wave();
        if std::mem::discriminant(phase) == std::mem::discriminant(&self.phase) && wave == self.wave
        {
            return;
        }
        if let Phase::Halted { wave, .. } = phase {
            let why = commit.moves.as_ref().map(|moves| moves.why.clone()).unwrap_or_default();
            self.halts.push((at, *wave, why));
        }
        if matches!(self.phase, Phase::Advancing { .. })
            && let Some(left) = self.wave
            && matches!(
                phase,
                Phase::Soaking { .. }
                    | Phase::Awaiting { .. }
                    | Phase::Completed
                    | Phase::Advancing { .. }
            )
        {
            self.waves[usize::from(left)].ended = Some(at);
        }
        self.phase = phase.clone();
        self.wave = wave;
    }
}

/// Place of the window that holds this instant, or that closed last before it.
pub(super) fn window_of(windows: &[WindowNotes], at: Timestamp) -> Option<usize> {
    windows.partition_point(|window| window.stretch.open <= at).checked_sub(1)
}
