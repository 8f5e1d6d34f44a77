//! The Debian package: made of the built binary, judged by lintian, and tried in a Debian of its
//! own that systemd boots (`boot/`).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Proxies of the rollout that is upgraded over, killed and frozen; as in `boot/inner.sh`.
const PROXIES: usize = 48;

/// How the package is compressed that lintian judges: the test is not about its size.
const PACKED_QUICKLY: &str = "-Zgzip -z1";

/// The higher version is not at all: it is unpacked seven times.
const NOT_PACKED: &str = "-Znone";

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn run(program: &str, arguments: &[&OsStr]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).env("SEALIFT_COMPRESSION", PACKED_QUICKLY);
    let ran = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(ran.status.success(), "{program}: {}", said(&ran));
    String::from_utf8(ran.stdout).expect("UTF-8")
}

/// The package of this binary, and the same with a higher version.
fn packages(folder: &Path) -> PathBuf {
    let (old, new) = (folder.join("1.deb"), folder.join("2.deb"));
    let script = source("scripts/deb.sh");
    let binary = OsStr::new(env!("CARGO_BIN_EXE_sealift"));
    let made = run("sh", &[script.as_os_str(), binary, folder.as_os_str()]);
    std::fs::rename(made.trim(), &old).expect("the package is where the script says");
    let tree = folder.join("tree");
    run("dpkg-deb", &["--raw-extract".as_ref(), old.as_os_str(), tree.as_os_str()]);
    let control = tree.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control).expect("what the package says of itself");
    let version = format!("Version: {}-", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&version), "{text}");
    std::fs::write(&control, text.replace(&version, &format!("{version}9"))).expect("written");
    let build = [NOT_PACKED, "--root-owner-group", "--build"].map(OsStr::new);
    run("dpkg-deb", &[&build[..], &[tree.as_os_str(), new.as_os_str()]].concat());
    old
}

#[test]
fn a_package_is_installed_upgraded_over_disturbed_and_removed() {
    if !is_there("dh") || !is_there("lintian") {
        println!(
            "SKIPPED: debhelper and lintian are not here; `make test` installs them on Debian"
        );
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (packages, out) = (folder.path().join("packages"), folder.path().join("out"));
    std::fs::create_dir(&out).expect("a folder");
    let first = self::packages(&packages);

    let mut lintian = Command::new("lintian");
    lintian.args(["--profile", "debian", "--fail-on", "error,warning"]).arg(&first);
    let judged = lintian.output().expect("lintian runs");
    assert!(judged.status.success(), "{}", said(&judged));

    let mut boot = Command::new("timeout");
    boot.arg("--kill-after=5").arg("240").arg("sh").arg(source("tests/daemon/boot/outer.sh"));
    boot.arg(source("target/boot/bookworm")).arg(&packages).arg(&out);
    let booted = boot.output().expect("a shell");
    if booted.status.code() == Some(77) {
        println!("SKIPPED: the package is not booted: {}", said(&booted).trim());
        return;
    }
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap_or_default();
    let found = read("found");
    println!("{found}the round took {} s", read("seconds").trim());
    let failed = || format!("{}\n{}\n{}", said(&booted), read("console"), read("log"));
    assert!(booted.status.success(), "the package could not be tried: {}", failed());
    assert!(found.contains("ok\tthe script came to its end"), "{}", failed());
    assert!(!found.contains("FAILED"), "{}", failed());

    // The cloud's own word: one switch a proxy, whatever happened to the daemon in between.
    let ledger: serde_json::Value = serde_json::from_str(&read("ledger.json")).expect("a ledger");
    let proxies = ledger["proxies"].as_array().expect("proxies");
    assert_eq!(proxies.len(), PROXIES);
    let again: Vec<_> = proxies.iter().filter(|proxy| proxy["effective"] != 1).collect();
    assert!(again.is_empty(), "not switched exactly once: {again:?}");
    assert_eq!(ledger["ssl_on"], PROXIES);
    let given: BTreeSet<&str> = ledger["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .filter_map(|job| job["job_id"].as_str())
        .collect();
    let saved = read("jobs.csv");
    let saved: BTreeSet<&str> = saved
        .lines()
        .filter_map(|line| line.split(',').find(|cell| given.contains(cell)))
        .collect();
    assert_eq!(saved, given, "the saved job ids are those that the cloud gave out");
}
