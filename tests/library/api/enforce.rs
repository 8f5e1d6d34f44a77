//! Recurring enforcement: the task that carries it out, the real engine, the API and a clock that
//! the test moves.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reqwest::StatusCode;
use sealift::domain::journal::{JournalEvent, Word};
use sealift::engine::enforce::Enforcer;
use serde_json::{Value, json};

use super::world::{Answered, ApiWorld, form, plan, targets};

/// The night's tick, of a day of December.
fn tick(day: u32) -> Timestamp {
    format!("2026-12-{day:02}T02:00:30Z").parse().expect("an instant")
}

fn enforce(mode: &str) -> String {
    format!("enforce: {{cron: \"0 2 * * *\", time_zone: UTC, mode: {mode}, max_drift: 2}}\n")
}

/// A plan of `n` proxies that has completed on the first of December, and is enforced.
async fn begun(n: u32, mode: &str) -> (ApiWorld, Enforcer) {
    let world = ApiWorld::new().await;
    world.clock.set("2026-12-01T12:00:00Z".parse().expect("an instant"));
    // The list says that the first two were right on its day; that binds no later run.
    (0..2).for_each(|place| world.cloud.set('a', place, true));
    let list = targets('a', n).replacen('}', ", ssl_option: true}", 2);
    let submitted = world.submit(&plan("night", &list, &enforce(mode))).await;
    assert_eq!(submitted.status, StatusCode::CREATED, "{submitted:?}");
    world.until("/v1/rollouts/night", |answered| answered.json["phase"] == "completed").await;
    let mut enforcer = world.enforcer();
    let found = world
        .enforced(&mut enforcer, "/v1/enforcements/night", |answered| {
            answered.status == StatusCode::OK
        })
        .await;
    assert_eq!((&found.json["stage"], &found.json["runs"]), (&json!("idle"), &json!(0)));
    assert_eq!(found.json["next_tick"], "2026-12-02T02:00:00Z");
    (world, enforcer)
}

/// The tick of this day comes, and its run comes to an end.
async fn night(world: &ApiWorld, enforcer: &mut Enforcer, day: u32) -> Answered {
    world.clock.set(tick(day));
    let of_the_day = format!("2026-12-{day:02}T02:00:00Z");
    let over = |answered: &Answered| {
        answered.json["last_run"]["tick"] == *of_the_day
            && answered.json["last_run"]["result"].is_string()
    };
    world.enforced(enforcer, "/v1/enforcements/night", over).await
}

/// Every run's rollouts, and that no two were at hand at once nor one tick ran twice.
async fn assert_one_run_at_a_time(world: &ApiWorld) {
    let entries = world.store.journal(None, 0, usize::MAX).await.expect("a store in memory");
    let (mut ticks, mut version) = (BTreeSet::new(), 0);
    let mut stage = Word::from("none");
    for entry in &entries {
        if let JournalEvent::Enforcement { from, to, record, .. } = &entry.what {
            assert_eq!((from, record.version), (&stage, version + 1), "the entries are a chain");
            if to == "surveying" && from != "surveying" {
                assert_eq!(from, "idle", "a run begins only where none is at hand");
                assert!(ticks.insert(record.last.as_ref().expect("a run").tick), "one run a tick");
            }
            (stage, version) = (to.clone(), record.version);
        }
    }
    let runs = entries.iter().filter(|entry| matches!(&entry.what, JournalEvent::Submitted { name, .. } if name.as_str() == "night-drift"));
    assert_eq!(runs.count(), ticks.len(), "each run has one survey");
}

