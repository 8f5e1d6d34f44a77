//! The API: what clients read and the operator's verbs, over HTTP on a unix socket and, where it is
//! opened, on the network.
//!
//! Invariants: every answer is read from the store and the engine's snapshot at that moment (there
//! is no second model of the truth); a verb is answered with success only when it is durable; every
//! listing is paged, every body and every wait is bounded.
//!
//! Deliberately not here: any decision. A verb is handed to the engine, whose tables accept or
//! refuse it.

mod address;
mod attention;
mod by_hand;
mod calendar;
mod caller;
mod checked;
mod contract;
mod copy;
mod describe;
mod documents;
pub mod door;
mod enforcement;
mod fault;
mod find;
mod forecast;
mod health;
mod hold;
mod lane;
mod last_copy;
mod look;
mod measured;
mod meter;
mod morning;
mod moved;
mod notify;
mod outlook;
mod places;
mod preflight;
pub mod preview;
mod reads;
mod report;
mod request;
mod routes;
mod search;
mod server;
mod stop;
mod streams;
mod submit;
mod switches;
mod tail;
mod timeline;
mod tonight;
mod users;
mod verbs;
pub mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use caller::{Caller, Callers, Via};
pub use checked::CheckedUpload;
pub use describe::entry as journal_row;
pub use documents::{OpenRollout, Story};
pub use door::{DoorError, Doors, NetworkDoor};
pub use fault::ApiError;
pub use measured::MeasuredRollout;
pub use morning::{Morning, NightWork, WaveWork};
pub use places::{ADDRESS_MAX, CONNECTIONS_MAX, IDLE_MAX};
pub use reads::ChangesAsked;
pub use report::{MovedChange, Period};
pub use routes::{openapi, router};
pub use server::{BindError, HEADER_TIMEOUT, Socket, bind, serve};
pub use switches::{Switches, SwitchesError};

use crate::clock::Clock;
use crate::domain::lane::Lane;
use crate::engine::Handle;
use crate::notify::Notifier;
use crate::probe::Probe;
use crate::store::Store;
use crate::store::running::Exporter;
use checked::KeptPlans;
use forecast::Forecaster;
use last_copy::LastCopy;
pub use last_copy::note_copy;
use meter::Meter;
use streams::Streams;
use wire::PlanFault;

/// Folder of uploads, in the state directory.
pub const SPOOL: &str = "spool";

/// What the routes need.
pub struct Api {
    handle: Handle,
    store: Arc<dyn Store>,
    probe: Arc<dyn Probe>,
    clock: Arc<dyn Clock>,
    lanes: Arc<[Lane]>,
    spool: PathBuf,
    switches: Switches,
    meter: Meter,
    forecaster: Forecaster,
    /// Plans that were checked on the page.
    checked: KeptPlans,
    streams: Streams,
    last_copy: LastCopy,
    started_at: Timestamp,
    stop: CancellationToken,
    /// What the plans folder holds that was not taken.
    plans: watch::Receiver<Vec<PlanFault>>,
    /// The doors that it stands behind.
    doors: Option<Doors>,
    /// What copies the store; `None`: it is in memory.
    exporter: Option<Arc<dyn Exporter>>,
    /// Who is told what happens; `None`: nobody.
    notifier: Option<Arc<Notifier>>,
}

impl Api {
    /// Submissions are unpacked in a folder beside the file of `switches`; what an earlier process
    /// left there is removed by [`Self::clear_spool`]. Long polls end when `stop` is cancelled.
    pub fn new(
        handle: Handle,
        store: Arc<dyn Store>,
        probe: Arc<dyn Probe>,
        clock: Arc<dyn Clock>,
        lanes: Arc<[Lane]>,
        switches: Switches,
        stop: CancellationToken,
    ) -> Self {
        let spool = switches.folder().join(SPOOL);
        let meter = Meter::new(store.clone(), clock.clone());
        let forecaster =
            Forecaster::new(store.clone(), clock.clone(), lanes.clone(), handle.clone());
        let last_copy = LastCopy::open(switches.folder());
        let started_at = clock.times().wall;
        let plans = watch::channel(Vec::new()).1;
        Self {
            handle,
            store,
            probe,
            clock,
            lanes,
            spool,
            switches,
            meter,
            forecaster,
            checked: KeptPlans::default(),
            streams: Streams::default(),
            last_copy,
            started_at,
            stop,
            plans,
            doors: None,
            exporter: None,
            notifier: None,
        }
    }

    /// Reports what the watcher of the plans folder did not take.
    pub fn with_plans(self, plans: watch::Receiver<Vec<PlanFault>>) -> Self {
        Self { plans, ..self }
    }

    /// Reports what is to be said of the doors that it stands behind.
    pub fn with_doors(self, doors: Doors) -> Self {
        Self { doors: Some(doors), ..self }
    }

    /// Reports how receivers of notifications stand, and tests them.
    pub fn with_notifier(self, notifier: Option<Arc<Notifier>>) -> Self {
        Self { notifier, ..self }
    }

    /// Serves copies of the store.
    pub fn with_exporter(self, exporter: Arc<dyn Exporter>) -> Self {
        Self { exporter: Some(exporter), ..self }
    }

    /// Removes what a process that was killed left in the spool.
    pub fn clear_spool(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.spool) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Follows the journal for rates and counters, until stopped; run it beside the server.
    pub async fn follow(&self) {
        self.meter.follow(self.handle.snapshot(), self.stop.clone()).await;
    }
}
