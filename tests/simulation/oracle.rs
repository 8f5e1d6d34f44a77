//! The oracle: shows every fact of a run to every invariant, and keeps the violations.
//!
//! A [`Fact`] is an [`Observation`] with the truth around it, or something that only the simulation
//! sees.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::clock::Times;
use sealift::domain::call::Call;
use sealift::domain::change::Change;
use sealift::domain::id::{ChangeId, Name, ProxyId, RolloutId};
use sealift::domain::journal::Entry;
use sealift::domain::rollout::Verb;
use sealift::engine::Ticket;
use sealift::rehearse::Scenario;
use sealift::rehearse::invariants::Invariants;
use sealift::rehearse::observation::{Departure, Observation, RunEnd};
use sealift::simcloud::fleet::Fleet;
use sealift::simcloud::model::Model;
use sealift::store::memory::MemoryStore;
use sealift::store::{Commit, Rollout, Store, Submission};

use crate::invariants::{self, WorldInvariant};
use crate::planted::Planted;
use crate::scenario::DrawnScenario;
use crate::setting;
use crate::world::{MS, Nanos, start};

/// How often what must hold at every instant is looked at.
const INSTANT_EVERY: Nanos = 500 * MS;

/// Something that an invariant may have an opinion about.
pub enum Fact<'a> {
    /// What a shipped run observes too.
    Observed(&'a Observation<'a>, &'a Around<'a>),
    Instant {
        now: Nanos,
        wall: Timestamp,
        store: &'a MemoryStore,
    },
    /// Something that needs no context.
    Seen(&'a SeenFact),
    /// The run is over.
    End {
        store: &'a MemoryStore,
        cloud: &'a Model,
        entries: &'a [Entry],
    },
}

/// What only the simulation sees around an observation.
pub struct Around<'a> {
    pub store: &'a MemoryStore,
    pub cloud: &'a Model,
    /// The daemon's clocks.
    pub times: Times,
    pub now: Nanos,
}

impl Around<'_> {
    /// The right time.
    fn at(&self) -> Timestamp {
        start() + Duration::from_nanos(self.now)
    }

    fn rollout(&self, id: RolloutId) -> Option<Rollout> {
        self.store.rollout(id).now_or_never().expect("ready").expect("memory")
    }
}

/// What no shipped run observes.
pub enum SeenFact {
    /// The answer to a request that left is with the daemon at that time.
    AnswerComes { ticket: Ticket, at: Nanos },
    /// The daemon's call did not leave: its connection was refused, or it was withheld.
    NotSent { id: ChangeId, now: Nanos },
    /// An operator asked for a verb.
    VerbAsked { id: u64, now: Nanos },
    /// An operator has an answer, whichever.
    VerbAnswered { id: u64 },
    /// An operator was told that the verb is carried out.
    Acknowledged { verb: Verb },
    /// Everything is stopped, by the kill-switch file or by a person whose word was acknowledged;
    /// or nothing stops it any more.
    Stopped { stands: bool },
    /// A person's word on the lane was acknowledged.
    LaneSwitched { paused: bool },
    /// Up to then something happened that may hold work up without anybody's fault.
    Disturbed { now: Nanos },
    /// The daemon notices that its store is away, or back.
    StoreAway { away: bool },
    /// The store lost its unsynced tail in a crash.
    Rebuilt,
}

/// What the invariants may know from the start.
pub struct OracleSetting<'a> {
    pub scenario: &'a DrawnScenario,
    pub submission: &'a Submission,
    pub rollout: RolloutId,
    pub fleet: &'a Fleet,
}

pub struct Oracle {
    rollout: RolloutId,
    /// What a rehearsal promises too.
    promises: Invariants,
    invariants: Vec<(&'static str, Box<dyn WorldInvariant>)>,
    lane: Name,
    ordinals: BTreeMap<ProxyId, u32>,
    next_instant: Nanos,
    pub violations: Vec<String>,
}

impl Oracle {
    pub fn new(
        scenario: &DrawnScenario,
        submission: &Submission,
        rollout: RolloutId,
        fleet: &Fleet,
    ) -> Self {
        let setting = OracleSetting { scenario, submission, rollout, fleet };
        let ordinals = submission
            .targets
            .iter()
            .zip(0..)
            .map(|(target, ordinal)| (target.proxy_id, ordinal))
            .collect();
        // What must hold is read from what was meant, whichever bug is planted.
        let Submission { plan, targets, .. } =
            setting::submission(scenario, fleet, start(), Planted::Nothing);
        let lane = setting::lane(scenario, Planted::Nothing);
        Self {
            rollout,
            promises: Invariants::new(&Scenario::new(
                plan,
                targets,
                std::slice::from_ref(&lane),
                start(),
            )),
            invariants: invariants::all(&setting),
            lane: lane.name,
            ordinals,
            next_instant: 0,
            violations: Vec::new(),
        }
    }

