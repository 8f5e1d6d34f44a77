//! What wants a person: the gravest first, each with who, why, since when and the verb that lifts
//! it.

use sealift::domain::stop::StopFile;
use serde_json::{Value, json};

use super::world::{ApiWorld, plan, targets};

fn words(doc: &Value) -> Vec<&str> {
    doc["rows"].as_array().expect("rows").iter().filter_map(|row| row["word"].as_str()).collect()
}

#[tokio::test]
async fn nothing_wants_anybody_where_nothing_is_open() {
    let quiet = ApiWorld::new().await.get("/v1/attention").await;
    assert_eq!(
        (&quiet.json["headline"], &quiet.json["rows"]),
        (&json!("no rollout is open"), &json!([])),
        "{quiet:?}"
    );
}

#[tokio::test]
async fn what_wants_a_person_is_told_with_the_verb_that_lifts_it() {
    let world = ApiWorld::new().await;
    let hurt = format!("{}{}", targets('f', 1), targets('a', 1));
    world.submit(&plan("hurt", &hurt, "strategy: {max_in_flight: 1, max_failures: 1}\n")).await;
    world.until("/v1/rollouts/hurt", |answered| answered.json["phase"] == "halted").await;
    world.submit(&plan("agreed", &targets('b', 1), "approval: {required: 1}\n")).await;
    world.cloud.busy(true);
    world.submit(&plan("works", &targets('c', 1), "")).await;
    world.until("/v1/rollouts/works", |answered| answered.json["tally"]["active"] == 1).await;
    world.submit(&plan("held", &targets('d', 1), "")).await;
    world.post("/v1/rollouts/held/pause", json!({"reason": "lunch"})).await;
    world.post("/v1/lanes/lab/pause", json!({"reason": "maintenance"})).await;
    let told = world.until("/v1/attention", |told| words(&told.json).len() == 4).await;
    assert_eq!(
        words(&told.json),
        ["halted", "paused", "awaiting_approval", "lane_held"],
        "{told:?}"
    );
    let rows = told.json["rows"].as_array().expect("rows");
    let paused = &rows[1];
    assert_eq!(
        (&paused["name"], &paused["text"], &paused["why"]),
        (&json!("held"), &json!("paused"), &json!("lunch"))
    );
    assert_eq!(
        (&paused["verb"], &paused["command"]),
        (&json!("resume"), &json!("sealift resume held"))
    );
    assert!(
        paused["since"].is_string() && paused["by"].is_string() && paused.get("until").is_none(),
        "{paused}"
    );
    assert_eq!(rows[0]["verb"], "retry");
    assert_eq!(rows[2]["verb"], "approve");
    assert_eq!((&rows[3]["lane"], &rows[3]["why"]), (&json!("lab"), &json!("maintenance")));

    world.post("/v1/stop", json!({"reason": "incident"})).await;
    world.handle.stop_file(Some(StopFile::new("/state/STOP", "drill"))).await;
    let stopped = world.until("/v1/attention", |told| words(&told.json).len() == 6).await;
    assert_eq!(stopped.json["headline"], "everything is stopped");
    assert_eq!(words(&stopped.json)[..2], ["stopped", "stop_file"]);
    assert_eq!(
        (&stopped.json["rows"][0]["why"], &stopped.json["rows"][1]["why"]),
        (&json!("incident"), &json!("drill"))
    );
}
