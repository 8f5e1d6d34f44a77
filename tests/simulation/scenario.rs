//! A scenario: all that differs from run to run, drawn from one seed.
//!
//! Intensities are drawn per seed and some are zero ("swarm"), so that rare combinations come up
//! and each fault is sometimes alone. Faults are aimed: what breaks only together (a stepped clock
//! and a quota) is drawn together.

use std::time::Duration;

use fastrand::Rng;
use sealift::simcloud::faults::{Between, Faults, OffsetShape, QuotaRule, Rate};

use crate::gates::ClearanceTally;
use crate::groups::GroupTally;

/// What one run is about.
#[derive(Debug, Clone)]
pub struct DrawnScenario {
    pub seed: u64,
    pub proxies: usize,
    pub instances: usize,
    /// Sizes of the waves; they add up to `proxies`.
    pub waves: Vec<u32>,
    pub soak_ms: u64,
    pub manual: bool,
    pub max_in_flight: u32,
    /// The lane's own limit, sometimes below the rollout's.
    pub lane_in_flight: u32,
    pub max_failures: u32,
    pub wave_failures: u32,
    pub max_attempts: u16,
    /// The lane's quota; the simulated cloud has the same one.
    pub quota: Option<(u32, Duration)>,
    pub window: Option<Often>,
    pub faults: Faults,
    /// Mean seconds between crashes of the daemon; 0: none.
    pub crash_every: u32,
    /// Longest time in seconds for which a crashed daemon stays away.
    pub down_for: u64,
    /// Times at which a daemon's host stands still for a while, as in a suspend.
    pub freezes: u32,
    /// Share of requests refused before they leave.
    pub refuse: f64,
    /// Share of commits, ways to the wire and ways to the cloud that take long.
    pub slow_path: f64,
    /// Share of commits that take long enough for a scan to come upon the change meanwhile.
    pub stuck_store: f64,
    /// Longest way of a read to the store, and of its answer back, in milliseconds; 0: it answers
    /// at once, as a store on this machine does.
    pub read_ms: u64,
    /// From when on and for how long the store is away, in virtual milliseconds.
    pub outages: Vec<(u64, u64)>,
    pub verbs: u32,
    pub stop_file: bool,
    /// Virtual seconds at which a person pauses the lane and resumes it.
    pub lane_paused: Option<(u64, u64)>,
    /// Virtual seconds at which a person stops everything and starts it again.
    pub stop_all: Option<(u64, u64)>,
    /// How often the wall clock is stepped.
    pub wall_jumps: u32,
    /// How many seconds the cloud's clock is ahead.
    pub clock_ahead: i64,
    /// When it is stepped, in virtual seconds, and how far it is ahead then.
    pub clock_steps: Vec<(u64, i64)>,
    /// From this virtual second on nothing goes wrong any more.
    pub calm_at: u64,
    /// Reverts, approvals, pauses with an end.
    pub gates: ClearanceTally,
    /// The list of targets says what they showed.
    pub seen: bool,
    /// The plan asks for a proof on the wire.
    pub wire: bool,
    /// Limits of what is in flight of one lane or of one value of a tag.
    pub groups: GroupTally,
}

/// A window that opens every so many minutes.
#[derive(Debug, Clone, Copy)]
pub struct Often {
    /// The first minute of the hour at which it opens.
    pub from: u8,
    pub every: u8,
    pub length: u64,
    pub cutoff: u64,
}

/// Longest way of a request from the wire instant to the cloud: what `settle` must cover, with the
/// visibility lag.
pub const LANDING_BOUND: Duration = Duration::from_secs(3);
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);
pub const VISIBILITY_LAG: Duration = Duration::from_secs(2);
pub const SETTLE: Duration = Duration::from_secs(6);
/// Longest commit of a stuck store: beyond the 17 s after which a scan comes upon a call's change.
pub const STUCK_COMMIT: Duration = Duration::from_secs(40);

/// Longest way of a read to a store that is far, and back: a look reads twice, and two looks and a
/// commit must fit into what a person waits for.
const READ_MS_MAX: u64 = 200;

/// Outages of the store are aimed at the time at which most runs are at work.
const OUTAGES_WITHIN_MS: u64 = 60_000;

/// Longest outage of the store.
const OUTAGE_MS_MAX: u64 = 120_000;

/// Steps of the cloud's clock are aimed at the time at which most runs are at work.
const CLOCK_STEPS_WITHIN: u64 = 90;

/// A window shorter than this many seconds shuts while work is on.
const SHORT_WINDOW: u64 = 40;

fn some(rng: &mut Rng, share: f64, most: f64) -> f64 {
    if rng.f64() < share { rng.f64() * most } else { 0.0 }
}

