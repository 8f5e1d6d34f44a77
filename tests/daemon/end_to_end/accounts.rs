//! Many accounts: a table of lanes, one user, one agency.

use sealift::clock::{Clock as _, SystemClock};
use serde_json::Value;

use super::field::FieldDay;

const FAULTS: &str = "latency: {min: 1ms, max: 5ms}\n";
const PASSWORD: &str = "pass-word-91f0";
const ACCOUNTS: &str = "\
users: [{domain: acme-ops, user: sealift, password: pass-word-91f0}]
agencies: [{domain: bank, name: ops, trusts: acme-ops}]
";

/// A table of so many lanes over what they share.
fn configure(field: &FieldDay, lanes: usize) {
    let rows: String = (0..lanes).map(|n| format!("bank-{n:04},{n:032x}\n")).collect();
    field.write("lanes.csv", &format!("name,project_id\n{rows}"));
    field.configure(|endpoint| {
        format!(
            "lane_defaults:\n  endpoint: {endpoint}\n  iam_endpoint: {endpoint}\n  \
             credentials: {{user: sealift, password: {{file: password}}, domain: acme-ops, \
             agency: {{name: ops, domain: bank}}}}\n  \
             quota: {{requests: 14400, per: 1h, headroom: 20%}}\nlane_files: [lanes.csv]\n"
        )
    });
}

fn rows(field: &FieldDay, verb: &[&str]) -> Vec<Value> {
    let ran = field.run(verb);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

/// One login for three hundred lanes and one token for each; a go within every quota. A thousand
/// lanes are served as well.
#[test]
fn three_hundred_lanes_from_a_table_by_one_user_and_one_agency() {
    const LANES: usize = 300;
    let secrets = [("password", PASSWORD)];
    let mut field = FieldDay::known_as("accounts", 4, 2, FAULTS, "", &secrets, ACCOUNTS, "");
    configure(&field, LANES);
    field.serve();
    let checks = rows(&field, &["preflight", "--lanes", "-o", "jsonl"]);
    let go = |what: &str| {
        checks.iter().filter(|row| row["what"] == what && row["verdict"] == "go").count()
    };
    assert_eq!((go("lane"), go("permission")), (2 * LANES, LANES), "reached, in time, readable");
    assert!(checks.iter().all(|row| row["verdict"] != "no_go"), "{checks:?}");
    let seen = field.admissions();
    assert_eq!((&seen["logins"], &seen["agency_tokens"]), (&1.into(), &LANES.into()), "{seen}");
    for refused in ["logins_refused", "agency_tokens_refused", "tokens_refused", "account_locks"] {
        assert_eq!(seen[refused], 0, "{seen}");
    }
    assert_eq!(field.ledger()["arrivals_total"], 2 * LANES, "two reads a lane");
    let lanes = rows(&field, &["lanes", "-o", "jsonl"]);
    assert_eq!(lanes.len(), LANES);
    for lane in &lanes {
        let who = "user sealift of account acme-ops, by agency ops of account bank";
        assert_eq!(lane["identity"], who, "{lane}");
        assert!(lane["last_good"].is_string(), "{lane}");
        assert_eq!(
            (&lane["quota"]["requests"], &lane["quota"]["used"]),
            (&11_520.into(), &2.into())
        );
    }
    let shown = field.run(&["preflight", "--lanes", "bank-0000", "bank-0299"]);
    assert!(shown.code == 0 && shown.stdout.contains("lane bank-0299"), "{}", shown.stdout);
    assert_eq!(field.admissions()["agency_tokens"], LANES, "each lane keeps its own");
    let unknown = field.run(&["preflight", "--lanes", "bank-0300"]);
    assert!(unknown.code != 0 && unknown.stderr.contains("did you mean"), "{}", unknown.stderr);

    assert_eq!(field.run(&["pause", "--lane", "bank-0007", "--reason", "audit"]).code, 0);
    let paused = field.run(&["lanes", "--paused"]);
    assert!(paused.stdout.contains("bank-0007") && paused.stdout.contains("audit"));
    assert_eq!(paused.stdout.lines().count(), 2, "a heading and the lane: {}", paused.stdout);
    for secret in [PASSWORD, "MIIE"] {
        for (place, bytes) in field.all_that_is_told() {
            let told = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!told, "{secret} stands in {place}");
        }
    }

    field.kill();
    configure(&field, 1_000);
    let before = SystemClock.times().boot;
    field.serve();
    let took = SystemClock.times().boot - before;
    println!("a daemon with 1,000 lanes of a table answers after {} ms", took.as_millis());
    let all = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        rows(&field, &["lanes", "-o", "jsonl"]).len() == 1_000
    });
    assert!(all, "the engine has them all after its first pass");
}
