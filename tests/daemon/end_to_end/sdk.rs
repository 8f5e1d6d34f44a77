//! The vendor's own SDK judges the emulated cloud: what it sends is verified, and what it is
//! answered it understands.
//!
//! Which operations are driven stands in `tests/sdk/judge.py`; here is what must come of them. The
//! SDK is pinned, and lives in an environment of its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sealift::clock::SystemClock;
use sealift::simcloud::emulator::accounts::Accounts;
use sealift::simcloud::emulator::{Emulator, Options};
use sealift::simcloud::faults::Faults;
use sealift::simcloud::fleet::Fleet;
use serde_json::{Value, json};

const ACCOUNTS: &str = "\
keys:
  - {access_key: AKSDKJUDGE0000000000, secret_key: a-secret-key-of-forty-characters-exactly}
users:
  - {domain: acme, user: sealift, password: a-password}
agencies:
  - {domain: member, name: ops-agency, trusts: acme}
";

/// Runs the judge; its documents in their order.
fn judge(given: &Value) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/sdk/bin/python");
    assert!(
        python.exists(),
        "{} is not there: `make setup` (and so `make test`) installs the vendor's SDK",
        python.display()
    );
    let home = tempfile::tempdir().expect("a temporary folder");
    // The SDK writes an id of its own below HOME and takes proxies from the environment.
    let ran = Command::new(python)
        .args([root.join("tests/sdk/judge.py").as_os_str(), given.to_string().as_ref()])
        .env("HOME", home.path())
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .expect("python runs");
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "the judge failed after\n{out}\n{err}");
    out.lines().map(|line| serde_json::from_str(line).expect("a document")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_sdk_understands_the_emulated_cloud() {
    let fleet = Fleet::generate(4, 2, 1).expect("a fleet");
    let (ours, sibling) = (fleet.proxies()[0], fleet.proxies()[1]);
    assert_eq!(ours.instance_id, sibling.instance_id);
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        fleet,
        faults: Faults::from_yaml("job_time: 1s").expect("a fault file"),
        seed: 1,
        token: None,
        accounts: Accounts::from_yaml(ACCOUNTS).expect("an accounts file"),
        project_id: None,
        watch: vec![Duration::from_secs(1)],
        wire: false,
    };
    let cloud = Emulator::start(options, Arc::new(SystemClock)).expect("a free port");
    let given = json!({
        "endpoint": cloud.endpoint(),
        "project_id": "056538411200d4cd2f79c003c7606412",
        "access_key": "AKSDKJUDGE0000000000",
        "secret_key": "a-secret-key-of-forty-characters-exactly",
        "domain": "acme",
        "user": "sealift",
        "password": "a-password",
        "agency": "ops-agency",
        "agency_domain": "member",
        "instance_id": ours.instance_id.to_string(),
        "proxy_id": ours.proxy_id.to_string(),
        "absent_proxy_id": "2ec617ba62da4eafb921b69438beed3cpo01",
    });
    let told = tokio::task::spawn_blocking(move || judge(&given))
        .await
        .expect("the judge comes to an end");
    let step = |name: &str| {
        told.iter()
            .find(|told| told["step"] == name)
            .unwrap_or_else(|| panic!("no {name} in {told:#?}"))
    };
    let (proxy, other) = (ours.proxy_id.to_string(), sibling.proxy_id.to_string());

    let instances = step("instances");
    assert_eq!(
        (&instances["total"], instances["rows"].as_array().map(Vec::len)),
        (&json!(2), Some(2)),
        "{instances}"
    );
    let first = &instances["rows"][0];
    assert_eq!(
        (&first[0], &first[2], &first[4]),
        (&json!(ours.instance_id.to_string()), &json!("ACTIVE"), &json!("env")),
        "{first}"
    );
    assert_eq!(first[3].as_array().map(Vec::len), Some(1), "an address of its proxy");
    let before = step("proxies")["rows"].as_array().expect("rows").clone();
    let shown: Vec<_> =
        before.iter().map(|row| (row[0].clone(), row[1].clone(), row[2].clone())).collect();
    assert_eq!(
        shown,
        [&proxy, &other].map(|id| (json!(id), json!("false"), json!("ACTIVE"))),
        "ssl_option is a text"
    );
    assert!(before.iter().all(|row| row[3].is_string() && row[4] == 3306), "{before:?}");
    let job = step("switch")["job_id"].as_str().expect("a job id").to_owned();
    cloud.with_model(|model| {
        assert!(model.jobs().any(|made| made.job_id.to_string() == job), "the cloud made that job")
    });
    let shown = step("job");
    assert_eq!(
        (&shown["id"], &shown["instance"]),
        (&json!(job), &json!(ours.instance_id.to_string()))
    );
    assert!(["Pending", "Running"].iter().any(|word| shown["status"] == **word), "{shown}");
    let listed = step("jobs");
    assert_eq!(
        (&listed["total"], &listed["rows"][0][0], &listed["rows"][0][1]),
        (&json!(1), &json!(job), &shown["instance"])
    );
    assert_eq!(step("ended")["status"], "Completed");
    assert_eq!(step("after")["rows"], json!([[proxy, "true"], [other, "false"]]));

    for (name, kind, status, code) in [
        ("busy", "ClientRequestException", 409, json!("DBS.200019")),
        ("absent", "ClientRequestException", 400, json!("DBS.270024")),
        ("no such job", "ClientRequestException", 400, json!("DBS.200543")),
        ("wrong secret", "ClientRequestException", 401, json!("APIGW.0301")),
        ("stale token", "ClientRequestException", 401, json!("APIGW.0301")),
        ("wrong token", "ClientRequestException", 401, json!("APIGW.0301")),
        // IAM has an envelope of its own, and its code is a number.
        ("wrong password", "ClientRequestException", 401, json!(401)),
        ("no such agency", "ClientRequestException", 404, json!(404)),
        ("agency by no token", "ClientRequestException", 401, json!(401)),
        ("agency by an agency", "ClientRequestException", 403, json!(403)),
    ] {
        let told = step(name);
        assert_eq!(
            (&told["kind"], &told["status"], &told["code"]),
            (&json!(kind), &json!(status), &code),
            "{name}: {told}"
        );
        assert!(
            told["code"].is_number()
                || told["request_id"].as_str().is_some_and(|id| id.len() == 32),
            "{name}: {told}"
        );
    }
    let refused = step("wrong secret")["message"].as_str().expect("a message").to_owned();
    assert!(
        refused.contains("canonicalRequest:GET|/v3/"),
        "the gateway tells what it signed: {refused}"
    );
    assert!(
        step("token")["token"].as_str().is_some_and(|token| token.len() > 100),
        "{:?}",
        step("token")
    );
    assert_eq!(step("by token")["rows"], json!([[proxy, "true"], [other, "false"]]));
    let acted = step("agency token");
    assert!(acted["token"].as_str().is_some_and(|token| token.len() > 100), "{acted}");
    assert_eq!(acted["methods"], json!(["assume_role"]));
    assert_eq!(
        (&acted["user"], &acted["account"]),
        (&json!("member/ops-agency"), &json!("member"))
    );
    let asked = (&json!("sealift"), &json!("056538411200d4cd2f79c003c7606412"));
    assert_eq!((&acted["assumed_by"], &acted["project"]), asked);
    let instant = |place: usize| -> jiff::Timestamp {
        acted["lasts"][place].as_str().expect("a text").parse().expect("an instant")
    };
    assert_eq!(instant(0).duration_until(instant(1)), jiff::SignedDuration::from_hours(24));
    assert_eq!(step("by agency")["rows"], json!([[proxy, "true"], [other, "false"]]));
}
