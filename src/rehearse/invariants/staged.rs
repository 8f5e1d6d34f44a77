//! A small staged scenario for the tests of the promises: four proxies of two instances in two
//! waves, facts by hand.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::clouds::Clouds;
use super::super::observation::{Departure, Observation, RunEnd};
use super::super::scenario::Scenario;
use super::Invariant;
use crate::clock::Times;
use crate::domain::call::{Answer, Call};
use crate::domain::change::{Change, Record, State};
use crate::domain::id::{ChangeId, Digest, Name};
use crate::domain::plan::{Approval, Plan, Promote, RevertPolicy, Strategy, Wave};
use crate::domain::proof::Proof;
use crate::domain::retry::Policy;
use crate::domain::rollout::{self, Phase};
use crate::domain::tally::Tally;
use crate::domain::target::{Target, TargetList};
use crate::domain::window::{Calendar, Window};
use crate::simcloud::faults::Between;
use crate::simcloud::fleet::Fleet;
use crate::simcloud::sim::Arrival;
use crate::store::{ChangeMove, Commit, Durability, Rollout, RolloutMove, Submission};

/// 2026-11-24T00:00:00Z, so many milliseconds later.
pub(crate) fn after(ms: u64) -> Timestamp {
    Timestamp::from_second(1_795_478_400).expect("an instant") + Duration::from_millis(ms)
}

fn name(text: &str) -> Name {
    Name::parse(text, "name").expect("a name")
}

pub(crate) struct StagedRun {
    pub(crate) scenario: Scenario,
    pub(crate) rollout: Rollout,
    changes: Vec<Change>,
    clouds: Clouds,
}

impl StagedRun {
    pub(crate) fn new() -> Self {
        Self::of(4, 2, &[("canary", 2), ("rest", 2)])
    }

    /// So many proxies over so many instances, in waves of these names and sizes.
    pub(crate) fn of(proxies: u32, instances: usize, sizes: &[(&str, u32)]) -> Self {
        let fleet = Fleet::generate(proxies as usize, instances, 1).expect("possible numbers");
        let targets: TargetList =
            fleet.proxies().iter().map(|proxy| proxy.target(&name("lab"))).collect();
        let mut first = 0;
        let mut waves = Vec::new();
        for (of, size) in sizes {
            waves.push(Wave {
                name: name(of),
                first,
                size: *size,
                soak_ms: 0,
                promote: Promote::Auto,
                max_failures: proxies,
            });
            first += size;
        }
        let plan = Plan {
            name: name("staged"),
            revision: 1,
            description: String::new(),
            change_ref: String::new(),
            owner: String::new(),
            ssl_option: true,
            source: Digest::of(b"staged"),
            calendar: Calendar::always(),
            strategy: Strategy {
                max_in_flight: 4,
                max_in_flight_per: Default::default(),
                waves,
                max_failures: proxies,
                progress_deadline_ms: 3_600_000,
                revert: RevertPolicy::default(),
            },
            retry: Policy::default(),
            verify_timeout_ms: 60_000,
            wire: None,
            approval: Approval::default(),
            enforce: None,
            survey: false,
            notify: Vec::new(),
            written: Default::default(),
        };
        let mut scenario = Scenario::new(plan, targets, &[], after(0));
        scenario.faults.job_time = Between::exactly(Duration::from_secs(10));
        let submission = Submission {
            plan: scenario.plan.clone(),
            targets: scenario.targets.clone(),
            by: "".into(),
            at: after(0),
            note: String::new(),
        };
        let rollout = Rollout {
            id: submission.id(),
            plan: Arc::new(submission.plan),
            targets: proxies,
            record: rollout::Record {
                phase: Phase::Advancing { wave: 0 },
                ..rollout::Record::submitted()
            },
            tallies: sizes.iter().map(|(_, size)| Tally::queued(*size)).collect(),
            by: "".into(),
            submitted_at: after(0),
            moved_at: after(0),
        };
        let change = |(target, ordinal): (&Target, u32)| Change {
            id: ChangeId { rollout: rollout.id, ordinal },
            target: target.clone(),
            wave: scenario.plan.strategy.wave_of(ordinal),
            desired: true,
            record: Record::queued(),
        };
        let changes = scenario.targets.iter().zip(0..).map(change).collect();
        let clouds = Clouds::new(&scenario).expect("a fleet");
        Self { scenario, rollout, changes, clouds }
    }

    /// Gives the plan windows in UTC.
    pub(crate) fn windows(&mut self, cron: &str, seconds: u64, cutoff: u64) {
        self.windows_in(&["UTC"], cron, seconds, cutoff);
    }

