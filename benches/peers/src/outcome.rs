//! What a run came to.

use std::fs::read_to_string;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Failure;

/// Ticks a second in `/proc/PID/stat`: fixed in Linux's interface.
const TICKS: f64 = 100.0;

#[derive(Debug, Serialize)]
pub struct Told {
    changes: usize,
    seconds: f64,
    cpu_seconds: f64,
    p50_us: u64,
    p99_us: u64,
    syncs: Option<u64>,
    memory_peak_mib: f64,
}

#[derive(Debug)]
pub struct Gathered {
    begun: Instant,
    cpu: f64,
    took: Mutex<Vec<Duration>>,
}

impl Gathered {
    pub fn begin() -> Result<Self, Failure> {
        Ok(Self { begun: Instant::now(), cpu: cpu_seconds()?, took: Mutex::default() })
    }

    pub fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// One change is done that began then; tells how many are.
    pub fn done(&self, begun: Instant) -> usize {
        let mut took = self.took.lock().expect("nobody panics with it");
        took.push(begun.elapsed());
        took.len()
    }

    pub fn end(&self, syncs: Option<u64>) -> Result<Told, Failure> {
        let (seconds, cpu_seconds) = (self.seconds(), cpu_seconds()? - self.cpu);
        let mut took = std::mem::take(&mut *self.took.lock().expect("nobody panics with it"));
        took.sort();
        if took.is_empty() {
            return Err("no change was done".into());
        }
        let share =
            |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_micros() as u64;
        Ok(Told {
            changes: took.len(),
            seconds,
            cpu_seconds,
            p50_us: share(0.5),
            p99_us: share(0.99),
            syncs,
            memory_peak_mib: memory_peak_mib()?,
        })
    }
}

fn cpu_seconds() -> Result<f64, Failure> {
    let stat = read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times: Vec<f64> = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(times.iter().sum::<f64>() / TICKS)
}

fn memory_peak_mib() -> Result<f64, Failure> {
    let status = read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("/proc/self/status has another form")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
