//! Cloud time: the clock of each service endpoint, and how far it is from ours.
//!
//! Job: collect the readings that answers and the creation times of known jobs give, one clock for
//! each endpoint whatever the number of its lanes, and say what the cloud's clock shows now.
//!
//! Invariants: a lane is held while its cloud's clock may be further from ours than it tolerates,
//! because of an offset, a step or answers that disagree; without a recent reading nothing is held.
//!
//! Deliberately not here: the interval itself (`domain::cloud_clock`), which calls are held
//! (`engine::core::clocks`, `engine::fence`), and what a hold does to a change (`domain::change`).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::Times;
use crate::domain::cloud_clock::{CloudClock, Offset, TimeSpan};
use crate::domain::id::Name;
use crate::domain::lane::Lane;
use crate::domain::quota::Boot;

/// The creation times of jobs that lie further than this from the `Date` of answers are another
/// clock's: it is reported, and both count where jobs are sought.
const JOBS_APART: Duration = Duration::from_secs(5);

/// How a lane's cloud stands to our clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStanding {
    /// How far the cloud's clock is ahead of ours, by its answers.
    pub ahead: Offset,
    /// Further apart the clocks may not be.
    pub tolerance: Duration,
    /// How far the creation times of jobs are from its answers, where that is more than the answers
    /// explain.
    pub jobs_apart: Option<SignedDuration>,
    /// Since which answer no switch is sent.
    pub since: Option<Timestamp>,
}

impl ClockStanding {
    /// Whether no switch is sent.
    pub fn holds(&self) -> bool {
        self.ahead.may_exceed(self.tolerance)
    }
}

/// The clocks of all endpoints.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    lanes: BTreeMap<Name, Tolerated>,
    endpoints: BTreeMap<String, EndpointClock>,
}

#[derive(Debug)]
struct Tolerated {
    endpoint: String,
    tolerance: Duration,
    /// Since which answer the clocks are further apart than that.
    since: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct EndpointClock {
    answers: CloudClock,
    jobs: CloudClock,
}

impl EndpointClock {
    /// How far jobs are dated from the time of the answers, if these do not explain it.
    fn jobs_apart(&self, now: Boot) -> Option<SignedDuration> {
        let (answers, jobs) = (self.answers.at(now)?, self.jobs.latest(now)?);
        let apart = if jobs.from > answers.to {
            answers.to.duration_until(jobs.from)
        } else if jobs.to < answers.from {
            answers.from.duration_until(jobs.to)
        } else {
            return None;
        };
        (apart.unsigned_abs() > JOBS_APART).then_some(apart)
    }

    /// What the cloud's clock shows, wherever jobs are sought.
    fn at(&self, now: Boot) -> Option<TimeSpan> {
        let answers = self.answers.at(now)?;
        Some(match self.jobs.at(now).filter(|_| self.jobs_apart(now).is_some()) {
            Some(jobs) => answers.hull(jobs),
            None => answers,
        })
    }
}

impl Clocks {
    pub(super) fn of(lanes: &[Lane]) -> Self {
        let tolerated = |lane: &Lane| {
            (
                lane.name.clone(),
                Tolerated {
                    endpoint: lane.access.endpoint.clone(),
                    tolerance: lane.clock_tolerance,
                    since: None,
                },
            )
        };
        Self { lanes: lanes.iter().map(tolerated).collect(), endpoints: BTreeMap::new() }
    }

    fn endpoint(&mut self, lane: &Name) -> Option<&mut EndpointClock> {
        let Tolerated { endpoint, .. } = self.lanes.get(lane)?;
        if !self.endpoints.contains_key(endpoint) {
            self.endpoints.insert(endpoint.clone(), EndpointClock::default());
        }
        self.endpoints.get_mut(endpoint)
    }

    /// An answer to a call of this lane, heard now, told the cloud's time.
    pub(super) fn hear(&mut self, lane: &Name, date: Timestamp, sent: Boot, now: Times) {
        let Some(endpoint) = self.endpoint(lane) else { return };
        endpoint.answers.hear(date, sent, now.boot);
        let apart = self.standing(lane, now).filter(ClockStanding::holds);
        if let Some(tolerated) = self.lanes.get_mut(lane) {
            tolerated.since = apart.map(|apart| apart.since.unwrap_or(now.wall));
        }
    }

    /// The cloud tells when it made a job whose PUT was out between these two instants.
    pub(super) fn hear_job(
        &mut self,
        lane: &Name,
        created: Timestamp,
        (sent, answered): (Boot, Boot),
    ) {
        if let Some(endpoint) = self.endpoint(lane) {
            endpoint.jobs.hear(created, sent, answered);
        }
    }

    /// What the clock of this lane's cloud shows now.
    pub(super) fn cloud(&self, lane: &Name, now: Boot) -> Option<TimeSpan> {
        self.endpoints.get(&self.lanes.get(lane)?.endpoint)?.at(now)
    }

    /// How that stands to our own clock; `None`: the cloud told no time of late.
    pub(super) fn standing(&self, lane: &Name, now: Times) -> Option<ClockStanding> {
        let Tolerated { endpoint, tolerance, since } = self.lanes.get(lane)?;
        let endpoint = self.endpoints.get(endpoint)?;
        let ahead = endpoint.answers.at(now.boot)?.ahead_of(now.wall);
        Some(ClockStanding {
            ahead,
            tolerance: *tolerance,
            jobs_apart: endpoint.jobs_apart(now.boot),
            since: *since,
        })
    }
}

#[cfg(test)]
mod tests;
