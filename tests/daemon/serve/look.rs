//! `plan --look`: what the proxies show now, beside a rollout and without one.

use std::time::Duration;

use sealift::clock::{Clock as _, SystemClock};
use sealift::domain::id::ProxyId;
use serde_json::{Value, json};

use super::world::{ServeWorld, VerbOutput};

fn json(ran: &VerbOutput) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("no document: {error}; {ran:?}"))
}

/// Somebody else switches a proxy; waits until their job has ended.
async fn switched(world: &ServeWorld, proxy: &ProxyId, to: bool) {
    world
        .cloud
        .with_model(|model| assert!(model.foreign_change(SystemClock.times().wall, proxy, to)));
    let shows = || {
        world.cloud.with_model(|model| {
            model.advance(SystemClock.times().wall);
            model.proxy(proxy).expect("of the fleet").ssl_option
        })
    };
    while shows() != to {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_tells_what_is_to_be_switched_and_binds_what_is_saved() {
    let world = ServeWorld::new(8, 4, "job_time: 100ms");
    let daemon = world.daemon().ready();
    let plan = world.plan("night", "");
    let plan = plan.to_str().expect("a path of text");
    let as_listed = json(&world.run(&["plan", plan, "-o", "json"]));
    let proxies: Vec<_> =
        world.cloud.with_model(|model| model.proxies().map(|proxy| proxy.proxy_id).collect());
    switched(&world, &proxies[0], true).await;
    world.cloud.with_model(|model| assert!(model.set_faulty(&proxies[5], true)));

    let saved = world.path("seen.csv");
    let looked = world.run(&[
        "plan",
        plan,
        "--look",
        "-o",
        "json",
        "--save-targets",
        saved.to_str().expect("text"),
        "--detailed-exitcode",
    ]);
    assert_eq!(looked.code, Some(2), "{looked:?}");
    let preview = json(&looked);
    assert_eq!(preview["seen"], json!({"right": 1, "other": 7, "unknown": 0}));
    assert!(preview["looked_at"].is_string());
    assert_eq!(
        (&preview["digest"], &preview["rollout"]),
        (&as_listed["digest"], &as_listed["rollout"]),
        "a look binds nothing"
    );
    let warnings = preview["warnings"].to_string();
    assert!(
        warnings.contains("1 proxy is not ACTIVE") && warnings.contains("ABNORMAL"),
        "{warnings}"
    );
    let told = world.run(&["plan", plan, "--look", "--no-forecast"]);
    assert!(
        told.out.contains("now 7 off, 1 on already, 0 unknown") && told.out.contains("looked at "),
        "{}",
        told.out
    );
    let again =
        world.run(&["plan", plan, "--look", "--save-targets", saved.to_str().expect("text")]);
    assert!(
        again.code == Some(1) && again.err.contains("cannot create"),
        "nothing is overwritten: {again:?}"
    );
    let members = world.run(&["plan", plan, "--look", "--members", "-o", "csv"]);
    assert_eq!(
        members.out.lines().filter(|line| line.contains(",true,")).count(),
        1,
        "{}",
        members.out
    );

    // What was saved binds: the one that was right is switched away, and is left alone.
    switched(&world, &proxies[0], false).await;
    let bound = world.write(
        "bound.yaml",
        "version: 1\nname: bound\nssl_option: true\ntargets: {files: [seen.csv]}\n",
    );
    let bound = bound.to_str().expect("a path of text");
    let ran = world.run(&["apply", bound, "--yes", "-o", "json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let skipped = world.run(&["changes", "bound", "--state", "skipped", "-o", "jsonl"]);
    assert!(
        skipped.out.contains(proxies[0].as_str()) && skipped.out.contains("not_as_seen"),
        "{skipped:?}"
    );
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    let gone = world.run(&["plan", plan, "--look"]);
    assert_eq!(gone.code, Some(8), "a look needs the daemon: {gone:?}");
    assert_eq!(world.run(&["plan", plan]).code, Some(0), "a plan does not");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_is_unknown_and_said() {
    let world = ServeWorld::new(6, 3, "job_time: 100ms\nssl_option: absent");
    let _daemon = world.daemon().ready();
    let plan = world.write(
        "night.yaml",
        "version: 1\nname: night\nssl_option: true\ntargets:\n  files: [fleet.csv]\n  list:\n    - {lane: lab, instance_id: \
         096c0fc43e804757b59946b80dc27f8bin07, proxy_id: 2ec617ba62da4eafb921b69438beed3cpo01}\n",
    );
    let plan = plan.to_str().expect("a path of text");
    let preview = json(&world.run(&["plan", plan, "--look", "-o", "json", "--no-forecast"]));
    assert_eq!(preview["seen"], json!({"right": 0, "other": 0, "unknown": 7}));
    let warnings = preview["warnings"].to_string();
    assert!(
        warnings.contains(
            "1 instance could not be looked at; 096c0fc43e804757b59946b80dc27f8bin07 of lane lab"
        ),
        "{warnings}"
    );
    assert!(warnings.contains("6 proxies show no ssl_option"), "{warnings}");
}
