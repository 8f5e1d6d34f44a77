//! Every value in force, with where it came from: what `sealift config` prints.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::yaml::Document;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// The configuration file, at a line.
    File {
        /// The file as named.
        path: String,
        line: usize,
    },
    /// `lane_defaults` of the configuration file, at a line.
    LaneDefaults {
        /// The file as named.
        path: String,
        line: usize,
    },
    Environment(&'static str),
    /// Not set: it follows from this key.
    Beside(&'static str),
    /// A flag of the command line, or the environment variable that stands for it.
    Flag {
        flag: &'static str,
        variable: &'static str,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::File { path, line } => f.pad(&format!("{path}:{line}")),
            Self::LaneDefaults { path, line } => f.pad(&format!("lane_defaults, {path}:{line}")),
            Self::Environment(name) => f.pad(&format!("${name}")),
            Self::Beside(key) => f.pad(&format!("beside {key}")),
            Self::Flag { flag, variable } => f.pad(&format!("{flag} or ${variable}")),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One value in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its path, such as `lanes.prod-sg.call_timeout`.
    pub key: String,
    /// The value. Of a secret the place where it is found.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

pub struct Settings<'d> {
    document: Option<&'d Document<'d>>,
    pub list: Vec<Setting>,
}

impl<'d> Settings<'d> {
    /// Of a document, or of none at all.
    pub fn of(document: Option<&'d Document<'d>>) -> Self {
        Self { document, list: Vec::new() }
    }

    /// Notes a value and gives it back. Without an origin it comes from the file, at the same path.
    pub fn push<T: ShownValue>(&mut self, key: &str, value: T, origin: Option<Origin>) -> T {
        self.push_at(key.to_owned(), key, value, origin)
    }

    /// As [`Self::push`], where the key in the listing and the path in the file differ.
    pub fn push_at<T: ShownValue>(
        &mut self,
        key: String,
        path: &str,
        value: T,
        origin: Option<Origin>,
    ) -> T {
        let origin = origin.unwrap_or_else(|| match self.document {
            Some(document) => {
                let source = document.source();
                Origin::File {
                    path: source.name().to_owned(),
                    line: source.line(document.nearest(path).span),
                }
            }
            None => Origin::Default,
        });
        self.list.push(Setting { key, value: value.shown(), origin });
        value
    }
}

/// A path that a configuration may name.
pub struct WrittenPath {
    pub key: &'static str,
    /// The environment variable that stands above it.
    pub variable: Option<&'static str>,
    pub written: Option<String>,
    pub default: &'static str,
}

impl Settings<'_> {
    /// Notes a path and gives it back: the environment stands above the file, that above the
    /// default.
    pub fn path(
        &mut self,
        path: WrittenPath,
        base: &Path,
        env: &dyn Fn(&'static str) -> Option<String>,
    ) -> PathBuf {
        let WrittenPath { key, variable, written, default } = path;
        let above = variable.and_then(|variable| Some((variable, env(variable)?)));
        match (above, written) {
            (Some((variable, value)), _) => {
                self.push(key, PathBuf::from(value), Some(Origin::Environment(variable)))
            }
            (None, Some(value)) => self.push(key, base.join(value), None),
            (None, None) => self.push(key, PathBuf::from(default), Some(Origin::Default)),
        }
    }
}

/// What can be listed.
pub trait ShownValue {
    /// As a listing shows it.
    fn shown(&self) -> Value;
}

impl ShownValue for PathBuf {
    fn shown(&self) -> Value {
        self.display().to_string().into()
    }
}

impl ShownValue for Vec<PathBuf> {
    fn shown(&self) -> Value {
        self.iter().map(ShownValue::shown).collect()
    }
}

impl ShownValue for String {
    fn shown(&self) -> Value {
        self.as_str().into()
    }
}

impl ShownValue for bool {
    fn shown(&self) -> Value {
        (*self).into()
    }
}

impl ShownValue for u32 {
    fn shown(&self) -> Value {
        (*self).into()
    }
}

impl ShownValue for crate::domain::people::Roles {
    fn shown(&self) -> Value {
        self.words().into()
    }
}

impl ShownValue for crate::yaml::length::Length {
    fn shown(&self) -> Value {
        self.to_string().into()
    }
}

impl ShownValue for crate::yaml::share::CountOrShare {
    fn shown(&self) -> Value {
        self.to_string().into()
    }
}

impl ShownValue for crate::domain::id::ProjectId {
    fn shown(&self) -> Value {
        self.as_str().into()
    }
}

impl ShownValue for crate::domain::lane::Language {
    fn shown(&self) -> Value {
        self.tag().into()
    }
}

impl ShownValue for crate::domain::lane::SecretSource {
    fn shown(&self) -> Value {
        match self {
            Self::File(path) => serde_json::json!({ "file": path.display().to_string() }),
            Self::Env(name) => serde_json::json!({ "env": name }),
            Self::Credential(name) => serde_json::json!({ "credential": name }),
        }
    }
}

impl ShownValue for crate::domain::lane::NameSource {
    fn shown(&self) -> Value {
        match self {
            Self::Plain(name) => name.as_str().into(),
            Self::Found(source) => source.shown(),
        }
    }
}
