//! One receiver: what waits for it, and its messages one after the other.
//!
//! Invariants: in the journal's order, the next one only when the one before was taken or given up;
//! the cursor is written after that. A cursor that cannot be written is loud and written later:
//! what comes is told all the same, for a full disk is when somebody must know; a daemon that is
//! killed meanwhile tells the same things again, under the same ids.
//!
//! Deliberately not here: what is told ([`super::draw`]), and when something is tried again
//! ([`super::pace`]).

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::cursor::{Cursor, CursorFile, Doubts};
use super::draw::{DrawnWith, Notification, notices};
use super::feed::{Feed, FeedStretch};
use super::lanes::{HeldLane, LaneLog};
use super::pace::Tries;
use super::post::{Posts, ReceiverAnswer, ReceiverUrl, SignedMessage};
use super::shape::{Letterhead, body};
use super::sign::SigningKey;
use super::standing::ReceiverStanding;
use crate::clock::{Clock, Times};
use crate::cloud::secret::SecretReader;
use crate::domain::id::RolloutId;
use crate::domain::journal::Entry;
use crate::domain::notify::{MessageShape, NoticeWord, Receiver};
use crate::domain::quota::Boot;
use crate::store::{Store, Unavailable};

/// Things that wait in memory for one receiver; what comes after them waits in the journal.
pub const PENDING_MAX: usize = 1_000;

/// Entries after which a cursor is written although nothing was told: what a start reads again.
const BEHIND_MAX: u64 = 10_000;

/// Longest sleep without a look.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How soon a cursor that could not be written is written again.
const WRITE_AGAIN: Duration = Duration::from_secs(5);

/// Where PagerDuty takes events when no other URL is given.
pub const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// A receiver with what is needed to send to it, shared by its worker and by those who ask how it
/// stands.
pub struct Sending {
    pub receiver: Receiver,
    file: CursorFile,
    poster: Arc<dyn Posts>,
    origin: Option<String>,
    url: Option<SecretReader>,
    secret: Option<SecretReader>,
    old_secret: Option<SecretReader>,
    state: Mutex<SendingState>,
    revived: Notify,
}

#[derive(Debug, Default)]
struct SendingState {
    cursor: Cursor,
    /// The cursor stands in the way.
    blocked: Option<String>,
    /// The file does not say what is so.
    unwritten: Option<String>,
    waiting: u64,
    oldest: Option<Timestamp>,
    taken: u64,
    taken_at: Option<Timestamp>,
    failed: u64,
    failing_since: Option<Timestamp>,
    why: String,
    next: Option<Timestamp>,
}

