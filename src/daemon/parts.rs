//! The running parts: store, cloud, engine and API, started in this order and ended in the reverse.
//!
//! Invariants: the socket, and the door on the network, appear only after the store is locked and
//! open; when one part ends by itself the process cannot go on, and [`RunningParts::ended`] says
//! why; a drain begins nothing new and waits a bounded time for calls that are out.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::beats::Beats;
use super::levels::Levels;
use super::stop_file;
use super::store::{StartedStore, StoreSetup};
use crate::api::wire::PlanFault;
use crate::api::{self, Api, Callers, Doors, NetworkDoor, Switches};
use crate::clock::{Clock, SystemClock};
use crate::cloud::http::HttpCloud;
use crate::config::{DoorConfig, TracesConfig};
use crate::domain::lane::Lane;
use crate::domain::notify::Receiver;
use crate::domain::stop::StopFile;
use crate::engine::enforce::Enforcer;
use crate::engine::{self, Handle, Level, Options};
use crate::metrics::{CallTallies, CountedCloud, Metrics};
use crate::notify::{self, Notifier, NotifySetup};
use crate::page;
use crate::probe::{Probe, Prober};
use crate::store::Unavailable;
use crate::store::running::RunningStore;
use crate::traces;

/// What the parts need to know.
pub struct DaemonSetup {
    pub store: StoreSetup,
    /// The state directory: the spool and the kill-switch file are in it.
    pub state: PathBuf,
    pub socket: PathBuf,
    /// How the API is reached beside it.
    pub door: DoorConfig,
    /// Where traces are sent, if they are.
    pub traces: Option<TracesConfig>,
    /// Who may do what there.
    pub callers: Callers,
    pub lanes: Vec<Lane>,
    /// Who is told what happens.
    pub notify: Vec<Receiver>,
    /// The kill-switch file, if it is there already.
    pub stop: Option<StopFile>,
    /// What the plans folder holds that was not taken.
    pub plans: watch::Receiver<Vec<PlanFault>>,
}

pub struct RunningParts {
    /// Speaks to the engine.
    pub handle: Handle,
    pub store: Arc<dyn RunningStore>,
    failed: watch::Receiver<Option<String>>,
    engine: JoinHandle<Result<Vec<Level>, Unavailable>>,
    server: JoinHandle<std::io::Result<()>>,
    enforced: JoinHandle<Result<(), Unavailable>>,
    /// Heartbeats; without end where the store is nobody else's.
    beats: JoinHandle<Result<()>>,
    /// Has the lanes given up, where others may take them.
    leave: Option<CancellationToken>,
    stop: CancellationToken,
    longest_call: Duration,
    levels: Levels,
}

/// How a drain ended.
#[derive(Debug, PartialEq, Eq)]
pub enum DrainOutcome {
    /// Every call that was out came back.
    Whole,
    /// The deadline came first; what was out is looked up at the next start.
    Late,
}

