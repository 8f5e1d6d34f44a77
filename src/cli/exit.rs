//! Every exit code, in one place.
//!
//! Invariant: these numbers are part of the contract; scripts and units branch on them.

use super::wire::RolloutDoc;

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, and verified as far as the plan asks for it.
    Done = 0,
    /// Usage or internal error.
    Error = 1,
    /// Changes are pending (`plan --detailed-exitcode`).
    Pending = 2,
    Failed = 3,
    /// Stopped by a guard, or by an operator's abort or revert.
    Stopped = 4,
    /// Changes in doubt remain.
    InDoubt = 5,
    /// The window closed first; the rollout goes on when it opens again.
    WindowClosed = 6,
    /// An approval, a promotion, a resume or an answer is missing.
    NeedsPerson = 7,
    /// The daemon cannot be reached.
    Unreachable = 8,
    /// The store is not the one that belongs there, or a newer program wrote it: a person decides,
    /// and the unit does not start again.
    StoreRefused = 9,
    /// The daemon is there, and too busy to answer now.
    Busy = 10,
    /// Interrupted from the keyboard.
    Interrupted = 130,
}

/// Every code, in the order of the table.
pub const ALL: [Exit; 12] = [
    Exit::Done,
    Exit::Error,
    Exit::Pending,
    Exit::Failed,
    Exit::Stopped,
    Exit::InDoubt,
    Exit::WindowClosed,
    Exit::NeedsPerson,
    Exit::Unreachable,
    Exit::StoreRefused,
    Exit::Busy,
    Exit::Interrupted,
];

/// The table of codes, as `sealift --help` ends with it.
pub fn table() -> String {
    ALL.iter().map(|exit| format!("  {:>3}  {}\n", *exit as u8, exit.meaning())).collect()
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => {
                "done, and verified; `preflight`: go; `probe`: as expected; `store check`: sound"
            }
            Self::Error => "usage or internal error, refused, or declined at the question",
            Self::Pending => "changes are pending (`plan --detailed-exitcode`)",
            Self::Failed => {
                "some changes failed; `preflight`: no-go; `probe`: not as expected; `store check`: damaged; `notify test`: not taken"
            }
            Self::Stopped => "stopped by a guard, an abort or a revert",
            Self::InDoubt => "changes in doubt remain; `probe`: the wire could not be seen",
            Self::WindowClosed => {
                "the window closed first; the rollout goes on when it opens again"
            }
            Self::NeedsPerson => {
                "a person is needed: an approval, a promotion, a resume, or an answer that nobody is there to give"
            }
            Self::Unreachable => "the daemon cannot be reached",
            Self::StoreRefused => {
                "the daemon's store is not where it was, or a newer version wrote it (`serve`)"
            }
            Self::Busy => "the daemon is too busy to answer now: try again",
            Self::Interrupted => "interrupted from the keyboard",
        }
    }

    /// What a rollout that was followed to where nothing moves by itself any more amounts to;
    /// `None` while it moves.
    pub fn of(rollout: &RolloutDoc) -> Option<Self> {
        match rollout.phase.as_str() {
            "completed" if rollout.tally.in_doubt > 0 => Some(Self::InDoubt),
            "completed" if rollout.tally.failed + rollout.tally.skipped > 0 => Some(Self::Failed),
            "completed" => Some(Self::Done),
            // What is in flight when a rollout stops is still followed to its end.
            "aborted" | "halted" if rollout.tally.active > 0 => None,
            "aborted" | "halted" => Some(Self::Stopped),
            "reverted" if rollout.tally.active > 0 => None,
            "reverted" if rollout.tally.in_doubt > 0 => Some(Self::InDoubt),
            "reverted" => Some(Self::Stopped),
            "scheduled" if rollout.approval_hold().is_some() => Some(Self::NeedsPerson),
            "awaiting" => Some(Self::NeedsPerson),
            _ if rollout.waits_for_resume() => Some(Self::NeedsPerson),
            _ => None,
        }
    }
}

/// A verb that failed with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ExitFailure {
    pub exit: Exit,
    /// What, where and the next step.
    pub message: String,
}

impl ExitFailure {
    /// A failure with this code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A question that nobody is there to answer; `message` says which flag answers it.
    pub fn nobody(message: impl Into<String>) -> Self {
        Self::new(Exit::NeedsPerson, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_have_the_table_of_codes() {
        let page = include_str!("../../docs/operating.md");
        for exit in ALL {
            let row = format!("| {} | {} |", exit as u8, exit.meaning());
            assert!(page.contains(&row), "docs/operating.md lacks {row}");
        }
        assert_eq!(table().lines().count(), ALL.len());
    }
}
