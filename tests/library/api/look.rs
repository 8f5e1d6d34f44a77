//! Looks: what proxies show, told line by line, and what is refused.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::world::{Answered, ApiWorld, plan, targets};

fn instance(place: u32) -> Value {
    json!({"lane": "lab", "instance_id": format!("a{place:031x}in07")})
}

fn rows(answered: &Answered) -> Vec<Value> {
    match &answered.json {
        Value::String(lines) => {
            lines.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
        }
        row => vec![row.clone()],
    }
}

#[tokio::test]
async fn a_look_is_answered_whole_and_leaves_no_trace() {
    let world = ApiWorld::new().await;
    world.cloud.set('a', 3, true);
    let asked: Vec<Value> = (0..100).map(instance).collect();
    let seq = world.store.health().seq;
    let answered = world.post("/v1/looks", json!({ "instances": asked })).await;
    assert_eq!(answered.status, StatusCode::OK);
    let rows = rows(&answered);
    assert_eq!(rows.len(), 100);
    let on: Vec<_> = rows
        .iter()
        .filter(|row| row["proxies"][0]["ssl_option"] == true)
        .map(|row| row["instance_id"].clone())
        .collect();
    assert_eq!(on, [json!(format!("a{:031x}in07", 3))]);
    assert_eq!(world.store.health().seq, seq, "nothing was written");
    // A rollout over the same proxies is none of its business.
    assert_eq!(
        world.submit(&plan("night", &targets('a', 4), "")).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn what_is_no_look_is_refused() {
    let world = ApiWorld::new().await;
    let many: Vec<Value> = (0..501).map(instance).collect();
    for (body, says) in [
        (json!({"instances": []}), "1 to 500 instances"),
        (json!({ "instances": many }), "1 to 500 instances, not 501"),
        (
            json!({"instances": [{"lane": "other", "instance_id": format!("a{:031x}in07", 1)}]}),
            "the configuration has no lane other",
        ),
        (json!({"instances": [{"lane": "lab", "instance_id": "x"}]}), "instance"),
        (json!({"targets": []}), "unknown field `targets`"),
    ] {
        let answered = world.post("/v1/looks", body).await;
        let message = answered.json["detail"].as_str().unwrap_or_default().to_owned();
        assert!(
            answered.status == StatusCode::BAD_REQUEST && message.contains(says),
            "{answered:?}"
        );
    }
    world.handle.drain().await;
    let row = rows(&world.post("/v1/looks", json!({"instances": [instance(1)]})).await).remove(0);
    assert_eq!(row["error"], "the daemon is stopping", "{row}");
}

/// A rollout over four proxies of which the first is right already; how many looks of its own it
/// made.
async fn looks_of(list: &str, looked: bool) -> usize {
    let world = ApiWorld::new().await;
    world.cloud.set('a', 0, true);
    if looked {
        let asked: Vec<Value> = (0..4).map(instance).collect();
        assert_eq!(rows(&world.post("/v1/looks", json!({ "instances": asked })).await).len(), 4);
    }
    assert_eq!(world.submit(&plan("night", list, "")).await.status, StatusCode::CREATED);
    world.until("/v1/rollouts/night", |answered| answered.json["phase"] == "completed").await;
    assert_eq!(world.cloud.calls("submit"), 3, "whoever is right already is left alone");
    world.cloud.calls("inspect")
}

#[tokio::test]
async fn a_fresh_look_counts_as_the_look_before() {
    let list = targets('a', 4);
    assert_eq!(looks_of(&list, false).await, 1 + 3 * 2, "before and after");
    assert_eq!(
        looks_of(&list, true).await,
        1 + 3,
        "that one is right is always seen by a look of its own"
    );
    let compared = list.replace('}', ", ssl_option: false}");
    // The first is right already, whatever the list would say.
    let compared = compared.replacen(", ssl_option: false", "", 1);
    assert_eq!(
        looks_of(&compared, true).await,
        1 + 3 * 2,
        "what is compared with its list is looked at anew"
    );
}

#[tokio::test]
async fn silent_ports_share_one_time_limit_and_are_named() {
    let world = ApiWorld::new().await;
    *world.cloud.silent.lock().expect("a test's lock") = true;
    let asked = |n: u32| {
        let proxy = |i: u32| format!("a{i:031x}po01");
        let instances = (0..n).map(|i| json!({"lane": "lab", "instance_id": instance(i)["instance_id"], "proxies": [proxy(i)]}));
        json!({"ssl_option": true, "ports": true, "wire": true, "ports_within_ms": 300, "instances": instances.collect::<Vec<_>>()})
    };
    let answered =
        tokio::time::timeout(Duration::from_secs(20), world.post("/v1/preflight", asked(200)))
            .await
            .expect("one limit for all");
    let rows = rows(&answered);
    let of = |what: &str| rows.iter().filter(|row| row["what"] == what).collect::<Vec<_>>();
    assert_eq!((of("proxy").len(), of("port").len()), (200, 200));
    assert!(
        of("port").iter().all(|row| row["verdict"] == "no_go" && row["word"] == "not_seen"),
        "{rows:?}"
    );
    assert!(
        of("port")[0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("all ports together have 60 s")),
        "{rows:?}"
    );
    assert!(rows[..200].iter().all(|row| row["what"] == "proxy"), "reads do not wait for ports");
}
