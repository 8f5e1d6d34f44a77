//! The shell around the core: one task that performs effects and feeds the answers back.
//!
//! Invariant: the core is touched by this task alone, and its loop waits for neither cloud nor
//! store: every call runs in a task of its own, and what the store does not answer at once comes
//! back as an input, so that a slow read holds up nothing but what asked for it. Commits go to the
//! store in the order of their decisions. What is awaited in place is the one small file of
//! [`KeepLevels`], which must be written before anything leaves.
//!
//! Deliberately not here: decisions, and any retry. A store that is out of order ends the loop with
//! the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, TryFutureExt, pending};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot, watch};

use super::core::{Core, Options, TAKE_OVER_MAX};
use super::effect::{Effect, Input, StoreAnswer, StoreQuery};
use super::fence::Fence;
use super::handle::{
    Acknowledged, AskError, CommandError, EngineRequest, Handle, REQUESTS_MAX, Snapshot,
    UnservedLane,
};
use super::lane::Level;
use super::mark::KeepLevels;
use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::domain::call::Reply;
use crate::domain::quota::Boot;
use crate::probe::Probe;
use crate::store::{Away, DuePlace, Store, SubmitError, Unavailable};

/// Answers that may wait for the core. Senders wait for a place, so a full channel slows calls and
/// loses nothing.
const ANSWERS_MAX: usize = 1024;

/// Answers taken in one pass, so that requests and timers get their turn.
const ANSWERS_A_PASS: usize = 256;

/// How often the snapshot is renewed while passes follow each other closely.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(20);

/// Longest sleep of the loop; the timers of the core are closer as a rule.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Starts an engine; the future runs it until it is drained or the store fails, and must be polled.
/// It gives what the lanes have used and learnt, for [`Options::levels`] of the next one; `levels`
/// keeps what there is of it after a kill.
pub fn start(
    store: Arc<dyn Store>,
    cloud: Arc<dyn Cloud>,
    probe: Arc<dyn Probe>,
    clock: Arc<dyn Clock>,
    levels: Arc<dyn KeepLevels>,
    options: Options,
) -> (Handle, impl Future<Output = Result<Vec<Level>, Unavailable>> + Send + use<>) {
    let core = Core::new(options, clock.times());
    start_core(store, cloud, probe, clock, levels, core)
}

/// The same for one of several daemons over one store: no lane is its own before
/// [`Handle::keep`] says so.
pub fn start_beside_others(
    store: Arc<dyn Store>,
    cloud: Arc<dyn Cloud>,
    probe: Arc<dyn Probe>,
    clock: Arc<dyn Clock>,
    levels: Arc<dyn KeepLevels>,
    options: Options,
) -> (Handle, impl Future<Output = Result<Vec<Level>, Unavailable>> + Send + use<>) {
    let core = Core::beside_others(options, clock.times());
    start_core(store, cloud, probe, clock, levels, core)
}

fn start_core(
    store: Arc<dyn Store>,
    cloud: Arc<dyn Cloud>,
    probe: Arc<dyn Probe>,
    clock: Arc<dyn Clock>,
    levels: Arc<dyn KeepLevels>,
    core: Core,
) -> (Handle, impl Future<Output = Result<Vec<Level>, Unavailable>> + Send + use<>) {
    let (requests, received) = mpsc::channel(REQUESTS_MAX);
    let (publish, snapshot) = watch::channel(Arc::new(core.snapshot(0)));
    let fence = core.fence();
    let (answers, inputs) = mpsc::channel(ANSWERS_MAX);
    let away = store.away();
    let shell = Runtime {
        fence: Arc::clone(&fence),
        core,
        store,
        away,
        cloud,
        probe,
        clock,
        levels,
        answers,
        asked: FuturesUnordered::new(),
        waiting: BTreeMap::new(),
        asking: BTreeMap::new(),
        next_reply: 1,
        publish,
        published: Duration::ZERO,
        passes: 0,
        draining: false,
        warned: BTreeSet::new(),
    };
    (Handle { fence, requests, snapshot }, shell.run(received, inputs))
}

