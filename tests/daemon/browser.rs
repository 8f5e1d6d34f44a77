//! The operator's page in a browser: Debian's Chromium over the binary that ships, driven from
//! `tests/page`.

use std::path::Path;
use std::process::Command;

/// Runs the tests of one of its files; what is missing is named.
fn run(file: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let there = |command: &str| Command::new(command).arg("--version").output().is_ok();
    let mut missing: Vec<&str> =
        ["chromium", "node"].into_iter().filter(|command| !there(command)).collect();
    let packages = ["node_modules/playwright-core", "node_modules/axe-core"];
    missing.extend(packages.into_iter().filter(|package| !page.join(package).exists()));
    assert!(missing.is_empty(), "{missing:?} missing; `make setup` installs what the tests need");
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec", file])
        .current_dir(&page)
        .env("SEALIFT", env!("CARGO_BIN_EXE_sealift"))
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_views_and_their_verbs_work_in_a_browser() {
    run("page.test.mjs");
}

#[test]
fn views_stay_live_in_nine_tabs_and_over_a_kill() {
    run("tabs.test.mjs");
}

#[test]
fn plans_reports_and_paper_work_in_a_browser() {
    run("views.test.mjs");
}
