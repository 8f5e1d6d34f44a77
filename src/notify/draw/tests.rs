//! What each entry tells. The entries are those that the rollouts' own table decides, so that no
//! sentence of the journal can change without a line here.

use std::time::Duration;

use super::*;
use crate::domain::change;
use crate::domain::enforce::{EnforcementRun, EnforcementStage, SurveyResult};
use crate::domain::id::{Digest, Name, RolloutId};
use crate::domain::plan::{OnFailure, Promote};
use crate::domain::rollout::{
    Cause, Context, Event, Halt, Requeue, Revert, RevertStage, Slowest, Verb, decide,
};
use crate::domain::window::{Calendar, Window};
use crate::domain::window_log::Gap;
use crate::store::fixtures;

fn at(second: i64) -> Timestamp {
    fixtures::at(second)
}

/// Three waves of four: the first soaks, the second goes on by itself, the third by a person.
fn plan() -> Plan {
    let mut plan = fixtures::plan("night", &[4, 4, 4]);
    plan.strategy.waves[0].soak_ms = 60_000;
    plan.strategy.waves[0].promote = Promote::Manual;
    plan.owner = "dba".into();
    plan
}

fn entry(what: JournalEvent) -> Entry {
    Entry { seq: 7, at: at(60), rollout: id(), what }
}

fn id() -> RolloutId {
    RolloutId::from_bytes([7; 16])
}

/// Who does it where a person does.
const ADA: &str = "ada";

/// The entry that a decision leads to.
fn decided(plan: &Plan, record: &Record, tallies: [Tally; 3], event: &Event) -> Entry {
    let now = at(100_000);
    let by = Person::from(ADA);
    let ctx = Context {
        now,
        plan,
        by: &by,
        tallies: &tallies,
        window: plan.opening(now, record.revert().is_some()),
        stalled: Duration::ZERO,
        at_work: String::new(),
        since: at(0),
        gap: Gap::None,
        slowest: Slowest::all(now),
    };
    let decision = decide(record, event, &ctx).expect("not refused");
    let by = matches!(event, Event::Command { .. }).then(|| ADA.to_owned());
    entry(JournalEvent::Rollout {
        from: record.phase.as_str().into(),
        to: decision.record.phase.as_str().into(),
        why: decision.why,
        by,
        via: None,
        record: decision.record,
    })
}

fn verb(verb: Verb) -> Event {
    Event::Command { verb, mark: fixtures::mark(90), uid: None }
}

fn in_phase(phase: Phase) -> Record {
    Record { phase, ..Record::submitted() }
}

const DONE: Tally = Tally { succeeded: 4, ..EMPTY };
const EMPTY: Tally = Tally {
    queued: 0,
    active: 0,
    succeeded: 0,
    failed: 0,
    in_doubt: 0,
    cancelled: 0,
    reverted: 0,
    skipped: 0,
};
const QUEUED: Tally = Tally { queued: 4, ..EMPTY };
const FAILED: Tally = Tally { failed: 4, ..EMPTY };

fn told(plan: &Plan, entry: &Entry) -> Vec<Notification> {
    notices(entry, &DrawnWith { plan, submitter: &ADA.into(), targets: 12 })
}

fn words(plan: &Plan, entry: &Entry) -> Vec<&'static str> {
    told(plan, entry).iter().map(|notice| notice.word.as_str()).collect()
}

