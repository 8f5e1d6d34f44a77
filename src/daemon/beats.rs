//! The heartbeats of one of several daemons over one store.
//!
//! Job: once a second ask the engine for a finished pass, write a heartbeat and tell the engine which
//! lanes are this daemon's by its answer; at the end, give them up as their calls come back.
//!
//! Invariants: a heartbeat follows a pass of the engine, so a daemon whose engine stands still stops
//! living; a lane is trusted from before its heartbeat was sent; the engine gives a lane up before
//! that is written; of two daemons of one name the second ends, and says so.
//!
//! Deliberately not here: who takes which lane (`domain::keeper`), and what a heartbeat writes
//! (`store`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::store::host;
use crate::clock::Clock;
use crate::domain::id::Name;
use crate::domain::keeper::{BEAT, DaemonNote, DaemonRun, Keeper, KeeperTables};
use crate::domain::lane::Lane;
use crate::domain::quota::Boot;
use crate::engine::{Handle, Snapshot};
use crate::store::Unavailable;
use crate::store::running::{KeeperAnswer, RunningStore};

/// Between two heartbeats of a daemon that ends: its lanes are waited for.
const LEAVING_BEAT: Duration = Duration::from_millis(200);

/// How often a start tries to enter its name: the row of a daemon that was killed stands for six
/// seconds.
const ENTRIES_MAX: u32 = 60;

/// One daemon's heartbeats.
pub struct Beats {
    keeper: Keeper,
    me: DaemonRun,
    store: Arc<dyn RunningStore>,
    clock: Arc<dyn Clock>,
    host: String,
    /// The row of another run of this name, as it was seen last.
    rival: Option<(u64, u64)>,
    /// Lanes whose endpoint gives no answer: since when, and when a call last went through then.
    unreached: BTreeMap<Name, (Boot, Option<Timestamp>)>,
}

impl Beats {
    /// Of a daemon with these lanes; `None`: its store is nobody else's.
    pub fn of(
        store: Arc<dyn RunningStore>,
        me: Option<DaemonRun>,
        lanes: &[Lane],
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        store.daemon_rows()?;
        let me = me?;
        let lanes = lanes.iter().map(|lane| lane.name.clone()).collect();
        Some(Self {
            keeper: Keeper::new(me.clone(), lanes),
            me,
            store,
            clock,
            host: host(),
            rival: None,
            unreached: BTreeMap::new(),
        })
    }

    /// Enters this run under its name. A daemon of that name that was killed is waited for; one that
    /// lives is the reason to end.
    pub async fn enter(&mut self) -> Result<()> {
        let mut why = None;
        for _ in 0..ENTRIES_MAX {
            match self.once(&BTreeSet::new(), 0).await {
                Ok(answer) => {
                    self.look_for_rival(&answer)?;
                    if self.keeper.is_admitted() {
                        return Ok(());
                    }
                }
                Err(error) => why = Some(error),
            }
            tokio::time::sleep(BEAT).await;
        }
        match why {
            Some(error) => Err(error.into()),
            None => {
                bail!("the row of daemon {} in the store is another run's and stays", self.me.name)
            }
        }
    }

