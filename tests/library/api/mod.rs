//! The API over a real unix socket, with the real engine behind it.

mod attention;
mod browser;
mod contract;
mod door;
mod enforce;
mod gates;
mod health;
mod long;
mod look;
mod metrics;
mod page;
mod people;
mod socket;
mod streams;
mod top;
mod verbs;
mod world;

use self::world::{ApiWorld, form, plan, targets};
use reqwest::StatusCode;
use sealift::domain::stop::StopFile;
use serde_json::json;

#[tokio::test]
async fn a_plan_runs_to_its_end_and_every_listing_tells_of_it() {
    let world = ApiWorld::new().await;
    let submitted = world.submit(&plan("night", &targets('a', 5), "")).await;
    assert_eq!(submitted.status, StatusCode::CREATED, "{submitted:?}");
    assert_eq!(submitted.json["targets"], 5);
    assert_eq!(submitted.json["new"], true);
    let id = submitted.json["id"].as_str().expect("an id").to_owned();

    let done =
        world.until("/v1/rollouts/night", |answered| answered.json["phase"] == "completed").await;
    assert_eq!(done.json["id"], id.as_str());
    assert_eq!(done.json["final"], true);
    assert_eq!(done.json["tally"]["succeeded"], 5);
    assert_eq!(done.json["tally"]["total"], 5);
    assert_eq!(done.json["holds"], json!([]));
    let counted = world
        .until("/v1/rollouts/night", |answered| answered.json["counters"]["completed"] == 5)
        .await;
    assert_eq!(counted.json["counters"], json!({"accepted": 5, "completed": 5, "effective": 5}));

    let jobs = world.get("/v1/rollouts/night/jobs").await;
    assert_eq!(jobs.json["rows"].as_array().map(Vec::len), Some(5));
    assert_eq!(jobs.json["rows"][0]["job_id"], "job-0000");
    assert_eq!(jobs.json["rows"][0]["latest"], true);

    let changes =
        world.get(&format!("/v1/rollouts/{}/changes?state=succeeded&limit=2", &id[..6])).await;
    assert_eq!(changes.json["rows"].as_array().map(Vec::len), Some(2));
    assert_eq!(changes.json["rows"][1]["ordinal"], 1);
    let next = changes.json["next"].as_str().expect("a next page").to_owned();
    let rest = world.get(&format!("/v1/rollouts/night/changes?state=succeeded&after={next}")).await;
    assert_eq!(rest.json["rows"].as_array().map(Vec::len), Some(3));
    assert_eq!(rest.json.get("next"), None);

    let list = world.get("/v1/rollouts").await;
    assert_eq!(list.json["rows"][0]["name"], "night");
    let journal = world.get("/v1/rollouts/night/journal?limit=1000").await;
    let rows = journal.json["rows"].as_array().expect("rows");
    assert_eq!(rows[0]["kind"], "submitted");
    assert!(rows.iter().any(|row| row["to"] == "following"
        && row["job_id"] == "job-0001"
        && row["request_id"] == "req-1"));
    assert!(world.spool().is_empty(), "the upload's folder is left behind");
}

