//! The daemon over a PostgreSQL of the test's own: a rollout through a server that stops in the
//! middle, and each start that is refused.

#[path = "../../../src/store/postgres/tests/cluster.rs"]
pub(super) mod cluster;

use std::path::Path;

use rustix::process::Signal;

use self::cluster::Cluster;
use super::world::{ServeWorld, VerbOutput, exists, sealift};

/// Names this database in the configuration, instead of a folder.
fn configure(world: &ServeWorld, url: &str, more: &str) {
    let path = world.path("sealift.yaml");
    let text = std::fs::read_to_string(path).expect("our own file");
    let store = text.lines().find(|line| line.starts_with("store: ")).expect("a store");
    let postgres = format!(
        "store: {{postgres: {{url: \"{url}\", schema: night, folder: state/database{more}}}}}"
    );
    world.write("sealift.yaml", &text.replace(store, &postgres));
}

fn url(host: &Path, user: &str) -> String {
    format!("host={} dbname=postgres user={user}", host.display())
}

fn switches(world: &ServeWorld) -> u64 {
    world.cloud.with_model(|model| model.ledger().switches_total())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_after_its_database_was_stopped_in_the_middle() {
    let mut cluster = Cluster::start(&[]).await;
    let world = ServeWorld::new(24, 12, "job_time: 300ms");
    configure(&world, &url(cluster.host(), "daemon"), "");
    // Its owner makes it by what is printed; the role may make nothing.
    cluster.execute("CREATE ROLE daemon LOGIN").await;
    let printed = world.run(&["store", "sql"]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    cluster.execute(&printed.out).await;

    let daemon = world.daemon().ready();
    let plan = world.plan("night", "strategy: {max_in_flight: 3, max_failures: 2}\n");
    let plan = plan.to_str().expect("a path of text");
    assert_eq!(world.run(&["apply", plan, "--yes", "--detach"]).code, Some(0));
    world.until("night", |status| status["tally"]["succeeded"].as_u64() >= Some(4));
    cluster.kill();
    daemon.logged("the store is away");
    for verb in [
        &["pause", "night", "--reason", "the database is gone"][..],
        &["abort", "night", "--yes", "--reason", "the database is gone"],
    ] {
        let refused = world.run(verb);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains("away since"), "{refused:?}");
    }
    let sent = switches(&world);
    assert_eq!(world.run(&["pause", "night", "--reason", "again"]).code, Some(1));
    assert_eq!(switches(&world), sent, "a switch left while its store was away");
    assert!(sent < 24, "it was stopped too late");
    // What stops everything needs no database.
    assert_eq!(world.run(&["stop", "--reason", "a drill"]).code, Some(0));
    assert_eq!(world.run(&["start"]).code, Some(0));
    cluster.begin().await;

    let done = world.until("night", |status| status["final"] == true);
    assert_eq!(done["tally"]["succeeded"], 24, "{done:#}");
    assert_eq!(switches(&world), 24, "a proxy was switched twice");
    let jobs = world.run(&["jobs", "night", "-o", "csv"]).out;
    let mut saved: Vec<&str> =
        jobs.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    saved.sort_unstable();
    let mut handed_out: Vec<String> =
        world.cloud.with_model(|model| model.jobs().map(|job| job.job_id.to_string()).collect());
    handed_out.sort_unstable();
    assert_eq!(saved, handed_out);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));

    let checked = world.run(&["store", "check"]);
    assert_eq!((checked.code, checked.out.ends_with("sound\n")), (Some(0), true), "{checked:?}");
    for (verb, instead) in [
        (&["store", "backup", "copy"][..], "pg_dump"),
        (&["store", "export", "copy.tar"], "pg_dump"),
        (&["store", "import", "copy.tar"], "--state DIR"),
        (&["store", "new"], "an empty database"),
        (&["store", "take-back", "--yes"], "nothing is handed over"),
        (&["store", "repair"], "store check"),
        (&["store", "compact"], "autovacuum"),
    ] {
        let refused = world.run(verb);
        assert_eq!(refused.code, Some(1), "{verb:?}: {refused:?}");
        assert!(refused.err.contains(instead), "{verb:?}: {refused:?}");
    }
    // Each damage is found with its place.
    for (damage, repair, place) in [
        (
            "UPDATE night.changes SET standing = 3 WHERE ordinal = 7",
            "UPDATE night.changes SET standing = 2 WHERE ordinal = 7",
            "ordinal 7",
        ),
        (
            "UPDATE night.journal SET line = line || ' ' WHERE seq = 9",
            "UPDATE night.journal SET line = substr(line, 1, length(line) - 1) WHERE seq = 9",
            "entry 9",
        ),
        (
            "UPDATE night.blocks SET content = content || 'x'",
            "UPDATE night.blocks SET content = substr(content, 1, length(content) - 1)",
            "night.submissions",
        ),
        (
            "UPDATE night.rollouts SET revision = 5",
            "UPDATE night.rollouts SET revision = 1",
            "night.rollouts",
        ),
    ] {
        cluster.execute(damage).await;
        let found = world.run(&["store", "check"]);
        assert_eq!(found.code, Some(3), "{damage}: {found:?}");
        assert!(found.out.contains(place) && found.out.ends_with("DAMAGED\n"), "{found:?}");
        cluster.execute(repair).await;
    }
    let daemon = world.daemon().ready();
    assert_eq!(world.status("night")["tally"]["succeeded"], 24);
    let text = std::fs::read_to_string(world.path("sealift.yaml")).expect("our own file");
    let text = text.replace("run/api.sock", "run/second.sock").replace("state/", "second/");
    let second = world.write("second.yaml", &text);
    let refused = sealift().arg("serve").arg("--config").arg(second).output();
    let refused = VerbOutput::of(refused.expect("the binary runs"));
    assert_eq!(refused.code, Some(1), "two daemons have one name: {refused:?}");
    let last = refused.err.lines().last().unwrap_or_default();
    assert!(last.contains("works on this store already"), "{refused:?}");
    assert!(last.contains("`daemon: NAME`"), "{refused:?}");
    drop(daemon);
}

