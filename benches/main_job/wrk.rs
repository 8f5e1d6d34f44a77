//! The reference: wrk with the same calls, which does nothing but send them.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::server::Server;
use crate::{BenchFailure, fleet};

/// Threads of wrk. One leaves the most of two processors to the server; measured against two.
const THREADS: u32 = 1;

#[derive(Deserialize)]
struct WrkReport {
    calls: f64,
    microseconds: f64,
    refused: u64,
    lost: u64,
}

/// Calls of one change: the list before, the switch, the job, the list after.
pub const CALLS: f64 = 4.0;

/// Changes a second of one round.
pub fn round(
    server: &Server,
    targets: &Path,
    connections: u32,
    seconds: u32,
) -> Result<f64, BenchFailure> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/main_job/calls.lua");
    let mut command = Command::new("wrk");
    command.args([
        "-t",
        &THREADS.to_string(),
        "-c",
        &connections.to_string(),
        "-d",
        &format!("{seconds}s"),
        "-s",
        script,
    ]);
    command.arg(server.endpoint()).arg("--").arg(targets).args([
        fleet::PROJECT,
        fleet::TOKEN,
        &server.first_job()?,
    ]);
    let output = command.output().map_err(|error| {
        format!("cannot run wrk: {error}; install it with `apt-get install wrk`")
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rev().find(|line| line.starts_with('{')).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("wrk told no result: {text}{complaint}")
    })?;
    let WrkReport { calls, microseconds, refused, lost } = serde_json::from_str(line)?;
    if refused + lost > 0 {
        return Err(format!("wrk met {refused} refusals and {lost} lost answers, so it did not make the calls: {text}").into());
    }
    Ok(calls / microseconds * 1e6 / CALLS)
}

pub fn version() -> String {
    let output = Command::new("wrk").arg("-v").output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(1))
        .unwrap_or("missing")
        .to_owned()
}