impl Sending {
    pub fn new(
        receiver: Receiver,
        file: CursorFile,
        poster: Arc<dyn Posts>,
        origin: Option<String>,
    ) -> Self {
        let reader =
            |what, source: &Option<_>| source.clone().map(|source| SecretReader::new(what, source));
        Self {
            url: reader("URL of a receiver", &receiver.url),
            secret: reader("secret of a receiver", &receiver.secret),
            old_secret: reader("old secret of a receiver", &receiver.old_secret),
            receiver,
            file,
            poster,
            origin,
            state: Mutex::default(),
            revived: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, SendingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over how far it had come; `fresh` where nothing is known of that, and `end` is the
    /// journal's last entry.
    pub fn begin(&self, fresh: Cursor, end: u64) {
        let name = &self.receiver.name;
        let known = match self.file.read() {
            Err(why) => {
                tracing::error!(receiver = %name, "{why}");
                self.state().blocked = Some(why);
                return;
            }
            Ok(known) => known,
        };
        let (cursor, keep) = match known {
            Some(known) if known.store == fresh.store && known.seq <= end => (known, true),
            Some(known) => {
                tracing::warn!(receiver = %name, "its cursor is of another journal; it is told what happens from now on");
                (Cursor { given_up: known.given_up, off: known.off, ..fresh }, false)
            }
            None => (fresh, false),
        };
        let written = if keep { Ok(()) } else { self.file.write(&cursor) };
        self.state().cursor = cursor;
        self.written(written);
    }

    /// What came of writing the cursor.
    fn written(&self, written: io::Result<()>) {
        let mut state = self.state();
        let why = written.err().map(|error| {
            format!("its cursor {} cannot be written: {error}", self.file.path().display())
        });
        if let Some(why) = why.as_ref().filter(|_| state.unwritten.is_none()) {
            let receiver = &self.receiver.name;
            tracing::error!(%receiver, "{why}; it is told all the same, and after a kill once more under the same ids; make room on its disk");
        }
        state.unwritten = why;
    }

    async fn write(&self) {
        let (file, cursor) = (self.file.clone(), self.state().cursor.clone());
        let written = tokio::task::spawn_blocking(move || file.write(&cursor)).await;
        self.written(written.map_err(io::Error::other).flatten());
    }

    /// Sends one message, now.
    pub async fn send(&self, id: &str, notice: &Notification, at: Timestamp) -> ReceiverAnswer {
        match self.prepare(id, notice, at) {
            Ok((url, message)) => self.poster.post(&url, message).await,
            Err(text) => ReceiverAnswer::Silent { text },
        }
    }

    fn prepare(
        &self,
        id: &str,
        notice: &Notification,
        at: Timestamp,
    ) -> Result<(ReceiverUrl, SignedMessage), String> {
        let read = |reader: &Option<SecretReader>| {
            reader
                .as_ref()
                .map(SecretReader::current)
                .transpose()
                .map_err(|error| error.to_string())
        };
        let url = read(&self.url)?;
        let url = ReceiverUrl::parse(url.as_ref().map_or(PAGERDUTY, |url| url.expose()));
        let url = url.map_err(|wrong| format!("its URL cannot be used: {wrong}"))?;
        let (secret, old_secret) = (read(&self.secret)?, read(&self.old_secret)?);
        let shape = &self.receiver.shape;
        let pages = *shape == MessageShape::PagerDuty;
        let keys = [&secret, &old_secret].into_iter().flatten().filter(|_| !pages);
        let keys = keys.map(|key| SigningKey::parse(key.expose())).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(|wrong| format!("its secret cannot be used: {wrong}"))?;
        let routing_key = secret.as_ref().filter(|_| pages).map_or("", |key| key.expose());
        let body = body(shape, notice, &Letterhead { origin: self.origin.as_deref(), routing_key });
        let signature =
            keys.iter().map(|key| key.sign(id, at, &body)).collect::<Vec<_>>().join(" ");
        let body_tells = matches!(shape, MessageShape::Free(_));
        Ok((
            url,
            SignedMessage {
                id: id.to_owned(),
                timestamp: at.as_second(),
                signature,
                body,
                body_tells,
            },
        ))
    }

    /// It took a test: it is well, whatever was before.
    pub fn revive(&self) {
        self.state().cursor.off = None;
        self.revived.notify_one();
    }

    /// How it stands.
    pub fn standing(&self) -> ReceiverStanding {
        let state = self.state();
        ReceiverStanding {
            name: self.receiver.name.clone(),
            shape: self.receiver.shape.as_str(),
            on: self.receiver.on.iter().copied().collect(),
            waiting: state.waiting,
            oldest: state.oldest,
            taken: state.taken,
            taken_at: state.taken_at,
            failed: state.failed,
            given_up: state.cursor.given_up,
            off: state.cursor.off,
            failing_since: state.failing_since,
            why: state.why.clone(),
            next: state.next,
            blocked: state.blocked.clone().or_else(|| state.unwritten.clone()),
        }
    }
}

/// Tells one receiver.
pub struct Worker {
    sending: Arc<Sending>,
    feed: Arc<Feed>,
    lanes: Arc<LaneLog>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// How far the journal and the lanes' log were looked through.
    scan: ReadPlace,
    /// Doubts that are told, or wait to be.
    doubts: Doubts,
    pending: VecDeque<PendingNotice>,
    pace: Tries,
}

/// A place in the journal and in the log of lanes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ReadPlace {
    seq: u64,
    lane: u64,
}

/// Something that waits to be told.
#[derive(Debug)]
struct PendingNotice {
    what: Happening,
    happened: Timestamp,
    /// Where the cursor is when it is done.
    place: ReadPlace,
}

/// Where something that is told comes from.
#[derive(Debug)]
enum Happening {
    Entry(Arc<Entry>, NoticeWord),
    Lane(HeldLane),
}

impl Worker {
    pub fn new(
        sending: Arc<Sending>,
        feed: Arc<Feed>,
        lanes: Arc<LaneLog>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let cursor = sending.state().cursor.clone();
        let (scan, doubts) = (ReadPlace { seq: cursor.seq, lane: cursor.lane }, cursor.doubts);
        Self {
            sending,
            feed,
            lanes,
            store,
            clock,
            scan,
            doubts,
            pending: VecDeque::new(),
            pace: Tries::default(),
        }
    }

