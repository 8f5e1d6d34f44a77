//! Whether a rollout was looked at without a break, and what came between if it was not.
//!
//! Invariant: it only explains. What was missed is counted by the record alone
//! (`domain::window_log`), so a process that knows nothing of what was before counts the same and
//! merely says "no daemon ran".

use std::time::Duration;

use jiff::SignedDuration;

use super::fence::STEP_MAX;
use crate::clock::Times;
use crate::domain::rollout::LOOK_AGAIN;
use crate::domain::window_log::Gap;

/// A rollout is looked at every [`LOOK_AGAIN`]; twice that without a look is a process that stood
/// still.
const STILL: Duration = LOOK_AGAIN.saturating_mul(2);

/// What a process remembers of its looks at one rollout.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The last look that left nothing of the windows unwritten; `None`: none since the process
    /// started.
    last: Option<Times>,
    /// Everything was stopped since, so nobody looked.
    stopped: bool,
    /// The store was away since, so nobody could look.
    away: bool,
}

impl Watch {
    /// What is known of the windows is written down, as of then.
    pub(super) fn seen(&mut self, at: Times) {
        *self = Self { last: Some(at), ..Self::default() };
    }

    /// Everything is stopped, so nobody looks.
    pub(super) fn stopped(&mut self) {
        self.stopped = true;
    }

    /// The store is away, so nobody can look.
    pub(super) fn away(&mut self) {
        self.away = true;
    }

    /// Why nobody looked since the last look.
    pub(super) fn gap(&self, now: Times) -> Gap {
        let Some(last) = self.last else { return Gap::Down };
        let boot = now.boot.saturating_sub(last.boot);
        let signed = SignedDuration::try_from(boot).unwrap_or(SignedDuration::MAX);
        let by = now.wall.duration_since(last.wall).saturating_sub(signed);
        if by.unsigned_abs() > STEP_MAX {
            return Gap::Stepped(by);
        }
        if self.stopped {
            return Gap::Stopped;
        }
        if self.away {
            return Gap::Away;
        }
        if boot > STILL { Gap::Still(signed) } else { Gap::None }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn times(wall: i64, boot: u64) -> Times {
        Times {
            wall: Timestamp::from_second(1_800_000_000 + wall).expect("an instant"),
            boot: Duration::from_secs(boot),
        }
    }

    #[test]
    fn what_came_between_two_looks() {
        let mut watch = Watch::default();
        assert_eq!(watch.gap(times(0, 100)), Gap::Down);
        watch.seen(times(0, 100));
        let table = [
            (times(30, 130), Gap::None),
            (times(34, 130), Gap::None),
            (times(3_630, 130), Gap::Stepped(SignedDuration::from_secs(3_600))),
            (times(-3_570, 130), Gap::Stepped(SignedDuration::from_secs(-3_600))),
            // A suspended host: both clocks count the sleep.
            (times(7_200, 7_300), Gap::Still(SignedDuration::from_secs(7_200))),
        ];
        for (now, gap) in table {
            assert_eq!(watch.gap(now), gap);
        }
        watch.away();
        assert_eq!(watch.gap(times(7_200, 7_300)), Gap::Away);
        watch.stopped();
        assert_eq!(watch.gap(times(7_200, 7_300)), Gap::Stopped);
        watch.seen(times(7_200, 7_300));
        assert_eq!(watch.gap(times(7_210, 7_310)), Gap::None);
    }
}
