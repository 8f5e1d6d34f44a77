//! A store that an earlier version left in the middle of a rollout is opened by this one. Each
//! release checks in what it leaves (`scripts/store-fixture.sh`); before the first, and beside
//! them, the store is one that this version left itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The versions that were released, as the changelog has them.
fn released() -> Vec<String> {
    let changes = std::fs::read_to_string(root("CHANGELOG.md")).expect("the changelog");
    let heads = changes.lines().filter_map(|line| line.strip_prefix("## "));
    let versions = heads.filter_map(|head| head.split_whitespace().next());
    versions.filter(|version| *version != "Unreleased").map(ToOwned::to_owned).collect()
}

/// Runs a line of the shell in a folder with the binary in its path; its exit code, and what it
/// said.
fn shell(folder: &Path, line: &str) -> (Option<i32>, String) {
    let binary = Path::new(env!("CARGO_BIN_EXE_sealift")).parent().expect("a folder");
    let path = std::env::var("PATH").expect("a path");
    let mut bash = Command::new("bash");
    bash.args(["-c", line]).current_dir(folder).env_remove("SEALIFT_ADDR");
    bash.env("PATH", format!("{}:{path}", binary.display()));
    bash.env("SEALIFT_CONFIG", folder.join("sealift.yaml"));
    let ran = bash.output().expect("bash runs");
    let text = [ran.stdout, ran.stderr].concat();
    (ran.status.code(), String::from_utf8(text).expect("UTF-8"))
}

/// Opens a copy as an upgrade does, and shows that its rollout waits where it was left.
fn opens(copy: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = copy.display();
    let (code, said) = shell(
        folder.path(),
        &format!("sealift init . && sealift store import {copy} && sealift store check"),
    );
    assert_eq!(code, Some(0), "{copy}: {said}");
    let (code, said) = shell(
        folder.path(),
        "sealift serve 2> serve.log & daemon=$!
         sealift status first --wait 30s -o json 2> status.log; code=$?
         kill $daemon; wait $daemon || { cat serve.log status.log; exit 1; }; exit $code",
    );
    assert_eq!(code, Some(0), "{copy}: {said}");
    let status: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{copy}: {said}"));
    assert_eq!(status["phase"], "awaiting", "{copy}: {said}");
    assert_eq!(status["tally"]["succeeded"], 2, "{copy}: {said}");
    assert_eq!(status["tally"]["queued"], 22, "{copy}: {said}");
}

#[test]
fn a_store_that_a_version_left_in_the_middle_of_a_rollout_is_opened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = folder.path().join("own.tar");
    let line =
        format!("sh {} $(command -v sealift) own.tar", root("scripts/store-fixture.sh").display());
    let (code, said) = shell(folder.path(), &line);
    assert_eq!(code, Some(0), "{said}");
    opens(&own);

    let released = released();
    if released.is_empty() {
        println!("SKIPPED: no version was released yet, so there is no store of an earlier one");
    }
    for version in released {
        let kept = root("tests/data/stores").join(format!("{version}.tar"));
        assert!(
            kept.exists(),
            "{version} is released, and its store is not kept: `make release-check` writes it"
        );
        opens(&kept);
    }
}
