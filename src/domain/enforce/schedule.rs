//! The plan's `enforce`: when it runs again, and what it may do then; and what its runs are called.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::cron::Expression;
use crate::domain::id::Name;
use crate::domain::zone::Zone;

/// The plan's `enforce`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enforce {
    pub cron: Expression,
    /// The zone of `cron`.
    pub time_zone: Zone,
    /// What it does about drift.
    pub mode: Mode,
    /// Targets that one run may put right; at least 1. More drift than that holds the enforcement.
    pub max_drift: u32,
}

/// What an enforcement does about drift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Inform,
    Apply,
}

impl Mode {
    /// The word in plan, CLI and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inform => "inform",
            Self::Apply => "apply",
        }
    }
}

/// Most missed ticks that are counted; beyond it the count says that there were at least so many.
const MISSED_MAX: u32 = 1_000;

/// A tick that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub tick: Timestamp,
    /// Older ones that nobody dealt with.
    pub missed: u32,
}

impl Enforce {
    /// The first tick after `after`.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.cron.next(after, self.time_zone.rules())
    }

    /// The newest tick after `handled` that has come by `now`. A clock that was stepped back finds
    /// none.
    pub(super) fn due(&self, handled: Timestamp, now: Timestamp) -> Option<Due> {
        let tick =
            self.cron.previous_or_at(now, self.time_zone.rules()).filter(|tick| *tick > handled)?;
        let mut missed = 0;
        let mut at = handled;
        while missed < MISSED_MAX
            && let Some(next) = self.next(at)
            && next < tick
        {
            at = next;
            missed += 1;
        }
        Some(Due { tick, missed })
    }
}

/// What follows the plan's name in the name of the rollout that looks.
const SURVEYING: &str = "-drift";

/// What follows the plan's name in the name of the rollout that puts right.
const APPLYING: &str = "-enforce";

/// Longest name of a plan with `enforce`: its runs' names are longer.
pub const NAME_MAX: usize = Name::LEN_MAX - APPLYING.len();

/// Name of the rollout that looks.
pub fn surveying_name(plan: &Name) -> Name {
    with(plan, SURVEYING)
}

/// Name of the rollout that puts right.
pub fn applying_name(plan: &Name) -> Name {
    with(plan, APPLYING)
}

fn with(plan: &Name, ending: &str) -> Name {
    // A plan whose name is longer is refused where it is read; here it could only be cut.
    let room = plan.as_str().len().min(NAME_MAX);
    Name::parse(&format!("{}{ending}", &plan.as_str()[..room]), "name")
        .expect("a part of a name and letters are a name")
}
