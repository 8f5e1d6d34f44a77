//! A library that ships in two versions says why: each such name has its reason in `deny.toml`,
//! which `make supply` asks of cargo-deny too.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Names of which more than one version is built into what ships.
fn twice() -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"]);
    let tree = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(tree.stdout).expect("UTF-8").lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name.into()).or_default().insert(version.into());
        }
    }
    assert!(versions.len() > 100, "the tree was not read: {versions:?}");
    versions.into_iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| name).collect()
}

#[test]
fn no_library_ships_in_two_versions_without_a_reason() {
    let deny = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml"));
    let deny = deny.expect("deny.toml");
    let reason = |name: &str| {
        let skip = deny.lines().find(|line| line.contains(&format!("crate = \"{name}@")));
        skip.is_some_and(|skip| skip.contains("reason = \""))
    };
    let without: Vec<_> = twice().into_iter().filter(|name| !reason(name)).collect();
    assert!(without.is_empty(), "no reason in deny.toml: {without:?}");
}
