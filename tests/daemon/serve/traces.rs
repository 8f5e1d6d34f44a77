//! Traces of changes, read by OpenTelemetry's own classes; and a receiver that is dead.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use sealift::clock::{Clock as _, SystemClock};
use serde_json::Value;

use super::world::{PATIENCE, ServeWorld, VerbOutput};

/// Requests that came, and how many are refused before one is taken.
#[derive(Default)]
struct TraceReceiver {
    bodies: Mutex<Vec<Bytes>>,
    refuse: Mutex<u32>,
}

async fn taken(State(receiver): State<Arc<TraceReceiver>>, body: Bytes) -> axum::http::StatusCode {
    let mut refuse = receiver.refuse.lock().expect("a test's lock");
    if *refuse > 0 {
        *refuse -= 1;
        return axum::http::StatusCode::SERVICE_UNAVAILABLE;
    }
    receiver.bodies.lock().expect("a test's lock").push(body);
    axum::http::StatusCode::OK
}

/// A receiver that refuses so many requests first, and its address.
async fn receiver(refuse: u32) -> (Arc<TraceReceiver>, String) {
    let receiver =
        Arc::new(TraceReceiver { refuse: Mutex::new(refuse), ..TraceReceiver::default() });
    let routes = Router::new().route("/v1/traces", post(taken)).with_state(receiver.clone());
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let url = format!("http://{}/v1/traces", listener.local_addr().expect("its address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (receiver, url)
}

/// The spans that came, as OpenTelemetry reads them.
fn spans(world: &ServeWorld, receiver: &TraceReceiver) -> Vec<Value> {
    let bodies = receiver.bodies.lock().expect("a test's lock").clone();
    let files = bodies.iter().enumerate().map(|(number, body)| {
        let path = world.path(&format!("request-{number}"));
        std::fs::write(&path, body).expect("a file is written");
        path
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut judge = Command::new(root.join("target/judges/bin/python"));
    let judged = judge.arg(root.join("tests/metrics/otlp.py")).args(files).output();
    let judged = VerbOutput::of(judged.expect("`make setup` makes it"));
    assert_eq!(judged.code, Some(0), "{judged:?}");
    judged.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Waits for the spans of so many traces.
async fn traced(world: &ServeWorld, receiver: &TraceReceiver, traces: usize) -> Vec<Value> {
    let pause = std::time::Duration::from_millis(250);
    let mut found = Vec::new();
    for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
        found = spans(world, receiver);
        let ids: BTreeSet<String> = found.iter().map(|span| span["trace"].to_string()).collect();
        if ids.len() >= traces {
            return found;
        }
        tokio::time::sleep(pause).await;
    }
    panic!("{traces} traces never came; {found:#?}");
}

fn world(url: &str, share: &str, faults: &str) -> ServeWorld {
    let world = ServeWorld::new(4, 4, faults);
    let text = std::fs::read_to_string(world.path("sealift.yaml")).expect("a file");
    world.write("sealift.yaml", &format!("{text}traces: {{url: \"{url}\", share: {share}}}\n"));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_lives_through_a_restart_and_opentelemetry_reads_it() {
    let (receiver, url) = receiver(1).await;
    let world = world(&url, "100%", "job_time: {min: 6s, max: 6s}\n");
    let mut daemon = world.daemon();
    daemon.logged("ready");
    let plan = world.plan("night", "strategy: {max_in_flight: 4}\n");
    let applied = world.run(&["apply", plan.to_str().expect("text"), "--yes", "--detach"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    while !world
        .run(&["changes", "night", "-o", "jsonl", "--state", "following"])
        .out
        .contains("following")
    {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    daemon.child.kill().expect("it ran");
    daemon.child.wait().expect("it ended");
    let killed = SystemClock.times().wall.as_nanosecond() as u64;
    let _again = world.daemon();
    world.until("night", |status| status["phase"] == "completed");
    let spans = traced(&world, &receiver, 4).await;
    let mut of: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for span in &spans {
        of.entry(span["trace"].to_string()).or_default().push(span);
    }
    assert_eq!(of.len(), 4, "{spans:#?}");
    for spans in of.values() {
        let (root, states) = spans.split_first().expect("a span");
        assert_eq!(
            (&root["name"], &root["parent"], &root["status"], &root["service"]),
            (&"change succeeded".into(), &"".into(), &1.into(), &"sealift".into()),
            "{root}"
        );
        assert_eq!(root["attributes"]["sealift.plan"], "night");
        assert!(root["attributes"]["sealift.job_id"].is_string(), "{root}");
        assert_eq!(root["attributes"].get("sealift.beginning_missing"), None, "{root}");
        let names: Vec<&str> = states.iter().filter_map(|span| span["name"].as_str()).collect();
        assert_eq!(&names[..3], ["ready", "inspecting", "submitting"], "{names:?}");
        assert!(names.contains(&"following") && names.contains(&"verifying"), "{names:?}");
        // The states follow each other without a gap, over the restart too.
        let mut at = &root["began"];
        for state in states {
            assert_eq!((&state["began"], &state["parent"]), (at, &root["id"]), "{spans:#?}");
            at = &state["ended"];
        }
        assert_eq!(at, &root["ended"]);
        let submitting = states.iter().find(|span| span["name"] == "submitting").expect("a span");
        let answer = &submitting["events"][0];
        assert_eq!(
            (&answer["name"], &answer["sealift.call"]),
            (&"answer".into(), &"submit".into())
        );
        assert!(answer["sealift.request_id"].is_string(), "{submitting}");
    }
    let roots: Vec<&Value> = spans.iter().filter(|span| span["parent"] == "").collect();
    assert_eq!(roots.len(), 4, "each change is told once");
    let lived = |root: &&Value| {
        root["began"].as_u64() < Some(killed) && Some(killed) < root["ended"].as_u64()
    };
    assert!(roots.iter().any(lived), "none lived through the restart: {roots:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_traced_whatever_the_share() {
    let (receiver, url) = receiver(0).await;
    let world = world(&url, "0%", "{}");
    let daemon = world.daemon();
    daemon.logged("ready");
    let csv = std::fs::read_to_string(world.path("fleet.csv")).expect("a fleet");
    let unknown = "lab,a0000000000000000000000000000000in07,a0000000000000000000000000000000po01";
    world.write("fleet.csv", &format!("{}\n{unknown}\n", csv.trim_end()));
    let plan = world.plan("night", "strategy: {max_failures: 5}\n");
    let applied = world.run(&["apply", plan.to_str().expect("text"), "--yes"]);
    assert_eq!(applied.code, Some(3), "{applied:?}");
    let spans = traced(&world, &receiver, 1).await;
    let root = &spans[0];
    assert_eq!(
        (&root["name"], &root["status"]),
        (&"change failed".into(), &2.into()),
        "{spans:#?}"
    );
    assert!(root["message"].as_str().is_some_and(|why| !why.is_empty()), "{root}");
    assert!(spans.iter().all(|span| span["trace"] == root["trace"]), "{spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_receiver_holds_nothing_up() {
    // It lets itself be connected to and never reads.
    let dead = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("http://{}/v1/traces", dead.local_addr().expect("its address"));
    let world = world(&url, "100%", "{}");
    let mut daemon = world.daemon();
    daemon.logged("ready");
    let plan = world.plan("night", "");
    let applied = world.run(&["apply", plan.to_str().expect("text"), "--yes"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&daemon.child),
        rustix::process::Signal::TERM,
    )
    .expect("it runs");
    assert!(daemon.child.wait().expect("it ends").success(), "{}", daemon.log());
}
