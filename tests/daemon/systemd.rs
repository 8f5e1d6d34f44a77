//! The unit and the example configuration: read by the tools that will read them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift::config::Config;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

#[test]
fn the_example_configuration_is_the_one_of_the_unit() {
    let path = shipped("sealift.yaml");
    let config =
        Config::load(Some(&path), &|_| None).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert_eq!(config.store.folder(), Path::new("/var/lib/sealift/queue"));
    assert_eq!(config.socket, Path::new("/run/sealift/api.sock"));
    assert!(config.lanes.is_empty(), "it starts before anybody has an account for it");
    let unit = std::fs::read_to_string(shipped("sealift.service")).expect("the unit");
    let lane = with_its_lane();
    let lane = Config::load(Some(lane.path()), &|_| None);
    let lane = lane.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(lane.lanes.len(), 1);
    let token = format!("{:?}", lane.lanes[0].access.credentials);
    assert!(
        token.contains("prod-sg-token") && unit.contains("\nLoadCredential=prod-sg-token\n"),
        "{token}"
    );
    // Tried again however often it failed, as on a disk that is full until somebody comes; but not
    // where only a person helps.
    let person = format!("RestartPreventExitStatus={}", sealift::cli::Exit::StoreRefused as u8);
    for line in ["Restart=on-failure", "StartLimitIntervalSec=0", &person] {
        assert!(unit.lines().any(|found| found == line), "the unit has no {line}");
    }
    for line in [
        "Type=notify",
        "StateDirectory=sealift",
        "RuntimeDirectory=sealift",
        "WatchdogSec=30",
        "UMask=0077",
    ] {
        assert!(unit.lines().any(|found| found == line), "the unit has no {line}");
    }
}

/// The configuration with the `# ` taken away from its lane, as it says.
fn with_its_lane() -> tempfile::NamedTempFile {
    let shipped = std::fs::read_to_string(shipped("sealift.yaml")).expect("the configuration");
    let (before, lane) = shipped.split_once("# lanes:").expect("a lane to begin with");
    let mut text = format!("{before}lanes:");
    for line in lane.lines() {
        text.push_str(line.strip_prefix("# ").unwrap_or(line));
        text.push('\n');
    }
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("it is written");
    file
}

#[test]
fn what_is_installed_can_be_read_by_the_daemon() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (stage, products) = (folder.path().join("stage"), folder.path().join("products"));
    std::fs::create_dir_all(products.join("release")).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sealift"), products.join("release/sealift"))
        .expect("the built binary in its place");
    let mut make = Command::new("make");
    // The binary counts as built.
    make.args(["--old-file=build", "install"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    make.arg(format!("DESTDIR={}", stage.display())).env("CARGO_TARGET_DIR", &products);
    let made = make.output().expect("make runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mode = |path: &str| {
        std::fs::metadata(stage.join(path)).expect("it is installed").permissions().mode() & 0o7777
    };
    for (path, wanted) in [
        ("usr/bin/sealift", 0o755),
        ("usr/lib/systemd/system/sealift.service", 0o644),
        ("etc/sealift", 0o755),
        ("etc/sealift/plans.d", 0o755),
        // It says where secrets are, and holds none.
        ("etc/sealift/sealift.yaml", 0o644),
        ("usr/share/man/man1/sealift.1", 0o644),
        ("usr/share/man/man1/sealift-store-check.1", 0o644),
        ("usr/share/bash-completion/completions/sealift", 0o644),
        ("usr/share/zsh/vendor-completions/_sealift", 0o644),
        ("usr/share/fish/vendor_completions.d/sealift.fish", 0o644),
    ] {
        assert_eq!(mode(path), wanted, "{path} has another mode than {wanted:o}");
    }
}

#[test]
fn the_unit_tells_the_boot_that_it_hides() {
    let unit = std::fs::read_to_string(shipped("sealift.service")).expect("the unit");
    let has = |line: &str| unit.lines().any(|found| found == line);
    assert!(
        has("ProcSubset=pid") && has("Environment=SEALIFT_BOOT_ID=%b"),
        "without it no level of a quota outlives a restart"
    );
}

/// Runs systemd-analyze on the unit with the built binary in its place; `None` where there is no
/// such tool.
fn analyze(arguments: &[&str]) -> Option<(bool, String)> {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not here; `make test` installs it");
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let unit = std::fs::read_to_string(shipped("sealift.service")).expect("the unit");
    let path = folder.path().join("sealift.service");
    std::fs::write(&path, unit.replace("/usr/bin/sealift", env!("CARGO_BIN_EXE_sealift")))
        .expect("a unit to check");
    let output =
        Command::new("systemd-analyze").args(arguments).arg(&path).output().expect("it runs");
    Some((
        output.status.success(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
    ))
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let Some((well, said)) = analyze(&["verify", "--man=no"]) else { return };
    let about_us: Vec<&str> =
        said.lines().filter(|line| line.contains("sealift.service")).collect();
    assert!(well && about_us.is_empty(), "{said}");
}

#[test]
fn the_unit_exposes_little() {
    // Exposure in tenths: what is left at 1.2 is the network and the names of peers.
    let Some((well, said)) =
        analyze(&["security", "--offline=yes", "--threshold=13", "--no-pager"])
    else {
        return;
    };
    assert!(well, "{said}");
}