/// What one case is called, with the plan and the entry.
type Case = (&'static str, Plan, Entry);

fn cases() -> Vec<Case> {
    let plan = plan();
    let advancing = |wave| in_phase(Phase::Advancing { wave });
    let reverting = |stage| {
        let cause = Cause::Failures { failures: 4, budget: 4 };
        Box::new(Revert { wave: 0, stage, more: false, cause, failed: 4, in_doubt: 0 })
    };
    let halted = |revert| {
        let reason = match revert {
            None => Halt::Failures { failures: 4, budget: 4 },
            Some(_) => Halt::Revert { failures: 1 },
        };
        in_phase(Phase::Halted { wave: 0, reason, revert })
    };
    let paused =
        Record { paused: Some(fixtures::mark(80)), paused_until: Some(at(90_000)), ..advancing(0) };
    let mut approved = plan.clone();
    approved.approval.required = 2;
    let submitted = || {
        entry(JournalEvent::Submitted {
            name: plan.name.clone(),
            revision: 1,
            ssl_option: true,
            targets: 12,
            submission: Digest::ZERO,
            change_ref: "CHG-1".into(),
            by: ADA.into(),
            via: None,
            note: String::new(),
        })
    };
    let mut reverts = plan.clone();
    reverts.strategy.revert.on_failure = OnFailure::Revert;
    let mut windows = plan.clone();
    let window = Window::new(
        "0 1 * * *".parse().expect("cron"),
        Duration::from_secs(3_600),
        "UTC".parse().expect("a zone"),
        Duration::ZERO,
    );
    windows.calendar = Calendar::new(vec![window.expect("a window")], Vec::new(), None);
    let woken = Event::Woken;
    let mut cases = vec![
        ("submitted", plan.clone(), submitted()),
        ("submitted, to be approved", approved, submitted()),
        ("started", plan.clone(), decided(&plan, &Record::submitted(), [QUEUED; 3], &woken)),
        ("released", plan.clone(), decided(&plan, &advancing(0), [QUEUED; 3], &woken)),
        ("soaks", plan.clone(), decided(&plan, &advancing(0), [DONE, QUEUED, QUEUED], &woken)),
        (
            "soaked",
            plan.clone(),
            decided(
                &plan,
                &in_phase(Phase::Soaking { wave: 0, until: at(10) }),
                [DONE, QUEUED, QUEUED],
                &woken,
            ),
        ),
        ("goes on", plan.clone(), decided(&plan, &advancing(1), [DONE, DONE, QUEUED], &woken)),
        (
            "promoted",
            plan.clone(),
            decided(
                &plan,
                &in_phase(Phase::Awaiting { wave: 0 }),
                [DONE, QUEUED, QUEUED],
                &verb(Verb::Promote),
            ),
        ),
        ("halted", plan.clone(), decided(&plan, &advancing(0), [FAILED, QUEUED, QUEUED], &woken)),
        (
            "retried",
            plan.clone(),
            decided(
                &plan,
                &halted(None),
                [FAILED, QUEUED, QUEUED],
                &verb(Verb::Retry(Requeue::Failed)),
            ),
        ),
        (
            "reverting by itself",
            reverts.clone(),
            decided(&reverts, &advancing(0), [FAILED, QUEUED, QUEUED], &woken),
        ),
        (
            "reverted by a person",
            plan.clone(),
            decided(&plan, &halted(None), [FAILED, QUEUED, QUEUED], &verb(Verb::Revert)),
        ),
        (
            "a halted revert goes on",
            plan.clone(),
            decided(
                &plan,
                &halted(Some(reverting(RevertStage::Releasing))),
                [Tally { failed: 5, ..EMPTY }, EMPTY, EMPTY],
                &verb(Verb::Retry(Requeue::Failed)),
            ),
        ),
        (
            "put back",
            plan.clone(),
            decided(
                &plan,
                &in_phase(Phase::Reverting(reverting(RevertStage::Releasing))),
                [FAILED, EMPTY, EMPTY],
                &woken,
            ),
        ),
        ("completed", plan.clone(), decided(&plan, &advancing(2), [DONE; 3], &woken)),
        ("aborted", plan.clone(), decided(&plan, &advancing(0), [QUEUED; 3], &verb(Verb::Abort))),
        (
            "paused",
            plan.clone(),
            decided(&plan, &advancing(0), [QUEUED; 3], &verb(Verb::Pause { until: None })),
        ),
        (
            "paused for a while",
            plan.clone(),
            decided(
                &plan,
                &advancing(0),
                [QUEUED; 3],
                &verb(Verb::Pause { until: Some(at(200_000)) }),
            ),
        ),
        ("resumed", plan.clone(), decided(&plan, &paused, [QUEUED; 3], &verb(Verb::Resume))),
        ("the pause ended", plan.clone(), decided(&plan, &paused, [QUEUED; 3], &woken)),
        ("window missed", windows.clone(), decided(&windows, &advancing(0), [QUEUED; 3], &woken)),
        (
            "paused, and a window missed",
            windows.clone(),
            decided(&windows, &advancing(0), [QUEUED; 3], &verb(Verb::Pause { until: None })),
        ),
    ];
    cases.extend(steps(&plan));
    cases.extend(runs(&plan));
    cases
}

fn steps(plan: &Plan) -> Vec<Case> {
    let step = |to: &'static str| {
        let target = fixtures::target(1, 2);
        let record: change::Record = change::Record::queued();
        entry(JournalEvent::Change {
            ordinal: 3,
            instance_id: target.instance_id,
            proxy_id: target.proxy_id,
            from: "recovering".into(),
            to: to.into(),
            why: "two jobs of the list may be it".into(),
            call: None,
            answer: None,
            by: None,
            via: None,
            earlier: None,
            record,
        })
    };
    let mut survey = plan.clone();
    survey.survey = true;
    vec![
        ("a change in doubt", plan.clone(), step("in_doubt")),
        ("a change failed", plan.clone(), step("failed")),
        ("a survey", survey, step("in_doubt")),
    ]
}

