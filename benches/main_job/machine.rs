//! Where it was measured, and with what.

use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

use sealift::clock::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use crate::{nginx, peers, wrk};

/// The machine and the versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The day, in UTC.
    day: String,
    processor: String,
    processors: usize,
    memory_gib: u64,
    kernel: String,
    /// One minute's load when the run began: what else the machine was doing.
    load: String,
    /// File system of the stores.
    file_system: String,
    rustc: String,
    sealift: String,
    sled: String,
    wrk: String,
    nginx: String,
    apalis: String,
    sdk: String,
}

fn first_word_after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim_start_matches([' ', '\t', ':']))
}

fn command(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The version of a package in a lock file.
fn locked(lock: &str, package: &str) -> String {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    lines
        .nth(1)
        .and_then(|line| line.strip_prefix("version = "))
        .unwrap_or("unknown")
        .trim_matches('"')
        .to_owned()
}

/// The state of the sources: the commit, and whether there is more than it.
fn source() -> String {
    let described =
        command("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
    if described.is_empty() {
        env!("CARGO_PKG_VERSION").to_owned()
    } else {
        format!("{} ({described})", env!("CARGO_PKG_VERSION"))
    }
}

impl Machine {
    /// Looks around; what cannot be told is told as unknown.
    pub fn look(stores: &Path) -> Self {
        let read = |path: &str| read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let memory = first_word_after(&meminfo, "MemTotal")
            .and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
        let unit = |package| locked(include_str!("../../Cargo.lock"), package);
        Self {
            day: SystemClock.times().wall.strftime("%Y-%m-%d").to_string(),
            processor: first_word_after(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory.unwrap_or(0) >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg")
                .split_ascii_whitespace()
                .next()
                .unwrap_or("unknown")
                .to_owned(),
            file_system: command(
                "findmnt",
                &["-no", "FSTYPE", "-T", &stores.display().to_string()],
            ),
            rustc: command("rustc", &["--version"]),
            sealift: source(),
            sled: unit("sled"),
            wrk: wrk::version(),
            nginx: nginx::version(),
            apalis: locked(include_str!("../peers/Cargo.lock"), "apalis"),
            sdk: peers::sdk_version(),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { day, processor, processors, memory_gib, kernel, load, file_system, .. } = self;
        let Self { rustc, sealift, sled, wrk, nginx, apalis, sdk, .. } = self;
        write!(
            f,
            "{day}: {processor}, {processors} processors, {memory_gib} GiB, Linux {kernel}, stores on {file_system}, load {load} at begin; \
             sealift {sealift}, sled {sled}, {rustc}, wrk {wrk}, nginx {nginx}, apalis {apalis}, huaweicloudsdkgaussdb {sdk}"
        )
    }
}