    /// Gives the plan such windows in each of these zones.
    pub(crate) fn windows_in(&mut self, zones: &[&str], cron: &str, seconds: u64, cutoff: u64) {
        let window = |zone: &&str| {
            let (cron, zone) =
                (cron.parse().expect("an expression"), zone.parse().expect("a zone"));
            Window::new(cron, Duration::from_secs(seconds), zone, Duration::from_secs(cutoff))
                .expect("a window")
        };
        self.scenario.plan.calendar =
            Calendar::new(zones.iter().map(window).collect(), Vec::new(), None);
    }

    /// A PUT for this target reaches the cloud after so many seconds.
    pub(crate) fn put(&mut self, ordinal: u32, seconds: u64) -> Arrival {
        let call = Call::Submit {
            target: self.scenario.targets[ordinal as usize].clone(),
            ssl_option: true,
        };
        let at = after((seconds + u64::from(ordinal) * 60) * 1000);
        self.clouds.arrive(at, &call)
    }

    /// What a probe of this target's port shows after so many seconds.
    pub(crate) fn probe(&mut self, ordinal: u32, seconds: u64) -> Proof {
        let target = &self.scenario.targets[ordinal as usize];
        let look = Call::Inspect { target: target.clone() };
        let at = after(seconds * 1000);
        let Ok(Answer::Proxy(Some(view))) = self.clouds.arrive(at, &look).reply.outcome else {
            panic!("a proxy of the fleet")
        };
        self.clouds.probe(at, &target.lane, &view.endpoint.expect("an address"))
    }

    /// The store has this state of the change.
    pub(crate) fn settle(&mut self, ordinal: u32, state: State) {
        self.record(ordinal).state = state;
    }

    /// What the store has of the change.
    pub(crate) fn record(&mut self, ordinal: u32) -> &mut Record {
        &mut self.changes[ordinal as usize].record
    }

    pub(crate) fn tally(&mut self, wave: usize, set: impl FnOnce(&mut Tally)) {
        let mut tallies = self.rollout.tallies.to_vec();
        set(&mut tallies[wave]);
        self.rollout.tallies = tallies.into();
    }

    /// Shows that a PUT leaves.
    pub(super) fn switches(
        &self,
        promise: &mut dyn Invariant,
        ordinal: u32,
        at: Timestamp,
    ) -> Result<(), String> {
        let stored = &self.changes[ordinal as usize];
        let call = Call::Submit { target: stored.target.clone(), ssl_option: true };
        let times = Times { wall: at, boot: Duration::ZERO };
        let stored = Some((stored, &self.rollout));
        promise.see(&Observation::Leaves(&Departure {
            ticket: 1,
            id: stored.map(|(change, _)| change.id),
            call: &call,
            at,
            times,
            stored,
        }))
    }

    /// Shows that a commit moved this change to this state.
    pub(super) fn commits(
        &self,
        promise: &mut dyn Invariant,
        ordinal: u32,
        state: State,
    ) -> Result<(), String> {
        let jobs =
            if let State::Following { job } = &state { vec![job.clone()] } else { Vec::new() };
        self.keeps(promise, ordinal, Record { state, jobs, version: 1, ..Record::queued() })
    }

    /// Shows that a commit gave this change this record.
    pub(super) fn keeps(
        &self,
        promise: &mut dyn Invariant,
        ordinal: u32,
        record: Record,
    ) -> Result<(), String> {
        self.commit(promise, None, vec![(ordinal, record, "")])
    }

    /// Shows a commit that moves the rollout, if it does, and these changes.
    pub(super) fn commit(
        &self,
        promise: &mut dyn Invariant,
        moves: Option<RolloutMove>,
        records: Vec<(u32, Record, &str)>,
    ) -> Result<(), String> {
        let moved = |(ordinal, record, why): (u32, Record, &str)| ChangeMove {
            ordinal,
            version: 0,
            record,
            due: None,
            why: why.to_owned(),
            call: None,
            answer: None,
            by: None,
        };
        let commit = Commit {
            at: after(0),
            rollout: self.rollout.id,
            version: 0,
            releases: None,
            moves,
            changes: records.into_iter().map(moved).collect(),
            durability: Durability::Ordered,
        };
        promise.see(&Observation::Committed { commit: &commit, rollout: &self.rollout })
    }

    pub(super) fn end(&mut self, promise: &mut dyn Invariant) -> Result<(), String> {
        self.clouds.settle();
        let Self { scenario, rollout, changes, clouds } = self;
        promise.see(&Observation::Ended(&RunEnd {
            plan: &scenario.plan,
            rollout,
            changes,
            clouds: clouds.by_lane(),
        }))
    }
}
