//! A cloud that answers 500 now and then: one failed read makes nothing a no-go, unknown or failed,
//! and what did fail carries the cloud's own answers.

use sealift::simcloud::faults::Faults;
use serde_json::Value;

use crate::serve::world::{ServeWorld, VerbOutput};

fn json(ran: &VerbOutput) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("no document: {error}; {ran:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failed_read_is_neither_a_no_go_nor_unknown_nor_a_failed_change() {
    let world =
        ServeWorld::new(120, 120, "job_time: 100ms\nerror_500_before: [{call: proxies, on: 0.3}]");
    let _daemon = world.daemon().ready();
    // Looks before a switch: one attempt is one switch, however many looks it takes.
    let once = "retry: {max_attempts: 1, initial: 50ms, max: 400ms}\nstrategy: {max_failures: 100, max_in_flight: 40}\n";
    let plan = world.plan("once", once);
    let plan = plan.to_str().expect("a path of text");
    let told = world.run(&["plan", plan, "--no-forecast"]);
    assert!(
        told.out.contains("up to 1 switch call each")
            && told.out.contains("10 in a row fail its change"),
        "{}",
        told.out
    );
    let ran = world.run(&["apply", plan, "--yes", "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let failed =
        world.cloud.with_model(|model| model.fired().get("error_500_before").copied().unwrap_or(0));
    assert!(failed > 30, "the cloud refused {failed} looks");
    let changes = world.run(&["changes", "once", "-o", "jsonl"]);
    let rows: Vec<Value> =
        changes.out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert!(
        rows.len() == 120
            && rows.iter().all(|row| row["attempts"] == 1 && row["how"] == "switched"),
        "{}",
        changes.out
    );

    // What people ask for. Of 120 reads each, six or so fail at first.
    let faults = Faults::from_yaml(
        "error_500_before: [{call: proxies, on: 0.05}, {call: instances, on: 0.05}, {call: jobs, on: 0.05}]",
    );
    world.cloud.with_model(|model| model.set_faults(faults.expect("a fault file")));
    let preflight = world.run(&["preflight", plan, "--no-ports"]);
    assert!(
        preflight.code == Some(0) && preflight.err.contains("go: nothing stands in the way"),
        "{preflight:?}"
    );
    let looked = json(&world.run(&["plan", plan, "--look", "-o", "json", "--no-forecast"]));
    assert_eq!(
        looked["seen"],
        serde_json::json!({"right": 120, "other": 0, "unknown": 0}),
        "{looked:#}"
    );
    for _ in 0..3 {
        let found = world.run(&["discover", "-o", "csv"]);
        assert!(found.code == Some(0) && found.out.lines().count() == 121, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_goes_on_failing_is_told_with_the_number_of_its_tries() {
    let world = ServeWorld::new(2, 2, "error_500_before: [{call: proxies, on: 1}]");
    let _daemon = world.daemon().ready();
    let plan = world.plan("night", "");
    let looked =
        world.run(&["plan", plan.to_str().expect("a path of text"), "--look", "--no-forecast"]);
    assert!(
        looked.out.contains("2 instances could not be looked at")
            && looked.out.contains("(asked 5 times)"),
        "{}",
        looked.out
    );
    let calls = world.cloud.with_model(|model| model.ledger().arrivals_total());
    assert_eq!(calls, 10, "five tries of each, and not one more");
}

/// What failed can be sent on: with the cloud's words, and the answer that caused it whatever came
/// after.
#[tokio::test(flavor = "multi_thread")]
async fn what_failed_carries_the_clouds_own_answers() {
    let world = ServeWorld::new(4, 4, "job_time: 100ms\nerror_500_before: [{call: switch, on: 1}]");
    let _daemon = world.daemon().ready();
    let into = world.path("found.csv");
    assert_eq!(
        world.run(&["discover", "--into", into.to_str().expect("a path of text")]).code,
        Some(0)
    );
    let rest = "retry: {max_attempts: 2, initial: 50ms, max: 100ms}\n";
    let plan = world.write(
        "night.yaml",
        &format!(
            "version: 1\nname: night\nssl_option: true\ntargets: {{files: [found.csv]}}\n{rest}"
        ),
    );
    let ran = world.run(&["apply", plan.to_str().expect("a path of text"), "--yes", "-o", "json"]);
    assert!(matches!(ran.code, Some(3 | 4)), "{ran:?}");
    let failed = world.run(&["changes", "night", "--state", "failed", "-o", "jsonl"]);
    let rows: Vec<Value> =
        failed.out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert!(!rows.is_empty(), "{failed:?}");
    for row in &rows {
        let (first, last) = (&row["first_answer"], &row["last_answer"]);
        assert_eq!(
            (&first["to"], &first["attempt"], &first["status"]),
            (&"switch".into(), &1.into(), &500.into()),
            "{row:#}"
        );
        assert_eq!(
            (&last["to"], &last["attempt"], &last["status"]),
            (&"switch".into(), &2.into(), &500.into()),
            "{row:#}"
        );
        assert!(
            first["request_id"].is_string()
                && last["request_id"].is_string()
                && first["request_id"] != last["request_id"],
            "{row:#}"
        );
        let (reason, said) = (
            row["reason"].as_str().expect("a reason"),
            last["message"].as_str().expect("a message"),
        );
        assert!(
            said.contains("500") && reason.contains(said) && reason.contains("not executed"),
            "{reason}"
        );
        assert!(
            row["instance_name"].as_str().is_some_and(|name| name.starts_with("emulated-")),
            "{row:#}"
        );
    }
    let csv = world.run(&["changes", "night", "--state", "failed", "-o", "csv"]);
    let header = csv.out.lines().next().unwrap_or_default();
    assert!(
        header.contains("instance_name,first_answer_to,first_attempt,first_status,first_code,first_request_id,first_message"),
        "{header}"
    );
    let request = rows[0]["last_answer"]["request_id"].as_str().expect("an id");
    assert!(csv.out.contains(request), "{}", csv.out);
    let table = world.run(&["changes", "night", "--state", "failed"]);
    assert!(table.out.contains(&format!("[request {request}]")), "{}", table.out);
}
