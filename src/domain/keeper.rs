//! Keepers: several daemons over one store share its lanes, and one at a time makes a lane's calls.
//!
//! Job: decide what a daemon's next heartbeat writes (lanes taken, lanes given up), and until when
//! it may trust that a lane is its own.
//!
//! Invariants: no two daemons trust that they have a lane at one instant, whatever is lost, late,
//! frozen or killed, while their boot clocks run within a twelfth of each other. A lane is trusted
//! for [`TRUSTED`] from when the heartbeat that showed it was *sent*; it is taken from another only
//! after the taker has itself seen that one's row stand still for [`LEASE`]. Nobody's clock but the
//! taker's own boot clock counts, so neither a stepped clock of the database nor an older copy of
//! it after a failover shortens a lease. Every lane that a living daemon has finds a keeper.
//!
//! Deliberately not here: I/O, clocks, what a heartbeat does to the store's rows (`tables`), and
//! what a lane that is not ours may not do (`engine`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use super::id::Name;
use super::quota::Boot;
pub use share::{Offers, share_out};
pub use tables::{
    DaemonNote, DaemonRow, DaemonRun, Heartbeat, KeeperRow, KeeperTables, LaneOffer, LaneTake,
};

mod share;
mod tables;

/// How often a daemon writes of itself and reads of the others.
pub const BEAT: Duration = Duration::from_secs(1);

/// How long a daemon trusts that a lane is its own, by its boot clock, from when it sent the
/// heartbeat whose answer said so.
pub const TRUSTED: Duration = Duration::from_secs(5);

/// How long a daemon must have stood still, in the eyes and by the boot clock of another, before
/// that one takes a lane from it. What it is above [`TRUSTED`] is for clocks that run apart.
pub const LEASE: Duration = Duration::from_secs(6);

/// A lane that could not be reached for so long is given up, if another daemon may reach it.
pub const UNREACHED_AFTER: Duration = Duration::from_secs(60);

/// After so long a daemon that gave a lane up for that offers itself again: what was out of its
/// reach then may be no more, and only who has the lane would notice.
pub const OFFERED_AGAIN: Duration = Duration::from_secs(600);

/// A lane that a daemon keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptLane {
    /// Until then, by its boot clock, no other daemon makes its calls.
    pub until: Boot,
    /// It is given up as soon as its calls are back: nothing new begins.
    pub giving: bool,
    /// It was taken from a daemon that did not give it up: calls of that one may still be out.
    pub inherited: bool,
}

/// One daemon's view of the others, and the lanes that it keeps.
#[derive(Debug, Clone)]
pub struct Keeper {
    me: DaemonRun,
    lanes: BTreeSet<Name>,
    /// The number of its latest heartbeat.
    beat: u64,
    /// What the latest answer showed.
    tables: KeeperTables,
    /// When the heartbeat of the latest answer was sent; `None`: none was answered.
    heard: Option<Boot>,
    /// No lane is taken before this: an answer of another copy of the store came one lease ago.
    calm: Boot,
    /// The rows of the daemons: run and heartbeat, and since when each was seen so.
    seen: BTreeMap<Name, ((u64, u64), Boot)>,
    kept: BTreeMap<Name, KeptLane>,
    /// Takes that were sent and not seen to have failed: the version that the lane's row has then,
    /// and whether the lane is inherited.
    tried: BTreeMap<Name, (u64, bool)>,
    /// Until when each lane counts as out of reach.
    unreached: BTreeMap<Name, Boot>,
    leaving: bool,
    /// Whether the store has a row of this run.
    admitted: bool,
}

impl Keeper {
    /// A daemon that has these lanes in its configuration and has not seen the store yet.
    pub fn new(me: DaemonRun, lanes: BTreeSet<Name>) -> Self {
        Self {
            me,
            lanes,
            beat: 0,
            tables: KeeperTables::default(),
            heard: None,
            calm: Boot::ZERO,
            seen: BTreeMap::new(),
            kept: BTreeMap::new(),
            tried: BTreeMap::new(),
            unreached: BTreeMap::new(),
            leaving: false,
            admitted: false,
        }
    }

    /// Whether the store has a row of this run. Until then another run of its name has stood still
    /// for less than a lease, or is at work: two daemons must not have one name.
    pub fn is_admitted(&self) -> bool {
        self.admitted
    }

