//! How a receiver stands, for status, page and metrics.
//!
//! Invariant: neither its URL nor what it answered beyond a status is here.

use jiff::Timestamp;

use crate::domain::id::Name;
use crate::domain::notify::NoticeWord;

/// How a receiver stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverStanding {
    pub name: Name,
    /// Word of its shape.
    pub shape: &'static str,
    pub on: Vec<NoticeWord>,
    /// Things that wait to be told, at most [`super::worker::PENDING_MAX`].
    pub waiting: u64,
    /// When the oldest of them happened.
    pub oldest: Option<Timestamp>,
    /// Things that it took since the start.
    pub taken: u64,
    /// When it took the last one.
    pub taken_at: Option<Timestamp>,
    /// Tries that failed since the start.
    pub failed: u64,
    /// Things given up, ever.
    pub given_up: u64,
    /// It said that it is gone.
    pub off: Option<Timestamp>,
    /// Since when nothing was taken.
    pub failing_since: Option<Timestamp>,
    /// Why the last try failed.
    pub why: String,
    /// When it is tried next.
    pub next: Option<Timestamp>,
    /// What keeps it from being told or its cursor from being written.
    pub blocked: Option<String>,
}

/// What is counted of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverTally {
    pub receiver: Name,
    /// Things that it took since the start.
    pub taken: u64,
    /// Tries that failed since the start.
    pub failed: u64,
    /// Things given up, ever.
    pub given_up: u64,
    /// When the oldest thing that waits happened.
    pub oldest_pending: Option<Timestamp>,
    /// It is gone, or its cursor cannot be read or written.
    pub blocked: bool,
}

impl From<ReceiverStanding> for ReceiverTally {
    fn from(standing: ReceiverStanding) -> Self {
        let ReceiverStanding { name, taken, failed, given_up, oldest, off, blocked, .. } = standing;
        let blocked = off.is_some() || blocked.is_some();
        Self { receiver: name, taken, failed, given_up, oldest_pending: oldest, blocked }
    }
}

impl ReceiverStanding {
    /// Whether a person should know: it is off, cannot be told, or has failed for a while.
    pub fn wants_a_person(&self, now: Timestamp) -> bool {
        let failing = self.failing_since.is_some_and(|since| now.duration_since(since) >= GRACE);
        self.off.is_some() || self.blocked.is_some() || failing
    }
}

/// A receiver that restarts is no matter for a person.
const GRACE: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// A receiver that is told nothing shows in metrics also while nothing waits.
    #[test]
    fn gone_or_without_a_cursor_is_blocked() {
        let well = ReceiverStanding {
            name: Name::parse("ops", "name").expect("a name"),
            shape: "json",
            on: Vec::new(),
            waiting: 0,
            oldest: None,
            taken: 1,
            taken_at: None,
            failed: 0,
            given_up: 0,
            off: None,
            failing_since: Some(Timestamp::UNIX_EPOCH),
            why: String::new(),
            next: None,
            blocked: None,
        };
        let gone = ReceiverStanding { off: Some(Timestamp::UNIX_EPOCH), ..well.clone() };
        let unread = ReceiverStanding { blocked: Some("torn".into()), ..well.clone() };
        for (standing, is) in [(well, false), (gone, true), (unread, true)] {
            assert_eq!(ReceiverTally::from(standing).blocked, is);
        }
    }
}
