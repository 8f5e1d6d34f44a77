//! `discover`: the fleet paged to its end, also when the cloud stumbles, and nothing less than the
//! whole fleet is success.

use std::collections::BTreeSet;

use sealift::simcloud::faults::Faults;

use super::world::ServeWorld;

fn ids(csv: &str) -> BTreeSet<String> {
    csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap_or_default().to_owned()).collect()
}

fn fleet(world: &ServeWorld) -> BTreeSet<String> {
    world
        .cloud
        .with_model(|model| model.proxies().map(|proxy| proxy.proxy_id.to_string()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_fleet_is_found_and_is_a_target_file() {
    let world = ServeWorld::new(300, 250, "readonly_nodes: object\nerror_500_before: 0.05");
    let _daemon = world.daemon().ready();
    let found = world.run(&["discover", "-o", "csv", "--tag-columns", "env"]);
    assert_eq!(found.code, Some(0), "{}", found.err);
    assert!(
        found.err.contains("300 proxies found, 0 of them without a known ssl_option"),
        "{}",
        found.err
    );
    assert_eq!(ids(&found.out), fleet(&world));
    world.write("found.csv", &found.out);
    let plan = world.write(
        "found.yaml",
        "version: 1\nname: found\nssl_option: true\ntargets: {files: [found.csv]}\n",
    );
    let checked = world.run(&["check", plan.to_str().expect("a path of text")]);
    assert!(checked.code == Some(0) && checked.out.contains("300 proxies"), "{checked:?}");

    let prod =
        world.run(&["discover", "--tag", "env=prod", "--name", "emulated-1*", "-o", "jsonl"]);
    let rows: Vec<serde_json::Value> =
        prod.out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert!(
        rows.iter().all(|row| row["tags"]["env"] == "prod" && row["ssl_option"] == false),
        "{prod:?}"
    );
    let names: BTreeSet<&str> =
        rows.iter().filter_map(|row| row["instance_name"].as_str()).collect();
    assert!(
        names.contains("emulated-1")
            && names.contains("emulated-101")
            && !names.contains("emulated-2"),
        "{names:?}"
    );
    assert_eq!(names.len(), 1 + 5 + 50, "odd ones of 1, 10 to 19 and 100 to 199");
    assert!(
        prod.err.contains("194 instances left out: 139 of another name, 55 with other tags"),
        "{}",
        prod.err
    );
    assert!(!found.err.contains("left out"), "{}", found.err);
    let nowhere = world.run(&["discover", "--lane", "other"]);
    assert!(nowhere.code == Some(1) && nowhere.err.contains("no lane other"), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn less_than_the_whole_is_an_error_and_is_resumed() {
    let world = ServeWorld::new(32, 32, "ssl_option: absent");
    let _daemon = world.daemon().ready();
    let into = world.path("found.csv");
    let into = into.to_str().expect("a path of text");
    let faults = |text: &str| {
        world
            .cloud
            .with_model(|model| model.set_faults(Faults::from_yaml(text).expect("a fault file")))
    };
    faults("error_500_before: [{call: proxies, on: 0.9}]\nssl_option: absent");
    let failed = world.run(&["discover", "--into", into]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(
        failed.err.contains("the discovery is not complete")
            && failed.err.contains("run it again with --resume"),
        "{}",
        failed.err
    );
    // What was broken off does not look whole, and no verb takes it for a fleet.
    let begun = format!("{into}.part");
    assert!(
        !world.path("found.csv").exists()
            && failed.err.contains("found.csv.part, which no plan takes"),
        "{}",
        failed.err
    );
    let before = ids(&std::fs::read_to_string(&begun).expect("it is there"));
    assert!(
        !before.is_empty() && before.len() < 32,
        "some were read, and some were not: {}",
        before.len()
    );
    for (name, file) in [("whole", "found.csv"), ("part", "found.csv.part")] {
        let plan = world.write(
            &format!("{name}.yaml"),
            &format!("version: 1\nname: {name}\nssl_option: true\ntargets: {{files: [{file}]}}\n"),
        );
        let plan = plan.to_str().expect("a path of text");
        for verb in [
            vec!["check", plan],
            vec!["plan", plan],
            vec!["preflight", plan],
            vec!["apply", plan, "--yes"],
        ] {
            let refused = world.run(&verb);
            let told = refused.code == Some(1)
                && refused.err.contains("--resume`")
                && refused.err.contains("broken off");
            assert!(told, "{verb:?}: {refused:?}");
        }
    }
    let again = world.run(&["discover", "--into", into]);
    assert!(
        again.code == Some(1) && again.err.contains("go on with it by --resume"),
        "nothing is overwritten: {again:?}"
    );
    faults("ssl_option: absent");
    let resumed = world.run(&["discover", "--into", into, "--resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert!(
        resumed.err.contains("instances from before") && !world.path("found.csv.part").exists(),
        "{resumed:?}"
    );
    let all = std::fs::read_to_string(into).expect("it is there");
    assert_eq!((ids(&all), all.lines().count()), (fleet(&world), 33), "each once");
    assert!(all.lines().skip(1).all(|line| line.contains(",unknown,")), "unknown is a value");
    for verb in [vec!["discover", "--into", into], vec!["discover", "--into", into, "--resume"]] {
        let again = world.run(&verb);
        assert!(
            again.code == Some(1) && again.err.contains("is there already"),
            "nothing is overwritten: {again:?}"
        );
    }
    // Into a file of the shell's: its name cannot be held back, so its last row is one that no plan
    // takes.
    faults("error_500_before: [{call: proxies, on: 0.9}]");
    let piped = world.run(&["discover", "-o", "csv"]);
    assert_eq!(piped.code, Some(1), "{piped:?}");
    world.write("piped.csv", &piped.out);
    let plan = world.write(
        "piped.yaml",
        "version: 1\nname: piped\nssl_option: true\ntargets: {files: [piped.csv]}\n",
    );
    let refused = world.run(&["check", plan.to_str().expect("a path of text")]);
    assert!(
        refused.code == Some(1) && refused.err.contains("this is not the whole fleet"),
        "{refused:?}"
    );
    faults("error_500_before: [{call: instances, on: 1}]");
    let nothing = world.run(&["discover"]);
    assert!(nothing.code == Some(1) && nothing.err.contains("cannot be listed"), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_instances() {
    let world = ServeWorld::new(10_000, 10_000, "");
    let _daemon = world.daemon().ready();
    let into = world.path("fleet-found.csv");
    let found = world.run(&["discover", "--into", into.to_str().expect("a path of text")]);
    assert_eq!(found.code, Some(0), "{}", found.err);
    assert_eq!(ids(&std::fs::read_to_string(into).expect("it is there")).len(), 10_000);
    let calls = world.cloud.with_model(|model| model.ledger().arrivals_total());
    assert_eq!(calls, 100 + 10_000, "one call a page and one an instance");
}
