//! The proof on the wire: real sockets and real TLS, from the plan to the journal.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::serve::world::ServeWorld;

const FAULTS: &str = "job_time: 100ms";

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_proven_on_the_wire_on_and_off() {
    let world = ServeWorld::new(40, 20, FAULTS);
    let _daemon = world.daemon().ready();
    let plan =
        world.plan("proven", "verify: {wire: {min_tls: \"1.3\", ca_file: ca.pem}}\nstrategy: {max_in_flight: 40, max_failures: 40}\n");
    let plan = plan.to_str().expect("a path of text");
    let preview = world.run(&["plan", plan, "--no-forecast"]);
    assert!(
        preview.out.contains("its port must show TLS 1.3 or newer, its certificate signed by the authority of `ca_file`"),
        "{}",
        preview.out
    );
    let applied = world.run(&["apply", plan, "--yes"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert!(
        applied.err.contains("40 of 40 proxies show SSL on, proven on the wire"),
        "{}",
        applied.err
    );

    let status = world.status("proven");
    assert_eq!(
        (&status["counters"]["verified"], &status["wire"]["versions"]["1.3"]),
        (&40.into(), &40.into()),
        "{status:#}"
    );
    assert!(status["wire"]["first_expiry"].is_string(), "{status:#}");
    let changes = rows(&world.run(&["changes", "proven", "-o", "jsonl"]).out);
    let endpoints: BTreeSet<&str> =
        changes.iter().filter_map(|row| row["endpoint"].as_str()).collect();
    assert_eq!(endpoints.len(), 40, "every proxy has its own address: {endpoints:?}");
    assert!(
        changes
            .iter()
            .all(|row| row["proof"]["tls"] == "1.3" && row["proof"]["sha256"].is_string()),
        "{changes:#?}"
    );
    let journal = rows(&world.run(&["journal", "proven", "-o", "jsonl"]).out);
    let proofs: Vec<&Value> =
        journal.iter().filter(|row| row["to"] == "succeeded").map(|row| &row["proof"]).collect();
    assert_eq!(proofs.len(), 40);
    for proof in proofs {
        assert_eq!(proof["tls"]["chain"][0]["subject"], "CN=emulated proxy", "{proof:#}");
        assert_eq!(
            proof["login"]["is"], "refused",
            "a probe that just hangs up may get its host blocked: {proof:#}"
        );
    }

    let off = world.write(
        "off.yaml",
        "version: 1\nname: off\nssl_option: false\ntargets: {files: [fleet.csv]}\nverify: {wire: {}}\nstrategy: {max_failures: 40}\n",
    );
    let applied =
        world.run(&["apply", off.to_str().expect("a path of text"), "--yes", "--confirm", "off"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert_eq!(world.status("off")["wire"]["versions"]["none"], 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_wire_does_not_show_fails_with_the_reason() {
    let world = ServeWorld::new(
        3,
        3,
        &format!(
            "{FAULTS}\nwire_silent: [{{on: 1, match: 00000002po01}}]\nwire_wrong: [{{on: 1, match: 00000003po01}}]"
        ),
    );
    let _daemon = world.daemon().ready();
    let other = rcgen::KeyPair::generate().expect("a key");
    let other =
        rcgen::CertificateParams::default().self_signed(&other).expect("a certificate").pem();
    world.write("other.pem", &other);
    let plan =
        world.plan("unproven", "verify: {timeout: 1s, wire: {ca_file: other.pem}}\nstrategy: {max_failures: {wave: 3, rollout: 3}}\n");
    let applied = world.run(&["apply", plan.to_str().expect("a path of text"), "--yes"]);
    assert_eq!(applied.code, Some(4), "a rollout whose every change failed is halted: {applied:?}");
    let status = world.status("unproven");
    assert_eq!(
        (&status["tally"]["failed"], &status["counters"]["verified"]),
        (&3.into(), &0.into()),
        "{status:#}"
    );
    let changes = rows(&world.run(&["changes", "unproven", "-o", "jsonl"]).out);
    let reasons: Vec<&str> = changes.iter().filter_map(|row| row["reason"].as_str()).collect();
    for (reason, part) in
        reasons.iter().zip(["does not hold it", "no greeting came", "announces no TLS"])
    {
        assert!(
            reason.starts_with("the API shows the wanted value, and the wire does not: 127."),
            "{reason}"
        );
        assert!(reason.contains(part), "{reason}");
    }
    assert!(
        changes.iter().all(|row| row["reason_word"] == "not_proven" && row["job_id"].is_string()),
        "{changes:#?}"
    );
    let tries = rows(&world.run(&["journal", "unproven", "-o", "jsonl"]).out);
    assert!(
        tries.iter().any(|row| row["proof"]["trouble"]["word"] == "timed_out"),
        "a proof that shows nothing is kept too"
    );
}
