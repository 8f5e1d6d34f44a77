//! Notifications: who is on call is told what happened, with the verb to type.
//!
//! Job: read the journal behind a cursor of each receiver, draw what its entries tell, and send it
//! as a signed webhook until it is taken. The journal is the outbox: there is no second queue that
//! could lose something.
//!
//! Invariants: at least once, in the journal's order for each receiver, under the same id at every
//! try; a cursor moves only past what was taken, given up or told to nobody. A receiver that is
//! away delays nothing but itself. What held a lane is in no entry, so it is written into a log of
//! its own before anybody is told ([`lanes`]). A receiver's URL is a secret: it stands in no log,
//! error or listing. No program is run.
//!
//! Where to look: [`draw`] says what an entry tells, [`shape`] makes a body of it, [`sign`] signs
//! it, [`post`] sends it; [`pace`] says when it is tried again, [`cursor`] how far a receiver has
//! come; [`feed`] reads the journal once for all of them, [`worker`] tells one.
//!
//! Deliberately not here: mail (`sendmail` is setgid, which the unit forbids), and deciding
//! anything about rollouts.

pub mod cursor;
pub mod draw;
pub mod feed;
pub mod lanes;
pub mod pace;
pub mod post;
pub mod shape;
pub mod sign;
mod standing;
pub mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::cursor::{Cursor, CursorFile};
use self::draw::Notification;
use self::feed::Feed;
use self::lanes::{LaneLog, LaneWatch};
use self::post::{Poster, PosterError, Posts};
use self::worker::{Sending, Worker};
use crate::clock::Clock;
use crate::domain::id::Name;
use crate::domain::notify::Receiver;
use crate::engine::Snapshot;
use crate::store::Store;

pub use self::standing::{ReceiverStanding, ReceiverTally};

/// Folder of the cursors, in the state directory.
pub const FOLDER: &str = "notify";

/// How often the journal and the lanes are looked at: soon enough for a person, and nothing for the
/// disk.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Tests that people may have on their way at once.
const TESTS_MAX: usize = 4;

/// Nobody is told any more: whoever is named again later begins with what happens from then on.
pub fn forget(state: &Path) {
    match std::fs::remove_dir_all(state.join(FOLDER)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let path = state.join(FOLDER);
            tracing::warn!(
                "cannot remove {}, which nobody needs any more: {error}",
                path.display()
            );
        }
        Ok(()) | Err(_) => {}
    }
}

/// What notifications are made with.
pub struct NotifySetup {
    pub receivers: Vec<Receiver>,
    pub store: Arc<dyn Store>,
    /// The store's id, the beginning of every id.
    pub store_id: String,
    /// The state directory.
    pub state: PathBuf,
    /// How browsers name the daemon, for links.
    pub origin: Option<String>,
    pub clock: Arc<dyn Clock>,
}

/// All receivers, told one by one.
pub struct Notifier {
    setup: NotifySetup,
    sendings: Vec<Arc<Sending>>,
    lanes: Arc<LaneLog>,
    tests: Semaphore,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// It was taken.
    pub taken: bool,
    /// What was answered, or why nothing was; without the URL.
    pub text: String,
    /// The beginning of the answer's body.
    pub excerpt: String,
}

/// Why a receiver was not tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestError {
    #[error("no receiver of that name")]
    Unknown,
    #[error("{TESTS_MAX} tests are on their way; try again when one of them is back")]
    Busy,
}

