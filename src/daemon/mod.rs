//! The daemon: wires the parts, listens to signals, tells the supervisor, and drains.
//!
//! Invariants: ready is said after the store is open and one pass is done; on SIGTERM or SIGINT no
//! new call starts, and the calls that are out get a bounded time to come back; a part that ends by
//! itself ends the process with an error, so that it is started again; a panic ends the process at
//! once, because state behind it is not to be trusted.
//!
//! Deliberately not here: any decision about plans and changes.

mod beats;
mod clock_log;
mod core_dumps;
mod demo;
mod journald;
mod levels;
mod logs;
mod parts;
mod plans;
mod stop_file;
mod store;
mod supervisor;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::Callers;
use crate::cli::args::ServeArgs;
use crate::cli::{Exit, ExitFailure, Reach, configuration};
use crate::config::{self, Config, PATH_DEFAULT};
use crate::domain::id::Name;
use crate::domain::lane::{self, Lane};
use crate::domain::quota::Quota;
use crate::engine::Handle;
use crate::yaml::length::Length;
use parts::{DaemonSetup, DrainOutcome, RunningParts};
use store::StoreSetup;

pub use demo::demo;

/// Time for a drain beside the longest call that may be out; the unit's `TimeoutStopSec` is longer.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);

/// Longest drain, whatever the lanes allow a call: what is out then is looked up at the next start.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// `serve`: runs until it is told to end.
pub async fn serve(args: &ServeArgs, reach: &Reach) -> Result<Exit> {
    logs::start(args.log_format, &args.log)?;
    core_dumps::forbid();
    let config = configuration(reach)?;
    configured(&config)?;
    warn(&config);
    let mut signals = Signals::new()?;
    abort_on_panic();
    let state = config::state_dir(config.store.folder());
    let stop = stop_file::look(&state);
    stop.iter().for_each(stop_file::warn);
    let mut config = config;
    let (faults, told) = watch::channel(Vec::new());
    let callers = Callers::new(config.people.clone());
    let mut parts = RunningParts::start(DaemonSetup {
        store: StoreSetup::of(&config.store, config.daemon.as_ref())?,
        state: state.clone(),
        socket: config.socket.clone(),
        door: config.door.clone(),
        traces: config.traces.clone(),
        callers: callers.clone(),
        lanes: config.lanes.clone(),
        notify: config.notify.clone(),
        stop: stop.clone(),
        plans: told,
    })
    .await?;
    parts.first_pass().await?;
    supervisor::ready();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        socket = %config.socket.display(),
        store = %config.store,
        plans = %config.plans.display(),
        lanes = config.lanes.len(),
        stop_file = %config::stop_file(config.store.folder()).display(),
        "ready"
    );
    let (folder, watched) = watch::channel(config.plans.clone());
    let lanes = lane::reached(&config.lanes);
    let receivers = config.notify.iter().map(|receiver| receiver.name.clone()).collect();
    // These three end with the runtime: none of them holds anything that must be put away.
    tokio::spawn(plans::watch(
        watched,
        lanes,
        receivers,
        parts.store.clone(),
        parts.handle.clone(),
        callers,
        faults,
    ));
    tokio::spawn(stop_file::watch(state, parts.handle.clone(), stop));
    tokio::spawn(supervisor::watch(parts.handle.snapshot()));
    tokio::spawn(clock_log::follow(parts.handle.snapshot()));
    loop {
        let asked = tokio::select! {
            biased;
            asked = signals.next() => asked,
            error = parts.ended() => {
                tracing::error!("{error:#}");
                return Err(error);
            }
        };
        match asked {
            SignalRequest::End(name) => {
                tracing::info!(
                    signal = name,
                    "ending: nothing new begins, calls that are out are waited for"
                );
                break;
            }
            SignalRequest::Reload => reload(reach, &mut config, &folder, &parts.handle).await,
        }
    }
    end(parts, signals).await
}

/// Without a file there is no lane, so nothing to do; and a store in the default place is hardly
/// what was meant.
fn configured(config: &Config) -> Result<()> {
    if config.file.is_some() {
        return Ok(());
    }
    let message = format!(
        "there is no configuration: {PATH_DEFAULT} does not exist, and neither --config nor SEALIFT_CONFIG names another; `sealift init` \
         writes a first one"
    );
    Err(ExitFailure::new(Exit::Error, message).into())
}

