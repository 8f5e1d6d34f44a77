//! The tag of a record: what somebody saw when they decided on a verb.
//!
//! Invariant: it differs whenever anything of the record does that a person decides on; counts and
//! windows that passed do not move it, so that a rollout at work keeps its tag.

use super::Record;
use crate::domain::id::{Digest, RolloutId};
use crate::domain::window_log::WindowLog;

impl Record {
    /// The tag of this record as that of the rollout `id`.
    pub fn tag(&self, id: RolloutId) -> Digest {
        let decided =
            Self { cursor: 0, releases: 0, windows: WindowLog::default(), ..self.clone() };
        Digest::of(&serde_json::to_vec(&(id.to_string(), decided)).expect("a record is JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Phase;
    use super::*;

    #[test]
    fn a_tag_moves_with_what_is_decided_and_not_with_what_is_counted() {
        let id = |digit: &str| digit.repeat(32).parse::<RolloutId>().expect("an id");
        let record = Record { phase: Phase::Advancing { wave: 0 }, ..Record::submitted() };
        let tag = record.tag(id("a"));
        let counted = Record { cursor: 7, releases: 3, ..record.clone() };
        assert_eq!(counted.tag(id("a")), tag);
        let paused = Record { version: 1, ..record.clone() };
        let next = Record { phase: Phase::Advancing { wave: 1 }, ..record.clone() };
        for other in [paused.tag(id("a")), next.tag(id("a")), record.tag(id("b"))] {
            assert_ne!(other, tag);
        }
    }
}
