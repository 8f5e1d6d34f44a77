//! A scenario: all that differs from run to run, drawn from one seed.
//!
//! Intensities are drawn per seed and some are zero ("swarm"), so that rare combinations come up and each fault is
//! sometimes alone.

use std::time::Duration;

use fastrand::Rng;
use sealift::cloud::faults::Faults;

/// What one run is about.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub seed: u64,
    pub proxies: usize,
    pub instances: usize,
    /// Sizes of the waves; they add up to `proxies`.
    pub waves: Vec<u32>,
    pub soak_ms: u64,
    pub manual: bool,
    pub max_in_flight: u32,
    pub max_failures: u32,
    pub wave_failures: u32,
    pub max_attempts: u16,
    pub quota: Option<(u32, Duration)>,
    /// Windows, as (minutes of every ten at which one opens, its length in seconds, its cutoff in seconds).
    pub window: Option<(u8, u64, u64)>,
    /// One daemon alone on its store (unsynced commits may be lost), or two on a shared one.
    pub daemons: usize,
    pub faults: Faults,
    /// Mean seconds between crashes of a daemon; 0: none.
    pub crash_every: u32,
    /// Share of commits that a crash loses or lets land, of requests refused before they leave, and of slow paths.
    pub refuse: f64,
    pub slow_path: f64,
    pub verbs: u32,
    pub stop_file: bool,
    pub wall_jumps: bool,
    /// From this virtual second on nothing goes wrong any more.
    pub calm_at: u64,
}

/// Longest way of a request from the wire instant to the cloud: what `settle` must cover, with the visibility lag.
pub const LANDING_BOUND: Duration = Duration::from_secs(3);
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);
pub const VISIBILITY_LAG: Duration = Duration::from_secs(2);
pub const SETTLE: Duration = Duration::from_secs(6);

fn some(rng: &mut Rng, share: f64, most: f64) -> f64 {
    if rng.f64() < share { rng.f64() * most } else { 0.0 }
}

impl Scenario {
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5ea1_1f70_0000_0001);
        let proxies = rng.usize(1..=16);
        // At most four proxies an instance, as the cloud has it.
        let instances = rng.usize(proxies.div_ceil(4)..=proxies);
        let mut waves = Vec::new();
        let mut left = proxies as u32;
        while left > 0 {
            let size = if waves.len() == 3 || rng.bool() { left } else { rng.u32(1..=left) };
            waves.push(size);
            left -= size;
        }
        let faults = Self::faults(&mut rng);
        let max_failures = rng.u32(1..=8);
        Self {
            seed,
            proxies,
            instances,
            waves,
            soak_ms: if rng.bool() { 0 } else { rng.u64(1..20_000) },
            manual: rng.f64() < 0.2,
            max_in_flight: rng.u32(1..=8),
            max_failures,
            wave_failures: rng.u32(1..=max_failures),
            max_attempts: rng.u16(2..=6),
            quota: (rng.f64() < 0.4).then(|| (rng.u32(2..=10), Duration::from_secs(rng.u64(1..=5)))),
            window: (rng.f64() < 0.3).then(|| (rng.u8(0..10), rng.u64(60..=300), rng.u64(0..30))),
            daemons: if rng.f64() < 0.5 { 1 } else { 2 },
            crash_every: if rng.f64() < 0.7 { rng.u32(3..60) } else { 0 },
            refuse: some(&mut rng, 0.3, 0.2),
            slow_path: some(&mut rng, 0.5, 0.3),
            verbs: if rng.bool() { rng.u32(1..6) } else { 0 },
            stop_file: rng.f64() < 0.15,
            wall_jumps: rng.f64() < 0.15,
            calm_at: rng.u64(60..600),
            faults,
        }
    }

    /// A small world in which nothing crashes by itself, for killing it at every commit.
    pub fn small(world: u64) -> Self {
        let drawn = Self::draw(1_000_000 + world);
        Self {
            proxies: 4,
            instances: 3,
            waves: vec![1, 3],
            soak_ms: 500,
            manual: false,
            max_in_flight: 2,
            max_failures: 4,
            wave_failures: 4,
            window: None,
            daemons: 1 + (world % 2) as usize,
            crash_every: 0,
            verbs: 3,
            stop_file: false,
            wall_jumps: false,
            calm_at: 60,
            ..drawn
        }
    }

    fn faults(rng: &mut Rng) -> Faults {
        let rate = |rng: &mut Rng, most: f64| format!("{:.3}", some(rng, 0.4, most));
        let yaml = format!(
            "throttle: {}\nthrottle_with_retry_after: {}\nretry_after: 3s\nerror_500_before: {}\nerror_500_after: {}\nhtml_502: {}\n\
             garbage_200: {}\nno_job_id_200: {}\ndrop_before: {}\ndrop_after: {}\nslow: {}\nslow_delay: {{min: 500ms, max: 5s}}\n\
             job_fails: {}\nbusy: {}\nforeign_job: {}\ntoken_expired: {}\nlatency: {{min: 1ms, max: 200ms}}\njob_time: {{min: 200ms, max: {}s}}\n\
             visibility_lag: {{min: 0s, max: {}ms}}\n",
            rate(rng, 0.2),
            rate(rng, 0.2),
            rate(rng, 0.3),
            rate(rng, 0.4),
            rate(rng, 0.2),
            rate(rng, 0.1),
            rate(rng, 0.2),
            rate(rng, 0.2),
            rate(rng, 0.3),
            rate(rng, 0.2),
            rate(rng, 0.3),
            rate(rng, 0.2),
            rate(rng, 0.2),
            rate(rng, 0.02),
            rng.u64(1..20),
            if rng.bool() { 0 } else { VISIBILITY_LAG.as_millis() as u64 },
        );
        Faults::from_yaml(&yaml).expect("the simulation writes valid faults")
    }
}
