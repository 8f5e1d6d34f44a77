//! The daemon's configuration: a YAML file, then the environment above it.
//!
//! Job: say where plans, queue, socket and cloud are, and remember for each value where it came
//! from.
//!
//! Invariant: no secret is ever held here, only the place where one is found; one that was written
//! into the file by mistake is refused and shown nowhere.
//!
//! Environment: `SEALIFT_CONFIG` names the file, `SEALIFT_PLANS`, `SEALIFT_STORE` and
//! `SEALIFT_SOCKET` override `plans`, `store.sled` and `api.socket`. A flag `--config` overrides
//! `SEALIFT_CONFIG`.
//!
//! Deliberately not here: reading the secrets, and whether the paths exist.

mod credentials;
mod door;
mod formats;
mod lane_files;
mod lanes;
mod layer;
mod notify;
mod people;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod raw;
mod regions;
mod secret;
mod setting;
mod store;
mod traces;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

pub use self::door::{DoorConfig, DoorFiles};
use self::formats::FORMATS;
pub use self::lane_files::LANE_FILE_BYTES_MAX;
use self::lanes::WrittenLanes;
pub use self::setting::{Origin, Setting};
use self::setting::{Settings, WrittenPath};
use self::store::StoreReader;
pub use self::store::{DatabaseConfig, FOLDER_DEFAULT, STORE_DEFAULT, StoreConfig};
pub use self::traces::TracesConfig;
use crate::domain::id::Name;
use crate::domain::lane::Lane;
use crate::domain::notify::Receiver;
use crate::domain::people::People;
use crate::domain::stop;
use crate::yaml::{Diagnostic, Diagnostics, Document, Mistakes, Shape, SourceText, open, quote};

/// Where the configuration is looked for when nothing names it.
pub const PATH_DEFAULT: &str = "/etc/sealift/sealift.yaml";

/// `plans` when nothing says otherwise.
pub const PLANS_DEFAULT: &str = "/etc/sealift/plans.d";

/// `api.socket` when nothing says otherwise.
pub const SOCKET_DEFAULT: &str = "/run/sealift/api.sock";

/// The state directory of a daemon with this store, as a full path: the store's folder is in it,
/// and so is everything else that the daemon keeps.
pub fn state_dir(store: &Path) -> PathBuf {
    let store = std::path::absolute(store).unwrap_or_else(|_| store.to_owned());
    store.parent().unwrap_or(Path::new("/")).to_owned()
}

/// Full path of the file that stops everything without a daemon.
pub fn stop_file(store: &Path) -> PathBuf {
    state_dir(store).join(stop::FILE)
}

/// Largest configuration file: a thousand lanes with comments. More stand in `lane_files`.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape {
    what: "configuration",
    may_be_empty: true,
    schema: crate::yaml::schema::of::<raw::RawConfig>("Sealift configuration"),
    formats: FORMATS,
    later: &[],
});

/// The JSON Schema (draft 7) of the configuration.
pub fn schema() -> Value {
    SHAPE.schema.clone()
}

/// The configuration in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; `None`: there is none, and every value is a default or from the
    /// environment.
    pub file: Option<PathBuf>,
    /// The daemon's name; `None`: its machine's.
    pub daemon: Option<Name>,
    /// Folder of plans that the daemon watches.
    pub plans: PathBuf,
    /// Where the store is kept.
    pub store: StoreConfig,
    /// Unix socket of the API.
    pub socket: PathBuf,
    /// Who may do what; `None`: whoever may open the socket may do all.
    pub people: Option<People>,
    /// How the API is reached beside its socket.
    pub door: DoorConfig,
    /// Where traces are sent, and of how many changes; `None`: nowhere.
    pub traces: Option<TracesConfig>,
    /// The lanes, in the file's order, then those of `lane_files`; names differ.
    pub lanes: Vec<Lane>,
    /// Who is told what happens; names differ.
    pub notify: Vec<Receiver>,
    /// Every value with its origin, in the file's order.
    pub settings: Vec<Setting>,
    /// What the author of the file may want to know.
    pub warnings: Vec<Diagnostic>,
    /// A mistake for each lane that reaches the project of one before it. A start goes on with the
    /// first, so that an upgrade takes nothing down.
    pub shared: Vec<Diagnostic>,
}

