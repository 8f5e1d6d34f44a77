//! `preflight` against a running daemon: a go, and each reason for a no-go.

use serde_json::Value;

use crate::serve::world::ServeWorld;

const FAULTS: &str = "job_time: 100ms";

/// The checks as JSON, and the exit code.
fn checks(world: &ServeWorld, plan: &str) -> (Option<i32>, Vec<Value>) {
    let ran = world.run(&["preflight", plan, "-o", "json"]);
    let document: Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let checks = document["checks"].as_array().expect("a list").clone();
    assert_eq!(document["go"], ran.code == Some(0), "{document:#}");
    (ran.code, checks)
}

fn words(checks: &[Value], verdict: &str) -> Vec<(String, String)> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut words: Vec<_> = checks
        .iter()
        .filter(|row| row["verdict"] == verdict)
        .map(|row| (text(row, "what"), text(row, "word")))
        .collect();
    words.sort();
    words.dedup();
    words
}

fn pairs(words: &[(&str, &str)]) -> Vec<(String, String)> {
    words.iter().map(|(what, word)| ((*what).to_owned(), (*word).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_is_well_is_a_go_and_nothing_is_changed() {
    let world = ServeWorld::new(40, 20, FAULTS);
    let plan = world.plan("night", "verify: {wire: {ca_file: ca.pem}}\n");
    let plan = plan.to_str().expect("a path of text");
    assert_eq!(
        world.run(&["preflight", plan]).code,
        Some(8),
        "without a daemon nothing can be told"
    );
    let _daemon = world.daemon().ready();
    let (code, found) = checks(&world, plan);
    assert_eq!(code, Some(0), "{found:#?}");
    assert_eq!(words(&found, "note"), pairs(&[("permission", "not_told")]));
    let ports = found.iter().filter(|row| row["what"] == "port" && row["verdict"] == "go");
    assert_eq!(ports.count(), 40, "{found:#?}");
    assert!(found.iter().any(|row| row["what"] == "lane"
        && row["text"].as_str().is_some_and(|text| text.contains("clocks agree"))));
    let shown = world.run(&["preflight", plan]);
    assert!(shown.err.contains("go: nothing stands in the way"), "{shown:?}");
    assert!(
        shown.out.contains("40 of 40 are listed and ACTIVE: 40 to switch on, 0 on already"),
        "{}",
        shown.out
    );
    assert!(shown.out.contains("40 of 40 answer as MySQL does"), "{}", shown.out);
    let lines = world.run(&["preflight", plan, "--no-ports", "-o", "jsonl"]);
    assert_eq!(lines.out.lines().filter(|line| line.contains(r#""what":"proxy""#)).count(), 40);
    assert!(!lines.out.contains(r#""what":"port""#), "{}", lines.out);
    let (sent, on) = world.cloud.with_model(|model| {
        (model.ledger().switches_total(), model.proxies().filter(|proxy| proxy.ssl_option).count())
    });
    assert_eq!((sent, on), (0, 0), "nothing was changed");
    assert!(
        world.run(&["list"]).out.lines().all(|line| !line.contains("night")),
        "nothing was submitted"
    );
    assert_eq!(
        std::fs::read_dir(world.path("state/spool")).map_or(0, Iterator::count),
        0,
        "nothing stays behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_stands_in_the_way_is_named() {
    let world = ServeWorld::new(
        8,
        8,
        &format!("{FAULTS}\nssl_option: absent\nwire_silent: [{{on: 1, match: 00000002po01}}]"),
    );
    let daemon = world.daemon().ready();
    let plan = world.plan("night", "verify: {wire: {ca_file: ca.pem}}\n");
    let plan = plan.to_str().expect("a path of text");
    let mut fleet = std::fs::read_to_string(world.path("fleet.csv")).expect("the fleet");
    fleet.push_str(
        "lab,096c0fc43e804757b59946b80dc27f8bin07,2ec617ba62da4eafb921b69438beed3cpo01\n",
    );
    let instance = fleet
        .lines()
        .nth(1)
        .and_then(|line| line.split(',').nth(1))
        .expect("an instance")
        .to_owned();
    fleet.push_str(&format!("lab,{instance},3ec617ba62da4eafb921b69438beed3cpo01\n"));
    world.write("fleet.csv", &fleet);
    world.write("state/STOP", "the bank audits");
    daemon.logged("everything is stopped");
    let (code, found) = checks(&world, plan);
    assert_eq!(code, Some(3));
    let wanted = pairs(&[
        ("daemon", "stop"),
        ("port", "timed_out"),
        ("proxy", "not_found"),
        ("proxy", "not_listed"),
    ]);
    assert_eq!(words(&found, "no_go"), wanted, "{found:#?}");
    assert_eq!(
        words(&found, "note"),
        pairs(&[("beta", "no_ssl_option"), ("permission", "not_told")])
    );
    let told = world.run(&["preflight", plan, "--no-ports"]);
    assert!(
        told.out.contains("the bank audits")
            && told.err.contains("no-go: 3 things stand in the way"),
        "{told:?}"
    );
    // Without a proof on the wire a silent port stands in nobody's way.
    let lax = world.plan("lax", "");
    let (_, found) = checks(&world, lax.to_str().expect("a path of text"));
    assert!(
        words(&found, "note").contains(&("port".to_owned(), "timed_out".to_owned())),
        "{found:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_an_endpoint_that_is_not_there_are_told() {
    let world = ServeWorld::new(2, 2, FAULTS);
    world.write("token", "another-token");
    let _daemon = world.daemon().ready();
    let plan = world.plan("night", "");
    let plan = plan.to_str().expect("a path of text");
    let (code, found) = checks(&world, plan);
    assert_eq!(code, Some(3));
    assert_eq!(words(&found, "no_go"), pairs(&[("lane", "credentials")]), "{found:#?}");
    assert_eq!(
        words(&found, "note"),
        pairs(&[("proxy", "not_looked_at")]),
        "a lane that is down is not asked again and again"
    );

    let gone = ServeWorld::new(2, 2, FAULTS);
    let text = std::fs::read_to_string(gone.path("sealift.yaml")).expect("the configuration");
    gone.write("sealift.yaml", &text.replace(&gone.cloud.endpoint(), "http://127.0.0.1:1"));
    let _daemon = gone.daemon().ready();
    let plan = gone.plan("night", "");
    let (code, found) = checks(&gone, plan.to_str().expect("a path of text"));
    assert_eq!(code, Some(3));
    assert!(
        words(&found, "no_go").contains(&("lane".to_owned(), "unreachable".to_owned())),
        "{found:#?}"
    );
}
