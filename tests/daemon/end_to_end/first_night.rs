//! A newcomer's first night, played on a terminal of 80 columns by `tests/first_night.py`.
//! docs/first-night.md is what it printed for a larger fleet.

use std::path::Path;
use std::process::Command;

/// The commands of a page, as typed. The number of proxies is the night's own.
fn commands(page: &str) -> Vec<String> {
    let typed = page.lines().filter_map(|line| line.strip_prefix("$ "));
    typed
        .map(|command| command.chars().filter(|letter| !letter.is_ascii_digit()).collect())
        .collect()
}

#[test]
fn a_first_night_reads_as_its_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::Builder::new()
        .prefix("sealift-first-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder");
    let mut night = Command::new("python3");
    night
        .arg(root.join("tests/first_night.py"))
        .arg(env!("CARGO_BIN_EXE_sealift"))
        .arg(folder.path().join("night"));
    let played = night.arg("120").output().expect("Python runs");
    let page = String::from_utf8(played.stdout).expect("text");
    assert!(played.status.success(), "{page}\n{}", String::from_utf8_lossy(&played.stderr));
    let written =
        std::fs::read_to_string(root.join("docs/first-night.md")).expect("the page is there");
    assert_eq!(commands(&page), commands(&written), "`make first-night` writes the page anew");
}
