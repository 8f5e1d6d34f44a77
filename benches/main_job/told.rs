//! What it costs the pace to tell others meanwhile: notifications to a receiver that takes them and
//! to one that hangs, a scrape of the metrics a second, and traces of one change in twenty.
//!
//! The same plan is carried with all of it and with none, in interleaved pairs.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::Uri;
use sealift::api::wire::{Listing, RolloutRow};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::daemon::BenchDaemon;
use crate::emulator::{BenchEmulator, JOB_TIME};
use crate::medians::{Spread, median, number, percent};
use crate::room::BenchFolder;
use crate::settings::BenchSettings;
use crate::table::TableRow;
use crate::{BenchFailure, command, fleet, usage};

const IN_FLIGHT: u32 = 64;

/// Waves of the plan: each of them is told when it begins and when it is done.
const WAVES: u32 = 20;

/// How often the metrics are read.
const SCRAPE_EVERY: f64 = 1.0;

/// How often the server is asked whether all is done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A run that takes longer has gone wrong.
const SECONDS_MAX: f64 = 600.0;

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TellingCost {
    changes: u32,
    /// Interleaved pairs: with all of it, and with none.
    pairs: Vec<[TellingRun; 2]>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct TellingRun {
    changes_per_second: f64,
    notifications: u64,
    requests_of_traces: u64,
    scrapes: u64,
}

/// Takes whatever it is sent, and counts it; beside it a receiver that never answers.
struct Listeners {
    port: u16,
    hangs: TcpListener,
    notifications: Arc<AtomicU64>,
    traces: Arc<AtomicU64>,
    _runtime: Runtime,
}

impl Listeners {
    fn start() -> Result<Self, BenchFailure> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (notifications, traces) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let counts = (notifications.clone(), traces.clone());
        let router = Router::new().fallback(move |uri: Uri| {
            let of = if uri.path() == "/hook" { &counts.0 } else { &counts.1 };
            of.fetch_add(1, Ordering::Relaxed);
            std::future::ready(StatusCode::OK)
        });
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(async move { axum::serve(listener, router).await });
        let hangs = TcpListener::bind(("127.0.0.1", 0))?;
        Ok(Self { port, hangs, notifications, traces, _runtime: runtime })
    }

    /// Adds them to a configuration.
    fn configure(&self, dir: &Path, config: &Path) -> Result<(), BenchFailure> {
        let hangs = self.hangs.local_addr()?.port();
        for (name, port) in [("takes", self.port), ("hangs", hangs)] {
            fleet::write_secret(
                &dir.join(format!("{name}.url")),
                &format!("http://127.0.0.1:{port}/hook"),
            )?;
        }
        fleet::write_secret(&dir.join("key"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
        let on = "on: [submitted, started, wave_done, completed]";
        let receiver = |name: &str| {
            format!(
                "  - {{name: {name}, url: {{file: {name}.url}}, secret: {{file: key}}, {on}}}\n"
            )
        };
        let text = format!(
            "notify:\n{}{}traces: {{url: \"http://127.0.0.1:{}/v1/traces\", share: 5%}}\n",
            receiver("takes"),
            receiver("hangs"),
            self.port
        );
        std::fs::OpenOptions::new().append(true).open(config)?.write_all(text.as_bytes())?;
        Ok(())
    }
}

pub fn measure(settings: &BenchSettings) -> Result<TellingCost, BenchFailure> {
    let (changes, count) = if settings.short { (10_000, 1) } else { (30_000, 5) };
    let mut pairs = Vec::new();
    for pair in 0..count {
        eprintln!("telling: pair {} of {count}", pair + 1);
        // Whoever always came first would always meet the coolest processor.
        let order = if pair % 2 == 0 { [true, false] } else { [false, true] };
        let mut runs = order.map(|tells| (tells, run(settings, changes, tells)));
        runs.sort_by_key(|(tells, _)| !tells);
        let [(_, with), (_, without)] = runs;
        pairs.push([with?, without?]);
    }
    Ok(TellingCost { changes, pairs })
}

fn run(settings: &BenchSettings, changes: u32, tells: bool) -> Result<TellingRun, BenchFailure> {
    let room = BenchFolder::make(&settings.dir)?;
    let size = changes / WAVES;
    let waves = (1..WAVES).map(|wave| format!("{{name: w{wave}, size: {size}}}"));
    let waves: Vec<String> = waves.chain(["{name: rest, size: rest}".to_owned()]).collect();
    let waves = format!("  waves: [{}]\n", waves.join(", "));
    let plan = fleet::write_plan(room.path(), changes, IN_FLIGHT, &waves, "")?;
    let emulator = BenchEmulator::start(changes, JOB_TIME)?;
    let config = BenchDaemon::configure(room.path(), &emulator.endpoint, IN_FLIGHT)?;
    let listeners = Listeners::start()?;
    if tells {
        listeners.configure(room.path(), &config)?;
    }
    let mut daemon = BenchDaemon::start(&config)?;
    daemon.ready()?;
    command::run(&config, &["apply", "--yes", "--detach", &plan.display().to_string()])?;
    let scrapes = follow(&daemon, &emulator, tells)?;
    let arrivals = emulator.arrivals()?;
    let [Some(first), Some(last)] = [arrivals.first(), arrivals.last()] else {
        return Err("no call arrived".into());
    };
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let run = TellingRun {
        changes_per_second: f64::from(changes) / ((last - first) as f64 / 1e9),
        notifications: count(&listeners.notifications),
        requests_of_traces: count(&listeners.traces),
        scrapes,
    };
    let told = [run.notifications, run.requests_of_traces, run.scrapes];
    if told.iter().any(|count| (*count > 0) != tells) {
        return Err(format!("what was told is not what was asked for: {run:?}").into());
    }
    Ok(run)
}

/// Reads the metrics, if it shall, until the rollout is completed; tells how often.
fn follow(
    daemon: &BenchDaemon,
    emulator: &BenchEmulator,
    scrapes: bool,
) -> Result<u64, BenchFailure> {
    let (begun, mut count) = (usage::now(), 0);
    loop {
        let counted = emulator.counted()?;
        if counted.ssl_on > 0 && scrapes && usage::since(begun) >= count as f64 * SCRAPE_EVERY {
            daemon.answers_in("/metrics")?;
            count += 1;
        }
        let Listing::<RolloutRow> { rows, .. } = daemon.get("/v1/rollouts")?;
        match rows.first() {
            Some(row) if row.phase == "completed" && counted.repeated == 0 => return Ok(count),
            _ if usage::since(begun) > SECONDS_MAX => {
                return Err(format!("it does not end: {rows:?}, {counted:?}").into());
            }
            Some(_) | None => std::thread::sleep(LOOK_EVERY),
        }
    }
}

impl TellingCost {
    pub fn rows(&self) -> Vec<TableRow> {
        let ratio = |[with, without]: &[TellingRun; 2]| {
            with.changes_per_second / without.changes_per_second
        };
        let Some(spread) = Spread::of(self.pairs.iter().map(ratio)) else { return Vec::new() };
        let each = |of: fn(&TellingRun) -> f64| {
            number(median(self.pairs.iter().map(|[with, _]| of(with))).unwrap_or(f64::NAN))
        };
        let what = format!(
            "changes a second of {}, {} pairs, {} to {}",
            number(self.changes.into()),
            self.pairs.len(),
            percent(spread.low),
            percent(spread.high)
        );
        vec![
            TableRow::heading("Two receivers (one hangs), a scrape a second, 5 % traces"),
            TableRow::new(what, format!("{}/s", each(|run| run.changes_per_second)))
                .to(percent(spread.median), "without")
                .aim("97 %"),
            TableRow::new("notifications that were taken", each(|run| run.notifications as f64)),
            TableRow::new("requests with traces", each(|run| run.requests_of_traces as f64)),
            TableRow::new("scrapes", each(|run| run.scrapes as f64)),
        ]
    }
}
