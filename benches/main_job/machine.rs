//! Where it was measured, and with what.

use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// The machine and the versions.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    processor: String,
    processors: usize,
    memory_gib: u64,
    kernel: String,
    /// One minute's load when the run began: what else the machine was doing.
    load: String,
    /// File system of the stores.
    file_system: String,
    rustc: String,
    sealift: &'static str,
    wrk: String,
}

fn first_word_after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim_start_matches([' ', '\t', ':']))
}

fn command(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Machine {
    /// Looks around; what cannot be told is told as unknown.
    pub fn look(stores: &Path) -> Self {
        let read = |path: &str| read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let memory = first_word_after(&meminfo, "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
        Self {
            processor: first_word_after(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory.unwrap_or(0) >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split_ascii_whitespace().next().unwrap_or("unknown").to_owned(),
            file_system: command("stat", &["-f", "-c", "%T", &stores.display().to_string()]),
            rustc: command("rustc", &["--version"]),
            sealift: env!("CARGO_PKG_VERSION"),
            wrk: crate::wrk::version(),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { processor, processors, memory_gib, kernel, load, file_system, rustc, sealift, wrk } = self;
        writeln!(
            f,
            "{processor}, {processors} processors, {memory_gib} GiB, Linux {kernel}, stores on {file_system}, load {load} at begin"
        )?;
        write!(f, "sealift {sealift}, {rustc}, wrk {wrk}, sled 0.34.7")
    }
}
