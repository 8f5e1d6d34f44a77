//! A plan that has its targets discovered: what is previewed is what is submitted, and less than
//! all of it is nothing.

use std::collections::BTreeSet;

use sealift::simcloud::faults::Faults;
use serde_json::Value;

use crate::serve::world::{ServeWorld, VerbOutput};

const FAULTS: &str = "job_time: 100ms";

/// Of 30 instances, named `emulated-0` to `emulated-29`, the odd ones have `env: prod`.
const PLAN: &str = r#"version: 1
name: prod
ssl_option: true
targets:
  discover:
    - {lane: lab, instance_name: "emulated-*", tags: {env: prod}, state: active}
    - {lane: lab, instance_name: emulated-2}
  exclude:
    - {instance_name: "emulated-1*", reason: old JDBC clients}
strategy: {waves: [{name: canary, size: 2}, {name: rest, size: rest}]}
"#;

fn json(ran: &VerbOutput) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

/// The names of the instances whose proxies show SSL.
fn switched(world: &ServeWorld) -> BTreeSet<String> {
    let found = world.run(&["discover", "-o", "jsonl"]);
    let rows = found.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("a row"));
    rows.filter(|row| row["ssl_option"] == true)
        .map(|row| row["instance_name"].as_str().expect("a name").to_owned())
        .collect()
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("a path of text")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_and_agreed_to_is_what_is_switched() {
    let world = ServeWorld::new(30, 30, FAULTS);
    let plan = world.write("prod.yaml", PLAN);
    let (plan, saved) = (text(&plan), world.path("prod.jsonl"));
    let saved = text(&saved);
    // All that needs no network needs no daemon either.
    let checked = world.run(&["check", plan]);
    assert!(
        checked.code == Some(0) && checked.out.contains("proxies to be discovered by 2 entries"),
        "{checked:?}"
    );
    assert_eq!(world.run(&["windows", plan]).code, Some(0));
    assert_eq!(world.run(&["plan", plan]).code, Some(8), "the daemon discovers, and there is none");
    let _daemon = world.daemon().ready();

    let shown = world.run(&["plan", plan, "--save-discovered", saved]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.err.contains("16 proxies found on 16 instances"), "{shown:?}");
    assert!(
        shown.out.contains("left out, 6 proxies: old JDBC clients")
            && shown.out.contains("  emulated-13\n")
            && shown.out.contains("and 1 more"),
        "{}",
        shown.out
    );
    assert!(shown.out.contains("10 proxies on 10 instances to switch on"), "{}", shown.out);
    let preview = json(&world.run(&["plan", plan, "--discovered", saved, "-o", "json", "--all"]));
    assert_eq!(
        (&preview["targets"], &preview["excluded"][0]["targets"], &preview["seen"]["other"]),
        (&10.into(), &6.into(), &10.into())
    );
    let digest = preview["digest"].as_str().expect("a digest");

    // A fleet that has changed since is another set: what was agreed to does not hold for it.
    let canary = preview["waves"][0]["targets"][0]["proxy_id"].as_str().expect("an id").to_owned();
    world.write(
        "one.csv",
        &format!(
            "lane,instance_id,proxy_id\nlab,{},{canary}\n",
            preview["waves"][0]["targets"][0]["instance_id"].as_str().expect("an id")
        ),
    );
    let first = world.write(
        "one.yaml",
        "version: 1\nname: one\nssl_option: true\ntargets: {files: [one.csv]}\n",
    );
    assert_eq!(world.run(&["apply", text(&first), "--yes"]).code, Some(0));
    let other = world.run(&["apply", plan, "--yes", "--digest", digest]);
    assert!(
        other.code == Some(1) && other.err.contains("not the one that was approved"),
        "{other:?}"
    );
    // Of the set that was agreed to, one is right by now and is left alone.
    let applied = world.run(&[
        "apply",
        plan,
        "--yes",
        "--digest",
        digest,
        "--discovered",
        saved,
        "-o",
        "json",
    ]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let expected: BTreeSet<String> =
        [2, 3, 5, 7, 9, 21, 23, 25, 27, 29].map(|n| format!("emulated-{n}")).into();
    assert_eq!(switched(&world), expected);
    let rows = world.run(&["changes", "prod", "-o", "jsonl"]);
    let order: Vec<Value> =
        rows.out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(order.len(), 10);
    assert_eq!(
        order[0]["proxy_id"], canary,
        "the order is that of the names, whatever the cloud's list has"
    );
    assert_eq!(
        std::fs::read_dir(world.path("state/spool")).map_or(0, Iterator::count),
        0,
        "nothing stays behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn less_than_all_of_it_is_an_error_and_nothing_is_submitted() {
    let world = ServeWorld::new(30, 30, FAULTS);
    let plan = world.write("prod.yaml", PLAN);
    let (plan, saved) = (text(&plan), world.path("prod.jsonl"));
    let saved = text(&saved);
    let _daemon = world.daemon().ready();
    let faults = |text: &str| {
        world
            .cloud
            .with_model(|model| model.set_faults(Faults::from_yaml(text).expect("a fault file")))
    };
    faults("error_500_before: [{call: proxies, on: 0.9}]\njob_time: 100ms");
    for verb in [
        vec!["plan", plan, "--save-discovered", saved],
        vec!["apply", plan, "--yes"],
        vec!["preflight", plan],
    ] {
        let failed = world.run(&verb);
        assert!(
            failed.code == Some(1) && failed.err.contains("the discovery is not complete"),
            "{failed:?}"
        );
    }
    assert!(!world.path("prod.jsonl").exists(), "what was broken off is no file");
    faults(FAULTS);
    let nothing = world.write("none.yaml", &PLAN.replace("emulated-", "emulatd-"));
    let nothing = world.run(&["apply", text(&nothing), "--yes"]);
    assert!(
        nothing.code == Some(1) && nothing.err.contains("the discovery found no proxies"),
        "{nothing:?}"
    );
    let all_out = world.write("out.yaml", &PLAN.replace("emulated-1*", "*"));
    let all_out = world.run(&["apply", text(&all_out), "--yes"]);
    assert!(
        all_out.code == Some(1) && all_out.err.contains("`exclude` leaves out all 16"),
        "{all_out:?}"
    );

    assert_eq!(world.run(&["plan", plan, "--save-discovered", saved]).code, Some(0));
    let again = world.run(&["plan", plan, "--save-discovered", saved]);
    assert!(
        again.code == Some(1) && again.err.contains("is there already"),
        "nothing is overwritten: {again:?}"
    );
    let whole = std::fs::read_to_string(saved).expect("it is there");
    let lines: Vec<&str> = whole.lines().collect();
    let row = lines[1].replace("\"prod\"", "\"test\"").replace("emulated-", "other-");
    for (wrong, told) in [
        (lines[..10].join("\n"), "the file was cut off"),
        (
            [&lines[..5], &lines[6..]].concat().join("\n"),
            "the file holds 15 proxies, and says that it holds 16",
        ),
        (
            [&lines[..1], &[row.as_str()], &lines[1..]].concat().join("\n"),
            "no selector of the plan's `targets.discover` looks for this",
        ),
        (
            [lines.as_slice(), &lines[1..2]].concat().join("\n"),
            "the file goes on after its last line",
        ),
        (lines[1..].join("\n"), "this is no file of a discovery"),
        (whole.replace("emulated-2\"", "emulated-4\""), "found for other selectors"),
        (whole.replace("po01", "po02"), "po02"),
        (String::new(), "this is no file of a discovery"),
    ] {
        world.write("wrong.jsonl", &wrong);
        let refused =
            world.run(&["apply", plan, "--yes", "--discovered", text(&world.path("wrong.jsonl"))]);
        assert!(refused.code == Some(1) && refused.err.contains(told), "{told}: {refused:?}");
    }
    let missing =
        world.run(&["apply", plan, "--yes", "--discovered", text(&world.path("missing.jsonl"))]);
    assert!(missing.code == Some(1) && missing.err.contains("missing.jsonl"), "{missing:?}");
    let listed = world.plan("listed", "");
    let idle = world.run(&["plan", text(&listed), "--discovered", saved]);
    assert!(idle.code == Some(1) && idle.err.contains("has no `targets.discover`"), "{idle:?}");
    let idle =
        world.run(&["plan", text(&listed), "--save-discovered", text(&world.path("new.jsonl"))]);
    assert!(
        idle.code == Some(1) && idle.err.contains("nothing is found that could be saved"),
        "{idle:?}"
    );
    let (sent, open) = (
        world.cloud.with_model(|model| model.ledger().switches_total()),
        world.run(&["list", "-o", "jsonl"]).out,
    );
    assert_eq!((sent, open.as_str()), (0, ""), "nothing was changed or submitted");
}