    pub fn id_of_proxy(&self, proxy: &ProxyId) -> ChangeId {
        ChangeId { rollout: self.rollout, ordinal: self.ordinals[proxy] }
    }

    /// The change that a call is made for, if it is made for one.
    pub fn id_of(&self, call: &Call) -> Option<ChangeId> {
        call.target().map(|target| self.id_of_proxy(&target.proxy_id))
    }

    pub fn violate(&mut self, what: &str) {
        self.violations.push(what.to_owned());
    }

    fn show(&mut self, fact: &Fact<'_>) {
        if let Fact::Observed(observation, around) = fact {
            self.promises.see(around.at(), observation);
            if self.violations.is_empty() {
                self.violations.extend(
                    self.promises
                        .broken()
                        .map(|(promise, broken)| format!("{promise}: {}", broken.how)),
                );
            }
        }
        for (name, invariant) in &mut self.invariants {
            if let Err(what) = invariant.check(fact) {
                self.violations.push(format!("{name}: {what}"));
            }
        }
    }

    pub fn see(&mut self, seen: SeenFact) {
        self.show(&Fact::Seen(&seen));
    }

    pub fn observe(&mut self, observation: &Observation<'_>, around: &Around<'_>) {
        self.show(&Fact::Observed(observation, around));
    }

    pub fn started(&mut self, around: &Around<'_>) {
        let rollout = around.rollout(self.rollout);
        let active = around
            .store
            .due(Timestamp::MAX, None, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        self.observe(&Observation::Started { rollout: rollout.as_ref(), active: &active }, around);
    }

    pub fn committed(&mut self, commit: &Commit, around: &Around<'_>) {
        let rollout = around.rollout(self.rollout).expect("submitted");
        self.observe(&Observation::Committed { commit, rollout: &rollout }, around);
    }

    /// A call of a change, or of none, is at its wire instant.
    pub fn leaves(&mut self, ticket: Ticket, call: &Call, around: &Around<'_>) {
        let id = self.id_of(call);
        let stored = id.filter(|_| call.is_write()).map(|id| {
            let stored = around
                .store
                .change(id)
                .now_or_never()
                .expect("ready")
                .expect("memory")
                .expect("a change of the rollout");
            (stored.change, around.rollout(self.rollout).expect("submitted"))
        });
        let stored = stored.as_ref().map(|(change, rollout)| (change, rollout));
        let departure =
            Departure { ticket, id, call, at: around.at(), times: around.times, stored };
        self.observe(&Observation::Leaves(&departure), around);
    }

    /// A call is about to be taken by the cloud.
    pub fn arrives(&mut self, call: &Call, around: &Around<'_>) {
        self.observe(&Observation::Arrives { id: self.id_of(call), call, at: around.at() }, around);
    }

    pub fn instant(&mut self, now: Nanos, times: &Times, store: &MemoryStore) {
        if now >= self.next_instant {
            self.next_instant = now + INSTANT_EVERY;
            self.show(&Fact::Instant { now, wall: times.wall, store });
        }
    }

    pub fn end(&mut self, entries: &[Entry], around: &Around<'_>) {
        let rollout = around.rollout(self.rollout).expect("submitted");
        let page = around
            .store
            .page(self.rollout, Vec::new(), None, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        let changes: Vec<Change> = page.changes.into_iter().map(|active| active.change).collect();
        let lane = self.lane.clone();
        let clouds = BTreeMap::from([(&lane, around.cloud)]);
        self.observe(
            &Observation::Ended(&RunEnd {
                plan: &rollout.plan,
                rollout: &rollout,
                changes: &changes,
                clouds,
            }),
            around,
        );
        self.show(&Fact::End { store: around.store, cloud: around.cloud, entries });
    }
}