    /// Runs until stopped, or until the store is gone.
    pub async fn run(mut self, stop: CancellationToken) {
        if self.sending.state().blocked.is_some() {
            return;
        }
        if self.sending.state().cursor.off.is_some() {
            // A day from now on, what is older than a day is given up.
            self.pace.failed(self.clock.times().boot, None, 0.0);
        }
        // Stopped anywhere: what is not in the cursor is looked at again after the next start.
        let told = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            told = self.tell() => told,
        };
        if let Err(error) = told {
            tracing::error!(receiver = %self.sending.receiver.name, "it is told nothing more: {error}");
        }
    }

    async fn tell(&mut self) -> Result<(), Unavailable> {
        let (mut grows, mut lanes) = (self.feed.grows(), self.lanes.grows());
        loop {
            grows.mark_unchanged();
            lanes.mark_unchanged();
            self.scan().await?;
            self.expire().await;
            if self.pending.is_empty()
                && self.scan.seq >= self.sending.state().cursor.seq + BEHIND_MAX
            {
                self.rest().await;
            }
            if self.sending.state().unwritten.is_some() {
                self.sending.write().await;
            }
            let now = self.clock.times();
            self.show(now);
            let is_off = self.sending.state().cursor.off.is_some();
            if !is_off && !self.pending.is_empty() && self.pace.next() <= now.boot {
                self.deliver(now).await?;
                continue;
            }
            let due = if is_off || self.pending.is_empty() {
                LOOK_AGAIN
            } else {
                self.pace.next().saturating_sub(now.boot)
            };
            let most =
                if self.sending.state().unwritten.is_some() { WRITE_AGAIN } else { LOOK_AGAIN };
            tokio::select! {
                _ = grows.changed() => {}
                _ = lanes.changed() => {}
                () = self.sending.revived.notified() => self.revived().await,
                () = tokio::time::sleep(due.min(most)) => {}
            }
        }
    }

    /// Nothing waits: the cursor is brought to where everything was looked at.
    async fn rest(&mut self) {
        if self.pending.is_empty() && self.scan.seq > self.sending.state().cursor.seq {
            self.move_to(self.scan, None);
            self.sending.write().await;
        }
    }

    async fn revived(&mut self) {
        self.pace.succeeded();
        self.sending.state().failing_since = None;
        self.sending.write().await;
    }