struct Runtime {
    core: Core,
    fence: Arc<Fence>,
    store: Arc<dyn Store>,
    /// Whether the store is away.
    away: watch::Receiver<Option<Away>>,
    cloud: Arc<dyn Cloud>,
    probe: Arc<dyn Probe>,
    clock: Arc<dyn Clock>,
    levels: Arc<dyn KeepLevels>,
    answers: mpsc::Sender<Input>,
    /// What the store was asked and has not answered: commits that wait for the disk, and reads. No
    /// more than there is work in hand.
    asked: FuturesUnordered<BoxFuture<'static, Result<Input, Unavailable>>>,
    waiting: BTreeMap<u64, oneshot::Sender<Result<Acknowledged, CommandError>>>,
    /// People who asked the cloud something.
    asking: BTreeMap<u64, oneshot::Sender<Result<Reply, AskError>>>,
    next_reply: u64,
    publish: watch::Sender<Arc<Snapshot>>,
    published: Boot,
    passes: u64,
    draining: bool,
    /// What is unserved and was warned of.
    warned: BTreeSet<UnservedLane>,
}

impl Runtime {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<EngineRequest>,
        mut inputs: mpsc::Receiver<Input>,
    ) -> Result<Vec<Level>, Unavailable> {
        let away = self.away.borrow_and_update().clone();
        self.feed(vec![Input::StoreAway(away), Input::Tick]).await?;
        let mut listening = true;
        loop {
            if self.draining && self.core.is_quiet() {
                self.publish();
                return Ok(self.core.levels());
            }
            let sleep = tokio::time::sleep(self.idle());
            tokio::select! {
                biased;
                away = turned(&mut self.away) => {
                    match &away {
                        Some(Away { since, why }) => {
                            tracing::warn!(%since, why, "the store is away: nothing begins until it is back");
                        }
                        None => tracing::info!("the store is back"),
                    }
                    self.feed(vec![Input::StoreAway(away)]).await?;
                }
                request = requests.recv(), if listening => match request {
                    Some(request) => self.requested(request).await?,
                    // Nobody can ask for anything any more: as good as a drain.
                    None => {
                        listening = false;
                        self.drain().await?;
                    }
                },
                answered = self.asked.next(), if !self.asked.is_empty() => {
                    let mut came = Vec::from_iter(answered.transpose()?);
                    while came.len() < ANSWERS_A_PASS
                        && let Some(Some(answered)) = self.asked.next().now_or_never()
                    {
                        came.push(answered?);
                    }
                    self.feed(came).await?;
                }
                input = inputs.recv() => {
                    let mut came = Vec::from_iter(input);
                    while came.len() < ANSWERS_A_PASS && let Ok(input) = inputs.try_recv() {
                        came.push(input);
                    }
                    self.feed(came).await?;
                }
                () = sleep => self.feed(vec![Input::Tick]).await?,
            }
            self.passes += 1;
            self.publish_if_due();
        }
    }

    /// How long nothing needs to be done.
    fn idle(&self) -> Duration {
        let now = self.clock.times().boot;
        let timer = self.core.next_wake().map_or(SLEEP_MAX, |at| at.saturating_sub(now));
        let snapshot = (self.published + SNAPSHOT_EVERY).saturating_sub(now);
        let stale = self.publish.borrow().passes != self.passes;
        if stale { timer.min(snapshot).min(SLEEP_MAX) } else { timer.min(SLEEP_MAX) }
    }

    fn publish_if_due(&mut self) {
        if self.clock.times().boot >= self.published + SNAPSHOT_EVERY {
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.published = self.clock.times().boot;
        let passes = if self.core.is_ready() { self.passes } else { 0 };
        let snapshot = self.core.snapshot(passes);
        self.warn_of(&snapshot.unserved);
        // Nobody listening is fine: the next one that does gets the latest.
        self.publish.send_replace(Arc::new(snapshot));
    }

    /// Each once: `status` goes on telling it.
    fn warn_of(&mut self, unserved: &[UnservedLane]) {
        for one in unserved {
            if self.warned.contains(one) {
                continue;
            }
            let UnservedLane { rollout, lane, shares } = one;
            match shares {
                None => {
                    tracing::warn!(rollout = %rollout.short(), %lane, "the configuration has no such lane any more, and changes in hand need it; put it back and restart the daemon")
                }
                Some(first) => {
                    tracing::warn!(rollout = %rollout.short(), %lane, %first, "the lane reaches the same project as the first: its switches are held, what is out is followed")
                }
            }
            self.warned.insert(one.clone());
        }
        self.warned.retain(|one| unserved.contains(one));
    }

    async fn requested(&mut self, request: EngineRequest) -> Result<(), Unavailable> {
        match request {
            EngineRequest::Submit(submission, answer) => {
                if let Some(away) = self.away.borrow().clone() {
                    // The submitter may have gone.
                    let _ = answer.send(Err(SubmitError::Away(away)));
                    return Ok(());
                }
                let (store, answers) = (Arc::clone(&self.store), self.answers.clone());
                let mut away = self.away.clone();
                tokio::spawn(async move {
                    let mut submitted = store.submit(*submission);
                    let (result, answer) = tokio::select! {
                        biased;
                        result = &mut submitted => (result, Some(answer)),
                        why = Away::comes(&mut away) => {
                            // Who submits is told at once; what is on its way goes on.
                            let _ = answer.send(Err(SubmitError::Away(why)));
                            (submitted.await, None)
                        }
                    };
                    if let Ok(submitted) = &result {
                        // A core that is gone needs no hint.
                        let _ = answers.send(Input::Submitted(submitted.id)).await;
                    }
                    if let Some(answer) = answer {
                        // The submitter may have gone; what was submitted stands all the same.
                        let _ = answer.send(result);
                    }
                });
                Ok(())
            }
            EngineRequest::Command(command, answer) => {
                let id = self.next_reply;
                self.next_reply += 1;
                self.waiting.insert(id, answer);
                self.feed(vec![Input::Command { id, command }]).await
            }
            EngineRequest::Ask(call, answer) => {
                let id = self.next_reply;
                self.next_reply += 1;
                self.asking.insert(id, answer);
                self.feed(vec![Input::Asked { id, call: *call }]).await
            }
            EngineRequest::Quotas(quotas) => self.feed(vec![Input::Quotas(quotas)]).await,
            EngineRequest::Lanes(lanes, answer) => self.switched(Input::Lanes(lanes), answer).await,
            EngineRequest::Stopped(by, answer) => self.switched(Input::Stopped(by), answer).await,
            EngineRequest::StopFile(file) => self.feed(vec![Input::StopFile(file)]).await,
            EngineRequest::Kept(lanes, fellows, answer) => {
                self.feed(vec![Input::Kept { lanes, fellows }]).await?;
                // Whoever asked may have gone.
                let _ = answer.send(self.core.lanes_back());
                Ok(())
            }
            EngineRequest::Drain => self.drain().await,
        }
    }

    async fn switched(
        &mut self,
        input: Input,
        answer: Option<oneshot::Sender<()>>,
    ) -> Result<(), Unavailable> {
        self.feed(vec![input]).await?;
        // Whoever switched it reads what they did.
        self.publish();
        if let Some(answer) = answer {
            // Whoever asked may have gone; it is switched all the same.
            let _ = answer.send(());
        }
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), Unavailable> {
        self.draining = true;
        self.feed(vec![Input::Drain]).await
    }

    /// Inputs that came together, and whatever their effects bring at once: reads, and commits that
    /// need no sync.
    async fn feed(&mut self, mut next: Vec<Input>) -> Result<(), Unavailable> {
        let mut effects = Vec::new();
        while !next.is_empty() {
            // A verb is dropped before the read that comes now lets it be judged.
            let gone = self.askers_gone().into_iter().map(Input::AskerGone);
            self.core.step_all(self.clock.times(), gone.chain(next.drain(..)), &mut effects);
            if let Some(levels) = self.core.levels_to_keep() {
                self.levels.keep(levels).await?;
            }
            for effect in effects.drain(..) {
                match effect {
                    Effect::Scan { until, after } => {
                        let scanned = scan(Arc::clone(&self.store), until, after);
                        next.extend(self.ask_store(scanned)?);
                    }
                    Effect::Read { ticket, query } => {
                        let found = read(Arc::clone(&self.store), query);
                        let found = found.map_ok(Box::new);
                        let read = found.map_ok(move |found| Input::Read { ticket, found });
                        next.extend(self.ask_store(read)?);
                    }
                    Effect::Commit { ticket, commit } => {
                        let store = Arc::clone(&self.store);
                        let committed = async move {
                            let result = store.commit(*commit).await;
                            Ok(Input::Committed { ticket, result })
                        };
                        next.extend(self.ask_store(committed)?);
                    }
                    Effect::Call { ticket, call, check } => {
                        let (cloud, answers) = (Arc::clone(&self.cloud), self.answers.clone());
                        let (fence, clock) = (Arc::clone(&self.fence), Arc::clone(&self.clock));
                        tokio::spawn(async move {
                            let last = Box::new(move || fence.check(&check, clock.times()));
                            let reply = cloud.perform(call, last).await;
                            // To a core that is gone it means nothing: the intent is in the store,
                            // the next start asks the cloud.
                            let _ = answers.send(Input::Answered { ticket, reply }).await;
                        });
                    }
                    Effect::Probe { ticket, endpoint, plan, .. } => {
                        let (probe, answers) = (Arc::clone(&self.probe), self.answers.clone());
                        tokio::spawn(async move {
                            let proof = Box::new(probe.probe(&endpoint, plan.wire.as_ref()).await);
                            // A core that is gone: the next start looks again.
                            let _ = answers.send(Input::Probed { ticket, proof }).await;
                        });
                    }
                    Effect::Ask { ticket, call, deadline } => {
                        let (cloud, answers) = (Arc::clone(&self.cloud), self.answers.clone());
                        let (fence, clock) = (Arc::clone(&self.fence), Arc::clone(&self.clock));
                        tokio::spawn(async move {
                            let lane = call.lane().clone();
                            let last =
                                Box::new(move || fence.check_read(&lane, deadline, clock.times()));
                            let reply = cloud.perform(call, last).await;
                            // A core that is gone asks nothing any more.
                            let _ = answers.send(Input::Answered { ticket, reply }).await;
                        });
                    }
                    Effect::Told { id, result } => {
                        if let Some(answer) = self.asking.remove(&id) {
                            // Whoever asked may have gone.
                            let _ = answer.send(result);
                        }
                    }
                    Effect::Reply { id, result } => {
                        if let Some(answer) = self.waiting.remove(&id) {
                            // The operator may have gone; the verb stands all the same.
                            let _ = answer.send(result);
                        }
                    }
                    Effect::Fail(why) => return Err(why),
                }
            }
        }
        Ok(())
    }

    /// Those who asked for a verb and no longer wait for its answer; each once.
    fn askers_gone(&mut self) -> Vec<u64> {
        self.waiting.extract_if(.., |_, answer| answer.is_closed()).map(|(id, _)| id).collect()
    }

    /// Asks the store for something; gives its answer, if that is there at once.
    fn ask_store(
        &mut self,
        asked: impl Future<Output = Result<Input, Unavailable>> + Send + 'static,
    ) -> Result<Option<Input>, Unavailable> {
        let mut asked = asked.boxed();
        match (&mut asked).now_or_never() {
            Some(answered) => answered.map(Some),
            None => {
                self.asked.push(asked);
                Ok(None)
            }
        }
    }
}