#[tokio::test]
async fn changes_are_found_by_wave_lane_and_the_beginning_of_an_id() {
    let world = ApiWorld::new().await;
    world.cloud.busy(true);
    let waves =
        "strategy: {max_in_flight: 1, waves: [{name: one, size: 2}, {name: two, size: rest}]}\n";
    let list = format!("{}{}", targets('a', 3), targets('b', 2));
    world.submit(&plan("sought", &list, waves)).await;
    let found = async |query: &str| {
        let answered = world.get(&format!("/v1/rollouts/sought/changes?{query}")).await;
        let rows = answered.json["rows"].as_array().cloned().unwrap_or_default();
        let ordinals = rows.iter().filter_map(|row| row["ordinal"].as_u64()).collect::<Vec<_>>();
        (ordinals, answered.json["next"].as_str().map(str::to_owned))
    };
    assert_eq!(found("wave=one").await.0, [0, 1]);
    assert_eq!(found("wave=2").await.0, [2, 3, 4], "its number from 1");
    assert_eq!(found("wave=two&limit=1&after=2").await, (vec![3], Some("3".into())));
    assert_eq!(found("lane=lab&limit=2").await, (vec![0, 1], Some("1".into())));
    assert_eq!(found("lane=lib").await, (vec![], None));
    assert_eq!(found("id=b").await.0, [3, 4]);
    assert_eq!(found("wave=two&id=a").await.0, [2]);
    assert_eq!(found("state=queued&id=b0000000000000000000000000000001in").await.0, [4]);
    for (query, told) in [
        ("wave=tow", "did you mean `two`?"),
        ("wave=3", "waves 1 to 2"),
        ("lane=La b", "lane must be"),
        ("id=..%2f", "`id` takes"),
    ] {
        let refused = world.get(&format!("/v1/rollouts/sought/changes?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}: {refused:?}");
        let detail = refused.json["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(told), "{query}: {detail}");
    }
}

#[tokio::test]
async fn one_change_and_its_journal_are_read_alone() {
    let world = ApiWorld::new().await;
    world.submit(&plan("story", &targets('a', 4), "")).await;
    world.until("/v1/rollouts/story", |answered| answered.json["phase"] == "completed").await;
    let one = world.get("/v1/rollouts/story/changes/2").await;
    assert_eq!((&one.json["ordinal"], &one.json["state"]), (&json!(2), &json!("succeeded")));
    let all = world.get("/v1/rollouts/story/journal?limit=1000").await;
    let all = all.json["rows"].as_array().expect("rows").iter().rev();
    let wanted: Vec<_> = all.filter(|row| row["ordinal"] == 2).cloned().collect();
    let path = "/v1/rollouts/story/changes/2/journal";
    let journal = world.get(path).await;
    assert_eq!(journal.json, json!({"rows": wanted}), "newest first, and nothing of the others");
    let (mut paged, mut next) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("{path}?limit=2{next}")).await;
        paged.extend(page.json["rows"].as_array().expect("rows").clone());
        match page.json["next"].as_str() {
            Some(seq) => next = format!("&after={seq}"),
            None => break,
        }
    }
    assert_eq!(paged, wanted);
    let other = world.get("/v1/rollouts/story/changes/1/journal").await;
    let foreign = &other.json["rows"][0]["seq"];
    for (path, status) in [
        (format!("{path}?after={foreign}"), StatusCode::BAD_REQUEST),
        (format!("{path}?before=1"), StatusCode::BAD_REQUEST),
        ("/v1/rollouts/story/changes/4".into(), StatusCode::NOT_FOUND),
        ("/v1/rollouts/story/changes/4/journal".into(), StatusCode::NOT_FOUND),
        ("/v1/rollouts/story/changes/x".into(), StatusCode::BAD_REQUEST),
    ] {
        let refused = world.get(&path).await;
        assert_eq!(refused.status, status, "{path}: {refused:?}");
        assert!(refused.json["detail"].is_string(), "{path}: {refused:?}");
    }
}

#[tokio::test]
async fn the_same_plan_again_is_the_same_rollout() {
    let world = ApiWorld::new().await;
    let text = plan("twice", &targets('a', 2), "");
    let first = world.submit(&text).await;
    let second = world.submit(&text).await;
    assert_eq!(second.status, StatusCode::OK);
    assert_eq!(second.json["new"], false);
    assert_eq!(first.json["id"], second.json["id"]);
    let other = world.submit(&plan("twice", &targets('a', 3), "")).await;
    assert_eq!(other.status, StatusCode::CONFLICT);
    assert!(
        other.json["detail"].as_str().is_some_and(|message| message.contains("revision")),
        "{other:?}"
    );
}

