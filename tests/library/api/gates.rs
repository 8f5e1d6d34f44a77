//! Reverts, approvals and pauses with an end, over the socket.

use reqwest::StatusCode;
use sealift::domain::rollout::Verb;
use sealift::domain::stop::StopFile;
use sealift::engine::{Command, CommandError};
use serde_json::{Value, json};

use crate::api::world::{ApiWorld, form, plan, targets};

const TWO_WAVES: &str =
    "strategy: {waves: [{name: one, size: 2, promote: manual}, {name: two, size: rest}]}\n";

fn states(answered: &Value) -> Vec<(u64, String, String)> {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or("-").to_owned();
    let rows = answered["rows"].as_array().expect("rows");
    rows.iter()
        .map(|row| {
            (
                row["ordinal"].as_u64().expect("a place"),
                text(row, "state"),
                text(row, "reason_word"),
            )
        })
        .collect()
}

fn owned(rows: &[(u64, &str, &str)]) -> Vec<(u64, String, String)> {
    rows.iter()
        .map(|(place, state, word)| (*place, (*state).to_owned(), (*word).to_owned()))
        .collect()
}

#[tokio::test]
async fn a_revert_puts_back_what_nobody_changed_since() {
    let world = ApiWorld::new().await;
    let early =
        world.post("/v1/rollouts/back/revert", json!({"reason": "early", "confirm": "back"})).await;
    assert_eq!(early.status, StatusCode::NOT_FOUND);
    world.submit(&plan("back", &targets('a', 4), TWO_WAVES)).await;
    world.until("/v1/rollouts/back", |answered| answered.json["phase"] == "awaiting").await;
    assert!(world.cloud.shows('a', 0) && world.cloud.shows('a', 1) && !world.cloud.shows('a', 2));

    // Somebody else has switched one of them off again.
    world.cloud.set('a', 1, false);
    let reverted = world
        .post("/v1/rollouts/back/revert", json!({"reason": "old drivers", "confirm": "back"}))
        .await;
    assert_eq!(
        (reverted.status, reverted.json["phase"].as_str()),
        (StatusCode::OK, Some("reverting")),
        "{reverted:?}"
    );
    let done =
        world.until("/v1/rollouts/back", |answered| answered.json["phase"] == "reverted").await;
    assert_eq!(done.json["final"], true);
    let tally = &done.json["tally"];
    assert_eq!(
        (&tally["reverted"], &tally["skipped"], &tally["cancelled"], &tally["total"]),
        (&json!(1), &json!(1), &json!(2), &json!(4))
    );
    assert!(!world.cloud.shows('a', 0) && !world.cloud.shows('a', 1));

    let changes = world.get("/v1/rollouts/back/changes").await;
    let expected = owned(&[
        (0, "reverted", "-"),
        (1, "skipped", "changed_since"),
        (2, "cancelled", "-"),
        (3, "cancelled", "-"),
    ]);
    assert_eq!(states(&changes.json), expected);
    assert_eq!(
        (&changes.json["rows"][0]["how"], &changes.json["rows"][0]["before"]),
        (&json!("switched"), &json!(false))
    );
    let jobs = world.get("/v1/rollouts/back/jobs").await;
    assert_eq!(
        jobs.json["rows"].as_array().map(Vec::len),
        Some(3),
        "two forward, one back: {jobs:?}"
    );
    let journal = world.get("/v1/rollouts/back/journal?limit=1000").await;
    let asked = journal.json["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .find(|row| row["to"] == "reverting")
        .expect("in the journal");
    assert!(
        asked["why"].as_str().is_some_and(|why| why.contains("old drivers"))
            && asked["by"].is_string(),
        "{asked}"
    );

    for verb in ["revert", "resume", "retry", "promote", "abort"] {
        let body = if verb == "revert" {
            json!({"reason": "early", "confirm": "back"})
        } else {
            json!({"reason": "late"})
        };
        let late = world.post(&format!("/v1/rollouts/back/{verb}"), body).await;
        assert_eq!(late.status, StatusCode::CONFLICT, "{verb}: {late:?}");
    }
    // It is over: its proxies are free for another rollout.
    let again = world.submit(&plan("again", &targets('a', 1), "")).await;
    assert_eq!(again.status, StatusCode::CREATED, "{again:?}");
}

#[tokio::test]
async fn a_revert_that_fails_waits_for_a_person() {
    let world = ApiWorld::new().await;
    world.submit(&plan("stuck", &targets('a', 4), TWO_WAVES)).await;
    world.until("/v1/rollouts/stuck", |answered| answered.json["phase"] == "awaiting").await;
    world.cloud.refuse(true);
    world
        .post("/v1/rollouts/stuck/revert", json!({"reason": "old drivers", "confirm": "stuck"}))
        .await;
    let halted =
        world.until("/v1/rollouts/stuck", |answered| answered.json["phase"] == "halted").await;
    assert_eq!(halted.json["halt"]["guard"], "revert");
    assert_eq!(halted.json["revert"]["stage"], "releasing", "{halted:?}");
    let again = world
        .post("/v1/rollouts/stuck/revert", json!({"reason": "old drivers", "confirm": "stuck"}))
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(
        again.json["detail"].as_str().is_some_and(|message| message.contains("sealift retry")),
        "{again:?}"
    );
    assert_eq!(
        world.post("/v1/rollouts/stuck/promote", json!({})).await.status,
        StatusCode::CONFLICT
    );

    world.cloud.refuse(false);
    let retried = world.post("/v1/rollouts/stuck/retry", json!({})).await;
    assert_eq!(
        (retried.status, retried.json["phase"].as_str()),
        (StatusCode::OK, Some("reverting")),
        "{retried:?}"
    );
    let done =
        world.until("/v1/rollouts/stuck", |answered| answered.json["phase"] == "reverted").await;
    assert_eq!(done.json["tally"]["reverted"], 2);
}

#[tokio::test]
async fn a_canary_half_of_which_failed_is_left_by_a_person_with_a_reason() {
    let world = ApiWorld::new().await;
    let list = format!(
        "{}{}{}",
        targets('f', 1),
        targets('a', 3),
        targets('f', 3).split_once('\n').expect("lines").1
    );
    let strategy = "strategy: {max_failures: {wave: 100%, rollout: 6}, waves: [{name: canary, size: 2}, {name: rest, size: rest}]}\n";
    world.submit(&plan("canary", &list, strategy)).await;
    let halted =
        world.until("/v1/rollouts/canary", |answered| answered.json["phase"] == "halted").await;
    assert_eq!(
        (&halted.json["halt"]["guard"], &halted.json["tally"]["queued"]),
        (&json!("half"), &json!(4)),
        "{halted:?}"
    );
    assert!(
        halted.json["holds"][0]["help"]
            .as_str()
            .is_some_and(|text| text.contains("sealift promote canary --reason")),
        "{halted:?}"
    );
    let path = "/v1/rollouts/canary/promote";
    let unsaid = world.post(path, json!({})).await;
    assert_eq!(unsaid.status, StatusCode::CONFLICT);
    assert!(
        unsaid.json["detail"].as_str().is_some_and(|message| message.contains("--reason")),
        "{unsaid:?}"
    );
    assert_eq!(
        world.post(path, json!({"reason": "the one is being decommissioned"})).await.json["phase"],
        "advancing"
    );

    // Two of the last wave's four fail: the last one halts too, and a person ends it.
    let last =
        world.until("/v1/rollouts/canary", |answered| answered.json["phase"] == "halted").await;
    assert_eq!(
        (&last.json["halt"]["guard"], &last.json["tally"]["failed"]),
        (&json!("half"), &json!(3)),
        "{last:?}"
    );
    assert_eq!(world.post(path, json!({"reason": "and those"})).await.json["phase"], "completed");
}

#[tokio::test]
async fn a_rollout_whose_every_change_failed_is_not_completed() {
    let world = ApiWorld::new().await;
    world
        .submit(&plan(
            "none",
            &targets('f', 2),
            "strategy: {max_failures: {wave: 2, rollout: 3}}\n",
        ))
        .await;
    world.until("/v1/rollouts/none", |answered| answered.json["phase"] == "halted").await;
    let refused =
        world.post("/v1/rollouts/none/promote", json!({"reason": "let it be over"})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert_eq!(
        world.post("/v1/rollouts/none/abort", json!({"reason": "over"})).await.json["phase"],
        "aborted"
    );
}

#[tokio::test]
async fn a_spent_budget_reverts_where_the_plan_says_so() {
    let world = ApiWorld::new().await;
    let list = format!("{}{}", targets('a', 2), targets('f', 2));
    let guards = "strategy: {max_in_flight: 1, max_failures: 1, on_failure: revert}\n";
    world.submit(&plan("careful", &list, guards)).await;
    let done =
        world.until("/v1/rollouts/careful", |answered| answered.json["phase"] == "reverted").await;
    let tally = &done.json["tally"];
    assert_eq!(
        (&tally["reverted"], &tally["failed"], &tally["cancelled"]),
        (&json!(2), &json!(1), &json!(1)),
        "{done:?}"
    );
    assert!(!world.cloud.shows('a', 0) && !world.cloud.shows('a', 1));
}

#[tokio::test]
async fn an_approval_names_the_digest_and_comes_from_somebody_else() {
    let world = ApiWorld::new().await;
    let text = plan("agreed", &targets('a', 2), "approval: {required: 1}\n");
    let preview = world.upload("/v1/plans/preview", form(&text, &[])).await;
    let digest = preview.json["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(preview.json["approvals"], 1);
    world.submit(&text).await;
    let held = world
        .until("/v1/rollouts/agreed", |answered| {
            answered.json["holds"][0]["word"] == "awaiting_approval"
        })
        .await;
    assert_eq!(held.json["phase"], "scheduled");
    assert_eq!(held.json["approval"]["digest"], digest.as_str());
    let waits = world.get("/v1/rollouts/agreed/changes?state=queued").await;
    assert_eq!(waits.json["rows"][0]["hold"]["word"], "awaiting_approval");

    let path = "/v1/rollouts/agreed/approve";
    assert_eq!(
        world.post(path, json!({})).await.status,
        StatusCode::BAD_REQUEST,
        "without a digest"
    );
    assert_eq!(
        world.post(path, json!({"digest": "12"})).await.status,
        StatusCode::BAD_REQUEST,
        "no digest at all"
    );
    assert_eq!(
        world.post("/v1/rollouts/agreed/pause", json!({"digest": digest})).await.status,
        StatusCode::BAD_REQUEST
    );
    let other = world.post(path, json!({"digest": "0".repeat(64)})).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert!(
        other.json["detail"].as_str().is_some_and(|message| message.contains(&digest)),
        "{other:?}"
    );
    let own = world.post(path, json!({"digest": digest})).await;
    assert!(
        own.json["detail"].as_str().is_some_and(|message| message.contains("somebody else")),
        "{own:?}"
    );

    let approve = |by: &str| Command {
        rollout: held.json["id"].as_str().expect("an id").parse().expect("an id"),
        verb: Verb::Approve { digest: digest.parse().expect("a digest") },
        by: by.into(),
        reason: "looked at it".into(),
        only_if: None,
    };
    world.handle.command(approve("bob")).await.expect("approved");
    world.until("/v1/rollouts/agreed", |answered| answered.json["phase"] == "completed").await;
    assert!(matches!(world.handle.command(approve("carol")).await, Err(CommandError::Refused(_))));
    let journal = world.get("/v1/rollouts/agreed/journal?limit=1000").await;
    let rows = journal.json["rows"].as_array().expect("rows");
    assert!(
        rows.iter().any(|row| row["by"] == "bob" && row["why"] == "approved by bob: looked at it"),
        "{journal:?}"
    );
}

#[tokio::test]
async fn a_proxy_that_is_not_as_the_preview_saw_it_is_skipped_and_named() {
    let world = ApiWorld::new().await;
    let says = |place: u32, value: bool| {
        targets('a', 4)
            .lines()
            .nth(place as usize)
            .expect("a target")
            .replace('}', &format!(", ssl_option: {value}}}\n"))
    };
    // The second one showed true when the list was made; somebody has switched it off since.
    let list = format!(
        "{}{}{}{}\n",
        says(0, false),
        says(1, true),
        says(2, true),
        targets('a', 4).lines().nth(3).expect("a target")
    );
    world.cloud.set('a', 2, true);
    let text = plan("compared", &list, "");
    let preview = world.upload("/v1/plans/preview?per_wave=10", form(&text, &[])).await;
    assert_eq!(preview.json["seen"], json!({"other": 1, "right": 2, "unknown": 1}), "{preview:?}");
    assert_eq!(preview.json["waves"][0]["targets"][1]["ssl_option"], true);
    let unsaid =
        world.upload("/v1/plans/preview", form(&plan("compared", &targets('a', 4), ""), &[])).await;
    assert_ne!(
        preview.json["digest"], unsaid.json["digest"],
        "an approval is for what was seen, too"
    );

    world.submit(&text).await;
    world.until("/v1/rollouts/compared", |answered| answered.json["phase"] == "completed").await;
    let changes = world.get("/v1/rollouts/compared/changes").await;
    let expected = owned(&[
        (0, "succeeded", "-"),
        (1, "skipped", "not_as_seen"),
        (2, "succeeded", "-"),
        (3, "succeeded", "-"),
    ]);
    assert_eq!(states(&changes.json), expected);
    assert!(
        changes.json["rows"][1]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("somebody changed it since")),
        "{changes:?}"
    );
    assert!(!world.cloud.shows('a', 1) && world.cloud.shows('a', 3));
}

#[tokio::test]
async fn a_pause_ends_by_itself_at_its_time() {
    let world = ApiWorld::new().await;
    world.cloud.busy(true);
    world.submit(&plan("nap", &targets('a', 2), "")).await;
    let now: jiff::Timestamp = world.get("/v1/rollouts/nap").await.json["as_of"]
        .as_str()
        .expect("an instant")
        .parse()
        .expect("an instant");
    let path = "/v1/rollouts/nap/pause";
    let past = world
        .post(path, json!({"until": now - std::time::Duration::from_secs(5), "reason": "late"}))
        .await;
    assert_eq!(past.status, StatusCode::CONFLICT, "{past:?}");
    assert_eq!(
        world.post("/v1/rollouts/nap/resume", json!({"until": now})).await.status,
        StatusCode::BAD_REQUEST
    );

    let until = now + std::time::Duration::from_millis(700);
    assert_eq!(
        world.post(path, json!({"until": until, "reason": "batch"})).await.status,
        StatusCode::OK
    );
    world.cloud.busy(false);
    world.until("/v1/rollouts/nap", |answered| answered.json["phase"] == "completed").await;
    let journal = world.get("/v1/rollouts/nap/journal?limit=1000").await;
    let rows = journal.json["rows"].as_array().expect("rows");
    let ended = rows
        .iter()
        .find(|row| row["why"].as_str().is_some_and(|why| why.starts_with("the pause ended")))
        .expect("told");
    assert!(
        ended["at"].as_str().expect("an instant").parse::<jiff::Timestamp>().expect("an instant")
            >= until,
        "{ended}"
    );
    assert!(ended.get("by").is_none(), "nobody did it: {ended}");
}

/// Whoever comes first wins, everybody is answered, and the journal tells exactly what was
/// acknowledged.
#[tokio::test]
async fn operators_at_once_and_a_verb_that_races_the_end_make_one_story() {
    for round in 0..6 {
        let world = ApiWorld::new().await;
        let name = format!("race-{round}");
        // Of some rounds the rollout is over before the verbs come, of others it is in the middle.
        let guards = if round % 2 == 0 { TWO_WAVES } else { "" };
        world.submit(&plan(&name, &targets('a', 6), guards)).await;
        let path = |verb: &str| format!("/v1/rollouts/{name}/{verb}");
        let (pause, other, revert, twice, abort) =
            (path("pause"), path("pause"), path("revert"), path("revert"), path("abort"));
        let answers = tokio::join!(
            world.post(&pause, json!({"reason": "one"})),
            world.post(&other, json!({"reason": "other"})),
            world.post(&revert, json!({"reason": "back", "confirm": name})),
            world.post(&twice, json!({"reason": "twice", "confirm": name})),
            world.post(&abort, json!({"reason": "over"})),
        );
        let answers = [answers.0, answers.1, answers.2, answers.3, answers.4];
        for answer in &answers {
            assert!(matches!(answer.status, StatusCode::OK | StatusCode::CONFLICT), "{answer:?}");
        }
        let done = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert!(
            answers[..2].iter().filter(|answer| answer.status == StatusCode::OK).count() <= 1,
            "one pause: {answers:?}"
        );
        assert!(
            answers[2..4].iter().filter(|answer| answer.status == StatusCode::OK).count() <= 1,
            "one revert: {answers:?}"
        );
        let journal = world.get(&path("journal?limit=1000")).await;
        let told = journal.json["rows"]
            .as_array()
            .expect("rows")
            .iter()
            .filter(|row| row["kind"] == "rollout" && row["by"].is_string());
        assert_eq!(told.count(), done, "the journal has what was acknowledged: {answers:?}");
        world
            .until(&format!("/v1/rollouts/{name}"), |answered| {
                answered.json["final"] == true
                    && answered.json["tally"]["active"] == 0
                    && answered.json["tally"]["queued"] == 0
            })
            .await;
    }
}

#[tokio::test]
async fn a_paused_lane_holds_what_needs_it_until_it_is_resumed() {
    let world = ApiWorld::new().await;
    let paused =
        world.post("/v1/lanes/lab/pause", json!({"reason": "incident in the region"})).await;
    assert_eq!(
        (paused.status, paused.json["lane"].as_str()),
        (StatusCode::OK, Some("lab")),
        "{paused:?}"
    );
    assert_eq!(world.post("/v1/lanes/lab/pause", json!({})).await.status, StatusCode::CONFLICT);
    assert_eq!(world.post("/v1/lanes/lob/pause", json!({})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.post("/v1/lanes/lab/promote", json!({})).await.status, StatusCode::NOT_FOUND);

    world.submit(&plan("over", &targets('a', 3), "")).await;
    let held = world
        .until("/v1/rollouts/over", |answered| answered.json["holds"][0]["word"] == "lane_held")
        .await;
    assert!(
        held.json["holds"][0]["why"]
            .as_str()
            .is_some_and(|text| text.contains("incident in the region")),
        "{held:?}"
    );
    let changes = world.get("/v1/rollouts/over/changes").await;
    assert_eq!(changes.json["rows"][0]["hold"]["word"], "lane_held", "{changes:?}");
    let daemon = world.get("/v1/daemon").await;
    assert_eq!(daemon.json["lanes"][0]["held"]["reason"], "incident in the region", "{daemon:?}");
    assert_eq!(world.cloud.calls("submit"), 0);

    assert_eq!(world.post("/v1/lanes/lab/resume", json!({})).await.status, StatusCode::OK);
    world.until("/v1/rollouts/over", |answered| answered.json["phase"] == "completed").await;
    assert_eq!(world.post("/v1/lanes/lab/resume", json!({})).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_stop_file_is_seen_by_the_last_check_before_the_engine_is_told() {
    let world = ApiWorld::new().await;
    let stands = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let file = stands.clone();
    let look = move || {
        file.load(std::sync::atomic::Ordering::Relaxed)
            .then(|| StopFile::new("/state/STOP", "drill"))
    };
    world.handle.look_for_stop(Box::new(look));
    world.submit(&plan("stopped", &targets('a', 2), "")).await;
    // The looks before are made, and every switch is withheld.
    for _ in 0..1000 {
        if world.cloud.calls("submit") >= 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(
        world.cloud.calls("submit") >= 4
            && !world.cloud.shows('a', 0)
            && !world.cloud.shows('a', 1)
    );
    stands.store(false, std::sync::atomic::Ordering::Relaxed);
    world.until("/v1/rollouts/stopped", |answered| answered.json["phase"] == "completed").await;
}

#[tokio::test]
async fn what_a_person_stopped_stays_stopped_until_it_is_started() {
    let world = ApiWorld::new().await;
    assert_eq!(
        world.post("/v1/start", json!({})).await.status,
        StatusCode::CONFLICT,
        "nothing is stopped"
    );
    world.cloud.busy(true);
    world.submit(&plan("all", &targets('a', 3), "")).await;
    world.until("/v1/rollouts/all", |answered| answered.json["tally"]["active"] != 0).await;

    let stopped = world.post("/v1/stop", json!({"reason": "incident in the region"})).await;
    assert_eq!(
        (stopped.status, &stopped.json["verb"]),
        (StatusCode::OK, &json!("stop")),
        "{stopped:?}"
    );
    // Nothing is waited for: the verb is in force when it is acknowledged.
    world.cloud.busy(false);
    let again = world.post("/v1/stop", json!({"reason": "me too"})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let told = again.json["detail"].as_str().expect("a message");
    assert!(told.contains("incident in the region") && told.contains("`sealift start`"), "{told}");
    let kept = std::fs::read_to_string(world.folder.path().join("lanes.json"))
        .expect("written before it is acknowledged");
    assert!(kept.contains("incident in the region"), "{kept}");

    let held = world
        .until("/v1/rollouts/all", |answered| answered.json["holds"][0]["word"] == "stopped")
        .await;
    assert!(
        held.json["holds"][0]["why"]
            .as_str()
            .is_some_and(|text| text.contains("incident in the region")),
        "{held:?}"
    );
    let changes = world.get("/v1/rollouts/all/changes").await;
    assert_eq!(changes.json["rows"][0]["hold"]["word"], "stopped", "{changes:?}");
    let daemon = world.get("/v1/daemon").await;
    assert_eq!(daemon.json["stopped"]["reason"], "incident in the region", "{daemon:?}");
    assert!(
        daemon.json["stop_file"]
            .as_str()
            .is_some_and(|path| path.starts_with('/') && path.ends_with("/STOP")),
        "{daemon:?}"
    );
    assert_eq!(world.cloud.calls("submit"), 0);

    // Both stop: lifting one of them is not enough, and it says so.
    world.handle.stop_file(Some(StopFile::new("/state/STOP", "fire drill"))).await;
    world
        .until("/v1/rollouts/all", |answered| answered.json["holds"][1]["word"] == "stop_file")
        .await;
    let started = world.post("/v1/start", json!({"reason": "it is over"})).await;
    assert_eq!(
        (started.status, &started.json["stop_file"]),
        (StatusCode::OK, &json!("/state/STOP")),
        "{started:?}"
    );
    world
        .until("/v1/rollouts/all", |answered| answered.json["holds"][0]["word"] == "stop_file")
        .await;
    assert_eq!(world.cloud.calls("submit"), 0);
    world.handle.stop_file(None).await;
    world.until("/v1/rollouts/all", |answered| answered.json["phase"] == "completed").await;
}

#[tokio::test]
async fn a_stop_that_cannot_be_kept_stops_all_the_same_and_says_so() {
    let world = ApiWorld::new().await;
    // No file can take the place of a folder.
    let kept = world.folder.path().join("lanes.json");
    std::fs::create_dir(&kept).expect("a folder");
    let stopped = world.post("/v1/stop", json!({"reason": "incident"})).await;
    assert_eq!(
        stopped.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "it is not acknowledged: {stopped:?}"
    );
    let told = stopped.json["detail"].as_str().expect("a message");
    assert!(
        told.contains("lanes.json cannot be written")
            && told.contains("only until this daemon ends"),
        "{told}"
    );
    world.submit(&plan("all", &targets('a', 2), "")).await;
    world
        .until("/v1/rollouts/all", |answered| answered.json["holds"][0]["word"] == "stopped")
        .await;
    let lane = world.post("/v1/lanes/lab/pause", json!({})).await;
    assert_eq!(lane.status, StatusCode::SERVICE_UNAVAILABLE, "{lane:?}");

    std::fs::remove_dir(&kept).expect("mended");
    assert_eq!(
        world.post("/v1/stop", json!({"reason": "incident"})).await.status,
        StatusCode::OK,
        "said again"
    );
    assert!(kept.is_file());
    assert_eq!(world.post("/v1/start", json!({})).await.status, StatusCode::OK);
    world.until("/v1/rollouts/all", |answered| answered.json["phase"] == "completed").await;
}