impl Notifier {
    /// Finds how far every receiver has come. One that is new begins with what happens from now on,
    /// so this comes before anything is set to work.
    ///
    /// # Errors
    /// When no client can be made. What is wrong with a receiver's file is its standing.
    pub fn open(setup: NotifySetup) -> Result<Self, PosterError> {
        let folder = setup.state.join(FOLDER);
        let poster: Arc<dyn Posts> = Arc::new(Poster::new()?);
        let end = setup.store.health().seq;
        let names = setup.receivers.iter().map(|receiver| &receiver.name);
        if let Err(error) = cursor::prepare(&folder, names) {
            let folder = folder.display();
            tracing::error!("the cursors in {folder} cannot be looked after: {error}");
        }
        let lanes = Arc::new(LaneLog::open(&folder));
        let last = lanes.last();
        let sendings = setup.receivers.iter().map(|receiver| {
            let file = CursorFile::of(&folder, &receiver.name);
            let fresh =
                Cursor { store: setup.store_id.clone(), seq: end, lane: last, ..Cursor::default() };
            let sending =
                Sending::new(receiver.clone(), file, poster.clone(), setup.origin.clone());
            sending.begin(fresh, end);
            Arc::new(sending)
        });
        let sendings = sendings.collect();
        Ok(Self { sendings, lanes, tests: Semaphore::new(TESTS_MAX), setup })
    }

    /// Tells everybody until stopped. Losing the store ends it: nothing happens any more that could
    /// be told.
    pub async fn run(&self, engine: watch::Receiver<Arc<Snapshot>>, stop: CancellationToken) {
        if self.sendings.is_empty() {
            return;
        }
        let feed = Arc::new(Feed::new(self.setup.store.clone(), self.setup.store.health().seq));
        let workers = self.sendings.iter().map(|sending| {
            let (feed, lanes, clock) = (feed.clone(), self.lanes.clone(), self.setup.clock.clone());
            let worker = Worker::new(sending.clone(), feed, lanes, self.setup.store.clone(), clock);
            let stop = stop.clone();
            async move { tokio::spawn(worker.run(stop)).await }
        });
        let looks = self.look(&feed, engine, stop.clone());
        let (ended, ()) = tokio::join!(join_all(workers), looks);
        for broken in ended.into_iter().filter_map(Result::err) {
            tracing::error!(
                "a receiver's task broke: {broken}; it is told nothing until the next start"
            );
        }
    }

    /// Reads along and watches the lanes.
    async fn look(
        &self,
        feed: &Feed,
        engine: watch::Receiver<Arc<Snapshot>>,
        stop: CancellationToken,
    ) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut watch = LaneWatch::default();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = feed.read_along().await {
                tracing::error!("notifications end: {error}");
                return;
            }
            let snapshot = engine.borrow().clone();
            let now = self.setup.clock.times();
            let (sights, open) = (lanes::sights(&snapshot, now.wall), self.lanes.open_lanes());
            let news = watch.look(sights, &open, now.boot);
            self.lanes.keep(news, feed.upto(), now.wall).await;
        }
    }

    /// How every receiver stands.
    pub fn standings(&self) -> Vec<ReceiverStanding> {
        self.sendings.iter().map(|sending| sending.standing()).collect()
    }

    /// What was counted of every receiver, for metrics.
    pub fn tallies(&self) -> Vec<ReceiverTally> {
        self.standings().into_iter().map(ReceiverTally::from).collect()
    }

    /// The names of all receivers.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.setup.receivers.iter().map(|receiver| &receiver.name)
    }

    /// Sends a test to one receiver, now. One that takes it is well again: what waits for it goes
    /// out at once.
    ///
    /// # Errors
    /// When there is no such receiver, or too many tests are on their way.
    pub async fn test(&self, name: &str, by: &str) -> Result<TestOutcome, TestError> {
        let sending = self
            .sendings
            .iter()
            .find(|sending| sending.receiver.name.as_str() == name)
            .ok_or(TestError::Unknown)?;
        let _place = self.tests.try_acquire().map_err(|_| TestError::Busy)?;
        let now = self.setup.clock.times();
        let id = format!("{}_test{}_{name}", self.setup.store_id, now.wall.as_millisecond());
        let answer = sending.send(&id, &Notification::test(by, now.wall), now.wall).await;
        if answer.is_taken() {
            sending.revive();
        }
        Ok(TestOutcome {
            taken: answer.is_taken(),
            text: answer.text(),
            excerpt: answer.excerpt().to_owned(),
        })
    }
}