    /// The lanes that it keeps.
    pub fn kept(&self) -> &BTreeMap<Name, KeptLane> {
        &self.kept
    }

    /// The lane's endpoint gave no answer since then. Refused credentials are an answer: the other
    /// daemons would be refused alike, until the account is locked.
    pub fn out_of_reach(&mut self, lane: &Name, since: Boot, now: Boot) {
        if self.kept.contains_key(lane) && now.saturating_sub(since) >= UNREACHED_AFTER {
            self.unreached.insert(lane.clone(), now + OFFERED_AGAIN);
        }
    }

    /// A call of the lane was answered, with whatever.
    pub fn reached(&mut self, lane: &Name) {
        self.unreached.remove(lane);
    }

    /// The daemon ends: its lanes are given up as their calls come back.
    pub fn leave(&mut self) {
        self.leaving = true;
        for kept in self.kept.values_mut() {
            kept.giving = true;
        }
    }

    /// Whether all its lanes are given up and its row has gone, after [`Self::leave`].
    pub fn has_left(&self) -> bool {
        self.leaving && self.kept.is_empty() && !self.admitted
    }

    /// The next heartbeat, to be sent at once. `back`: lanes that are being given up and of which
    /// nothing is out any more.
    pub fn next_beat(&mut self, now: Boot, back: &BTreeSet<Name>) -> Heartbeat {
        self.beat += 1;
        self.unreached.retain(|_, until| now < *until);
        let lanes = self.lanes.iter().map(|lane| {
            let unreached = self.unreached.contains_key(lane);
            (lane.clone(), if unreached { LaneOffer::Unreached } else { LaneOffer::Willing })
        });
        let row = DaemonRow {
            run: self.me.run,
            beat: self.beat,
            leaving: self.leaving,
            lanes: lanes.collect(),
            lapsed: false,
        };
        // What is given up is not trusted from before it is written.
        self.kept.retain(|lane, kept| !(kept.giving && back.contains(lane)));
        let gives: Vec<Name> = self.stray().cloned().collect();
        let takes = if self.admitted { self.takes(now) } else { BTreeMap::new() };
        for (lane, take) in &takes {
            self.tried.insert(lane.clone(), (take.version + 1, take.from.is_some()));
        }
        Heartbeat {
            name: self.me.name.clone(),
            row,
            over: self.replaces(now),
            epoch: self.heard.map(|_| self.tables.epoch),
            gives,
            takes,
            last: self.leaving && self.kept.is_empty(),
        }
    }

    /// Lanes whose row says that they are ours, and that we do not have: given up, or of a row that
    /// a failover brought back.
    fn stray(&self) -> impl Iterator<Item = &Name> {
        let ours =
            self.tables.lanes.iter().filter(|(_, row)| row.keeper.as_ref() == Some(&self.me));
        ours.map(|(lane, _)| lane).filter(|lane| !self.kept.contains_key(*lane))
    }

    /// The row of an earlier run of the same name, once it has stood still for a lease.
    fn replaces(&self, now: Boot) -> Option<(u64, u64)> {
        let (row, since) = self.seen.get(&self.me.name)?;
        (row.0 != self.me.run && now >= *since + LEASE).then_some(*row)
    }

    /// The heartbeat that was sent at `sent` was answered at `now` with these tables. An answer that
    /// comes after that of a later heartbeat tells nothing new.
    pub fn answered(&mut self, sent: Boot, now: Boot, tables: KeeperTables) {
        if self.heard.is_some_and(|heard| sent < heard) {
            return;
        }
        if self.heard.replace(sent).is_none() || tables.epoch != self.tables.epoch {
            // The rows may be older than what other daemons were told. They trust that for no
            // longer than a lease; so does who took a lane over from us, if we did not notice.
            self.calm = now + LEASE;
            self.tried.clear();
            self.kept.retain(|_, kept| now < kept.until);
        }
        self.tables = tables;
        self.look_around(now);
        let own = self.tables.daemons.get(&self.me.name);
        self.admitted = own.is_some_and(|row| row.run == self.me.run);
        let (me, lanes) = (&self.me, &self.tables.lanes);
        let mine = |lane: &Name| {
            lanes.get(lane).filter(|row| row.keeper.as_ref() == Some(me)).map(|row| row.version)
        };
        for (lane, (version, inherited)) in std::mem::take(&mut self.tried) {
            if mine(&lane) == Some(version) {
                let kept = KeptLane { until: sent, giving: self.leaving, inherited };
                self.kept.entry(lane).or_insert(kept);
            } else if lanes.get(&lane).is_none_or(|row| row.version < version) {
                // It may still be on its way.
                self.tried.insert(lane, (version, inherited));
            }
        }
        // Without a row of our own nobody sees that we live.
        self.kept.retain(|lane, _| self.admitted && mine(lane).is_some());
        for kept in self.kept.values_mut() {
            kept.until = kept.until.max(sent + TRUSTED);
        }
        self.give_one_up(now);
    }

