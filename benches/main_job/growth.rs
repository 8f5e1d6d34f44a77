//! How the cost grows with the fleet: the shipped binary at several sizes, from `sealift apply` to
//! the last change.
//!
//! The first wave is one proxy, and a person lets the rest begin; so there is a moment at which all
//! but one are queued and nothing moves. Then listings are asked for, the rest is begun and the
//! daemon killed at once, and what the next one does is watched from the server's own log.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use sealift::api::wire::{DaemonDoc, Listing, RolloutRow};
use sealift::clock::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

use crate::command::{self, CommandUsage};
use crate::daemon::BenchDaemon;
use crate::emulator::{BenchEmulator, JOB_TIME};
use crate::medians::{number, percent, span};
use crate::room::BenchFolder;
use crate::settings::BenchSettings;
use crate::table::TableRow;
use crate::{BenchFailure, fleet, usage};

const IN_FLIGHT: u32 = 64;

/// One proxy, then a person.
const WAVES: &str =
    "  waves: [{name: first, size: 1, promote: manual}, {name: rest, size: rest}]\n";

/// What is asked for while all are queued: the status, and the first page of every listing.
const QUESTIONS: [(&str, &str); 6] = [
    ("status", "/v1/rollouts/bench"),
    ("list", "/v1/rollouts"),
    ("changes", "/v1/rollouts/bench/changes"),
    ("jobs", "/v1/rollouts/bench/jobs"),
    ("journal", "/v1/rollouts/bench/journal"),
    ("daemon", "/v1/daemon"),
];

/// How often each is asked for.
const ASKED: usize = 11;

/// From the promotion to the kill: a few dozen changes are on their way.
const UNTIL_KILL: Duration = Duration::from_millis(20);

/// How often the daemon is asked whether it is so far.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Without any progress for so many seconds something is wrong.
const STANDSTILL_MAX: f64 = 120.0;

/// All sizes, smallest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrowthTable {
    /// One for each size.
    pub sizes: Vec<SizeFigures>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SizeFigures {
    /// Changes of the plan.
    pub changes: u32,
    /// `sealift apply --detach`.
    pub apply: CommandUsage,
    /// Processor seconds of the daemon meanwhile.
    pub apply_daemon_cpu_seconds: f64,
    /// Most memory of the daemon by then, in MiB.
    pub apply_daemon_memory_peak_mib: f64,
    /// Bytes on disk with all queued.
    pub queued: Bytes,
    /// Seconds of each answer with all queued: the median, and the longest.
    pub answers: BTreeMap<String, [f64; 2]>,
    /// The whole listing of changes with all queued, as CSV.
    pub listed: CommandUsage,
    /// From SIGKILL to the next call at the server, in seconds.
    pub first_call_after_kill: f64,
    /// What that daemon carried.
    pub carried: Carried,
    /// Bytes on disk at the end.
    pub ended: Bytes,
}

/// What the daemon after the kill did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Carried {
    pub changes: u32,
    /// From its first call's arrival to the last one's.
    pub seconds: f64,
    /// Its processor seconds, its start included.
    pub cpu_seconds: f64,
    /// Processor microseconds of a change in each quarter of them: what rises within one run is
    /// growth, and not the host.
    #[serde(default)]
    pub cpu_quarters_us: Vec<f64>,
    /// Memory when it was ready and when a quarter, half, three quarters and all were done, in MiB.
    pub memory_mib: Vec<f64>,
    /// Most memory, in MiB.
    pub memory_peak_mib: f64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Bytes {
    pub journal: u64,
    pub queue: u64,
}

pub fn measure(settings: &BenchSettings) -> Result<GrowthTable, BenchFailure> {
    let mut sizes = settings.growth();
    sizes.sort_unstable();
    let sizes = sizes.into_iter().map(|changes| {
        eprintln!("growth: {changes} changes");
        size(settings, changes).map_err(|error| format!("at {changes} changes: {error}").into())
    });
    Ok(GrowthTable { sizes: sizes.collect::<Result<_, BenchFailure>>()? })
}

