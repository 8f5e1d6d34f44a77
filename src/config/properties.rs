//! What holds of every configuration, whatever bytes it is made of: for the fuzzer in `fuzz/`, and
//! for the tests, which replay its corpus.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use super::Config;
use crate::yaml::properties::{assert_reported, warned};

thread_local! {
    /// Where the file lies while it is read.
    static FOLDER: LazyCell<tempfile::TempDir> = LazyCell::new(|| tempfile::tempdir().expect("room on disk"));
}

/// A text that stands for a secret which somebody wrote into the file.
const PLANTED: &str = "hunter2hunter2";

/// Keys that announce a secret.
const SECRET_KEYS: [&str; 4] = ["token: ", "password: ", "secret_key: ", "access_key: "];

/// It is refused with places that are there, or its lanes have names of their own; and a secret
/// that was written into it is shown nowhere.
pub fn config(bytes: &[u8]) {
    FOLDER.with(|folder| {
        let path = folder.path().join("sealift.yaml");
        std::fs::write(&path, bytes).expect("room on disk");
        let shown = match Config::load(Some(&path), &|_| None) {
            Err(diagnostics) => {
                assert_reported(&diagnostics, folder.path());
                diagnostics.render(false)
            }
            Ok(config) => {
                warned(&config.warnings, folder.path());
                let names: BTreeSet<_> = config.lanes.iter().map(|lane| &lane.name).collect();
                assert_eq!(names.len(), config.lanes.len(), "a lane twice");
                format!("{}{}", config.to_yaml(), config.to_json())
            }
        };
        let text = String::from_utf8_lossy(bytes);
        let is_secret = text.matches(PLANTED).count() == 1
            && SECRET_KEYS.iter().any(|key| text.contains(&format!("{key}{PLANTED}")));
        assert!(!is_secret || !shown.contains(PLANTED), "a secret is shown:\n{shown}");
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_holds() {
        crate::tests::corpus::replay("config", super::config);
    }
}
