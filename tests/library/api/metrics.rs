//! `/metrics`: what is in it, in which format, for whom, and how much of it there may be.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use sealift::api::{Api, Caller, Switches, Via};
use sealift::clock::{Clock as _, SystemClock};
use sealift::cloud::Cloud as _;
use sealift::domain::call::Call;
use sealift::domain::cloud_clock::TimeSpan;
use sealift::domain::people::{Role, Roles};
use sealift::engine::{Options, start};
use sealift::metrics::{CallTallies, CountedCloud, LANES_MAX, Metrics, ROLLOUTS_MAX, label_keys};
use sealift::store::memory::MemoryStore;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::world::{ApiWorld, Quick, lane_named, plan, targets};

/// Somebody with these roles.
fn caller(roles: &[Role]) -> Caller {
    let may: Roles = roles.iter().copied().collect();
    Caller { name: "bob".into(), uid: None, may, via: Via::Socket }
}

/// A scrape of somebody, or of nobody: its status, its type and its text.
async fn scrape(
    router: &Router,
    caller: Option<Caller>,
    accept: &str,
) -> (StatusCode, String, String) {
    let mut request = Request::get("/metrics").header(ACCEPT, accept);
    if let Some(caller) = caller {
        request = request.extension(caller);
    }
    let request = request.body(Body::empty()).expect("a request");
    let answer = router.clone().oneshot(request).await.expect("it answers");
    let (status, headers) = (answer.status(), answer.headers().clone());
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let text = to_bytes(answer.into_body(), usize::MAX).await.expect("a whole body");
    (status, kind.to_owned(), String::from_utf8(text.to_vec()).expect("text"))
}

/// The series of a text, each without its value and with ids taken out.
fn series(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let names = lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
    names.map(|name| without_id(&name)).collect()
}

/// The name of a series with the eight digits of a rollout's id replaced.
fn without_id(name: &str) -> String {
    let Some((before, rest)) = name.split_once("rollout=\"") else { return name.to_owned() };
    let Some((id, after)) = rest.split_once('"') else { return name.to_owned() };
    assert!(id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    format!("{before}rollout=\"ID\"{after}")
}

fn value(text: &str, begins: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(begins));
    let line = line.unwrap_or_else(|| panic!("no series begins with {begins}:\n{text}"));
    line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).expect("a number")
}

/// The page of all families: names, kinds and texts as Prometheus reads them.
fn reference(text: &str) -> String {
    let keys = label_keys();
    let mut page = "# The metrics\n\nWhat `GET /metrics` and `sealift metrics` show \
        ([how to read them](../metrics.md)). Made from the code.\n\n\
        | metric | type | labels | what it is |\n|---|---|---|---|\n"
        .to_owned();
    let series = |family: &str| {
        let of = |line: &&str| {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let ending = name.strip_prefix(family);
            ending.is_some_and(|ending| matches!(ending, "" | "_bucket" | "_sum" | "_count"))
        };
        text.lines().find(of)
    };
    for line in text.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|it| it.split_once(' '))
        else {
            continue;
        };
        let kind = format!("# TYPE {name} ");
        let kind = text.lines().find_map(|line| line.strip_prefix(&kind)).expect("a type");
        let labels = &keys[name];
        if let Some(line) = series(name) {
            let shown = line.split(['{', ',', '}']).filter_map(|label| label.split_once("=\""));
            let shown: Vec<_> = shown.map(|(key, _)| key).filter(|key| *key != "le").collect();
            assert_eq!(&shown, labels, "{name}");
        }
        let labels = labels.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        page.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    page
}

