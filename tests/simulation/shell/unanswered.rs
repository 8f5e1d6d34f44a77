//! A store that answers no read for a while, and one that is away: what that holds up, and what it
//! does not.

use jiff::Timestamp;
use sealift::domain::journal::JournalEvent;
use sealift::domain::person::Attribution;
use sealift::domain::rollout::Verb;
use sealift::engine::{Command, CommandError};
use sealift::store::{Away, Store, SubmitError};
use tokio::time::{Duration, sleep, timeout};

use super::RunShared;
use super::engine::{ANSWERED_WITHIN, Engine};
use super::planted::RuntimeBug;
use super::script::RuntimeScript;

/// Longer than anything that an engine does by itself: its scans, its looks and its calls.
const LONG: Duration = Duration::from_secs(120);

/// A run whose rollout begins by itself.
fn script() -> RuntimeScript {
    let mut scripts = (0..).map(|seed| RuntimeScript::new(seed, RuntimeBug::Nothing, false));
    let begins = |script: &RuntimeScript| {
        let scenario = &script.shared.scenario;
        scenario.window.is_none() && scenario.gates.approvals == 0
    };
    scripts.find(begins).expect("one of many")
}

/// An engine in the middle of its work.
async fn at_work(script: &RuntimeScript) -> Engine {
    let engine = Engine::start(&script.shared, None).await;
    engine.handle.submit(script.submission.clone()).await.expect("taken");
    while script.shared.state().out == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    engine
}

/// So many moves have ended a change.
async fn ended(shared: &RunShared) -> usize {
    let entries = shared.store.journal(None, 0, usize::MAX).await.expect("memory");
    let settled = |what: &JournalEvent| match what {
        JournalEvent::Change { record, .. } => record.state.is_settled(),
        _ => false,
    };
    entries.iter().filter(|entry| settled(&entry.what)).count()
}

fn pause(shared: &RunShared) -> Command {
    Command {
        rollout: shared.rollout,
        verb: Verb::Pause { until: None },
        by: "ada".into(),
        reason: "drill".into(),
        only_if: None,
    }
}

/// Everything is stopped, and started again.
async fn stop_and_start(engine: &Engine) {
    let mark = Attribution { by: "ada".into(), reason: "drill".into(), at: Timestamp::UNIX_EPOCH };
    for by in [Some(mark), None] {
        let switched = timeout(ANSWERED_WITHIN, engine.handle.switch_all(by)).await;
        assert!(switched.is_ok(), "that needs no store");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_no_read_holds_up_nothing_else() {
    let script = script();
    let (shared, engine) = (RunShared::clone(&script.shared), at_work(&script).await);
    let before = ended(&shared).await;
    shared.reads_answered.send_replace(false);

    let gone = timeout(ANSWERED_WITHIN, engine.handle.command(pause(&shared))).await;
    assert!(gone.is_err(), "nobody can know what the verb would do: {gone:?}");
    sleep(LONG).await;
    assert!(ended(&shared).await > before, "what is in hand goes on");
    stop_and_start(&engine).await;

    shared.reads_answered.send_replace(true);
    sleep(LONG).await;
    let paused = shared.read_rollout().record.paused;
    assert_eq!(paused, None, "who asked for it is gone");
    assert!(!shared.is_violated(), "{:?}", shared.state().oracle.violations);
    engine.drain(&shared).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_refuses_people_at_once_and_ends_nothing() {
    let script = script();
    let (shared, engine) = (RunShared::clone(&script.shared), at_work(&script).await);
    let away = Away { since: Timestamp::UNIX_EPOCH, why: "cut off".into() };
    shared.away.send_replace(Some(away));
    shared.reads_answered.send_replace(false);

    let verb = timeout(ANSWERED_WITHIN, engine.handle.command(pause(&shared))).await;
    assert!(matches!(verb, Ok(Err(CommandError::Away(_)))), "{verb:?}");
    let plan = timeout(ANSWERED_WITHIN, engine.handle.submit(script.submission.clone())).await;
    assert!(matches!(plan, Ok(Err(SubmitError::Away(_)))), "{plan:?}");
    sleep(LONG).await;
    assert_eq!((shared.state().out, engine.has_ended()), (0, false), "what was out is back");
    stop_and_start(&engine).await;

    shared.away.send_replace(None);
    shared.reads_answered.send_replace(true);
    let before = shared.state().calls;
    sleep(LONG).await;
    assert!(shared.state().calls > before, "it goes on by itself");
    let verb = timeout(ANSWERED_WITHIN, engine.handle.command(pause(&shared))).await;
    assert!(!matches!(verb, Err(_) | Ok(Err(CommandError::Away(_)))), "{verb:?}");
    engine.drain(&shared).await;
}
