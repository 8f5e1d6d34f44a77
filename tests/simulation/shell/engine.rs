//! One run of the engine: started over the store that the last one left, drained, and judged by
//! what it leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sealift::domain::journal::JournalEvent;
use sealift::domain::rollout::Verb;
use sealift::engine::{self, Command, CommandError, Handle, KeepLevels, Level, Options};
use sealift::store::{Store, Unavailable};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::RunShared;
use super::bed::EngineClock;
use super::cloud::SimulatedCloud;
use super::planted::RuntimeBug;
use super::store::WatchedStore;
use crate::hooked_store::Hooked;
use crate::oracle::{Oracle, SeenFact};
use crate::planted::Planted;
use crate::setting;

/// The handle's promise: every method answers within a second.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// A call may have its way to the wire before it (8 s), its timeout (2 s), and its commit (50 ms).
const DRAINED_WITHIN: Duration = Duration::from_secs(11);

pub struct Engine {
    pub handle: Handle,
    task: JoinHandle<Result<Vec<Level>, Unavailable>>,
}

impl Engine {
    /// Starts it; like the daemon, it tells it of the kill-switch file before anything runs.
    pub async fn start(shared: &RunShared, stop: Option<String>) -> Self {
        let options = Options {
            lanes: vec![setting::lane(&shared.scenario, Planted::Nothing)],
            quota_spent: true,
            levels: shared.state().levels.clone(),
        };
        let store = Arc::new(Hooked(WatchedStore(RunShared::clone(shared))));
        let cloud = Arc::new(SimulatedCloud(RunShared::clone(shared)));
        let (handle, running) = engine::start(
            store,
            cloud.clone(),
            cloud,
            Arc::new(EngineClock(RunShared::clone(shared))),
            Arc::new(KeptState(RunShared::clone(shared))),
            options,
        );
        handle.stop_file(setting::stop_file(stop)).await;
        shared.state().snapshot = Some(handle.snapshot());
        shared.observe(Oracle::started);
        shared.tell(|| "the engine starts".into());
        Self { handle, task: tokio::spawn(running) }
    }

    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Drains it, and looks at what it leaves.
    pub async fn drain(self, shared: &RunShared) {
        shared.tell(|| format!("drain, with {} calls out", shared.state().out));
        if shared.state().out > 0 {
            shared.fire("drained_while_calls_were_out");
        }
        if shared.planted == RuntimeBug::EndedNotDrained {
            self.task.abort();
        }
        self.handle.drain().await;
        match timeout(DRAINED_WITHIN, self.task).await {
            Err(_) => {
                return shared.violate(&format!(
                    "the engine is not drained within {} s",
                    DRAINED_WITHIN.as_secs()
                ));
            }
            Ok(Ok(Err(why))) => return shared.violate(&format!("the engine ended with {why}")),
            Ok(Err(_)) if shared.planted == RuntimeBug::EndedNotDrained => {}
            Ok(Err(why)) => return shared.violate(&format!("the engine broke: {why}")),
            Ok(Ok(Ok(levels))) if levels.len() == 1 => shared.state().levels = levels,
            Ok(Ok(Ok(levels))) => {
                return shared.violate(&format!(
                    "the drained engine leaves the levels of {} lanes",
                    levels.len()
                ));
            }
        }
        shared.state().snapshot = None;
        shared.tell(|| "the engine is drained".into());
        let out = shared.state().out;
        let committing = shared.state().committing;
        if out + committing > 0 {
            return shared.violate(&format!(
                "the engine ended with {out} calls and {committing} commits out"
            ));
        }
        let lost = unsaved(shared);
        if !lost.is_empty() {
            shared.violate(&format!(
                "the engine was drained and the journal does not have the job ids it read: {lost:?}"
            ));
        }
    }
}

/// What one that is killed leaves to the next one.
struct KeptState(RunShared);

impl KeepLevels for KeptState {
    fn keep(&self, levels: Vec<Level>) -> BoxFuture<'_, Result<(), Unavailable>> {
        self.0.state().levels = levels;
        std::future::ready(Ok(())).boxed()
    }
}

/// Job ids that were read and are not in the journal.
pub fn unsaved(shared: &RunShared) -> Vec<String> {
    let entries =
        shared.store.journal(None, 0, usize::MAX).now_or_never().expect("ready").expect("memory");
    let jobs = entries.iter().filter_map(|entry| match &entry.what {
        JournalEvent::Change { record, .. } => Some(&record.jobs),
        _ => None,
    });
    let saved: BTreeSet<_> = jobs.flatten().collect();
    shared.state().read.iter().filter(|job| !saved.contains(job)).map(ToString::to_string).collect()
}

/// One verb through the handle. Operators ask one after the other, so that who was told what first
/// is certain.
pub async fn operate(shared: RunShared, desk: Arc<Mutex<()>>, handle: Handle, id: u64, verb: Verb) {
    let _at_the_desk = desk.lock().await;
    shared.tell(|| format!("verb {id} {verb:?}"));
    let now = shared.now();
    shared.see(SeenFact::VerbAsked { id, now });
    let by = if matches!(verb, Verb::Approve { .. }) {
        format!("operator {id}")
    } else {
        "operator".to_owned()
    };
    let command = Command {
        rollout: shared.rollout,
        verb: verb.clone(),
        by: by.into(),
        reason: "drill".into(),
        only_if: None,
    };
    let answer = timeout(ANSWERED_WITHIN, handle.command(command)).await;
    shared.tell(|| format!("verb {id} -> {answer:?}"));
    match answer {
        Err(_) => shared.violate(&format!(
            "verb {id} ({verb:?}) has no answer within {} s",
            ANSWERED_WITHIN.as_secs()
        )),
        Ok(Ok(_)) => {
            shared.fire("verb_acknowledged");
            shared.see(SeenFact::Acknowledged { verb });
        }
        Ok(Err(CommandError::Refused(_))) => shared.fire("verb_refused"),
        Ok(Err(CommandError::Stopped)) => shared.fire("verb_met_a_drain"),
        Ok(Err(other)) => {
            shared.violate(&format!("verb {id} ({verb:?}) was answered with: {other}"))
        }
    }
    shared.see(SeenFact::VerbAnswered { id });
    shared.state().asked -= 1;
}