/// Waits until the store goes away, or comes back; for ever where it does neither.
async fn turned(away: &mut watch::Receiver<Option<Away>>) -> Option<Away> {
    if away.changed().await.is_err() {
        pending::<()>().await;
    }
    away.borrow_and_update().clone()
}

async fn scan(
    store: Arc<dyn Store>,
    until: jiff::Timestamp,
    after: Option<DuePlace>,
) -> Result<Input, Unavailable> {
    let open = store.open_rollouts().await?;
    let due = store.due(until, after, TAKE_OVER_MAX).await?;
    Ok(Input::Scanned { open, due })
}

async fn read(store: Arc<dyn Store>, query: StoreQuery) -> Result<StoreAnswer, Unavailable> {
    Ok(match query {
        StoreQuery::Rollout(id) => StoreAnswer::Rollout(store.rollout(id).await?.map(Box::new)),
        StoreQuery::Candidates { rollout, wave, limit } => {
            StoreAnswer::Candidates(store.candidates(rollout, wave, limit).await?)
        }
        StoreQuery::Stored { rollout, words, places, limit } => {
            StoreAnswer::Stored(store.stored(rollout, words, places, limit).await?)
        }
        StoreQuery::Change(id) => {
            let change = store.change(id).await?;
            let rollout = store.rollout(id.rollout).await?;
            StoreAnswer::Change(change.zip(rollout).map(Box::new))
        }
        StoreQuery::KnownJobs(instance) => {
            StoreAnswer::KnownJobs(store.known_jobs(&instance).await?)
        }
    })
}
