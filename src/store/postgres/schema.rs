//! The tables, and what is made sure of at every connect.
//!
//! Invariants: nothing of ours is a session's, so a pooler may hand each transaction to another
//! session; every name is written out with its schema; a server that would lose what it has
//! acknowledged, takes no writes, or holds another store is refused before anything is written.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::client::DatabaseClient;
use super::fault::message;
use super::options::PostgresOptions;
use super::refusal::OpenRefused;
use crate::database::SchemaName;
use crate::store::SCHEMA_SINCE;

/// The schema that this program writes, and the highest that it reads.
pub(super) const SCHEMA: i32 = 1;

/// Oldest server that it works with.
const SERVER_MIN: i32 = 150_000;

const TABLES: &str = include_str!("schema.sql");
const GRANTS: &str = include_str!("grants.sql");

/// The tables and the rights of the role `role`, for the database's owner.
pub fn printed(schema: &SchemaName, role: &str) -> String {
    let grants = GRANTS.replace("ROLE_NAME", &format!("\"{}\"", role.replace('"', "\"\"")));
    let more = format!(
        "INSERT INTO @.store (id, schema, since) VALUES (replace(gen_random_uuid()::text, '-', ''), {SCHEMA}, '{SCHEMA_SINCE}');\n"
    );
    schema.sql(&format!("BEGIN;\n{TABLES}\n{more}\n{grants}COMMIT;\n"))
}

/// Makes the tables where there are none and the role may; says which store it is and whether it is
/// new. Whoever has seen a store there (`seen`, its id) finds that one, or nothing is made.
pub(super) async fn prepare(
    connected: &DatabaseClient,
    options: &PostgresOptions,
    seen: Option<&str>,
) -> Result<(String, bool), OpenRefused> {
    confirm_server(connected, options).await?;
    if exists(connected, options).await? {
        return Ok((confirm_store(connected, options, seen).await?, false));
    }
    if let Some(seen) = seen {
        return Err(OpenRefused::gone(options, seen));
    }
    let client = &connected.client;
    let schema = &options.schema;
    let there = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1";
    let there = client.query_typed(there, &[(&schema.as_str(), Type::TEXT)]).await;
    let there = there.map_err(|error| OpenRefused::of_query(options, &error))?;
    let tables = match there.is_empty() {
        true => TABLES.to_owned(),
        // Somebody else may have made it for a role that may make none.
        false => TABLES.replace("CREATE SCHEMA IF NOT EXISTS @;", ""),
    };
    // Whoever comes second waits here, and finds the tables.
    let lock = format!("SELECT pg_advisory_xact_lock({})", lock_key(schema.as_str()));
    let begun =
        client.batch_execute(&format!("BEGIN; SET LOCAL lock_timeout = '5s'; {lock}")).await;
    begun.map_err(|error| OpenRefused::of_query(options, &error))?;
    let made = async {
        if exists(connected, options).await? {
            return Ok(false);
        }
        let id = format!("{:032x}", fastrand::u128(..));
        let row = format!(
            "INSERT INTO @.store (id, schema, since) VALUES ('{id}', {SCHEMA}, '{SCHEMA_SINCE}')"
        );
        let made = client.batch_execute(&schema.sql(&format!("{tables}{row}"))).await;
        made.map_err(|error| match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => OpenRefused::no_tables(options, &error),
            _ => OpenRefused::of_query(options, &error),
        })?;
        Ok(true)
    };
    let made = made.await;
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = client.batch_execute(end).await;
    let new = made?;
    ended.map_err(|error| OpenRefused::of_query(options, &error))?;
    Ok((confirm_store(connected, options, None).await?, new))
}

/// Makes sure, for one that changes nothing, that there is a store; says which.
pub(super) async fn look(
    connected: &DatabaseClient,
    options: &PostgresOptions,
) -> Result<String, OpenRefused> {
    confirm_server(connected, options).await?;
    match exists(connected, options).await? {
        true => confirm_store(connected, options, None).await,
        false => Err(OpenRefused::no_store(options)),
    }
}

/// Makes sure that this is the server, and the store, that it is taken for.
pub(super) async fn confirm(
    connected: &DatabaseClient,
    options: &PostgresOptions,
    id: Option<&str>,
) -> Result<(), OpenRefused> {
    confirm_server(connected, options).await?;
    confirm_store(connected, options, id).await.map(drop)
}

async fn exists(
    connected: &DatabaseClient,
    options: &PostgresOptions,
) -> Result<bool, OpenRefused> {
    let asked = "SELECT to_regclass($1) IS NOT NULL";
    let name = options.schema.sql("@.store");
    let found = connected.client.query_typed_one(asked, &[(&name, Type::TEXT)]).await;
    match found {
        Ok(row) => Ok(row.get(0)),
        // The schema is there, and not for this role.
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Err(OpenRefused::no_rights(options, &error))
        }
        Err(error) => Err(OpenRefused::of_query(options, &error)),
    }
}

