//! What happens in a run of the shell, and when: drawn from the seed, then played on the paused
//! clock.

use std::sync::Arc;

use fastrand::Rng;
use futures_util::FutureExt;
use sealift::domain::rollout::Verb;
use sealift::simcloud::faults::{Faults, Rate};
use sealift::simcloud::model::Model;
use sealift::store::Store;
use tokio::sync::Mutex;
use tokio::time::{Duration, sleep, timeout};

use super::bed::{RuntimeFixture, State};
use super::engine::{ANSWERED_WITHIN, Engine, operate};
use super::planted::RuntimeBug;
use super::{RunShared, RuntimeOutcome, outcomes};
use crate::oracle::{Oracle, SeenFact};
use crate::planted::Planted;
use crate::scenario::DrawnScenario;
use crate::setting;
use crate::tally::RunTally;
use crate::world::{END_WITHIN, MS, Nanos, S, draw_verb, start, verb_of_a_person};

/// How often what must hold at every instant is looked at, and whether the run is over.
const LOOK_EVERY: Nanos = 500 * MS;
/// Longest time for which nobody runs after a drain.
const DOWN_MAX: Nanos = 20 * S;

#[derive(Debug)]
enum Act {
    Verb(Verb),
    /// A drain, a time without an engine, a new start; and a verb that may still meet the old one.
    Restart {
        down: Duration,
        last_words: Option<Verb>,
    },
    StopFile(Option<String>),
    Calm,
}

pub struct RuntimeScript {
    pub(super) shared: RunShared,
    rng: Rng,
    pub(super) submission: sealift::store::Submission,
    acts: Vec<(Nanos, Act)>,
    desk: Arc<Mutex<()>>,
    verbs: u64,
    stop: Option<String>,
    person_at: Nanos,
}

fn scenario(seed: u64, rng: &mut Rng) -> DrawnScenario {
    let drawn = DrawnScenario::draw(seed);
    let proxies = rng.usize(10..=60);
    let mut waves = Vec::new();
    let mut left = proxies as u32;
    while left > 0 {
        let size = if waves.len() == 3 { left } else { rng.u32(1..=left) };
        waves.push(size);
        left -= size;
    }
    let max_failures = rng.u32(2..=20);
    DrawnScenario {
        proxies,
        instances: rng.usize(proxies.div_ceil(4)..=proxies),
        waves,
        max_in_flight: rng.u32(2..=16),
        lane_in_flight: rng.u32(2..=16),
        max_failures,
        wave_failures: rng.u32(1..=max_failures),
        crash_every: 0,
        freezes: 0,
        stuck_store: 0.0,
        wall_jumps: 0,
        clock_ahead: 0,
        clock_steps: Vec::new(),
        verbs: rng.u32(1..8),
        calm_at: rng.u64(30..240),
        // So that how each proxy must end follows from our own doing alone.
        faults: Faults { foreign_change: Rate::NEVER, ..drawn.faults.clone() },
        ..drawn
    }
}