#[tokio::test]
async fn target_files_travel_with_their_plan() {
    let world = ApiWorld::new().await;
    let plan = "version: 1\nname: filed\nssl_option: true\ntargets:\n  files: [fleet/a.csv]\n";
    let csv = "lane,instance_id,proxy_id\nlab,a0000000000000000000000000000000in07,a0000000000000000000000000000000po01\n";
    let submitted = world.upload("/v1/rollouts", form(plan, &[("fleet/a.csv", csv)])).await;
    assert_eq!(submitted.status, StatusCode::CREATED, "{submitted:?}");
    assert_eq!(submitted.json["targets"], 1);
    let missing = world.upload("/v1/rollouts", form(&plan.replace("filed", "unfiled"), &[])).await;
    assert_eq!(missing.status, StatusCode::UNPROCESSABLE_ENTITY);
    for bad in ["../a.csv", "/etc/passwd", "x/../../a.csv"] {
        let refused = world.upload("/v1/rollouts", form(plan, &[(bad, csv)])).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert!(world.spool().is_empty());
}

#[tokio::test]
async fn mistakes_come_back_with_their_places_and_nothing_is_queued() {
    let world = ApiWorld::new().await;
    let refused =
        world.submit("version: 1\nname: bad\nssl_optoin: true\ntargets:\n  list: []\n").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let error = &refused.json;
    let rendered = error["rendered"].as_str().expect("drawn mistakes");
    assert!(rendered.contains("plan.yaml:3:1") && rendered.contains("ssl_option"), "{rendered}");
    assert!(!rendered.contains("spool"), "our folder shows: {rendered}");
    assert!(!error["diagnostics"].to_string().contains("spool"));
    let unknown =
        world.submit(&plan("lanes", &targets('a', 1).replace("lane: lab", "lane: labb"), "")).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        unknown.json["rendered"].as_str().is_some_and(|text| text.contains("did you mean `lab`")),
        "{unknown:?}"
    );
    assert_eq!(world.get("/v1/rollouts").await.json["rows"], json!([]));
}