#[tokio::test]
async fn a_rollout_that_halts_shows_in_both_formats() {
    let world = ApiWorld::new().await;
    let list = format!("{}{}", targets('f', 1), targets('a', 3));
    let before = SystemClock.times().wall;
    world.submit(&plan("hurt", &list, "strategy: {max_in_flight: 1, max_failures: 1}\n")).await;
    world.until("/v1/rollouts/hurt", |answered| answered.json["phase"] == "halted").await;
    assert_eq!(world.get("/nowhere").await.status, StatusCode::NOT_FOUND);
    // The snapshot of the engine is renewed with its passes.
    let reads = Some(caller(&[Role::Read]));
    let mut text = String::new();
    for _ in 0..1000 {
        let scraped = scrape(&world.router, reads.clone(), "*/*").await;
        assert_eq!(
            (scraped.0, scraped.1.as_str()),
            (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8")
        );
        text = scraped.2;
        if text.contains("sealift_settled_total{outcome=\"failed\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (begins, wanted) in [
        ("sealift_calls_total{lane=\"lab\",call=\"submit\",outcome=\"refused\"}", 1.0),
        ("sealift_settled_total{outcome=\"failed\",direction=\"on\"}", 1.0),
        ("sealift_rollout_budget_left", 0.0),
        ("sealift_rollout_window_open", 1.0),
        ("sealift_api_requests_total{route=\"(none)\",class=\"4xx\"}", 1.0),
        ("sealift_call_duration_seconds_count{call=\"submit\"}", 1.0),
        ("sealift_stop_standing", 0.0),
        ("sealift_store_refusing", 0.0),
    ] {
        assert_eq!(value(&text, begins), wanted, "{begins}\n{text}");
    }
    assert!(value(&text, "sealift_journal_entries_total") >= 4.0, "{text}");
    let settled = value(&text, "sealift_rollout_last_settled_timestamp_seconds");
    assert!(settled >= before.as_second() as f64, "{settled}");
    insta::with_settings!({snapshot_path => "../../golden", prepend_module_to_snapshot => false, omit_expression => true}, {
        // Which requests were made depends on how often the test had to ask, and what a process
        // uses on its limits.
        let own = |name: &String| {
            !name.starts_with("process_") && !name.starts_with("sealift_api_requests_total")
        };
        let shown: Vec<String> = series(&text).into_iter().filter(own).collect();
        insta::assert_snapshot!("metrics", shown.join("\n"));
    });
    crate::reference::golden("metrics.md", &reference(&text));
    let asked = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let (_, kind, open) = scrape(&world.router, reads, asked).await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with("# EOF\n"), "{open}");
    assert!(open.contains("# TYPE sealift_calls counter\n"), "{open}");
}

#[tokio::test]
async fn whoever_may_not_read_is_refused() {
    let world = ApiWorld::new().await;
    let text = "text/plain";
    assert_eq!(scrape(&world.router, None, text).await.0, StatusCode::UNAUTHORIZED);
    let operator = Some(caller(&[Role::Operate]));
    assert_eq!(scrape(&world.router, operator, text).await.0, StatusCode::FORBIDDEN);
    let reader = Some(caller(&[Role::Read]));
    assert_eq!(scrape(&world.router, reader, text).await.0, StatusCode::OK);
    // Over the socket the kernel tells who asks.
    assert!(world.view("/metrics").await.contains("sealift_build_info{version="));
}

/// Everything that a lane may be asked.
fn calls(lane: &sealift::domain::lane::Lane) -> Vec<Call> {
    let within = TimeSpan::at(Timestamp::UNIX_EPOCH);
    let lane = lane.name.clone();
    vec![
        Call::Instances { lane: lane.clone(), offset: 0 },
        Call::Running { lane: lane.clone(), offset: 0 },
        Call::Jobs { lane: lane.clone(), within, offset: 0 },
        Call::ShowJob { lane, job: "job-1".parse().expect("a job id") },
    ]
}

/// A daemon's parts with so many lanes, over which every call was made and half of them were held
/// back, and with so many rollouts that wait for an approval.
async fn crowd(lanes: usize, rollouts: usize) -> (tempfile::TempDir, Router) {
    let folder = tempfile::tempdir().expect("a folder");
    let lanes: Vec<_> = (0..lanes).map(|place| lane_named(&format!("lane-{place:04}"))).collect();
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(SystemClock));
    let (cloud, tallies) = (Arc::new(Quick::default()), Arc::<CallTallies>::default());
    let counted = Arc::new(CountedCloud::new(cloud.clone(), clock.clone(), tallies.clone()));
    for call in lanes.iter().flat_map(calls) {
        counted.perform(call.clone(), Box::new(|| Ok(()))).await;
        let withheld = sealift::cloud::Withheld("late".into());
        counted.perform(call, Box::new(|| Err(withheld))).await;
    }
    let options = Options { lanes: lanes.clone(), quota_spent: false, levels: Vec::new() };
    let (handle, engine) =
        start(store.clone(), counted, cloud.clone(), clock.clone(), Arc::new(()), options);
    tokio::spawn(engine);
    let switches = Switches::open(folder.path().to_owned()).expect("nothing is switched off");
    let stop = CancellationToken::new();
    let lanes = Arc::from(lanes);
    let api = Arc::new(Api::new(handle, store, cloud, clock, lanes, switches, stop));
    let router = Metrics::new(api.clone(), tallies).beside(sealift::api::router(api));
    for place in 0..rollouts {
        let list = targets('a', 1).replace("lane: lab", "lane: lane-0000");
        let list = list.replace("a0000000", &format!("a{place:07}"));
        let text = plan(&format!("night-{place}"), &list, "approval: {required: 1}\n");
        submit(&router, &text).await;
    }
    (folder, router)
}

