//! Lanes that send nothing new although nobody asked for that: seen in the engine's snapshot, and
//! written into a log of their own.
//!
//! Invariants: what is told of a lane stands in the log before anybody is told, so that a killed
//! daemon tells it under the same number; a hold is told once, until the lane was well for
//! [`WELL_AFTER`]. The numbers rise even when the log was lost.
//!
//! Deliberately not here: lanes that a person paused, and those that wait for their quota: a verb,
//! or time, lifts these.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::cursor::{BYTES_MAX, LANE_LOG, read_bounded};
use crate::domain::hold::clock_text;
use crate::domain::id::Name;
use crate::domain::quota::Boot;
use crate::engine::{ClockStanding, Snapshot};
use crate::store::write_whole;

/// A lane that is out of reach is told after so long: a gateway that restarts is none.
pub const UNREACHABLE_FOR: Duration = Duration::from_secs(5 * 60);

/// A lane that was not seen held for so long is well. Between two tries the engine's pause is over
/// for as long as a call may take.
pub const WELL_AFTER: Duration = Duration::from_secs(90);

/// Holds that the log keeps for receivers that are behind.
const KEPT: usize = 1_000;

/// What holds a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneCause {
    Clock,
    Credentials,
    Unreachable,
}

impl LaneCause {
    /// How long it must last before it is told.
    fn patience(self) -> Duration {
        match self {
            Self::Clock | Self::Credentials => Duration::ZERO,
            Self::Unreachable => UNREACHABLE_FOR,
        }
    }
}

/// A lane that is held now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSight {
    pub lane: Name,
    pub cause: LaneCause,
    /// Since when, as far as the engine says.
    pub since: Timestamp,
    pub why: String,
}

/// The lanes that are held by something that is told.
pub fn sights(snapshot: &Snapshot, now: Timestamp) -> Vec<LaneSight> {
    let of = |lane: &crate::engine::LaneSnapshot| {
        let name = lane.lane.clone();
        if let Some(pause) =
            lane.paused.as_ref().filter(|pause| pause.refused || pause.out_of_reach)
        {
            let cause = if pause.refused { LaneCause::Credentials } else { LaneCause::Unreachable };
            return Some(LaneSight {
                lane: name,
                cause,
                since: pause.since,
                why: pause.why.clone(),
            });
        }
        let clock = lane.clock.as_ref().filter(|clock| ClockStanding::holds(clock))?;
        let since = clock.since.unwrap_or(now);
        Some(LaneSight { lane: name, cause: LaneCause::Clock, since, why: clock_text(clock.ahead) })
    };
    snapshot.lanes.iter().filter_map(of).collect()
}

/// A lane that was held, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLane {
    /// Its number in the log.
    pub number: u64,
    /// When it was noticed.
    pub at: Timestamp,
    /// The journal's entry that came before it.
    pub after: u64,
    pub lane: Name,
    pub cause: LaneCause,
    pub since: Timestamp,
    pub why: String,
}

/// What was seen of the lanes of late.
#[derive(Debug, Default)]
pub struct LaneWatch {
    seen: BTreeMap<Name, SeenLane>,
}

#[derive(Debug)]
struct SeenLane {
    sight: LaneSight,
    first: Boot,
    last: Boot,
}

/// What a look led to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaneNews {
    /// To be told.
    pub held: Vec<LaneSight>,
    /// Well again.
    pub well: Vec<Name>,
}

