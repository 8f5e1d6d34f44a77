//! Over all daemons at most one call of a change is in flight; of one daemon alone at most as many as its lane allows.
//!
//! A call is in flight from its wire instant to its answer, or to being given up, or to its daemon's death. A daemon
//! that hears of its call only after others may have taken the change over is no longer the only one who works on it:
//! from then on the store alone keeps them apart, commit by commit, and reads may meet.

use std::collections::{BTreeMap, BTreeSet};

use sealift::domain::id::ChangeId;
use sealift::engine::Ticket;

use super::Invariant;
use crate::oracle::{Fact, Seen, Setting};
use crate::scenario::{CALL_TIMEOUT, GRACE};
use crate::world::Nanos;

/// What the journal says of a change whose PUT was answered after another daemon had given it up.
const LATE_ANSWER: &str = "the late answer named the job";

struct Out {
    id: ChangeId,
    left: Nanos,
    over: Nanos,
}

pub struct CallsInFlight {
    /// A stepped wall clock makes changes due that are not, a stuck commit is met by others, and a host that stood still
    /// acts on an answer that it had before; the writes are held back then, the reads may meet.
    one_a_change: bool,
    lane: Option<usize>,
    out: BTreeMap<(usize, Ticket), Out>,
    shared: BTreeSet<ChangeId>,
}

impl CallsInFlight {
    pub fn new(setting: &Setting<'_>) -> Self {
        let scenario = setting.scenario;
        let alone = scenario.daemons == 1;
        let lane = alone.then_some(scenario.lane_in_flight as usize);
        Self {
            one_a_change: alone || (scenario.wall_jumps == 0 && scenario.stuck_store == 0.0 && scenario.freezes == 0),
            lane,
            out: BTreeMap::new(),
            shared: BTreeSet::new(),
        }
    }
}

impl Invariant for CallsInFlight {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Wire { sent, .. } => {
                let (id, left) = (sent.id, sent.now);
                let meets = self.out.iter().find(|(_, out)| out.id == id && out.over > left);
                if let Some(((other, _), out)) = meets.filter(|_| self.one_a_change && !self.shared.contains(&id)) {
                    let (word, daemon) = (sent.call.word(), sent.daemon);
                    return Err(format!(
                        "{word} of {id} leaves daemon {daemon} while a call of daemon {other} from {} is in flight",
                        out.left
                    ));
                }
                self.out.insert((sent.daemon, sent.ticket), Out { id, left, over: left + CALL_TIMEOUT.as_nanos() as Nanos });
                let flying = self.out.values().filter(|out| out.over > left).count();
                if self.lane.is_some_and(|most| flying > most) {
                    return Err(format!("{flying} calls are in flight, the lane allows {:?}", self.lane));
                }
            }
            Fact::Seen(Seen::AnswerComes { daemon, ticket, at }) => {
                if let Some(out) = self.out.get_mut(&(*daemon, *ticket)) {
                    out.over = out.over.min(*at);
                }
            }
            Fact::Seen(Seen::Answered { daemon, ticket, now, .. }) => {
                if let Some(out) = self.out.remove(&(*daemon, *ticket))
                    && *now > out.left + (CALL_TIMEOUT + GRACE).as_nanos() as Nanos
                {
                    self.shared.insert(out.id);
                }
            }
            // The answer came when another daemon asked already: its question is out, and what follows from the answer too.
            Fact::Committed { commit, .. } => {
                let late = commit.changes.iter().filter(|change| change.why == LATE_ANSWER);
                self.shared.extend(late.map(|change| ChangeId { rollout: commit.rollout, ordinal: change.ordinal }));
            }
            Fact::Seen(Seen::TooLate { id }) => {
                self.shared.insert(*id);
            }
            Fact::Seen(Seen::Crashed { daemon, .. }) => self.out.retain(|(of, _), _| of != daemon),
            _ => {}
        }
        Ok(())
    }
}