async fn submit(router: &Router, text: &str) {
    let boundary = "part";
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"plan\"; filename=\"plan.yaml\"\r\n\r\n{text}\r\n--{boundary}--\r\n"
    );
    let kind = format!("multipart/form-data; boundary={boundary}");
    let request = Request::post("/v1/rollouts").header(CONTENT_TYPE, kind);
    let request = request.extension(caller(&[Role::Read, Role::Operate]));
    let answer = router.clone().oneshot(request.body(Body::from(body)).expect("a request")).await;
    let answer = answer.expect("it answers");
    let status = answer.status();
    let text = to_bytes(answer.into_body(), usize::MAX).await.expect("a whole body");
    assert_eq!(status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&text));
}

#[tokio::test]
async fn a_thousand_lanes_and_fifty_rollouts_stay_within_thirty_thousand_series() {
    let (_folder, router) = crowd(LANES_MAX, ROLLOUTS_MAX + 3).await;
    let began = SystemClock.times().boot;
    let (status, _, text) = scrape(&router, Some(caller(&[Role::Read])), "text/plain").await;
    let took = SystemClock.times().boot.saturating_sub(began);
    assert_eq!(status, StatusCode::OK, "{text}");
    let all = series(&text);
    println!(
        "a scrape with {LANES_MAX} lanes and {ROLLOUTS_MAX} rollouts: {} series, {} bytes, {:.1} ms",
        all.len(),
        text.len(),
        took.as_secs_f64() * 1000.0
    );
    assert!(all.len() <= 30_000, "{} series", all.len());
    let of = |begins: &str| all.iter().filter(|name| name.starts_with(begins)).count();
    assert_eq!(of("sealift_lane_calls_out{"), LANES_MAX);
    // What was withheld is no call.
    assert_eq!(of("sealift_calls_total{"), 4 * LANES_MAX);
    assert_eq!(of("sealift_rollout_phase{"), ROLLOUTS_MAX);
    assert_eq!(value(&text, "sealift_left_out{of=\"rollouts\"}"), 3.0);
    assert_eq!(
        of("sealift_rollout_hold{rollout=\"ID\",plan=\"night-52\",word=\"awaiting_approval\"}"),
        1
    );
    assert_eq!(
        of("sealift_rollout_hold{rollout=\"ID\",plan=\"night-0\","),
        0,
        "the oldest is left out"
    );
}

#[tokio::test]
async fn above_a_thousand_lanes_those_without_work_are_left_out() {
    let (_folder, router) = crowd(LANES_MAX + 1, 0).await;
    let (_, _, text) = scrape(&router, Some(caller(&[Role::Read])), "text/plain").await;
    assert_eq!(value(&text, "sealift_left_out{of=\"lanes\"}"), LANES_MAX as f64 + 1.0);
    assert!(!text.contains("lane=\"lane-"), "{text}");
    let pause = Request::post("/v1/lanes/lane-0007/pause").header(CONTENT_TYPE, "application/json");
    let pause = pause.extension(caller(&[Role::Read, Role::Operate]));
    let body = Body::from(json!({"reason": "fire drill"}).to_string());
    let answer = router.clone().oneshot(pause.body(body).expect("a request")).await;
    assert_eq!(answer.expect("it answers").status(), StatusCode::OK);
    let (_, _, text) = scrape(&router, Some(caller(&[Role::Read])), "text/plain").await;
    assert_eq!(value(&text, "sealift_lane_paused{lane=\"lane-0007\"}"), 1.0);
    assert_eq!(value(&text, "sealift_left_out{of=\"lanes\"}"), LANES_MAX as f64);
    assert_eq!(
        value(&text, "sealift_calls_total{lane=\"lane-0007\",call=\"jobs\",outcome=\"ok\"}"),
        1.0
    );
}
