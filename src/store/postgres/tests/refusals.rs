//! What is refused at the start: each in one sentence with its remedy, and nothing written.

use super::{Cluster, QUICK, close, open};
use crate::database::SchemaName;
use crate::store::fixtures::{started, submission};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::options::PostgresOptions;
use crate::store::postgres::schema::printed;

async fn refusal(options: PostgresOptions) -> String {
    match PostgresStore::open(options).await {
        Ok(_) => panic!("it opens"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_worked_on_is_refused_with_the_way_out() {
    let cluster = Cluster::start(QUICK).await;
    let folder = tempfile::tempdir().expect("a directory");
    let options = |user: &str, schema: &str| cluster.options(user, schema, folder.path());

    let strict = PostgresOptions { allow_no_fsync: false, ..options("owner", "night") };
    let told = refusal(strict).await;
    assert!(told.contains("`fsync`") && told.contains("allow_no_fsync"), "{told}");

    cluster.execute("CREATE ROLE daemon LOGIN").await;
    let told = refusal(options("daemon", "night")).await;
    assert!(told.contains("`sealift store sql`") && told.contains("may not make one"), "{told}");
    let told = refusal(options("nobody", "night")).await;
    assert!(told.contains("does not let nobody in"), "{told}");

    // The owner makes it, by what is printed; then the daemon's role needs nothing more.
    cluster.execute(&printed(&SchemaName::parse("night").expect("plain"), "daemon")).await;
    let store = PostgresStore::open(options("daemon", "night")).await.expect("it may now");
    started(&store, submission("alpha", &[4], 0)).await;
    let id = store.id().to_owned();
    close(store).await;
    let daemon = cluster.connect("daemon").await.expect("it runs");
    for rewriting in [
        "UPDATE night.journal SET line = ''",
        "DELETE FROM night.journal",
        "TRUNCATE night.journal",
        "UPDATE night.store SET id = 'x'",
        "DROP TABLE night.changes",
    ] {
        let refused = daemon.batch_execute(rewriting).await.expect_err(rewriting).to_string();
        assert!(refused.contains("db error"), "{refused}");
    }

    cluster.execute("REVOKE UPDATE ON night.changes FROM daemon").await;
    let told = refusal(options("daemon", "night")).await;
    assert!(told.contains("lacks UPDATE on changes") && told.contains("grants"), "{told}");
    cluster.execute("REVOKE USAGE ON SCHEMA night FROM daemon").await;
    let told = refusal(options("daemon", "night")).await;
    assert!(told.contains("may not use the schema night"), "{told}");

    // This daemon's folder is of the store that it has seen.
    let told = refusal(options("owner", "other")).await;
    assert!(told.contains(&id) && told.contains("holds no store"), "{told}");
    let schemas = "SELECT 1 FROM pg_namespace WHERE nspname = 'other'";
    let owner = cluster.connect("owner").await.expect("it runs");
    assert_eq!(owner.query(schemas, &[]).await.expect("an answer").len(), 0, "a store was made");
    let apart = tempfile::tempdir().expect("a directory");
    close(super::open(&cluster, "other", apart.path()).await).await;
    let told = refusal(options("owner", "other")).await;
    assert!(told.contains(&id) && told.contains("state directory of its own"), "{told}");

    cluster.execute("UPDATE night.store SET schema = 9, since = '7.0.0'").await;
    let told = refusal(options("owner", "night")).await;
    assert!(told.contains("schema 9") && told.contains("7.0.0 or newer"), "{told}");
    cluster.execute("UPDATE night.store SET schema = 1").await;

    cluster.execute("ALTER ROLE owner SET default_transaction_read_only = on").await;
    let told = refusal(options("owner", "night")).await;
    assert!(told.contains("standby") || told.contains("read-only"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_forgot_is_refused_and_named() {
    let cluster = Cluster::start(QUICK).await;
    let folder = tempfile::tempdir().expect("a directory");
    let store = open(&cluster, "night", folder.path()).await;
    started(&store, submission("alpha", &[4], 0)).await;
    close(store).await;
    let options = || cluster.options("owner", "night", folder.path());
    cluster.execute("CREATE TABLE kept AS SELECT * FROM night.journal WHERE seq = 2").await;
    cluster.execute("DELETE FROM night.journal WHERE seq = 2").await;
    let told = refusal(options()).await;
    assert!(told.contains("ends with entry 1") && told.contains("saw entry 2"), "{told}");
    assert!(told.contains("mark.json"), "{told}");
    cluster.execute("INSERT INTO night.journal SELECT seq, rollout, kind, line, sha256(line || 'x') FROM kept").await;
    let told = refusal(options()).await;
    assert!(told.contains("another entry 2"), "{told}");
    cluster
        .execute("UPDATE night.journal SET digest = kept.digest FROM kept WHERE journal.seq = 2")
        .await;
    close(open(&cluster, "night", folder.path()).await).await;
    // A line that was altered is no line.
    cluster.execute("UPDATE night.journal SET line = line || ' ' WHERE seq = 2").await;
    let told = refusal(options()).await;
    assert!(told.contains("entry 2 is damaged"), "{told}");
}
