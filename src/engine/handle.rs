//! The interface of a running engine for the rest of the program.
//!
//! Job: send requests to the engine's task and wait for their answers; describe the engine's state
//! in a [`Snapshot`].
//!
//! Invariant: what a method here answers with success is durable. Only [`Handle::ask`] waits for
//! the cloud; verbs and submissions wait for the store, and every other method answers within a
//! second or fails with the reason.
//!
//! Deliberately not here: what becomes of a request (`engine::core`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::cloud_time::ClockStanding;
use super::fence::{Fence, StopLook};
use super::lane::QuotaStanding;
use super::tallies::EngineTallies;
use crate::clock::Times;
use crate::domain::call::{Call, JobSeen, Reply};
use crate::domain::hold::Pause;
use crate::domain::id::{ChangeId, Digest, InstanceId, Name, RolloutId};
use crate::domain::keeper::{Fellows, KeptLane};
use crate::domain::person::{Attribution, Person};
use crate::domain::quota::Quota;
use crate::domain::rollout::{Refusal, Verb};
use crate::domain::stop::{Stop, StopFile};
use crate::store::{Away, Submission, SubmitError, Submitted, Unavailable};

/// Requests that may wait for the engine; beyond that a caller waits for a place.
pub const REQUESTS_MAX: usize = 256;

/// Verbs that may wait to be judged: what only a store that answers slowly lets gather.
pub const VERBS_MAX: usize = 1024;

/// Questions of people that may wait for a permit: what a few clients ask for at once.
pub const ASKS_MAX: usize = 1024;

/// Speaks to the engine; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) fence: Arc<Fence>,
    pub(super) requests: mpsc::Sender<EngineRequest>,
    pub(super) snapshot: watch::Receiver<Arc<Snapshot>>,
}

/// What can be asked of the engine.
pub(super) enum EngineRequest {
    /// Take over a rollout.
    Submit(Box<Submission>, oneshot::Sender<Result<Submitted, SubmitError>>),
    /// Carry out an operator's verb.
    Command(Command, oneshot::Sender<Result<Acknowledged, CommandError>>),
    /// Ask the cloud something for a person.
    Ask(Box<Call>, oneshot::Sender<Result<Reply, AskError>>),
    /// The kill-switch file appeared, or went.
    StopFile(Option<StopFile>),
    /// A person stopped everything, or started it again.
    Stopped(Option<Attribution>, Option<oneshot::Sender<()>>),
    /// Other quotas are in force on these lanes.
    Quotas(Vec<(Name, Option<Quota>)>),
    /// People paused these lanes, or resumed them.
    Lanes(Vec<(Name, Option<Attribution>)>, Option<oneshot::Sender<()>>),
    /// These lanes are this daemon's, and these live beside it; answered with the lanes that are to
    /// be given up and of which nothing is out.
    Kept(BTreeMap<Name, KeptLane>, Fellows, oneshot::Sender<BTreeSet<Name>>),
    /// Begin nothing new; the loop ends when the calls that are out have come back.
    Drain,
}

/// An operator's verb on one rollout.
#[derive(Debug, Clone)]
pub struct Command {
    pub rollout: RolloutId,
    pub verb: Verb,
    /// Who, as the daemon knows them.
    pub by: Person,
    /// Why; may be empty.
    pub reason: String,
    /// It is for the record of this tag alone
    /// ([`Record::tag`](crate::domain::rollout::Record::tag)); `None`: for whichever stands.
    pub only_if: Option<Digest>,
}

/// A verb was carried out and is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Phase word after the verb.
    pub phase: &'static str,
    /// The wave it is in then, from 0.
    pub wave: Option<u16>,
    /// Changes whose call may still be on its way or whose job still runs; they are followed to
    /// their end.
    pub in_flight: Vec<ChangeId>,
}

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("no rollout {0}")]
    NotFound(RolloutId),
    /// It means nothing in this state.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many wait already.
    #[error("{VERBS_MAX} verbs wait already; ask again when some of them are done")]
    TooMany,
    /// The record is not the one that was looked at; nothing was done.
    #[error("the rollout moved meanwhile; nothing was done")]
    Moved,
    /// The store is away; nothing was done.
    #[error("{0}; nothing was done, ask again when it is back")]
    Away(Away),
    /// The store went away while the verb was being committed.
    #[error("{0}; whether the verb was carried out is not known, look when it is back")]
    NotKnown(Away),
    /// The store is out of order.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}

