//! A night whose journal is longer than a report reads, and counts that an earlier version did not
//! keep: what is not known is told as such.

#[path = "../../daemon/serve/finished.rs"]
mod finished;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use jiff::SignedDuration;
use sealift::api;
use sealift::clock::{Clock as _, SystemClock};
use sealift::planfile;
use sealift::store::Store;
use sealift::store::sled::{SledOptions, SledStore};
use serde_json::json;

use self::finished::finish;
use super::world::{ApiWorld, plan, targets};

/// Changes of two entries each: more than the 60,000 that a report reads.
const CHANGES: u32 = 30_100;

/// A rollout that began and ended so many hours ago.
async fn over(store: &dyn Store, folder: &Path, name: &str, list: &str, hours: i64) {
    let file = folder.join(format!("{name}.yaml"));
    std::fs::write(&file, plan(name, list, "")).expect("a file");
    let loaded = planfile::load(&file).expect("a plan");
    let at = SystemClock.times().wall - SignedDuration::from_hours(hours);
    finish(store, loaded.plan, loaded.targets, at).await.expect("it is made");
}

/// The part of the view that has the figures of each night.
fn nights(html: &str) -> &str {
    html.split_once("id=\"nights\"").expect("the nights").1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_longer_than_a_report_reads_is_counted_and_what_is_not_known_is_a_dash() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (counted, older) = (folder.path().join("counted"), folder.path().join("older"));
    let open = |place: &Path| SledStore::open(place, SledOptions::default()).expect("a store");
    let store = open(&counted);
    over(&store, folder.path(), "long", &targets('a', CHANGES), 26).await;
    over(&store, folder.path(), "late", &targets('b', 2), 1).await;
    store.close().expect("nothing failed");
    drop(store);
    let copied = Command::new("cp").arg("-r").args([&counted, &older]).status();
    assert!(copied.is_ok_and(|status| status.success()));

    let world = ApiWorld::with(Arc::new(open(&counted)), api::IDLE_MAX).await;
    let whole = world.get("/v1/rollouts/long/report").await.json;
    let night = whole["nights"][0]["date"].as_str().expect("a date").to_owned();
    assert_eq!(whole["nights"][0]["well"], CHANGES, "{whole}");
    let one = world.get(&format!("/v1/rollouts/long/report?night={night}")).await.json;
    let well = json!(CHANGES);
    assert_eq!((&one["counts"]["well"], &one["waves"][0]["counts"]["well"]), (&well, &well));
    let read = one["read_to"]["entry"].as_u64().expect("where the reading ended");
    assert!(read < u64::from(CHANGES) * 2, "the journal is longer");
    let view = world.view(&format!("/rollouts/long/report?night={night}")).await;
    for said in [
        "30,100 of 30,100 changes that began are done",
        "from the counters of five minutes",
        "sealift journal long --since",
    ] {
        assert!(view.contains(said), "{said}: {view}");
    }
    let whole = world.view("/rollouts/long/report").await;
    let figures = "<td class=\"number\">30,100</td><td class=\"number\">0</td>";
    assert!(nights(&whole).contains(figures), "{whole}");

    // What an earlier version leaves: entries that nobody counted.
    let queue = sled::Config::new().path(older.join("queue")).open().expect("sound");
    queue.open_tree("bins").expect("there").clear().expect("sound");
    queue.flush().expect("room on disk");
    drop(queue);
    let world = ApiWorld::with(Arc::new(open(&older)), api::IDLE_MAX).await;
    let whole = world.get("/v1/rollouts/long/report").await.json;
    assert_eq!(whole["counts"]["well"], CHANGES, "the rollout's own counts are whole");
    let left_out = whole["left_out"].as_str().expect("what is left out");
    assert!(left_out.contains("What it says is told up to entry"), "{left_out}");
    for night in whole["nights"].as_array().expect("nights") {
        assert_eq!((night.get("well"), night.get("wrong")), (None, None), "{night}");
    }
    let view = world.view("/rollouts/long/report").await;
    let dashes = "<td class=\"number\">–</td><td class=\"number\">–</td>";
    assert!(nights(&view).contains(dashes), "{view}");
    let tonight = world.get("/v1/tonight").await.json;
    assert_eq!((&tonight["partly"], &tonight["bins"]), (&json!(true), &json!([])), "{tonight}");
    let now = world.view("/").await;
    assert!(now.contains("before it, it was not counted"), "{now}");
}