impl Config {
    /// Reads the configuration. `flag` is the path given on the command line; `env` looks up an
    /// environment variable.
    ///
    /// # Errors
    /// Every mistake found, at least one. That a file which somebody named is missing is one; that
    /// there is none at [`PATH_DEFAULT`] is not.
    pub fn load(
        flag: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Diagnostics> {
        Self::load_or(Path::new(PATH_DEFAULT), flag, env)
    }

    fn load_or(
        default: &Path,
        flag: Option<&Path>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Diagnostics> {
        let env = |name: &'static str| env(name).filter(|value| !value.is_empty());
        let named = flag.map(Path::to_owned).or_else(|| env("SEALIFT_CONFIG").map(PathBuf::from));
        let path = match named {
            Some(path) => Some(path),
            None => default.exists().then(|| default.to_owned()),
        };
        let mut mistakes = Mistakes::default();
        let source = match &path {
            Some(path) => Some(read(path)?),
            None => None,
        };
        let document =
            source.as_ref().and_then(|source| Document::read(source, &SHAPE, &mut mistakes));
        let base = path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let config = understand(document.as_ref(), base, &env, &mut mistakes);
        let warnings = mistakes.finish(source.as_ref().map_or("", SourceText::name))?;
        let (
            (daemon, plans),
            store,
            socket,
            (people, door, traces, notify),
            (lanes, shared),
            settings,
        ) = config.expect("without a mistake a configuration comes out");
        Ok(Self {
            file: path,
            daemon,
            plans,
            store,
            socket,
            people,
            door,
            traces,
            lanes,
            notify,
            settings,
            warnings,
            shared,
        })
    }

    /// The same with the socket that `--addr` names.
    #[must_use]
    pub fn at(mut self, socket: PathBuf) -> Self {
        for setting in self.settings.iter_mut().filter(|setting| setting.key == "api.socket") {
            setting.value = Value::String(socket.display().to_string());
            setting.origin = Origin::Flag { flag: "--addr", variable: "SEALIFT_ADDR" };
        }
        Self { socket, ..self }
    }

    /// Every value with its origin, as YAML.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(&self.settings).expect("texts and numbers can be written")
    }

    /// Every value with its origin, as JSON.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(&self.settings).expect("texts and numbers can be written")
    }
}

fn read(path: &Path) -> Result<SourceText, Diagnostics> {
    let shown = path.display().to_string();
    let bytes = open::named(path, CONFIG_BYTES_MAX)
        .and_then(|mut file| open::read(&mut file, CONFIG_BYTES_MAX));
    let bytes = bytes.map_err(|complaint| {
        let mut diagnostic = Diagnostic::error(
            "file",
            format!("the configuration {} {}", quote(&shown), complaint.message),
        );
        diagnostic.help = complaint.help;
        diagnostic
    })?;
    Ok(open::text(&shown, bytes)?.starred())
}

type CheckedConfig = (
    (Option<Name>, PathBuf),
    StoreConfig,
    PathBuf,
    (Option<People>, DoorConfig, Option<TracesConfig>, Vec<Receiver>),
    (Vec<Lane>, Vec<Diagnostic>),
    Vec<Setting>,
);

fn understand(
    document: Option<&Document<'_>>,
    base: &Path,
    env: &dyn Fn(&'static str) -> Option<String>,
    mistakes: &mut Mistakes,
) -> Option<CheckedConfig> {
    let filled = document.filter(|document| !document.root().is_null());
    let whole = filled.and_then(|document| document.typed::<raw::RawConfig>("", mistakes));
    let mut settings = Settings::of(filled);
    let (mut plans, mut store, mut socket, mut daemon) = (None, None, None, None);
    let (mut written, mut people, mut door) = (WrittenLanes::default(), None, None);
    let (mut traces, mut receivers) = (None, None);
    if let Some(whole) = whole {
        daemon = whole.daemon;
        plans = whole.plans;
        store = whole.store;
        people = Some(None);
        if let Some(mut api) = whole.api {
            (socket, people) = (api.socket.take(), Some(api.people.take()));
            door = Some(api);
        }
        receivers = Some(whole.notify);
        traces = whole.traces;
        written = WrittenLanes {
            defaults: Some(whole.lane_defaults),
            files: Some(whole.lane_files),
            lanes: Some(whole.lanes),
        };
    }
    let plans = WrittenPath {
        key: "plans",
        variable: Some("SEALIFT_PLANS"),
        written: plans,
        default: PLANS_DEFAULT,
    };
    let plans = settings.path(plans, base, env);
    if let Some(daemon) = &daemon {
        settings.push("daemon", daemon.to_string(), None);
    }
    let reader = StoreReader { document: filled, base, env, settings: &mut settings, mistakes };
    let store = reader.read(store);
    let socket = WrittenPath {
        key: "api.socket",
        variable: Some("SEALIFT_SOCKET"),
        written: socket,
        default: SOCKET_DEFAULT,
    };
    let socket = settings.path(socket, base, env);
    if let Some(store) = &store {
        let origin = Origin::Beside(store.folder_key());
        settings.push("stop_file", stop_file(store.folder()), Some(origin));
    }
    let people = match filled {
        Some(document) => people::read(people, document, &mut settings, mistakes),
        None => Some(None),
    };
    let door = match (door, filled) {
        (Some(written), Some(document)) => {
            door::read(written, document, base, &mut settings, mistakes)
        }
        _ => Some(DoorConfig::default()),
    };
    let traces = traces.and_then(|written| traces::read(written, &mut settings));
    let lanes = match filled {
        Some(document) => lanes::read(written, document, base, &mut settings, mistakes),
        None => Some(Default::default()),
    };
    let notify = match filled {
        Some(document) => notify::read(receivers, document, base, &mut settings, mistakes),
        None => Some(Vec::new()),
    };
    Some((
        (daemon, plans),
        store?,
        socket,
        (people?, door?, traces, notify?),
        lanes?,
        settings.list,
    ))
}

#[cfg(test)]
mod tests;
