//! What a lane holds, and how it stands.

use jiff::Timestamp;

use super::{CLOCK_REMEDY, Hold, Lift, clock_text};
use crate::domain::cloud_clock::Offset;
use crate::domain::id::Name;
use crate::domain::person::Attribution;

/// A lane that does not serve the changes that need it.
#[derive(Debug, Clone, Copy)]
pub struct Unserved<'a> {
    pub lane: &'a Name,
    /// The lane before it that reaches the same project; `None`: the configuration has no lane of
    /// that name.
    pub shares: Option<&'a Name>,
}

/// A lane's pause by the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when: the first of the answers that asked for it.
    pub since: Timestamp,
    pub until: Timestamp,
    /// What the cloud said.
    pub why: String,
    /// It refused the lane's credentials: a person must renew them.
    pub refused: bool,
    /// It did not answer at all.
    pub out_of_reach: bool,
}

/// How a lane stands.
#[derive(Debug, Clone, Copy)]
pub struct LaneStanding<'a> {
    pub name: &'a Name,
    /// The lane before it that reaches the same project: its switches are held.
    pub shares: Option<&'a Name>,
    /// Paused by a person.
    pub held: Option<&'a Attribution>,
    /// Paused by the cloud.
    pub paused: Option<&'a Pause>,
    /// A call waits for the lane's quota.
    pub waits_for_quota: bool,
    /// Too far from ours for a switch, the cloud's clock is so far ahead, between two bounds; and
    /// since which answer.
    pub clock: Option<(Offset, Option<Timestamp>)>,
    /// When the next call may leave, as far as time alone says.
    pub free_at: Option<Timestamp>,
    /// Calls wait, and until then none leaves, because the daemon before left no count of what it
    /// sent.
    pub assumed_until: Option<Timestamp>,
}

impl Unserved<'_> {
    pub(super) fn hold(&self) -> Hold {
        let lane = self.lane;
        let Some(first) = self.shares else {
            let text =
                format!("the configuration has no lane {lane}; put it back and restart the daemon");
            return Hold::new("lane_missing", None, text);
        };
        let text = format!(
            "lane {lane} reaches the same project as lane {first}: its switches are held, what is out is followed; \
             correct its `project_id` or keep one of the two, and restart the daemon"
        );
        Hold::new("lane_shared", None, text)
    }
}

impl LaneStanding<'_> {
    pub(super) fn clock(&self) -> Option<Hold> {
        let (ahead, since) = self.clock?;
        let text = clock_text(ahead);
        Some(
            Hold::new(
                "clock",
                None,
                format!("lane {}: {text}; no switch is sent; {CLOCK_REMEDY}", self.name),
            )
            .since(since),
        )
    }

    pub(super) fn held(&self) -> Option<Hold> {
        let mark = self.held?;
        let hold = Hold::new("lane_held", None, format!("lane {} is paused", self.name));
        Some(hold.by(mark).lifted(Lift::ResumeLane(self.name.clone())).since(Some(mark.at)))
    }

    /// Why nothing at all leaves.
    pub(super) fn stands(&self) -> Option<Hold> {
        self.pause().or_else(|| self.assumed())
    }

    pub(super) fn assumed(&self) -> Option<Hold> {
        let until = self.assumed_until?;
        let text = format!(
            "lane {} counts its whole quota as used: the daemon before ended without a count of its calls",
            self.name
        );
        Some(Hold::new("quota", Some(until), text))
    }

    pub(super) fn pause(&self) -> Option<Hold> {
        let Pause { since, until, why, .. } = self.paused?;
        Some(
            Hold::new("lane_paused", Some(*until), format!("lane {} is paused: {why}", self.name))
                .since(Some(*since)),
        )
    }
}