    /// Beats until the engine has ended, or all lanes are given up after `leave`.
    pub async fn run(mut self, handle: Handle, leave: CancellationToken) -> Result<()> {
        let snapshot = handle.snapshot();
        loop {
            let began = self.clock.times().boot;
            let seen = snapshot.borrow().clone();
            self.look_at_reach(&seen);
            let Some(back) = self.tell(&handle).await else { return Ok(()) };
            let in_flight = seen.lanes.iter().map(|lane| lane.in_flight).sum();
            let sent = self.clock.times().boot;
            let beat = self.keeper.next_beat(sent, &back);
            // What is given up is given up here first.
            if self.tell(&handle).await.is_none() {
                return Ok(());
            }
            let note = self.note(in_flight);
            match self.rows().beat(beat, note).await {
                Ok(answer) => {
                    self.answered(sent, &answer);
                    self.look_for_rival(&answer)?;
                }
                Err(error) => tracing::debug!(%error, "a heartbeat was lost"),
            }
            if self.tell(&handle).await.is_none() || self.keeper.has_left() {
                return Ok(());
            }
            let leaving = leave.is_cancelled();
            let pause = if leaving { LEAVING_BEAT } else { BEAT };
            let took = self.clock.times().boot.saturating_sub(began);
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(took)) => {}
                () = leave.cancelled(), if !leaving => {}
            }
            if leave.is_cancelled() {
                self.keeper.leave();
            }
        }
    }

    fn rows(&self) -> &dyn crate::store::running::DaemonRows {
        self.store.daemon_rows().expect("it was asked when they began")
    }

    fn note(&self, in_flight: u32) -> DaemonNote {
        DaemonNote {
            version: env!("CARGO_PKG_VERSION").into(),
            host: self.host.clone(),
            in_flight,
            seq: self.store.health().seq,
        }
    }

    async fn once(
        &mut self,
        back: &BTreeSet<Name>,
        in_flight: u32,
    ) -> Result<KeeperAnswer, Unavailable> {
        let sent = self.clock.times().boot;
        let beat = self.keeper.next_beat(sent, back);
        let answer = self.rows().beat(beat, self.note(in_flight)).await?;
        self.answered(sent, &answer);
        Ok(answer)
    }

    fn answered(&mut self, sent: Boot, answer: &KeeperAnswer) {
        let before: BTreeSet<Name> = self.keeper.kept().keys().cloned().collect();
        self.keeper.answered(sent, self.clock.times().boot, answer.tables.clone());
        let now: BTreeSet<Name> = self.keeper.kept().keys().cloned().collect();
        for lane in now.difference(&before) {
            let inherited = self.keeper.kept().get(lane).is_some_and(|kept| kept.inherited);
            tracing::info!(%lane, taken_over = inherited, "the lane is this daemon's from now on");
        }
        for lane in before.difference(&now) {
            tracing::warn!(%lane, "the lane is this daemon's no more");
        }
    }

    /// Tells the engine which lanes are its own; gives those that are back.
    async fn tell(&self, handle: &Handle) -> Option<BTreeSet<Name>> {
        let fellows = self.keeper.fellows(self.clock.times().boot);
        handle.keep(self.keeper.kept().clone(), fellows).await
    }

    /// Another run of this name that moves is another daemon at work.
    fn look_for_rival(&mut self, answer: &KeeperAnswer) -> Result<()> {
        let KeeperTables { daemons, .. } = &answer.tables;
        let other = daemons.get(&self.me.name).filter(|row| row.run != self.me.run);
        let Some(now) = other.map(|row| (row.run, row.beat)) else {
            self.rival = None;
            return Ok(());
        };
        match self.rival.replace(now) {
            Some(before) if before != now => {
                let host = answer.notes.get(&self.me.name).map_or("?", |(note, _)| &note.host);
                bail!(
                    "a daemon named {} works on this store already, on {host}; give this one a name of its own with `daemon: NAME` in the configuration",
                    self.me.name
                )
            }
            _ => Ok(()),
        }
    }

    /// Tells the keeper of lanes whose endpoint gives no answer.
    fn look_at_reach(&mut self, seen: &Snapshot) {
        let now = self.clock.times().boot;
        for lane in &seen.lanes {
            let out_of_reach = lane.paused.as_ref().map(|pause| pause.out_of_reach);
            let answered = out_of_reach == Some(false)
                || self.unreached.get(&lane.lane).is_some_and(|(_, good)| *good != lane.good_at);
            if answered {
                self.unreached.remove(&lane.lane);
                self.keeper.reached(&lane.lane);
            } else if out_of_reach == Some(true) {
                self.unreached.entry(lane.lane.clone()).or_insert((now, lane.good_at));
            }
            if let Some((since, _)) = self.unreached.get(&lane.lane) {
                self.keeper.out_of_reach(&lane.lane, *since, now);
            }
        }
        let kept = self.keeper.kept();
        self.unreached.retain(|lane, _| kept.contains_key(lane));
    }
}
