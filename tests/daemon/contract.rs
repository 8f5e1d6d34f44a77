//! The API asked by its own contract: schemathesis reads docs/openapi.json, makes up requests, good
//! and bad, and holds the answers of a real daemon against what the contract says of them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::serve::door;
use crate::serve::world::ServeWorld;

/// Cases of each operation that are drawn beside those that its bounds give; `make contract` asks
/// for more.
const EXAMPLES: &str = "3";

/// Streams without an end are no answers that can be held against anything.
const STREAMS: [&str; 3] = ["/v1/journal/stream", "/v1/moved", "/v1/store/export"];

/// Forms of a browser: what is no page of ours is refused before its method is looked at.
const FORMS: [&str; 2] = ["/sign-in", "/sign-out"];

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method";

/// What stands where an operation asks for a name; otherwise every answer would be a 404.
const NAMES: &str =
    "[parameters]\nreference = \"night\"\nlane = \"lab\"\nname = \"kept\"\nwait = 0\n";

/// Asks all that the contract knows with this token.
fn ask(world: &ServeWorld, address: &str, token: &Path) {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = checkout.join("target/contract/bin/schemathesis");
    assert!(program.exists(), "{} is missing; `make setup` installs it", program.display());
    let token = std::fs::read_to_string(token).expect("a token");
    let names = world.write("schemathesis.toml", NAMES);
    let mut command = Command::new(program);
    command.arg("--config-file").arg(names).arg("run").arg(checkout.join("docs/openapi.json"));
    command.args([
        "--url",
        address,
        "--header",
        &format!("Authorization: Bearer {}", token.trim()),
    ]);
    command.args(STREAMS.iter().chain(&FORMS).flat_map(|path| ["--exclude-path", path]));
    let examples = std::env::var("SEALIFT_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    command.args(["--checks", CHECKS, "--max-examples", &examples, "--seed", "1"]);
    command.args(["--phases", "coverage,fuzzing", "--warnings", "off", "--no-color"]);
    command.args(["--generation-database", "none"]);
    let output = command.current_dir(world.folder.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.lines().rev().find(|line| line.contains(" generated, ")).unwrap_or_default();
    println!("{address} {}: {summary}", token.split('_').nth(1).unwrap_or_default());
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_whatever_gets_an_answer_that_the_contract_names() {
    let world = door::world(door::TOKENS);
    let daemon = world.daemon().ready();
    let address = door::address(&daemon);
    let kept = "enforce: {cron: '@daily', time_zone: UTC}\n";
    let kept = world.plan("kept", kept);
    let waits = world.plan(
        "night",
        "strategy: {waves: [{name: a, size: 1, promote: manual}, {name: b, size: rest}]}\n",
    );
    for (plan, phase) in [(&kept, "completed"), (&waits, "awaiting")] {
        let plan = plan.to_str().expect("text");
        let applied = world.run(&["apply", plan, "--yes", "--detach"]);
        assert_eq!(applied.code, Some(0), "{applied:?}");
        let name = Path::new(plan).file_stem().and_then(|name| name.to_str()).expect("text");
        world.until(name, |status| status["phase"] == phase);
    }
    // The completed one is enforced by an entry of its own, soon afterwards.
    while world.run(&["enforce", "kept"]).code != Some(0) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let reader = door::new_token(&world, "bob", "read");
    let token = std::fs::read_to_string(&reader).expect("a token");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let entry = async || {
        let asked = http.get(format!("{address}/v1/daemon")).bearer_auth(token.trim());
        let document: Value = asked.send().await.expect("an answer").json().await.expect("JSON");
        document["store"]["seq"].as_u64().expect("a number")
    };
    let before = entry().await;
    ask(&world, &address, &reader);
    assert_eq!(entry().await, before, "a reader moved something");
    for may in ["read,operate", "read,approve", "read,operate,approve,off"] {
        ask(&world, &address, &door::new_token(&world, "carol", may));
    }
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
}
