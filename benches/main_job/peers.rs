//! What Sealift is held against: the programs in `benches/peers`, each in a process of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::child::Child;
use crate::{BenchFailure, fleet};

/// Threads of the vendor's SDK.
pub const SDK_THREADS: u32 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BenchPeer {
    /// reqwest in a loop, nothing written down.
    Bare,
    /// The same with a log, whose syncs are shared.
    Log,
    /// The `apalis` crate's queue on SQLite, every commit synced.
    Apalis,
    /// The vendor's Python SDK, in threads.
    Sdk,
}

impl BenchPeer {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 4] = [Self::Bare, Self::Log, Self::Apalis, Self::Sdk];

    /// Its name in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bare => "reqwest, nothing kept",
            Self::Log => "reqwest, group-committed log",
            Self::Apalis => "apalis on SQLite, synced",
            Self::Sdk => "vendor's Python SDK, 32 threads",
        }
    }
}

#[derive(Debug, Serialize)]
pub struct PeersTask<'a> {
    pub endpoint: &'a str,
    pub targets: &'a Path,
    /// Changes in flight; the SDK has [`SDK_THREADS`].
    pub in_flight: u32,
    /// How long at most.
    pub seconds: u32,
    /// An empty directory on the disk to be measured.
    pub dir: &'a Path,
}

#[derive(Serialize)]
struct PeersFigures<'a> {
    #[serde(flatten)]
    task: &'a PeersTask<'a>,
    project: &'static str,
    token: &'static str,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct PeersReport {
    pub changes: u32,
    pub seconds: f64,
    /// Processor seconds of the whole process in that time.
    pub cpu_seconds: f64,
    /// Half of the changes took at most so long, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 changes took at most so long.
    pub p99_us: u64,
    /// Times that its log was synced.
    pub syncs: Option<u64>,
    /// Most memory, in MiB.
    pub memory_peak_mib: f64,
}

impl PeersReport {
    pub fn rate(&self) -> f64 {
        f64::from(self.changes) / self.seconds
    }

    /// Processor seconds of a thousand changes.
    pub fn cpu_per_thousand(&self) -> f64 {
        self.cpu_seconds / f64::from(self.changes) * 1e3
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn there(path: PathBuf) -> Result<PathBuf, BenchFailure> {
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is not there: `make bench` makes it", path.display()).into())
    }
}

pub fn round(peer: BenchPeer, task: &PeersTask<'_>) -> Result<PeersReport, BenchFailure> {
    let whole = PeersFigures { task, project: fleet::PROJECT, token: fleet::TOKEN };
    let rust = |role: &str| {
        let program = there(root().join("target/peers/release/peers"))?;
        Child::program(&program, role, [OsStr::new(role)], &whole)?.result()
    };
    match peer {
        BenchPeer::Bare => rust("bare"),
        BenchPeer::Log => rust("log"),
        BenchPeer::Apalis => rust("apalis"),
        BenchPeer::Sdk => {
            let task = PeersTask { in_flight: SDK_THREADS, ..*task };
            let script = root().join("benches/peers/sdk.py");
            let whole = PeersFigures { task: &task, ..whole };
            Child::program(&python()?, "sdk", [script.as_os_str()], &whole)?.result()
        }
    }
}

fn python() -> Result<PathBuf, BenchFailure> {
    there(root().join("target/sdk/bin/python"))
}

/// The SDK's version, and that of the Python below it.
pub fn sdk_version() -> String {
    let question = "import platform; from importlib.metadata import version; \
                    print(version('huaweicloudsdkgaussdb'), 'on Python', platform.python_version())";
    let output =
        python().ok().and_then(|python| Command::new(python).args(["-c", question]).output().ok());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "missing".to_owned())
}
