//! The plans and the configuration that come with Sealift are right, and so is the schema beside
//! them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sealift::config::{self, Config};
use sealift::domain::change::LOOKS_MAX;
use sealift::domain::enforce::Mode;
use sealift::domain::lane::Credentials;
use sealift::domain::plan::{OnFailure, RevertPolicy};
use sealift::planfile;
use sealift::simcloud::faults;
use serde_json::Value;

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let entries = fs::read_dir(folder)
        .expect("the folder of plans")
        .map(|entry| entry.expect("an entry").path());
    let mut plans: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    plans.sort();
    plans
}

#[test]
fn every_shipped_plan_is_taken_without_a_warning() {
    let plans = shipped();
    assert_eq!(plans.len(), 8);
    for path in plans {
        let read =
            planfile::read(&path, None).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
        assert!(
            read.warnings().is_empty(),
            "{}",
            planfile::render_warnings(read.warnings(), false)
        );
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        assert_eq!(read.name().as_str(), name, "a plan is named as its file");
        let planfile::ReadPlan::Whole(loaded) = read else {
            assert_eq!(name, "discovered");
            continue;
        };
        let covered: u32 = loaded.plan.strategy.waves.iter().map(|wave| wave.size).sum();
        assert_eq!(covered as usize, loaded.targets.len(), "{name}: the waves cover the targets");
    }
}

#[test]
fn the_shipped_plans_mean_what_their_comments_say() {
    let load = |name: &str| {
        planfile::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("plans").join(name))
            .unwrap_or_else(|told| panic!("{told}"))
    };
    let fleet = load("fleet-from-csv.yaml");
    assert_eq!(fleet.targets.len(), 24);
    assert_eq!(fleet.targets[0].tags.as_ref().and_then(|tags| tags.get("tier")), Some("bronze"));
    assert_eq!(fleet.plan.strategy.waves[0].size, 3, "a tenth of 24 rounds up");
    let instances: BTreeSet<_> = fleet.targets.iter().map(|target| target.instance_id).collect();
    assert_eq!(instances.len(), 16);
    let off = load("switch-off.yaml");
    assert!(!off.plan.ssl_option);
    assert_eq!(off.plan.strategy.max_failures, 1, "0 is kept as 1: the first failure halts");
    let agreed = load("four-eyes.yaml").plan;
    assert_eq!(
        agreed.strategy.revert,
        RevertPolicy { on_failure: OnFailure::Revert, in_window: false }
    );
    assert_eq!(agreed.approval.required, 1);
    assert_ne!(
        agreed.approval.digest,
        load("minimal.yaml").plan.approval.digest,
        "what is to be agreed to has its digest"
    );
    let enforce = load("enforced.yaml").plan.enforce.expect("it says so");
    assert_eq!((enforce.mode, enforce.max_drift), (Mode::Apply, 2));
    let night = load("maintenance-window.yaml");
    assert!(night.autostart && !off.autostart);
    assert_eq!(night.plan.calendar.windows().len(), 2);
    assert!(load("minimal.yaml").plan.calendar.is_always_open());
}

#[test]
fn the_example_configuration_is_taken_and_shows_every_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sealift.example.yaml");
    let example = Config::load(Some(&path), &|_| None).unwrap_or_else(|told| panic!("{told}"));
    assert!(example.warnings.is_empty());
    let written = fs::read_to_string(&path).expect("the example");
    // The same lane with nothing but what must be written has the same values: the example shows
    // the defaults.
    let least = "lanes:\n  - name: prod-sg\n    endpoint: https://gaussdb.ap-southeast-3.myhuaweicloud.com\n    project_id: 056538411200d4cd2f79c003c7606412\n    credentials: {access_key: {file: /etc/sealift/prod-sg.ak}, secret_key: {file: /etc/sealift/prod-sg.sk}}\n    quota: {requests: 150, per: 5m}\n";
    let folder = tempfile::tempdir().expect("a folder");
    let least_path = folder.path().join("sealift.yaml");
    fs::write(&least_path, least).expect("a file");
    let least = Config::load(Some(&least_path), &|_| None).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(example.lanes, least.lanes);
    assert_eq!(
        (&example.plans, &example.store, &example.socket),
        (&least.plans, &least.store, &least.socket)
    );
    for key in keys(&config::schema()) {
        assert!(written.contains(&key), "the example does not show `{key}`");
    }
}

