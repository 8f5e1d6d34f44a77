//! The store's side of the run: what is applied, what a crash loses, and what the planted bugs make
//! of both.

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::change::{Change, How, State};
use sealift::domain::plan::{Plan, Promote};
use sealift::domain::rollout::Phase;
use sealift::domain::tally::Tally;
use sealift::domain::target::Target;
use sealift::domain::window_log::WindowLog;
use sealift::engine::{Input, StoreAnswer, StoreQuery, Ticket};
use sealift::store::memory::MemoryStore;
use sealift::store::{Active, Commit, CommitError, DuePlace, Durability, Rollout, Store};

use super::{Kill, MS, Nanos, SimEvent, SimWorld};
use crate::oracle::SeenFact;
use crate::planted::Planted;

/// What the core reads.
pub(in crate::world) enum StoreAsked {
    Scan { until: Timestamp, after: Option<DuePlace> },
    Read { ticket: Ticket, query: StoreQuery },
}

impl SimWorld {
    /// The store is asked: it answers at once, or what it shows is of some instant between question
    /// and answer.
    pub(super) fn ask_store(&mut self, asked: StoreAsked) {
        let longest = self.scenario.read_ms * MS;
        if (longest == 0 || self.calm) && self.away_until <= self.now {
            let answer = self.store_answer(asked);
            return self.push_input(0, answer);
        }
        let (there, back) = if longest == 0 {
            (0, 0)
        } else {
            self.fire("slow_read");
            (self.reads.u64(0..longest), self.reads.u64(0..longest))
        };
        let life = self.daemon.life;
        self.push(there, SimEvent::StoreAsked { life, asked: Box::new(asked), back });
    }

    pub(super) fn store_asked(&mut self, life: u32, asked: StoreAsked, back: Nanos) {
        if self.daemon.life == life {
            let answer = self.store_answer(asked);
            self.push(back, SimEvent::StoreSays { life, input: Box::new(answer) });
        }
    }

    fn store_answer(&self, asked: StoreAsked) -> Input {
        match asked {
            StoreAsked::Scan { until, after } => {
                let (open, due) = self.scan(until, after);
                Input::Scanned { open, due }
            }
            StoreAsked::Read { ticket, query } => {
                Input::Read { ticket, found: Box::new(self.read(query)) }
            }
        }
    }

    pub(super) fn apply(&mut self, life: u32, ticket: Ticket, commit: Commit) {
        if self.daemon.life != life {
            // It was on its way when its daemon died.
            return self.fire("write_lost");
        }
        self.commits += 1;
        let number = self.commits;
        if self.killed(Kill::Commit { number, landed: false }) {
            return self.crash(None);
        }
        if self.killed(Kill::Commit { number, landed: true }) {
            return self.crash(Some(commit));
        }
        let durability = commit.durability;
        let moved = commit.moves.as_ref().map(|moves| moves.record.clone());
        let result = self.commit_now(commit);
        if result.is_ok()
            && let Some(record) = moved
        {
            self.daemon.unanswered.insert(ticket, record);
        }
        if matches!(result, Err(CommitError::Conflict)) {
            self.fire("store_conflict");
        }
        // All that stands before it in the journal is synced with it.
        if durability == Durability::Synced {
            self.synced = self.log.len();
        }
        let wait = self.rng.u64(0..3 * MS);
        let input = Box::new(Input::Committed { ticket, result });
        self.push(wait, SimEvent::StoreSays { life, input });
    }

    pub(super) fn commit_now(&mut self, commit: Commit) -> Result<(), CommitError> {
        let result = self.store.commit(commit.clone()).now_or_never().expect("ready");
        if result.is_ok() {
            // What it goes on from is in the store now.
            self.windows_forgotten &= commit.moves.is_none();
            let (oracle, around) = self.watch();
            oracle.committed(&commit, &around);
            self.log.push(commit);
        }
        result
    }

