//! The line of a lane: who waits for a permit, and who is next.
//!
//! Invariants: a higher [`Rank`] goes before a lower one, but no rollout's new work before another
//! one's [`Rank::LookAfter`]; within a rank the rollout that has had the fewest permits goes first,
//! and within a rollout who came first. So rollouts that have work share a lane's permits evenly,
//! however much each of them has in the line; one that had none for a while saves nothing up.
//!
//! Deliberately not here: when a permit is free (`engine::lane`).

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{ChangeId, RolloutId};

/// What goes first when calls wait for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// The look before has just been made: the PUT follows while it is fresh.
    Switch,
    /// Work in flight: questions, jobs, looks after.
    InFlight,
    Start,
    /// Looks after, near the end of a wave: what is left to begin goes first, for its jobs take
    /// their time, and meanwhile these are made.
    LookAfter,
    /// What a person asked to be looked at: never before work.
    Ask,
}

/// Who waits for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waiter {
    /// A change, with a call that its state asks for.
    Change(ChangeId),
    /// A person's question, by its number.
    Ask(u64),
    /// The list of the jobs that are followed.
    List,
    /// The list of the jobs that run, whoever began them.
    Running,
}

impl Waiter {
    /// Whose share a permit comes from; `None`: nobody's, for lists serve all rollouts and
    /// questions none.
    fn payer(self) -> Option<RolloutId> {
        match self {
            Self::Change(id) => Some(id.rollout),
            Self::Ask(_) | Self::List | Self::Running => None,
        }
    }
}

/// What one rollout has in the line, and what it has had.
#[derive(Debug, Default)]
struct RolloutShare {
    /// Waiting, over all ranks.
    waiting: usize,
    /// Permits it has had, with those that it was not there for.
    had: u64,
}

/// Who waits on one lane.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    /// By rank, payer and place. Nobody's are before all others of their rank.
    waiting: BTreeSet<(Rank, Option<RolloutId>, u64, Waiter)>,
    /// By rank: payers with somebody waiting there, those first who had the least.
    payers: BTreeSet<(Rank, u64, Option<RolloutId>)>,
    shares: BTreeMap<RolloutId, RolloutShare>,
    /// What the last payer had had: who comes into the line begins from there.
    level: u64,
    starts: usize,
    asks: usize,
}

impl FairQueue {
    pub(super) fn enqueue(&mut self, rank: Rank, place: u64, who: Waiter) {
        let payer = who.payer();
        if !self.waiting.insert((rank, payer, place, who)) {
            return;
        }
        self.starts += usize::from(rank == Rank::Start);
        self.asks += usize::from(rank == Rank::Ask);
        let mut had = 0;
        if let Some(rollout) = payer {
            let share = self.shares.entry(rollout).or_default();
            if share.waiting == 0 {
                share.had = share.had.max(self.level);
            }
            share.waiting += 1;
            had = share.had;
        }
        self.payers.insert((rank, had, payer));
    }

    pub(super) fn remove(&mut self, rank: Rank, place: u64, who: Waiter) {
        let payer = who.payer();
        if !self.waiting.remove(&(rank, payer, place, who)) {
            return;
        }
        self.starts -= usize::from(rank == Rank::Start);
        self.asks -= usize::from(rank == Rank::Ask);
        let had = self.had(payer);
        if self.first_of(rank, payer).is_none() {
            self.payers.remove(&(rank, had, payer));
        }
        if let Some(share) = payer.and_then(|rollout| self.shares.get_mut(&rollout)) {
            share.waiting -= 1;
        }
    }

    /// A permit went to one of them, who has left the line.
    pub(super) fn charge(&mut self, who: Waiter) {
        let Some(rollout) = who.payer() else { return };
        let Some(share) = self.shares.get_mut(&rollout) else { return };
        let (before, after) = (share.had, share.had + 1);
        share.had = after;
        self.level = self.level.max(before);
        for rank in [Rank::Switch, Rank::InFlight, Rank::Start, Rank::LookAfter, Rank::Ask] {
            if self.payers.remove(&(rank, before, Some(rollout))) {
                self.payers.insert((rank, after, Some(rollout)));
            }
        }
        // Who waits for nothing and has had no more than the level is as good as new.
        let level = self.level;
        self.shares.retain(|_, share| share.waiting > 0 || share.had > level);
    }

    /// The first of those waiting; without `new_work`, of those that need no place in flight.
    pub(super) fn first(&self, new_work: bool) -> Option<(Rank, u64, Waiter)> {
        let (mut rank, _, mut payer) = *self.payers.first()?;
        if rank == Rank::Start {
            // However long the line of new work is, what is behind it is found in one step.
            let behind = self.payers.range((Rank::LookAfter, 0, None)..).next();
            let look_of_another =
                behind.is_some_and(|(rank, _, of)| *rank == Rank::LookAfter && *of != payer);
            if !new_work || look_of_another {
                (rank, _, payer) = *behind?;
            }
        }
        self.first_of(rank, payer)
    }

    fn first_of(&self, rank: Rank, payer: Option<RolloutId>) -> Option<(Rank, u64, Waiter)> {
        let least = payer
            .map_or(Waiter::Ask(0), |rollout| Waiter::Change(ChangeId { rollout, ordinal: 0 }));
        let (found, of, place, who) = self.waiting.range((rank, payer, 0, least)..).next()?;
        (*found == rank && *of == payer).then_some((rank, *place, *who))
    }

    fn had(&self, payer: Option<RolloutId>) -> u64 {
        payer.and_then(|rollout| self.shares.get(&rollout)).map_or(0, |share| share.had)
    }

    /// Takes a question out of the line without a permit.
    pub(super) fn pop_ask(&mut self) -> Option<u64> {
        let (rank, place, who) = self.first_of(Rank::Ask, None)?;
        self.remove(rank, place, who);
        match who {
            Waiter::Ask(id) => Some(id),
            Waiter::Change(_) | Waiter::List | Waiter::Running => None,
        }
    }

    /// Whether one rollout alone is here, and has anything to do but to hear of its jobs.
    pub(super) fn one_has_work(&self) -> bool {
        let later = |rank: &Rank| matches!(rank, Rank::Start | Rank::LookAfter);
        self.shares.len() == 1 && self.payers.iter().any(|(rank, ..)| later(rank))
    }

    /// Changes in the line that are to begin.
    pub(super) fn starts(&self) -> usize {
        self.starts
    }

    /// Changes in the line, and lists that wait with them.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() - self.asks
    }
}

#[cfg(test)]
mod tests;