async fn confirm_server(
    connected: &DatabaseClient,
    options: &PostgresOptions,
) -> Result<(), OpenRefused> {
    let client = &connected.client;
    // A pooler that hands out single statements refuses to begin, or loses what was set.
    let kept = async {
        client.batch_execute("BEGIN; SET LOCAL lock_timeout = '4321ms'").await?;
        let kept = client.query_typed("SELECT current_setting('lock_timeout')", &[]).await;
        client.batch_execute("ROLLBACK").await?;
        Ok::<_, tokio_postgres::Error>(kept?.first().map(|row| row.get::<_, String>(0)))
    };
    match kept.await {
        Ok(Some(kept)) if kept == "4321ms" => {}
        Ok(_) => return Err(OpenRefused::statement_pooler(options)),
        Err(error) if message(&error).contains("statement pooling") => {
            return Err(OpenRefused::statement_pooler(options));
        }
        Err(error) => return Err(OpenRefused::of_query(options, &error)),
    }
    let asked = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
                 pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', \
                 current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on'";
    let row = client.query_typed_one(asked, &[]).await;
    let row = row.map_err(|error| OpenRefused::of_query(options, &error))?;
    let version: String = row.get(1);
    if row.get::<_, i32>(0) < SERVER_MIN {
        return Err(OpenRefused::too_old(options, &version));
    }
    if row.get(2) {
        return Err(OpenRefused::standby(options));
    }
    if row.get(3) {
        return Err(OpenRefused::read_only(options));
    }
    let (synced, whole): (bool, bool) = (row.get(4), row.get(5));
    let keeps = synced && whole;
    if !keeps && !options.allow_no_fsync {
        return Err(OpenRefused::no_fsync(options));
    }
    Ok(())
}

async fn confirm_store(
    connected: &DatabaseClient,
    options: &PostgresOptions,
    id: Option<&str>,
) -> Result<String, OpenRefused> {
    let client = &connected.client;
    let asked = options.schema.sql("SELECT id, schema, since FROM @.store");
    let rows = client.query_typed(&asked, &[]).await.map_err(|error| match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => OpenRefused::no_rights(options, &error),
        _ => OpenRefused::of_query(options, &error),
    })?;
    let Some(row) = rows.first() else { return Err(OpenRefused::no_identity(options)) };
    let (found, schema, since): (String, i32, String) = (row.get(0), row.get(1), row.get(2));
    if schema > SCHEMA {
        return Err(OpenRefused::newer(options, schema, SCHEMA, &since));
    }
    if let Some(id) = id
        && id != found
    {
        return Err(OpenRefused::another(options, id, &found));
    }
    // What a batch needs, asked before the first one.
    let rights = "SELECT t || ' on ' || r FROM (VALUES \
         ('INSERT', 'journal'), ('INSERT', 'changes'), ('UPDATE', 'changes'), ('INSERT', 'rollouts'), \
         ('INSERT', 'submissions'), ('DELETE', 'submissions'), ('INSERT', 'blocks'), ('INSERT', 'jobs'), \
         ('INSERT', 'enforcements'), ('UPDATE', 'enforcements'), ('INSERT', 'bins'), ('UPDATE', 'bins'), \
         ('INSERT', 'pauses'), \
         ('INSERT', 'daemons'), ('UPDATE', 'daemons'), ('DELETE', 'daemons'), \
         ('INSERT', 'keepers'), ('UPDATE', 'keepers'), ('SELECT', 'journal'), ('SELECT', 'changes'), ('SELECT', 'blocks')) AS v (t, r) \
         WHERE NOT has_table_privilege(current_user, '@.' || r, t)";
    let missing = client.query_typed(&options.schema.sql(rights), &[]).await;
    let missing = missing.map_err(|error| OpenRefused::of_query(options, &error))?;
    if let Some(row) = missing.first() {
        return Err(OpenRefused::lacks(options, &row.get::<_, String>(0)));
    }
    Ok(found)
}

/// The key of the one lock that orders all batches of a store.
pub(super) fn lock_key(id: &str) -> i64 {
    let digest = crate::domain::id::Digest::of(id.as_bytes());
    let first = digest.as_bytes().first_chunk().expect("thirty-two bytes");
    i64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_names_the_schema_and_quotes_the_role() {
        let text = printed(&SchemaName::parse("night").expect("plain"), "db \"a\"");
        assert!(text.contains("CREATE TABLE night.journal"), "{text}");
        assert!(text.contains("TO \"db \"\"a\"\"\""), "{text}");
        assert!(!text.contains('@') && !text.contains("ROLE_NAME"), "{text}");
        let granted = text.lines().filter(|line| line.starts_with("GRANT")).collect::<String>();
        assert!(!granted.contains("TRUNCATE") && !granted.contains("UPDATE ON night.journal"));
    }
}