impl DrawnScenario {
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
        let quota =
            (rng.f64() < 0.4).then(|| (rng.u32(2..=10), Duration::from_secs(rng.u64(1..=5))));
        let foreign_changes = some(&mut rng, 0.15, 0.1);
        let faults = Self::faults(&mut rng, quota, foreign_changes);
        let max_failures = rng.u32(1..=8);
        let window = (rng.f64() < 0.3).then(|| Self::window(&mut rng));
        // Where a window is short, calls are often late for it.
        let short = window.is_some_and(|window| window.length < SHORT_WINDOW);
        // A step of the wall clock must not touch the quota: where there is one, the clock is
        // stepped more often.
        let jumpy = if quota.is_some() { 0.4 } else { 0.15 };
        let mut drawn = Self {
            seed,
            proxies,
            instances,
            waves,
            soak_ms: if rng.bool() { 0 } else { rng.u64(1..20_000) },
            manual: rng.f64() < 0.2,
            max_in_flight: rng.u32(1..=8),
            lane_in_flight: rng.u32(1..=8),
            max_failures,
            wave_failures: rng.u32(1..=max_failures),
            max_attempts: rng.u16(2..=6),
            quota,
            window,
            crash_every: Self::crash_every(&mut rng),
            down_for: if rng.f64() < 0.3 { 180 } else { 20 },
            freezes: if rng.f64() < 0.2 { rng.u32(1..6) } else { 0 },
            refuse: some(&mut rng, 0.3, 0.2),
            slow_path: some(&mut rng, if short { 0.9 } else { 0.5 }, if short { 0.6 } else { 0.3 }),
            stuck_store: some(&mut rng, 0.15, 0.3),
            read_ms: 0,
            outages: Vec::new(),
            verbs: if rng.bool() { rng.u32(1..6) } else { 0 },
            stop_file: rng.f64() < 0.15,
            lane_paused: None,
            stop_all: None,
            wall_jumps: if rng.f64() < jumpy { rng.u32(1..=6) } else { 0 },
            clock_ahead: 0,
            clock_steps: Vec::new(),
            calm_at: rng.u64(60..600),
            faults,
            gates: ClearanceTally::default(),
            seen: Rng::with_seed(seed ^ 0x5ea1_1f70_0000_0006).f64() < 0.2,
            wire: false,
            groups: GroupTally::draw(seed),
        };
        drawn.draw_wire();
        drawn.draw_clock();
        drawn.draw_undocumented();
        drawn.draw_lane();
        drawn.draw_stop();
        drawn.draw_reads();
        drawn.draw_outages();
        drawn.gates = ClearanceTally::draw(seed, drawn.calm_at);
        drawn
    }

    /// A small world in which nothing crashes by itself, for killing it at every commit and call.
    pub fn small(world: u64) -> Self {
        let drawn = Self::draw(1_000_000 + world);
        let gates = ClearanceTally::small(world);
        let reverts = !gates.reverts.is_empty();
        Self {
            proxies: 4,
            instances: 3,
            waves: if reverts { vec![3, 1] } else { vec![1, 3] },
            soak_ms: 500,
            manual: reverts,
            max_in_flight: 2,
            lane_in_flight: 2,
            max_failures: 4,
            wave_failures: 4,
            window: None,
            crash_every: 0,
            freezes: 0,
            outages: Vec::new(),
            stuck_store: 0.0,
            verbs: 3,
            stop_file: false,
            lane_paused: None,
            stop_all: None,
            wall_jumps: 0,
            clock_ahead: if world.is_multiple_of(2) { 0 } else { 200 },
            clock_steps: Vec::new(),
            calm_at: 60,
            gates,
            groups: GroupTally::small(world),
            wire: world % 3 == 1,
            ..drawn
        }
    }

    fn crash_every(rng: &mut Rng) -> u32 {
        // Once said how many daemons share the store; drawn on, so that the rest of a seed stays as
        // it is.
        rng.f64();
        if rng.f64() < 0.7 { rng.u32(3..60) } else { 0 }
    }

    /// Drawn apart, so that everything else of a seed stays as it is.
    fn draw_lane(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ 0x5ea1_1f70_0000_0034);
        if rng.f64() < 0.15 {
            // Most runs are at work in their first minute.
            let from = rng.u64(0..self.calm_at.min(60));
            self.lane_paused = Some((from, rng.u64(from..=self.calm_at)));
        }
    }

    /// Drawn apart, so that everything else of a seed stays as it is.
    fn draw_stop(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ 0x5ea1_1f70_0000_0049);
        if rng.f64() < 0.1 {
            let from = rng.u64(0..self.calm_at.min(60));
            self.stop_all = Some((from, rng.u64(from..=self.calm_at)));
        }
    }

    /// Drawn apart, so that everything else of a seed stays as it is.
    fn draw_reads(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ 0x5ea1_1f70_0000_0074);
        if rng.f64() < 0.2 {
            self.read_ms = rng.u64(1..=READ_MS_MAX);
        }
    }

    /// Drawn apart, so that everything else of a seed stays as it is. Half of the outages are so
    /// short that nothing falls due in them; all are over by the calm.
    fn draw_outages(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ 0x5ea1_1f70_0000_0076);
        if rng.f64() >= 0.15 {
            return;
        }
        let calm = self.calm_at * 1_000;
        for _ in 0..rng.u32(1..=3) {
            let from = rng.u64(0..calm.min(OUTAGES_WITHIN_MS));
            let lasts = if rng.bool() { rng.u64(100..5_000) } else { rng.u64(100..OUTAGE_MS_MAX) };
            self.outages.push((from, lasts.min(calm - from)));
        }
    }

    /// Drawn apart, so that everything else of a seed stays as it is.
    fn draw_wire(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ 0x5ea1_1f70_0000_0009);
        self.wire = rng.f64() < 0.3;
        if self.wire {
            self.faults.wire_silent = always(some(&mut rng, 0.5, 0.5));
            self.faults.wire_wrong = always(some(&mut rng, 0.5, 0.5));
        }
    }

    /// Drawn apart, so that everything else of a seed stays as it is. Most clocks that are off stay
    /// within what a lane bears, so that the run goes on; those that do not are often set right in
    /// mid-run.
    fn draw_clock(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ 0x5ea1_1f70_0000_000b);
        if rng.f64() >= 0.4 {
            return;
        }
        let mut ahead = || match rng.u8(0..10) {
            0..3 => rng.i64(-20..20),
            3..7 => rng.i64(-280..280),
            7 => rng.i64(-1_500..1_500),
            _ => rng.i64(-6..6) * 3_600,
        };
        self.clock_ahead = ahead();
        let steps: Vec<i64> = (0..3).map(|_| ahead()).collect();
        let within = self.calm_at.min(CLOCK_STEPS_WITHIN);
        let count = if rng.bool() { rng.usize(1..=3) } else { 0 };
        self.clock_steps =
            steps.into_iter().take(count).map(|ahead| (rng.u64(0..within), ahead)).collect();
    }

    /// What no document says of the job list and of proxies whose jobs run, and who else is there;
    /// drawn apart, as the proof is.
    fn draw_undocumented(&mut self) {
        let mut rng = Rng::with_seed(self.seed ^ 0x5ea1_1f70_0000_000c);
        self.faults.job_offset =
            [OffsetShape::Pages, OffsetShape::Records, OffsetShape::RecordsFromZero]
                [rng.usize(0..3)];
        if rng.f64() < 0.3 {
            self.faults.jobs_elsewhere = Some(Duration::from_millis(rng.u64(300..3_000)));
        }
        self.faults.foreign_unknown = always(some(&mut rng, 0.25, 0.1));
        self.faults.stays_active = always(if rng.bool() { rng.f64() } else { 0.0 });
    }

    /// Half of the windows are so short that they shut while work is on; they come the more often.
    fn window(rng: &mut Rng) -> Often {
        let short = rng.bool();
        let length = if short { rng.u64(5..SHORT_WINDOW) } else { rng.u64(60..=300) };
        let every = if short { 1 } else { 10 };
        Often { from: rng.u8(0..every), every, length, cutoff: rng.u64(0..length.min(60) / 2) }
    }

    fn faults(rng: &mut Rng, quota: Option<(u32, Duration)>, foreign: f64) -> Faults {
        let rate = |rng: &mut Rng, most: f64| always(some(rng, 0.4, most));
        let millis = |min: u64, max: u64| Between {
            min: Duration::from_millis(min),
            max: Duration::from_millis(max),
        };
        Faults {
            throttle: rate(rng, 0.2),
            throttle_with_retry_after: rate(rng, 0.2),
            retry_after: Duration::from_secs(3),
            error_500_before: rate(rng, 0.3),
            error_500_after: rate(rng, 0.4),
            html_502: rate(rng, 0.2),
            garbage_200: rate(rng, 0.1),
            no_job_id_200: rate(rng, 0.2),
            drop_before: rate(rng, 0.2),
            drop_after: rate(rng, 0.3),
            slow: rate(rng, 0.2),
            slow_delay: millis(500, 5_000),
            job_fails: rate(rng, 0.3),
            busy: rate(rng, 0.2),
            foreign_job: rate(rng, 0.2),
            foreign_change: always(foreign),
            token_expired: rate(rng, 0.02),
            latency: millis(1, 200),
            job_time: millis(200, rng.u64(1..20) * 1_000),
            visibility_lag: millis(
                0,
                if rng.bool() { 0 } else { VISIBILITY_LAG.as_millis() as u64 },
            ),
            quota: quota.map(|(requests, per)| QuotaRule { requests, per }),
            ..Faults::default()
        }
    }
}

fn always(probability: f64) -> Rate {
    if probability > 0.0 { Rate::always(probability).expect("a probability") } else { Rate::NEVER }
}