impl RunningParts {
    pub async fn start(setup: DaemonSetup) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let cloud = Arc::new(HttpCloud::new(&setup.lanes, &clock)?);
        std::fs::create_dir_all(&setup.state).with_context(|| {
            format!("cannot make the state directory {}", setup.state.display())
        })?;
        let levels = Levels::of(&setup.state, clock.clone());
        let doors = Doors::open(&setup.door, &setup.state, setup.callers, clock.clone())?
            .with_page(page::answers());
        let left = levels.read();
        let StartedStore { store, new, run } = setup.store.start().await?;
        let mut beats = Beats::of(store.clone(), run, &setup.lanes, clock.clone());
        if let Some(beats) = &mut beats {
            beats.enter().await?;
        }
        let failed = store.failed();
        if let Some(rebuilt) = store.health().rebuilt {
            tracing::error!(
                rebuilt,
                "the queue was damaged; it was set aside and built anew from the journal"
            );
        }
        let socket = api::bind(&setup.socket)?;
        let network = NetworkDoor::open(&setup.door, &doors)?;
        if let Some(network) = &network {
            tracing::info!(listen = %network.url(), tokens = setup.door.tokens_file.is_some(), "the API listens on the network too");
        }
        let socket = socket.beside(network, doors.clone());
        let longest_call =
            setup.lanes.iter().map(|lane| lane.call_timeout).max().unwrap_or_default();
        let lanes: Arc<[Lane]> = setup.lanes.into();
        if !levels.knows_boot() && lanes.iter().any(|lane| lane.quota.is_some()) {
            tracing::warn!(
                "this machine does not tell which boot it is: the next start takes the quotas for spent, however this one ends"
            );
        }
        // Nobody called before where there was neither a store nor a level, or never a lane. An
        // imported store was another daemon's a moment ago.
        let import = store.fresh_import();
        let used = !levels.no_lane_yet() && (left.is_some() || !new);
        let quota_spent = import.is_some() || used || beats.is_some();
        let shared = beats.is_some();
        let left = match import {
            // What a lane was used for is its keepers' to know, whoever they were.
            _ if shared => Vec::new(),
            Some(import) => {
                tracing::warn!("{import}");
                Vec::new()
            }
            None => left.unwrap_or_default(),
        };
        // Before anything moves: a receiver that is new is told what happens from now on.
        let notifier = match setup.notify.is_empty() {
            true => {
                notify::forget(&setup.state);
                None
            }
            false => Some(Arc::new(Notifier::open(NotifySetup {
                receivers: setup.notify,
                store: store.clone(),
                store_id: store.id().to_owned(),
                state: setup.state.clone(),
                origin: setup.door.origin.clone(),
                clock: clock.clone(),
            })?)),
        };
        let options = Options { lanes: lanes.to_vec(), quota_spent, levels: left };
        let probe: Arc<dyn Probe> = Arc::new(Prober::new(clock.clone()));
        let switches = Switches::open(setup.state.clone())?;
        let calls = Arc::<CallTallies>::default();
        let counted = Arc::new(CountedCloud::new(cloud, clock.clone(), calls.clone()));
        let levels_kept = Arc::new(levels.clone());
        let (of_store, of_probe, of_clock) = (store.clone(), probe.clone(), clock.clone());
        let (handle, engine) = match shared {
            false => {
                let (handle, engine) =
                    engine::start(of_store, counted, of_probe, of_clock, levels_kept, options);
                (handle, engine.boxed())
            }
            true => {
                let (handle, engine) = engine::start_beside_others(
                    of_store,
                    counted,
                    of_probe,
                    of_clock,
                    levels_kept,
                    options,
                );
                (handle, engine.boxed())
            }
        };
        // Told before the first pass: a restart under the kill switch sends nothing.
        handle.stop_file(setup.stop).await;
        let off = switches.off().await;
        if let Some(mark) = &off.stopped {
            tracing::warn!(
                by = mark.by,
                reason = mark.reason,
                "everything is stopped: nothing that changes anything is sent until `sealift start`"
            );
        }
        handle.stopped(off.stopped).await;
        for (lane, mark) in &off.paused {
            tracing::warn!(%lane, by = mark.by, reason = mark.reason, "the lane is paused: nothing that changes anything is sent over it");
        }
        handle
            .lanes_paused(off.paused.into_iter().map(|(lane, mark)| (lane, Some(mark))).collect())
            .await;
        let state = setup.state.clone();
        handle.look_for_stop(Box::new(move || stop_file::look(&state)));
        let stop = CancellationToken::new();
        let spool = setup.state.join(api::SPOOL);
        let enforcer = Enforcer::new(store.clone(), handle.clone(), clock.clone());
        let api = Api::new(
            handle.clone(),
            store.clone(),
            probe,
            clock.clone(),
            lanes,
            switches,
            stop.clone(),
        );
        let api = Arc::new(
            api.with_plans(setup.plans)
                .with_doors(doors)
                .with_exporter(store.clone())
                .with_notifier(notifier.clone()),
        );
        api.clear_spool().with_context(|| format!("cannot clear {}", spool.display()))?;
        let engine = tokio::spawn(engine);
        let leave = CancellationToken::new();
        let beats = tokio::spawn(match beats {
            Some(beats) => beats.run(handle.clone(), leave.clone()).boxed(),
            None => pending().boxed(),
        });
        let routes = api::router(api.clone());
        let routes = routes.clone().merge(page::router(api.clone(), routes));
        let routes = Metrics::new(api.clone(), calls).beside(routes);
        let server = tokio::spawn(api::serve(socket, routes, stop.clone()));
        tokio::spawn(async move { api.follow().await });
        if let Some(config) = setup.traces {
            let (store, handle) = (store.clone(), handle.clone());
            // It ends with the runtime: what is not sent is in the journal.
            tokio::spawn(traces::run(config, store, handle, clock.clone(), stop.clone()));
        }
        if let Some(notifier) = notifier {
            let (engine, stop) = (handle.snapshot(), stop.clone());
            tokio::spawn(async move { notifier.run(engine, stop).await });
        }
        let enforced = tokio::spawn(enforcer.run(stop.clone()));
        Ok(Self {
            handle,
            store,
            failed,
            engine,
            server,
            enforced,
            beats,
            leave: shared.then_some(leave),
            stop,
            longest_call,
            levels,
        })
    }

    /// Waits until a first pass is done.
    pub async fn first_pass(&mut self) -> Result<()> {
        let mut snapshot = self.handle.snapshot();
        tokio::select! {
            biased;
            passed = snapshot.wait_for(|snapshot| snapshot.passes > 0) => match passed {
                Ok(_) => Ok(()),
                Err(_) => Err(self.ended().await),
            },
            error = self.ended() => Err(error),
        }
    }

    /// Waits until a part ends by itself, which none should; says why.
    pub async fn ended(&mut self) -> anyhow::Error {
        let store = async {
            match self.failed.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_) => "it is gone".into(),
            }
        };
        tokio::select! {
            biased;
            reason = store => anyhow!("the store has failed: {reason}; nothing was acknowledged after the last sync, start again"),
            engine = &mut self.engine => match engine {
                Ok(Ok(_)) => anyhow!("the engine ended although nobody asked"),
                Ok(Err(error)) => anyhow!(error).context("the engine cannot go on"),
                Err(error) => anyhow!(error).context("the engine broke"),
            },
            enforced = &mut self.enforced => match enforced {
                Ok(Ok(())) => anyhow!("the enforcements ended although nobody asked"),
                Ok(Err(error)) => anyhow!(error).context("the enforcements cannot go on"),
                Err(error) => anyhow!(error).context("the enforcements broke"),
            },
            beats = &mut self.beats => match beats {
                Ok(Ok(())) => anyhow!("the heartbeats ended although nobody asked"),
                Ok(Err(error)) => error,
                Err(error) => anyhow!(error).context("the heartbeats broke"),
            },
            server = &mut self.server => match server {
                Ok(Ok(())) => anyhow!("the API's server ended although nobody asked"),
                Ok(Err(error)) => anyhow!(error).context("the API's server cannot go on"),
                Err(error) => anyhow!(error).context("the API's server broke"),
            },
        }
    }

    /// The longest time that a call may still take.
    pub fn longest_call(&self) -> Duration {
        self.longest_call
    }

    /// Begins nothing new, waits for the calls that are out, at most until `deadline` passes or
    /// `hurry` is cancelled, and closes the store.
    pub async fn drain(
        mut self,
        deadline: Duration,
        hurry: CancellationToken,
    ) -> Result<DrainOutcome> {
        // It begins nothing new either; what it has committed is gone on with at the next start.
        self.enforced.abort();
        let late = tokio::time::sleep(deadline);
        tokio::pin!(late);
        if let Some(leave) = &self.leave {
            leave.cancel();
            tokio::select! {
                biased;
                left = &mut self.beats => if let Ok(Err(error)) = left {
                    tracing::warn!("the lanes were not given up: {error:#}");
                },
                () = hurry.cancelled() => {}
                () = &mut late => {}
            }
        }
        self.handle.drain().await;
        let drained = tokio::select! {
            biased;
            engine = &mut self.engine => {
                let levels = engine.context("the engine broke while it ended")?.context("the engine failed while it ended")?;
                if let Err(error) = self.levels.leave(levels) {
                    tracing::warn!("the next start takes the quotas for spent: {error:#}");
                }
                DrainOutcome::Whole
            }
            () = hurry.cancelled() => DrainOutcome::Late,
            () = &mut late => DrainOutcome::Late,
        };
        self.beats.abort();
        self.engine.abort();
        self.stop.cancel();
        if let Err(error) =
            (&mut self.server).await.context("the API's server broke while it ended")?
        {
            tracing::warn!(%error, "the API's server ended badly");
        }
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.close())
            .await
            .context("closing the store broke")??;
        Ok(drained)
    }
}
