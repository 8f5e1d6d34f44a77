//! Whole rehearsals.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::super::repro::{FaultSetting, with};
use super::super::verdict::{Ending, RehearsalVerdict};
use super::{RehearsalWorld, run, verdict};
use crate::domain::group::GroupBy;
use crate::domain::id::Digest;
use crate::domain::journal::{Entry, JournalEvent};
use crate::domain::plan::{Approval, Promote};
use crate::domain::quota::Quota;
use crate::rehearse::Scenario;
use crate::rehearse::invariants::staged::{StagedRun, after};
use crate::store::memory::MemoryStore;

fn stage() -> StagedRun {
    let mut stage = StagedRun::of(40, 20, &[("canary", 4), ("rest", 36)]);
    stage.scenario.plan.strategy.max_in_flight = 8;
    stage
}

fn settings(pairs: &[(&str, &str)]) -> Vec<FaultSetting> {
    pairs
        .iter()
        .map(|(key, value)| FaultSetting { key: (*key).into(), value: (*value).into() })
        .collect()
}

fn faulted(scenario: &mut Scenario, pairs: &[(&str, &str)]) {
    scenario.faults = with(&scenario.faults, &settings(pairs)).expect("faults");
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

#[track_caller]
fn holds(verdict: &RehearsalVerdict) {
    assert!(verdict.holds(), "{:#?}", verdict.invariants);
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    let mut scenario = stage().scenario;
    faulted(
        &mut scenario,
        &[("error_500_after", "0.2"), ("job_fails", "0.1"), ("job_time", "{min: 5s, max: 40s}")],
    );
    scenario.crashes = vec![Duration::from_secs(30)];
    let text = |scenario: &Scenario| {
        serde_json::to_string(&run(scenario).expect("a fleet").journal).expect("entries are JSON")
    };
    let first = text(&scenario);
    assert_eq!(first, text(&scenario));
    scenario.seed += 1;
    assert_ne!(first, text(&scenario), "another seed is another history");
}

#[test]
fn what_keeps_no_journal_ends_the_same() {
    let mut scenario = stage().scenario;
    faulted(
        &mut scenario,
        &[("error_500_after", "0.2"), ("job_fails", "0.1"), ("foreign_job", "0.1")],
    );
    scenario.crashes = vec![Duration::from_secs(30)];
    assert_eq!(
        format!("{:#?}", verdict(&scenario).expect("a fleet")),
        format!("{:#?}", run(&scenario).expect("a fleet").verdict)
    );
}

#[test]
fn every_fault_and_five_crashes_and_every_promise_holds() {
    let mut scenario = stage().scenario;
    scenario.lanes[0].quota = Some(Quota { requests: 30, per: Duration::from_secs(10) });
    let rates = [
        "throttle",
        "error_500_before",
        "error_500_after",
        "html_502",
        "garbage_200",
        "no_job_id_200",
        "drop_before",
        "drop_after",
    ];
    let mut pairs: Vec<(&str, &str)> = rates.iter().map(|rate| (*rate, "0.03")).collect();
    pairs.extend([
        ("slow", "0.03"),
        ("job_fails", "0.05"),
        ("busy", "0.05"),
        ("token_expired", "0.01"),
        ("foreign_job", "0.03"),
    ]);
    faulted(&mut scenario, &pairs);
    scenario.crashes = (1..=5).map(|n| Duration::from_secs(n * 40)).collect();
    let verdict = verdict(&scenario).expect("a fleet");
    holds(&verdict);
    assert_eq!(
        (verdict.ending, verdict.crashes, verdict.tally.total()),
        (Ending::Completed, 5, 40),
        "{verdict:#?}"
    );
    assert!(verdict.faults.len() >= 10, "too little went wrong: {:?}", verdict.faults);
    let worst = verdict
        .worst
        .iter()
        .find(|worst| worst.allowed.is_some())
        .expect("the quota's interval is told");
    assert!(worst.calls <= 30 && worst.calls >= 20, "{worst:?}");
}

#[test]
fn work_of_others_is_waited_out_by_its_name() {
    let mut scenario = stage().scenario;
    faulted(&mut scenario, &[("foreign_job", "0.3"), ("job_time", "2m")]);
    let run = run(&scenario).expect("a fleet");
    let told = |entry: &Entry| match &entry.what {
        JournalEvent::Change { why, .. } if why.contains("runs on its instance") => {
            Some(why.clone())
        }
        _ => None,
    };
    let told: Vec<String> = run.journal.iter().filter_map(told).collect();
    assert!(told.len() > 5, "{told:?}");
    assert!(told.iter().all(|why| why.contains("; EnlargeGaussDBforMySQLProxy (job ")), "{told:?}");
}

#[test]
fn a_group_limit_is_kept_and_makes_it_longer() {
    let mut scenario = stage().scenario;
    faulted(&mut scenario, &[("job_time", "10s"), ("job_fails", "0.1")]);
    let free = verdict(&scenario).expect("a fleet");
    scenario.plan.strategy.max_in_flight_per = [(GroupBy::Lane, 2)].into_iter().collect();
    scenario.crashes = vec![Duration::from_secs(30)];
    let limited = verdict(&scenario).expect("a fleet");
    holds(&limited);
    assert_eq!((limited.ending, limited.tally.succeeded), (Ending::Completed, 40));
    // Two at a time instead of up to eight.
    let took = |verdict: &RehearsalVerdict| verdict.ended_at.duration_since(verdict.from).as_secs();
    assert!(took(&limited) > 2 * took(&free), "{} s after {} s", took(&limited), took(&free));
}

/// October of 2026 has both nights: Sydney skips an hour on the 4th, Berlin repeats one on the
/// 25th.
#[test]
fn a_month_with_both_nights_of_changed_clocks() {
    let mut stage = StagedRun::of(680, 340, &[("canary", 5), ("rest", 675)]);
    stage.windows_in(&["Australia/Sydney", "Europe/Berlin"], "30 2 * * *", 3600, 1200);
    let scenario = &mut stage.scenario;
    scenario.from = at("2026-10-01T00:00:00Z");
    scenario.lasts = Duration::from_secs(31 * 24 * 3600);
    scenario.plan.strategy.max_in_flight = 1;
    faulted(scenario, &[("job_time", "{min: 2m, max: 4m}")]);
    let verdict = verdict(scenario).expect("a fleet");
    holds(&verdict);
    assert_eq!(verdict.ending, Ending::Completed, "{:?} {:?}", verdict.tally, verdict.waves);
    let open_on = |day: &str| -> Vec<String> {
        let opens = verdict.windows.iter().map(|window| window.open.to_string());
        opens.filter(|open| open.starts_with(day)).collect()
    };
    // 02:30 does not exist in Sydney on the 4th: it opens at 03:00, +11.
    assert_eq!(open_on("2026-10-03T1"), ["2026-10-03T16:00:00Z"]);
    assert_eq!(
        open_on("2026-10-04T1"),
        ["2026-10-04T15:30:00Z"],
        "the next night at its own time again"
    );
    // 02:30 comes twice in Berlin on the 25th: it opens at the first, +02, and not at the second.
    assert_eq!(open_on("2026-10-25T0"), ["2026-10-25T00:30:00Z"]);
    assert_eq!(open_on("2026-10-26T0"), ["2026-10-26T01:30:00Z"]);
}

#[test]
fn broken_jobs_halt_it_and_the_verdict_says_why() {
    let mut scenario = stage().scenario;
    scenario.plan.strategy.max_failures = 3;
    scenario.plan.retry.max_attempts = 1;
    faulted(&mut scenario, &[("job_fails", "1")]);
    let verdict = verdict(&scenario).expect("a fleet");
    holds(&verdict);
    assert_eq!((verdict.ending, verdict.tally.failed, verdict.switches), (Ending::Halted, 3, 3));
    assert_eq!(verdict.halts.len(), 1);
    assert_eq!(
        (verdict.halts[0].wave.as_str(), verdict.halts[0].why.as_str()),
        ("canary", "3 failures reach the budget of 3")
    );
    assert_eq!(verdict.troubled.len(), 3);
}

#[test]
fn a_person_promotes_and_soaks_are_kept() {
    let mut scenario = stage().scenario;
    scenario.plan.strategy.waves[0].soak_ms = 3_600_000;
    scenario.plan.strategy.waves[0].promote = Promote::Manual;
    let verdict = verdict(&scenario).expect("a fleet");
    holds(&verdict);
    let (canary, rest) = (&verdict.waves[0], &verdict.waves[1]);
    let wait = rest.began_at.expect("it began").duration_since(canary.ended_at.expect("it ended"));
    assert!((3600..3602).contains(&wait.as_secs()), "soaked and promoted at once: {wait}");
}

#[test]
fn approvals_are_given_at_once_and_again_after_a_crash() {
    let mut scenario = stage().scenario;
    scenario.plan.approval = Approval { required: 2, digest: Digest::of(b"seen") };
    for crashes in [Vec::new(), vec![Duration::from_millis(1)]] {
        scenario.crashes = crashes;
        let verdict = verdict(&scenario).expect("a fleet");
        holds(&verdict);
        let began = verdict.waves[0].began_at.expect("it was approved");
        assert!(began.duration_since(scenario.from) < SignedDuration::from_secs(60), "{began}");
        assert!(verdict.waves[1].ended_at.is_some(), "{:?}", verdict.waves[1]);
    }
}

#[test]
fn what_does_not_end_in_time_is_told() {
    let mut scenario = stage().scenario;
    scenario.lasts = Duration::from_secs(25);
    let verdict = verdict(&scenario).expect("a fleet");
    holds(&verdict);
    assert_eq!((verdict.ending, verdict.ended_at), (Ending::NotEnded, after(25_000)));
    assert!(verdict.tally.queued > 0);
}

#[test]
fn a_cut_fleet_keeps_its_waves() {
    let scenario = stage().scenario.cut_to(10);
    let sizes: Vec<_> =
        scenario.plan.strategy.waves.iter().map(|wave| (wave.first, wave.size)).collect();
    assert_eq!((sizes, scenario.targets.len()), (vec![(0, 1), (1, 9)], 10));
    assert_eq!(stage().scenario.cut_to(1).targets.len(), 2, "one for each wave at least");
    assert_eq!(stage().scenario.cut_to(1000).targets.len(), 40);
    holds(&verdict(&scenario).expect("a fleet"));
}

/// The promises are wired to what really happens: a run that is judged by a stricter plan than its
/// own is found out.
#[test]
fn a_run_beyond_its_promises_is_found_out() {
    type Stricter = fn(&mut StagedRun);
    let cases: [(&str, Stricter); 5] = [
        ("never more changes in flight", |judge| judge.scenario.plan.strategy.max_in_flight = 2),
        ("quota", |judge| {
            judge.scenario.lanes[0].quota =
                Some(Quota { requests: 3, per: Duration::from_secs(60) })
        }),
        ("outside a window", |judge| judge.windows("0 12 * * *", 3600, 0)),
        ("exceed a budget", |judge| judge.scenario.plan.strategy.max_failures = 2),
        ("begins before its wave", |judge| {
            judge.scenario.plan.strategy.waves[0].size = 2;
            judge.scenario.plan.strategy.waves[1].first = 2;
        }),
    ];
    for (promise, stricter) in cases {
        let scenario = stage().scenario;
        let mut judge = stage();
        stricter(&mut judge);
        let mut world = RehearsalWorld::judged(&scenario, &judge.scenario, MemoryStore::new())
            .expect("a fleet");
        world.run();
        let verdict = world.finish();
        let broken: Vec<_> = verdict
            .invariants
            .iter()
            .filter(|checked| checked.broken.is_some())
            .map(|checked| checked.promise)
            .collect();
        assert!(
            matches!(broken.as_slice(), [one] if one.contains(promise)),
            "{promise}: {broken:?}"
        );
    }
}
