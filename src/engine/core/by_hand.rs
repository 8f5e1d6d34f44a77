//! A person's verb on one change that failed or is in doubt.
//!
//! Job: decide the verb for the change that it names, and commit or refuse it.
//!
//! Invariant: the change moves in the commit that answers the verb, or the verb is refused and
//! nothing moves; the change's own journal entry names the person once.
//!
//! Deliberately not here: which verbs a rollout allows (`domain::rollout`), and what they do to a
//! change (`domain::change`).

use std::time::Duration;

use super::Core;
use super::tracked::Moving;
use crate::domain::change::{ByPerson, Change, Event, Wake};
use crate::domain::id::RolloutId;
use crate::domain::rollout::{Decision, Effect as Act, Refusal, RolloutWake};
use crate::engine::effect::Effect;
use crate::store::{Durability, RolloutMove};

impl Core {
    /// The change that the first verb in line names was read; `None`: there is none in that place.
    pub(super) fn by_hand(
        &mut self,
        id: RolloutId,
        decision: Decision,
        change: Option<Change>,
        out: &mut Vec<Effect>,
    ) {
        let Act::ByHand { event, .. } = decision.effect else { return };
        let moved = change.as_ref().and_then(|change| self.swept(change, &event));
        let Some(tracked) = self.rollouts.get_mut(&id) else { return };
        if tracked.verbs_mut().drop_gone() {
            tracked.look_again();
            return self.count("verb_dropped");
        }
        let Some(mut moved) = moved else {
            if let Some((waiting, command)) = tracked.verbs_mut().pop() {
                let state =
                    change.as_ref().map_or("not there", |change| change.record.state.as_str());
                let refusal =
                    Refusal::NotByHand { verb: command.verb.as_str(), state, help: help(&event) };
                out.push(Effect::Reply { id: waiting, result: Err(refusal.into()) });
            }
            tracked.look_again();
            return;
        };
        // A change that is given up says so itself.
        if moved.why != decision.why {
            moved.why = format!("{}; {}", moved.why, decision.why);
        }
        moved.by = tracked.verbs().first().map(|command| command.by.clone());
        let goes_on = decision.record.version != tracked.view().record.version;
        let own = goes_on.then(|| RolloutMove {
            record: decision.record.clone(),
            why: decision.why,
            by: None,
        });
        let record = goes_on.then_some(decision.record);
        let moving = Moving {
            record,
            verb: true,
            ..Moving::then(RolloutWake::Change(Wake::In(Duration::ZERO)))
        };
        self.commit_rollout(id, own, vec![moved], moving, Durability::Synced, out);
    }
}

fn help(event: &Event) -> &'static str {
    match event {
        Event::Verb(ByPerson::Requeue) => {
            "`retry` is for what failed or is in doubt; in a rollout that is put back, only for what failed to be"
        }
        _ => "`resolve` is for what is in doubt, in a rollout that is not being put back",
    }
}