fn size(settings: &BenchSettings, changes: u32) -> Result<SizeFigures, BenchFailure> {
    let room = BenchFolder::make(&settings.dir)?;
    let plan = fleet::write_plan(room.path(), changes, IN_FLIGHT, WAVES, "")?;
    let emulator = BenchEmulator::start(changes, JOB_TIME)?;
    let config = BenchDaemon::configure(room.path(), &emulator.endpoint, IN_FLIGHT)?;
    let mut daemon = BenchDaemon::start(&config)?;
    daemon.ready()?;

    let cpu = usage::cpu_seconds(daemon.id())?;
    let apply =
        command::run(&config, &["apply", "--yes", "--detach", &plan.display().to_string()])?;
    let apply_daemon_cpu_seconds = usage::cpu_seconds(daemon.id())? - cpu;
    let apply_daemon_memory_peak_mib = usage::memory_peak_mib_of(daemon.id())?;
    until(&daemon, "awaiting")?;

    let queued = bytes(&daemon)?;
    let answers =
        QUESTIONS.iter().map(|(name, path)| Ok(((*name).to_owned(), answers(&daemon, path)?)));
    let answers = answers.collect::<Result<_, BenchFailure>>()?;
    let listed = command::run(&config, &["changes", "bench", "-o", "csv"])?;

    daemon.post("/v1/rollouts/bench/promote")?;
    std::thread::sleep(UNTIL_KILL);
    let killed = SystemClock.times().wall;
    let mut daemon = daemon.kill_and_start()?;
    // What the killed one had sent has arrived by now, and the new one's first call takes longer
    // than this.
    let started = SystemClock.times().wall;
    daemon.ready()?;
    let (first_call, carried) = carried(&daemon, &emulator, started)?;
    let first_call_after_kill = first_call + started.duration_since(killed).as_secs_f64();
    let ended = bytes(&daemon)?;
    drop(daemon);
    Ok(SizeFigures {
        changes,
        apply,
        apply_daemon_cpu_seconds,
        apply_daemon_memory_peak_mib,
        queued,
        answers,
        listed,
        first_call_after_kill,
        carried,
        ended,
    })
}

fn bytes(daemon: &BenchDaemon) -> Result<Bytes, BenchFailure> {
    let DaemonDoc { store, .. } = daemon.get("/v1/daemon")?;
    Ok(Bytes { journal: store.journal_bytes, queue: store.queue_bytes })
}

fn answers(daemon: &BenchDaemon, path: &str) -> Result<[f64; 2], BenchFailure> {
    let mut took = (0..ASKED).map(|_| daemon.answers_in(path)).collect::<Result<Vec<_>, _>>()?;
    took.sort_by(f64::total_cmp);
    Ok([took[ASKED / 2], took[ASKED - 1]])
}

/// The rollout's row in the list. Its own page would do too, but has a forecast made, which costs
/// more than what is measured.
fn row(daemon: &BenchDaemon) -> Result<RolloutRow, BenchFailure> {
    let Listing::<RolloutRow> { rows, .. } = daemon.get("/v1/rollouts")?;
    rows.into_iter().next().ok_or_else(|| "there is no rollout".into())
}

