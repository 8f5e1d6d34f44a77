//! The shipped commands, watched from outside: how long one takes, and what it uses.

use std::fs::read_to_string;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{BenchFailure, daemon, usage};

/// How often a running command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a command used.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CommandUsage {
    /// From its start to its end.
    pub seconds: f64,
    pub cpu_seconds: f64,
    /// Most memory, in MiB.
    pub memory_peak_mib: f64,
}

/// Runs `sealift` with these arguments against the daemon of this configuration; its output is
/// thrown away, and what it says beside it is told if it fails.
pub fn run(config: &Path, arguments: &[&str]) -> Result<CommandUsage, BenchFailure> {
    let mut command = Command::new(daemon::PROGRAM);
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let begun = usage::now();
    let process = command.spawn()?;
    let (id, mut memory_peak_mib) = (process.id(), 0.0);
    // One that has ended and is not waited for yet still tells its processor time, but no memory.
    while let Some(state) = state(id)
        && state != 'Z'
    {
        if let Ok(peak) = usage::memory_peak_mib_of(id) {
            memory_peak_mib = peak;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let (seconds, cpu_seconds) = (usage::since(begun), usage::cpu_seconds(id)?);
    let ended = process.wait_with_output()?;
    if !ended.status.success() {
        let complaint = String::from_utf8_lossy(&ended.stderr);
        return Err(format!(
            "sealift {} ended with {}: {complaint}",
            arguments.join(" "),
            ended.status
        )
        .into());
    }
    Ok(CommandUsage { seconds, cpu_seconds, memory_peak_mib })
}

fn state(process: u32) -> Option<char> {
    let stat = read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}
