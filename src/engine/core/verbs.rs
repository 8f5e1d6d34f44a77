//! The verbs of people: which of them wait, for which rollout, and which are dropped.
//!
//! Job: put a verb in line at its rollout, look for a rollout that is not in hand, and drop verbs
//! whose askers have gone or
//! have been told that the store is away.
//!
//! Invariants: only the first verb of a rollout is judged; one whose asker has gone is not judged
//! any more, and one that is being committed already is carried out all the same. At most
//! [`VERBS_MAX`] verbs wait.
//!
//! Deliberately not here: what a verb does (`domain::rollout`), and how it is judged and answered
//! (`rollouts` and `by_hand` beside this file).

use std::collections::VecDeque;

use super::Core;
use super::tickets::Owner;
use crate::engine::effect::{Effect, StoreAnswer, StoreQuery};
use crate::engine::handle::{Command, CommandError, VERBS_MAX};
use crate::store::Away;

/// The verbs of one rollout, first come, first served.
#[derive(Debug, Default)]
pub(super) struct VerbLine(VecDeque<WaitingVerb>);

#[derive(Debug)]
struct WaitingVerb {
    /// Names its asker.
    id: u64,
    command: Command,
    /// Its asker has gone.
    gone: bool,
}

impl VerbLine {
    fn push(&mut self, id: u64, command: Command) {
        self.0.push_back(WaitingVerb { id, command, gone: false });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The verb that is judged next, or is being carried out.
    pub(super) fn first(&self) -> Option<&Command> {
        self.0.front().map(|verb| &verb.command)
    }

    /// Takes the first verb, with the number of its asker.
    pub(super) fn pop(&mut self) -> Option<(u64, Command)> {
        self.0.pop_front().map(|verb| (verb.id, verb.command))
    }

    /// This asker has gone. The first verb may be under way, so it is only marked.
    fn asker_gone(&mut self, id: u64) {
        let first = self.0.pop_front();
        self.0.retain(|verb| verb.id != id);
        if let Some(first) = first {
            let gone = first.gone || first.id == id;
            self.0.push_front(WaitingVerb { gone, ..first });
        }
    }

    /// Takes all verbs whose askers wait from the line; of each the asker, and whether it is the
    /// first. That one may be under way, so it stays as if its asker had gone.
    fn dismiss(&mut self) -> Vec<(u64, bool)> {
        let numbered = self.0.iter().enumerate().filter(|(_, verb)| !verb.gone);
        let waiting = numbered.map(|(place, verb)| (verb.id, place == 0)).collect();
        self.0.truncate(1);
        self.0.iter_mut().for_each(|verb| verb.gone = true);
        waiting
    }

    /// Drops the first verb if its asker has gone; tells whether it did.
    pub(super) fn drop_gone(&mut self) -> bool {
        self.0.pop_front_if(|first| first.gone).is_some()
    }
}

impl Core {
    /// A verb came in.
    pub(super) fn command(&mut self, id: u64, command: Command, out: &mut Vec<Effect>) {
        if let Some(away) = &self.away {
            return out.push(Effect::Reply { id, result: Err(CommandError::Away(away.clone())) });
        }
        let rollout = command.rollout;
        let in_line: usize = self.rollouts.values().map(|tracked| tracked.verbs().0.len()).sum();
        if in_line + self.strangers.len() >= VERBS_MAX {
            return out.push(Effect::Reply { id, result: Err(CommandError::TooMany) });
        }
        if let Some(tracked) = self.rollouts.get_mut(&rollout) {
            tracked.verbs_mut().push(id, command);
            return self.look(rollout, out);
        }
        // Not in hand: final, or not there. A read tells, and costs nothing but a moment.
        self.strangers.insert(id, Some(command));
        let ticket = self.ticket(Owner::Stranger(id));
        out.push(Effect::Read { ticket, query: StoreQuery::Rollout(rollout) });
    }

    /// The rollout was read that a verb names and that is not in hand.
    pub(super) fn stranger(&mut self, id: u64, found: StoreAnswer, out: &mut Vec<Effect>) {
        let Some(Some(command)) = self.strangers.remove(&id) else { return };
        match found {
            StoreAnswer::Rollout(Some(view)) => {
                let rollout = view.id;
                self.rollout_seen(*view);
                if let Some(tracked) = self.rollouts.get_mut(&rollout) {
                    tracked.verbs_mut().push(id, command);
                }
                self.look(rollout, out);
            }
            StoreAnswer::Rollout(None)
            | StoreAnswer::Candidates(_)
            | StoreAnswer::Stored(_)
            | StoreAnswer::Change(_)
            | StoreAnswer::KnownJobs(_) => {
                let result = Err(CommandError::NotFound(command.rollout));
                out.push(Effect::Reply { id, result });
            }
        }
    }

    /// The store is away: who waits is told so at once, and no verb is carried out that was not
    /// being committed already.
    pub(super) fn dismiss_verbs(&mut self, away: &Away, out: &mut Vec<Effect>) {
        for (id, verb) in &mut self.strangers {
            if verb.take().is_some() {
                let result = Err(CommandError::Away(away.clone()));
                out.push(Effect::Reply { id: *id, result });
            }
        }
        for tracked in self.rollouts.values_mut() {
            let commits = tracked.commits_verb();
            for (id, first) in tracked.verbs_mut().dismiss() {
                let why = away.clone();
                let on_its_way = commits && first;
                let error =
                    if on_its_way { CommandError::NotKnown(why) } else { CommandError::Away(why) };
                out.push(Effect::Reply { id, result: Err(error) });
            }
        }
    }

    /// Whoever asked for this verb no longer waits for its answer.
    pub(super) fn asker_gone(&mut self, id: u64) {
        if let Some(command) = self.strangers.get_mut(&id) {
            *command = None;
        }
        for tracked in self.rollouts.values_mut() {
            tracked.verbs_mut().asker_gone(id);
        }
    }
}
