//! What the process uses, under the names that every client library of Prometheus gives it.
//!
//! Invariant: what the system does not tell is left out, never shown as 0.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use crate::clock::processor_time;

/// What the process uses now.
#[derive(Debug, Clone, Default)]
pub struct ProcessUsage {
    /// On all processors, user and system together.
    pub processor: Duration,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub open_fds: Option<u64>,
    /// `None`: unlimited.
    pub max_fds: Option<u64>,
}

impl ProcessUsage {
    /// Asks the system; it reads `/proc/self`, which no unit hides.
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let fds = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            processor: processor_time(),
            resident_bytes: kibibytes(&status, "VmRSS:"),
            virtual_bytes: kibibytes(&status, "VmSize:"),
            // One of them is the folder that is being read.
            open_fds: fds.map(|fds| (fds.count() as u64).saturating_sub(1)),
            max_fds: getrlimit(Resource::Nofile).current,
        }
    }
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_what_a_process_uses() {
        let usage = ProcessUsage::now();
        assert!(usage.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{usage:?}");
        assert!(usage.virtual_bytes > usage.resident_bytes, "{usage:?}");
        let fds = usage.open_fds.expect("Linux tells it");
        assert!(fds >= 1 && usage.max_fds.is_none_or(|max| max >= fds), "{usage:?}");
        assert_eq!(kibibytes("VmSize:\t  12 kB\nVmRSS:\t 3 kB\n", "VmRSS:"), Some(3072));
        assert_eq!(kibibytes("VmRSS:\tmuch\n", "VmRSS:"), None);
    }
}
