use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::*;
use crate::domain::lane::{Credentials, SecretSource};
use crate::domain::people::Role;
use crate::domain::quota::Quota;

const FILE: &str = "\
plans: plans.d
api: {socket: /run/other.sock}
lanes:
  - name: prod-sg
    endpoint: https://gaussdb.ap-southeast-3.myhuaweicloud.com/
    project_id: 056538411200d4cd2f79c003c7606412
    credentials: {token: {file: tokens/prod-sg}}
    quota: {requests: 150, per: 5m}
    poll: 500ms
";

fn load(
    file: Option<&str>,
    flag: bool,
    env: &[(&str, &str)],
) -> (tempfile::TempDir, Result<Config, Diagnostics>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sealift.yaml");
    if let Some(text) = file {
        fs::write(&path, text).expect("a file");
    }
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let default = if flag { folder.path().join("absent") } else { path.clone() };
    let config =
        Config::load_or(&default, flag.then_some(path.as_path()), &|name| env.get(name).cloned());
    (folder, config)
}

fn origin<'c>(config: &'c Config, key: &str) -> &'c Origin {
    &config
        .settings
        .iter()
        .find(|setting| setting.key == key)
        .unwrap_or_else(|| panic!("no {key}"))
        .origin
}

#[test]
fn without_a_file_everything_has_its_default() {
    let (_folder, config) = load(None, false, &[]);
    let config = config.expect("defaults");
    assert_eq!(config.file, None);
    assert_eq!(config.plans, Path::new(PLANS_DEFAULT));
    assert_eq!(config.store, StoreConfig::Sled(STORE_DEFAULT.into()));
    assert_eq!(config.socket, Path::new(SOCKET_DEFAULT));
    assert!(config.lanes.is_empty());
    let stop = config.settings.iter().find(|setting| setting.key == "stop_file").expect("listed");
    assert_eq!(
        (stop.value.as_str(), &stop.origin),
        (Some("/var/lib/sealift/STOP"), &Origin::Beside("store.sled"))
    );
    assert!(
        config
            .settings
            .iter()
            .all(|setting| setting.origin == Origin::Default || setting.key == "stop_file")
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let (_folder, config) = load(None, true, &[]);
    let message = config.expect_err("it is missing").to_string();
    assert!(message.contains("no such file"), "{message}");
}

#[test]
fn environment_stands_above_file_above_default() {
    let (folder, config) = load(
        Some(FILE),
        true,
        &[
            ("SEALIFT_SOCKET", "/tmp/a.sock"),
            ("SEALIFT_STORE", ""),
            ("SEALIFT_CONFIG", "/no/such/file"),
        ],
    );
    let config = config.expect("a good file");
    assert_eq!(config.plans, folder.path().join("plans.d"), "relative to the file");
    assert_eq!(config.store.folder(), Path::new(STORE_DEFAULT), "an empty variable says nothing");
    assert_eq!(config.socket, Path::new("/tmp/a.sock"));
    let path = folder.path().join("sealift.yaml").display().to_string();
    assert_eq!(*origin(&config, "plans"), Origin::File { path: path.clone(), line: 1 });
    assert_eq!(*origin(&config, "store.sled"), Origin::Default);
    assert_eq!(*origin(&config, "api.socket"), Origin::Environment("SEALIFT_SOCKET"));
    assert_eq!(*origin(&config, "lanes.prod-sg.poll"), Origin::File { path, line: 9 });
    assert_eq!(*origin(&config, "lanes.prod-sg.settle"), Origin::Default);
}

#[test]
fn the_variable_names_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.yaml");
    fs::write(&path, FILE).expect("a file");
    let named = path.display().to_string();
    let config = Config::load(None, &|name| (name == "SEALIFT_CONFIG").then(|| named.clone()))
        .expect("a good file");
    assert_eq!(config.file, Some(path));
}

#[test]
fn a_lane_is_read_with_its_defaults() {
    let (folder, config) = load(Some(FILE), true, &[]);
    let config = config.expect("a good file");
    let [lane] = config.lanes.as_slice() else { panic!("{:?}", config.lanes) };
    assert_eq!(lane.name.as_str(), "prod-sg");
    assert_eq!(lane.access.endpoint, "https://gaussdb.ap-southeast-3.myhuaweicloud.com");
    assert_eq!(
        lane.access.credentials,
        Credentials::Token(SecretSource::File(folder.path().join("tokens/prod-sg")))
    );
    assert_eq!(
        lane.quota,
        Some(Quota { requests: 120, per: Duration::from_secs(300) }),
        "a fifth is left to colleagues"
    );
    assert_eq!(lane.max_in_flight, 50);
    assert_eq!(lane.call_timeout, Duration::from_secs(30));
    assert_eq!(lane.timing.settle, Duration::from_secs(15));
    assert_eq!(lane.timing.poll, Duration::from_millis(500));
    assert_eq!(lane.timing.poll_max, Duration::from_secs(30));
    assert_eq!(lane.timing.job_limit, Duration::from_secs(3600));
    assert_eq!(lane.timing.recover_limit, Duration::from_secs(1800));
}

