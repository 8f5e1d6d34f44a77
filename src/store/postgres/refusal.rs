//! Why a store in PostgreSQL is not opened: one sentence, with what to do about it.

use tokio_postgres::error::SqlState;

use super::fault::message;
use super::options::PostgresOptions;

/// A store that was not opened. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct OpenRefused {
    what: String,
    /// Whether the next attempt may find something else without anybody's doing.
    pub passes: bool,
}

impl OpenRefused {
    fn new(options: &PostgresOptions, what: impl std::fmt::Display) -> Self {
        Self { what: format!("the database at {}: {what}", options.place), passes: false }
    }

    pub(crate) fn of_text(options: &PostgresOptions, what: impl std::fmt::Display) -> Self {
        Self::new(options, what)
    }

    pub(super) fn unreachable(options: &PostgresOptions, why: String) -> Self {
        let what = format!(
            "it cannot be reached: {why}; look at `store.postgres.url` and whether the server runs"
        );
        Self { passes: true, ..Self::new(options, what) }
    }

    pub(super) fn of_connect(options: &PostgresOptions, error: &tokio_postgres::Error) -> Self {
        let why = message(error);
        let user = options.config.get_user().unwrap_or("nobody");
        match error.code() {
            Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                Self::new(
                    options,
                    format_args!(
                        "it does not let {user} in: {why}; look at `store.postgres.password` and the server's pg_hba.conf"
                    ),
                )
            }
            Some(&SqlState::INVALID_CATALOG_NAME) => Self::new(
                options,
                format_args!(
                    "{why}; create it, or name another with `dbname` in `store.postgres.url`"
                ),
            ),
            Some(_) => Self::unreachable(options, why),
            None if why.contains("password missing") => Self::new(
                options,
                format_args!(
                    "it asks {user} for a password; say where it is with `store.postgres.password: {{file: …}}`"
                ),
            ),
            None if why.contains("certificate") || why.contains("TLS") => Self::new(
                options,
                format_args!(
                    "its certificate is not trusted: {why}; look at `store.postgres.ca_file` and at the host's name"
                ),
            ),
            // All hosts were asked, and none takes writes.
            None if why.contains("does not allow writes") => {
                Self { passes: true, ..Self::standby(options) }
            }
            None => Self::unreachable(options, why),
        }
    }

    pub(super) fn of_query(options: &PostgresOptions, error: &tokio_postgres::Error) -> Self {
        match error.code() {
            None => Self::unreachable(options, message(error)),
            Some(_) => Self::new(options, message(error)),
        }
    }

    pub(super) fn no_tables(options: &PostgresOptions, error: &tokio_postgres::Error) -> Self {
        Self::new(
            options,
            format_args!(
                "it holds no store in the schema {} and the role may not make one ({}); give its owner what `sealift store sql` prints",
                options.schema.as_str(),
                message(error)
            ),
        )
    }

    pub(super) fn no_rights(options: &PostgresOptions, error: &tokio_postgres::Error) -> Self {
        Self::new(
            options,
            format_args!(
                "the role may not use the schema {} ({}); give its owner the grants that `sealift store sql` prints",
                options.schema.as_str(),
                message(error)
            ),
        )
    }

    pub(super) fn lacks(options: &PostgresOptions, right: &str) -> Self {
        Self::new(
            options,
            format_args!(
                "the role lacks {right} in the schema {}; give its owner the grants that `sealift store sql` prints",
                options.schema.as_str()
            ),
        )
    }

    pub(super) fn no_identity(options: &PostgresOptions) -> Self {
        Self::new(
            options,
            format_args!(
                "the schema {} has tables and no store; it was made half: drop it and let it be made again",
                options.schema.as_str()
            ),
        )
    }

    pub(super) fn newer(options: &PostgresOptions, schema: i32, known: i32, since: &str) -> Self {
        Self::new(
            options,
            format_args!(
                "its store has schema {schema}, and this program reads up to {known}; use sealift {since} or newer"
            ),
        )
    }

    pub(super) fn another(options: &PostgresOptions, ours: &str, theirs: &str) -> Self {
        Self::new(
            options,
            format_args!(
                "it holds the store {theirs}, and this daemon works on {ours}; name the right database in `store.postgres.url`, or give this daemon a state directory of its own"
            ),
        )
    }

    pub(super) fn gone(options: &PostgresOptions, ours: &str) -> Self {
        Self::new(
            options,
            format_args!(
                "it holds no store in the schema {}, and this daemon works on {ours}; name the right database in `store.postgres.url`, or give this daemon a state directory of its own",
                options.schema.as_str()
            ),
        )
    }

    pub(super) fn no_store(options: &PostgresOptions) -> Self {
        Self::new(
            options,
            format_args!(
                "it holds no store in the schema {}; look at `store.postgres.url` and `store.postgres.schema`, or start a daemon, which makes one",
                options.schema.as_str()
            ),
        )
    }

    pub(super) fn too_old(options: &PostgresOptions, version: &str) -> Self {
        Self::new(
            options,
            format_args!("it is PostgreSQL {version}; version 15 or newer is needed"),
        )
    }

    pub(super) fn standby(options: &PostgresOptions) -> Self {
        Self::new(
            options,
            "it is a standby, which takes no writes; name the primary, or all servers, in `store.postgres.url`",
        )
    }

    pub(super) fn read_only(options: &PostgresOptions) -> Self {
        Self::new(
            options,
            "its transactions are read-only; set `default_transaction_read_only` to off for this role and database",
        )
    }

    pub(super) fn no_fsync(options: &PostgresOptions) -> Self {
        Self::new(
            options,
            "it runs with `fsync` or `full_page_writes` off, so a power cut would lose what was acknowledged; set both to on, or say `store.postgres.allow_no_fsync: true` where nothing is at stake",
        )
    }

    pub(super) fn statement_pooler(options: &PostgresOptions) -> Self {
        Self::new(
            options,
            "a pooler in statement mode stands before it, which cannot hold a transaction; set `pool_mode` to transaction or session",
        )
    }

    pub(super) fn forgotten(options: &PostgresOptions, ends: u64, seq: u64, file: &str) -> Self {
        Self::new(
            options,
            format_args!(
                "its journal ends with entry {ends}, and this daemon saw entry {seq} there, so it has forgotten what was acknowledged (a standby that was behind, or an older copy); put the right database back, or remove {file} to go on without entries {} to {seq}",
                ends + 1
            ),
        )
    }

    pub(super) fn forked(options: &PostgresOptions, seq: u64) -> Self {
        Self::new(
            options,
            format_args!(
                "its journal has another entry {seq} than the one that this daemon saw there, so there are two histories (two primaries, or another store's copy); find out which one is right before anything goes on"
            ),
        )
    }
}