    /// What was not synced may be gone, from some point on.
    pub(super) fn lose_unsynced(&mut self) {
        let least = if self.planted == Planted::SyncedIsNotSynced { 0 } else { self.synced };
        let kept = self.rng.usize(least..=self.log.len());
        if kept == self.log.len() {
            return;
        }
        self.fire("unsynced_lost");
        if self.planted == Planted::LogWithHoles {
            self.log.remove(kept);
        } else {
            self.log.truncate(kept);
        }
        let store = MemoryStore::new();
        store.submit(self.submission.clone()).now_or_never().expect("ready").expect("taken before");
        for commit in &self.log {
            let applied = store.commit(commit.clone()).now_or_never().expect("ready");
            assert!(
                applied.is_ok() || self.planted != Planted::Nothing,
                "what was applied once is applied again"
            );
        }
        self.store = store;
        self.oracle.see(SeenFact::Rebuilt);
    }

    pub(super) fn scan(
        &self,
        until: Timestamp,
        after: Option<DuePlace>,
    ) -> (Vec<Rollout>, Vec<Active>) {
        let open = self.store.open_rollouts().now_or_never().expect("ready").expect("memory");
        let open = open.into_iter().map(|rollout| self.told_rollout(rollout)).collect();
        let due =
            self.due(until, after).into_iter().map(|active| self.told_change(active)).collect();
        (open, due)
    }

    pub(super) fn read(&self, query: StoreQuery) -> StoreAnswer {
        let store = &self.store;
        match query {
            StoreQuery::Rollout(id) => {
                let rollout = store.rollout(id).now_or_never().expect("ready").expect("memory");
                StoreAnswer::Rollout(rollout.map(|rollout| self.told_rollout(rollout).into()))
            }
            StoreQuery::Candidates { rollout, limit, .. } if self.puts_first_wave_back() => {
                StoreAnswer::Candidates(
                    store
                        .candidates(rollout, 0, limit)
                        .now_or_never()
                        .expect("ready")
                        .expect("memory"),
                )
            }
            StoreQuery::Candidates { rollout, wave, limit } => {
                let wave = if self.planted == Planted::LaterWavesOffered {
                    self.scenario.waves.len() as u16 - 1
                } else {
                    wave
                };
                let mut found = store
                    .candidates(rollout, wave, limit)
                    .now_or_never()
                    .expect("ready")
                    .expect("memory");
                if self.planted == Planted::FullGroupHoldsTheRest
                    && let Some(first) = self.first_of_full_group()
                {
                    found.free.retain(|change| change.id.ordinal < first);
                    found.passed.retain(|passed| passed.change.id.ordinal < first);
                    found.cursor = found.cursor.min(first.max(self.read_rollout().record.cursor));
                }
                StoreAnswer::Candidates(found)
            }
            StoreQuery::Stored { rollout, words, places, limit } => {
                // Whoever offers the wrong wave first has marked all of them.
                let places = if self.puts_first_wave_back() && words.contains(&"succeeded") {
                    0..u32::MAX
                } else {
                    places
                };
                let found = store
                    .stored(rollout, words, places, limit)
                    .now_or_never()
                    .expect("ready")
                    .expect("memory");
                StoreAnswer::Stored(
                    found.into_iter().map(|change| self.told_success(change)).collect(),
                )
            }
            StoreQuery::Change(id) => {
                let change = store.change(id).now_or_never().expect("ready").expect("memory");
                let rollout =
                    store.rollout(id.rollout).now_or_never().expect("ready").expect("memory");
                let told = change
                    .zip(rollout)
                    .map(|(active, rollout)| Box::new((active, self.told_rollout(rollout))));
                StoreAnswer::Change(told)
            }
            StoreQuery::KnownJobs(_) if self.planted == Planted::KnownJobsForgotten => {
                StoreAnswer::KnownJobs(Vec::new())
            }
            StoreQuery::KnownJobs(instance) => StoreAnswer::KnownJobs(
                store.known_jobs(&instance).now_or_never().expect("ready").expect("memory"),
            ),
        }
    }

    fn restarted(&self) -> bool {
        self.daemon.life > 0
    }

