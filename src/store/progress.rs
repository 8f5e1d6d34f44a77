//! A rollout's progress: its record and its tallies, and how one journal entry moves them.
//!
//! Invariant: the tallies of a wave add up to its size, and `cursor` separates the changes that
//! have a row from those that need none. The state in memory and the queue on disk both move their
//! progress with this code, so they agree.
//!
//! Deliberately not here: rows, locks, and whether a move is allowed.

use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::plan::Plan;
use crate::domain::rollout;
use crate::domain::tally::{Standing, Tally};

use super::row::standing_of;

/// What moves of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub record: rollout::Record,
    /// One tally a wave.
    pub tallies: Vec<Tally>,
}

impl Progress {
    /// The progress of a rollout just submitted.
    pub fn submitted(plan: &Plan) -> Self {
        let tallies = plan.strategy.waves.iter().map(|wave| Tally::queued(wave.size)).collect();
        Self { record: rollout::Record::submitted(), tallies }
    }

    /// Takes in one entry of this rollout.
    pub fn fold(&mut self, entry: &Entry, plan: &Plan) {
        match &entry.what {
            JournalEvent::Submitted { .. } => *self = Self::submitted(plan),
            JournalEvent::Change { ordinal, from, record, .. } => {
                let from =
                    standing_of(from).expect("entries are written with the words of the states");
                self.shift(plan, *ordinal, from, Standing::of(&record.state));
            }
            JournalEvent::Rollout { record, .. } => self.enter(plan, record.clone()),
            // It belongs to the plan's name; the rollout that it came from is over and moves no
            // more.
            JournalEvent::Enforcement { .. } => {}
        }
    }

    fn shift(&mut self, plan: &Plan, ordinal: u32, from: Standing, to: Standing) {
        if from != to {
            self.tallies[usize::from(plan.strategy.wave_of(ordinal))].shift(from, to, 1);
        }
    }

    /// An abort or a revert withdraws in one stroke what was never released: those changes have no
    /// row that could say so.
    fn enter(&mut self, plan: &Plan, record: rollout::Record) {
        if record.is_withdrawn() && !self.record.is_withdrawn() {
            for (wave, tally) in plan.strategy.waves.iter().zip(&mut self.tallies) {
                let untouched = wave.end().saturating_sub(record.cursor.max(wave.first));
                tally.shift(Standing::Queued, Standing::Cancelled, untouched);
            }
        }
        self.record = record;
    }

    /// Whether anything of it may still move: it is not final, or changes of it are still active or
    /// queued.
    pub fn is_open(&self) -> bool {
        !self.record.phase.is_final()
            || self.tallies.iter().any(|tally| tally.active + tally.queued > 0)
    }

    /// Whether changes without a row count as cancelled.
    pub fn is_withdrawn(&self) -> bool {
        self.record.is_withdrawn()
    }
}
