//! The first sentence of the whole: does it move, and if not, what keeps it.

use jiff::{SignedDuration, Timestamp};

use crate::domain::count::count;

/// How soon the end of a certificate wants somebody: a quarter is what a renewal across a fleet
/// takes.
pub const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(90 * 24);

/// All that the sentence depends on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overall {
    /// A person or the file stopped everything.
    pub stopped: bool,
    /// The store takes nothing new.
    pub refusing: bool,
    /// The daemon is ending.
    pub draining: bool,
    /// Rollouts that are not over.
    pub open: u32,
    /// Those of them that nothing holds.
    pub moving: u32,
    /// When the first of the others goes on by itself.
    pub until: Option<Timestamp>,
}

/// The sentence, without its instant, and the instant if it has one.
pub fn headline(overall: &Overall) -> (String, Option<Timestamp>) {
    let Overall { stopped, refusing, draining, open, moving, until } = *overall;
    match (stopped, refusing, draining, open, moving) {
        (true, ..) => ("everything is stopped".into(), None),
        (false, true, ..) => ("the store takes nothing new".into(), None),
        (false, false, true, ..) => {
            ("the daemon is ending; work goes on after its next start".into(), None)
        }
        (false, false, false, 0, _) => ("no rollout is open".into(), None),
        (false, false, false, _, 0) if until.is_some() => ("nothing new begins".into(), until),
        (false, false, false, _, 0) => {
            ("nothing new begins until a person does something".into(), None)
        }
        (false, false, false, open, moving) if open == moving => {
            (format!("{} at work", count(open, "rollout is", "rollouts are")), None)
        }
        (false, false, false, open, moving) => (
            format!(
                "{moving} of {open} rollouts {} at work",
                if moving == 1 { "is" } else { "are" }
            ),
            None,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_is_said_first() {
        let until = Some(Timestamp::UNIX_EPOCH);
        let open = Overall { open: 2, until, ..Overall::default() };
        let rows = [
            (Overall::default(), "no rollout is open", None),
            (open, "nothing new begins", until),
            (
                Overall { until: None, ..open },
                "nothing new begins until a person does something",
                None,
            ),
            (Overall { moving: 1, ..open }, "1 of 2 rollouts is at work", None),
            (Overall { moving: 2, ..open }, "2 rollouts are at work", None),
            (
                Overall { draining: true, ..open },
                "the daemon is ending; work goes on after its next start",
                None,
            ),
            (
                Overall { draining: true, refusing: true, ..open },
                "the store takes nothing new",
                None,
            ),
            (Overall { stopped: true, refusing: true, ..open }, "everything is stopped", None),
        ];
        for (overall, text, end) in rows {
            assert_eq!(headline(&overall), (text.to_owned(), end), "{overall:?}");
        }
    }
}
