//! The daemon: the shipped core, and what a shell does around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use sealift::domain::id::ChangeId;
use sealift::domain::rollout::Record;
use sealift::engine::{
    CommandError, Core, Effect, Fence, Input, Level, Options, TAKE_OVER_MAX, Ticket,
};
use sealift::rehearse::observation::Observation;
use sealift::store::{Commit, DuePlace, Store};

use super::store_side::StoreAsked;
use super::{MS, Nanos, S, SimEvent, SimWorld};
use crate::oracle::SeenFact;
use crate::planted::Planted;
use crate::scenario::{CALL_TIMEOUT, STUCK_COMMIT};
use crate::setting;

/// The daemon of the run, alive or not.
#[derive(Default)]
pub(super) struct SimDaemon {
    pub(super) core: Option<Core>,
    /// What became of the rollout's record by commits whose answer the core does not have yet.
    pub(super) unanswered: BTreeMap<Ticket, Record>,
    /// What it leaves when it crashes, as its file has it.
    pub(super) levels: Vec<Level>,
    pub(super) fence: Arc<Fence>,
    /// Raised by every crash: what belongs to an earlier life reaches nobody.
    pub(super) life: u32,
    pub(super) wake: Option<Nanos>,
    /// Calls that have been neither answered nor given up, each with the change that it is made
    /// for.
    pub(super) out: BTreeMap<Ticket, ChangeId>,
    /// Its host stands still until then.
    pub(super) frozen_until: Nanos,
}

impl SimWorld {
    pub(super) fn start(&mut self) {
        if self.daemon.core.is_some() {
            return;
        }
        // A store that is away is not opened.
        let thaw = self.daemon.frozen_until.max(self.away_until);
        if thaw > self.now {
            return self.push(thaw - self.now, SimEvent::Start);
        }
        let first = self.daemon.life == 0;
        let options = Options {
            lanes: vec![setting::lane(&self.scenario, self.planted)],
            quota_spent: !first && self.planted != Planted::FullPermitsAfterRestart,
            levels: match self.planted {
                Planted::FullPermitsAfterRestart => Vec::new(),
                _ => self.daemon.levels.clone(),
            },
        };
        let core = Core::new(options, self.times());
        self.daemon.fence = core.fence();
        if self.planted != Planted::StopFileNotLookedAt && !self.is_blind_to_stop() {
            let stop = Arc::clone(&self.stop);
            core.fence().look_for_stop(Box::new(move || {
                setting::stop_file(stop.lock().expect("one thread").clone())
            }));
        }
        self.daemon.core = Some(core);
        let (oracle, around) = self.watch();
        oracle.started(&around);
        let life = self.daemon.life;
        self.tell_stop(life);
        if self.planted != Planted::LanePauseForgottenAtRestart {
            self.tell_lane();
        }
        if self.planted != Planted::StopForgottenAtRestart {
            self.tell_stopped();
        }
        self.feed(Input::Tick);
    }

    pub(super) fn crash(&mut self, landed: Option<Commit>) {
        if self.daemon.core.is_none() {
            return;
        }
        self.fire("crash");
        self.take_counters();
        let state = &mut self.daemon;
        state.core = None;
        state.life += 1;
        state.wake = None;
        state.out.clear();
        state.unanswered.clear();
        self.verbs_out.clear();
        // Whoever asked a daemon that dies sees the connection close.
        self.asks_out.clear();
        self.windows_forgotten = true;
        let (oracle, around) = self.watch();
        oracle.observe(&Observation::Died, &around);
        if landed.is_none() {
            self.lose_unsynced();
        }
        if let Some(commit) = landed {
            // It stands behind all earlier ones in the journal. It may be refused, as it may be for
            // a live daemon.
            self.fire("landed_unseen");
            let _ = self.commit_now(commit);
        }
        self.synced = self.log.len();
        // As often as not a supervisor starts it again at once.
        let away = if self.rng.bool() { 300 * MS } else { self.scenario.down_for * S };
        let rest = self.rng.u64(0..away);
        self.push(rest, SimEvent::Start);
    }

    pub(super) fn freeze(&mut self, until: Nanos) {
        if self.daemon.core.is_some() && !self.calm {
            self.fire("freeze");
            let thaw = &mut self.daemon.frozen_until;
            *thaw = until.max(*thaw);
            self.oracle.see(SeenFact::Disturbed { now: until });
        }
    }

    /// What the core has counted so far is counted for the run.
    pub(super) fn take_counters(&mut self) {
        if let Some(core) = &self.daemon.core {
            for (word, count) in core.counters() {
                *self.fired.entry(word).or_insert(0) += count;
            }
        }
    }

