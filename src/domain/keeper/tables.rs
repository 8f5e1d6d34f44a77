//! What daemons over one store write for each other, and what a heartbeat does to it.
//!
//! Job: the rows of the daemons and of the lanes' keepers, and the one meaning of a heartbeat that
//! every store has: in memory it is this code, in a database one transaction that does the same.
//!
//! Invariants: a lane has one keeper at most, and its version grows whenever that changes; a lane
//! is taken only from nobody, or from a daemon whose row still is as the taker saw it stand still,
//! and only over the copy of the store (`epoch`) by which the taker decided.
//!
//! Deliberately not here: who takes what, and when (`domain::keeper`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::id::Name;

/// One run of a daemon: the same name started again is another run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DaemonRun {
    pub name: Name,
    /// Drawn at its start.
    pub run: u64,
}

/// How a daemon stands to a lane of its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneOffer {
    /// It works on it when it has it.
    Willing,
    /// It could not reach the lane's endpoint of late: it works on it while nobody else does.
    Unreached,
}

/// What a daemon wrote of itself with its latest heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonRow {
    pub run: u64,
    /// Grows with each heartbeat: a row that stands still is one of a daemon that does.
    pub beat: u64,
    /// It ends, and gives its lanes up.
    pub leaving: bool,
    /// The lanes of its configuration.
    pub lanes: BTreeMap<Name, LaneOffer>,
    /// A lane of it was taken over since its latest heartbeat: none of its commits is taken before
    /// the next one.
    pub lapsed: bool,
}

/// What a daemon says of itself to people, with each heartbeat. Nothing is decided by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonNote {
    pub version: String,
    /// The name of its machine.
    pub host: String,
    /// Changes in its hands that are not settled.
    pub in_flight: u32,
    /// The last line of the journal that it has read.
    pub seq: u64,
}

/// Who keeps a lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperRow {
    /// Grows whenever the keeper changes.
    pub version: u64,
    pub keeper: Option<DaemonRun>,
}

/// The rows of all daemons and of all lanes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeeperTables {
    /// Which copy of the store it is: another one after a failover. The rows may be older then than
    /// those that were seen before.
    pub epoch: u64,
    pub daemons: BTreeMap<Name, DaemonRow>,
    pub lanes: BTreeMap<Name, KeeperRow>,
}

/// A lane that is to be taken, as the taker saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneTake {
    /// The version of the lane's row.
    pub version: u64,
    /// Its keeper, whose row stood still at this heartbeat; `None`: it had none.
    pub from: Option<(DaemonRun, u64)>,
}

/// One heartbeat: what a daemon writes of itself, and the lanes that it gives up and takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub name: Name,
    pub row: DaemonRow,
    /// The row of another run of this name that it may replace: its run and its heartbeat.
    pub over: Option<(u64, u64)>,
    /// The copy of the store by which the takes were decided.
    pub epoch: Option<u64>,
    pub gives: Vec<Name>,
    pub takes: BTreeMap<Name, LaneTake>,
    /// The daemon ends with it: its row goes.
    pub last: bool,
}

impl Heartbeat {
    /// The run that it is of.
    pub fn run(&self) -> DaemonRun {
        DaemonRun { name: self.name.clone(), run: self.row.run }
    }
}

impl KeeperTables {
    /// Carries out a heartbeat; what has no place any more (of another run of the name, later than
    /// the next one, a lane that somebody else has) is passed over. The sender reads the tables
    /// after it.
    pub fn apply(&mut self, beat: &Heartbeat) {
        let admitted = self.daemons.get(&beat.name).is_none_or(|row| {
            (row.run == beat.row.run && row.beat < beat.row.beat)
                || beat.over == Some((row.run, row.beat))
        });
        if !admitted {
            return;
        }
        self.daemons.insert(beat.name.clone(), beat.row.clone());
        let run = beat.run();
        for lane in &beat.gives {
            if let Some(row) = self.lanes.get_mut(lane)
                && row.keeper.as_ref() == Some(&run)
            {
                *row = KeeperRow { version: row.version + 1, keeper: None };
            }
        }
        for (lane, take) in &beat.takes {
            if beat.epoch == Some(self.epoch) && self.may_take(lane, take) {
                if let Some(former) = &take.from
                    && let Some(row) = self.daemons.get_mut(&former.0.name)
                    && row.run == former.0.run
                {
                    row.lapsed = true;
                }
                let row = KeeperRow { version: take.version + 1, keeper: Some(run.clone()) };
                self.lanes.insert(lane.clone(), row);
            }
        }
        if beat.last {
            self.daemons.remove(&beat.name);
        }
    }

    fn may_take(&self, lane: &Name, take: &LaneTake) -> bool {
        let nobody = KeeperRow::default();
        let row = self.lanes.get(lane).unwrap_or(&nobody);
        row.version == take.version
            && match (&row.keeper, &take.from) {
                (None, None) => true,
                (Some(keeper), Some((former, beat))) => {
                    keeper == former && self.beat_of(keeper).is_none_or(|now| now == *beat)
                }
                (None, Some(_)) | (Some(_), None) => false,
            }
    }

    /// The latest heartbeat of a run; `None`: its row has gone, or is another run's.
    pub fn beat_of(&self, run: &DaemonRun) -> Option<u64> {
        self.daemons.get(&run.name).filter(|row| row.run == run.run).map(|row| row.beat)
    }
}
