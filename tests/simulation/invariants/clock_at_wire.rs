//! No PUT leaves the daemon if the cloud told it, within the last ten minutes, a time too far from
//! its own.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sealift::domain::call::Reply;
use sealift::domain::lane::CLOCK_TOLERANCE;
use sealift::rehearse::observation::{Departure, Observation};

use super::WorldInvariant;
use crate::oracle::{Around, Fact, OracleSetting};
use crate::scenario::CALL_TIMEOUT;

/// A time that was told is as wide as a round trip and a second, and is told by an answer that may
/// come late.
const WIDTH: Duration = Duration::from_secs(5);

/// What was told longer ago no longer counts, less what a reading may be younger.
const TOLD_FOR: Duration = Duration::from_secs(590);

#[derive(Default)]
pub struct ClockAtWire {
    /// When the daemon was told a time last, in boot time, and which.
    told: Option<(Duration, Timestamp)>,
}

impl ClockAtWire {
    pub fn new(_: &OracleSetting<'_>) -> Self {
        Self::default()
    }
}

impl WorldInvariant for ClockAtWire {
    fn check(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Observed(
                Observation::Answered { reply: Reply { cloud_time: Some(time), .. }, .. },
                Around { times, .. },
            ) => {
                self.told = Some((times.boot, *time));
            }
            Fact::Observed(Observation::Died, _) => self.told = None,
            Fact::Observed(
                Observation::Leaves(Departure { times, stored: Some((stored, _)), .. }),
                _,
            ) => {
                let Some((boot, time)) = self.told else { return Ok(()) };
                let since = times.boot.saturating_sub(boot);
                let cloud = time + SignedDuration::try_from(since).expect("a short run");
                let apart = times.wall.duration_until(cloud).unsigned_abs();
                if since < TOLD_FOR && apart > CLOCK_TOLERANCE + CALL_TIMEOUT + WIDTH {
                    return Err(format!(
                        "a PUT for {} left although the cloud's clock is {} s away",
                        stored.id,
                        apart.as_secs()
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
