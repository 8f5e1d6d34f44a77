//! Bugs planted around the shell, each as a wrapper of its own kind could have it.

/// A bug; `Nothing` in an honest run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeBug {
    Nothing,
    /// The engine's clock stands still from some time on.
    ClockStands,
    /// One call in forty has no end, whatever the client promises.
    AnswerDropped,
    /// The client repeats a PUT by itself when its connection is lost.
    RepeatsByItself,
    /// The client does not ask the last check.
    NoLastCheck,
    /// The engine is ended at once instead of being drained.
    EndedNotDrained,
    /// The store says that a change's commit stands before it does.
    CommitToldTooEarly,
    /// The store says that a change's commit stands and keeps nothing of it, one in forty.
    CommitLost,
}

/// Each planted bug with the number of seeds within which it must be found.
pub const SCOREBOARD: &[(RuntimeBug, u64)] = &[
    (RuntimeBug::ClockStands, 10),
    (RuntimeBug::AnswerDropped, 10),
    (RuntimeBug::RepeatsByItself, 20),
    (RuntimeBug::NoLastCheck, 40),
    (RuntimeBug::EndedNotDrained, 20),
    (RuntimeBug::CommitToldTooEarly, 20),
    (RuntimeBug::CommitLost, 20),
];

/// The planted bug of this name; `Nothing` without one.
pub fn by_name(name: Option<&str>) -> RuntimeBug {
    let Some(name) = name else { return RuntimeBug::Nothing };
    let known = SCOREBOARD.iter().map(|(planted, _)| *planted);
    known
        .into_iter()
        .find(|planted| format!("{planted:?}") == name)
        .expect("a name of `RuntimeBug`")
}