    /// Notes since when each row stands as it does.
    fn look_around(&mut self, now: Boot) {
        let before = std::mem::take(&mut self.seen);
        for (name, row) in &self.tables.daemons {
            let is = (row.run, row.beat);
            let since = before.get(name).filter(|(was, _)| *was == is).map_or(now, |(_, at)| *at);
            self.seen.insert(name.clone(), (is, since));
        }
    }

    /// Whether the run has a row that has not stood still for a lease.
    fn lives(&self, run: &DaemonRun, now: Boot) -> bool {
        *run == self.me
            || self
                .seen
                .get(&run.name)
                .is_some_and(|((number, _), since)| *number == run.run && now < *since + LEASE)
    }

    /// The daemons that live and stay, as far as this one sees.
    fn staying(&self, now: Boot) -> impl Iterator<Item = (&Name, &DaemonRow)> {
        self.tables.daemons.iter().filter(move |(name, row)| {
            let run = DaemonRun { name: (*name).clone(), run: row.run };
            !row.leaving && self.lives(&run, now)
        })
    }

    /// Who should keep each lane, as far as this daemon sees.
    fn shares(&self, now: Boot) -> BTreeMap<Name, Name> {
        let offers: Offers<'_> = self.staying(now).map(|(name, row)| (name, &row.lanes)).collect();
        let lanes = offers.values().flat_map(|lanes| lanes.keys()).map(|lane| {
            let keeper = self.tables.lanes.get(lane).and_then(|row| row.keeper.as_ref());
            let living = keeper.filter(|keeper| self.lives(keeper, now));
            (lane.clone(), living.map(|keeper| keeper.name.clone()))
        });
        share_out(&lanes.collect(), &offers)
    }

    fn takes(&self, now: Boot) -> BTreeMap<Name, LaneTake> {
        if self.leaving || now < self.calm {
            return BTreeMap::new();
        }
        let ours = self.shares(now).into_iter().filter(|(_, daemon)| *daemon == self.me.name);
        ours.filter_map(|(lane, _)| {
            let row = self.tables.lanes.get(&lane).cloned().unwrap_or_default();
            let from = match row.keeper {
                // Ours, or given up with this very heartbeat.
                Some(keeper) if keeper == self.me => return None,
                Some(keeper) if self.lives(&keeper, now) => return None,
                Some(keeper) => {
                    let beat = self.tables.beat_of(&keeper).unwrap_or(0);
                    Some((keeper, beat))
                }
                None => None,
            };
            Some((lane, LaneTake { version: row.version, from }))
        })
        .collect()
    }

    /// Begins to give up one lane that another daemon should have; the next one follows when it is
    /// gone.
    fn give_one_up(&mut self, now: Boot) {
        if self.kept.values().any(|kept| kept.giving) {
            return;
        }
        let shares = self.shares(now);
        let given = self
            .kept
            .iter_mut()
            .find(|(lane, _)| shares.get(*lane).is_some_and(|daemon| *daemon != self.me.name));
        if let Some((_, kept)) = given {
            kept.giving = true;
        }
    }

    /// Who shares what is no lane: the rollouts.
    pub fn fellows(&self, now: Boot) -> Fellows {
        let living = self.staying(now).map(|(name, _)| name.clone()).collect();
        Fellows { me: self.me.name.clone(), living }
    }
}

/// A daemon and those that live beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fellows {
    me: Name,
    living: BTreeSet<Name>,
}

impl Fellows {
    /// Whether this daemon is the one that looks after this. Daemons that disagree for a moment
    /// both look, or neither does.
    pub fn looks_after(&self, what: &impl Display) -> bool {
        let first = self.living.iter().max_by_key(|name| share::rank(what, name));
        first.is_none_or(|name| *name == self.me)
    }
}

#[cfg(test)]
mod tests;