    pub(super) fn feed(&mut self, input: Input) {
        let times = self.times();
        if let Input::Committed { ticket, result: Ok(()) } = &input
            && let Some(record) = self.daemon.unanswered.remove(ticket)
        {
            let (oracle, around) = self.watch();
            oracle.observe(&Observation::Learnt(&record), &around);
        }
        let SimDaemon { core: Some(core), levels: kept, .. } = &mut self.daemon else { return };
        if self.traced {
            println!("{:>12.6} < {input:?}", self.now as f64 / S as f64);
        }
        let mut effects = Vec::new();
        core.step(times, input, &mut effects);
        if let Some(levels) = core.levels_to_keep() {
            *kept = levels;
        }
        let ahead = core.next_wake().map(|wake| wake.saturating_sub(times.boot));
        let late = if self.planted == Planted::WakesLate { 60 * S } else { 0 };
        let wake = ahead
            .map(|ahead| self.now + late + u64::try_from(ahead.as_nanos()).expect("a short run"));
        for effect in effects {
            if self.traced {
                println!("{:>12.6} > {effect:?}", self.now as f64 / S as f64);
            }
            self.perform(effect);
        }
        let state = &mut self.daemon;
        if let Some(wake) = wake
            && state.core.is_some()
            && state.wake.is_none_or(|was| wake < was)
        {
            state.wake = Some(wake);
            let life = state.life;
            let after = wake - self.now;
            self.push(after, SimEvent::Wake { life, at: wake });
        }
    }

    pub(super) fn push_input(&mut self, after: Nanos, input: Input) {
        let life = self.daemon.life;
        self.push(after, SimEvent::Feed { life, input: Box::new(input) });
    }

    fn perform(&mut self, effect: Effect) {
        let life = self.daemon.life;
        match effect {
            Effect::Scan { until, after } => {
                self.ask_store(StoreAsked::Scan { until, after });
            }
            Effect::Read { ticket, query } => self.ask_store(StoreAsked::Read { ticket, query }),
            Effect::Commit { ticket, commit } => {
                let mut wait = self.rng.u64(0..3 * MS);
                if self.planted == Planted::JobIdUsedBeforeSaved
                    && commit
                        .changes
                        .iter()
                        .any(|change| change.record.state.as_str() == "following")
                {
                    // The core is told that the job id is saved long before it is.
                    self.push_input(0, Input::Committed { ticket, result: Ok(()) });
                    wait += 3 * S;
                }
                if self.rng.f64() < self.scenario.slow_path {
                    wait += self.rng.u64(0..500 * MS);
                }
                if self.rng.f64() < self.scenario.stuck_store {
                    self.fire("stuck_commit");
                    wait += self.rng.u64(0..STUCK_COMMIT.as_nanos() as u64);
                }
                self.push(wait, SimEvent::Apply { life, ticket, commit });
            }
            Effect::Call { ticket, call, check } => {
                self.calls += 1;
                let number = self.calls;
                self.daemon.out.extend(self.oracle.id_of(&call).map(|id| (ticket, id)));
                let mut wait = self.rng.u64(0..20 * MS);
                if self.rng.f64() < self.scenario.slow_path {
                    // A quarter of them within their deadline, and as many long after it.
                    wait = if self.rng.bool() {
                        self.rng.u64(0..10 * S)
                    } else {
                        self.rng.u64(0..20 * S)
                    };
                    self.fire("slow_to_wire");
                }
                if self.planted == Planted::DoubtTimedFromDecision {
                    self.push_no_answer(CALL_TIMEOUT.as_nanos() as u64, life, ticket, number);
                }
                self.push(
                    wait,
                    SimEvent::Wire { life, ticket, number, call: Box::new((call, check)) },
                );
            }
            Effect::Probe { ticket, id, endpoint, .. } => self.probe(ticket, id, endpoint),
            Effect::Ask { ticket, call, deadline } => self.ask(ticket, call, deadline),
            Effect::Told { id, result } => self.told(id, &result),
            Effect::Reply { id, result } => {
                let Some(verb) = self.verbs_out.remove(&id) else { return };
                self.oracle.see(SeenFact::VerbAnswered { id });
                match result {
                    Err(CommandError::Away(_)) => self.fire("verb_refused_away"),
                    Err(CommandError::NotKnown(_)) => self.fire("verb_not_known"),
                    Ok(_) => {
                        self.fire("verb_acknowledged");
                        self.oracle.see(SeenFact::Acknowledged { verb });
                    }
                    Err(_) => self.fire("verb_refused"),
                }
            }
            Effect::Fail(why) => self.oracle.violate(&format!("the core gave up: {why}")),
        }
    }

    /// What may be taken over, as a planted bug tells it.
    pub(super) fn due(
        &self,
        until: Timestamp,
        after: Option<DuePlace>,
    ) -> Vec<sealift::store::Active> {
        let until = if self.planted == Planted::NothingTakenOver { Timestamp::MIN } else { until };
        self.store.due(until, after, TAKE_OVER_MAX).now_or_never().expect("ready").expect("memory")
    }
}