#[tokio::test]
async fn an_approval_binds_to_its_digest_and_off_needs_the_name() {
    let world = ApiWorld::new().await;
    let text = plan("bound", &targets('a', 2), "");
    let preview = world.upload("/v1/plans/preview?per_wave=1", form(&text, &[])).await;
    assert_eq!(preview.status, StatusCode::OK, "{preview:?}");
    let digest = preview.json["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(preview.json["targets"], 2);
    assert_eq!(preview.json["waves"][0]["targets"].as_array().map(Vec::len), Some(1));

    let changed = world
        .upload(
            &format!("/v1/rollouts?digest={digest}"),
            form(&text.replace("version: 1", "version: 1 # x"), &[]),
        )
        .await;
    assert_eq!(
        changed.status,
        StatusCode::CONFLICT,
        "another file has another digest: {changed:?}"
    );
    let taken = world.upload(&format!("/v1/rollouts?digest={digest}"), form(&text, &[])).await;
    assert_eq!(taken.status, StatusCode::CREATED);
    assert_eq!(taken.json["id"], preview.json["rollout"]);

    let off = plan("dark", &targets('b', 1), "").replace("ssl_option: true", "ssl_option: false");
    assert_eq!(world.submit(&off).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        world.upload("/v1/rollouts?confirm=bright", form(&off, &[])).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        world.upload("/v1/rollouts?confirm=dark", form(&off, &[])).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn verbs_are_carried_out_or_refused_with_the_reason() {
    let world = ApiWorld::new().await;
    *world.cloud.busy.lock().expect("a test's lock") = true;
    let waves =
        "strategy: {max_in_flight: 1, waves: [{name: one, size: 1}, {name: two, size: rest}]}\n";
    world.submit(&plan("held", &targets('a', 3), waves)).await;
    let paused = world.post("/v1/rollouts/held/pause", json!({"reason": "lunch\u{1b}[31m"})).await;
    assert_eq!(paused.status, StatusCode::OK, "{paused:?}");
    assert_eq!(paused.json["verb"], "pause");
    let held = world.get("/v1/rollouts/held").await;
    let hold = &held.json["holds"][0];
    assert_eq!(
        (&hold["word"], &hold["text"], &hold["why"]),
        (&json!("paused"), &json!("paused"), &json!("lunch[31m")),
        "{hold}"
    );
    assert_eq!(
        (&hold["verb"], &hold["command"]),
        (&json!("resume"), &json!("sealift resume held"))
    );
    assert_eq!(hold["by"], held.json["by"]);
    assert_eq!(held.json["paused"]["reason"], "lunch[31m", "control characters are taken out");
    assert_eq!(held.json["paused"]["by"], held.json["by"]);
    let queued = world.get("/v1/rollouts/held/changes?state=queued").await;
    assert_eq!(queued.json["rows"][0]["hold"]["word"], "paused");
    let again = world.post("/v1/rollouts/held/pause", json!({"reason": "again"})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(world.post("/v1/rollouts/held/resume", json!({})).await.status, StatusCode::OK);
    assert_eq!(
        world.post("/v1/rollouts/held/promote", json!({})).await.status,
        StatusCode::CONFLICT
    );
    assert_eq!(
        world.post("/v1/rollouts/held/pause", json!({"resaon": "x"})).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        world.post("/v1/rollouts/held/pause", json!({"in_doubt": true})).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        world.post("/v1/rollouts/held/explode", json!({})).await.status,
        StatusCode::NOT_FOUND
    );
    let aborted = world.post("/v1/rollouts/held/abort", json!({"reason": "done"})).await;
    assert_eq!(aborted.json["phase"], "aborted");
    let over =
        world.until("/v1/rollouts/held", |answered| answered.json["tally"]["active"] == 0).await;
    assert_eq!(over.json["tally"]["cancelled"], 3, "{over:?}");
    assert_eq!(over.json["aborted"]["reason"], "done");
}

#[tokio::test]
async fn a_full_group_is_told_by_its_changes_and_its_rollout() {
    let world = ApiWorld::new().await;
    *world.cloud.busy.lock().expect("a test's lock") = true;
    let golds = targets('a', 3).replace("po01}", "po01, tags: {tier: gold}}");
    let limits = "strategy: {max_in_flight: 5, max_in_flight_per: {\"tag:tier\": 2}, max_failures: {wave: 4, rollout: 4}}\n";
    let text = plan("tiers", &format!("{golds}{}", targets('b', 1)), limits);
    let preview = world.upload("/v1/plans/preview", form(&text, &[])).await;
    assert_eq!(preview.json["max_in_flight_per"], json!({"tag:tier": 2}));
    world.submit(&text).await;
    let held =
        world.until("/v1/rollouts/tiers", |answered| answered.json["tally"]["active"] == 3).await;
    assert_eq!(held.json["max_in_flight_per"], json!({"tag:tier": 2}));
    assert_eq!(held.json["holds"][0]["word"], "group_limit", "{held:?}");
    let queued = world.get("/v1/rollouts/tiers/changes?state=queued").await;
    assert_eq!(queued.json["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(queued.json["rows"][0]["ordinal"], 2, "the target without the tag goes past it");
    let hold = &queued.json["rows"][0]["hold"];
    assert_eq!(hold["word"], "group_limit");
    assert_eq!(
        hold["text"],
        "2 of 2 changes with tag tier=gold are in flight; it begins when one of them ends"
    );
    *world.cloud.busy.lock().expect("a test's lock") = false;
    let done =
        world.until("/v1/rollouts/tiers", |answered| answered.json["phase"] == "completed").await;
    assert_eq!(
        (&done.json["tally"]["succeeded"], done.json["holds"].as_array().map(Vec::len)),
        (&json!(4), Some(0))
    );
}

#[tokio::test]
async fn a_failure_halts_and_a_retry_goes_on() {
    let world = ApiWorld::new().await;
    let list = format!("{}{}", targets('f', 1), targets('a', 3));
    world.submit(&plan("hurt", &list, "strategy: {max_in_flight: 1, max_failures: 1}\n")).await;
    let halted =
        world.until("/v1/rollouts/hurt", |answered| answered.json["phase"] == "halted").await;
    assert_eq!(halted.json["halt"]["guard"], "failures");
    assert_eq!(halted.json["holds"][0]["word"], "halted");
    let failed = world.get("/v1/rollouts/hurt/changes?state=failed").await;
    assert_eq!(failed.json["rows"][0]["reason_word"], "refused");
    assert_eq!(failed.json["rows"][0]["reason"], "refused for good");
    assert_eq!(world.post("/v1/rollouts/hurt/retry", json!({})).await.status, StatusCode::OK);
    world.until("/v1/rollouts/hurt", |answered| answered.json["phase"] == "halted").await;
}

#[tokio::test]
async fn references_are_found_or_refused_never_guessed() {
    let world = ApiWorld::new().await;
    let mut ids = Vec::new();
    for (index, lead) in "abcde0123456789".chars().enumerate() {
        let submitted = world.submit(&plan(&format!("many-{index}"), &targets(lead, 1), "")).await;
        ids.push(submitted.json["id"].as_str().expect("an id").to_owned());
    }
    // Fifteen ids over sixteen first digits: at least two share one, unless they are as spread as
    // can be.
    let shared = ids
        .iter()
        .map(|id| &id[..1])
        .find(|first| ids.iter().filter(|id| id.starts_with(first)).count() > 1);
    if let Some(first) = shared {
        let ambiguous = world.get(&format!("/v1/rollouts/{first}")).await;
        assert_eq!(ambiguous.status, StatusCode::CONFLICT);
        assert!(ambiguous.json["candidates"].as_array().is_some_and(|rows| rows.len() > 1));
    }
    for id in &ids {
        assert_eq!(world.get(&format!("/v1/rollouts/{id}")).await.json["id"], id.as_str());
    }
    assert_eq!(world.get("/v1/rollouts/many-3").await.json["id"], ids[3].as_str());
    assert_eq!(world.get("/v1/rollouts/nobody").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/v1/rollouts/..%2f..").await.status, StatusCode::BAD_REQUEST);
    let revised =
        plan("many-3", &targets('d', 1), "").replace("version: 1\n", "version: 1\nrevision: 2\n");
    world.until("/v1/rollouts/many-3", |answered| answered.json["phase"] == "completed").await;
    let submitted = world.submit(&revised).await;
    assert_eq!(submitted.status, StatusCode::CREATED, "{submitted:?}");
    assert_eq!(
        world.get("/v1/rollouts/many-3").await.json["revision"],
        2,
        "a name means its newest revision"
    );
}

#[tokio::test]
async fn every_refusal_is_json_and_every_bound_holds() {
    let world = ApiWorld::new().await;
    world.submit(&plan("bounds", &targets('a', 1), "")).await;
    for (path, status) in [
        ("/nowhere", StatusCode::NOT_FOUND),
        ("/v1/rollouts/bounds/changes?state=fialed", StatusCode::BAD_REQUEST),
        ("/v1/rollouts/bounds/changes?sate=failed", StatusCode::BAD_REQUEST),
        ("/v1/rollouts?after=x", StatusCode::BAD_REQUEST),
        ("/v1/rollouts/bounds/pause", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let answered = world.get(path).await;
        assert_eq!(answered.status, status, "{path}");
        assert!(answered.json["detail"].is_string(), "{path}: {answered:?}");
        assert_eq!(
            answered.json["type"],
            format!("/problems/{}", answered.json["code"].as_str().unwrap_or_default()),
            "{path}"
        );
        assert_eq!(answered.json["status"], status.as_u16(), "{path}");
    }
    let long =
        world.post("/v1/rollouts/bounds/pause", json!({"reason": "x".repeat(100_000)})).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    let daemon = world.get("/v1/daemon").await;
    assert_eq!(daemon.json["lanes"][0]["lane"], "lab");
    assert_eq!(daemon.json["store"]["kind"], "memory");
    assert_eq!(world.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn events_wait_for_news_and_end_with_the_server() {
    let world = ApiWorld::new().await;
    *world.cloud.busy.lock().expect("a test's lock") = true;
    world.submit(&plan("news", &targets('a', 2), "")).await;
    let first = world.get("/v1/events?rollout=news").await;
    let seq = first.json["seq"].as_u64().expect("a sequence");
    assert_eq!(first.json["rollouts"][0]["name"], "news");
    let path = format!("/v1/events?rollout=news&after={}&wait=30", seq + 1000);
    let waiting = world.get(&path);
    let stopping = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        world.stop.cancel();
    };
    let (answered, ()) = tokio::join!(waiting, stopping);
    assert_eq!(answered.json["rollouts"][0]["name"], "news", "the server's end answers at once");
}

#[tokio::test]
async fn the_stop_file_is_told_with_its_text() {
    let world = ApiWorld::new().await;
    *world.cloud.busy.lock().expect("a test's lock") = true;
    world.submit(&plan("stopped", &targets('a', 2), "")).await;
    world.handle.stop_file(Some(StopFile::new("/state/STOP", "fire drill"))).await;
    let held = world
        .until("/v1/rollouts/stopped", |answered| answered.json["holds"][0]["word"] == "stop_file")
        .await;
    assert_eq!(
        held.json["holds"][0]["text"],
        "everything is stopped by the file /state/STOP: fire drill; remove it to go on"
    );
}