#[tokio::test]
async fn drift_is_found_and_put_right() {
    let (world, mut enforcer) = begun(8, "apply").await;
    let clean = night(&world, &mut enforcer, 2).await;
    assert_eq!(clean.json["last_run"]["result"], "nothing drifted");
    assert_eq!(clean.json["last_run"]["right"], 8);
    world.cloud.set('a', 1, false);
    world.cloud.set('a', 5, false);
    let found = night(&world, &mut enforcer, 3).await;
    let run = &found.json["last_run"];
    assert_eq!(
        (&run["number"], &run["drifted"], &run["switched"]),
        (&json!(2), &json!(2), &json!(2)),
        "{found:?}"
    );
    assert_eq!(run["result"], "2 put right");
    assert!(world.cloud.shows('a', 1) && world.cloud.shows('a', 5));
    let rollouts = world.get("/v1/rollouts").await;
    let names: Vec<_> = rollouts.json["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| format!("{} {}", row["name"], row["revision"]))
        .collect();
    assert_eq!(
        names,
        ["\"night-enforce\" 2", "\"night-drift\" 2", "\"night-drift\" 1", "\"night\" 1"]
    );
    let looked = world.get("/v1/rollouts/night-drift/changes?state=skipped").await;
    assert_eq!(looked.json["rows"][0]["reason_word"], "drifted");
    let jobs = world.get("/v1/rollouts/night-drift/jobs").await;
    assert_eq!(jobs.json["rows"], json!([]), "a survey sends nothing");
    let journal = world.get("/v1/rollouts/night/journal?limit=1000").await;
    let told = journal.json["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .any(|row| row["kind"] == "enforcement" && row["why"] == "run 2: 2 drifted; put right");
    assert!(told, "the journal of the rollout tells of it");
    assert_eq!(world.get("/v1/rollouts/night").await.json["enforcement"]["runs"], 2);
    assert_one_run_at_a_time(&world).await;
}

#[tokio::test]
async fn inform_only_reports() {
    let (world, mut enforcer) = begun(4, "inform").await;
    (0..4).for_each(|place| world.cloud.set('a', place, false));
    let found = night(&world, &mut enforcer, 2).await;
    assert_eq!(found.json["last_run"]["result"], "4 drifted; only reported");
    assert!((0..4).all(|place| !world.cloud.shows('a', place)));
    assert_eq!(world.get("/v1/rollouts/night-enforce").await.status, StatusCode::NOT_FOUND);
    assert_one_run_at_a_time(&world).await;
}

#[tokio::test]
async fn more_drift_than_allowed_waits_for_a_person() {
    let (world, mut enforcer) = begun(5, "apply").await;
    (0..3).for_each(|place| world.cloud.set('a', place, false));
    let held = night(&world, &mut enforcer, 2).await;
    assert_eq!(
        (&held.json["stage"], &held.json["held"]),
        (&json!("held"), &json!("3 drifted, more than the 2 that max_drift allows"))
    );
    assert_eq!(held.json["held_drift"], 3, "what is held is counted");
    world.clock.set(tick(3));
    let skipped = world
        .enforced(&mut enforcer, "/v1/enforcements/night", |answered| {
            answered.json["skipped_ticks"] == 1
        })
        .await;
    assert_eq!(skipped.json["runs"], 1);
    assert!(!world.cloud.shows('a', 0));
    let released = world.post("/v1/enforcements/night/release", json!({"reason": "ours"})).await;
    assert_eq!((released.status, &released.json["stage"]), (StatusCode::OK, &json!("applying")));
    let done = world
        .enforced(&mut enforcer, "/v1/enforcements/night", |answered| {
            answered.json["stage"] == "idle"
        })
        .await;
    assert_eq!(done.json["last_run"]["switched"], 3);
    assert!((0..3).all(|place| world.cloud.shows('a', place)));
    let again = world.post("/v1/enforcements/night/release", json!({"reason": "again"})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(
        again.json["detail"],
        "nothing to release: the enforcement is idle, and none of its targets is held"
    );
    assert_one_run_at_a_time(&world).await;
}

#[tokio::test]
async fn a_target_that_flips_back_is_held_until_it_is_released() {
    let (world, mut enforcer) = begun(5, "apply").await;
    for day in 2..=4 {
        world.cloud.set('a', 1, false);
        let run = night(&world, &mut enforcer, day).await;
        assert_eq!(run.json["last_run"]["result"], "1 put right");
    }
    world.cloud.set('a', 1, false);
    let held = night(&world, &mut enforcer, 5).await;
    assert_eq!(
        held.json["last_run"]["result"],
        "1 drifted, 1 of them held (1 newly: flipped back 3 times within 10 runs)"
    );
    assert_eq!(held.json["held_targets"], 1);
    assert_eq!(held.json["held_list"][0]["runs"], json!([1, 2, 3]));
    let proxy = held.json["held_list"][0]["proxy_id"].clone();
    assert!(!world.cloud.shows('a', 1), "it is left alone");
    let none = world
        .post(
            "/v1/enforcements/night/release",
            json!({"target": "b0000000000000000000000000000001po01", "reason": "ours"}),
        )
        .await;
    assert_eq!(none.status, StatusCode::NOT_FOUND, "{none:?}");
    let released = world
        .post("/v1/enforcements/night/release", json!({"target": proxy, "reason": "fixed"}))
        .await;
    assert_eq!((released.status, &released.json["held_targets"]), (StatusCode::OK, &json!(0)));
    night(&world, &mut enforcer, 6).await;
    assert!(world.cloud.shows('a', 1));
    assert_one_run_at_a_time(&world).await;
}

#[tokio::test]
async fn a_restart_between_survey_and_apply_gives_one_run() {
    let (world, mut enforcer) = begun(5, "apply").await;
    world.cloud.set('a', 4, false);
    world.clock.set(tick(2));
    // Before every single pass whoever carried it out before is gone, with all that it knew.
    let over = |answered: &Answered| answered.json["last_run"]["result"].is_string();
    for _ in 0..1000 {
        let mut fresh = world.enforcer();
        fresh.pass().await.expect("a store in memory");
        if over(&world.get("/v1/enforcements/night").await) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let found = world.enforced(&mut enforcer, "/v1/enforcements/night", over).await;
    assert_eq!((&found.json["runs"], &found.json["last_run"]["switched"]), (&json!(1), &json!(1)));
    let named = |name: &str, rows: &Value| {
        rows.as_array().expect("rows").iter().filter(|row| row["name"] == name).count()
    };
    let rows = world.get("/v1/rollouts").await.json["rows"].clone();
    assert_eq!((named("night-drift", &rows), named("night-enforce", &rows)), (1, 1));
    assert_one_run_at_a_time(&world).await;
}

#[tokio::test]
async fn the_clock_stepped_back_repeats_no_tick_and_missed_ones_are_one_run() {
    let (world, mut enforcer) = begun(3, "inform").await;
    night(&world, &mut enforcer, 6).await;
    world.clock.set(tick(4));
    for _ in 0..3 {
        enforcer.pass().await.expect("a store in memory");
        world.enforcer().pass().await.expect("a store in memory");
    }
    let found = world.get("/v1/enforcements/night").await;
    assert_eq!((&found.json["runs"], &found.json["skipped_ticks"]), (&json!(1), &json!(4)));
    assert_eq!(found.json["next_tick"], "2026-12-07T02:00:00Z");
    assert_one_run_at_a_time(&world).await;
}

#[tokio::test]
async fn it_is_stopped_by_a_person_and_begins_again_with_a_newer_revision() {
    let (world, mut enforcer) = begun(3, "apply").await;
    night(&world, &mut enforcer, 2).await;
    let stopped = world.post("/v1/enforcements/night/stop", json!({"reason": "retired"})).await;
    assert_eq!((stopped.status, &stopped.json["stage"]), (StatusCode::OK, &json!("ended")));
    assert_eq!(stopped.json["stopped"]["reason"], "retired");
    assert_eq!(stopped.json.get("next_tick"), None);
    world.clock.set(tick(3));
    enforcer.pass().await.expect("a store in memory");
    world.enforcer().pass().await.expect("a store in memory");
    assert_eq!(world.get("/v1/enforcements/night").await.json["runs"], 1);
    assert_eq!(
        world.post("/v1/enforcements/night/stop", json!({})).await.status,
        StatusCode::CONFLICT
    );

    let newer = plan("night", &targets('a', 4), &format!("revision: 2\n{}", enforce("apply")));
    assert_eq!(world.submit(&newer).await.status, StatusCode::CREATED);
    let renewed = world
        .enforced(&mut enforcer, "/v1/enforcements/night", |answered| {
            answered.json["revision"] == 2
        })
        .await;
    assert_eq!((&renewed.json["stage"], &renewed.json["targets"]), (&json!("idle"), &json!(4)));
    let run = night(&world, &mut enforcer, 4).await;
    assert_eq!(run.json["last_run"]["number"], 2, "numbers of runs go on");
    assert_eq!(world.get("/v1/enforcements").await.json["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(world.get("/v1/enforcements/other").await.status, StatusCode::NOT_FOUND);
    assert_one_run_at_a_time(&world).await;
}

#[tokio::test]
async fn a_plan_for_the_other_value_is_told_what_an_enforcement_keeps() {
    let (world, mut enforcer) = begun(7, "apply").await;
    let off = |name: &str, n: u32| {
        plan(name, &targets('a', n), "").replace("ssl_option: true", "ssl_option: false")
    };
    let asked = async |text: &str| {
        world.upload("/v1/plans/preview", form(text, &[])).await.json["opposing"].clone()
    };
    let told = asked(&off("back", 6)).await;
    let row = &told[0];
    assert_eq!(
        (&row["name"], &row["revision"], &row["ssl_option"]),
        (&json!("night"), &json!(1), &json!(true)),
        "{told}"
    );
    assert_eq!(
        (&row["targets"], row["first"].as_array().map(Vec::len)),
        (&json!(6), Some(5)),
        "the first are named: {told}"
    );
    assert_eq!((row.get("held"), &row["next_tick"]), (None, &json!("2026-12-02T02:00:00Z")));
    assert_eq!(
        asked(&plan("same", &targets('a', 6), "")).await,
        Value::Null,
        "it wants what is kept"
    );
    assert_eq!(
        asked(
            &plan("others", &targets('b', 6), "").replace("ssl_option: true", "ssl_option: false")
        )
        .await,
        Value::Null,
        "none of its targets is kept"
    );
    let newer = off("night", 6).replace("ssl_option", "revision: 2\nssl_option");
    assert_eq!(asked(&newer).await, Value::Null, "it takes the enforcement's place");

    // What flipped back too often is left alone by the enforcement.
    for day in 2..=5 {
        world.cloud.set('a', 1, false);
        night(&world, &mut enforcer, day).await;
    }
    assert_eq!(world.get("/v1/enforcements/night").await.json["held_targets"], 1);
    assert_eq!(asked(&off("back", 6)).await[0]["targets"], 5);

    let submitted = world.upload("/v1/rollouts?confirm=back", form(&off("back", 6), &[])).await;
    assert_eq!(
        (submitted.status, &submitted.json["opposing"][0]["targets"]),
        (StatusCode::CREATED, &json!(5)),
        "{submitted:?}"
    );
    let journal = world.get("/v1/rollouts/back/journal?limit=1").await;
    assert_eq!(
        journal.json["rows"][0]["why"],
        "plan back revision 1 with 6 targets; the enforcement night keeps 5 of them at ssl on"
    );
    world.post("/v1/enforcements/night/stop", json!({})).await;
    assert_eq!(asked(&off("later", 6)).await, Value::Null, "it has ended");
    let (world, _) = begun(3, "inform").await;
    let told = world.upload("/v1/plans/preview", form(&off("back", 3), &[])).await;
    assert_eq!(told.json["opposing"], Value::Null, "it only reports: {told:?}");
}

#[tokio::test]
async fn a_run_whose_proxies_are_taken_is_skipped_and_told() {
    let (world, mut enforcer) = begun(3, "apply").await;
    world.cloud.busy(true);
    assert_eq!(
        world.submit(&plan("other", &targets('a', 3), "")).await.status,
        StatusCode::CREATED
    );
    let refused = night(&world, &mut enforcer, 2).await;
    let result = refused.json["last_run"]["result"].as_str().expect("a result");
    assert!(
        result.starts_with("not begun: proxy")
            && result.contains("belongs to the open rollout other"),
        "{result}"
    );
    world.cloud.busy(false);
    world.until("/v1/rollouts/other", |answered| answered.json["phase"] == "completed").await;
    let run = night(&world, &mut enforcer, 3).await;
    assert_eq!(
        (&run.json["last_run"]["number"], &run.json["last_run"]["result"]),
        (&json!(2), &json!("nothing drifted"))
    );
}
