//! The operator's page in a browser: Debian's Chromium over the binary that ships, driven from
//! `tests/page`.

use std::path::Path;
use std::process::Command;

/// Runs the tests of one of its files.
fn run(file: &str) {
    node(&["--test", "--test-reporter=spec", file]);
}

/// Runs node beside the tests of the page; what is missing is named.
fn node(arguments: &[&str]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    let there = |command: &str| Command::new(command).arg("--version").output().is_ok();
    let mut missing: Vec<&str> =
        ["chromium", "node"].into_iter().filter(|command| !there(command)).collect();
    let packages =
        ["playwright-core", "axe-core", "typescript"].map(|name| format!("node_modules/{name}"));
    missing
        .extend(packages.iter().map(String::as_str).filter(|package| !page.join(package).exists()));
    assert!(missing.is_empty(), "{missing:?} missing; `make setup` installs what the tests need");
    let output = Command::new("node")
        .args(arguments)
        .current_dir(&page)
        .env("SEALIFT", env!("CARGO_BIN_EXE_sealift"))
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_script_of_the_page_keeps_its_types() {
    node(&["node_modules/typescript/bin/tsc", "-p", "."]);
}

#[test]
fn the_demo_is_watched_from_its_link_to_its_end() {
    run("demo.test.mjs");
}

#[test]
fn a_night_of_several_people_works_in_a_browser() {
    run("night.test.mjs");
}

#[test]
fn an_open_tab_and_the_daemon_hold_no_more_after_a_while() {
    run("soak.test.mjs");
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