/// The example of a table, over the defaults that the example configuration shows in comments.
#[test]
fn the_example_table_of_lanes_is_taken() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let written = fs::read_to_string(docs.join("sealift.example.yaml")).expect("the example");
    let shown = |line: &&str| line.starts_with("# lane_defaults:") || line.starts_with("#   ");
    let defaults = written.lines().skip_while(|line| !line.starts_with("# lane_defaults:"));
    let defaults: String =
        defaults.take_while(shown).map(|line| format!("{}\n", &line[2..])).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sealift.yaml");
    let table = docs.join("lanes.example.csv").display().to_string();
    fs::write(&path, format!("{defaults}lane_files: [{table}]\n")).expect("a file");
    let config = Config::load(Some(&path), &|_| None).unwrap_or_else(|told| panic!("{told}"));
    let lanes: Vec<_> = config
        .lanes
        .iter()
        .map(|lane| {
            let quota = lane.quota.map(|quota| quota.requests);
            (lane.name.as_str(), lane.access.endpoint.as_str(), quota, lane.max_in_flight)
        })
        .collect();
    let agencies = config.lanes.iter().filter_map(|lane| match &lane.access.credentials {
        Credentials::Password { agency, .. } => agency.as_ref().map(ToString::to_string),
        Credentials::Token(_) | Credentials::AccessKey { .. } => None,
    });
    let prod = "agency sealift of account bank-prod";
    assert_eq!(agencies.collect::<Vec<_>>(), [prod, prod, "agency sealift of account bank-lab"]);
    let (sg, hk) = (
        "https://gaussdb.ap-southeast-3.myhuaweicloud.com",
        "https://gaussdbformysql.ap-southeast-1.myhuaweicloud.com",
    );
    let expected = [
        ("bank-prod-sg", sg, Some(120), 50),
        ("bank-prod-hk", hk, Some(240), 100),
        ("bank-lab-sg", sg, Some(48), 5),
    ];
    assert_eq!(lanes, expected);
}

/// Every key that a schema knows.
fn keys(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        if let Some(properties) = value["properties"].as_object() {
            all.extend(properties.keys().cloned());
        }
        match value {
            Value::Object(object) => open.extend(object.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    all
}

/// `plans/plan.schema.json` is what `sealift schema plan` prints. To renew it: `SEALIFT_BLESS=1
/// cargo test --test plans`.
#[test]
fn the_schema_beside_the_plans_is_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/plan.schema.json");
    let text = serde_json::to_string_pretty(&planfile::schema()).expect("a schema") + "\n";
    if std::env::var_os("SEALIFT_BLESS").is_some() {
        fs::write(&path, &text).expect("the schema");
    }
    assert_eq!(
        fs::read_to_string(&path).expect("the schema"),
        text,
        "renew it with SEALIFT_BLESS=1"
    );
}

#[test]
fn the_schema_names_the_bound_of_looks() {
    let schema = planfile::schema();
    let told = schema["definitions"]["Retry"]["description"].as_str().expect("a description");
    assert!(told.contains(&format!("{LOOKS_MAX} that fail in a row fail the change")), "{told}");
}

#[test]
fn the_schemas_close_every_map_and_explain_every_key() {
    for schema in [planfile::schema(), config::schema(), faults::schema()] {
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        let mut open = vec![("".to_owned(), &schema)];
        while let Some((at, value)) = open.pop() {
            if let Some(properties) = value["properties"].as_object() {
                assert_eq!(value["additionalProperties"], false, "{at} takes unknown keys");
                for (key, property) in properties {
                    let explained = property["description"].is_string()
                        || property["$ref"].is_string()
                        || property["allOf"].is_array();
                    assert!(explained, "{at}.{key} is not explained");
                }
            }
            assert_ne!(value["type"], "null", "{at} takes null");
            match value {
                Value::Object(object) => {
                    open.extend(object.iter().map(|(key, value)| (format!("{at}/{key}"), value)))
                }
                Value::Array(items) => open.extend(items.iter().map(|value| (at.clone(), value))),
                _ => {}
            }
        }
    }
}

/// The checker in `yaml::shape` reads only these keywords; one that it does not know would be
/// checked by editors and not by us.
#[test]
fn the_schemas_use_only_what_the_checker_reads() {
    let known: BTreeSet<&str> = [
        "$schema",
        "title",
        "description",
        "definitions",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "items",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "format",
        "pattern",
        "enum",
        "const",
        "oneOf",
        "anyOf",
        "allOf",
        "$ref",
        "x-instead",
    ]
    .into();
    for schema in [planfile::schema(), config::schema(), faults::schema()] {
        let mut open = vec![&schema];
        while let Some(value) = open.pop() {
            let Value::Object(object) = value else { continue };
            for (keyword, value) in object {
                if keyword == "default" {
                    // A note for editors, with a value of the file's own below it.
                    continue;
                }
                assert!(known.contains(keyword.as_str()), "unknown keyword {keyword}");
                match (keyword.as_str(), value) {
                    ("properties" | "definitions", Value::Object(named)) => {
                        open.extend(named.values())
                    }
                    (_, Value::Array(items)) => open.extend(items),
                    (_, value) => open.push(value),
                }
            }
        }
    }
}