/// Why a question was not put to the cloud.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The configuration has no such lane.
    #[error("the configuration has no lane {0}")]
    NoLane(Name),
    /// Too many wait already.
    #[error("{ASKS_MAX} looks wait already; ask again when some of them are done")]
    TooMany,
    /// Another daemon makes the lane's calls.
    #[error("another daemon keeps lane {0}; ask that one")]
    Elsewhere(Name),
    #[error("the daemon is stopping")]
    Stopping,
}

/// What the engine knows beside the store, renewed with every pass.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Passes finished since the start: feeds the watchdog.
    pub passes: u64,
    /// When the engine began, by the wall clock then.
    pub started: Timestamp,
    pub stop: Stop,
    /// The engine begins nothing new because the process ends.
    pub draining: bool,
    /// One entry a lane.
    pub lanes: Vec<LaneSnapshot>,
    /// Lanes that do not serve changes in hand, rollout by rollout.
    pub unserved: Vec<UnservedLane>,
    /// Rollouts that wait for lanes alone, for as long as their `progress_deadline` by now, each
    /// with the reason.
    pub overdue: BTreeMap<RolloutId, String>,
    /// Calls sent since the start.
    pub calls: u64,
    /// When the pass that it shows ended.
    pub at: Times,
    /// When a change of each rollout in hand settled last, if one did since the start.
    pub settled_at: BTreeMap<RolloutId, Timestamp>,
    /// What was counted since the start.
    pub tallies: Arc<EngineTallies>,
}

/// A lane that does not serve changes of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnservedLane {
    pub rollout: RolloutId,
    pub lane: Name,
    /// The lane before it that reaches the same project; `None`: the configuration has no such
    /// lane.
    pub shares: Option<Name>,
}

/// How a lane stands.
#[derive(Debug, Clone)]
pub struct LaneSnapshot {
    pub lane: Name,
    /// The lane before it that reaches the same project: its PUTs are held.
    pub shares: Option<Name>,
    /// Calls that are out.
    pub out: u32,
    /// Changes of it that are in hand and not settled.
    pub in_flight: u32,
    /// Changes that wait for a permit of this lane.
    pub waiting: u32,
    /// Paused by the cloud (429, refused credentials).
    pub paused: Option<Pause>,
    /// How it stands to its quota; `None`: it has none.
    pub quota: Option<QuotaStanding>,
    /// How the cloud's clock stands to ours; `None`: the cloud told no time of late.
    pub clock: Option<ClockStanding>,
    /// When it may send the next call, where one waits and time alone is waited for.
    pub free_at: Option<Timestamp>,
    /// Until then nothing is sent, because the process before left no count of what it sent.
    pub assumed_until: Option<Timestamp>,
    /// What runs on instances that changes wait for, by the latest list of running jobs.
    pub occupied: Arc<BTreeMap<InstanceId, JobSeen>>,
    /// When a call last went through, since the start.
    pub good_at: Option<Timestamp>,
    /// Paused by a person, with the rollouts that have changes in hand for it.
    pub held: Option<(Attribution, BTreeSet<RolloutId>)>,
}

