//! When new work may begin.

use jiff::Timestamp;

/// What the calendar says at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// New work may begin.
    Open {
        /// From this instant on it may not (cutoff, end of the last overlapping window, or start of a freeze); `None`:
        /// no end in sight.
        until: Option<Timestamp>,
    },
    /// New work may not begin.
    Shut {
        /// The next instant at which it may; `None`: never again.
        next: Option<Timestamp>,
        /// Which rule holds it shut now.
        by: ShutBy,
    },
}

/// The rule that holds a calendar shut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShutBy {
    /// `not_before` lies ahead.
    NotBefore,
    /// No window is open.
    Window,
    /// A window is open, but its cutoff has passed.
    Cutoff,
    /// A freeze is on, with its reason.
    Freeze(String),
}

/// x
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Calendar {}
impl Calendar {
    /// x
    pub fn not_before(&self) -> Option<Timestamp> {
        None
    }
    /// x
    pub fn at(&self, _now: Timestamp) -> Opening {
        Opening::Open { until: None }
    }
}
