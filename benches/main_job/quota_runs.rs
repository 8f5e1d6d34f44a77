//! Runs at a quota, judged by what arrived at the server: how much of it is used, whether ever
//! more, how soon after a window's opening, and how long a rollout in waves takes beside what
//! cannot be done faster.

use std::time::Duration;

use jiff::Timestamp;
use sealift::domain::quota::Quota;
use serde::{Deserialize, Serialize};

use crate::bound::bound;
use crate::busy::{self, Busy};
use crate::child::Child;
use crate::emulator::BenchEmulator;
use crate::medians::{number, percent, span};
use crate::room::BenchFolder;
use crate::settings::BenchSettings;
use crate::table::TableRow;
use crate::{BenchFailure, carry, fleet};

/// How long a job takes here: long enough that it must be waited for.
const JOB_TIME: Duration = Duration::from_secs(1);

/// Calls of a change that none can be without: the look before, the switch, the look after.
const CALLS_LEAST: u32 = 3;

/// Of each minute of the run with windows, so many seconds are open.
const OPEN_SECONDS: u32 = 20;

/// Before an opening nothing arrives for so long.
const SHUT: i64 = 10_000_000_000;

/// Shares of the waves.
const WAVES: &str =
    "  waves: [{name: canary, size: 5%}, {name: early, size: 25%}, {name: rest, size: rest}]\n";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Quotas {
    /// While there is work.
    pub used: Vec<QuotaUsage>,
    /// From the opening of a window.
    pub openings: Vec<BenchOpenings>,
    pub rollouts: Vec<Makespan>,
}

/// How a quota was used while there was work.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct QuotaUsage {
    pub quota: Quota,
    pub busy: bool,
    /// Seconds looked at, from the first call on.
    pub seconds: u32,
    /// Calls that arrived in them, as a share of what was allowed.
    pub utilisation: f64,
    /// Most calls that arrived in any half-open interval.
    pub worst: usize,
}

/// First calls after the openings of windows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BenchOpenings {
    pub busy: bool,
    /// Seconds after each opening; below zero: too early.
    pub first_calls: Vec<f64>,
}

/// A rollout in waves.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Makespan {
    pub quota: Quota,
    pub busy: bool,
    pub changes: u32,
    /// From the first call's arrival to the last one's.
    pub seconds: f64,
    /// What it cannot be faster than.
    pub bound: f64,
}

pub fn measure(settings: &BenchSettings) -> Result<Quotas, BenchFailure> {
    let mut quotas = Quotas { used: Vec::new(), openings: Vec::new(), rollouts: Vec::new() };
    let hosts: &[bool] = if settings.short { &[false] } else { &[false, true] };
    for busy in hosts.iter().copied() {
        for (quota, seconds) in settings.quotas() {
            quotas.used.push(used(settings, quota, seconds, busy)?);
        }
        let quota = Quota { requests: 100, per: Duration::from_secs(1) };
        quotas.rollouts.push(rollout(settings, quota, busy)?);
        if settings.openings() > 0 {
            quotas.openings.push(openings(settings, quota, busy)?);
        }
    }
    Ok(quotas)
}

fn host(busy: bool) -> String {
    if busy { format!(", beside {} spinning processes", busy::PROCESSES) } else { String::new() }
}

fn named(quota: Quota) -> String {
    match quota.per.as_secs() {
        1 => format!("{} calls a second", number(f64::from(quota.requests))),
        per => format!("{} calls in {}", quota.requests, span(per as f64)),
    }
}

/// A whole rollout at a quota; when it began at the server, and its arrivals in nanoseconds after
/// that.
fn run(
    settings: &BenchSettings,
    quota: Quota,
    busy: bool,
    changes: u32,
    waves: &str,
    more: &str,
) -> Result<(Timestamp, Vec<u64>), BenchFailure> {
    let room = BenchFolder::make(&settings.dir)?;
    let emulator = BenchEmulator::start(changes, JOB_TIME)?;
    // Twice what is in flight at this pace, so that it is never what bounds.
    let pace = f64::from(quota.requests) / quota.per.as_secs_f64() / f64::from(CALLS_LEAST);
    let in_flight = (pace * JOB_TIME.as_secs_f64() * 2.0) as u32 + 50;
    fleet::write_plan(room.path(), changes, in_flight, waves, more)?;
    let _busy = if busy { Some(Busy::begin()?) } else { None };
    let (endpoint, dir) = (emulator.endpoint.clone(), room.path().to_owned());
    let task = carry::CarryTask {
        endpoint,
        dir,
        changes,
        in_flight,
        quota: Some(quota),
        poll: JOB_TIME / 4,
    };
    let told: carry::CarryReport = Child::start(carry::ROLE, &task)?.result()?;
    let counted = emulator.counted()?;
    emulator.agrees(changes, told.succeeded, told.calls)?;
    Ok((counted.began, emulator.arrivals()?))
}