/// What a refused start may not leave behind.
async fn written(cluster: &Cluster) -> (i64, i64) {
    let owner = cluster.connect("owner").await.expect("it runs");
    let counted = "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM night.journal)";
    let row = owner.query_one(counted, &[]).await.expect("an answer");
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_worked_with_is_refused_in_one_sentence() {
    let cluster = Cluster::start(&["fsync=off"]).await;
    let world = ServeWorld::new(1, 1, "");
    let here = |user: &str| url(cluster.host(), user);
    let quick = ", allow_no_fsync: true";
    let access = cluster.host().join("data/pg_hba.conf");
    let rules = "('local all locked scram-sha-256'), ('local all all trust')";
    cluster.execute(&format!("COPY (VALUES {rules}) TO '{}'", access.display())).await;
    cluster
        .execute(
            "CREATE ROLE locked LOGIN SUPERUSER PASSWORD 'right'; CREATE ROLE poor LOGIN; \
             CREATE ROLE reader LOGIN SUPERUSER; \
             ALTER ROLE reader SET default_transaction_read_only = on; SELECT pg_reload_conf()",
        )
        .await;
    world.write("db.password", "right\n");
    let locked = ", password: {file: db.password}";
    configure(&world, &here("locked"), &format!("{quick}{locked}"));
    let daemon = world.daemon().ready();
    let plan = world.plan("night", "");
    let applied = world.run(&["apply", plan.to_str().expect("text"), "--yes"]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    // A password that was changed works without a restart.
    cluster.execute("ALTER ROLE locked PASSWORD 'newer'").await;
    world.write("db.password", "newer\n");
    cluster
        .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'locked'")
        .await;
    daemon.logged("the database is back");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));

    let refused = |what: &str, url: &str, more: &str, words: &[&str]| {
        configure(&world, url, more);
        let told: VerbOutput = world.run(&["serve"]);
        assert_eq!(told.code, Some(1), "{what}: {told:?}");
        let last = told.err.lines().last().unwrap_or_default();
        assert!(words.iter().all(|word| last.contains(word)), "{what}: {told:?}");
        assert!(!told.err.contains("hunter2"), "{what}: {told:?}");
        assert!(!exists(&world.path("run/api.sock")), "{what}: it was reached");
    };
    let before = written(&cluster).await;
    let with = |more: &str| format!("{quick}{more}");
    refused("fsync", &here("owner"), "", &["`fsync`", "set both to on"]);
    refused(
        "no server",
        &url(Path::new("/nowhere"), "owner"),
        quick,
        &["cannot be reached", "`store.postgres.url`"],
    );
    refused(
        "no password",
        &here("locked"),
        quick,
        &["asks locked for a password", "`store.postgres.password"],
    );
    world.write("db.password", "hunter2");
    refused(
        "password",
        &here("locked"),
        &with(locked),
        &["does not let locked in", "`store.postgres.password`"],
    );
    std::fs::remove_file(world.path("db.password")).expect("there");
    refused(
        "password's file",
        &here("locked"),
        &with(locked),
        &["cannot read the password", "write it there"],
    );
    refused(
        "ca_file",
        &here("owner"),
        &with(", ca_file: none.pem"),
        &["store.postgres.ca_file", "as PEM"],
    );
    let none = here("owner").replace("dbname=postgres", "dbname=none");
    refused("database", &none, quick, &["\"none\" does not exist", "create it"]);
    refused(
        "rights",
        &here("poor"),
        quick,
        &["may not use the schema night", "`sealift store sql`"],
    );
    refused("standby", &here("reader"), quick, &["takes no writes", "`store.postgres.url`"]);
    assert_eq!(written(&cluster).await, before, "a refused start wrote");

    cluster.execute("UPDATE night.store SET schema = 9, since = '7.0.0'").await;
    refused("schema", &here("owner"), quick, &["schema 9", "use sealift 7.0.0 or newer"]);
    cluster.execute("UPDATE night.store SET schema = 1; ALTER SCHEMA night RENAME TO away").await;
    refused(
        "no store any more",
        &here("owner"),
        quick,
        &["holds no store", "name the right database"],
    );
    cluster.execute("ALTER SCHEMA away RENAME TO night").await;
    cluster.execute("UPDATE night.store SET id = 'another'").await;
    refused(
        "another store",
        &here("owner"),
        quick,
        &["holds the store another", "name the right database"],
    );
    assert_eq!(written(&cluster).await, before, "a refused start wrote");

    let inside = here("owner").replace("user=owner", "user=owner password=hunter2");
    configure(&world, &inside, quick);
    let told = world.run(&["serve"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("it holds a password"), "{told:?}");
    assert!(told.err.contains("`password: {file: PATH}`"), "{told:?}");
    assert!(!told.err.contains("hunter2"), "{told:?}");
}
