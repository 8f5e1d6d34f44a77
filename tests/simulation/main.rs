//! Simulation of the shipped core and the shipped shell: seeds, kill points, replay, planted bugs.
//!
//! What runs here is `sealift::engine` as it ships. Around it everything is simulated and follows
//! from one seed: both clocks, the network, the cloud (the product's own model of it), crashes,
//! standing hosts, operators. Nothing waits; a simulated hour takes milliseconds, and the same seed
//! gives the same journal, byte for byte, on every machine.
//!
//! # To see a seed again
//!
//! ```text
//! SEALIFT_SEED=42 cargo nextest run --test simulation --no-capture seeds      # scenario, journal, what fired, verdict
//! SEALIFT_SEED=42 SEALIFT_PLANTED=NoLastCheck cargo nextest run --test simulation --no-capture seeds
//! SEALIFT_SEED=42 SEALIFT_TRACE=1 cargo nextest run --test simulation --no-capture seeds   # every input and effect
//! SEALIFT_SEEDS=1000000 SEALIFT_SEED_BASE=5000 cargo nextest run --release --test simulation --no-capture seeds
//! SEALIFT_SHELL_SEED=42 cargo nextest run --test simulation --no-capture shell_seeds
//! SEALIFT_SHELL_SEED=42 SEALIFT_PLANTED=CommitLost cargo nextest run --test simulation --no-capture shell_seeds
//! SEALIFT_PLANTED=NoWindowAtWire SEALIFT_SEED_BASE=5000 cargo nextest run --test simulation --no-capture planted   # how often
//! SEALIFT_ENFORCEMENT_SEED=42 cargo nextest run --test simulation --no-capture enforcement_seeds
//! SEALIFT_KILL_WORLDS=100 cargo nextest run --release --test simulation --no-capture killed
//! ```
//!
//! `make seed SEED=42` and `make seeds SEEDS=1000000` do the first and the third. A seed that finds
//! a bug goes into `kept-seeds.txt` with what it was, in the same commit as the fix.
//!
//! # Where what stands
//!
//! `scenario` draws what a run is about; `world` lets it happen, one event after the other;
//! `oracle` shows every fact to the promises of `sealift::rehearse::invariants` and to every file
//! of `invariants`; `planted` and `scoreboard` prove that these can fail; `kill_points` kills small
//! worlds at each of their boundaries; `shell` runs the asynchronous shell over the same cloud and
//! the same invariants; `enforcement` runs the enforcer over the shell, with rules of its own.

mod enforcement;
mod gates;
mod groups;
mod hooked_store;
mod invariants;
mod kill_points;
mod oracle;
mod planted;
mod scenario;
mod scoreboard;
mod seeds;
mod setting;
mod several;
mod shell;
mod tally;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Violations after which a run of seeds stops.
const ENOUGH: usize = 5;

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs `one` for every number below `count` on all cores, until it has given `enough` findings.
fn on_all_cores<T: Send>(
    count: u64,
    enough: usize,
    one: &(dyn Fn(u64) -> Option<T> + Sync),
) -> Vec<T> {
    let found = Mutex::new(Vec::new());
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |cores| cores.get()) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count || found.lock().expect("no panic").len() >= enough {
                        return;
                    }
                    if let Some(finding) = one(place) {
                        found.lock().expect("no panic").push(finding);
                    }
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}