impl LaneWatch {
    /// The lanes were looked at; `open` are those whose hold is told already.
    pub fn look(
        &mut self,
        sights: Vec<LaneSight>,
        open: &BTreeMap<Name, LaneCause>,
        now: Boot,
    ) -> LaneNews {
        for sight in sights {
            let seen = self.seen.remove(&sight.lane).filter(|seen| seen.sight.cause == sight.cause);
            // The engine's own instant begins anew with every try.
            let (first, since) =
                seen.map_or((now, sight.since), |seen| (seen.first, seen.sight.since));
            self.seen.insert(
                sight.lane.clone(),
                SeenLane { sight: LaneSight { since, ..sight }, first, last: now },
            );
        }
        // One that is open and was not seen since the start is given as long.
        for (lane, cause) in open {
            let assumed = || LaneSight {
                lane: lane.clone(),
                cause: *cause,
                since: Timestamp::UNIX_EPOCH,
                why: String::new(),
            };
            self.seen.entry(lane.clone()).or_insert_with(|| SeenLane {
                sight: assumed(),
                first: now,
                last: now,
            });
        }
        let is_well = |seen: &SeenLane| now.saturating_sub(seen.last) >= WELL_AFTER;
        let well = self
            .seen
            .iter()
            .filter(|(lane, seen)| open.contains_key(*lane) && is_well(seen))
            .map(|(lane, _)| lane.clone())
            .collect();
        self.seen.retain(|_, seen| !is_well(seen));
        let is_new = |seen: &&SeenLane| {
            let long = seen.last.saturating_sub(seen.first) >= seen.sight.cause.patience();
            long && open.get(&seen.sight.lane) != Some(&seen.sight.cause)
        };
        LaneNews {
            held: self.seen.values().filter(is_new).map(|seen| seen.sight.clone()).collect(),
            well,
        }
    }
}

/// The log of lanes that were held: a small file, written whole.
pub struct LaneLog {
    folder: PathBuf,
    written: Mutex<WrittenHolds>,
    /// It could not be written when it was tried last.
    unwritten: AtomicBool,
    last: watch::Sender<u64>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct WrittenHolds {
    last: u64,
    open: BTreeMap<Name, LaneCause>,
    held: VecDeque<HeldLane>,
}

impl LaneLog {
    /// The log of this folder; one that cannot be read begins anew, with higher numbers.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join(LANE_LOG);
        let read = read_bounded(&path).and_then(|bytes| {
            let parse = |bytes: Vec<u8>| {
                serde_json::from_slice::<WrittenHolds>(&bytes).map_err(|error| error.to_string())
            };
            bytes.map(parse).transpose()
        });
        let written = read.unwrap_or_else(|why| {
            tracing::error!(file = %path.display(), why, "the log of held lanes cannot be read; it begins anew");
            None
        });
        let written = written.unwrap_or_default();
        Self {
            folder: folder.to_owned(),
            unwritten: AtomicBool::new(false),
            last: watch::Sender::new(written.last),
            written: Mutex::new(written),
        }
    }

    fn lock(&self) -> MutexGuard<'_, WrittenHolds> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of the last one.
    pub fn last(&self) -> u64 {
        self.lock().last
    }