    /// Looks for what is to be told.
    async fn scan(&mut self) -> Result<(), Unavailable> {
        while self.pending.len() < PENDING_MAX {
            let before = self.scan.seq;
            let FeedStretch { entries, upto } = self.feed.after(before).await?;
            for entry in entries {
                self.look_at_lanes(entry.seq - 1);
                self.scan.seq = entry.seq;
                self.look_at(entry).await?;
                if self.pending.len() >= PENDING_MAX {
                    return Ok(());
                }
            }
            self.scan.seq = self.scan.seq.max(upto);
            self.look_at_lanes(self.scan.seq);
            if self.scan.seq == before {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn look_at(&mut self, entry: Arc<Entry>) -> Result<(), Unavailable> {
        let Some(rollout) = self.store.rollout(entry.rollout).await? else { return Ok(()) };
        let receiver = &self.sending.receiver;
        if !rollout.plan.notify.is_empty() && !rollout.plan.notify.contains(&receiver.name) {
            return Ok(());
        }
        let told = notices(&entry, &DrawnWith::of(&rollout));
        let Some(word) =
            told.iter().map(|notice| notice.word).find(|word| receiver.on.contains(word))
        else {
            return Ok(());
        };
        if word == NoticeWord::InDoubt {
            if !self.doubts.lets(&entry.rollout, entry.at) {
                return Ok(());
            }
            self.doubts.told(&entry.rollout, entry.at);
        }
        self.wait(entry.at, Happening::Entry(entry, word));
        Ok(())
    }

    /// The lanes whose hold was noticed before the entry after this one.
    fn look_at_lanes(&mut self, upto: u64) {
        if self.lanes.last() <= self.scan.lane {
            return;
        }
        for held in
            self.lanes.after(self.scan.lane).into_iter().take_while(|held| held.after <= upto)
        {
            self.scan.lane = held.number;
            if self.sending.receiver.on.contains(&NoticeWord::LaneHeld) {
                self.wait(held.at, Happening::Lane(held));
            }
        }
    }

    fn wait(&mut self, happened: Timestamp, what: Happening) {
        self.pending.push_back(PendingNotice { what, happened, place: self.scan });
        self.pace.news();
    }

    /// Sends what waits for longest.
    async fn deliver(&mut self, now: Times) -> Result<(), Unavailable> {
        let Some(first) = self.pending.front() else { return Ok(()) };
        let (cursor_store, name) =
            (self.sending.state().cursor.store.clone(), self.sending.receiver.name.clone());
        let (id, notice) = match &first.what {
            Happening::Lane(held) => (
                format!("{cursor_store}_lane{}_{name}", held.number),
                Some(Notification::of_lane(held)),
            ),
            Happening::Entry(entry, word) => {
                let rollout = self.store.rollout(entry.rollout).await?;
                let drawn = rollout.as_ref().and_then(|rollout| {
                    let told = notices(entry, &DrawnWith::of(rollout))
                        .into_iter()
                        .find(|notice| notice.word == *word);
                    told.map(|notice| notice.counted(rollout))
                });
                (format!("{cursor_store}_{}_{name}", entry.seq), drawn)
            }
        };
        let Some(notice) = notice else {
            // A rollout never goes from the store; were it so, there would be nothing to say.
            self.done().await;
            return Ok(());
        };
        let answer = self.sending.send(&id, &notice, now.wall).await;
        let after = self.clock.times();
        match &answer {
            ReceiverAnswer::Taken { .. } => {
                self.took(after);
                self.done().await;
            }
            ReceiverAnswer::Gone { .. } => {
                tracing::error!(receiver = %name, "it answered 410 and is told nothing more; `sealift notify test {name}` takes it up again");
                self.failed(after, &answer);
                self.sending.state().cursor.off = Some(after.wall);
                self.sending.write().await;
            }
            ReceiverAnswer::Refused { .. } | ReceiverAnswer::Silent { .. } => {
                self.failed(after, &answer)
            }
        }
        Ok(())
    }

    fn took(&mut self, now: Times) {
        if self.pace.failing_since().is_some() {
            tracing::info!(receiver = %self.sending.receiver.name, "it takes notifications again");
        }
        self.pace.succeeded();
        let mut state = self.sending.state();
        state.taken += 1;
        state.taken_at = Some(now.wall);
        state.failing_since = None;
        state.why.clear();
    }

    fn failed(&mut self, now: Times, answer: &ReceiverAnswer) {
        let why = answer.text();
        let mut state = self.sending.state();
        if state.why != why || state.failing_since.is_none() {
            tracing::warn!(receiver = %self.sending.receiver.name, why, "a notification was not taken; it is tried again");
        }
        state.failed += 1;
        state.failing_since = state.failing_since.or(Some(now.wall));
        state.why = why;
        self.pace.failed(now.boot, answer.retry_after(), fastrand::f64());
    }

    /// The first that waits is done with.
    async fn done(&mut self) {
        if let Some(done) = self.pending.pop_front() {
            self.move_to(done.place, done.doubt());
            self.sending.write().await;
        }
    }

    fn move_to(&self, place: ReadPlace, doubt: Option<(RolloutId, Timestamp)>) {
        let mut state = self.sending.state();
        (state.cursor.seq, state.cursor.lane) = (place.seq, place.lane);
        if let Some((rollout, at)) = doubt {
            state.cursor.doubts.told(&rollout, at);
        }
    }

    /// Gives up what is too old, where nothing was taken for as long.
    async fn expire(&mut self) {
        let now = self.clock.times();
        let mut given_up = 0_u64;
        while let Some(first) = self.pending.front()
            && self.pace.gives_up(first.happened, now.wall, now.boot)
        {
            let (place, doubt) = (first.place, first.doubt());
            self.move_to(place, doubt);
            self.pending.pop_front();
            given_up += 1;
        }
        if given_up > 0 {
            self.sending.state().cursor.given_up += given_up;
            tracing::error!(receiver = %self.sending.receiver.name, given_up, "notifications are given up after a day without an answer");
            self.sending.write().await;
        }
    }

    fn show(&self, now: Times) {
        let wall = |boot: Boot| {
            now.wall.saturating_add(boot.saturating_sub(now.boot)).unwrap_or(Timestamp::MAX)
        };
        let mut state = self.sending.state();
        state.waiting = self.pending.len() as u64;
        state.oldest = self.pending.front().map(|first| first.happened);
        let waits = !self.pending.is_empty()
            && self.pace.failing_since().is_some()
            && state.cursor.off.is_none();
        state.next = waits.then(|| wall(self.pace.next()));
    }
}

impl PendingNotice {
    /// The doubt that it tells of.
    fn doubt(&self) -> Option<(RolloutId, Timestamp)> {
        match &self.what {
            Happening::Entry(entry, NoticeWord::InDoubt) => Some((entry.rollout, entry.at)),
            Happening::Entry(..) | Happening::Lane(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