/// Waits until the rollout is in this phase.
fn until(daemon: &BenchDaemon, phase: &str) -> Result<RolloutRow, BenchFailure> {
    let begun = usage::now();
    loop {
        let row = row(daemon)?;
        if row.phase == phase {
            return Ok(row);
        }
        if row.phase == "halted" || usage::since(begun) > STANDSTILL_MAX {
            return Err(format!("the rollout is {} and not {phase}", row.phase).into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Follows the rollout to its end; seconds from the start to the first call, and what was carried.
/// Progress is read at the server, so that the daemon has nothing to do beside its work.
fn carried(
    daemon: &BenchDaemon,
    emulator: &BenchEmulator,
    started: Timestamp,
) -> Result<(f64, Carried), BenchFailure> {
    let begin = row(daemon)?.tally;
    let mut memory_mib = vec![usage::memory_mib_of(daemon.id())?];
    let mut reached = vec![(begin.succeeded.into(), usage::cpu_seconds(daemon.id())?)];
    let mut first_call = None;
    // The server looks at every proxy to answer, so the more there are the rarer it is asked.
    let pause = Duration::from_millis(u64::from(begin.total / 2_000).clamp(5, 500));
    let (mut on, mut moved) = (0, usage::now());
    loop {
        if first_call.is_none() {
            first_call = first_after(emulator, started)?;
        }
        let counted = emulator.counted()?;
        if counted.ssl_on > on {
            (on, moved) = (counted.ssl_on, usage::now());
        }
        let quarters = memory_mib.len() as u32;
        if quarters < 4 && on >= u64::from(begin.total / 4 * quarters) {
            memory_mib.push(usage::memory_mib_of(daemon.id())?);
            reached.push((on, usage::cpu_seconds(daemon.id())?));
        }
        if on >= u64::from(begin.total) {
            break;
        }
        if usage::since(moved) > STANDSTILL_MAX {
            return Err(format!("{on} proxies are switched, and no more are").into());
        }
        std::thread::sleep(pause);
    }
    let end = until(daemon, "completed")?.tally;
    let cpu_seconds = usage::cpu_seconds(daemon.id())?;
    memory_mib.push(usage::memory_mib_of(daemon.id())?);
    reached.push((end.total.into(), cpu_seconds));
    let counted = emulator.counted()?;
    if end.succeeded != begin.total || counted.repeated > 0 {
        return Err(format!("{end:?} was told, and the emulator counted {counted:?}").into());
    }
    let first_call = first_call.ok_or("no call arrived after the start")?;
    let last = emulator.arrivals()?.last().copied().ok_or("no call arrived")?;
    let seconds = since(counted.began, last, started) - first_call;
    let (changes, memory_peak_mib) =
        (begin.total - begin.succeeded, usage::memory_peak_mib_of(daemon.id())?);
    let cpu_quarters_us = reached.windows(2).map(|pair| quarter_us(pair[0], pair[1])).collect();
    Ok((
        first_call,
        Carried { changes, seconds, cpu_seconds, cpu_quarters_us, memory_mib, memory_peak_mib },
    ))
}

/// Processor microseconds of a change between two counts, each with the processor seconds by then.
fn quarter_us((from, before): (u64, f64), (to, after): (u64, f64)) -> f64 {
    (after - before) * 1e6 / (to.saturating_sub(from)).max(1) as f64
}

/// Seconds from `started` to an arrival, which is told in nanoseconds after the server's begin.
fn since(began: Timestamp, arrival: u64, started: Timestamp) -> f64 {
    (began.as_nanosecond() + i128::from(arrival) - started.as_nanosecond()) as f64 / 1e9
}

/// Seconds from the start to the first arrival after it; `None`: none yet.
fn first_after(emulator: &BenchEmulator, started: Timestamp) -> Result<Option<f64>, BenchFailure> {
    let began = emulator.counted()?.began;
    let arrivals = emulator.arrivals()?;
    Ok(arrivals
        .into_iter()
        .map(|arrival| since(began, arrival, started))
        .find(|seconds| *seconds > 0.0))
}

/// How far the points between the first and the last lie off the straight line through these two,
/// at most, as a share.
pub fn off_the_line(points: &[(f64, f64)]) -> Option<f64> {
    let [(x0, y0), between @ .., (x1, y1)] = points else { return None };
    let off = between.iter().map(|(x, y)| {
        let line = y0 + (y1 - y0) * (x - x0) / (x1 - x0);
        (y / line - 1.0).abs()
    });
    off.max_by(f64::total_cmp)
}

/// A cost of one change, and of all; what is read from each size.
type Cost = (&'static str, fn(&SizeFigures) -> f64);

impl SizeFigures {
    /// Microseconds of one change: submitted, by the clock.
    pub fn apply_each(&self) -> f64 {
        self.apply.seconds / f64::from(self.changes) * 1e6
    }

    /// Microseconds of one change: submitted, on the processors of client and daemon.
    pub fn apply_cpu_each(&self) -> f64 {
        (self.apply.cpu_seconds + self.apply_daemon_cpu_seconds) / f64::from(self.changes) * 1e6
    }

    /// Microseconds of one change: carried, by the clock.
    pub fn carry_each(&self) -> f64 {
        self.carried.seconds / f64::from(self.carried.changes) * 1e6
    }

    /// Microseconds of one change: carried, on the processors.
    pub fn carry_cpu_each(&self) -> f64 {
        self.carried.cpu_seconds / f64::from(self.carried.changes) * 1e6
    }

    fn rows(&self) -> Vec<TableRow> {
        let changes = f64::from(self.changes);
        let most = self.changes >= 1_000_000;
        let aimed = |row: TableRow, aim: &str| if most { row.aim(aim) } else { row };
        let apply_cpu = self.apply.cpu_seconds + self.apply_daemon_cpu_seconds;
        let memory = format!(
            "{} MiB and {} MiB",
            number(self.apply.memory_peak_mib),
            number(self.apply_daemon_memory_peak_mib)
        );
        let queued = format!(
            "{} and {} bytes",
            number(self.queued.journal as f64 / changes),
            number(self.queued.queue as f64 / changes)
        );
        let ended = format!(
            "{} and {} bytes",
            number(self.ended.journal as f64 / changes),
            number(self.ended.queue as f64 / changes)
        );
        let asked = |(name, [median, worst]): (&String, &[f64; 2])| {
            let row = TableRow::new(
                format!("{name}, first page: median of {ASKED}; longest"),
                format!("{}; {}", span(*median), span(*worst)),
            );
            aimed(row, "50 ms")
        };
        let memory_mib: Vec<String> =
            self.carried.memory_mib.iter().map(|mib| number(*mib)).collect();
        let mut rows = vec![
            TableRow::heading(format!("{} changes, the shipped binary", number(changes))),
            aimed(TableRow::new("sealift apply --detach", span(self.apply.seconds)), "30 s, 10 s")
                .to(format!("{} µs", number(self.apply_each())), "a change"),
            TableRow::new("… on the processors, client and daemon", span(apply_cpu))
                .to(format!("{} µs", number(self.apply_cpu_each())), "a change"),
            aimed(TableRow::new("… memory of client and daemon at most", memory), "250 MiB"),
            TableRow::new("journal and queue with all queued, a change", queued),
        ];
        rows.extend(self.answers.iter().map(asked));
        let listed =
            format!("{}, {} MiB", span(self.listed.seconds), number(self.listed.memory_peak_mib));
        rows.push(TableRow::new("sealift changes -o csv, all of them; its memory", listed));
        rows.push(aimed(
            TableRow::new(
                "from SIGKILL to the next call at the server",
                span(self.first_call_after_kill),
            ),
            "2 s, 0.5 s",
        ));
        rows.push(
            TableRow::new("carried", span(self.carried.seconds))
                .to(format!("{} µs", number(self.carry_each())), "a change"),
        );
        let cpu = TableRow::new("… on the processors", span(self.carried.cpu_seconds));
        rows.push(cpu.to(format!("{} µs", number(self.carry_cpu_each())), "a change"));
        let quarters: Vec<String> =
            self.carried.cpu_quarters_us.iter().map(|us| number(*us)).collect();
        if !quarters.is_empty() {
            rows.push(TableRow::new(
                "… on the processors, a change of each quarter",
                format!("{} µs", quarters.join(", ")),
            ));
        }
        rows.push(TableRow::new(
            "… memory at 0, 1/4, 1/2, 3/4 and all of it",
            format!("{} MiB", memory_mib.join(", ")),
        ));
        rows.push(TableRow::new(
            "… memory at most",
            format!("{} MiB", number(self.carried.memory_peak_mib)),
        ));
        rows.push(TableRow::new("journal and queue at the end, a change", ended));
        rows
    }
}

impl GrowthTable {
    pub fn rows(&self) -> Vec<TableRow> {
        let mut rows: Vec<TableRow> = self.sizes.iter().flat_map(SizeFigures::rows).collect();
        let costs: [Cost; 6] = [
            ("time of the submission", |size| size.apply.seconds),
            ("processor time of the submission", |size| {
                size.apply.cpu_seconds + size.apply_daemon_cpu_seconds
            }),
            ("memory of the submission", |size| {
                size.apply_daemon_memory_peak_mib.max(size.apply.memory_peak_mib)
            }),
            ("time of the carrying", |size| size.carry_each() * f64::from(size.changes)),
            ("processor time of the carrying", |size| {
                size.carry_cpu_each() * f64::from(size.changes)
            }),
            ("memory of the carrying", |size| size.carried.memory_peak_mib),
        ];
        let mut lines = costs.into_iter().filter_map(|(what, cost)| {
            let points: Vec<(f64, f64)> =
                self.sizes.iter().map(|size| (f64::from(size.changes), cost(size))).collect();
            let off = off_the_line(&points)?;
            Some(
                TableRow::new(format!("{what}: off the line at most"), percent(off))
                    .to(percent(off), "straight line")
                    .aim("20 %"),
            )
        });
        if let Some(first) = lines.next() {
            rows.push(TableRow::heading("Growth, from the smallest to the largest"));
            rows.push(first);
            rows.extend(lines);
        }
        rows
    }
}