impl RuntimeScript {
    pub fn new(seed: u64, planted: RuntimeBug, told: bool) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5ea1_5e11);
        let scenario = scenario(seed, &mut rng);
        if told {
            println!("{scenario:#?}");
        }
        let fleet = setting::fleet(&scenario);
        let submission = setting::submission(&scenario, &fleet, start(), Planted::Nothing);
        let rollout = submission.id();
        let oracle = Oracle::new(&scenario, &submission, rollout, &fleet);
        let cloud = Model::new(&fleet, scenario.faults.clone(), seed, start());
        let acts = draw_acts(&scenario, &mut rng);
        let shared = Arc::new(RuntimeFixture::new(scenario, planted, rollout, oracle, cloud, told));
        Self {
            shared,
            rng,
            submission,
            acts,
            desk: Arc::default(),
            verbs: 0,
            stop: None,
            person_at: 0,
        }
    }

    pub async fn run(mut self) -> RuntimeOutcome {
        let shared = RunShared::clone(&self.shared);
        let mut engine = Engine::start(&shared, None).await;
        match timeout(ANSWERED_WITHIN, engine.handle.submit(self.submission.clone())).await {
            Ok(Ok(submitted)) if submitted.new && submitted.id == shared.rollout => {}
            other => shared.violate(&format!("the submission was answered with {other:?}")),
        }
        let last = (shared.scenario.calm_at + END_WITHIN) * S;
        let mut ended = false;
        while !shared.is_violated() && !ended && shared.now() < last {
            let now = shared.now();
            let next = self.acts.last().map_or(Nanos::MAX, |(at, _)| *at).min(now + LOOK_EVERY);
            sleep(Duration::from_nanos(next.saturating_sub(now))).await;
            if let Some((_, act)) = self.acts.pop_if(|(at, _)| *at <= shared.now()) {
                engine = self.act(act, engine).await;
            }
            self.look();
            if engine.has_ended() {
                shared.violate("the engine ended by itself");
            }
            let calm = shared.state().calm;
            ended = calm && self.is_over(&engine);
        }
        if ended {
            engine.drain(&shared).await;
        } else if !shared.is_violated() {
            let rollout = shared.read_rollout();
            shared.violate(&format!(
                "no end within {END_WITHIN} s after the calm: {:?} {:?}",
                rollout.record,
                rollout.total()
            ));
        }
        self.finish()
    }

    fn look(&self) {
        let (now, times) = (self.shared.now(), self.shared.times());
        self.shared.state().oracle.instant(now, &times, &self.shared.store);
    }

    async fn act(&mut self, act: Act, engine: Engine) -> Engine {
        let shared = RunShared::clone(&self.shared);
        shared.tell(|| format!("{act:?}"));
        match act {
            Act::Verb(verb) => self.ask(&engine, verb),
            Act::StopFile(text) => self.stop_file(&engine, text).await,
            Act::Calm => {
                let mut state = shared.state();
                state.calm = true;
                let quiet = setting::calm(state.cloud.faults());
                state.cloud.set_faults(quiet);
            }
            Act::Restart { down, last_words } => {
                shared.fire("restart");
                if let Some(verb) = last_words {
                    self.ask(&engine, verb);
                    // Just long enough for the operator to speak first.
                    tokio::task::yield_now().await;
                }
                engine.drain(&shared).await;
                sleep(down).await;
                let now = shared.now();
                shared.see(SeenFact::Disturbed { now });
                return Engine::start(&shared, self.stop.clone()).await;
            }
        }
        engine
    }

    fn ask(&mut self, engine: &Engine, verb: Verb) {
        self.verbs += 1;
        self.shared.state().asked += 1;
        tokio::spawn(operate(
            RunShared::clone(&self.shared),
            Arc::clone(&self.desk),
            engine.handle.clone(),
            self.verbs,
            verb,
        ));
    }

    /// The file counts from when the engine shows that it knows of it, and no longer from when it
    /// is taken away.
    async fn stop_file(&mut self, engine: &Engine, text: Option<String>) {
        let shared = &self.shared;
        shared.fire("stop_file");
        let stands = text.is_some();
        if !stands {
            shared.see(SeenFact::Stopped { stands });
        }
        self.stop.clone_from(&text);
        engine.handle.stop_file(setting::stop_file(text)).await;
        let mut snapshot = engine.handle.snapshot();
        let shown = timeout(
            ANSWERED_WITHIN,
            snapshot.wait_for(|snapshot| snapshot.stop.stands() == stands),
        )
        .await
        .is_ok();
        if !shown {
            shared.violate(
                "the engine does not show within a second what became of the kill-switch file",
            );
        }
        if stands {
            shared.see(SeenFact::Stopped { stands });
        }
        let now = shared.now();
        shared.see(SeenFact::Disturbed { now });
    }

    /// Whether the run is at its end; sends a person when nobody else can move it any more.
    fn is_over(&mut self, engine: &Engine) -> bool {
        let rollout = self.shared.read_rollout();
        let idle = rollout.total().active == 0 && self.shared.state().asked == 0;
        if rollout.record.phase.is_final() {
            return idle && rollout.total().queued == 0;
        }
        let now = self.shared.now();
        if idle && now >= self.person_at {
            self.person_at = now + 5 * S;
            if let Some(verb) = verb_of_a_person(&rollout, &mut self.rng) {
                self.ask(engine, verb);
            }
        }
        false
    }

    fn finish(self) -> RuntimeOutcome {
        let shared = &self.shared;
        let entries = shared
            .store
            .journal(None, 0, usize::MAX)
            .now_or_never()
            .expect("ready")
            .expect("memory");
        let now = shared.now();
        shared.state().cloud.advance(shared.times().wall);
        if !shared.is_violated() {
            shared.observe(|oracle, around| oracle.end(&entries, around));
            let State { oracle, cloud, .. } = &mut *shared.state();
            for what in outcomes::dishonest(shared, cloud) {
                oracle.violate(&what);
            }
        }
        let mut state = shared.state();
        for (word, count) in state.cloud.fired() {
            *state.fired.entry(word).or_insert(0) += count;
        }
        let journal = entries
            .iter()
            .map(|entry| serde_json::to_string(entry).expect("an entry is JSON"))
            .collect::<Vec<_>>()
            .join("\n");
        let violations = std::mem::take(&mut state.oracle.violations);
        RuntimeOutcome {
            met: RunTally { violations, fired: std::mem::take(&mut state.fired), seconds: now / S },
            journal,
        }
    }
}

fn draw_acts(scenario: &DrawnScenario, rng: &mut Rng) -> Vec<(Nanos, Act)> {
    let calm_at = scenario.calm_at * S;
    let mut acts = vec![(calm_at, Act::Calm)];
    for _ in 0..scenario.verbs {
        acts.push((rng.u64(2 * S..calm_at), Act::Verb(draw_verb(rng))));
    }
    for _ in 0..rng.u32(1..=2) {
        let down = Duration::from_nanos(rng.u64(0..DOWN_MAX));
        let last_words = rng.bool().then(|| draw_verb(rng));
        // Early on, when most is out.
        acts.push((rng.u64(2 * S..calm_at.min(60 * S)), Act::Restart { down, last_words }));
    }
    if scenario.stop_file {
        let at = rng.u64(2 * S..calm_at);
        acts.push((at, Act::StopFile(Some("drill".into()))));
        acts.push((rng.u64(at..=calm_at), Act::StopFile(None)));
    }
    acts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    acts
}