    /// A rollout as the core gets it.
    fn told_rollout(&self, mut rollout: Rollout) -> Rollout {
        match self.planted {
            Planted::FailuresForgottenAtRestart if self.restarted() => {
                tell(&mut rollout, |tally| Tally {
                    failed: 0,
                    in_doubt: 0,
                    succeeded: tally.succeeded + tally.failures(),
                    ..tally
                })
            }
            Planted::InFlightToldTooLow => tell(&mut rollout, |tally| Tally {
                active: 0,
                queued: tally.queued + tally.active,
                ..tally
            }),
            Planted::FailuresCountedTwice => tell(&mut rollout, |tally| {
                let more = tally.failed.min(tally.succeeded);
                Tally { failed: tally.failed + more, succeeded: tally.succeeded - more, ..tally }
            }),
            Planted::HalfFailedNotTold if !rollout.record.is_withdrawn() => {
                tell(&mut rollout, |tally| {
                    let done =
                        tally.queued + tally.active == 0 && tally.failures() * 2 >= tally.total();
                    if done {
                        Tally {
                            failed: 0,
                            in_doubt: 0,
                            skipped: tally.skipped + tally.failures(),
                            ..tally
                        }
                    } else {
                        tally
                    }
                })
            }
            Planted::PauseForgottenAtRestart if self.restarted() => rollout.record.paused = None,
            Planted::WindowsForgottenAtRestart if self.windows_forgotten => {
                rollout.record.windows = WindowLog::default()
            }
            Planted::PauseEndForgottenAtRestart if self.restarted() => {
                rollout.record.paused_until = None
            }
            Planted::PauseEndsEarly => {
                let early = |until: Timestamp| until - std::time::Duration::from_secs(60);
                rollout.record.paused_until = rollout.record.paused_until.map(early);
            }
            Planted::WireNotAsked => {
                let plan = Plan { wire: None, ..Plan::clone(&rollout.plan) };
                rollout.plan = plan.into();
            }
            Planted::ApprovalsNotAsked => {
                let mut plan = Plan::clone(&rollout.plan);
                plan.approval.required = 0;
                rollout.plan = plan.into();
            }
            Planted::NewerWavesNotPutBack => {
                if let Phase::Reverting(revert) = &mut rollout.record.phase {
                    revert.wave = 0;
                }
            }
            Planted::RevertFailuresNotTold if rollout.record.revert().is_some() => {
                tell(&mut rollout, |tally| Tally {
                    failed: 0,
                    in_doubt: 0,
                    skipped: tally.skipped + tally.failures(),
                    ..tally
                })
            }
            Planted::PlanReadAnew => {
                let mut plan = Plan::clone(&rollout.plan);
                for wave in &mut plan.strategy.waves {
                    wave.soak_ms = 0;
                    wave.promote = Promote::Auto;
                }
                rollout.plan = plan.into();
            }
            _ => {}
        }
        rollout
    }

    /// The first queued change whose group is full.
    fn first_of_full_group(&self) -> Option<u32> {
        let queued = self
            .store
            .page(self.rollout, vec!["queued".into()], None, usize::MAX)
            .now_or_never()
            .expect("ready");
        let full = |target: &Target| {
            self.store
                .full_group(self.rollout, target)
                .now_or_never()
                .expect("ready")
                .expect("memory")
        };
        let first = queued
            .expect("memory")
            .changes
            .into_iter()
            .find(|active| full(&active.change.target).is_some());
        first.map(|active| active.change.id.ordinal)
    }

    fn puts_first_wave_back(&self) -> bool {
        self.planted == Planted::FirstWavePutBackFirst
            && self.read_rollout().record.revert().is_some()
    }

    /// A change that a revert may mark.
    fn told_success(&self, mut change: Change) -> Change {
        if self.planted == Planted::AllSuccessIsSwitched
            && matches!(change.record.state, State::Succeeded { .. })
        {
            change.record.state = State::Succeeded { how: How::Switched };
            change.record.before = Some(false);
        }
        change
    }

    /// A change as the core gets it when it takes one over.
    fn told_change(&self, mut active: Active) -> Active {
        if self.planted == Planted::AttemptsForgottenAtRestart && self.restarted() {
            active.change.record.attempts = 0;
        }
        if self.planted == Planted::PresumedForgotten {
            active.change.record.presumed = None;
        }
        active
    }
}

fn tell(rollout: &mut Rollout, told: impl Fn(Tally) -> Tally) {
    rollout.tallies = rollout.tallies.iter().map(|tally| told(*tally)).collect();
}
