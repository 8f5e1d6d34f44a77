//! The oracle: shows every fact of a run to every invariant, and keeps what they say.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealift::clock::Times;
use sealift::cloud::model::Model;
use sealift::domain::call::Call;
use sealift::domain::id::{ChangeId, JobId, ProxyId, RolloutId};
use sealift::domain::journal::Entry;
use sealift::domain::rollout::Verb;
use sealift::domain::target::Target;
use sealift::store::memory::MemoryStore;
use sealift::store::{Commit, Submission};

use crate::invariants::{self, Invariant};
use crate::scenario::Scenario;
use crate::world::Nanos;

/// Something that an invariant may have an opinion about.
pub enum Fact<'a> {
    /// A commit was applied to the store.
    Committed { commit: &'a Commit, store: &'a MemoryStore },
    /// A request left: its last check was passed.
    Wire { call: &'a Call, id: ChangeId, times: Times, store: &'a MemoryStore, now: Nanos },
    /// A request is about to be taken by the cloud.
    BeforeArrival { call: &'a Call, cloud: &'a mut Model },
    /// A request was taken by the cloud.
    Arrived { now: Nanos },
    /// Something that needs no context.
    Seen(&'a Seen),
    /// The run is over.
    End { store: &'a MemoryStore, cloud: &'a mut Model, entries: &'a [Entry] },
}

/// Facts without context.
pub enum Seen {
    /// A daemon read a job id.
    JobRead { job: JobId },
    /// An operator was told that the verb is carried out.
    Acknowledged { verb: Verb },
    /// The kill-switch file came or went, and every daemon was told.
    StopFile { stands: bool },
    /// The store lost its unsynced tail in a crash.
    Rebuilt,
}

/// What the invariants may know from the start.
pub struct Setting<'a> {
    pub scenario: &'a Scenario,
    pub submission: &'a Submission,
    pub rollout: RolloutId,
}

pub struct Oracle {
    invariants: Vec<(&'static str, Box<dyn Invariant>)>,
    ordinals: BTreeMap<ProxyId, u32>,
    pub violations: Vec<String>,
    pub calls: u64,
}

impl Oracle {
    pub fn new(scenario: &Scenario, submission: &Submission, rollout: RolloutId) -> Self {
        let setting = Setting { scenario, submission, rollout };
        let ordinals = submission.targets.iter().zip(0..).map(|(target, ordinal)| (target.proxy_id, ordinal)).collect();
        Self { invariants: invariants::all(&setting), ordinals, violations: Vec::new(), calls: 0 }
    }

    pub fn ordinal_of(&self, target: &Target) -> u32 {
        self.ordinals[&target.proxy_id]
    }

    pub fn violate(&mut self, what: &str) {
        self.violations.push(what.to_owned());
    }

    fn show(&mut self, fact: &mut Fact<'_>) {
        for (name, invariant) in &mut self.invariants {
            if let Err(what) = invariant.check(fact) {
                self.violations.push(format!("{name}: {what}"));
            }
        }
    }

    pub fn see(&mut self, seen: Seen) {
        self.show(&mut Fact::Seen(&seen));
    }

    pub fn committed(&mut self, commit: &Commit, store: &MemoryStore) {
        self.show(&mut Fact::Committed { commit, store });
    }

    pub fn wire(&mut self, call: &Call, id: ChangeId, times: Times, store: &MemoryStore, now: Nanos) {
        self.calls += 1;
        self.show(&mut Fact::Wire { call, id, times, store, now });
    }

    pub fn before_arrival(&mut self, call: &Call, cloud: &mut Model, now: Timestamp) {
        cloud.advance(now);
        self.show(&mut Fact::BeforeArrival { call, cloud });
    }

    pub fn arrived(&mut self, now: Nanos) {
        self.show(&mut Fact::Arrived { now });
    }

    pub fn end(&mut self, store: &MemoryStore, cloud: &mut Model, entries: &[Entry]) {
        self.show(&mut Fact::End { store, cloud, entries });
    }
}