async fn end(parts: RunningParts, mut signals: Signals) -> Result<Exit> {
    let deadline = (parts.longest_call() + DRAIN_MARGIN).min(DRAIN_MAX);
    supervisor::stopping(deadline + DRAIN_MARGIN);
    let hurry = CancellationToken::new();
    let hurried = hurry.clone();
    tokio::spawn(async move {
        while let SignalRequest::Reload = signals.next().await {}
        tracing::warn!(
            "asked twice: not waiting for calls that are out; the next start looks them up"
        );
        hurried.cancel();
    });
    match parts.drain(deadline, hurry).await? {
        DrainOutcome::Whole => tracing::info!("ended; every call that was out came back"),
        DrainOutcome::Late => {
            tracing::warn!("ended with calls still out; the next start looks them up")
        }
    }
    Ok(Exit::Done)
}

fn warn(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{}", crate::api::preview::warning(warning));
    }
    for shared in &config.shared {
        tracing::error!(
            "{}; the first of them goes on, the other's switches are held",
            crate::api::preview::warning(shared)
        );
    }
    match &config.file {
        Some(file) => tracing::info!(file = %file.display(), "configuration"),
        None => tracing::warn!("there is no configuration file; defaults are used"),
    }
    if config.lanes.is_empty() {
        tracing::warn!("no lane is configured: every plan will be refused until `lanes` names one");
    }
}

/// Reads the configuration again. The plans folder and the quotas change at once and every plan is
/// looked at anew; what else the parts were started with stays until a restart, and is named. With
/// a mistake anywhere in it nothing changes.
async fn reload(
    reach: &Reach,
    running: &mut Config,
    folder: &watch::Sender<PathBuf>,
    handle: &Handle,
) {
    supervisor::reloading();
    match configuration(reach) {
        Err(mistakes) => tracing::error!(
            "the configuration has mistakes; the one that was read before stays in force\n{mistakes}"
        ),
        Ok(config) => {
            warn(&config);
            let quotas = changed_quotas(&mut running.lanes, &config.lanes);
            for (name, quota) in &quotas {
                let quota = quota.map_or_else(
                    || "none".to_owned(),
                    |quota| format!("{} every {}", quota.requests, Length::from(quota.per)),
                );
                tracing::info!(lane = %name, quota, "the quota has changed; what was sent before counts, and the old one holds on for an interval");
            }
            handle.change_quotas(quotas).await;
            for (what, changed) in [
                ("daemon", config.daemon != running.daemon),
                ("store", config.store != running.store),
                ("api.socket", config.socket != running.socket),
                ("api.people", config.people != running.people),
                ("api.listen, or what belongs to it,", config.door != running.door),
                ("traces", config.traces != running.traces),
                ("lanes", config.lanes != running.lanes),
                ("notify", config.notify != running.notify),
            ] {
                if changed {
                    tracing::warn!(
                        "{what} has changed; restart the daemon for it (what runs is adopted)"
                    );
                }
            }
            folder.send_replace(config.plans.clone());
            tracing::info!(plans = %config.plans.display(), "configuration and plans are read again");
        }
    }
    supervisor::ready();
}

/// The quotas of the lanes that are otherwise as they were, as far as they differ; they are written
/// into `running`. A lane that has changed in anything else is another one until a restart.
fn changed_quotas(running: &mut [Lane], read: &[Lane]) -> Vec<(Name, Option<Quota>)> {
    let mut changed = Vec::new();
    for lane in running {
        let same = |other: &&Lane| Lane { quota: lane.quota, ..(*other).clone() } == *lane;
        if let Some(other) = read.iter().find(same)
            && other.quota != lane.quota
        {
            lane.quota = other.quota;
            changed.push((lane.name.clone(), other.quota));
        }
    }
    changed
}

/// State behind a panic is not to be trusted: the process ends at once, and the next start adopts
/// what was going on. The store's own threads are left alone: they catch a panic, take it for
/// damage of the queue, and fail the store.
fn abort_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if !std::thread::current().name().is_some_and(|name| name.starts_with("store-")) {
            std::process::abort();
        }
    }));
}

/// What a signal asks for.
enum SignalRequest {
    End(&'static str),
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => SignalRequest::End("SIGTERM"),
            _ = self.interrupt.recv() => SignalRequest::End("SIGINT"),
            _ = self.hangup.recv() => SignalRequest::Reload,
        }
    }
}
