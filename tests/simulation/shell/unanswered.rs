//! A store that answers no read for a while: what it holds up, and what it does not.

use jiff::Timestamp;
use sealift::domain::journal::JournalEvent;
use sealift::domain::person::Attribution;
use sealift::domain::rollout::Verb;
use sealift::engine::Command;
use sealift::store::Store;
use tokio::time::{Duration, sleep, timeout};

use super::RunShared;
use super::engine::{ANSWERED_WITHIN, Engine};
use super::planted::RuntimeBug;
use super::script::RuntimeScript;

/// Longer than anything that an engine does by itself: its scans, its looks and its calls.
const LONG: Duration = Duration::from_secs(120);

/// So many changes have ended.
async fn ended(shared: &RunShared) -> usize {
    let entries = shared.store.journal(None, 0, usize::MAX).await.expect("memory");
    let settled = |what: &JournalEvent| match what {
        JournalEvent::Change { record, .. } => record.state.is_settled(),
        _ => false,
    };
    entries.iter().filter(|entry| settled(&entry.what)).count()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_no_read_holds_up_nothing_else() {
    let mut scripts = (0..).map(|seed| RuntimeScript::new(seed, RuntimeBug::Nothing, false));
    let begins = |script: &RuntimeScript| {
        let scenario = &script.shared.scenario;
        scenario.window.is_none() && scenario.gates.approvals == 0
    };
    let RuntimeScript { shared, submission, .. } = scripts.find(begins).expect("one of many");
    let engine = Engine::start(&shared, None).await;
    engine.handle.submit(submission).await.expect("taken");
    while shared.state().out == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    let before = ended(&shared).await;
    shared.reads_answered.send_replace(false);

    let verb = Command {
        rollout: shared.rollout,
        verb: Verb::Pause { until: None },
        by: "ada".into(),
        reason: "drill".into(),
        only_if: None,
    };
    let gone = timeout(ANSWERED_WITHIN, engine.handle.command(verb)).await;
    assert!(gone.is_err(), "nobody can know what the verb would do: {gone:?}");
    sleep(LONG).await;
    assert!(ended(&shared).await > before, "what is in hand goes on");
    let mark = Attribution { by: "ada".into(), reason: "drill".into(), at: Timestamp::UNIX_EPOCH };
    for by in [Some(mark), None] {
        let switched = timeout(ANSWERED_WITHIN, engine.handle.switch_all(by)).await;
        assert!(switched.is_ok(), "everything is stopped, and started again, all the same");
    }

    shared.reads_answered.send_replace(true);
    sleep(LONG).await;
    let paused = shared.read_rollout().record.paused;
    assert_eq!(paused, None, "who asked for it is gone");
    assert!(!shared.is_violated(), "{:?}", shared.state().oracle.violations);
    engine.drain(&shared).await;
}
