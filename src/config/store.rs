//! `store`: from as written to [`StoreConfig`].
//!
//! Invariants: a store is in one place; what comes out holds no password, only the place where one
//! is found.
//!
//! Deliberately not here: reading the password, and whether a server answers (`store::postgres`).

use std::path::{Path, PathBuf};

use super::raw::{RawPostgres, RawStore};
use super::secret::source;
use super::setting::{Origin, Settings, WrittenPath};
use crate::database::{DatabaseUrl, SchemaName};
use crate::domain::lane::SecretSource;
use crate::yaml::{Diagnostic, Document, Mistakes};

/// `store.sled` when nothing says otherwise.
pub const STORE_DEFAULT: &str = "/var/lib/sealift/queue";

/// `store.postgres.folder` when nothing says otherwise.
pub const FOLDER_DEFAULT: &str = "/var/lib/sealift/database";

/// The variable that stands above `store.sled`.
const VARIABLE: &str = "SEALIFT_STORE";

/// Where the store is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// On this machine's disk, in this folder.
    Sled(PathBuf),
    Postgres(Box<DatabaseConfig>),
}

/// A store in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseConfig {
    pub url: DatabaseUrl,
    pub password: Option<SecretSource>,
    /// Authorities that are trusted instead of this machine's.
    pub ca_file: Option<PathBuf>,
    pub schema: SchemaName,
    /// What this daemon keeps for itself: what it has seen, and copies.
    pub folder: PathBuf,
    pub allow_no_fsync: bool,
}

impl StoreConfig {
    /// The folder on this machine that belongs to the store. What else the daemon keeps is beside
    /// it.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Sled(folder) => folder,
            Self::Postgres(database) => &database.folder,
        }
    }

    /// The key that names that folder.
    pub(super) fn folder_key(&self) -> &'static str {
        match self {
            Self::Sled(_) => "store.sled",
            Self::Postgres(_) => "store.postgres.folder",
        }
    }
}

impl std::fmt::Display for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sled(folder) => folder.display().fmt(f),
            Self::Postgres(database) => write!(f, "PostgreSQL at {}", database.url.place()),
        }
    }
}

/// What is around the key.
pub struct StoreReader<'r, 'd> {
    /// `None`: there is no file, or nothing in it.
    pub document: Option<&'r Document<'r>>,
    /// What relative paths begin at.
    pub base: &'r Path,
    pub env: &'r dyn Fn(&'static str) -> Option<String>,
    pub settings: &'r mut Settings<'d>,
    pub mistakes: &'r mut Mistakes,
}

impl StoreReader<'_, '_> {
    /// `None` after a mistake.
    pub fn read(self, written: Option<RawStore>) -> Option<StoreConfig> {
        let RawStore { sled, postgres } = written.unwrap_or_default();
        if let (Some(postgres), Some(document)) = (postgres, self.document) {
            let database = self.database(document, sled.is_some(), postgres)?;
            return Some(StoreConfig::Postgres(Box::new(database)));
        }
        let path = WrittenPath {
            key: "store.sled",
            variable: Some(VARIABLE),
            written: sled,
            default: STORE_DEFAULT,
        };
        Some(StoreConfig::Sled(self.settings.path(path, self.base, self.env)))
    }

    fn database(
        self,
        document: &Document<'_>,
        beside_sled: bool,
        written: RawPostgres,
    ) -> Option<DatabaseConfig> {
        let Self { base, env, settings, mistakes, .. } = self;
        let before = mistakes.count();
        let mut wrong = |key: &str, mistake: Diagnostic| {
            mistakes.push(mistake.at(document.place(&format!("store.{key}"))));
        };
        if beside_sled {
            let two = "a store is kept in one place, and `sled` and `postgres` name two";
            wrong("sled", Diagnostic::error("store", two).help("take one of them out"));
        }
        if env(VARIABLE).is_some() {
            let two = "a store is kept in one place, and SEALIFT_STORE in the environment names a \
                       folder";
            let help = "take SEALIFT_STORE out; `folder` says where this daemon's own files are";
            wrong("postgres", Diagnostic::error("store", two).help(help));
        }
        let RawPostgres { url, password, ca_file, schema, folder, allow_no_fsync } = written;
        let password = password.map(|written| source(written, base)).transpose();
        let password = password.unwrap_or_else(|mistake| {
            wrong("postgres.password", *mistake);
            None
        });
        if mistakes.count() > before {
            return None;
        }
        // The check of the tree has told of what is wrong with these.
        let url = DatabaseUrl::parse(&url).ok()?;
        let no_schema = schema.is_none().then_some(Origin::Default);
        let schema = SchemaName::parse(schema.as_deref().unwrap_or(SchemaName::DEFAULT))?;
        let key = |name: &str| format!("store.postgres.{name}");
        settings.push(&key("url"), url.as_str().to_owned(), None);
        let password = password.map(|found| settings.push(&key("password"), found, None));
        let ca_file = ca_file.map(|file| settings.push(&key("ca_file"), base.join(file), None));
        settings.push(&key("schema"), schema.as_str().to_owned(), no_schema);
        let folder = WrittenPath {
            key: "store.postgres.folder",
            variable: None,
            written: folder,
            default: FOLDER_DEFAULT,
        };
        let folder = settings.path(folder, base, env);
        let no_fsync = allow_no_fsync.is_none().then_some(Origin::Default);
        let allow_no_fsync =
            settings.push(&key("allow_no_fsync"), allow_no_fsync.unwrap_or(false), no_fsync);
        Some(DatabaseConfig { url, password, ca_file, schema, folder, allow_no_fsync })
    }
}
