//! The oracle: shows every fact of a run to every invariant, and keeps what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::clock::Times;
use sealift::domain::call::{Call, Disposition};
use sealift::domain::id::{ChangeId, JobId, ProxyId, RolloutId};
use sealift::domain::journal::Entry;
use sealift::domain::rollout::Verb;
use sealift::domain::target::Target;
use sealift::engine::Ticket;
use sealift::simcloud::fleet::Fleet;
use sealift::simcloud::model::Model;
use sealift::store::memory::MemoryStore;
use sealift::store::{Commit, Rollout, Store, Submission};

use crate::invariants::{self, SimInvariant};
use crate::scenario::SimScenario;
use crate::world::{MS, Nanos};

/// How often what must hold at every instant is looked at.
const INSTANT_EVERY: Nanos = 500 * MS;

/// Something that an invariant may have an opinion about.
pub enum Fact<'a> {
    /// A commit was applied to the store, which holds the rollout so since.
    Committed {
        commit: &'a Commit,
        rollout: &'a Rollout,
        store: &'a MemoryStore,
        cloud: &'a Model,
        now: Nanos,
    },
    /// A request left: its last check was passed.
    Wire {
        sent: &'a Sent<'a>,
        store: &'a MemoryStore,
    },
    /// A request is about to be taken by the cloud.
    BeforeArrival {
        call: &'a Call,
        cloud: &'a Model,
        now: Nanos,
    },
    /// A request was taken by the cloud.
    Arrived {
        now: Nanos,
    },
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

/// A request at its wire instant.
pub struct Sent<'a> {
    pub ticket: Ticket,
    pub id: ChangeId,
    pub call: &'a Call,
    pub times: Times,
    pub now: Nanos,
}

pub enum SeenFact {
    /// The daemon read a job id.
    JobRead {
        job: JobId,
    },
    /// The answer to a request that left is with the daemon at that time.
    AnswerComes {
        ticket: Ticket,
        at: Nanos,
    },
    /// The daemon learnt what became of a call; without a disposition, it was the expected answer.
    Answered {
        ticket: Ticket,
        disposition: Option<Disposition>,
    },
    /// An answer told the daemon the cloud's time, at this boot time.
    TimeTold {
        boot: Duration,
        time: Timestamp,
    },
    /// The daemon's call did not leave: its connection was refused, or it was withheld.
    NotSent {
        id: ChangeId,
        now: Nanos,
    },
    /// An operator asked for a verb.
    VerbAsked {
        id: u64,
        now: Nanos,
    },
    /// An operator has an answer, whichever.
    VerbAnswered {
        id: u64,
    },
    /// An operator was told that the verb is carried out.
    Acknowledged {
        verb: Verb,
    },
    /// Everything is stopped, by the kill-switch file or by a person whose word was acknowledged; or nothing stops it any more.
    Stopped {
        stands: bool,
    },
    /// A person's word on the lane was acknowledged.
    LaneSwitched {
        paused: bool,
    },
    /// The daemon began to run.
    Started {
        now: Nanos,
    },
    Crashed {
        now: Nanos,
    },
    /// Up to then something happened that may hold work up without anybody's fault.
    Disturbed {
        now: Nanos,
    },
    /// A proxy's port was looked at; what it showed, if that can be read.
    Probed {
        id: ChangeId,
        shown: Option<bool>,
    },
    /// A person's look leaves.
    LookLeaves {
        now: Nanos,
    },
    /// The store lost its unsynced tail in a crash.
    Rebuilt,
}

/// What the invariants may know from the start.
pub struct OracleSetting<'a> {
    pub scenario: &'a SimScenario,
    pub submission: &'a Submission,
    pub rollout: RolloutId,
    pub fleet: &'a Fleet,
}

pub struct Oracle {
    rollout: RolloutId,
    invariants: Vec<(&'static str, Box<dyn SimInvariant>)>,
    ordinals: BTreeMap<ProxyId, u32>,
    next_instant: Nanos,
    pub violations: Vec<String>,
}

impl Oracle {
    pub fn new(scenario: &SimScenario, submission: &Submission, rollout: RolloutId, fleet: &Fleet) -> Self {
        let setting = OracleSetting { scenario, submission, rollout, fleet };
        let ordinals = submission.targets.iter().zip(0..).map(|(target, ordinal)| (target.proxy_id, ordinal)).collect();
        Self { rollout, invariants: invariants::all(&setting), ordinals, next_instant: 0, violations: Vec::new() }
    }

    pub fn ordinal_of(&self, target: &Target) -> u32 {
        self.ordinal_of_proxy(&target.proxy_id)
    }

    pub fn ordinal_of_proxy(&self, proxy: &ProxyId) -> u32 {
        self.ordinals[proxy]
    }

    pub fn ordinal_of_call(&self, call: &Call) -> u32 {
        self.ordinal_of(call.target().expect("a call of a change has a target"))
    }

    pub fn violate(&mut self, what: &str) {
        self.violations.push(what.to_owned());
    }

    fn show(&mut self, fact: &Fact<'_>) {
        for (name, invariant) in &mut self.invariants {
            if let Err(what) = invariant.check(fact) {
                self.violations.push(format!("{name}: {what}"));
            }
        }
    }

    pub fn see(&mut self, seen: SeenFact) {
        self.show(&Fact::Seen(&seen));
    }

    pub fn committed(&mut self, commit: &Commit, store: &MemoryStore, cloud: &Model, now: Nanos) {
        let rollout = store.rollout(self.rollout).now_or_never().expect("ready").expect("memory").expect("submitted");
        self.show(&Fact::Committed { commit, rollout: &rollout, store, cloud, now });
    }

    pub fn wire(&mut self, sent: &Sent<'_>, store: &MemoryStore) {
        self.show(&Fact::Wire { sent, store });
    }

    pub fn before_arrival(&mut self, call: &Call, cloud: &Model, now: Nanos) {
        self.show(&Fact::BeforeArrival { call, cloud, now });
    }

    pub fn arrived(&mut self, now: Nanos) {
        self.show(&Fact::Arrived { now });
    }

    pub fn instant(&mut self, now: Nanos, times: &Times, store: &MemoryStore) {
        if now >= self.next_instant {
            self.next_instant = now + INSTANT_EVERY;
            self.show(&Fact::Instant { now, wall: times.wall, store });
        }
    }

    pub fn end(&mut self, store: &MemoryStore, cloud: &mut Model, entries: &[Entry], now: Nanos) {
        cloud.advance(crate::world::start() + Duration::from_nanos(now));
        self.show(&Fact::End { store, cloud, entries });
    }
}