#[test]
fn headroom_never_takes_the_last_call() {
    for (requests, headroom, left) in
        [(150, "20%", 120), (10, "0%", 10), (1, "20%", 1), (3, "50%", 1), (7, "99%", 1)]
    {
        let text = FILE.replace(
            "{requests: 150, per: 5m}",
            &format!("{{requests: {requests}, per: 1s, headroom: {headroom}}}"),
        );
        let (_folder, config) = load(Some(&text), true, &[]);
        let quota = config.expect("a good file").lanes[0].quota.expect("a quota");
        assert_eq!(quota.requests, left, "{requests} less {headroom}");
    }
}

#[test]
fn people_are_read_with_their_roles_and_without_a_list_there_are_none() {
    let (_folder, config) = load(Some(FILE), true, &[]);
    assert_eq!(config.expect("a good file").people, None);
    let list = "api:\n  people:\n    - {name: ada, unix: alovelace, may: [operate, read]}\n    - {unix: bob, may: [read, operate, off]}\n    \
                - {group: readers, may: [read]}\n";
    let (_folder, config) =
        load(Some(&FILE.replace("api: {socket: /run/other.sock}\n", list)), true, &[]);
    let config = config.expect("a good file");
    let people = config.people.clone().expect("a list");
    assert_eq!(
        people.of_user("alovelace").map(|person| (person.name.as_str(), person.may.to_string())),
        Some(("ada", "read, operate".into()))
    );
    assert_eq!(
        people.of_user("bob").map(|person| (person.name.as_str(), person.may.has(Role::Off))),
        Some(("bob", true))
    );
    assert_eq!(people.groups.first().map(|group| group.group.as_str()), Some("readers"));
    let listed =
        config.settings.iter().find(|setting| setting.key == "api.people.ada").expect("listed");
    assert_eq!(listed.value, serde_json::json!(["read", "operate"]));
}

#[test]
fn both_listings_say_the_same() {
    let (_folder, config) = load(Some(FILE), true, &[]);
    let config = config.expect("a good file");
    let yaml: Value = serde_yaml::from_str(&config.to_yaml()).expect("our own YAML");
    assert_eq!(yaml, config.to_json());
    assert_eq!(config.to_json()[0]["key"], "plans");
}

#[test]
fn a_store_is_in_a_folder_or_in_a_database() {
    let written = |more: &str| {
        format!(
            "store: {{postgres: {{url: \"host=db1,db2 dbname=night user=sealift\"{more}}}}}\n{FILE}"
        )
    };
    let (_folder, config) = load(Some(&written("")), true, &[]);
    let StoreConfig::Postgres(database) = config.expect("a good file").store else {
        panic!("a folder")
    };
    assert_eq!((database.url.place(), database.url.user()), ("db1,db2/night", "sealift"));
    assert_eq!(
        (database.schema.as_str(), database.folder.as_path()),
        ("sealift", Path::new(FOLDER_DEFAULT))
    );
    assert!(database.password.is_none() && database.ca_file.is_none() && !database.allow_no_fsync);

    let more = ", password: {file: db.password}, ca_file: ca.pem, schema: night_2, folder: own/db, allow_no_fsync: true";
    let (folder, config) = load(Some(&written(more)), true, &[]);
    let config = config.expect("a good file");
    let stop = config.settings.iter().find(|setting| setting.key == "stop_file").expect("listed");
    assert_eq!(stop.origin, Origin::Beside("store.postgres.folder"));
    assert!(stop.value.as_str().is_some_and(|path| path.ends_with("/own/STOP")), "{stop:?}");
    let StoreConfig::Postgres(database) = config.store else { panic!("a folder") };
    let inside = |name: &str| folder.path().join(name);
    assert_eq!(database.password, Some(SecretSource::File(inside("db.password"))));
    assert_eq!((database.ca_file, database.folder), (Some(inside("ca.pem")), inside("own/db")));
    assert!(database.schema.as_str() == "night_2" && database.allow_no_fsync);

    let (_folder, config) = load(Some(&written("")), true, &[("SEALIFT_STORE", "/tmp/queue")]);
    let told = config.expect_err("two places").to_string();
    assert!(told.contains("take SEALIFT_STORE out"), "{told}");
}