fn used(
    settings: &BenchSettings,
    quota: Quota,
    seconds: u32,
    busy: bool,
) -> Result<QuotaUsage, BenchFailure> {
    eprintln!("{seconds} s at {}{}", named(quota), host(busy));
    // Work for a little longer than is looked at.
    let per = u32::try_from(quota.per.as_secs())?;
    let changes = quota.requests * (seconds + seconds / 10 + 2) / per / CALLS_LEAST;
    let (_, arrivals) = run(settings, quota, busy, changes, "", "")?;
    Ok(judge(&arrivals, quota, seconds, busy))
}

fn judge(arrivals: &[u64], quota: Quota, seconds: u32, busy: bool) -> QuotaUsage {
    let first = arrivals.first().copied().unwrap_or(0);
    let within = arrivals.partition_point(|at| *at < first + u64::from(seconds) * 1_000_000_000);
    let per = quota.per.as_nanos() as u64;
    let worst = arrivals
        .iter()
        .enumerate()
        .map(|(place, at)| arrivals.partition_point(|other| *other < at + per) - place);
    let allowed = f64::from(quota.requests) * f64::from(seconds) / quota.per.as_secs_f64();
    QuotaUsage {
        quota,
        busy,
        seconds,
        utilisation: within as f64 / allowed,
        worst: worst.max().unwrap_or(0),
    }
}

fn openings(
    settings: &BenchSettings,
    quota: Quota,
    busy: bool,
) -> Result<BenchOpenings, BenchFailure> {
    let wanted = settings.openings();
    eprintln!("{wanted} openings of a window, one a minute{}", host(busy));
    let more =
        format!("windows: [{{cron: \"* * * * *\", duration: {OPEN_SECONDS}s, time_zone: UTC}}]\n");
    // Work for all of them, the one that may be open at the start, and a part of the last.
    let changes = quota.requests * OPEN_SECONDS / CALLS_LEAST * wanted;
    let (began, arrivals) = run(settings, quota, busy, changes, "", &more)?;
    let began = i64::try_from(began.as_nanosecond())?;
    let minute = 60_000_000_000;
    let mut first_calls = Vec::new();
    for pair in arrivals.windows(2) {
        let (before, at) = (began + i64::try_from(pair[0])?, began + i64::try_from(pair[1])?);
        if at - before > SHUT {
            // The opening is the minute nearest to the call.
            let opening = (at + minute / 2).div_euclid(minute) * minute;
            first_calls.push((at - opening) as f64 / 1e9);
        }
    }
    Ok(BenchOpenings { busy, first_calls })
}

fn rollout(settings: &BenchSettings, quota: Quota, busy: bool) -> Result<Makespan, BenchFailure> {
    let seconds = settings.rollout_seconds();
    eprintln!("a rollout in waves of about {seconds} s at {}{}", named(quota), host(busy));
    let changes = quota.requests * seconds / u32::try_from(quota.per.as_secs())? / CALLS_LEAST;
    let (_, arrivals) = run(settings, quota, busy, changes, WAVES, "")?;
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
        return Err("no call arrived".into());
    };
    // As the plan rounds: shares up, the rest to the last wave.
    let (canary, early) = (changes.div_ceil(20), changes.div_ceil(4));
    let waves = [canary, early, changes - canary - early];
    Ok(Makespan {
        quota,
        busy,
        changes,
        seconds: (last - first) as f64 / 1e9,
        bound: bound(quota, JOB_TIME, &waves),
    })
}

impl Quotas {
    pub fn rows(&self) -> Vec<TableRow> {
        let mut rows = vec![TableRow::heading("At a quota, in the server's own log")];
        for QuotaUsage { quota, busy, seconds, utilisation, worst } in &self.used {
            let what = format!("{}{}", named(*quota), host(*busy));
            let used = format!("{:.1} %", utilisation * 100.0);
            rows.push(
                TableRow::new(format!("{what}: used in {seconds} s"), used.clone())
                    .to(used, "allowed")
                    .aim("98 %, 99.5 %"),
            );
            let share = percent(*worst as f64 / f64::from(quota.requests));
            let most = format!("at most {}", quota.requests);
            rows.push(
                TableRow::new(format!("{what}: most in any interval"), worst.to_string())
                    .to(share, "allowed")
                    .aim(most),
            );
        }
        for Makespan { quota, busy, changes, seconds, bound } in &self.rollouts {
            let what = format!(
                "{} changes in three waves, {}{}",
                number(f64::from(*changes)),
                named(*quota),
                host(*busy)
            );
            let ratio = format!("{:.1} %", seconds / bound * 100.0);
            rows.push(
                TableRow::new(what, span(*seconds))
                    .to(ratio, format!("bound, {}", span(*bound)))
                    .aim("103 %"),
            );
        }
        for BenchOpenings { busy, first_calls } in &self.openings {
            let worst = first_calls.iter().copied().fold(f64::NAN, f64::max);
            let what = format!(
                "first call after an opening, worst of {}{}",
                first_calls.len(),
                host(*busy)
            );
            rows.push(TableRow::new(what, format!("{:.1} ms", worst * 1e3)).aim("50 ms"));
        }
        rows
    }
}
