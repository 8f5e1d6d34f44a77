//! What a process has used, as the kernel tells it.

use std::fs::read_to_string;
use std::time::Duration;

use sealift::clock::{Clock, SystemClock};

use crate::BenchFailure;

/// Ticks a second in `/proc/PID/stat`: fixed in Linux's interface, whatever the kernel's own tick.
const TICKS: f64 = 100.0;

pub fn now() -> Duration {
    SystemClock.times().boot
}

/// Seconds since `then`.
pub fn since(then: Duration) -> f64 {
    (now() - then).as_secs_f64()
}

/// Processor seconds, user and system, of a process with all its threads so far.
pub fn cpu_seconds(process: u32) -> Result<f64, BenchFailure> {
    let stat = read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything; the fields after it are numbers.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<f64>);
    match (times.next(), times.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok((user + system) / TICKS),
        _ => Err(format!("/proc/{process}/stat has another form: {stat}").into()),
    }
}

/// Processor seconds of this process.
pub fn own_cpu_seconds() -> Result<f64, BenchFailure> {
    cpu_seconds(std::process::id())
}

fn memory(process: &str, field: &str) -> Result<f64, BenchFailure> {
    let status = read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .ok_or("a process that has ended has no memory")?;
    let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// Memory of this process in MiB, now.
pub fn memory_mib() -> Result<f64, BenchFailure> {
    memory("self", "VmRSS")
}

/// Memory of a process in MiB, now.
pub fn memory_mib_of(process: u32) -> Result<f64, BenchFailure> {
    memory(&process.to_string(), "VmRSS")
}

/// Most memory that this process ever held, in MiB.
pub fn memory_peak_mib() -> Result<f64, BenchFailure> {
    memory("self", "VmHWM")
}

/// Most memory that a process ever held, in MiB.
pub fn memory_peak_mib_of(process: u32) -> Result<f64, BenchFailure> {
    memory(&process.to_string(), "VmHWM")
}