fn runs(plan: &Plan) -> Vec<Case> {
    let run = |from: &'static str, stage: EnforcementStage, drifted| {
        let found = Some(SurveyResult { right: 10, drifted, left_out: 0, unseen: 0 });
        let last = EnforcementRun {
            number: 1,
            tick: at(0),
            began: at(0),
            survey: id(),
            found,
            applied: None,
            halted: None,
            result: None,
        };
        let record = enforce::Record {
            last: Some(last),
            stage: stage.clone(),
            ..fixtures::enforced(id(), 0)
        };
        let (name, record) = (plan.name.clone(), Box::new(record));
        let (from, to) = (from.into(), stage.as_str().into());
        let why = "run 1: 2 of 12 drifted".into();
        let (by, via, previous) = (None, None, None);
        entry(JournalEvent::Enforcement { name, from, to, why, by, via, record, previous })
    };
    let held = EnforcementStage::Held { drifted: 2, allowed: 1 };
    let surveying = EnforcementStage::Surveying { rollout: id() };
    vec![
        ("a run found drift", plan.clone(), run("surveying", EnforcementStage::Idle, 2)),
        ("a run found none", plan.clone(), run("surveying", EnforcementStage::Idle, 0)),
        ("a run found too much", plan.clone(), run("surveying", held, 2)),
        ("a run begins", plan.clone(), run("idle", surveying, 2)),
    ]
}

#[test]
fn every_event_has_its_sentence_and_its_verb() {
    let mut text = String::new();
    for (case, plan, entry) in cases() {
        text.push_str(&format!("# {case}\n"));
        for notice in told(&plan, &entry) {
            let Notification { word, summary, command, why, by, path, about, .. } = &notice;
            let Subject { phase, wave, .. } = about;
            text.push_str(&format!("{word}: {summary}\n    {command}\n    {path}\n"));
            text.push_str(&format!("    phase={phase} wave={wave} by={by} why={why}\n"));
        }
    }
    for cause in [LaneCause::Clock, LaneCause::Credentials, LaneCause::Unreachable] {
        let lane = Name::parse("prod-sg", "lane").expect("a name");
        let (since, why) = (at(0), "why".to_owned());
        let held = HeldLane { number: 3, at: at(60), after: 7, lane, cause, since, why };
        let notice = Notification::of_lane(&held);
        text.push_str(&format!("# {cause:?}\n{}: {}\n", notice.word, notice.summary));
    }
    let at_golden = "../../../tests/golden/notify";
    insta::with_settings!({snapshot_path => at_golden, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("events", text);
    });
}

/// Each word is told by an entry of the real table, or it could be configured and never come.
#[test]
fn every_word_comes_from_some_entry() {
    let mut missing: std::collections::BTreeSet<&str> =
        NoticeWord::ALL.iter().map(|word| word.as_str()).collect();
    missing.remove("lane_held");
    for (_, plan, entry) in cases() {
        for word in words(&plan, &entry) {
            missing.remove(word);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// A person's words begin no sentence of the journal, so they can stage nothing.
#[test]
fn a_reason_is_never_taken_for_an_event() {
    let plan = plan();
    let said = "x; missed the window of yesterday; wave wave-1 is done";
    let mark = crate::domain::person::Attribution { reason: said.into(), ..fixtures::mark(90) };
    let promote = Event::Command { verb: Verb::Promote, mark, uid: None };
    let awaiting = in_phase(Phase::Awaiting { wave: 0 });
    let promoted = decided(&plan, &awaiting, [DONE, QUEUED, QUEUED], &promote);
    assert_eq!(words(&plan, &promoted), Vec::<&str>::new());
}

#[test]
fn counts_say_what_the_rollout_is_about() {
    let all = Tally { queued: 1, active: 2, succeeded: 80, failed: 3, in_doubt: 4, ..EMPTY };
    let forward = counts(&all, &in_phase(Phase::Advancing { wave: 0 }), true);
    assert_eq!(forward, "80 of 90 show SSL on, 3 failed, 4 in doubt, 2 in flight, 1 queued");
    let back = counts(&Tally { reverted: 5, ..EMPTY }, &in_phase(Phase::Reverted), true);
    assert_eq!(back, "5 of 5 put back");
}