    /// Tells when there are more.
    pub fn grows(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// The lanes whose hold is told.
    pub fn open_lanes(&self) -> BTreeMap<Name, LaneCause> {
        self.lock().open.clone()
    }

    /// Those after this number, oldest first.
    pub fn after(&self, number: u64) -> Vec<HeldLane> {
        self.lock().held.iter().filter(|held| held.number > number).cloned().collect()
    }

    /// Writes news down, and shows them then. What cannot be written is not told; the next look
    /// finds it again.
    pub async fn keep(&self, news: LaneNews, after: u64, now: Timestamp) {
        if news == LaneNews::default() {
            return;
        }
        let mut next = self.lock().clone();
        next.open.retain(|lane, _| !news.well.contains(lane));
        for LaneSight { lane, cause, since, why } in news.held {
            // The clock in the number keeps it from being given twice after the log was lost.
            let clock = u64::try_from(now.as_second()).unwrap_or(0);
            next.last = (next.last + 1).max(clock);
            next.open.insert(lane.clone(), cause);
            next.held.push_back(HeldLane {
                number: next.last,
                at: now,
                after,
                lane,
                cause,
                since,
                why,
            });
        }
        let over = next.held.len().saturating_sub(KEPT);
        next.held.drain(..over);
        let bytes = serde_json::to_vec(&next).expect("names, numbers and texts can be written");
        debug_assert!(bytes.len() <= BYTES_MAX, "bounded by what is kept");
        let folder = self.folder.clone();
        let written =
            tokio::task::spawn_blocking(move || write_whole(&folder, LANE_LOG, &bytes)).await;
        match written.map_err(std::io::Error::other).flatten() {
            Ok(()) => {
                self.unwritten.store(false, Ordering::Relaxed);
                let last = next.last;
                *self.lock() = next;
                self.last.send_replace(last);
            }
            // The next look is half a second away.
            Err(_) if self.unwritten.swap(true, Ordering::Relaxed) => {}
            Err(error) => {
                let path = self.folder.join(LANE_LOG);
                tracing::error!(
                    "a held lane is not told, for {} cannot be written: {error}; make room on its disk",
                    path.display()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Boot {
        Duration::from_secs(seconds)
    }

    fn name(text: &str) -> Name {
        Name::parse(text, "lane").expect("a name")
    }

    fn sight(cause: LaneCause) -> LaneSight {
        LaneSight { lane: name("lab"), cause, since: Timestamp::UNIX_EPOCH, why: "why".into() }
    }

    #[test]
    fn a_hold_is_told_once_until_the_lane_was_well() {
        let (mut watch, mut open) = (LaneWatch::default(), BTreeMap::new());
        let news = watch.look(vec![sight(LaneCause::Credentials)], &open, s(0));
        assert_eq!(news.held, [sight(LaneCause::Credentials)]);
        open.insert(name("lab"), LaneCause::Credentials);
        for now in [1, 60, 149] {
            // It tries in between: for a moment nothing is seen.
            let sights = if now == 60 { Vec::new() } else { vec![sight(LaneCause::Credentials)] };
            assert_eq!(watch.look(sights, &open, s(now)), LaneNews::default(), "{now}");
        }
        assert_eq!(watch.look(Vec::new(), &open, s(238)), LaneNews::default());
        assert_eq!(watch.look(Vec::new(), &open, s(239)).well, [name("lab")]);
        open.clear();
        assert_eq!(watch.look(vec![sight(LaneCause::Credentials)], &open, s(300)).held.len(), 1);
    }

    #[test]
    fn a_lane_out_of_reach_is_told_after_a_while() {
        let (mut watch, open) = (LaneWatch::default(), BTreeMap::new());
        for now in (0..300).step_by(60) {
            assert_eq!(
                watch.look(vec![sight(LaneCause::Unreachable)], &open, s(now)),
                LaneNews::default(),
                "{now}"
            );
        }
        assert_eq!(watch.look(vec![sight(LaneCause::Unreachable)], &open, s(300)).held.len(), 1);
        // Another cause is another thing to tell.
        assert_eq!(
            watch.look(vec![sight(LaneCause::Clock)], &open, s(301)).held,
            [sight(LaneCause::Clock)]
        );
        // A gap begins it anew.
        let mut watch = LaneWatch::default();
        watch.look(vec![sight(LaneCause::Unreachable)], &open, s(0));
        watch.look(Vec::new(), &open, s(100));
        assert_eq!(
            watch.look(vec![sight(LaneCause::Unreachable)], &open, s(301)),
            LaneNews::default()
        );
    }

    #[tokio::test]
    async fn a_hold_outlives_the_daemon_that_saw_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let now = Timestamp::from_second(1_800_000_000).expect("an instant");
        let news = || LaneNews {
            held: vec![sight(LaneCause::Clock), sight(LaneCause::Credentials)],
            well: Vec::new(),
        };
        let log = LaneLog::open(folder.path());
        log.keep(news(), 7, now).await;
        let before = log.after(0);
        assert_eq!(
            before.iter().map(|held| (held.number, held.after)).collect::<Vec<_>>(),
            [(1_800_000_000, 7), (1_800_000_001, 7)]
        );
        let again = LaneLog::open(folder.path());
        assert_eq!((again.after(0), again.last()), (before.clone(), log.last()));
        assert_eq!(again.open_lanes(), BTreeMap::from([(name("lab"), LaneCause::Credentials)]));
        // It went on before: after a start the same hold is seen anew, and told no more.
        let mut watch = LaneWatch::default();
        assert_eq!(
            watch.look(vec![sight(LaneCause::Credentials)], &again.open_lanes(), s(0)),
            LaneNews::default()
        );
        assert_eq!(again.after(before[0].number), before[1..]);
        // A log that was lost gives no number twice.
        std::fs::write(folder.path().join(LANE_LOG), b"garbage").expect("written");
        let lost = LaneLog::open(folder.path());
        lost.keep(news(), 9, now + jiff::SignedDuration::from_secs(60)).await;
        assert!(lost.after(0)[0].number > before[1].number);
    }
}