impl Handle {
    /// Submits a rollout; on success it is durable.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || SubmitError::Unavailable(Unavailable("the engine has stopped".into()));
        self.requests
            .send(EngineRequest::Submit(Box::new(submission), answer))
            .await
            .map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Carries out an operator's verb; on success it is durable and no further PUT of that rollout
    /// starts against it. Dropping the future takes the verb back, unless it is being committed
    /// already.
    pub async fn command(&self, command: Command) -> Result<Acknowledged, CommandError> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .send(EngineRequest::Command(command, answer))
            .await
            .map_err(|_| CommandError::Stopped)?;
        answered.await.map_err(|_| CommandError::Stopped)?
    }

    /// Puts a read to the cloud, for a person: it waits for a permit of its lane behind all work,
    /// for as long as that takes, and is given up when the future is dropped. What fails in a way
    /// that may pass is put again a few times, with growing waits, before it is told. Nothing of it
    /// is stored.
    pub async fn ask(&self, call: Call) -> Result<Reply, AskError> {
        debug_assert!(!call.is_write(), "a question changes nothing");
        let (answer, answered) = oneshot::channel();
        self.requests
            .send(EngineRequest::Ask(Box::new(call), answer))
            .await
            .map_err(|_| AskError::Stopping)?;
        answered.await.map_err(|_| AskError::Stopping)?
    }

    /// Tells the engine of a store that is shared which lanes are its own from now on, and who lives
    /// beside it. Gives the lanes that are to be given up and of which nothing is out, as of a pass
    /// that came after this; `None`: the engine has ended.
    pub async fn keep(
        &self,
        lanes: BTreeMap<Name, KeptLane>,
        fellows: Fellows,
    ) -> Option<BTreeSet<Name>> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(EngineRequest::Kept(lanes, fellows, answer)).await.ok()?;
        answered.await.ok()
    }

    /// Has the last check of every call that changes anything look for the kill-switch file itself.
    pub fn look_for_stop(&self, look: StopLook) {
        self.fence.look_for_stop(look);
    }

    /// Tells the engine that the kill-switch file is there, or is gone.
    pub async fn stop_file(&self, file: Option<StopFile>) {
        // An engine that has stopped sends nothing any more, which is all that the file asks for.
        let _ = self.requests.send(EngineRequest::StopFile(file)).await;
    }

    /// Tells the engine that a person stopped everything; in force before its first pass if it is
    /// told before that.
    pub async fn stopped(&self, by: Option<Attribution>) {
        let _ = self.requests.send(EngineRequest::Stopped(by, None)).await;
    }

    /// Stops everything (by whom and why), or starts it again. On success no write leaves any more
    /// while it is stopped.
    pub async fn switch_all(&self, by: Option<Attribution>) -> Result<(), AskError> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .send(EngineRequest::Stopped(by, Some(answer)))
            .await
            .map_err(|_| AskError::Stopping)?;
        answered.await.map_err(|_| AskError::Stopping)
    }

    /// Puts other quotas in force on these lanes (`None`: no limit of ours): at once, over what was
    /// sent before, too, and the quotas until now hold on for one interval of theirs. Lanes that
    /// the engine does not have are passed over.
    pub async fn change_quotas(&self, quotas: Vec<(Name, Option<Quota>)>) {
        // An engine that has stopped sends nothing any more.
        let _ = self.requests.send(EngineRequest::Quotas(quotas)).await;
    }

    /// Tells the engine which lanes people paused; in force before its first pass if it is told
    /// before that.
    pub async fn lanes_paused(&self, lanes: Vec<(Name, Option<Attribution>)>) {
        // An engine that has stopped sends nothing any more.
        let _ = self.requests.send(EngineRequest::Lanes(lanes, None)).await;
    }

    /// Pauses a lane (by whom and why), or resumes it. On success no write leaves any more over one
    /// that is paused.
    pub async fn switch_lane(&self, lane: Name, mark: Option<Attribution>) -> Result<(), AskError> {
        let (answer, answered) = oneshot::channel();
        self.requests
            .send(EngineRequest::Lanes(vec![(lane, mark)], Some(answer)))
            .await
            .map_err(|_| AskError::Stopping)?;
        answered.await.map_err(|_| AskError::Stopping)
    }

    /// Asks the engine to begin nothing new and to end when the calls that are out are back.
    pub async fn drain(&self) {
        // As above: an engine that has stopped is drained.
        let _ = self.requests.send(EngineRequest::Drain).await;
    }

    /// The latest snapshot; `changed()` on the receiver wakes with every pass that did something.
    pub fn snapshot(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.clone()
    }
}
